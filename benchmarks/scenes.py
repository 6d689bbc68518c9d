"""Clips with exact truth: python -m benchmarks.scenes FOLDER [--data DIR] [--clips DIR] [--only NAME ...]

Cut-outs of people with true alpha are moved over backgrounds: NAME.mkv holds the pictures, NAME.matte.mkv
the truth, both lossless (FFV1). --data is a corpus folder whose index.csv has rows of the sources ``cutout``
(picture and alpha) and ``background``; --clips holds moving backgrounds, background_*.mp4. Where a folder
is not given its part is drawn (figures with patterned clothes, walls with texture), so that the scenes can
be made anywhere. The same arguments give the same pictures.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.material import Array, Material, Size
from streamseg.core.opencv import cv2

RATE = 25


# --- what happens in a scene ------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class Actor:
    """One person. ``x``, ``y``: seconds -> where the middle is, 1 = the picture's width, height.

    height   the person's, 1 = the picture's
    turn     how much narrower at most, once in two seconds
    lean     degrees to either side, once in two seconds
    wave     how far arms swing, 1 = the person's width, twice a second
    """

    x: Callable[[float], float]
    y: Callable[[float], float] = lambda seconds: 0.55
    height: float = 0.8
    turn: float = 0.0
    lean: float = 0.0
    wave: float = 0.0

    def shown(self, person: Array, seconds: float, size: Size) -> Array:
        """float32 (h, w, 4) of ``size``: the person (premultiplied) where it is at this time."""
        rows, columns = np.indices(size[::-1], np.float32)
        scale = self.height * size[1] / person.shape[0]
        angle = math.radians(self.lean) * math.sin(math.pi * seconds)
        narrow = 1 - self.turn * (1 - math.cos(math.pi * seconds)) / 2
        across, down = columns - self.x(seconds) * size[0], rows - self.y(seconds) * size[1]
        u = (math.cos(angle) * across + math.sin(angle) * down) / (scale * narrow) + person.shape[1] / 2
        v = (math.cos(angle) * down - math.sin(angle) * across) / scale + person.shape[0] / 2
        if self.wave:
            # strongest at the hands' height on either side, nothing at the middle
            width, height = person.shape[1], person.shape[0]
            side = (u - width / 2) / width
            sway = side * np.exp(-((v / height - 0.4) / 0.12) ** 2)
            u = u - 2 * self.wave * width * math.sin(4 * math.pi * seconds) * np.abs(sway)
        return cv2.remap(person, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_CONSTANT, borderValue=0)


@dataclass(frozen=True, slots=True)
class Scene:
    """``backdrop``: still, pan (the camera moves over a still picture) or clip. ``noise``: sigma in levels.
    ``crf``: the pictures go through libx264 of this quality. ``exposure``: the gain jumps twice a second.
    ``after``: what the scene is cut to in the middle. ``seed``: which people and which background."""

    actors: tuple[Actor, ...]
    backdrop: str = "still"
    noise: float = 2.0
    crf: int | None = None
    exposure: bool = False
    after: Scene | None = None
    seed: int = 0


def _at(place: float) -> Callable[[float], float]:
    return lambda seconds: place


def _swing(reach: float, period: float, middle: float = 0.5) -> Callable[[float], float]:
    return lambda seconds: middle + reach * math.sin(2 * math.pi * seconds / period)


def _cross(start: float, speed: float) -> Callable[[float], float]:
    return lambda seconds: start + speed * seconds


_STILL, _WALK = Actor(_at(0.5)), Actor(_swing(0.2, 4), lean=2)
_NEAR = Actor(_swing(0.03, 3), _at(1.15), height=2.0, lean=3)
SCENES: dict[str, Scene] = {
    "still": Scene((_STILL,), seed=1),
    "near": Scene((_NEAR,), seed=2),
    "near, moving background": Scene((_NEAR,), "clip", seed=3),
    "walking": Scene((_WALK,), seed=4),
    "walking, moving background": Scene((_WALK,), "clip", seed=5),
    "walking, moving camera": Scene((_WALK,), "pan", seed=6),
    "running": Scene((Actor(_swing(0.38, 1.6), height=0.55, lean=6),), "pan", seed=7),
    "turning": Scene((Actor(_at(0.5), turn=0.5, lean=5),), seed=8),
    "waving": Scene((Actor(_at(0.5), height=1.1, wave=0.35),), seed=9),
    "in and out": Scene((Actor(_cross(-0.25, 0.85)),), seed=10),
    "two crossing": Scene((Actor(_cross(0.1, 0.4)), Actor(_cross(0.9, -0.4), height=0.7)), "clip", seed=11),
    "noise": Scene((_WALK,), noise=8.0, seed=12),
    "compression": Scene((_WALK,), noise=3.0, crf=36, seed=13),
    "exposure steps": Scene((_WALK,), exposure=True, seed=14),
    "far": Scene((Actor(_swing(0.35, 5), height=0.35, lean=3),), "clip", seed=21),
    "runner": Scene((Actor(_swing(0.38, 2.2), height=0.45, lean=6, wave=0.2),), "pan", seed=22),
    "dancer": Scene((Actor(_swing(0.2, 2.5), height=0.7, lean=8, turn=0.5, wave=0.3),), "clip", seed=23),
    "cut": Scene((_WALK,), seed=15, after=Scene((Actor(_swing(0.1, 4, 0.3), height=1.0),), seed=16)),
}


def render(scene: Scene, material: Material, size: Size, frames: int) -> Iterator[tuple[Array, Array]]:
    """(uint8 (h, w, 3) RGB, uint8 (h, w) alpha) of each frame."""
    if scene.crf is not None:
        pairs = list(render(replace(scene, crf=None), material, size, frames))
        yield from zip(_compressed([rgb for rgb, _ in pairs], scene.crf), [a for _, a in pairs], strict=True)
        return
    first = frames if scene.after is None else frames // 2
    yield from _shot(scene, material, size, first)
    if scene.after is not None:
        yield from render(scene.after, material, size, frames - first)


def _shot(scene: Scene, material: Material, size: Size, frames: int) -> Iterator[tuple[Array, Array]]:
    people = [material.person(scene.seed * 3 + number) for number in range(len(scene.actors))]
    random = np.random.default_rng(scene.seed)
    backdrop = _backdrop(scene, material, size)
    for index in range(frames):
        seconds = index / RATE
        picture: Array = next(backdrop).astype(np.float32)
        clear: Array = np.ones((size[1], size[0]), np.float32)
        for actor, person in zip(scene.actors, people, strict=True):
            layer = actor.shown(person, seconds, size)
            picture = layer[..., :3] + picture * (1 - layer[..., 3:])
            clear *= 1 - layer[..., 3]
        gain = (1.0, 1.3, 0.8)[index * 2 // RATE % 3] if scene.exposure else 1.0
        picture = picture * gain + random.normal(0, scene.noise, picture.shape)
        yield np.clip(np.rint(picture), 0, 255).astype(np.uint8), np.rint(255 * (1 - clear)).astype(np.uint8)


def _backdrop(scene: Scene, material: Material, size: Size) -> Iterator[Array]:
    if scene.backdrop == "clip":
        yield from material.clip(scene.seed, size)
    wall, index = material.wall(scene.seed, size), 0
    room = np.array([wall.shape[1] - size[0], wall.shape[0] - size[1]])
    while True:
        part = np.array([0.5, 0.5])
        if scene.backdrop == "pan":
            part += 0.5 * math.sin(0.06 * index), 0.3 * math.sin(0.1 * index)
        middle = room * part + (np.array(size) - 1) / 2
        yield cv2.getRectSubPix(wall, size, (float(middle[0]), float(middle[1])))
        index += 1


def _compressed(pictures: list[Array], crf: int) -> list[Array]:
    """What libx264 makes of the pictures."""
    held = io.BytesIO()
    _encode(held, pictures, "libx264", "yuv420p", {"crf": str(crf), "preset": "veryfast"})
    held.seek(0)
    with av.open(held, "r") as container:
        return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]


def _encode(target: Path | io.BytesIO, pictures: Iterable[Array], codec: str, format: str,
            options: dict[str, str]) -> None:
    place: Any = str(target) if isinstance(target, Path) else target
    with av.open(place, "w", format="matroska") as container:
        track: Any = None
        for index, picture in enumerate(pictures):
            shown = av.VideoFrame.from_ndarray(picture, "gray" if picture.ndim == 2 else "rgb24")
            shown.pts, shown.time_base = index, Fraction(1, RATE)
            if track is None:
                track = container.add_stream(codec, rate=RATE, options=options)
                track.width, track.height, track.pix_fmt = shown.width, shown.height, format
            container.mux(track.encode(shown.reformat(format=format)))
        container.mux(track.encode(None))


@dataclass(frozen=True, slots=True)
class Written:
    """A scene on disk. ``cut``: index of the first frame after a cut, None where there is none."""

    name: str
    video: Path
    matte: Path
    cut: int | None = field(default=None)


def write(name: str, folder: Path, material: Material, size: Size = (640, 360), frames: int = 50) -> Written:
    """Render the scene ``name`` (a key of SCENES) into ``folder``: yuv420p and grey, both FFV1."""
    scene = SCENES[name]
    stem = name.replace(", ", "_").replace(" ", "_")
    written = Written(name, folder / f"{stem}.mkv", folder / f"{stem}.matte.mkv",
                      None if scene.after is None else frames // 2)
    pairs = list(render(scene, material, size, frames))
    _encode(written.video, (rgb for rgb, _ in pairs), "ffv1", "yuv420p", {})
    _encode(written.matte, (alpha for _, alpha in pairs), "ffv1", "gray", {})
    return written


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the clips are written; made if it is not there")
    parser.add_argument("--data", type=Path, help="corpus folder with index.csv")
    parser.add_argument("--clips", type=Path, help="folder with background_*.mp4")
    parser.add_argument("--only", nargs="+", choices=list(SCENES), default=list(SCENES), metavar="NAME")
    parser.add_argument("--size", nargs=2, type=int, default=(640, 360), metavar=("W", "H"))
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="a tiny form: can every scene be made at all")
    arguments = parser.parse_args(words)
    if arguments.quick:
        arguments.size, arguments.frames = (160, 90), 4
    arguments.folder.mkdir(parents=True, exist_ok=True)
    material = Material(arguments.data, arguments.clips)
    for name in arguments.only:
        print(write(name, arguments.folder, material, tuple(arguments.size), arguments.frames).video)


if __name__ == "__main__":
    main()
