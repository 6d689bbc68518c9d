"""A part of the picture in which the subject may be: named in pixels or per cent, cut out of frames, put back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from ..validation import area_lengths
from .frames import Frame, Matte
from .geometry import Box
from .opencv import cv2

Alpha = npt.NDArray[np.float32]

# A matte of the whole picture has at most so many times the samples a side that the area's matte has: a small area
# of a large picture would need more memory than the picture.
_FINEST = 3
# Samples of the matte by which alpha falls to 0 within the area's sides: enlarging spreads a sample that far.
_RAMP = 2


@dataclass(frozen=True, slots=True)
class Area:
    """``text``: x,y,w,h, each in pixels or per cent of the picture's width or height. Raises OptionError."""

    text: str

    def __post_init__(self) -> None:
        area_lengths(self.text)

    def box(self, width: int, height: int) -> Box:
        """The area in pixels of a picture, widened to even ones, where chroma samples lie. Raises OptionError where it
        does not lie in the picture."""
        wholes = (width, height, width, height)
        left, top, wide, high = (round(value * whole / 100) if relative else round(value)
                                 for (value, relative), whole in zip(area_lengths(self.text), wholes, strict=True))
        if left + wide > width or top + high > height or not wide or not high:
            raise OptionError(f"roi is {self.text!r}, in pixels {left},{top},{wide},{high}: it must lie within the "
                              f"picture, which has {width} x {height} pixels")
        bottom, right = min(height, 2 * -(-(top + high) // 2)), min(width, 2 * -(-(left + wide) // 2))
        top, left = top - top % 2, left - left % 2
        return Box(top, left, bottom - top, right - left)

    def cut(self, frame: Frame) -> Frame:
        """The frame's picture within the area; views, no copy."""
        return cut(frame, self.box(frame.width, frame.height))

    def covered(self, matte: Matte, frame: Frame) -> Matte:
        """A matte of ``cut(frame)`` that says of which part of ``frame`` it is."""
        return replace(matte, area=self.box(frame.width, frame.height))

    def placed(self, matte: Matte, frame: Frame) -> Matte:
        """A matte of ``cut(frame)`` as one of the whole frame."""
        return whole(self.covered(matte, frame), frame)

    def clear_outside(self, alpha: npt.NDArray[Any], value: int) -> npt.NDArray[Any]:
        """A plane of alpha (h, w) with ``value`` outside the area."""
        box = self.box(alpha.shape[1], alpha.shape[0])
        made = np.full_like(alpha, value)
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        made[rows, columns] = alpha[rows, columns]
        return made


def cut(frame: Frame, box: Box) -> Frame:
    """The frame's picture in ``box``, which begins at whole chroma samples; views, no copy."""
    colour = frame.colour
    if colour.weights(box.height) != colour.weights(frame.height):
        colour = replace(colour, matrix=1)  # untagged: what the whole picture's height says
    alpha = None
    if frame.alpha is not None:
        alpha = frame.alpha[box.top:box.top + box.height, box.left:box.left + box.width]
    return replace(frame, planes=frame.part(box), alpha=alpha, colour=colour, owner=None, motion=None)


def whole(matte: Matte, frame: Frame) -> Matte:
    """A matte of ``matte.area`` as one of the whole frame: exactly 0 outside the area, at any size."""
    box = matte.area
    if box is None:
        return matte
    rows, columns = matte.alpha.shape
    shape = (min(frame.height, round(rows * min(_FINEST, frame.height / box.height))),
             min(frame.width, round(columns * min(_FINEST, frame.width / box.width))))
    made = []
    for item in (matte.alpha, *(() if matte.raw is None else (matte.raw,))):
        alpha = placed(item, box, (frame.width, frame.height), shape)
        _clear(alpha, box.top, box.top + box.height, frame.height)
        _clear(alpha.T, box.left, box.left + box.width, frame.width)
        made.append(alpha)
    return replace(matte, alpha=made[0], area=None, raw=made[-1] if matte.raw is not None else None)


def placed(alpha: Alpha, box: Box, picture: tuple[int, int], shape: tuple[int, int]) -> Alpha:
    """The matte of a ``box`` of a picture, ``picture`` (width, height) pixels, on an empty matte of all of it, of
    ``shape``."""
    rows, columns = shape[0] / picture[1], shape[1] / picture[0]
    width, height = box.width * columns, box.height * rows
    # Areas first, so that nothing aliases; then to where exactly it belongs, half-pixel centres.
    size = min(alpha.shape[1], max(1, round(width))), min(alpha.shape[0], max(1, round(height)))
    small: Any = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    across, down = width / size[0], height / size[1]
    place = np.array([[across, 0, box.left * columns + across / 2 - 0.5],
                      [0, down, box.top * rows + down / 2 - 0.5]])
    moved: Any = cv2.warpAffine(small, place, (shape[1], shape[0]), flags=cv2.INTER_LINEAR,
                                borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.clip(moved, 0, 1, out=moved)  # interpolation rounds: 1 + 1e-7


def _clear(alpha: Alpha, first: int, end: int, length: int) -> None:
    """Set the rows of ``alpha`` to 0, in place, that are seen outside pixels ``first`` to ``end`` of ``length``. At the
    picture's own sides there is no outside."""
    step = length / alpha.shape[0]
    centres = (np.arange(alpha.shape[0]) + 0.5) * step
    if first > 0:
        alpha[centres < first + _RAMP * step] = 0
    if end < length:
        alpha[centres > end - _RAMP * step] = 0
