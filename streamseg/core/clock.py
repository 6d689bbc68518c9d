"""Time as the live stages see it, so that a test can hold it still or let it jump."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds from some fixed moment, never going back."""

    def now(self) -> float:
        """The time in seconds."""

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass; at once if there are none."""


class SystemClock:
    """The machine's own. perf_counter: Windows' monotonic clock moves in steps of 15 ms."""

    def now(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
