"""Postprocessing of a net's matte: uncertain blobs are removed, and in single pictures wide grey areas are decided.

Inside a person the net is sure (white), even where the outline is faint. Of an animal or a chair that it takes for
half a person, hardly a pixel is sure. Removing blobs without sure pixels halves the mean alpha of the empty val
pictures (1.7 % to 0.9 %) and takes nothing from people; in poor light, where people are grey too, it does no harm
(training/LOG.md, 4).

Of a single picture two nets judge. Beside somebody of whom both are sure, what hardly a pixel of both is sure of goes:
half a passer-by, a dog, a tulip. What stands alone stays: a face in grey may be all that there is, and as doubtful.

Where the passes over a single picture disagree, the mean is a wide grey area beside or inside a person. Hair is grey
too, but nowhere wide. Such areas are decided, one way or the other. In videos they stay: a decision that changes
from frame to frame flickers more than the grey (dtSSD of the made scenes: 5.96 without, 6.23 with it).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.geometry import resize
from ..core.opencv import cv2, disc

_SEEN = 0.3     # alpha from which on pixels make up a blob
_SURE = 0.97    # alpha that counts as sure
_ENOUGH = 0.1   # of a blob's pixels: with fewer sure ones it fades in proportion
_GREY = 0.05, 0.95  # alpha between them is undecided
_WIDE = 0.01    # of the picture's side (the root of its area): half of a width that soft hair does not reach
_BOTH = 0.8     # alpha from which on every pass is sure
_HALF = 0.1, 0.3  # of a blob's pixels: with the first share of them sure it is gone, with the second it stays
_ANCHOR = 0.4   # and with so many the largest blob is sure enough to judge the others by
_FRINGE = np.ones((7, 7), np.uint8)  # how far the faint pixels around a blob fade with it


def without_doubtful(alpha: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``alpha``, float32 (h, w) in [0, 1], without blobs that have no sure pixels; itself if there are none."""
    if _sureness(np.ascontiguousarray(alpha[::2, ::2]))[0].min() == 1:
        return alpha  # the usual case; every other pixel is enough to see it, in a quarter of the time
    share, blobs, seen = _sureness(alpha)
    return _faded(alpha, share, blobs, seen)


def without_half_seen(alpha: npt.NDArray[np.float32],
                      passes: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """``alpha``, float32 (h, w) in [0, 1], without blobs that hardly any pixel of all ``passes`` is sure of, beside a
    larger one that they are sure of; itself if there are none. On the val pictures (493, 11 sources) seven gain more
    than .01 of IoU and one loses as much; ccp .9405 to .9424, bsds .8785 to .8809 (training/LOG.md, 21)."""
    seen = (alpha > _SEEN).astype(np.uint8)
    count, blobs, about, _ = cv2.connectedComponentsWithStats(seen)
    if count < 3:
        return alpha
    size = alpha.shape[0], alpha.shape[1]
    least = np.minimum.reduce([resize(np.ascontiguousarray(one), size) for one in passes])
    areas = about[:, cv2.CC_STAT_AREA]
    sure = np.bincount(blobs[least > _BOTH], minlength=count) / areas
    largest = 1 + int(areas[1:].argmax())
    if sure[largest] < _ANCHOR:
        return alpha
    share = np.clip((sure - _HALF[0]) / (_HALF[1] - _HALF[0]), 0, 1).astype(np.float32)
    share[0] = 1
    return alpha if share.min() == 1 else _faded(alpha, share, blobs, seen)


def _faded(alpha: npt.NDArray[np.float32], share: npt.NDArray[np.float32], blobs: Any, seen: Any,
           ) -> npt.NDArray[np.float32]:
    """``alpha`` with each blob's share of it, and what is faint around a blob with it."""
    own = share[blobs]
    return np.asarray(alpha * np.where(seen, own, cv2.erode(own, _FRINGE)), np.float32)


def decided(alpha: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``alpha``, float32 (h, w) in [0, 1], with wide grey areas averaged and made steeper around one half (a^3 against
    (1 - a)^3); itself if there are none. On the val pictures the mean absolute error falls from 30.7 to 29.7 per
    mille, with soft truths too, and boundary F rises by .003 (training/LOG.md, 15)."""
    reach = max(1, round(_WIDE * alpha.size ** 0.5))
    across = 2 * reach + 1, 2 * reach + 1
    grey = ((alpha > _GREY[0]) & (alpha < _GREY[1])).astype(np.float32)
    wide = cv2.morphologyEx(grey, cv2.MORPH_OPEN, disc(across[0]))
    if not wide.any():
        return alpha
    wide = cv2.blur(wide, across)  # no step where a grey area meets a soft outline
    even = cv2.blur(alpha, across)  # one decision for what lies together, not one for each pixel
    person, rest = even ** 3, (1 - even) ** 3
    return np.asarray(alpha + (person / (person + rest) - alpha) * wide, np.float32)


def _sureness(alpha: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], Any, Any]:
    """The share of each blob that stays, 0..1 (blob 0 is the rest of the picture); each pixel's blob by number; 1 where
    there is a blob."""
    seen = (alpha > _SEEN).astype(np.uint8)
    count, blobs, about, _ = cv2.connectedComponentsWithStats(seen)
    sure: Any = np.bincount(blobs[alpha > _SURE], minlength=count)[1:]
    share = np.ones(count, np.float32)
    share[1:] = np.minimum(1, sure / (_ENOUGH * about[1:count, cv2.CC_STAT_AREA]))
    return share, blobs, seen
