"""Times: increasing times for the frames, and the part of an input that is requested.

Times are integers in the stream's time base, as the container gives them. ``Timeline`` fills in missing ones and
corrects those that do not increase, which no container could store. ``packet_sync`` shifts the other tracks as
the pictures were shifted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ..options import InputOptions

JUMP = 1  # seconds; a larger step back is a splice (a new clock), a smaller one a single wrong time
AHEAD = 10  # seconds; a step forward by more may be a jump (``leaps`` judges it)
# Seconds that all tracks together may begin late: MPEG-TS begins at 1.4 s. What begins later is a part of something
# longer (the second hour of a recording), whose times would make the film as long as that.
STARTS = 3
BEYOND = 10  # seconds behind the stated end, and behind the frame before, from which a time is wrong


@dataclass(slots=True)
class Timeline:
    """Gives each frame an increasing time in ``time_base`` units. ``corrected``: how many were changed.

    step   the duration of a frame where nothing states it
    end    the stated end in seconds
    offsets  what was added to the times: one entry for the beginning and one for each splice
    leapt  seconds of each jump ahead that was joined
    """

    time_base: Fraction
    step: int
    end: float | None = None
    corrected: int = 0
    offsets: list[int] = field(default_factory=lambda: [0])
    leapt: list[float] = field(default_factory=list)
    _first: int | None = None
    _last: int | None = None
    _distance: int | None = None  # of the last two frames

    @property
    def first(self) -> Fraction:
        """The first frame's time in seconds; 0 before there is one."""
        return (self._first or 0) * self.time_base

    @property
    def pace(self) -> int:
        """The distance of two frames: ``step``, or that of the last two if it is smaller (an average rate may count a
        jump in)."""
        return self.step if self._distance is None else min(self.step, self._distance)

    def gap(self, pts: int) -> Fraction:
        """Seconds from the frame before to ``pts``; 0 at the beginning."""
        return Fraction(0) if self._last is None else (pts + self.offsets[-1] - self._last) * self.time_base

    def leap(self, pts: int) -> None:
        """Join a jump of the clock to ``pts``, so that its frame follows the one before."""
        assert self._last is not None
        gap = pts + self.offsets[-1] - self._last
        self.leapt.append(float(gap * self.time_base))
        self.offsets.append(self.offsets[-1] + self.pace - gap)

    def time(self, pts: int | None, *, sure: bool = False) -> int:
        """The frame's own time if it increases, else the next possible one. ``sure``: it is not far beyond the stated
        end by mistake."""
        if pts is not None and not sure and self._is_wrong(pts):
            pts = None
            self.corrected += 1
        if pts is None:
            found = 0 if self._last is None else self._last + self.step
        else:
            found = pts + self.offsets[-1]
            if self._last is not None and found <= self._last:
                found = self._later(found, self._last)
        if self._last is None:
            self._first = found
        else:
            self._distance = found - self._last
        self._last = found
        return found

    def _is_wrong(self, pts: int) -> bool:
        """Whether a time is far behind the stated end and far from the frame before. A stream that goes on at its
        pace is longer than stated: its times are right."""
        if self.end is None or pts * self.time_base <= self.end + BEYOND:
            return False
        return self._last is None or (pts + self.offsets[-1] - self._last) * self.time_base > BEYOND

    def _later(self, found: int, last: int) -> int:
        self.corrected += 1
        if (last - found) * self.time_base < JUMP:
            return last + 1
        self.offsets.append(self.offsets[-1] + last + self.pace - found)
        return last + self.pace

    @property
    def now(self) -> Fraction:
        """The last frame's time in seconds."""
        return (self._last or 0) * self.time_base


@dataclass(slots=True)
class TimeRange:
    """The requested part of an input. Times are Fractions of seconds.

    begin   first moment, None for the beginning of the input
    limit   length, None for all; the smaller of duration and preview
    origin  the input's time that becomes 0 (the first frame's, if ``begin`` is given)
    zero    where the input's clock begins; it becomes 0 where that is later than STARTS
    wraps   the pictures begin before 0: FFmpeg counts so to where MPEG-TS's clock of 33 bits begins anew; ``zero``
            becomes 0, for MP4 hides what is before it
    """

    begin: Fraction | None = None
    limit: Fraction | None = None
    origin: Fraction | None = None
    zero: Fraction = Fraction(0)
    wraps: bool = False

    @classmethod
    def of(cls, options: InputOptions, zero: Fraction = Fraction(0)) -> TimeRange:
        """``zero``: the input's own first time, from which ``start`` counts."""
        lengths = [length for length in (options.duration, options.preview) if length is not None]
        return cls(zero + Fraction(str(options.start)) if options.start else None,
                   Fraction(str(min(lengths))) if lengths else None, zero=zero)

    def skips(self, time: Fraction) -> bool:
        """Whether a moment is before the part."""
        return self.begin is not None and time < self.begin

    def open(self, time: Fraction) -> None:
        """Set ``origin`` from the first frame's time. A frame shortly after ``begin`` becomes the output's 0; a
        much later one (a still in a variable rate) keeps its distance, as the sound does."""
        self.origin = self.begin if self.begin is not None and time - self.begin > Fraction(1, 2) else time

    @property
    def late(self) -> bool:
        """Whether the input's clock begins so late (or so early) that it is that of something longer."""
        return self.wraps or abs(self.zero) > STARTS

    @property
    def whole(self) -> bool:
        """Whether all of the input is requested."""
        return self.begin is None and self.limit is None

    def past(self, time: Fraction) -> bool:
        """Whether a moment is behind the end of the part."""
        return self.limit is not None and self.origin is not None and time - self.origin >= self.limit

    def shift(self, time_base: Fraction) -> int:
        """What is subtracted from times, in ``time_base`` units: 0 without ``begin`` and a ``late`` clock."""
        if self.begin is None or self.origin is None:
            return round(self.zero / time_base) if self.late else 0
        return round(self.origin / time_base)
