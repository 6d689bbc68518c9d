"""Clean plate: the difference from a picture of the background alone, with shadows told apart."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.frames import Frame
from ...core.opencv import cv2
from ...errors import OptionError, SegmentError
from ...options import InputOptions
from ..api import Capabilities, param
from .base import BLUR_HELP, SIZE_HELP, Alpha, Classical, Picture, blurred, rgb_picture, without_specks
from .polarity import ring

# A median of 25 is the background wherever the subject is in less than half of the pictures.
SAMPLES = 25
# Up to so many frames a clip is read through; beyond, 25 seeks are cheaper.
READ_THROUGH = 600


@dataclass(kw_only=True)
class Plate(Classical):
    """The brightness and the colour of each pixel against those of the empty scene.

    A pixel I over the plate's B is split into a brightness a = I.B / B.B and what is left over, I - aB.
    It is subject when what is left over, or what it is brighter than the plate, exceeds ``tolerance``;
    darker alone is a shadow down to a = ``shadow``. Exposure that drifts is followed: one gain a channel,
    measured on the border and then on all that looks like the plate.

    The plate is ``plate``, or the median of pictures from the whole ``clip`` (the run fills that in).
    Raises OptionError without either, SegmentError if no plate can be made or its shape does not fit.
    """

    plate: str = param("", "A picture of the scene without the subject, from the same camera position. "
                       "Empty: the median of the clip.")
    clip: str | os.PathLike[str] | Sequence[Any] | None = param(
        None, "File that the median is taken of. Default: the input.")
    stream: int | None = param(None, "Which video stream of the clip, counted from 0. Default: the best.",
                               low=0)
    deinterlace: bool = param(False, "Deinterlace the clip (bwdif).")
    on_error: str = param("stop", "At a damaged part of the clip: stop, or skip it.", choices=("stop", "skip"))
    tolerance: float = param(12.0, "Up to this difference a pixel is background, in levels of 255.", low=0, high=255)
    softness: float = param(12.0, "Width of the ramp from background to subject, in levels of 255.", low=0, high=255)
    shadow: float = param(0.6, "Darkest shadow, as a share of the plate's brightness; 1: no shadows.",
                          low=0.0, high=1.0)
    exposure: bool = param(True, "Follow changes of exposure and white balance.")
    blur: int = param(3, BLUR_HELP, low=1, high=99, odd=True)
    size: int = param(320, SIZE_HELP, low=16, high=4096)
    _plate: Picture | None = field(default=None, init=False, repr=False)

    summary: ClassVar[str] = "Difference from a picture of the background alone, or from the clip's median."
    source: ClassVar[str] = ("Horprasert, Harwood and Davis 1999, 'A statistical approach for real-time "
                             "robust background subtraction and shadow detection' (own code).")
    good_for: ClassVar[str] = "A still camera, and a picture of the empty scene or a subject that moves about."
    bad_for: ClassVar[str] = ("Moving cameras; without a plate, a subject that stays in one place; grey parts "
                              "in front of a lighter grey, which look like shadows.")

    @property
    def capabilities(self) -> Capabilities:
        """Without a picture of the background the median is taken of the whole clip."""
        return Capabilities(takes_clip=not self.plate)

    def __post_init__(self) -> None:
        if self.plate:
            self._plate = _read_plate(self.plate, self.size)
        elif self.clip is not None:
            self._plate = clip_median(self.clip, self.size, InputOptions(
                audio=False, stream=self.stream, deinterlace=self.deinterlace, on_error=self.on_error))
        else:
            raise OptionError("method plate has no background: give plate=FILE, a picture of the scene "
                              "without the subject, or clip=FILE to take the median of")

    def _alpha(self, frame: Frame) -> Alpha:
        picture = rgb_picture(frame, self.size, self.blur).astype(np.float32)
        plate = self._fitted(picture.shape[0], picture.shape[1])
        if self.exposure:
            plate = plate * exposure_gain(picture, plate, self.tolerance)
        excess = self._difference(picture, plate) - self.tolerance
        alpha = np.clip(excess / max(self.softness, 1e-3), 0, 1).astype(np.float32)
        hard = np.where(alpha > 0.5, np.uint8(255), np.uint8(0))
        clean = without_specks(hard)
        return np.where(clean == hard, alpha, clean.astype(np.float32) / 255)

    def _fitted(self, height: int, width: int) -> npt.NDArray[np.float32]:
        """The plate as float32 (h, w, 3), blurred, at the working picture's size."""
        if self._plate is None:
            raise SegmentError("method plate was closed: make a new one")
        rows, columns = self._plate.shape[:2]
        if abs(columns / rows - width / height) > 0.02 * width / height:
            raise SegmentError(f"the plate's shape (width : height {columns / rows:.3f}) is not the clip's "
                               f"({width / height:.3f}): take the plate with the same camera and settings")
        plate = self._plate if (rows, columns) == (height, width) else cv2.resize(
            self._plate, (width, height), interpolation=cv2.INTER_AREA)
        return blurred(plate, self.blur).astype(np.float32)

    def _difference(self, picture: npt.NDArray[np.float32], plate: npt.NDArray[np.float32]) -> Alpha:
        """float32 (h, w): levels by which a pixel differs more than a shadow would."""
        # 300 (ten levels a channel): without it the brightness ratio of black pixels is noise.
        power = np.square(plate).sum(axis=2) + 300
        bright = ((picture * plate).sum(axis=2) + 300) / power
        rest = np.sqrt(np.square(picture - bright[..., None] * plate).sum(axis=2))
        beyond = np.where(bright > 1, bright - 1, np.maximum(min(self.shadow, 1.0) - bright, 0))
        return np.maximum(rest, beyond * np.sqrt(power)).astype(np.float32)

    def close(self) -> None:
        """Let go of the plate (which ``reset`` keeps: it was given, not learnt from the frames before)."""
        self._plate = None


def exposure_gain(picture: npt.NDArray[np.float32], plate: npt.NDArray[np.float32],
                  tolerance: float) -> npt.NDArray[np.float32]:
    """float32 (3,): the factor a channel that brings the plate to the picture's exposure.

    The median on the border withstands a subject on less than half of it; the refinement on all pixels
    that then agree makes it exact. Dark (<= 16) and clipped (>= 250) samples say nothing about a factor.
    """
    telling = (plate.min(axis=2) > 16) & (picture.max(axis=2) < 250)
    edge = telling & ring((picture.shape[0], picture.shape[1]))
    if edge.sum() < 16:
        return np.ones(3, np.float32)
    gain = np.median(picture[edge] / plate[edge], axis=0)
    agree = telling & (np.abs(picture - plate * gain).max(axis=2) <= tolerance)
    if agree.sum() >= 16:
        gain = (picture[agree] * plate[agree]).sum(axis=0) / np.square(plate[agree]).sum(axis=0)
    return gain.astype(np.float32)


def _read_plate(path: str, size: int) -> Picture:
    """The first frame of a picture or video file at the working size."""
    for frame in _frames(path, InputOptions()):
        return rgb_picture(frame, size, 1)
    raise SegmentError(f"plate {path!r} holds no picture")


def clip_median(clip: Any, size: int, reading: InputOptions) -> Picture:
    """uint8 (h, w, 3): the median of about 25 pictures spread over the clip, at the working size.

    reading   how the clip is opened: all of it

    The clip is opened again for this, so it must be a file (or a sequence of arrays). Raises SegmentError
    for what cannot be read twice: pipes, cameras, network streams, iterators, and for stills.
    """
    from ...source import open_source
    remedy = "give plate=FILE, a picture of the scene without the subject"
    if not isinstance(clip, (os.PathLike, list, tuple, str)) or clip == "-" or "://" in str(clip)[:32]:
        raise SegmentError(f"the median of {_short(clip)} cannot be taken, it cannot be read twice: {remedy}")
    source = open_source(clip, reading)
    info = source.info
    source.close()
    if info.stills or info.live:
        what = "a live source" if info.live else "a single picture" if info.frames == 1 else "a set of single pictures"
        raise SegmentError(f"{_short(clip)} is {what}, which has no median over time: {remedy}")
    many = info.frames or (info.duration or 0) * float(info.rate or 25)
    long = many > READ_THROUGH and info.duration
    pictures = (_sought(clip, size, info.duration, reading) if long and info.duration
                else _read_through(clip, size, reading))
    if not pictures:
        raise SegmentError(f"{_short(clip)} holds no picture to take the median of: {remedy}")
    alike = [picture for picture in pictures if picture.shape == pictures[0].shape]
    return np.median(np.stack(alike), axis=0).astype(np.uint8)


def _sought(clip: Any, size: int, duration: float, reading: InputOptions) -> list[Picture]:
    pictures = []
    for number in range(SAMPLES):
        start = duration * (number + 0.5) / SAMPLES
        for frame in _frames(clip, replace(reading, start=start)):
            pictures.append(rgb_picture(frame, size, 1))
            break
    return pictures


def _read_through(clip: Any, size: int, reading: InputOptions) -> list[Picture]:
    """Between 25 and 50 evenly spaced pictures of a clip of any length, in one pass."""
    kept: list[Picture] = []
    step = 1
    for number, frame in enumerate(_frames(clip, reading)):
        if number % step == 0:
            kept.append(rgb_picture(frame, size, 1))
        if len(kept) == 2 * SAMPLES:
            kept, step = kept[::2], step * 2
    return kept


def _frames(spec: Any, options: InputOptions) -> Iterator[Frame]:
    from ...source import open_source
    source = open_source(spec, options)
    try:
        yield from source
    finally:
        source.close()


def _short(clip: Any) -> str:
    return repr(clip) if isinstance(clip, (str, os.PathLike)) else f"a {type(clip).__name__}"
