"""Copies of files with something wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def truncated(path: str | Path, target: str | Path, keep: float = 0.6) -> Path:
    """A copy of the first ``keep`` of a file."""
    data = Path(path).read_bytes()
    Path(target).write_bytes(data[:int(len(data) * keep)])
    return Path(target)


def flipped(path: str | Path, target: str | Path, *, seed: int = 0, count: int = 20,
            span: tuple[float, float] = (0.0, 1.0)) -> Path:
    """A copy with ``count`` random bytes changed within ``span`` (parts of the length)."""
    data = np.frombuffer(Path(path).read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    low, high = int(span[0] * len(data)), max(1, int(span[1] * len(data)))
    places = rng.integers(low, max(low + 1, high), count)
    data[places] ^= rng.integers(1, 256, count, dtype=np.uint8)
    Path(target).write_bytes(data.tobytes())
    return Path(target)


def swapped(path: str | Path, target: str | Path, *, seed: int = 0) -> Path:
    """A copy with two random pieces of a sixteenth of the file in each other's place."""
    data = bytearray(Path(path).read_bytes())
    rng = np.random.default_rng(seed)
    piece = max(1, len(data) // 16)
    first, second = sorted(int(place) * piece for place in rng.choice(15, 2, replace=False))
    data[first:first + piece], data[second:second + piece] = (
        data[second:second + piece], data[first:first + piece])
    Path(target).write_bytes(bytes(data))
    return Path(target)
