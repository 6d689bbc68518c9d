"""Taking a key colour's reflection out of the subject.

The usual limit, 'green no more than red or blue' (Wright, 'Digital Compositing for Film and Video',
ch. 4), for any key: its dominant channels may be no stronger than the strongest of the others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..background import from_rgb, small_planes, to_rgb
from ..core.frames import Frame
from ..core.opencv import cv2

Array = npt.NDArray[Any]


class Despill:
    """``despill(frame)``: the frame with the hue of ``key`` (RGB, 0..255) limited; memory of its own."""

    def __init__(self, key: tuple[int, int, int]) -> None:
        middle = (max(key) + min(key)) / 2
        self._strong = [channel for channel in range(3) if key[channel] > middle]
        self._weak = [channel for channel in range(3) if key[channel] <= middle]

    def __call__(self, frame: Frame) -> Frame:
        if not self._strong or frame.pixel.planes == 1:
            return frame  # a grey key, or a grey picture: there is no hue
        pixel = frame.pixel
        size = frame.planes[1].shape[1], frame.planes[1].shape[0]
        excess = self._excess(cv2.transform(cv2.merge(small_planes(frame, size)), to_rgb(frame)))
        # the planes' change for one unit less in each strong channel
        change = -from_rgb(frame)[:, self._strong].sum(axis=1)
        planes = []
        for number, plane in enumerate(frame.planes):
            part: Array = excess
            if plane.shape != excess.shape:
                part = cv2.resize(excess, (plane.shape[1], plane.shape[0]), interpolation=cv2.INTER_LINEAR)
            planes.append(_changed(plane, part, float(change[number]), pixel.peak))
        return replace(frame, planes=tuple(planes), owner=None)

    def _excess(self, rgb: Array) -> Array:
        channels = cv2.split(rgb)
        strong = np.minimum.reduce([channels[item] for item in self._strong])
        weak = np.maximum.reduce([channels[item] for item in self._weak])
        return np.maximum(strong - weak, 0)


def _changed(plane: Array, excess: Array, change: float, peak: int) -> Array:
    return np.clip(np.rint(plane + excess * np.float32(change)), 0, peak).astype(plane.dtype)
