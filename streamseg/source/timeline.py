"""Times: which part of an input is wanted, and that frames' times increase.

Times are integers in the stream's time base, and stay what the container says. ``Clock`` fills in those
that are missing and mends the few that do not increase, which no container could store. ``Followers``
takes the other tracks' packets along where it has moved the pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import av

from ..options import Options

JUMP = 1  # seconds; a step back of more is a new clock (a splice), a smaller one a single wrong time
BEHIND = 5  # seconds; a track so far behind the picture has passed a splice: interleaving keeps to about 1 s
BEYOND = 10  # seconds; a time so much later than the stated end is wrong


@dataclass(slots=True)
class Clock:
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


def time_of(packet: av.Packet) -> Fraction | None:
    """When a packet is shown or heard, in seconds."""
    when = packet.dts if packet.pts is None else packet.pts
    return None if when is None else when * packet.time_base


def shift(packet: av.Packet, ticks: int) -> None:
    """Make a packet later by ``ticks`` of its time base."""
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


@dataclass(slots=True)
class _Follower:
    """Where one track is.

    part   splices it has passed; ``last``: seconds, the latest packet's own time
    since  where the pictures were when it passed its latest splice
    free   from where on a packet has room behind the one that was given out last
    narrow True from a splice to the first packet that has room
    """

    part: int = 0
    last: Fraction | None = None
    since: Fraction = Fraction(0)
    free: Fraction | None = None
    narrow: bool = False


class Followers:
    """The other tracks' packets, moved as ``clock`` moves the pictures, so that they stay together.

    A track has passed a splice where its own time steps back: the interleaving, and the decoder's threads,
    let some packets from behind it come before its first picture, and others from before it come after.
    Packets that are ahead of the pictures wait until the clock knows the splice.

    left_out  packets that overlapped with what their track had before the splice: no container takes a
              step back, and a change of their times alone would part them from the picture
    """

    def __init__(self, clock: Clock, read: Callable[[], list[av.Packet]]) -> None:
        self.left_out = 0
        self._clock, self._read = clock, read
        self._tracks: dict[int, _Follower] = {}
        self._waiting: list[tuple[av.Packet, int, bool]] = []  # with its part, and whether it is the first
        self._ready: list[av.Packet] = []

    def take(self, *, rest: bool = False) -> list[av.Packet]:
        """What was read since the last call, as far as its place is known; ``rest``: all of it."""
        taken, self._ready = self._ready, []
        self._waiting += [(packet, *self._part(packet)) for packet in self._read()]
        held = []
        for packet, part, first in self._waiting:
            if part < len(self._clock.offsets) or rest or self._alone(packet):
                taken += self._moved(packet, part, first)
            else:
                held.append((packet, part, first))
        self._waiting = held
        return taken

    def put_back(self, packets: list[av.Packet]) -> None:
        """Have them come first at the next ``take``."""
        self._ready[:0] = packets

    def ahead(self) -> set[int]:
        """The tracks that have passed a splice which the pictures have not."""
        return {packet.stream_index for packet, *_ in self._waiting}

    def forget(self) -> None:
        """Drop what waits."""
        self._waiting.clear()

    def _part(self, packet: av.Packet) -> tuple[int, bool]:
        """How many splices lie before a packet just read, and whether it is the first behind one."""
        track = self._tracks.setdefault(packet.stream_index, _Follower())
        when = packet.pts if packet.dts is None else packet.dts
        before = track.part
        if when is not None:
            time = when * packet.time_base
            # where the picture has passed a splice, the track's own step back may be smaller
            limit = 0 if track.part + 1 < len(self._clock.offsets) else JUMP
            if track.last is not None and track.last - time > limit:
                track.part, track.since = track.part + 1, self._clock.now
            while self._left(time, track.part):
                track.part += 1
            track.last = time
        return track.part, track.part != before

    def _left(self, time: Fraction, part: int) -> bool:
        """Whether a track without a step back (subtitles are few) is left behind by the pictures."""
        offsets, now = self._clock.offsets, self._clock.now
        if part + 1 >= len(offsets):
            return False
        late, next_late = (now - time - offset * self._clock.time_base for offset in offsets[part:part + 2])
        return late > BEHIND and abs(next_late) < late

    def _alone(self, packet: av.Packet) -> bool:
        """Whether the pictures went on without the step back that the packet's track has made."""
        track = self._tracks[packet.stream_index]
        if self._clock.now - track.since <= BEHIND:
            return False
        track.part = len(self._clock.offsets) - 1
        return True

    def _moved(self, packet: av.Packet, part: int, first: bool) -> list[av.Packet]:
        """The packet at its place; none where another of its track is there already."""
        track, offsets = self._tracks[packet.stream_index], self._clock.offsets
        shift(packet, round(offsets[min(part, len(offsets) - 1)] * self._clock.time_base / packet.time_base))
        when = packet.pts if packet.dts is None else packet.dts
        if when is None:
            return [packet]
        track.narrow |= first
        if track.narrow and track.free is not None and when * packet.time_base < track.free:
            self.left_out += 1
            return []
        # half a packet of sound must go first, so that no rounding makes two times one
        room = Fraction(max(1, packet.duration or 0), 2) if packet.stream.type == "audio" else 0
        track.narrow, track.free = False, (when + room) * packet.time_base
        return [packet]


@dataclass(slots=True)
class Window:
    """The part that ``options`` ask for. Times are Fractions of seconds.

    begin   first moment wanted, None for the beginning
    limit   how long, None for all; the smaller of duration and preview
    origin  the input's time that becomes 0 (the first frame's, if ``begin`` is given)
    """

    begin: Fraction | None = None
    limit: Fraction | None = None
    origin: Fraction | None = None

    @classmethod
    def of(cls, options: Options, zero: Fraction = Fraction(0)) -> Window:
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
