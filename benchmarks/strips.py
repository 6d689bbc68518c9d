"""Pictures of three frames at the rim, before and after smoothing, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from streamseg.core.frames import Frame, Matte
from streamseg.core.geometry import resize
from streamseg.core.opencv import cv2

_SIDE, _ZOOM, _GREEN = 112, 3, (40, 177, 36)
Pairs = list[tuple[Frame, Matte]]


def write_strip(path: Path, before: Pairs, after: Pairs) -> None:
    """A PNG of three columns, consecutive frames, and three rows: the picture, and the subject on green with
    the mattes ``before`` and ``after``. Shown is the place where those before flip most to and fro."""
    middle, x, y = _worst(before)
    columns = []
    for index in range(middle - 1, middle + 2):
        rgb = before[index][0].rgb()
        cells = [rgb, *(_on_green(rgb, pairs[index][1]) for pairs in (before, after))]
        columns.append(np.vstack([_around(cell, x, y) for cell in cells]))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack(columns)[..., ::-1])


def _worst(pairs: Pairs) -> tuple[int, float, float]:
    """(index, x, y), the place as parts of width and height, of the largest A-B-A in the mattes."""
    found = (-1.0, 1, 0.5, 0.5)
    for index in range(1, len(pairs) - 1):
        first, here, last = (pairs[index + step][1].alpha for step in (-1, 0, 1))
        flips = cv2.blur(np.maximum(np.abs(here - (first + last) / 2) - np.abs(first - last), 0), (15, 15))
        row, column = np.unravel_index(int(flips.argmax()), flips.shape)
        found = max(found, (float(flips.max()), index, (column + 0.5) / flips.shape[1],
                            (row + 0.5) / flips.shape[0]))
    return found[1], found[2], found[3]


def _on_green(rgb: npt.NDArray[Any], matte: Matte) -> npt.NDArray[Any]:
    alpha = resize(matte.alpha, (rgb.shape[0], rgb.shape[1]))[..., None]
    return np.rint(rgb * alpha + np.array(_GREEN) * (1 - alpha)).astype(np.uint8)


def _around(rgb: npt.NDArray[Any], x: float, y: float) -> npt.NDArray[Any]:
    """The cell round a place, enlarged, with a black edge."""
    height, width = rgb.shape[:2]
    left = min(max(round(x * width) - _SIDE // 2, 0), max(width - _SIDE, 0))
    top = min(max(round(y * height) - _SIDE // 2, 0), max(height - _SIDE, 0))
    part = rgb[top:top + _SIDE, left:left + _SIDE]
    large = cv2.resize(part, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_NEAREST)
    return cv2.copyMakeBorder(large, 2, 2, 2, 2, cv2.BORDER_CONSTANT)
