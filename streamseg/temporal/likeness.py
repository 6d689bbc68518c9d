"""How much of a picture has changed."""

from __future__ import annotations

import numpy as np

from ..core.opencv import cv2
from .arrays import Array

COMPARED, _TILES = (128, 72), (8, 6)  # pictures are compared at this size (width, height), in so many tiles


def worst_psnr(luma: Array, other: Array) -> float:
    """dB, of the part of two uint8 (h, w) pictures that differs most: a waving hand is a small part."""
    squares = np.square(cv2.absdiff(luma, other), dtype=np.float32)
    worst = float(cv2.resize(squares, _TILES, interpolation=cv2.INTER_AREA).max())
    return float("inf") if worst == 0 else float(10 * np.log10(255 ** 2 / worst))
