"""From a small matte to the alpha of every pixel.

Today by bilinear upsampling. An edge-aware way belongs in ``Cover.luma``: there, and only there, the
alpha of the rim's pixels is made, tile by tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..frames import Frame, Matte, shrink
from ..opencv import cv2
from .tiles import ROWS, Array, Rim, Tiles, columns_for, padded

__all__ = ["ROWS", "Cover", "Rim", "Tiles", "full_size", "padded"]

_ABREAST = 64


@dataclass(frozen=True, eq=False)
class Cover:
    """Where the subject is in one frame, known tile by tile.

    size     (width, height) of the frame
    peak     alpha that means wholly in: 255 for 8 bits
    alpha    uint8 or uint16, 0..peak, one value per ``zoom`` x ``zoom`` pixels; its sides are those of
             the frame, rounded up to whole tiles, divided by ``zoom``
    columns  of a tile: 16 or 8; its rows are ROWS
    inside   (tile rows, tile columns), True where every pixel of the tile has alpha = peak
    rim      the tiles that are neither inside nor outside
    """

    size: tuple[int, int]
    peak: int
    alpha: Array
    zoom: int
    columns: int
    inside: npt.NDArray[np.bool_]
    rim: Rim

    @classmethod
    def of(cls, frame: Frame, matte: Matte) -> Cover:
        """The cover of ``frame``; the frame's own alpha, if any, multiplies the matte."""
        width, height, pixel = frame.width, frame.height, frame.pixel
        small = _quantised(matte.alpha, pixel.peak)
        zoom, columns = _zoom(frame, small), columns_for(width)
        if zoom > 1:
            alpha = _resized(small, (width // zoom, height // zoom))
            # a pixel's value comes from the samples around it: one sample beyond the tile counts too
            ring = np.ones((3, 3), np.uint8)
            high, low = cv2.dilate(alpha, ring), cv2.erode(alpha, ring)
        else:
            alpha = _resized(small, (width, height))
            if frame.alpha is not None:
                alpha = cv2.multiply(alpha, frame.alpha, scale=1.0 / pixel.peak)
            alpha = high = low = padded(alpha, ROWS, columns)
        outside = _all_equal(high, 0, np.bitwise_or, ROWS // zoom, columns // zoom)
        inside = _all_equal(low, pixel.peak, np.bitwise_and, ROWS // zoom, columns // zoom)
        rim = Rim(*np.divmod(np.flatnonzero(~(inside | outside)), inside.shape[1]))
        return cls((width, height), pixel.peak, alpha, zoom, columns, inside, rim)

    @cached_property
    def luma(self) -> Array:
        """Alpha of the rim's tiles as a strip: (ROWS, n * columns), 0..peak."""
        if self.zoom == 1:
            return Tiles(self.alpha, ROWS, self.columns, self.rim).take()
        # Windows with a margin of one sample are enlarged across by one call and then down by one a row.
        # 64 of them abreast: side by side in one row they took 0.48 ms (OpenCV makes a table of coefficients
        # for each column), one under the other 0.50 (it works by rows), so 0.07.
        zoom, count = self.zoom, len(self.rim)
        high, wide = ROWS // zoom + 2, self.columns // zoom + 2
        edged = cv2.copyMakeBorder(self.alpha, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        start = np.zeros((-(-count // _ABREAST) * _ABREAST, 1), np.intp)
        start[:count, 0] = self.rim.down * ((high - 2) * edged.shape[1]) + self.rim.across * (wide - 2)
        lines = (np.arange(high) * edged.shape[1])[:, None, None] + start + np.arange(wide)
        windows = edged.reshape(-1).take(lines, mode="clip").reshape(-1, _ABREAST * wide)
        size = windows.shape[1] * zoom, windows.shape[0]
        large = cv2.resize(windows, size, interpolation=cv2.INTER_LINEAR)
        cut = large.reshape(high, -1, wide * zoom)[:, :count, zoom:-zoom].reshape(high, -1)
        made = np.empty((ROWS, cut.shape[1]), cut.dtype)
        for row in range(ROWS):
            at = (row + 0.5) / zoom + 0.5
            low = int(at)
            cv2.addWeighted(cut[low:low + 1], low + 1 - at, cut[low + 1:low + 2], at - low, 0,
                            dst=made[row:row + 1])
        return made

    def strip(self, sx: int, sy: int) -> Array:
        """Alpha of the rim's tiles for planes subsampled by sx, sy: means over the luma pixels that a
        chroma sample spans, (ROWS / sy, n * columns / sx)."""
        return shrink(self.luma, (self.luma.shape[1] // sx, ROWS // sy))

    def plane(self) -> Array:
        """(height, width) alpha of every pixel, 0..peak; memory of its own."""
        width, height = self.size
        if self.zoom == 1:
            return self.alpha[:height, :width].copy()
        made = np.zeros((height, width), self.alpha.dtype)
        tiles = Tiles(made, ROWS, self.columns, self.rim)
        tiles.fill(self.peak, self.inside)
        if len(self.rim):
            tiles.put(self.luma)
        return made

    def small(self, size: tuple[int, int]) -> Array:
        """Alpha, 0..peak, at ``size`` (width, height), areas averaged."""
        width, height = -(-self.size[0] // self.zoom), -(-self.size[1] // self.zoom)
        return shrink(self.alpha[:height, :width], size)


def full_size(matte: Matte, frame: Frame) -> Array:
    """The alpha plane of ``frame``: (height, width), the frame's dtype, 0..peak, bilinear.

    The frame's own alpha, if any, multiplies it.
    """
    return Cover.of(frame, matte).plane()


def _zoom(frame: Frame, small: Array) -> int:
    """4 or 2 where alpha may be kept at a fraction of the frame's size, a whole number of pixels a sample
    and no fewer samples than the matte has; else 1."""
    if frame.alpha is None and not frame.width % columns_for(frame.width) and not frame.height % ROWS:
        for zoom in (4, 2):
            if small.shape[0] * zoom <= frame.height and small.shape[1] * zoom <= frame.width:
                return zoom
    return 1


def _quantised(alpha: npt.NDArray[np.float32], peak: int) -> Array:
    if peak == 255:
        return cv2.convertScaleAbs(alpha, alpha=255.0)
    return np.rint(alpha * np.float32(peak)).astype(np.uint16)


def _resized(alpha: Array, size: tuple[int, int]) -> Array:
    larger = alpha.shape[0] >= size[1] and alpha.shape[1] >= size[0]
    return shrink(alpha, size) if larger else cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)


def _all_equal(alpha: Array, value: int, combine: np.ufunc, rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """(tile rows, tile columns): True where all samples of a tile are ``value``, 0 or the peak.

    Bits tell both ends exactly: the or of samples is 0 only where all are 0, the and is the peak (all
    bits set) only where all are. Up to eight samples at a time; numpy's reductions over axes that short
    took 0.35 ms a call for 480 x 270.
    """
    word = np.dtype(f"u{min(8, columns * alpha.itemsize)}")
    words = alpha.view(word)
    lines = words[::rows]
    for row in range(1, rows):
        lines = combine(lines, words[row::rows])
    each = columns * alpha.itemsize // word.itemsize
    tiles = lines[:, ::each]
    for number in range(1, each):
        tiles = combine(tiles, lines[:, number::each])
    pattern = np.full(word.itemsize // alpha.itemsize, value, alpha.dtype).view(word)[0]
    return tiles == pattern
