"""What is kept of a matte, at its own size, and what the user does to its edge, at the picture's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.area import Area
from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from ..core.resampling import shrink
from ..options import EdgeOptions
from ..temporal import MotionTracker
from .tiles import Array

Alpha = npt.NDArray[np.float32]

# Alpha from which samples hang together, when specks and pinholes are looked for.
_FAINT = 0.1
# Sums of alpha, as shares of the picture, below which a part is a speck or a pinhole: a square of 46 pixels
# at 1080p, and one of 25. A person in the far distance is larger; the gap between arm and body mostly is.
_SPECK, _PINHOLE = 1e-3, 3e-4
# Small parts from which on their sums are taken in one pass over the matte
_MANY = 16
# By how much another subject must be ahead before it takes the place of the one kept so far.
_LOYALTY = 1.5
# How steep alpha is at a hard edge: from 0 to 1 within an eighth of its range.
_RAMP = 1 / 8


class Selection:
    """``selection(matte, frame)``: the matte without specks and pinholes, and of the subjects those wanted.

    subject   "all", "largest" (by area) or "center" (by what it fills of the picture's middle)
    clean     whether specks and pinholes go. They fade with their size, so that nothing blinks
    steady    whether the subject of the frame before is preferred, but over a cut: not for stills
    """

    def __init__(self, subject: str, *, clean: bool, steady: bool) -> None:
        self._subject, self._clean, self._steady = subject, clean, steady
        self._kept: npt.NDArray[np.bool_] | None = None
        self._tracker = MotionTracker()

    def __call__(self, matte: Matte, frame: Frame) -> Matte:
        alpha = matte.alpha
        if self._clean:
            alpha = _without_small(alpha, _SPECK)
            rest = 1 - alpha
            kept = _without_small(rest, _PINHOLE)
            alpha = alpha if kept is rest else 1 - kept
        if self._subject != "all":
            if not self._steady or self._tracker.of(frame).cut:
                self._kept = None
            alpha = self._one(alpha)
        return matte if alpha is matte.alpha else replace(matte, alpha=alpha)

    def _one(self, alpha: Alpha) -> Alpha:
        """``alpha`` of one subject: what is nearer to another one's solid part is 0."""
        solid = (alpha >= 0.5).astype(np.uint8)
        count, labels = cv2.connectedComponents(solid)
        if count <= 2:
            self._kept = labels > 0
            return alpha
        worth = np.ones(alpha.shape) if self._subject == "largest" else _middle(alpha.shape)
        score = np.bincount(labels.ravel(), worth.ravel(), count)
        score[0] = -1
        if self._kept is not None and self._kept.shape == alpha.shape:
            shared = np.bincount(labels[self._kept], minlength=count)
            shared[0] = 0
            if shared.any():
                score[shared.argmax()] *= _LOYALTY
        self._kept = labels == score.argmax()
        _, nearest = cv2.distanceTransformWithLabels(1 - solid, cv2.DIST_L2, 5,
                                                     labelType=cv2.DIST_LABEL_CCOMP)
        return np.where(nearest == nearest[self._kept][0], alpha, np.float32(0))


class Edge:
    """What the options do to an alpha plane (h, w), uint8 or uint16: first ``cut``, then ``widened``, ``feathered``
    and ``confined``. With ``invert`` alpha is 1 outside the subject, and it is the subject's edge that is changed.

    cuts, widens, feathers    whether there is anything to do
    """

    def __init__(self, options: EdgeOptions) -> None:
        self._threshold, self._erode, self._feather = options.threshold, options.erode, options.feather
        self._reach, self._invert = options.feather_out, options.invert
        self._area = None if options.roi is None else Area(options.roi)
        self.cuts, self.feathers = self._threshold is not None or bool(self._erode), bool(self._feather)
        self.widens = bool(self._reach)

    def cut(self, alpha: Array, peak: int) -> Array:
        """``alpha`` after ``threshold``, then ``erode``."""
        if not self.cuts:
            return alpha
        return self._turned(self._cut(self._turned(alpha, peak), peak), peak)

    def widened(self, alpha: Array, peak: int) -> Array:
        """``alpha`` after ``feather_out``."""
        if not self.widens:
            return alpha
        return self._turned(_widened(self._turned(alpha, peak), self._reach, peak), peak)

    def confined(self, alpha: Array, peak: int) -> Array:
        """``alpha`` after ``roi``: what was done to the edge does not leave it."""
        return alpha if self._area is None else self._area.clear_outside(alpha, peak if self._invert else 0)

    def _turned(self, alpha: Array, peak: int) -> Array:
        return np.subtract(alpha.dtype.type(peak), alpha) if self._invert else alpha

    def _cut(self, alpha: Array, peak: int) -> Array:
        if self._threshold is not None:
            low, high = max(0.0, self._threshold - _RAMP / 2), min(1.0, self._threshold + _RAMP / 2)
            ramp = (alpha.astype(np.float32) / peak - low) / (high - low)
            alpha = np.rint(np.clip(ramp, 0, 1) * peak).astype(alpha.dtype)
        if self._erode:
            alpha = _shrunk(alpha, abs(self._erode), cv2.erode if self._erode > 0 else cv2.dilate)
        return alpha

    def feathered(self, alpha: Array) -> Array:
        """``alpha`` after ``feather``."""
        if not self._feather:
            return alpha
        # to two deviations from the edge there is hardly anything left of a step
        return cv2.GaussianBlur(alpha, (0, 0), self._feather / 2, borderType=cv2.BORDER_REPLICATE)


def _widened(alpha: Array, reach: float, peak: int) -> Array:
    """``alpha``, raised outside the subject (alpha from one half on) to what falls from the peak to 0 over ``reach``
    pixels, with no bend at either end."""
    solid = (alpha >= (peak + 1) // 2).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(solid)
    if not width:
        return alpha
    far = int(np.ceil(reach)) + 1
    rows = slice(max(0, top - far), top + height + far)
    columns = slice(max(0, left - far), left + width + far)
    away: Any = cv2.distanceTransform(1 - solid[rows, columns], cv2.DIST_L2, 5)
    share = np.clip(1 - (away - 0.5) / np.float32(reach + 0.5), 0, 1)  # a pixel's middle lies half of one outside
    made = alpha.copy()
    made[rows, columns] = np.maximum(alpha[rows, columns],
                                     np.rint(share * share * (3 - 2 * share) * peak).astype(alpha.dtype))
    return made


def _shrunk(alpha: Array, pixels: float, step: Callable[..., Array]) -> Array:
    """``alpha`` eroded or dilated by an octagon of this radius; the picture's edge is no edge of the subject.

    Steps of 3 x 3, a cross and a square in turns: 0.2 ms each at 1080p, where one ellipse of radius 10 took
    60. The last step is taken in part where ``pixels`` is not whole.
    """
    shapes = [cv2.getStructuringElement(shape, (3, 3)) for shape in (cv2.MORPH_CROSS, cv2.MORPH_RECT)]
    whole = int(pixels)
    for number in range(whole):
        alpha = step(alpha, shapes[number % 2])
    part = pixels - whole
    return cv2.addWeighted(step(alpha, shapes[whole % 2]), part, alpha, 1 - part, 0) if part else alpha


def _without_small(alpha: Alpha, least: float) -> Alpha:
    """``alpha`` less its separate parts whose sum is under ``least`` of the picture; fully kept from half as
    much again, fully gone under half."""
    # At half the size, in a quarter of the time; one sample of four is not overlooked there.
    coarse = shrink(alpha, (-(-alpha.shape[1] // 2), -(-alpha.shape[0] // 2)))
    least *= coarse.size
    # in half the time with labels of 16 bits; of four samples at most one begins a part
    kind = cv2.CV_16U if coarse.size < 4 << 16 else cv2.CV_32S
    count, labels, stats, _ = cv2.connectedComponentsWithStats((coarse > _FAINT / 4).astype(np.uint8), ltype=kind)
    small = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] * _FAINT / 4 < 1.5 * least)
    if not small.size:
        return alpha  # mostly so: all parts are large, whatever their samples are
    keep = np.ones(count, np.float32)
    if small.size < _MANY:
        for label in small:
            left, top, width, height, _ = stats[label]
            box = slice(top, top + height), slice(left, left + width)
            total = coarse[box].sum(where=labels[box] == label, dtype=np.float64)
            keep[label] = np.clip(total / least - 0.5, 0, 1)
    else:
        sums = np.bincount(labels.ravel(), coarse.ravel(), count)
        keep = np.clip(sums / least - 0.5, 0, 1).astype(np.float32)
    keep[0] = 1
    if (keep == 1).all():
        return alpha
    share: Any = keep.take(np.asarray(labels))
    # a part's fringe is fainter than what was labelled, one sample wide
    share = np.where(labels == 0, cv2.erode(share, np.ones((3, 3), np.uint8)), share)
    return alpha * cv2.resize(share, alpha.shape[::-1], interpolation=cv2.INTER_NEAREST)


def _middle(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """(h, w) weights: a Gaussian in the picture's middle, an eighth of its sides wide."""
    down, across = (np.exp(-0.5 * ((np.arange(side) + 0.5) / side - 0.5) ** 2 / 0.125 ** 2) for side in shape)
    return down[:, None] * across
