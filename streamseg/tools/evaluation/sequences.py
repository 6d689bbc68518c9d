"""The figures by which the mattes of a sequence are judged: classes that are fed frame by frame.

Arguments are as in ``metrics``. ``luma`` is the picture's brightness, uint8 ``(h, w)`` at the truth's size. All raise
ValueError where shapes differ.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from ...core.opencv import cv2
from .metrics import Alpha, Mask, difference, mean_of, same_shape

Luma = npt.NDArray[np.uint8]

STILL = 4  # levels of 255: a pixel that changes by less shows the same thing, but for camera noise
EQUAL = 1e-9  # correlations that differ by less are equal but for rounding


class DtSSD:
    """sqrt(mean(((a_t - a_{t-1}) - (g_t - g_{t-1}))^2)), mean over t >= 1, x 1e2. 0: the matte changes just
    as the truth does. Erofeev et al. 2015."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._last: tuple[npt.NDArray[np.float64], Mask | None] | None = None

    def add(self, alpha: Alpha, truth: Alpha, ignore: Mask | None = None) -> float | None:
        """The frame's own value, None for the first. A pixel counts if it is ignored in neither frame."""
        error, last = difference(alpha, truth), self._last
        self._last = error, ignore
        if last is None:
            return None
        unknown = ignore if last[1] is None else last[1] if ignore is None else last[1] | ignore
        self.values.append(1e2 * math.sqrt(mean_of(np.square(error - last[0]), unknown)))
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
        same_shape(alpha, luma)
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
        same_shape(alpha, luma)
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
        """Take one frame's mattes, all of one size. Raises ValueError where the two differ in shape."""
        same_shape(alpha, truth)
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


def _average(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan
