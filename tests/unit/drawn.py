"""Frames and mattes with known content, for the tests of the compositor. All arrays are write-protected:
a stage that changes what it was given fails."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from streamseg.core.frames import Frame, Matte, VideoInfo
from streamseg.core.pixel_formats import FORMATS, Colour
from streamseg.refine.tiles import ROWS, columns_for

COLOUR_FORMATS = [name for name in FORMATS if not name.startswith("gray")]
SIZES = [(160, 120), (161, 121), (120, 160)]  # whole tiles, sides that are multiples of nothing, upright


def locked(array: Any) -> Any:
    array.flags.writeable = False
    return array


def frame(format: str = "yuv420p", size: tuple[int, int] = (160, 120), seed: int = 0, *,
          values: tuple[int, ...] | None = None, **extra: Any) -> Frame:
    """Noise from end to end of the range, or one value a plane."""
    rng, pixel = np.random.default_rng(seed), FORMATS[format]
    planes = []
    for number in range(pixel.planes):
        shape = pixel.shape(number, *size)
        made = rng.integers(0, pixel.peak + 1, shape) if values is None else np.full(shape, values[number])
        planes.append(locked(made.astype(pixel.dtype)))
    given = {"time_base": Fraction(1, 1000), "index": 3, "pts": 120, "duration": 40, "name": "a.png",
             "packets": ("packet",), "colour": Colour(1, 1, 1, 1)} | extra
    return Frame(tuple(planes), format, **given)


def with_alpha(given: Frame, alpha: Any) -> Frame:
    return replace(given, alpha=locked(alpha.astype(given.pixel.dtype)))


def matte(size: tuple[int, int] = (40, 30), soft: float = 4.0) -> Matte:
    """A disc in the middle with a ramp ``soft`` samples wide; exact 0 and 1 beyond it."""
    width, height = size
    down, across = np.mgrid[0:height, 0:width]
    away = np.hypot(down - (height - 1) / 2, across - (width - 1) / 2)
    return Matte(locked(np.clip((height * 0.33 - away) / soft + 0.5, 0, 1).astype(np.float32)))


def uniform(value: float, size: tuple[int, int] = (8, 6)) -> Matte:
    return Matte(locked(np.full(size[::-1], value, np.float32)))


def info(given: Frame, **extra: Any) -> VideoInfo:
    return VideoInfo(given.width, given.height, given.format, given.time_base, **extra)


def bilinear(alpha: Any, size: tuple[int, int]) -> Any:
    """float64 bilinear resampling with half-pixel centres, edges repeated: the textbook's formula."""
    def axis(length: int, count: int) -> tuple[Any, Any, Any]:
        at = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, count - 1), at - low

    rows, next_rows, down = axis(size[1], alpha.shape[0])
    columns, next_columns, across = axis(size[0], alpha.shape[1])
    wide = alpha.astype(np.float64)
    wide = wide[:, columns] * (1 - across) + wide[:, next_columns] * across
    return wide[rows] * (1 - down[:, None]) + wide[next_rows] * down[:, None]


def block_means(plane: Any, sx: int, sy: int) -> Any:
    """float64 means over sy x sx samples, edges repeated: what subsampled chroma sees."""
    padded = np.pad(plane.astype(np.float64), ((0, -plane.shape[0] % sy), (0, -plane.shape[1] % sx)), "edge")
    return padded.reshape(padded.shape[0] // sy, sy, padded.shape[1] // sx, sx).mean((1, 3))


def spread(item: Any, given: Frame, number: int) -> Any:
    """float64 (h, w): a small map that covers ``given`` in whole tiles, at the pixels of plane ``number``."""
    columns = columns_for(given.width)
    sx, sy = (given.pixel.sx, given.pixel.sy) if number else (1, 1)
    size = -(-given.width // columns) * columns // sx, -(-given.height // ROWS) * ROWS // sy
    height, width = given.planes[number].shape
    return bilinear(item, size)[:height, :width]
