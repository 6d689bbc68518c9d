"""Pixel formats and colour: how a picture lies in planes, and what its samples mean.

Working pixel formats (``FORMATS``) are planar: yuv420p, yuv422p, yuv444p with 8, 10 or 12 bits, gbrp (planes
in the order G, B, R) with 8, 10, 12 or 16 bits, and gray with 8, 10, 12 or 16 bits for mattes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from . import matrices

FULL, LIMITED = 2, 1  # a Colour's range, numbered as FFmpeg does
Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """A planar layout. ``sx``, ``sy``: how many luma pixels a chroma sample spans (1 or 2)."""

    name: str
    planes: int
    depth: int
    sx: int
    sy: int
    rgb: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 for 8 bits, uint16 (native little endian, values in the low bits) above."""
        return np.dtype(np.uint8 if self.depth == 8 else np.uint16)

    @property
    def peak(self) -> int:
        """The largest sample value, 255 for 8 bits."""
        return (1 << self.depth) - 1

    def shape(self, plane: int, width: int, height: int) -> tuple[int, int]:
        """(rows, columns) of a plane; chroma of odd sizes is rounded up, as FFmpeg does."""
        if plane == 0:
            return height, width
        return -(-height // self.sy), -(-width // self.sx)


def _formats() -> dict[str, PixelFormat]:
    made = []
    for name, sx, sy in (("yuv420p", 2, 2), ("yuv422p", 2, 1), ("yuv444p", 1, 1)):
        made += [PixelFormat(name + tail, 3, depth, sx, sy, False) for depth, tail in _depths(8, 10, 12)]
    made += [PixelFormat("gbrp" + tail, 3, depth, 1, 1, True) for depth, tail in _depths(8, 10, 12, 16)]
    made += [PixelFormat("gray" + tail.replace("p", ""), 1, depth, 1, 1, False)
             for depth, tail in _depths(8, 10, 12, 16)]
    return {item.name: item for item in made}


def _depths(*depths: int) -> list[tuple[int, str]]:
    return [(depth, "" if depth == 8 else f"{depth}le") for depth in depths]


FORMATS = _formats()


@dataclass(frozen=True, slots=True)
class Colour:
    """FFmpeg's colour tags as its integers (AVColorSpace, AVColorRange, ...); 2 (range: 0) = untagged."""

    matrix: int = 2
    range: int = 0
    primaries: int = 2
    transfer: int = 2

    @property
    def full_range(self) -> bool:
        """True for JPEG range 0..255; untagged YUV counts as limited, 16..235."""
        return self.range == 2

    def weights(self, height: int) -> tuple[float, float]:
        """(Kr, Kb) of the matrix; untagged pictures count as BT.601 below 720 lines, else BT.709."""
        luma = matrices.rows(self.matrix, self.primaries, self.transfer, height)[0]
        return float(luma[0]), float(luma[2])


@dataclass(frozen=True, slots=True)
class Mastering:
    """HDR10's metadata (SMPTE ST 2086, CTA-861.3).

    display   of the screen that a film was graded on: x and y of red, green, blue and white, then the light
              of its black and its white in cd/m2; None if unknown
    content   the film's brightest pixel and its brightest picture's average in cd/m2; None if unknown
    """

    display: tuple[Fraction, ...] | None
    content: tuple[int, int] | None


def yuv_from_rgb(colour: Colour, height: int, depth: int) -> npt.NDArray[np.float64]:
    """The 3 x 4 affine map from RGB in [0, 1] to Y, Cb, Cr sample values (``matrices``)."""
    rows = matrices.rows(colour.matrix, colour.primaries, colour.transfer, height)
    unit = float(1 << (depth - 8))
    if colour.full_range:
        peak = float((1 << depth) - 1)
        scale, offset = np.array([peak, peak, peak]), np.array([0.0, 128 * unit, 128 * unit])
    else:
        scale, offset = np.array([219.0, 224.0, 224.0]) * unit, np.array([16.0, 128.0, 128.0]) * unit
    return np.concatenate([rows * scale[:, None], offset[:, None]], axis=1)


@lru_cache(maxsize=8)
def rgb_from_yuv(colour: Colour, height: int, depth: int) -> npt.NDArray[np.float64]:
    """The inverse of ``yuv_from_rgb``, 3 x 4; kept, since each frame of a film wants the same; not to be written to."""
    forward = yuv_from_rgb(colour, height, depth)
    inverse = np.linalg.inv(forward[:, :3])
    made = np.concatenate([inverse, -inverse @ forward[:, 3:]], axis=1)
    made.setflags(write=False)
    return made
