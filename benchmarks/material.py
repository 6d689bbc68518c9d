"""People and backgrounds that made scenes consist of: from a corpus and a folder of clips, or drawn."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streamseg.core.opencv import cv2

Array = npt.NDArray[Any]
Size = tuple[int, int]


class Material:
    """People and backgrounds: from a corpus and a folder of clips, drawn where one is not given."""

    def __init__(self, data: Path | None = None, clips: Path | None = None) -> None:
        rows: list[dict[str, str]] = []
        if data is not None:
            with (data / "index.csv").open(newline="") as lines:
                rows = list(csv.DictReader(lines))
        folder = data or Path()
        self._people = [(folder / row["image"], folder / row["matte"]) for row in rows
                        if row["source"] == "cutout"]
        self._walls = [folder / row["image"] for row in rows if row["source"] == "background"]
        self._clips = sorted(clips.glob("background_*.mp4")) if clips is not None else []

    @property
    def sources(self) -> dict[str, str]:
        """What people, walls and clips come from, for the result's record."""
        return {name: "given" if found else "drawn" for name, found in
                (("people", self._people), ("walls", self._walls), ("clips", self._clips))}

    def person(self, number: int) -> Array:
        """float32 (h, w, 4): colours 0..255 times alpha, and alpha 0..1."""
        if not self._people:
            return _drawn_person(number)
        # Steps of 37 reach different people: neighbours in the list are often the same one.
        picture, matte = self._people[number * 37 % len(self._people)]
        alpha = _read(matte, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        colours = _read(picture, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32)
        if alpha.shape != colours.shape[:2]:
            raise ValueError(f"{matte} is {alpha.shape}, its picture {colours.shape[:2]}: rebuild the corpus")
        return np.dstack([colours * alpha[..., None], alpha])

    def wall(self, number: int, size: Size) -> Array:
        """uint8 (h, w, 3) RGB, a fifth larger than ``size`` (width, height), so that a camera may pan."""
        larger = (round(size[0] * 1.2), round(size[1] * 1.2))
        if not self._walls:
            return _drawn_wall(number, larger)
        found = _read(self._walls[number * 53 % len(self._walls)], cv2.IMREAD_COLOR)
        return _cover(found[..., ::-1], larger)

    def clip(self, number: int, size: Size) -> Iterator[Array]:
        """uint8 (h, w, 3) RGB of ``size``, without end: played forth and back."""
        if not self._clips:
            yield from _drawn_clip(number, size)
        with av.open(str(self._clips[number % len(self._clips)])) as container:
            shown = [_cover(picture.to_ndarray(format="rgb24"), size)
                     for picture in container.decode(video=0)]
        while True:
            yield from shown
            yield from reversed(shown)


def _read(path: Path, how: int) -> Array:
    picture = cv2.imread(str(path), how)
    if picture is None:
        raise FileNotFoundError(f"{path} is no picture that can be read")
    return picture


def _cover(picture: Array, size: Size) -> Array:
    """The middle of a picture, scaled to fill ``size``."""
    scale = max(size[0] / picture.shape[1], size[1] / picture.shape[0])
    wanted = (max(size[0], round(picture.shape[1] * scale)), max(size[1], round(picture.shape[0] * scale)))
    scaled = cv2.resize(picture, wanted, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = (wanted[0] - size[0]) // 2, (wanted[1] - size[1]) // 2
    return np.ascontiguousarray(scaled[top:top + size[1], left:left + size[0]])


def _drawn_person(number: int) -> Array:
    """A figure with head, patterned shirt, arms and legs, 252 pixels high."""
    random = np.random.default_rng(100 + number)
    height, width = 252, 112
    alpha = np.zeros((height, width), np.uint8)
    colours = np.zeros((height, width, 3), np.uint8)
    cloth: Any = cv2.GaussianBlur(random.integers(0, 255, (height, width, 3), np.uint8), (0, 0), 4)
    cloth = cv2.normalize(cloth, np.empty_like(cloth), 0, 255, cv2.NORM_MINMAX)
    skin = np.array([224, 172, 138]) * random.uniform(0.45, 1)
    parts: list[tuple[tuple[int, int], tuple[int, int], float, Any]] = [
        ((42, 200), (14, 52), 4, random.uniform(20, 90, 3)),
        ((70, 200), (14, 52), -4, random.uniform(20, 90, 3)),
        ((24, 112), (9, 44), 12, skin), ((88, 112), (9, 44), -12, skin),
        ((56, 108), (32, 52), 0, None), ((56, 34), (19, 27), 0, skin)]
    for centre, axes, angle, colour in parts:
        mask = np.zeros((height, width), np.uint8)
        cv2.ellipse(mask, centre, axes, angle, 0, 360, 255, -1)
        colours[mask > 0] = cloth[mask > 0] if colour is None else colour
        alpha |= mask
    soft = cv2.GaussianBlur(alpha, (0, 0), 0.8).astype(np.float32) / 255
    # Colours reach beyond the hard edge, or the soft rim would be black.
    spread = np.where(alpha[..., None] > 0, colours, cv2.dilate(colours, np.ones((5, 5), np.uint8)))
    return np.dstack([spread.astype(np.float32) * soft[..., None], soft])


def _drawn_wall(number: int, size: Size) -> Array:
    random = np.random.default_rng(200 + number)
    wall: Any = random.normal(0, 1, (size[1] // 4, size[0] // 4, 3)).astype(np.float32)
    wall = cv2.resize(cv2.GaussianBlur(wall, (0, 0), 2) * 90 + random.uniform(70, 180, 3), size)
    for _ in range(6):
        x, y = int(random.integers(size[0])), int(random.integers(size[1]))
        corner = (x + int(random.integers(20, size[0] // 3)), y + int(random.integers(20, size[1] // 2)))
        cv2.rectangle(wall, (x, y), corner, random.uniform(20, 235, 3).tolist(), -1)
    return np.clip(wall, 0, 255).astype(np.uint8)


def _drawn_clip(number: int, size: Size) -> Iterator[Array]:
    """A wall that drifts, and a disc that bounces before it."""
    wall, index = _drawn_wall(50 + number, (size[0] * 2, size[1])), 0
    while True:
        left = round((1 - math.cos(index * 0.05)) / 2 * size[0])
        picture = wall[:, left:left + size[0]].copy()
        place = (round(size[0] * (0.5 + 0.4 * math.sin(index * 0.11))), round(size[1] * 0.7))
        cv2.circle(picture, place, size[1] // 8, (210, 120, 40), -1)
        yield picture
        index += 1
