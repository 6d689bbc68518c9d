"""What has been the subject for long does not vanish at once.

A net loses a dark pigtail before a dark wall for a second, though the picture there goes on as it was. So each place
of the subject is followed with the picture's motion, and its age is counted: the frames in which it was the subject,
as far as the motion is to be believed. Where something wide vanishes from the matte that has an age, it is kept, and
its age falls by one a frame: what was the subject for long stays for long, what came lately goes at once. What is
covered or comes into view, and what is beside it, has no age, because the pictures do not match there: nobody who
walks on leaves a trace.

Narrow places are left alone: there an outline moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.opencv import cv2, disc
from ..temporal import Array
from .shots import Pair, Shown, watch

SEEN = np.float32(0.6)  # alpha from which on a place is the subject's
LOST = np.float32(0.2)  # by how much alpha must fall
LONGEST = 6             # times the frames from which on a place has an age: no age is more
_WIDE, _MORE = 5, 7     # samples: how wide at least, and the piece about it that goes with it


def retained(pairs: Iterator[Pair], frames: int) -> Iterator[Pair]:
    """The pairs; what was the subject for more than ``frames`` frames, wholly from twice as many on, stays for up to
    ``LONGEST - 1`` times as many."""
    kept: _Kept | None = None
    for shown in watch(pairs):
        if shown.cut or kept is None:
            kept = _Kept(shown.alpha, frames)
            yield shown.frame, shown.matte
        else:
            yield kept.add(shown)


class _Kept:
    """Of the frame before: float32 (h, w, 2), the matte with what was kept, and each place's age in frames."""

    def __init__(self, alpha: Array, frames: int) -> None:
        self._frames = np.float32(frames)
        self._state = cv2.merge([alpha, _seen(alpha, 1)])

    def add(self, shown: Shown) -> Pair:
        """The next frame's pair."""
        alpha: Any = shown.alpha
        back = shown.motion.back(shown.size)
        moved = back.carry(self._state)
        before, age = np.ascontiguousarray(moved[..., 0]), np.ascontiguousarray(moved[..., 1])
        age *= cv2.erode(back.trust, disc(_WIDE))
        lost = ((before - alpha > LOST) & (before > SEEN) & (age > self._frames)).astype(np.uint8)
        if lost.any() and (core := cv2.morphologyEx(lost, cv2.MORPH_OPEN, disc(_WIDE))).any():
            share = cv2.blur(cv2.dilate(core, disc(_MORE)).astype(np.float32), (3, 3))
            alpha = alpha + share * np.clip(age / self._frames - 1, 0, 1) * np.maximum(before - alpha, 0)
        age += _seen(shown.alpha, 2) - 1  # one more where the subject is seen, else one less
        self._state = cv2.merge([alpha, np.clip(age, 0, LONGEST * self._frames)])
        return (shown.frame, shown.matte) if alpha is shown.alpha else shown.corrected(alpha)


def _seen(alpha: Array, value: float) -> Array:
    """``value`` where the subject is, else 0."""
    return cv2.threshold(alpha, float(SEEN), value, cv2.THRESH_BINARY)[1]
