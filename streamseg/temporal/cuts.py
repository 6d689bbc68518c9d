"""Where another shot begins."""

from __future__ import annotations

import numpy as np

from ..core.resampling import shrink
from .arrays import Array


class Cuts:
    """Finds where another shot begins, on pictures of 32 x 18.

    Two pictures of a shot agree but for brightness and motion. What a change of exposure (gain and offset)
    does not explain is the residual of a straight-line fit of one onto the other, in levels of 255. A cut
    that is found where there is none costs a frame of smoothing; one that is missed shows a ghost.
    """

    size = (32, 18)

    def __init__(self, correlation: float = 0.75, residual: float = 12.0) -> None:
        self._correlation, self._residual = correlation, residual

    def between(self, luma: Array, later: Array) -> bool:
        """Whether two pictures, uint8 (h, w) of any sizes, one after the other, are of two shots."""
        last, small = self._small(luma), self._small(later)
        power, before = float(np.vdot(small, small)), float(np.vdot(last, last))
        alike = float(np.vdot(small, last)) / max((power * before) ** 0.5, 1e-6)
        unexplained = 1 - alike * alike if alike > 0 else 1.0
        # of the richer picture, so that a cut to black counts as one to white does
        residual = (unexplained * max(power, before) / small.size) ** 0.5
        return alike < self._correlation and residual > self._residual

    def _small(self, luma: Array) -> Array:
        small: Array = shrink(luma, self.size).astype(np.float32)
        return small - small.mean()
