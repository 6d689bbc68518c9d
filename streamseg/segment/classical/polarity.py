"""Which side is the subject? What dominates the picture's border is background.

The border is a strip along the top and the sides; the lower edge is left out, because people stand on
it. Shares are compared, not counted: a label is the subject's when it fills more of the inside than of
the border, so that one who reaches over the edge somewhere is still the subject. The answer is averaged
over frames, or a subject that comes near the edge would turn the matte over for a moment.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.opencv import cv2
from .base import Grey

# 0.9: a hand before the lens for two or three frames does not turn the matte over; a wrong first frame
# is overruled within half a second.
KEEP = 0.9


def thickness(shape: tuple[int, ...]) -> int:
    """Of the border in pixels: a twentieth of the short side, at least one."""
    return max(1, round(0.05 * min(shape[:2])))


@lru_cache(maxsize=8)
def ring(shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """bool (h, w): True on the border (top and sides). Shared and therefore read-only."""
    mask = np.ones(shape, bool)
    wide = thickness(shape)
    mask[wide:, wide:-wide] = False
    mask.setflags(write=False)
    return mask


class Vote:
    """Says over time whether the lit part of masks is the subject (True) or the background (False)."""

    def __init__(self) -> None:
        self._score: float | None = None

    def lit_is_subject(self, mask: Grey, elapsed: int = 1) -> bool:
        """Take one more mask (uint8 (h, w), nonzero = lit) into account and answer for it. ``elapsed``: frames of the
        film since the mask before."""
        height, width = mask.shape
        wide = thickness(mask.shape)
        if min(height, width) <= 2 * wide:
            return True
        lit = cv2.countNonZero(mask)
        inner = cv2.countNonZero(mask[wide:, wide:-wide])
        area = (height - wide) * (width - 2 * wide)
        score = inner / area - (lit - inner) / (mask.size - area)
        if lit in (0, mask.size):  # one side only: all of it is background, the other side is empty
            return lit == 0
        keep = KEEP ** elapsed
        self._score = score if self._score is None else keep * self._score + (1 - keep) * score
        if self._score == 0:
            return lit * 2 < mask.size
        return self._score > 0

    def reset(self) -> None:
        """Forget the masks seen."""
        self._score = None


def inside_excess(labels: npt.NDArray[Any], count: int) -> npt.NDArray[np.float64]:
    """float64 (count,) in [-1, 1]: how much more of the inside than of the border each label fills.

    Above 0 is the subject's side. ``labels``: integers (h, w) in 0..count - 1; 0 for one that is absent.
    """
    outer = ring((labels.shape[0], labels.shape[1]))
    outside = np.bincount(labels[outer], minlength=count) / max(1, int(outer.sum()))
    inside = np.bincount(labels[~outer], minlength=count) / max(1, int((~outer).sum()))
    return inside - outside
