"""Small maps at the pixels of the rim's tiles, bilinear, without making them at full size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .tiles import Array, UnknownTiles

# Multiplications of a matrix product that OpenBLAS still does in the thread that asks: it would wake its own
# pool for more, past the budget of threads, and wait for it.
_PRODUCT = 1 << 17


def enlarged(maps: Sequence[Array], rim: UnknownTiles, tile: tuple[int, int], zoom: tuple[int, int]) -> Array:
    """``maps`` at the pixels of the rim's tiles: float32 (maps, rows, n * columns) strips.

    maps   (h, w) each, all of one shape and dtype; a sample stands for ``zoom`` (rows, columns) pixels
    tile   (rows, columns) of a tile, in pixels: multiples of ``zoom``

    A strip is what enlarging the whole map (edges repeated) and taking the tiles out of it gives.
    """
    # A tile's pixels are sums of the few samples in and next to it, by the same weights for all tiles: one
    # matrix product a row of pixels. cv2.resize of windows took 1.6 times as long, of whole maps 5 times.
    weights = _weights(tile, zoom)
    height, width = maps[0].shape
    down, across = tile[0] // zoom[0], tile[1] // zoom[1]
    index = rim.kept((height, width, down, across), lambda: _windows(height, width, down, across).take(
        rim.down * -(-width // across) + rim.across, axis=0))
    at_once = max(1, _PRODUCT // weights[0].size)
    made = np.empty((len(maps), tile[0], len(rim), tile[1]), np.float32)
    for item, strip in zip(maps, made, strict=True):
        windows = item.reshape(-1).take(index, mode="clip").astype(np.float32, copy=False)
        for some in range(0, len(rim), at_once):
            np.matmul(windows[some:some + at_once], weights, out=strip[:, some:some + at_once])
    return made.reshape(len(maps), tile[0], -1)


@lru_cache(maxsize=8)
def _windows(height: int, width: int, down: int, across: int) -> npt.NDArray[np.intp]:
    """(tiles, samples of a window): where each tile's samples and those one beyond are, edges repeated, in
    a map (``height``, ``width``) that has ``down`` x ``across`` samples a tile."""
    rows, columns = (np.clip(np.arange(0, side, each)[:, None] + np.arange(-1, each + 1), 0, side - 1)
                     for side, each in ((height, down), (width, across)))
    return (rows[:, None, :, None] * width + columns[:, None, :]).reshape(-1, (down + 2) * (across + 2))


@lru_cache(maxsize=32)
def _weights(tile: tuple[int, int], zoom: tuple[int, int]) -> Array:
    """float32 (rows, samples of a window, columns): what each sample adds to each pixel of a tile."""
    down, across = (_bilinear(*way) for way in zip(tile, zoom, strict=True))
    product = down.T[:, :, None, None] * across
    return product.reshape(tile[0], -1, tile[1]).astype(np.float32)


def _bilinear(length: int, zoom: int) -> Array:
    """(samples with one beyond each end, pixels); sample s is centred on pixel (s - 0.5) zoom - 0.5."""
    at = (np.arange(length) + 0.5) / zoom + 0.5
    return np.maximum(0, 1 - np.abs(np.arange(length // zoom + 2)[:, None] - at))
