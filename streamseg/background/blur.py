"""The frame's own background, blurred, without the subject bleeding into it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..core.frames import Frame
from ..core.opencv import cv2
from ..core.resampling import shrink
from ..refine import AlphaTiles, fill
from ..temporal import Repeats
from .planes import Array, blend, enlarge, whole_numbers

# Standard deviation at strength 1, as a share of the frame's shorter side: 54 pixels at 1080p.
_STRONGEST = 0.05
# At this deviation a Gaussian on a reduced picture, enlarged again, cannot be told from one at full size.
_LEAST_SIGMA = 1.25
_LARGEST_FACTOR = 16
# Long side, in pixels, of the picture on which the background is extended over the subject.
_FILL_SIDE = 40
# A mean of less background than this is mostly rounding.
_LEAST_KNOWN = np.float32(0.05)


class Blur:
    """The subject is first replaced by the background around it, then the whole is blurred by a Gaussian, on a
    reduced picture.

    Where ``repeats`` says so, as of late pictures of a live film, the blurred picture is that of the frame before.

    So the subject's colours do not enter the background, which continues behind the subject. Blurring
    colours and weights in float and dividing (normalised convolution) gives the same picture, but took 98
    ms at strength 0.1 and 1080p; integer arithmetic on the planes takes 4.
    """

    notes: tuple[str, ...] = ()
    sees_the_subject = True

    def __init__(self, strength: float) -> None:
        self.strength = strength
        self.repeats = Repeats()
        self._blurred: list[Array] = []  # the planes of the frame before

    def paint(self, target: Frame, frame: Frame, cover: AlphaTiles) -> None:
        """Fill ``target``'s planes with the blurred background of ``frame``."""
        sigma = self.strength * _STRONGEST * min(frame.width, frame.height)
        if sigma <= 0:
            for plane, source in zip(target.planes, frame.planes, strict=True):
                np.copyto(plane, source)
            return
        if not self.repeats(frame) or not self._blurred:
            self._blurred = self._made(frame, cover, sigma)
        for plane, part in zip(target.planes, self._blurred, strict=True):
            enlarge(part, plane)

    def _made(self, frame: Frame, cover: AlphaTiles, sigma: float) -> list[Array]:
        """The blurred planes, reduced."""
        factor = 2 ** min(int(math.log2(max(1.0, sigma / _LEAST_SIGMA))), int(math.log2(_LARGEST_FACTOR)))
        size = -(-frame.width // factor), -(-frame.height // factor)
        small: list[Array] = [frame.small(number, size) for number in range(len(frame.planes))]
        if len(cover.rim) or cover.inside.any():
            small = _vacated(small, _taken(cover, size), cover.peak)
        return [cv2.GaussianBlur(part, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE) for part in small]

    def close(self) -> None:
        """Nothing is held."""


def _taken(cover: AlphaTiles, size: tuple[int, int]) -> Array:
    """(h, w), 0..peak; the peak where the subject may have any part.

    More than the matte says: the matte's edge may lie a little inside the subject, and a rim of the subject's
    colour would show as a halo.
    """
    near = cv2.dilate(cover.small(size), np.ones((3, 3), np.uint8))
    taken = np.minimum(near, cover.peak // 16) * near.dtype.type(16)
    taken[near > cover.peak // 16] = cover.peak
    return taken if taken.min() < cover.peak else near  # a little of the subject everywhere: the highest value


def _vacated(planes: Sequence[Array], taken: Array, peak: int) -> list[Array]:
    """``planes`` (all of one size) with the background extended over the subject."""
    free = np.subtract(taken.dtype.type(peak), taken)
    factor = max(1, round(max(free.shape) / _FILL_SIDE))
    size, tiny = free.shape[::-1], (-(-free.shape[1] // factor), -(-free.shape[0] // factor))
    known = shrink(free, tiny).astype(np.float32) / np.float32(peak)
    known[known < _LEAST_KNOWN] = 0
    means = [shrink(cv2.multiply(plane, free, scale=1.0 / peak), tiny) / np.maximum(known, _LEAST_KNOWN)
             for plane in planes]
    behind = [whole_numbers(colour, peak) for colour in fill(means, known)]
    return [blend(cv2.resize(colour, size, interpolation=cv2.INTER_LINEAR), plane, taken, peak)
            for plane, colour in zip(planes, behind, strict=True)]
