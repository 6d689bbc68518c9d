"""Plays a file at its own pace, as if it were a camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from ..core.clock import Clock, SystemClock
from ..core.frames import Frame
from .api import BaseSource, Source, adapt_source

# After a delay of so many seconds (the machine slept) playing continues from there, at the normal pace.
JUMP = 1.0


class Realtime(BaseSource):
    """``source`` at its own pace. A late frame is given at once, unless it is late by JUMP."""

    def __init__(self, source: Source, clock: Clock | None = None) -> None:
        super().__init__()
        self._source = adapt_source(source)
        self._clock: Clock = clock or SystemClock()
        self.info = replace(source.info, live=True)
        self._notes = self._source.notes

    @property
    def damaged(self) -> int:
        """Damaged parts so far."""
        return self._source.damaged

    def __iter__(self) -> Iterator[Frame]:
        """The frames of the source, unchanged; each is decoded ahead of its time."""
        rate = self.info.rate or Fraction(25)
        origin: float | None = None
        for frame in self._source:
            time = float(frame.index / rate if frame.time is None else frame.time)
            now = self._clock.now()
            if origin is None or now - (origin + time) > JUMP:
                origin = now - time
            self._clock.sleep(origin + time - now)
            yield frame

    def close(self) -> None:
        """Close the source."""
        self._source.close()
