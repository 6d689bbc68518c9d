"""The figures by which the matte of one picture is judged; those of sequences: ``sequences``.

``alpha`` is the predicted matte, ``truth`` the true one: float ``(h, w)`` in [0, 1], 1 = person, both at
the truth's size (``geometry.resize`` brings a matte there). ``ignore`` is bool ``(h, w)``: pixels that
count for nothing, or None. Labels are ``>= 0.5``. All raise ValueError where shapes differ.

Score mattes from lossless data only: an encoder's noise is larger than what many methods differ by.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.opencv import cv2

Alpha = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]


def iou(alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float:
    """Intersection over union of the person; 1 if neither has one. 0..1, higher is better."""
    return _iou(*_labels(alpha, truth, ignore))


def miou(alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float:
    """Mean of the person's and the background's IoU, as PaddleSeg reports it; not comparable with ``iou``."""
    predicted, true = _labels(alpha, truth, ignore)
    known = np.ones_like(true) if ignore is None else ~ignore
    return (_iou(predicted, true) + _iou(~predicted & known, ~true & known)) / 2


def boundary_f(alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float:
    """F1 of the contour pixels that find a partner within ceil(0.008 x diagonal) pixels. 0..1, higher is
    better; 1 if neither has a contour. Perazzi et al. 2016 (DAVIS). Ignored pixels are background to both.
    """
    radius = math.ceil(0.008 * math.hypot(*truth.shape))
    found, wanted = (_contour(label) for label in _labels(alpha, truth, ignore))
    if not found.any() and not wanted.any():
        return 1.0
    if not found.any() or not wanted.any():
        return 0.0
    precision = np.count_nonzero(found & _near(wanted, radius)) / np.count_nonzero(found)
    recall = np.count_nonzero(wanted & _near(found, radius)) / np.count_nonzero(wanted)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def boundary_iou(alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float:
    """IoU of the two bands that lie inside the labels within 2 % of the diagonal of their contours. 0..1,
    higher is better. Cheng et al. 2021: distances are chessboard distances, the picture's edge is a contour.
    """
    reach = max(1, round(0.02 * math.hypot(*truth.shape)))
    return _iou(*(_inner_band(label, reach) for label in _labels(alpha, truth, ignore)))


def mad(alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float:
    """Mean absolute difference x 1e3. 0..1000, lower is better; 0 if all is ignored."""
    return 1e3 * mean_of(np.abs(difference(alpha, truth)), ignore)


def mse(alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float:
    """Mean squared difference x 1e3. 0..1000, lower is better; 0 if all is ignored."""
    return 1e3 * mean_of(np.square(difference(alpha, truth)), ignore)


def sad(alpha: Alpha, truth: Alpha) -> float:
    """Sum of absolute differences / 1000; lower is better. Rhemann et al. 2009."""
    return float(np.abs(difference(alpha, truth)).sum()) / 1e3


def grad(alpha: Alpha, truth: Alpha) -> float:
    """Sum of the squared differences of gradient magnitudes / 1000; lower is better. Rhemann et al. 2009.

    Gradients by first derivatives of a Gaussian (sigma 1.4) of unit L2 norm, as in their program; the
    mattes are not stretched to the full range first.
    """
    same_shape(alpha, truth)
    return float(np.square(_gradient(alpha) - _gradient(truth)).sum()) / 1e3


def conn(alpha: Alpha, truth: Alpha) -> float:
    """Connectivity error / 1000; lower is better. Rhemann et al. 2009.

    A pixel's connectivity is 1 less how far it lies above the highest level (steps of 0.1) at which it
    still belongs to the largest 4-connected area that both mattes share; distances under 0.15 count as 0.
    """
    same_shape(alpha, truth)
    first, second = np.asarray(alpha, np.float32), np.asarray(truth, np.float32)
    joined = np.full(first.shape, -1.0, np.float32)
    for step in range(1, 11):
        level = np.float32(step / 10)
        outside = ~_largest_area((first >= level) & (second >= level))
        joined[outside & (joined < 0)] = (step - 1) / 10
    joined[joined < 0] = 1.0
    phi = [1 - np.where(side - joined >= 0.15, side - joined, 0) for side in (first, second)]
    return float(np.abs(phi[0] - phi[1]).sum(dtype=np.float64)) / 1e3


PICTURE: dict[str, Callable[[Alpha, Alpha], float]] = {
    "iou": iou, "miou": miou, "boundary_f": boundary_f, "boundary_iou": boundary_iou, "mad": mad,
    "mse": mse, "sad": sad, "grad": grad, "conn": conn}


def same_shape(alpha: npt.NDArray[Any], other: npt.NDArray[Any]) -> None:
    """Raise ValueError where a matte and what it is compared with differ in shape."""
    if alpha.shape != other.shape:
        raise ValueError(f"a matte of shape {alpha.shape} cannot be compared with {other.shape}: "
                         "bring it to the truth's size first")


def _labels(alpha: Alpha, truth: Alpha, ignore: Mask | None) -> tuple[Mask, Mask]:
    same_shape(alpha, truth)
    predicted, true = alpha >= 0.5, truth >= 0.5
    if ignore is None:
        return predicted, true
    same_shape(alpha, ignore)
    return predicted & ~ignore, true & ~ignore


def _iou(first: Mask, second: Mask) -> float:
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else 1.0


def difference(alpha: Alpha, truth: Alpha) -> npt.NDArray[np.float64]:
    """alpha - truth, float64 (h, w) in [-1, 1]. Raises ValueError where the shapes differ."""
    same_shape(alpha, truth)
    return np.subtract(alpha, truth, dtype=np.float64)


def mean_of(values: npt.NDArray[np.float64], ignore: Mask | None) -> float:
    """The mean of ``values``, (h, w), where they are not ignored; 0 if all are. Raises ValueError where the shapes
    differ."""
    if ignore is not None:
        same_shape(values, ignore)
        values = values[~ignore]
    return float(values.mean()) if values.size else 0.0


def _contour(label: Mask) -> Mask:
    """Pixels whose label differs from the right, lower or lower right neighbour's, as in DAVIS's program:
    one pixel wide, and none along the picture's edge."""
    padded = np.pad(label, ((0, 1), (0, 1)), mode="edge")
    right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (label != right) | (label != below) | (label != across)


def _near(mask: Mask, radius: int) -> Mask:
    """Pixels within ``radius`` (Euclidean) of the mask, which must not be empty."""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= radius + 1e-3


def _inner_band(label: Mask, reach: int) -> Mask:
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    core = cv2.erode(label.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return label & (core == 0)


@cache
def _derivative_filters(sigma: float = 1.4) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(derivative, smoothing) 1-D filters of unit L2 norm, cut where the Gaussian falls below 0.01."""
    half = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * 0.01)))
    x = np.arange(-half, half + 1, dtype=np.float64)
    smooth = np.exp(-x * x / (2 * sigma * sigma))
    slope = -x * smooth
    return slope / np.linalg.norm(slope), smooth / np.linalg.norm(smooth)


def _gradient(alpha: Alpha) -> npt.NDArray[np.float64]:
    slope, smooth = _derivative_filters()
    values = np.asarray(alpha, np.float64)
    across = cv2.sepFilter2D(values, cv2.CV_64F, slope, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(values, cv2.CV_64F, smooth, slope, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)


def _largest_area(mask: Mask) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return np.zeros_like(mask)
    return labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
