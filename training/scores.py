"""The figures a matte is judged by (one picture at a time, at the truth's resolution).

Predicted ``alpha`` and true ``truth``: float32 ``(h, w)`` in 0..1; ``known``: bool ``(h, w)``, pixels
outside count for nothing. Definitions as in published work: person IoU and boundary F at 0.5
(boundary F: Perazzi et al. 2016), MAD as mean absolute difference x 1000.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Alpha = NDArray[np.float32]
Mask = NDArray[np.bool_]


def iou(alpha: Alpha, truth: Alpha, known: Mask) -> float:
    """Person IoU at 0.5; 1 if both are empty."""
    predicted, true = (alpha >= 0.5) & known, (truth >= 0.5) & known
    either = np.count_nonzero(predicted | true)
    return np.count_nonzero(predicted & true) / either if either else 1.0


def boundary_f(alpha: Alpha, truth: Alpha, known: Mask) -> float:
    """F1 of the contour pixels that find a partner within ceil(0.008 x diagonal) pixels."""
    radius = math.ceil(0.008 * math.hypot(*truth.shape))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    edges = [_contour((side >= 0.5) & known) & known for side in (alpha, truth)]
    near = [cv2.dilate(edge.astype(np.uint8), disc) > 0 for edge in edges]
    found, wanted = (np.count_nonzero(edge) for edge in edges)
    if not found and not wanted:
        return 1.0
    if not found or not wanted:
        return 0.0
    precision = np.count_nonzero(edges[0] & near[1]) / found
    recall = np.count_nonzero(edges[1] & near[0]) / wanted
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def mad(alpha: Alpha, truth: Alpha, known: Mask) -> float:
    """Mean absolute difference x 1000."""
    return float(1e3 * np.abs(alpha - truth)[known].mean()) if known.any() else 0.0


def _contour(mask: Mask) -> Mask:
    """Pixels of the mask that touch (by a side or a corner) one outside it."""
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1)
    return mask & (inside == 0)
