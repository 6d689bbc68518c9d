"""Quality in steps: lower when the machine cannot keep up, higher when it can, without oscillation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .types import QualityStep

# The model costs most, about 9 ms of a core a frame; to propagate its matte costs 0.7. So the model runs less
# often first, then on a smaller picture; a lower frame rate comes last.
LADDER = (QualityStep("full"), QualityStep("matte every 2nd", 2), QualityStep("matte every 2nd, smaller", 2, True),
          QualityStep("matte every 3rd, smaller", 3, True), QualityStep("matte every 4th, smaller", 4, True),
          QualityStep("half the rate", 2, True, 2), QualityStep("a third of the rate", 2, True, 3))
DROPPED = 0.05    # share of frames dropped that counts as too much
LATE = 2.0     # frame intervals of latency (95th percentile) that count as too much
EASE = 0.8     # of the CPU limit: above it quality is not raised
SECONDS_DOWN = 2
SECONDS_UP = 5
LONGEST_UP = 80
SECONDS_LOW = 30    # of lowered quality after which it is said what would help


@dataclass(frozen=True, slots=True)
class Load:
    """One second of work. ``arrived`` and ``dropped`` frames; ``delay`` capture to write in frame
    intervals, 95th percentile; ``cpu``: share of all cores, 0..1."""

    arrived: int
    dropped: int
    delay: float
    cpu: float


class AdaptiveQuality:
    """Chooses the step from one Load a second.

    Down after SECONDS_DOWN seconds of overload, up after SECONDS_UP good ones. A step up that has to be reverted
    doubles the wait for the next attempt; one that holds for that long resets it.
    """

    def __init__(self, max_cpu: float | None = None, ladder: Sequence[QualityStep] = LADDER) -> None:
        self._max_cpu, self._ladder = max_cpu, ladder
        self._place = 0
        self._bad = self._good = 0
        self._wait = SECONDS_UP
        self._since_up: int | None = None
        self._low = self._full = 0  # seconds of lowered quality, and those of full quality since
        self._hot = self._told = False

    @property
    def step(self) -> QualityStep:
        """The step now."""
        return self._ladder[self._place]

    def observe(self, load: Load) -> QualityStep:
        """Take the Load of a second. -> the step from now on"""
        over, easy = self._judged(load)
        self._count_low(load)
        self._bad = self._bad + 1 if over else 0
        self._good = self._good + 1 if easy else 0
        if self._since_up is not None:
            self._since_up += 1
            if self._since_up > self._wait:
                self._wait, self._since_up = SECONDS_UP, None
        if self._bad >= SECONDS_DOWN and self._place < len(self._ladder) - 1:
            if self._since_up is not None:
                self._wait = min(LONGEST_UP, 2 * self._wait)
            self._move(1)
            self._since_up = None
        elif self._good >= self._wait and self._place > 0:
            self._move(-1)
            self._since_up = 0
        return self.step

    def advice(self) -> str | None:
        """What would help, once in a run, when the quality has been low for SECONDS_LOW seconds; else None. Tries of
        full quality in between do not count."""
        if self._told or self._low < SECONDS_LOW:
            return None
        self._told = True
        lowered = f"the quality has been lowered for {SECONDS_LOW} s"
        if self._hot and self._max_cpu is not None:
            return f"{lowered} to stay below --max-cpu {self._max_cpu:.0%}; a higher one or a smaller --size raises it"
        return (f"{lowered}: this machine cannot keep up; a smaller --size (as 640x480), a lower --rate (as 15), or "
                "fewer programs beside this one, raise it")

    def _count_low(self, load: Load) -> None:
        if self._place == 0:
            self._full += 1
            if self._full > SECONDS_UP:
                self._low = 0
            return
        self._low, self._full = self._low + 1, 0
        if self._low == 1:
            self._hot = False
        self._hot = self._hot or (self._max_cpu is not None and load.cpu > self._max_cpu)

    def _move(self, by: int) -> None:
        self._place += by
        self._bad = self._good = 0

    def _judged(self, load: Load) -> tuple[bool, bool]:
        """(overloaded, with capacity to spare)"""
        lost = load.dropped > DROPPED * max(1, load.arrived)
        hot = self._max_cpu is not None and load.cpu > self._max_cpu
        over = lost or hot or load.delay > LATE
        cool = self._max_cpu is None or load.cpu < EASE * self._max_cpu
        return over, not over and cool and load.dropped == 0 and load.delay < LATE / 2
