"""Which way up a single picture is: scans, cameras held on their side, pictures whose orientation tag is lost.

The nets have seen people upright nearly always. Where two of them do not agree on a picture, it may lie on its side;
then both look at it in all four ways. Over the val pictures no upright one was taken for a turned one, and of portraits
turned by 90, 180 or 270 degrees nearly all are found (training/LOG.md, 19).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.frames import Frame
from ..core.geometry import BUDGETS, Box, resize
from .passes import Alpha

PIXELS = BUDGETS["low"]  # of each look
_AGREED = 0.85   # two nets that agree as much on somebody are right about which way is up
_LEAST = 0.05    # of the picture: less is nobody, or too little to judge by
_PART = 0.1      # of the picture: what another way must surely show of somebody
_TIMES = 1.5     # as clear as the picture as it is another way must be
# How much the nets must agree on another way, and by how much it must be clearer: either of the two.
_CLEAR = ((0.92, 0.15), (0.85, 0.4))
_SURE, _FAINT = 0.9, 0.1


def doubtful(passes: Sequence[Alpha]) -> bool:
    """Whether the first and the last pass see somebody, and not the same."""
    one, mean = _pair(passes)
    return float(mean.mean()) >= _LEAST and _agreement(one, passes[-1]) < _AGREED


def clearest(looks: Sequence[Sequence[Alpha]]) -> int:
    """The number of quarter turns of what is clearest; 0 where no other is clearer by far.

    looks    for each number of quarter turns the passes over the picture that is turned so
    """
    found = [_clarity(passes) for passes in looks]
    best = int(np.argmax(found))
    one, mean = _pair(looks[best])
    agreement, gain = _agreement(one, looks[best][-1]), found[best] - found[0]
    clear = found[best] > _TIMES * found[0] and any(agreement >= least and gain > more for least, more in _CLEAR)
    return best if clear and (mean > _SURE).mean() >= _PART else 0


def shown_as(shown: Frame | Box, turn: int) -> Frame | Box:
    """What has the height and the width of ``shown`` after so many quarter turns."""
    return Box(0, 0, shown.width, shown.height) if turn % 2 else shown


def _clarity(passes: Sequence[Alpha]) -> float:
    """How much the passes agree, times how much of the picture is surely a person, less what is neither."""
    one, mean = _pair(passes)
    sure, grey = (mean > _SURE).mean(), ((mean > _FAINT) & (mean < _SURE)).mean()
    return float(_agreement(one, passes[-1]) * (0.3 + sure - grey))


def _pair(passes: Sequence[Alpha]) -> tuple[Alpha, Alpha]:
    """The first pass at the size of the last, and the mean of the two."""
    last = passes[-1]
    first = resize(np.ascontiguousarray(passes[0]), (last.shape[0], last.shape[1]))
    return first, (first + last) / np.float32(2)


def _agreement(one: Alpha, other: Alpha) -> float:
    """Of two mattes of one size: what both see, of what either sees."""
    return float(np.minimum(one, other).sum() / max(1.0, float(np.maximum(one, other).sum())))
