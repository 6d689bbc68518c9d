"""Smoothers that mix a matte with those before it, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.opencv import cv2
from ..temporal import Array, sameness
from .shots import Pair, watch


def average(pairs: Iterator[Pair], keep: float, band: float, adaptive: bool) -> Iterator[Pair]:
    """ema, and ``adaptive``, which keeps less where matte and picture change together."""
    state = before = np.empty(0)
    for shown in watch(pairs):
        if shown.cut:
            state, pair = shown.alpha, (shown.frame, shown.matte)
        else:
            share: Any = np.float32(keep)
            if adaptive:
                share = share * _not_both(shown.alpha, state, shown.luma, before)
            state = hold(shown.alpha + share * (state - shown.alpha), state, band)
            pair = shown.corrected(state)
        before = shown.luma
        yield pair


def _not_both(alpha: Array, state: Array, luma: Array, before: Array) -> Array:
    """float32 (h, w) 0..1: 0 where matte and picture change. A matte that changes before a picture that does
    not is in error, and a small change of the matte is a shiver, whatever the picture does."""
    changed = np.minimum(4 * cv2.absdiff(alpha, state), 1)
    return 1 - changed * (1 - sameness(luma, before))


def hold(alpha: Array, expected: Array, band: float) -> Array:
    """Hysteresis: pixels within ``band`` of 0.5 stay on the side of it on which ``expected`` has them."""
    was = expected >= 0.5
    crossed = (was != (alpha >= 0.5)) & (np.abs(alpha - np.float32(0.5)) < band)
    if not crossed.any():
        return alpha
    held = alpha.copy()
    held[crossed] = np.where(was[crossed], np.float32(0.5), np.float32(0.4999))
    return held
