"""Colours between RGB and a frame's planes, and smooth pictures at small size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.frames import Frame
from ..core.opencv import cv2
from ..core.pixel_formats import yuv_from_rgb
from ..core.resampling import shrink
from . import light

Array = npt.NDArray[Any]
Floats = npt.NDArray[Any]  # float32; OpenCV's stubs promise less


def from_rgb(frame: Frame) -> npt.NDArray[np.float64]:
    """(planes, 4): the affine map from RGB in [0, 1] to the sample values of ``frame``'s planes.

    ITU-R BT.601, 709 or 2020 in full or limited range as its tags say; gray has the row of Y.
    """
    pixel = frame.pixel
    if pixel.rgb:
        rows = np.zeros((3, 4))
        rows[[0, 1, 2], [1, 2, 0]] = pixel.peak
        return rows
    return yuv_from_rgb(frame.colour, frame.height, pixel.depth)[:pixel.planes]


def to_rgb(frame: Frame) -> npt.NDArray[np.float64]:
    """(3, planes + 1): the inverse, from sample values to RGB in [0, 1]; gray has three equal rows."""
    forward = from_rgb(frame)
    if len(forward) == 1:
        scale = 1.0 / forward[0, :3].sum()
        return np.tile([scale, -forward[0, 3] * scale], (3, 1))
    inverse = np.linalg.inv(forward[:, :3])
    return np.concatenate([inverse, -inverse @ forward[:, 3:]], axis=1)


def sample_values(rgb: tuple[int, int, int], frame: Frame) -> tuple[int, ...]:
    """The sample value in each plane of ``frame`` that is the colour ``rgb`` (sRGB, 0..255); in HDR white
    is diffuse white."""
    shares = np.array([[rgb]]) / 255
    if light.is_hdr(frame.colour):
        shares = light.signal(shares, frame.colour)
    values = from_rgb(frame) @ [*shares.ravel(), 1.0]
    return tuple(int(value) for value in np.clip(np.rint(values), 0, frame.pixel.peak))


def small_planes(frame: Frame, size: tuple[int, int]) -> list[Floats]:
    """float32 (h, w) sample values of each plane at ``size`` (width, height), areas averaged."""
    return [shrink(plane, size).astype(np.float32) for plane in frame.planes]


def whole_numbers(values: Floats, peak: int) -> Array:
    """``values`` rounded, within 0..``peak``: uint8 for 255, uint16 above."""
    if peak == 255:
        return cv2.convertScaleAbs(np.maximum(values, 0))
    return np.clip(np.rint(values), 0, peak).astype(np.uint16)


def blend(front: Array, back: Array, alpha: Array, peak: int) -> Array:
    """front x alpha + back x (1 - alpha), all of one shape and dtype, values and alpha 0..``peak``.

    Exact where alpha is 0 or ``peak``, within 1 elsewhere (two products, each rounded).
    """
    rest = np.subtract(front.dtype.type(peak), alpha)
    return cv2.add(cv2.multiply(front, alpha, scale=1.0 / peak), cv2.multiply(back, rest, scale=1.0 / peak))


def enlarge(samples: Array, plane: Array) -> None:
    """Fill ``plane`` from ``samples``, of its dtype and any size, bilinear (areas where it shrinks)."""
    height, width = plane.shape
    if samples.shape[0] <= height and samples.shape[1] <= width:
        # straight into the encoder's memory
        cv2.resize(samples, (width, height), dst=plane, interpolation=cv2.INTER_LINEAR)
    else:
        np.copyto(plane, shrink(samples, (width, height)))
