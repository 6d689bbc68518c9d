"""Measurements of a live run: latency, CPU, memory. Their size does not grow with the run."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..core.clock import Clock

RECENT = 300     # latencies in the current p50 and p95: ten seconds at 30 frames a second
BIN = 1e-4       # seconds: resolution of the histogram
BINS = 100_000   # ten seconds; longer ones count in the last bin


class Latencies:
    """Seconds from capture to write of one output. One thread adds, another reads."""

    def __init__(self) -> None:
        self.count = 0
        self.largest = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._counts = np.zeros(BINS, np.int64)

    def add(self, seconds: float) -> None:
        """Count one picture that was written."""
        self.count += 1
        self.largest = max(self.largest, seconds)
        self._recent.append(seconds)
        self._counts[min(BINS - 1, max(0, int(seconds / BIN)))] += 1

    def recent(self, last: int = RECENT) -> dict[str, float | None]:
        """{'p50', 'p95'} of the ``last`` pictures (at most RECENT) in ms, None if there are none."""
        seconds = list(self._recent)[-last:] if last else []
        if not seconds:
            return {"p50": None, "p95": None}
        # as np.percentile, whose first call loads numpy.ma: 2 MB
        p50, p95 = np.interp(np.array([0.5, 0.95]) * (len(seconds) - 1), np.arange(len(seconds)), sorted(seconds))
        return {"p50": round(float(p50) * 1e3, 2), "p95": round(float(p95) * 1e3, 2)}

    def overall(self) -> dict[str, float | None]:
        """{'p50', 'p95', 'max'} of all pictures in ms, to a tenth."""
        total = int(self._counts.sum())
        if not total:
            return {"p50": None, "p95": None, "max": None}
        summed = np.cumsum(self._counts)
        found = {name: round(float(np.searchsorted(summed, share * total)) * BIN * 1e3, 1)
                 for name, share in (("p50", 0.5), ("p95", 0.95))}
        return {**found, "max": round(self.largest * 1e3, 1)}

    def histogram(self) -> list[tuple[float, int]]:
        """(ms, pictures) for each millisecond with pictures."""
        whole = self._counts.reshape(-1, round(1e-3 / BIN)).sum(axis=1)
        return [(float(place), int(whole[place])) for place in np.flatnonzero(whole)]


class Usage:
    """CPU time of this process between two calls."""

    def __init__(self, clock: Clock, spent: Callable[[], float] = time.process_time) -> None:
        self._clock, self._spent = clock, spent
        self._began = self._last = (clock.now(), spent())

    def percent(self) -> float:
        """Percent of one core since the previous call: 200 where two cores were busy."""
        now, before = (self._clock.now(), self._spent()), self._last
        self._last = now
        return _percent(before, now)

    def overall(self) -> float:
        """Percent of one core since the start."""
        return _percent(self._began, (self._clock.now(), self._spent()))


def _percent(before: tuple[float, float], now: tuple[float, float]) -> float:
    seconds = now[0] - before[0]
    return round(100 * (now[1] - before[1]) / seconds, 1) if seconds > 0 else 0.0


def rss_mib() -> float | None:
    """The resident memory of this process in MiB; None where neither Linux nor psutil reports it."""
    if Path("/proc/self/statm").exists():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 2 ** 20, 1)
    try:
        import psutil
    except ImportError:
        return None
    return round(float(psutil.Process().memory_info().rss) / 2 ** 20, 1)
