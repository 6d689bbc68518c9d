"""Where shots begin, and what of a shot the smoothers look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..frames import Frame, Matte
from ..opencv import cv2
from ..scaling import shrink

Pair = tuple[Frame, Matte]
Array = npt.NDArray[Any]  # OpenCV's stubs know no dtypes: float32 (h, w) mattes, uint8 (h, w) pictures
# A mean over frames leaves a trace of each where a frame is sure: up to this nobody sees it, and it must be
# blended all the same. Without traces 6 % of a picture's tiles are its rim, with them 11.
_TRACE = 0.06
_FAR = 1e9


class Cuts:
    """Finds where another shot begins, on pictures of 32 x 18.

    Two pictures of a shot agree but for brightness and motion. What a change of exposure (gain and offset)
    does not explain is the residual of a straight-line fit of one onto the other, in levels of 255. A cut
    that is found where there is none costs a frame of smoothing; one that is missed shows a ghost.
    """

    size = (32, 18)

    def __init__(self, correlation: float = 0.75, residual: float = 12.0) -> None:
        self._correlation, self._residual = correlation, residual
        self._last: Array | None = None

    def is_cut(self, luma: Array) -> bool:
        """Whether ``luma``, uint8 (h, w) of any size, begins a shot; True for the first picture."""
        small = shrink(luma, self.size).astype(np.float32)
        small -= small.mean()
        last, self._last = self._last, small
        if last is None:
            return True
        power, before = float(np.vdot(small, small)), float(np.vdot(last, last))
        alike = float(np.vdot(small, last)) / max((power * before) ** 0.5, 1e-6)
        unexplained = 1 - alike * alike if alike > 0 else 1.0
        # of the richer picture, so that a cut to black counts as one to white does
        residual = (unexplained * max(power, before) / small.size) ** 0.5
        return alike < self._correlation and residual > self._residual


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A pair, and its matte (``alpha``) and picture (``luma``) at working size, which is half the matte's.

    At half size all costs a quarter, and the correction that is found there leaves the rim sharp.
    ``cut``: nothing from before it may be used.
    """

    frame: Frame
    matte: Matte
    alpha: Array
    luma: Array
    cut: bool

    def corrected(self, steady: Array) -> Pair:
        """The pair with its matte changed by what ``steady`` (working size) differs from its own."""
        height, width = self.matte.alpha.shape
        # in place: fresh arrays of this size cost more in page faults than the arithmetic does
        alpha: Any = cv2.resize(steady - self.alpha, (width, height))
        np.add(alpha, self.matte.alpha, out=alpha)
        return self.frame, replace(self.matte, alpha=_without_traces(alpha, self.matte.alpha))


def _without_traces(alpha: Array, own: Array) -> Array:
    """``alpha``, changed in place: where the frame's ``own`` is 0, it is 0 up to _TRACE, and twice as steep
    from there to 2 _TRACE; and so where it is 1."""
    # A straight line twice as steep, which only bounds where ``own`` is sure: elsewhere it is far away.
    line = cv2.addWeighted(alpha, 2, own, _FAR, -2 * _TRACE)
    cv2.min(alpha, line, dst=alpha)
    cv2.addWeighted(alpha, 2, 1 - own, -_FAR, 2 * _TRACE - 1, dst=line)
    cv2.max(alpha, line, dst=alpha)
    return np.clip(alpha, 0, 1, out=alpha)


def watch(pairs: Iterator[Pair]) -> Iterator[Shown]:
    """The pairs with what the smoothers look at. A matte of another size is a cut too."""
    cuts, shape = Cuts(), None
    for frame, matte in pairs:
        height, width = matte.alpha.shape
        size = max(16, width // 2), max(16, height // 2)  # optical flow takes nothing smaller
        luma = frame.luma(size)
        cut = cuts.is_cut(luma) or matte.alpha.shape != shape
        shape = matte.alpha.shape
        yield Shown(frame, matte, shrink(matte.alpha, size), luma, cut)
