"""Times: which part of an input is wanted, and that frames' times increase.

Times are integers in the stream's time base, and stay what the container says. ``Timeline`` fills in those
that are missing and mends the few that do not increase, which no container could store; followers.py takes
the other tracks along where it has moved the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ..options import InputOptions

JUMP = 1  # seconds; a step back of more is a new clock (a splice), a smaller one a single wrong time
BEYOND = 10  # seconds; a time so much later than the stated end is wrong


@dataclass(slots=True)
class Timeline:
    """Gives each frame its time: increasing, in ``time_base`` units. ``mended``: how many were changed.

    step   what a frame lasts when nothing says it
    end    seconds; where the container says that the stream ends, if it does
    offsets  what was added to the times, one entry for the beginning and one for each splice passed
    """

    time_base: Fraction
    step: int
    end: float | None = None
    mended: int = 0
    offsets: list[int] = field(default_factory=lambda: [0])
    _last: int | None = None

    def time(self, pts: int | None) -> int:
        """The frame's own time where it can be used, else the smallest change that makes it increase."""
        if pts is not None and self.end is not None and pts * self.time_base > self.end + BEYOND:
            pts = None
            self.mended += 1
        if pts is None:
            found = 0 if self._last is None else self._last + self.step
        else:
            found = pts + self.offsets[-1]
            if self._last is not None and found <= self._last:
                found = self._later(found, self._last)
        self._last = found
        return found

    def _later(self, found: int, last: int) -> int:
        self.mended += 1
        if (last - found) * self.time_base < JUMP:
            return last + 1
        self.offsets.append(self.offsets[-1] + last + self.step - found)
        return last + self.step

    @property
    def now(self) -> Fraction:
        """The last frame's time in seconds."""
        return (self._last or 0) * self.time_base


@dataclass(slots=True)
class TimeRange:
    """The part that ``options`` ask for. Times are Fractions of seconds.

    begin   first moment wanted, None for the beginning
    limit   how long, None for all; the smaller of duration and preview
    origin  the input's time that becomes 0 (the first frame's, if ``begin`` is given)
    """

    begin: Fraction | None = None
    limit: Fraction | None = None
    origin: Fraction | None = None

    @classmethod
    def of(cls, options: InputOptions, zero: Fraction = Fraction(0)) -> TimeRange:
        """``zero``: the input's own first time, from which ``start`` counts."""
        lengths = [length for length in (options.duration, options.preview) if length is not None]
        return cls(zero + Fraction(str(options.start)) if options.start else None,
                   Fraction(str(min(lengths))) if lengths else None)

    def skips(self, time: Fraction) -> bool:
        """True for a moment before the window."""
        return self.begin is not None and time < self.begin

    def open(self, time: Fraction) -> None:
        """Tell the first frame's time. A frame just after ``begin`` becomes the output's 0; a far later
        one (a still in a variable rate) keeps its distance, as the sound has it."""
        self.origin = self.begin if self.begin is not None and time - self.begin > Fraction(1, 2) else time

    def past(self, time: Fraction) -> bool:
        """True for a moment behind the window's end."""
        return self.limit is not None and self.origin is not None and time - self.origin >= self.limit

    def shift(self, time_base: Fraction) -> int:
        """What is taken off a time in ``time_base`` units: 0 unless a beginning was asked for."""
        if self.begin is None or self.origin is None:
            return 0
        return round(self.origin / time_base)
