"""Light wrap: light of the new background falls around the subject's edge (Brinkmann, 'The Art and Science
of Digital Compositing', ch. 13)."""

from __future__ import annotations

import numpy as np

from ..background import blend, enlarge
from ..core.frames import Frame
from ..core.opencv import cv2
from ..core.resampling import shrink
from ..refine import AlphaTiles, Array

# How far the light reaches, as a share of the picture's shorter side: 16 pixels at 1080p.
_REACH = 0.015
# Pixels a sample of the blurred background, a way.
_FACTOR = 4


class Wrap:
    """Taken from the background before the subject is laid over it, then laid over both.

    strength   0..1: share of the background, blurred, at the very edge; it falls off into the subject
    """

    def __init__(self, background: Frame, strength: float) -> None:
        self._strength = strength
        self._sigma = _REACH * min(background.width, background.height) / _FACTOR
        self._size = -(-background.width // _FACTOR), -(-background.height // _FACTOR)
        self._light = [self._blurred(shrink(plane, self._size)) for plane in background.planes]

    def lay(self, made: Frame, cover: AlphaTiles) -> None:
        """Change the planes of ``made`` in place."""
        outside = self._blurred(np.subtract(cover.peak, cover.small(self._size), dtype=made.pixel.dtype))
        alpha = cover.plane()
        for plane, light in zip(made.planes, self._light, strict=True):
            around, near = np.empty_like(plane), np.empty_like(plane)
            enlarge(light, around)
            enlarge(outside, near)
            # half of the edge's surroundings are outside: twice that is the whole strength
            here = cv2.multiply(near, shrink(alpha, plane.shape[::-1]), scale=2 * self._strength / cover.peak)
            np.copyto(plane, blend(around, np.ascontiguousarray(plane), np.minimum(here, cover.peak),
                                   cover.peak))

    def _blurred(self, plane: Array) -> Array:
        return cv2.GaussianBlur(plane, (0, 0), max(self._sigma, 0.3), borderType=cv2.BORDER_REPLICATE)
