"""``streamseg demo``: a clip made of a photo, and every kind of output made from it in one pass.

The photo is one that a dependency ships: nothing is downloaded, and the user needs no file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
import numpy.typing as npt

from ..api import run
from ..core.folders import made_folder
from ..core.frames import Frame, VideoInfo
from ..core.opencv import cv2
from ..errors import MissingDependencyError, OptionError, SourceError
from ..options import Options
from ..report import Progress, Report
from ..sink.commit import appearing, checked_target, writing
from ..source import open_source
from .compare import write_picture

Picture = npt.NDArray[Any]  # uint8 (h, w, 3) RGB

SIZE, RATE, SECONDS = (1280, 720), 30, 4
TONE_HZ, SAMPLE_RATE = 440, 48000
LOOK_HEIGHT = 360


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture of a person, and the part that the clip begins with (centre and
    height in pixels; what lies outside the picture is its mirror image)."""

    rgb: Picture
    centre: tuple[float, float]
    height: float


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made. ``clip``: what it made it from, an address as text; ``look``: original, matte and
    result side by side."""

    clip: Path | str
    result: Path
    matte: Path
    cutout: Path
    look: Path
    report: Report

    @property
    def files(self) -> dict[str, Path | str]:
        """What each file is, and where."""
        return {"input": self.clip, "new background": self.result, "matte": self.matte,
                "transparent": self.cutout, "to look at": self.look}


def demo(folder: str | Path, clip: str | Path | None = None, *, overwrite: bool = False,
         progress: Callable[[Progress], None] | None = None, **options: Any) -> Demo:
    """Make the demo in ``folder`` from ``clip``, or from a clip of a photo that a dependency ships.

    Composite, matte and alpha file come from one inference. ``options`` are fields of Options; without
    ``background`` a picture is painted for it. Raises OptionError for ``matte`` and ``cutout``, which have
    their names, and for a clip that cannot be read again, MissingDependencyError where no package with a
    photo is installed, SinkError where an output exists and ``overwrite`` is not set. Then nothing is left.
    """
    chosen = Options.of(options)
    for name in ("matte", "cutout"):
        if getattr(chosen, name) is not None:
            raise OptionError(f"{name} is {getattr(chosen, name)!r}, but the demo writes a {name} of its own "
                              f"into its folder: leave {name} out, or use run")
    with made_folder(folder) as place, ExitStack() as written:
        own = clip is None
        source = place / "demo-input.mp4" if clip is None else _as_given(clip)
        still = not own and _info(source, chosen).stills
        stem = "demo" if own else _stem(source)
        extensions = (".jpg", ".png", ".png") if still else (".mp4", ".mkv", ".webm")
        result, matte, cutout = (place / f"{stem}-{kind}{extension}" for kind, extension in
                                 zip(("result", "matte", "cutout"), extensions, strict=True))
        look, backdrop = place / f"{stem}-look.png", place / f"{stem}-background.png"
        drawn = {"clip": Path(source)} if own else {}
        drawn |= {"background": backdrop} if chosen.background is None else {}
        for path in (*drawn.values(), result, matte, cutout, look):
            checked_target(str(path), overwrite)  # before the work, not after it
        report = _run(source, result, drawn, progress=progress, overwrite=overwrite,
                      **{**options, "matte": str(matte), "cutout": str(cutout)})
        for path in (*drawn.values(), result, matte, cutout):
            written.callback(path.unlink, missing_ok=True)  # should there be nothing to look at
        shown = _moment(source, chosen, [matte, result], report.frames // 2)
        write_picture(side_by_side(shown), look, overwrite=overwrite)
        written.pop_all()
    return Demo(source, result, matte, cutout, look, report)


def _as_given(clip: str | Path) -> Path | str:
    """A path, or an address as text: Path would make one slash of its two."""
    text = os.fspath(clip)
    if text == "-":
        raise OptionError("the demo reads its clip several times, which '-' does not allow: give a file")
    return text if "://" in text else Path(text)


def _stem(source: Path | str) -> str:
    return Path(urlsplit(source).path).stem or "demo" if isinstance(source, str) else source.stem


def _run(source: Path | str, result: Path, drawn: Mapping[str, Path], *, overwrite: bool,
         **options: Any) -> Report:
    """A run for which the files ``drawn`` are drawn first. They appear when it is done: should it fail,
    nothing is left of them, and what they were to replace stays."""
    with ExitStack() as stack:
        held = {what: stack.enter_context(appearing(path, overwrite)) for what, path in drawn.items()}
        if "clip" in held:
            with writing(drawn["clip"], drawn["clip"].parent):
                _fill(held["clip"], film(photo(), SIZE, RATE * SECONDS), RATE)
        if "background" in held:
            with writing(drawn["background"], drawn["background"].parent):
                held["background"].write_bytes(cv2.imencode(".png", painted(SIZE)[:, :, ::-1])[1].tobytes())
            options["background"] = str(held["background"])
        report = run(held.get("clip", source), result, overwrite=overwrite, **options)
    return replace(report, input=str(source))


def photo() -> Photo:
    """Rear Admiral Grace Hopper (US Navy, public domain) from matplotlib's sample data, or the astronaut
    Eileen Collins (NASA, public domain) from scikit-image's."""
    try:
        from matplotlib.cbook import get_sample_data
        data = np.fromfile(str(get_sample_data("grace_hopper.jpg", asfileobj=False)), np.uint8)
        bgr: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return Photo(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), (268, 187), 350)
    except (ImportError, OSError):
        pass
    try:
        from skimage.data import astronaut
        return Photo(astronaut(), (235, 150), 288)
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            "the demo's photo comes with matplotlib, which is not installed: pip install 'streamseg[demo]', "
            "or give a clip of your own: streamseg demo CLIP") from error


def write_clip(path: Path, picture: Photo, *, overwrite: bool = False) -> None:
    """Film ``picture`` with a gently moving camera: 4 s, 1280 x 720, 30 fps, H.264, a 440 Hz tone in AAC."""
    write_film(path, film(picture, SIZE, RATE * SECONDS), overwrite=overwrite)


def write_film(path: Path, pictures: Iterator[Picture], *, rate: int = RATE, overwrite: bool = False) -> None:
    """Write pictures of one size (even sides) as H.264, with a tone of their length in AAC beside them."""
    with appearing(path, overwrite) as made:
        _fill(made, pictures, rate)


def _fill(made: Path, pictures: Iterator[Picture], rate: int) -> None:
    with av.open(str(made), "w") as out:
        video = out.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "18"})
        tone = out.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index, shown in enumerate(pictures):
            if not index:
                video.height, video.width, video.pix_fmt = *shown.shape[:2], "yuv420p"
            frame = av.VideoFrame.from_ndarray(shown, "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            out.mux(video.encode(frame))
            out.mux(tone.encode(_tone(index, SAMPLE_RATE // rate)))
        out.mux(video.encode(None))
        out.mux(tone.encode(None))


def camera(picture: Photo, size: tuple[int, int], index: int) -> Picture:
    """float64 (2, 3): what takes x, y, 1 of the photo to x and y of the film's frame ``index``."""
    width, height = size
    turn = 2 * math.pi * index / (RATE * SECONDS)
    zoom = height / picture.height * (1.04 - 0.04 * math.cos(turn))
    x = picture.centre[0] + 9 * math.sin(turn)
    y = picture.centre[1] + 4 * math.sin(2 * turn)
    return np.array([[zoom, 0, width / 2 - zoom * x], [0, zoom, height / 2 - zoom * y]])


def film(picture: Photo, size: tuple[int, int], frames: int) -> Iterator[Picture]:
    """uint8 (h, w, 3) RGB pictures of ``size`` (width, height): the camera comes nearer and sways a little,
    once in four seconds."""
    for index in range(frames):
        move = camera(picture, size, index)
        yield cv2.warpAffine(picture.rgb, move, size, flags=cv2.INTER_CUBIC,
                             borderMode=cv2.BORDER_REFLECT_101)


def _tone(index: int, step: int) -> av.AudioFrame:
    """The sound of frame ``index``, ``step`` samples."""
    at = np.arange(index * step, (index + 1) * step)
    wave = (0.2 * np.sin(2 * np.pi * TONE_HZ * at / SAMPLE_RATE)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = SAMPLE_RATE, Fraction(1, SAMPLE_RATE), index * step
    return frame


def painted(size: tuple[int, int]) -> Picture:
    """A background, uint8 (h, w, 3) RGB: an evening sky with lights out of focus."""
    width, height = size
    down = np.linspace(0, 1, height)[:, None, None]
    sky = (1 - down) * np.array([38, 46, 110]) + down * np.array([250, 150, 96])
    picture = np.repeat(sky, width, axis=1).astype(np.float32)
    rng = np.random.default_rng(7)
    for _ in range(40):
        glow = np.zeros((height, width, 3), np.float32)
        centre = (int(rng.integers(width)), int(height * rng.uniform(0.55, 1)))
        light = (255, int(rng.integers(140, 230)), int(rng.integers(60, 160)))
        cv2.circle(glow, centre, int(rng.integers(height // 40, height // 12)), light, -1, cv2.LINE_AA)
        picture += 0.22 * glow
    return cv2.GaussianBlur(np.clip(picture, 0, 255).astype(np.uint8), (0, 0), height / 240)


def _info(clip: Path | str, options: Options) -> VideoInfo:
    opened = open_source(clip, options)
    try:
        if opened.info.live:
            raise OptionError(f"the demo reads its clip several times, and {clip} is live: give a file")
        return opened.info
    finally:
        opened.close()


def _moment(source: Path | str, options: Options, outputs: list[Path], middle: int) -> list[Picture]:
    """Frame ``middle`` of what ``options`` take of ``source``, and what each output shows at its time, in
    RGB, ``LOOK_HEIGHT`` rows high. By time, as at a constant rate the outputs count other frames."""
    shown, after = _nearest(source, options, lambda frame, after: abs(frame.index - middle))
    return [shown, *(_nearest(path, None, lambda frame, time: abs(time - after))[0] for path in outputs)]


def _nearest(path: Path | str, options: Options | None,
             distance: Callable[[Frame, Fraction], Fraction | int]) -> tuple[Picture, Fraction]:
    """The picture for which ``distance`` of frame and seconds since the first is least, and these seconds."""
    opened = open_source(path, options)
    best: tuple[Fraction | int, Frame, Fraction] | None = None
    first = None
    try:
        for frame in opened:
            first = frame.time if first is None else first
            after = (frame.time or Fraction(0)) - (first or Fraction(0))
            here = distance(frame, after)
            if best is not None and here >= best[0]:
                break
            best = here, frame, after
    finally:
        opened.close()
    if best is None:
        raise SourceError(f"{path} holds no picture to look at")
    frame = best[1]
    return frame.rgb((round(frame.width * LOOK_HEIGHT / frame.height), LOOK_HEIGHT)), best[2]


def side_by_side(pictures: list[Picture], gap: int = 6) -> Picture:
    """Pictures of one height in a row on white."""
    white = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, white)]
    return np.hstack(parts[:-1])
