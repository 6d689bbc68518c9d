"""The figures a matte is judged by: single pictures by functions, sequences by classes fed frame by frame.

``alpha`` is the predicted matte, ``truth`` the true one: float ``(h, w)`` in [0, 1], 1 = person, both at
the truth's size (``geometry.resize`` brings a matte there). ``ignore`` is bool ``(h, w)``: pixels that
count for nothing, or None. Labels are ``>= 0.5``. ``luma`` is the picture's brightness, uint8 ``(h, w)`` at
the same size. All raise ValueError where shapes differ.

Score mattes from lossless data only: an encoder's noise is larger than what many methods differ by.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.opencv import cv2

Alpha = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Luma = npt.NDArray[np.uint8]

STILL = 4  # levels of 255: a pixel that changes by less shows the same thing, but for camera noise
EQUAL = 1e-9  # correlations that differ by less are equal but for rounding


# --- one picture ------------------------------------------------------------------------------

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
    return 1e3 * _mean(np.abs(_difference(alpha, truth)), ignore)


def mse(alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float:
    """Mean squared difference x 1e3. 0..1000, lower is better; 0 if all is ignored."""
    return 1e3 * _mean(np.square(_difference(alpha, truth)), ignore)


def sad(alpha: Alpha, truth: Alpha) -> float:
    """Sum of absolute differences / 1000; lower is better. Rhemann et al. 2009."""
    return float(np.abs(_difference(alpha, truth)).sum()) / 1e3


def grad(alpha: Alpha, truth: Alpha) -> float:
    """Sum of the squared differences of gradient magnitudes / 1000; lower is better. Rhemann et al. 2009.

    Gradients by first derivatives of a Gaussian (sigma 1.4) of unit L2 norm, as in their program; the
    mattes are not stretched to the full range first.
    """
    _same_shape(alpha, truth)
    return float(np.square(_gradient(alpha) - _gradient(truth)).sum()) / 1e3


def conn(alpha: Alpha, truth: Alpha) -> float:
    """Connectivity error / 1000; lower is better. Rhemann et al. 2009.

    A pixel's connectivity is 1 less how far it lies above the highest level (steps of 0.1) at which it
    still belongs to the largest 4-connected area that both mattes share; distances under 0.15 count as 0.
    """
    _same_shape(alpha, truth)
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


# --- sequences --------------------------------------------------------------------------------

class DtSSD:
    """sqrt(mean(((a_t - a_{t-1}) - (g_t - g_{t-1}))^2)), mean over t >= 1, x 1e2. 0: the matte changes just
    as the truth does. Erofeev et al. 2015."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._last: tuple[npt.NDArray[np.float64], Mask | None] | None = None

    def add(self, alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float | None:
        """The frame's own value, None for the first. A pixel counts if it is ignored in neither frame."""
        error, last = _difference(alpha, truth), self._last
        self._last = error, ignore
        if last is None:
            return None
        unknown = ignore if last[1] is None else last[1] if ignore is None else last[1] | ignore
        self.values.append(1e2 * math.sqrt(_mean(np.square(error - last[0]), unknown)))
        return self.values[-1]

    def result(self) -> float:
        """nan before the second frame."""
        return _average(self.values)


class WarpingError:
    """Mean over t and unoccluded pixels of (a_t - warp(a_{t-1}))^2; needs no truth. 0..1, lower is better.

    Flow by DIS (medium) between the pictures. A pixel is occluded where |wf + wb|^2 > 0.01 (|wf|^2 + |wb|^2)
    + 0.5, or if it comes from outside the picture. Lai et al. 2018.
    """

    def __init__(self) -> None:
        self.values: list[float] = []
        self._last: tuple[Alpha, Luma] | None = None
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def add(self, alpha: Alpha, luma: Luma) -> float | None:
        """The frame's own value, None for the first, where every pixel is occluded, and where a side is under
        16 pixels, of which no flow can be had (DIS ends the process there)."""
        _same_shape(alpha, luma)
        if min(luma.shape) < 16:
            return None
        luma = luma.copy()  # DIS takes no strided view, as a decoded picture's planes are
        last, self._last = self._last, (np.array(alpha, np.float32), luma)
        if last is None:
            return None
        back = self._flow.calc(luma, last[1], None)  # type: ignore[call-overload]
        forth = self._flow.calc(last[1], luma, None)  # type: ignore[call-overload]
        rows, columns = np.indices(luma.shape, np.float32)
        x, y = columns + back[..., 0], rows + back[..., 1]
        forth = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        gap = np.square(back + forth).sum(axis=2)
        seen = gap <= 0.01 * (np.square(back).sum(axis=2) + np.square(forth).sum(axis=2)) + 0.5
        seen &= (x >= 0) & (y >= 0) & (x <= luma.shape[1] - 1) & (y <= luma.shape[0] - 1)
        if not seen.any():
            return None
        warped = cv2.remap(last[0], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self.values.append(float(np.square(alpha - warped)[seen].mean(dtype=np.float64)))
        return self.values[-1]

    def result(self) -> float:
        """nan before the second frame."""
        return _average(self.values)


class Flicker:
    """Parts per million of the pixels whose label goes A-B-A over three frames, among those whose luma
    stays within less than 4/255 over the three; needs no truth. Lower is better."""

    def __init__(self) -> None:
        self.flips = self.still = 0
        self._past: deque[tuple[Mask, Luma]] = deque(maxlen=2)

    def add(self, alpha: Alpha, luma: Luma) -> float | None:
        """The frame's own ppm, None for the first two and where nothing is still."""
        _same_shape(alpha, luma)
        label = alpha >= 0.5
        value = None
        if len(self._past) == 2:
            (oldest, y0), (middle, y1) = self._past
            low = cv2.min(cv2.min(y0, y1), luma)
            high = cv2.max(cv2.max(y0, y1), luma)
            steady = cv2.subtract(high, low) < STILL
            flips = int(np.count_nonzero((oldest == label) & (middle != label) & steady))
            still = int(np.count_nonzero(steady))
            self.flips += flips
            self.still += still
            value = 1e6 * flips / still if still else None
        self._past.append((label, luma.copy()))
        return value

    def result(self) -> float:
        """nan where nothing was still over three frames."""
        return 1e6 * self.flips / self.still if self.still else math.nan


class Lag:
    """By how many frames a matte trails the truth: the k with the highest correlation of a_t and g_{t-k}.

    Correlations run over all pixels and the same frames for every k of -reach..reach; of equal peaks, as a
    subject has who goes to and fro, the one nearest to no lag counts. A parabola through the peak and its
    neighbours gives the fraction, unless the matte is the truth of another frame. Positive: the matte is
    late. Needs a moving subject.
    """

    def __init__(self, reach: int = 4) -> None:
        self.reach = reach
        self._truths: deque[npt.NDArray[np.float64]] = deque(maxlen=2 * reach + 1)
        self._alphas: deque[npt.NDArray[np.float64]] = deque(maxlen=reach + 1)
        # rows: sums of g, g^2, a g for each k; a and a^2 are the same for all
        self._sums = np.zeros((3, 2 * reach + 1))
        self._alpha_sums = np.zeros(3)

    def add(self, alpha: Alpha, truth: Alpha) -> None:
        _same_shape(alpha, truth)
        self._alphas.append(np.array(alpha, np.float64).ravel())
        self._truths.append(np.array(truth, np.float64).ravel())
        if len(self._truths) < 2 * self.reach + 1:
            return
        middle = self._alphas[0]
        self._alpha_sums += np.array([middle.size, middle.sum(), middle @ middle])
        for place, other in enumerate(self._truths):
            self._sums[:, place] += other.sum(), other @ other, middle @ other

    def correlations(self) -> npt.NDArray[np.float64]:
        """(2 reach + 1,) for k = reach .. -reach, as the truths lie in time; nan where one is constant."""
        (count, a, aa), (g, gg, ag) = self._alpha_sums, self._sums
        with np.errstate(invalid="ignore", divide="ignore"):
            return (ag - a * g / count) / np.sqrt((aa - a * a / count) * (gg - g * g / count))

    def result(self) -> float:
        """Frames; nan if the truth does not move or the clip is shorter than 2 reach + 1 frames."""
        values = self.correlations()
        if not np.isfinite(values).all() or np.ptp(values) < EQUAL:
            return math.nan
        peaks = np.flatnonzero(values >= values.max() - EQUAL)
        place = int(peaks[np.abs(peaks - self.reach).argmin()])
        lag = float(self.reach - place)
        if 0 < place < len(values) - 1 and values[place] < 1 - EQUAL:
            before, peak, after = values[place - 1:place + 2]
            bend = before - 2 * peak + after
            if bend < -EQUAL:  # else it is flat there, and has no vertex
                lag -= 0.5 * (before - after) / bend
        return lag


# --- parts ------------------------------------------------------------------------------------

def _same_shape(alpha: npt.NDArray[Any], other: npt.NDArray[Any]) -> None:
    if alpha.shape != other.shape:
        raise ValueError(f"a matte of shape {alpha.shape} cannot be compared with {other.shape}: "
                         "bring it to the truth's size first")


def _labels(alpha: Alpha, truth: Alpha, ignore: Mask | None) -> tuple[Mask, Mask]:
    _same_shape(alpha, truth)
    predicted, true = alpha >= 0.5, truth >= 0.5
    if ignore is None:
        return predicted, true
    _same_shape(alpha, ignore)
    return predicted & ~ignore, true & ~ignore


def _iou(first: Mask, second: Mask) -> float:
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else 1.0


def _difference(alpha: Alpha, truth: Alpha) -> npt.NDArray[np.float64]:
    _same_shape(alpha, truth)
    return np.subtract(alpha, truth, dtype=np.float64)


def _mean(values: npt.NDArray[np.float64], ignore: Mask | None) -> float:
    if ignore is not None:
        _same_shape(values, ignore)
        values = values[~ignore]
    return float(values.mean()) if values.size else 0.0


def _average(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan


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
