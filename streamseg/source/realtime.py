"""A file as if it were a camera: each frame comes when its time has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from ..core.clock import Clock, SystemClock
from ..core.frames import Frame
from .api import BaseSource, Source, adapt_source

# Later than this by so many seconds, the machine slept or the reader did: go on from here, not in a rush.
JUMP = 1.0


class Realtime(BaseSource):
    """``source`` at its own pace. A frame that is late comes at once, unless it is late by JUMP."""

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
        """The source's frames, untouched; each is decoded before its time, so that it comes on it."""
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
