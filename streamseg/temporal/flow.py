"""Motion between two pictures, and how far it is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np

from ..core.opencv import cv2
from .cuts import Array

_LEVELS = np.arange(256, dtype=np.float32)
_NO_MAP: Any = None  # remap: x and y are both in the first map (the stubs do not know None)
_NOISE = 8  # levels: a difference that is larger nearly everywhere is no noise but another picture
# Pixels: with a long side up to _SMALL, or a short one below _NARROW, flow is sought down to half the
# resolution, not a quarter. Where its patches of 8 do not fit, DIS reads beyond the picture.
_SMALL, _NARROW = 200, 32


def sameness(luma: Array, other: Array) -> Array:
    """float32 (h, w): 1 where two pictures show the same, 0 where they differ by more than noise.

    Noise and exposure change most pixels alike, so the scale is the difference's own median.
    """
    difference = cv2.blur(cv2.absdiff(luma, other), (3, 3))
    sample = difference[::4, ::4].ravel()
    usual = min(int(np.partition(sample, sample.size // 2)[sample.size // 2]), _NOISE)
    return cv2.LUT(difference, _alike(usual))


@cache
def _alike(usual: int) -> Array:
    """float32 (256,): how much the same a difference of so many levels is, where ``usual`` is noise."""
    low, high = 3 + 2 * usual, 12 + 4 * usual
    return np.clip((high - _LEVELS) / np.float32(high - low), 0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class FlowField:
    """Where each pixel is in another picture: ``place`` float32 (h, w, 2) as x, y there; ``trust`` float32
    (h, w), 1 where that is to be believed, 0 where it is covered there or the flow failed."""

    place: Array
    trust: Array

    def carry(self, alpha: Array) -> Array:
        """The other picture's matte, moved to this picture."""
        return cv2.remap(alpha, self.place, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


class OpticalFlow:
    """Optical flow (DIS; Kroeger et al. 2016) between two pictures, checked by the pictures themselves: what
    a pixel is said to have been must look as it does now.

    Flow forth is taken to be flow back, reversed: with a second flow, or a check that forth and back lead
    home, the mattes came out no better (dtSSD .801 against .800 of the raw) at twice the time. The preset
    MEDIUM at full working size, 20 times as dear, brings made scenes from .879 to .851, real clips nothing.
    """

    def __init__(self) -> None:
        # Any: the stubs do not know that no flow to begin with is None
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        # two thirds of the preset's time; dtSSD .787 of the raw mattes' instead of .780
        self._flow.setPatchStride(5)
        self._flow.setGradientDescentIterations(8)

    def displacement(self, old: Array, new: Array) -> Array:
        """float32 (h, w, 2): what leads from each pixel of ``new`` to where it was in ``old``, as x, y in pixels;
        of uint8 (h, w) pictures of one size, at least 16 x 16."""
        self._flow.setFinestScale(1 if max(new.shape) <= _SMALL or min(new.shape) < _NARROW else 2)
        found: Array = self._flow.calc(new, old, None)
        return found

    def between(self, old: Array, new: Array, *, both: bool = True) -> tuple[FlowField, FlowField | None]:
        """(new to old, and if ``both`` old to new) of uint8 (h, w) pictures of a size, at least 16 x 16."""
        back = self.displacement(old, new)
        return moved_by(back, old, new), moved_by(-back, new, old) if both else None


def moved_by(displacement: Array, other: Array, here: Array) -> FlowField:
    """The field of a ``displacement`` (h, w, 2) from the picture ``here`` to the picture ``other``."""
    place = cv2.add(_grid(here.shape), displacement)
    seen = cv2.remap(other, place, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return FlowField(place, sameness(seen, here))


def through(earlier: Array, later: Array) -> Array:
    """Two displacements (h, w, 2), each of its picture from the one before, as one over both."""
    place = cv2.add(_grid(later.shape[:2]), later)
    joined: Array = cv2.remap(earlier, place, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.add(joined, later, dst=joined)


def moved(alpha: Array, displacement: Array) -> Array:
    """A matte, moved to where a displacement (h, w, 2) says that its pixels are now. The displacement is of a
    picture of another size: brought to the matte's first."""
    rows, columns = displacement.shape[:2]
    size = alpha.shape[1], alpha.shape[0]
    place: Array = cv2.resize(displacement, size)
    across, down = size[0] / columns, size[1] / rows
    if across == down:
        cv2.scaleAdd(place, across, _grid(alpha.shape), dst=place)
    else:
        place *= np.array([across, down], np.float32)
        cv2.add(place, _grid(alpha.shape), dst=place)
    return cv2.remap(alpha, place, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=8)
def _grid(shape: tuple[int, ...]) -> Array:
    columns, rows = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    grid = np.dstack([columns, rows])
    grid.setflags(write=False)
    return grid
