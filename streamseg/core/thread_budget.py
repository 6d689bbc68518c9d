"""How one budget of threads is shared among the pools of the libraries.

The stages run beside each other, so a pool that takes every core only takes it from another stage.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads that each library's pool may have, at least 1.

    decode  FFmpeg's decoder
    net     LiteRT, ONNX Runtime or another that computes a network
    opencv  each OpenCV call
    encode  FFmpeg's encoder: the dearest stage, and the one that sleeps when there is nothing to do
    """

    decode: int
    net: int
    opencv: int
    encode: int

    @classmethod
    def of(cls, budget: int | None = None) -> Threads:
        """Shares of ``budget``, by default the cores that this process may use."""
        total = budget or cores()
        return cls(decode=max(1, total // 2), net=max(1, total // 2), opencv=max(1, total // 4), encode=total)


def cores() -> int:
    """The cores that this process may use: fewer than the machine's in many a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
