"""A matte with strokes in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.area import whole
from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from .marks import Stroke

# As the studio's page has it (studio/static/strokes.js)
ALIKE, DIFFERENT = 26.0, 62.0  # distance in RGB (0..255 each) up to which, and from which on, a pixel belongs, or not
CORE = 0.35  # of the radius: what the pointer itself went over always belongs to the stroke
_FINER = 4   # samples drawn for each of the mask
_SHIFT = 4   # bits of OpenCV's fractions of pixels


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A stroke in one frame. ``points`` float32 (n, 2), x and y as shares of the picture's sides, NaN where one has
    left the picture; ``colours`` uint8 (m, 3) RGB: those that it takes, None: all."""

    stroke: Stroke
    points: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8] | None = None


def painted(matte: Matte, frame: Frame, strokes: Sequence[Placed]) -> Matte:
    """The matte of a frame with strokes in it; where they overlap, the last holds."""
    if not strokes:
        return matte
    matte = whole(matte, frame)
    alpha: Any = matte.alpha
    for placed in strokes:
        mask = _mask(placed, frame, alpha.shape)
        goal = np.float32(1 if placed.stroke.kind == "keep" else 0)
        alpha = alpha + (goal - alpha) * mask
    return replace(matte, alpha=np.clip(alpha, 0, 1).astype(np.float32))


def _mask(placed: Placed, frame: Frame, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """float32 (h, w): 1 within a stroke."""
    line = _line(placed, shape, 1.0)
    if placed.colours is None:
        return line
    picture = frame.rgb((shape[1], shape[0])).astype(np.float32)
    nearest = np.full(shape, np.inf, np.float32)
    for colour in placed.colours.astype(np.float32):
        np.minimum(nearest, ((picture - colour) ** 2).sum(axis=2), out=nearest)
    alike = np.clip((DIFFERENT - np.sqrt(nearest)) / (DIFFERENT - ALIKE), 0, 1)
    return np.maximum(line * alike, _line(placed, shape, CORE)).astype(np.float32)


def _line(placed: Placed, shape: tuple[int, int], share: float) -> npt.NDArray[np.float32]:
    """The line through a stroke's points, as wide as ``share`` of it."""
    rows, columns = shape
    canvas = np.zeros((rows * _FINER, columns * _FINER), np.uint8)
    scale = np.array([canvas.shape[1], canvas.shape[0]], np.float32)
    points = placed.points[np.isfinite(placed.points).all(axis=1)] * scale
    radius = max(_FINER / 2, placed.stroke.radius * share * canvas.shape[1])
    fixed = np.round((points - 0.5) * (1 << _SHIFT)).astype(np.int32)
    if len(fixed) > 1:
        cv2.polylines(canvas, [fixed[:, None]], False, 255, max(1, round(2 * radius)), cv2.LINE_8, _SHIFT)
    for x, y in (fixed[0], fixed[-1]):
        cv2.circle(canvas, (int(x), int(y)), round(radius * (1 << _SHIFT)), 255, cv2.FILLED, cv2.LINE_8, _SHIFT)
    small: Any = cv2.resize(canvas, (columns, rows), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / np.float32(255)
