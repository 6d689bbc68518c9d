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
_ENOUGH = 0.0, 0.1  # of a blob's pixels: with fewer sure ones than the second share it fades in proportion
_GREY = 0.05, 0.95  # alpha between them is undecided
_WIDE = 0.01    # of the picture's side (the root of its area): half of a width that soft hair does not reach
_BOTH = 0.8     # alpha from which on every pass is sure
_HALF = 0.1, 0.3  # of a blob's pixels: with the first share of them sure it is gone, with the second it stays
_ANCHOR = 0.4   # and with so many the largest blob is sure enough to judge the others by
_FRINGE = np.ones((7, 7), np.uint8)  # how far the faint pixels around a blob fade with it


def without_doubtful(alpha: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``alpha``, float32 (h, w) in [0, 1], without blobs that have no sure pixels; itself if there are none."""
    half = np.ascontiguousarray(alpha[::2, ::2])
    if _ramp(_Blobs(half).sure(half > _SURE), _ENOUGH).min() == 1:
        return alpha  # the usual case; every other pixel is enough to see it, in a quarter of the time
    blobs = _Blobs(alpha)
    return blobs.faded(alpha, _ramp(blobs.sure(alpha > _SURE), _ENOUGH))


def without_half_seen(alpha: npt.NDArray[np.float32],
                      passes: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """``alpha``, float32 (h, w) in [0, 1], without blobs that hardly any pixel of all ``passes`` is sure of, beside a
    larger one that they are sure of; itself if there are none. ``passes``: float32 in [0, 1], of any sizes.

    On the val pictures (493, 11 sources) seven gain more than .01 of IoU and one loses as much; ccp .9405 to .9424,
    bsds .8785 to .8809 (training/LOG.md, 21)."""
    blobs = _Blobs(alpha)
    if len(blobs.areas) < 3:  # the rest of the picture and at most one blob
        return alpha
    size = alpha.shape[0], alpha.shape[1]
    least = np.minimum.reduce([resize(np.ascontiguousarray(one), size) for one in passes])
    sure = blobs.sure(least > _BOTH)
    if sure[1 + int(blobs.areas[1:].argmax())] < _ANCHOR:
        return alpha
    share = _ramp(sure, _HALF)
    return alpha if share.min() == 1 else blobs.faded(alpha, share)


class _Blobs:
    """The connected areas of a matte above _SEEN, numbered from 1; 0 is the rest of the picture.

    seen    uint8 (h, w), 1 in a blob
    labels  int32 (h, w), each pixel's blob
    areas   int32 (n,), pixels of each number
    """

    def __init__(self, alpha: npt.NDArray[np.float32]) -> None:
        self.seen: Any = (alpha > _SEEN).astype(np.uint8)
        _, self.labels, about, _ = cv2.connectedComponentsWithStats(self.seen)
        self.areas: Any = about[:, cv2.CC_STAT_AREA]

    def sure(self, where: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """(n,) in [0, 1]: the share of each blob's pixels at which ``where``, (h, w), is true; 1 for the rest."""
        share = np.ones(len(self.areas))
        share[1:] = np.bincount(self.labels[where], minlength=len(self.areas))[1:] / self.areas[1:]
        return share

    def faded(self, alpha: npt.NDArray[np.float32], share: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """``alpha`` with each blob's ``share`` of it, (n,), and what is faint around a blob with it."""
        own = share[self.labels]
        return np.asarray(alpha * np.where(self.seen, own, cv2.erode(own, _FRINGE)), np.float32)


def _ramp(sure: npt.NDArray[np.float64], ends: tuple[float, float]) -> npt.NDArray[np.float32]:
    """What stays of each blob: 0 up to the first of ``ends``, 1 from the second on, in proportion between them."""
    return np.clip((sure - ends[0]) / (ends[1] - ends[0]), 0, 1).astype(np.float32)


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
