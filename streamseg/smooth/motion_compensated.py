"""Smoothers that move mattes along with the picture before they mix them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..temporal import Array, FlowField
from .average import hold
from .shots import Pair, Shown, watch


@dataclass(slots=True, eq=False)
class _Step:
    """A frame of a shot, with the ways to the frame before it and to the one after it, where there are."""

    shown: Shown
    back: FlowField | None = None
    forth: FlowField | None = None


def follow(pairs: Iterator[Pair], keep: float, band: float, window: int) -> Iterator[Pair]:
    """flow, and with a ``window`` of frames that are looked ahead at, lookahead."""
    shot = _Shot(keep, band)
    waiting: deque[_Step] = deque()
    last: _Step | None = None
    for shown in watch(pairs):
        step = _Step(shown)
        if shown.cut or last is None:
            while waiting:  # of the shot that ends, with what there is ahead
                yield shot.steady(waiting)
            shot = _Shot(keep, band)
        else:
            step.back = shown.motion.back(shown.size)
            if window:
                last.forth = shown.motion.forth(shown.size)
        waiting.append(step)
        last = step
        if len(waiting) > window:
            yield shot.steady(waiting)
    while waiting:
        yield shot.steady(waiting)


class _Shot:
    """What is known of the shot so far: the steadied matte of the frame before, at working size."""

    def __init__(self, keep: float, band: float) -> None:
        self._keep, self._band = np.float32(keep), band
        # what all earlier frames weigh together where the newest weighs 1: keep + keep^2 + ...
        self._share = np.float32(keep / (1 - keep))
        self._state: Array = np.empty(0)

    def steady(self, waiting: deque[_Step]) -> Pair:
        """Take the oldest that waits, with what was before it and what waits behind it mixed in."""
        here = waiting.popleft()
        alpha = expected = here.shown.alpha
        weight: Any = np.float32(1)
        if here.back is not None:
            expected, factor = here.back.carry(self._state), self._share * here.back.trust
            weight = 1 + factor
            alpha = hold(_mixed(alpha, expected, factor / weight), expected, self._band)
        # what later frames say of this one must not come to them again through it
        self._state = alpha
        if waiting and here.forth is not None:
            ahead, share = self._ahead(waiting)
            factor = share * here.forth.trust
            alpha = hold(_mixed(alpha, here.forth.carry(ahead), factor / (weight + factor)),
                         expected, self._band)
        elif here.back is None:  # a shot of one frame, or its first where nothing is looked ahead at
            return here.shown.frame, here.shown.matte
        return here.shown.corrected(alpha)

    def _ahead(self, later: deque[_Step]) -> tuple[Array, Any]:
        """The later frames' mattes as one, at the first of them, and what it weighs."""
        alpha, share = later[-1].shown.alpha, self._keep
        for step in list(later)[-2::-1]:
            assert step.forth is not None  # only the last has none yet
            factor = share * step.forth.trust
            alpha = _mixed(step.shown.alpha, step.forth.carry(alpha), factor / (1 + factor))
            share = self._keep * (1 + share)
        return alpha, share


def _mixed(alpha: Array, other: Array, part: Any) -> Array:
    """``part`` (0..1) of ``other``, the rest of ``alpha``."""
    return alpha + part * (other - alpha)
