"""The separate parts of a matte, for persistence: which there are, which are sure, which come in at the border."""

from __future__ import annotations

import numpy as np

from ..core.opencv import cv2
from ..temporal import Array

CORE, FAINT = 0.5, 0.1  # alpha of a part, and of what hangs on to it
SURE = 0.98             # mean alpha from which a part is sure, its rim reckoned as if it were sharp
STRIP = 0.15            # of the picture's sides: how far from the border what comes in reaches in its first frame
_RIM = 0.25             # by how much a sharp rim lowers the alpha of its samples, in the mean


def labelled(alpha: Array) -> tuple[Array, int]:
    """(labels of the parts, from 1 on; how many). What is faint and hangs on to no core is a part, too."""
    core = (alpha > CORE).astype(np.uint8)
    count, labels = cv2.connectedComponents(core)
    faint_count, faint = cv2.connectedComponents((alpha > FAINT).astype(np.uint8))
    if faint_count > 1:
        cores = np.bincount(faint.ravel(), core.ravel(), faint_count)
        extra = np.flatnonzero(cores[1:] == 0) + 1
        if len(extra):
            number = np.zeros(faint_count, np.int32)
            number[extra] = np.arange(count, count + len(extra))
            labels = np.where(number[faint] > 0, number[faint], labels)
            count += len(extra)
    return labels, count - 1


def sureness(labels: Array, count: int, alpha: Array) -> tuple[Array, Array]:
    """(samples of each label, whether it is sure)."""
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    sums = np.bincount(labels.ravel(), alpha.ravel(), count + 1)
    inner = cv2.erode((labels > 0).astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    rims = areas - np.bincount(labels.ravel(), inner.ravel(), count + 1)
    return areas, sums + _RIM * rims >= SURE * areas


def comes_in(mask: Array) -> bool:
    """Whether a part touches a side of the picture and reaches no further from it than STRIP."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    for places, length in ((rows, mask.shape[0]), (columns, mask.shape[1])):
        reach = max(2, STRIP * length)
        if (places[0] == 0 and places[-1] < reach) or (places[-1] == length - 1 and places[0] >= length - reach):
            return True
    return False
