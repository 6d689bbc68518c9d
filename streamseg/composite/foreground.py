"""The subject's own colours where he is mixed with what is behind him.

Forte 2021, 'Approximate fast foreground colour estimation' (ICIP): with smooth guesses F and B of both
colours, F + alpha (I - alpha F - (1 - alpha) B) spreads what they leave unexplained of the picture I.
The guesses are weighted means of the sure pixels around, from all scales (``background.fill``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..background import fill, small_planes, write_planes
from ..frames import Frame
from ..opencv import cv2
from ..refine import Cover

Array = npt.NDArray[Any]
# Pixels on the long side of the guesses: they are smooth, and only the rim and beyond use them.
_LONG_SIDE = 320
# From here on a pixel counts as one colour. Weights that only fall off (alpha ** 6) left half of the old
# background in the guesses: ``fill`` lets faint pixels count where there are no better ones near.
_SURE = 0.9


def estimate(frame: Frame, cover: Cover, ahead: Frame, behind: Frame) -> None:
    """Fill ``ahead`` and ``behind`` with smooth guesses of the subject's and the background's colours."""
    factor = max(1, round(max(frame.width, frame.height) / _LONG_SIDE))
    size = -(-frame.width // factor), -(-frame.height // factor)
    picture = small_planes(frame, size)
    alpha = cover.small(size).astype(np.float32) / np.float32(cover.peak)
    for target, share in ((ahead, alpha), (behind, 1 - alpha)):
        sure = np.clip((share - _SURE) / (1 - _SURE), 0, 1)
        write_planes(target, fill(picture, sure if sure.any() else np.clip(share, 1e-3, 1)))


def solve(picture: Array, ahead: Array, behind: Array, alpha: Array, peak: int) -> Array:
    """The subject's colours, of the shape and dtype of all five; ``ahead`` where alpha is 0, the
    picture's where it is ``peak``."""
    share = alpha.astype(np.float32) / np.float32(peak)
    guess = ahead.astype(np.float32)
    rest = picture - share * guess - (1 - share) * behind
    return np.clip(np.rint(cv2.add(guess, share * rest)), 0, peak).astype(picture.dtype)
