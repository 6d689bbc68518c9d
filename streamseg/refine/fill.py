"""What is known in a part of a picture, extended over the rest of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.opencv import cv2

Floats = npt.NDArray[Any]  # float32; OpenCV's stubs promise less
_TINY = np.float32(1e-6)
# OpenCV resizes images of up to four channels: three planes and their weight.
_TOGETHER = 3
_COARSE = 8  # samples a way: over fewer, what is not known is the mean of all that is


def fill(planes: Sequence[npt.NDArray[Any]], weight: Floats, *, scale: float = 1.0,
         halved: bool = False) -> list[Floats]:
    """``planes`` ((h, w), float32, uint8 or uint16) times ``scale`` where ``weight`` (float32 (h, w), 0..1) is 1,
    extended from there elsewhere.

    Push and pull (Gortler et al. 1996, 'The lumigraph'): weighted means over ever larger areas, and from
    the largest back, each scale laid over the next coarser one by its own weight. Zeros if the weight is 0
    everywhere. ``halved``: the way back ends one scale early, at half the size (rounded up),
    in half the time.
    """
    made: list[Floats] = []
    for first in range(0, len(planes), _TOGETHER):
        group = planes[first:first + _TOGETHER]
        made += channels(extended(weighted(group, weight, scale), halved=halved), len(group))
    return made


def weighted(planes: Sequence[npt.NDArray[Any]], weight: Floats, scale: float) -> Floats:
    """float32 (h, w, planes + 1): up to three planes times ``scale`` and ``weight``, and the weight."""
    # what is blended and divided alike stays a mean
    return cv2.merge([*(cv2.multiply(plane, weight, scale=scale, dtype=cv2.CV_32F) for plane in planes), weight])


def extended(image: Floats, *, halved: bool = False) -> Floats:
    """``fill`` of what ``weighted`` gives, all planes in one picture, with a weight of 1."""
    return _pulled(_pushed(_halved(image) if halved else image))


def channels(image: Floats, count: int) -> list[Floats]:
    """The first ``count`` channels of a picture, contiguous: for small ones in a quarter of cv2.split's time."""
    return [np.ascontiguousarray(image[..., number]) for number in range(count)]


def _pushed(image: Floats) -> list[Floats]:
    """The scales of ``image``, to one of _COARSE samples a way at most."""
    levels = [image]
    while max(image.shape[:2]) > _COARSE:
        image = _halved(image)
        levels.append(image)
    return levels


def _pulled(levels: list[Floats]) -> Floats:
    made: Floats = levels[-1].mean(axis=(0, 1), keepdims=True)
    made /= np.maximum(made[..., -1:], _TINY)
    while levels:
        known = levels.pop()
        coarse = cv2.resize(made, (known.shape[1] + 1 & ~1, known.shape[0] + 1 & ~1),
                            interpolation=cv2.INTER_LINEAR)[:known.shape[0], :known.shape[1]]
        rest = cv2.merge([1 - known[..., -1]] * known.shape[2])
        made = cv2.add(known, cv2.multiply(coarse, rest, dst=rest), dst=rest)
    return made


def _halved(image: Floats) -> Floats:
    down, across = image.shape[0] % 2, image.shape[1] % 2
    if down or across:  # with samples of weight 0
        image = cv2.copyMakeBorder(image, 0, down, 0, across, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    mean = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    # one sure sample of four makes the coarse one sure
    gain = cv2.merge([1 / np.maximum(mean[..., -1], np.float32(0.25))] * mean.shape[2])
    return cv2.multiply(mean, gain, dst=gain)
