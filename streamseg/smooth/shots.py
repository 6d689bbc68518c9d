"""Where shots begin, and what of a shot the smoothers look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from ..core.resampling import shrink
from ..temporal import Array, Motion, MotionTracker, working_size

Pair = tuple[Frame, Matte]
# A mean over frames leaves a trace of each where a frame is sure: up to this nobody sees it, and it must be
# blended all the same. Without traces 6 % of a picture's tiles are its rim, with them 11.
_TRACE = 0.06
_FAR = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A pair, and its matte (``alpha``) and picture (``luma``) at working size, which is half the matte's.

    At half size all costs a quarter, and the correction that is found there leaves the rim sharp.
    ``motion``: from the frame before. ``cut``: nothing from before it may be used.
    """

    frame: Frame
    matte: Matte
    alpha: Array
    luma: Array
    motion: Motion
    cut: bool

    @property
    def size(self) -> tuple[int, int]:
        """Working size (width, height), at which ``motion`` is asked for its flow."""
        return self.alpha.shape[1], self.alpha.shape[0]

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
    tracker, shape = MotionTracker(), None
    for frame, matte in pairs:
        size, motion = working_size(matte.alpha.shape), tracker.of(frame)
        cut = motion.cut or matte.alpha.shape != shape
        shape = matte.alpha.shape
        yield Shown(frame, matte, shrink(matte.alpha, size), motion.now.luma(size), motion, cut)
