"""A plane cut into tiles, so that work is done only where there is any.

Most pixels of a matte are wholly in or wholly out; arithmetic is needed in the rim alone. All tiles of
the rim are taken out of a plane into one strip, side by side, worked on by a handful of whole-array
calls, and put back: the number of calls does not depend on the rim's shape.

Measured, 1080p luma, rim of 6 % of the tiles, one thread (AMD, AVX2): multiply + multiply + add of the
whole plane 1.3 ms, of the strip 0.10; take 0.02 and put 0.02 with rows of 16 bytes moved as one number
(complex128, only ever copied), 0.10 each byte by byte. What is wholly inside: 0.09 in one masked copy, 0.9
by a slice for each row of tiles, nearly all of it the calls themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.frames import Frame
from ..core.opencv import cv2

Array = npt.NDArray[Any]
# Luma pixels a tile. Of the usual heights and of the widths of upright video all are multiples of 8, but
# 1080 is none of 16; of the usual widths all are, and 16 columns of 8-bit luma move as one number.
ROWS = 8


def columns_for(width: int) -> int:
    """Columns a tile: 16, or 8 where those fit the width and 16 do not."""
    return 8 if width % 16 == 8 else 16


def tile_of(frame: Frame, number: int, columns: int) -> tuple[int, int]:
    """(rows, columns) in samples of plane ``number`` of a tile that has ``columns`` in luma."""
    return (ROWS // frame.pixel.sy, columns // frame.pixel.sx) if number else (ROWS, columns)


class UnknownTiles:
    """Some tiles of a frame: ``down``, ``across`` are their rows and columns in tiles, in any order."""

    def __init__(self, down: npt.NDArray[np.intp], across: npt.NDArray[np.intp]) -> None:
        self.down, self.across = down, across
        self._indices: dict[tuple[int, ...], npt.NDArray[np.intp]] = {}

    def __len__(self) -> int:
        return self.down.size

    def index(self, rows: int, step: int, each: int) -> npt.NDArray[np.intp]:
        """(rows, n * each): where the tiles' items are in a plane with ``step`` items from row to row.

        Kept: planes of one kind, in and out, mostly share it.
        """
        def made() -> npt.NDArray[np.intp]:
            start = self.down * (rows * step) + self.across * each
            if each > 1:
                start = (start[:, None] + np.arange(each)).reshape(-1)
            return (np.arange(rows) * step)[:, None] + start

        return self.kept((rows, step, each), made)

    def kept(self, key: tuple[int, ...], make: Callable[[], npt.NDArray[np.intp]]) -> npt.NDArray[np.intp]:
        """An index by these tiles, made when it is first asked for."""
        if key not in self._indices:
            self._indices[key] = make()
        return self._indices[key]


class Tiles:
    """``plane`` (h, w) as tiles of (``rows``, ``columns``) samples; h and w must be multiples of them.

    A strip is (rows, n * columns): the n tiles of ``rim`` side by side, of the plane's dtype.
    """

    def __init__(self, plane: npt.NDArray[Any], rows: int, columns: int, rim: UnknownTiles) -> None:
        self.rows, self._dtype = rows, plane.dtype
        item = _item(columns * plane.itemsize)
        self._each = columns * plane.itemsize // item.itemsize
        self._items = plane.view(item)
        step, rest = divmod(plane.strides[0], item.itemsize)
        count = plane.shape[0]
        if rest or step < self._items.shape[1]:
            raise ValueError(f"rows {plane.strides[0]} bytes apart do not hold whole numbers of "
                             f"{item.itemsize} bytes: use padded()")
        # All items from the first to the last, row padding included: one index is twice as fast as two.
        self._flat = self._items.reshape(-1) if step == self._items.shape[1] else np.lib.stride_tricks.as_strided(
            self._items, ((count - 1) * step + self._items.shape[1],), (item.itemsize,))
        self._index = rim.index(rows, step, self._each)

    def take(self) -> npt.NDArray[Any]:
        """The strip; a copy."""
        return self._flat.take(self._index, mode="clip").view(self._dtype)

    def put(self, strip: npt.NDArray[Any]) -> None:
        """Write a strip back into the plane."""
        self._flat[self._index] = strip.view(self._flat.dtype)

    def copy(self, other: Tiles, mask: npt.NDArray[np.bool_]) -> None:
        """Copy the tiles where ``mask`` (tile rows, tile columns) from ``other``, of the same shape."""
        self._set(other._by_row(), mask)

    def fill(self, value: int, mask: npt.NDArray[np.bool_]) -> None:
        """Set all samples of the tiles where ``mask`` (tile rows, tile columns) to ``value``."""
        item = self._items.dtype
        pattern = np.full(item.itemsize // self._dtype.itemsize, value, self._dtype).view(item)
        self._set(np.broadcast_to(pattern, self._by_row().shape), mask)

    def _set(self, items: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> None:
        down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not down.size:
            return
        # numpy copies a run of chosen items with one memcpy; looking only at the box that holds them
        # halves the time
        box = (slice(down[0], down[-1] + 1), slice(None),
               slice(across[0] * self._each, (across[-1] + 1) * self._each))
        chosen = mask[box[0], across[0]:across[-1] + 1]
        if self._each > 1:
            chosen = np.repeat(chosen, self._each, axis=1)
        np.copyto(self._by_row()[box], items[box], where=chosen[:, None, :])

    def _by_row(self) -> npt.NDArray[Any]:
        return self._items.reshape(-1, self.rows, self._items.shape[1])


def padded(plane: Array, rows: int, columns: int) -> Array:
    """``plane`` itself where Tiles can work on it, else a copy with sides that are multiples of ``rows``
    and ``columns``, its edge repeated."""
    down, across = -plane.shape[0] % rows, -plane.shape[1] % columns
    if down or across:
        return cv2.copyMakeBorder(np.ascontiguousarray(plane), 0, down, 0, across, cv2.BORDER_REPLICATE)
    item = _item(columns * plane.itemsize).itemsize
    fits = plane.strides[1] == plane.itemsize and plane.strides[0] > 0 and plane.strides[0] % item == 0
    return plane if fits else np.ascontiguousarray(plane)


@cache
def _item(wide: int) -> np.dtype[Any]:
    """The largest number of which a whole count lies in ``wide`` bytes."""
    return next(np.dtype(kind) for kind in ("c16", "u8", "u4", "u2", "u1") if wide % int(kind[1:]) == 0)
