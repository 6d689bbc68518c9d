"""Packets of the other tracks: sound and subtitles stay in time with the pictures across splices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av

from .timeline import AHEAD, JUMP, Timeline

HOUR = 3600  # seconds; where a track is so far from the pictures beside it, its clock is another one
BEHIND = 5  # seconds that a track may lag behind the picture: interleaving keeps to about 1 s, so more is a splice


def time_of(packet: av.Packet) -> Fraction | None:
    """When a packet is shown or heard, in seconds."""
    when = packet.dts if packet.pts is None else packet.pts
    return None if when is None else when * packet.time_base


def shift(packet: av.Packet, ticks: int) -> None:
    """Make a packet later by ``ticks`` of its time base."""
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


@dataclass(slots=True)
class _TrackSync:
    """The state of one track.

    part   splices it has passed; ``last``: seconds, the latest packet's own time
    since  where the pictures were when it passed its latest splice
    free   the first time that does not overlap with the packet given out last
    narrow True from a splice until a packet does not overlap
    own    seconds that are added to this track's times alone
    sound  it is sound, which goes on in a pause of the pictures
    """

    part: int = 0
    last: Fraction | None = None
    since: Fraction = Fraction(0)
    free: Fraction | None = None
    narrow: bool = False
    own: Fraction = Fraction(0)
    sound: bool = False


class PacketSync:
    """The packets of the other tracks, shifted as ``clock`` shifts the pictures.

    A track has passed a splice where its own time steps back, or jumps ahead of the pictures. Because of interleaving
    and of the decoder's threads some packets from behind a splice come before its first picture, and some from before
    it come after. Packets that are ahead of the pictures wait until the clock knows the splice.

    left_out  packets that overlapped with earlier ones of their track at a splice: no container stores a step
              back, and other times would move them away from their picture
    aligned   sound tracks whose clock is not the pictures'; they begin with the pictures, or go on where they were
    """

    def __init__(self, clock: Timeline, read: Callable[[], list[av.Packet]]) -> None:
        self.left_out = 0
        self.aligned: set[int] = set()
        self._clock, self._read = clock, read
        self._tracks: dict[int, _TrackSync] = {}
        self._waiting: list[tuple[av.Packet, int, bool]] = []  # with its part, and whether it is the first
        self._ready: list[av.Packet] = []

    def take(self, *, rest: bool = False) -> list[av.Packet]:
        """The packets since the last call whose place is known; ``rest``: all that were read."""
        self._look()
        taken, self._ready = self._ready, []
        held = []
        for packet, part, first in self._waiting:
            if part < len(self._clock.offsets) or self._alone(packet, rest):
                taken += self._moved(packet, part, first)
            else:
                held.append((packet, part, first))
        self._waiting = held
        return taken

    def goes_on(self, begin: Fraction, end: Fraction) -> bool | None:
        """Whether sound goes on between two times of the pictures, so far as it is read: False where it jumps too,
        None where there is none."""
        self._look()
        here, found = len(self._clock.offsets) - 1, None
        for track in self._tracks.values():
            if not track.sound or track.last is None:
                continue
            if track.part == here and min(begin + BEHIND, end) < track.last:
                return True
            if track.part > here or track.last > begin - BEHIND:
                found = False
        return found

    def put_back(self, packets: list[av.Packet]) -> None:
        """Return these first at the next ``take``."""
        self._ready[:0] = packets

    def waiting(self) -> set[int]:
        """The tracks that have passed a splice which the pictures have not."""
        return {packet.stream_index for packet, *_ in self._waiting}

    def drop_waiting(self) -> None:
        """Drop the packets that wait."""
        self._waiting.clear()

    def _look(self) -> None:
        """Take what was read, and find its parts."""
        read = self._read()
        self._align(read)
        self._waiting += [(packet, *self._part(packet)) for packet in read]

    def _align(self, packets: list[av.Packet]) -> None:
        """Make new sound tracks whose clock is another one (the time of day) begin at the pictures."""
        for index in {packet.stream_index for packet in packets} - self._tracks.keys():
            own = [packet for packet in packets if packet.stream_index == index]
            track = self._tracks[index] = _TrackSync(sound=own[0].stream.type == "audio")
            times = [time for packet in own if (time := time_of(packet)) is not None]
            if track.sound and times and min(abs(time - self._clock.now) for time in times) > HOUR:
                # Not where they lie in the file: writers sort packets by their times, these to the end.
                track.own = self._clock.first - times[0]
                self.aligned.add(index)

    def _part(self, packet: av.Packet) -> tuple[int, bool]:
        """How many splices lie before a packet just read, and whether it is the first behind one."""
        track = self._tracks[packet.stream_index]
        when = packet.pts if packet.dts is None else packet.dts
        before = track.part
        if when is not None:
            time = when * packet.time_base + track.own
            # where the picture has passed a splice, the track's own step back may be smaller
            limit = 0 if track.part + 1 < len(self._clock.offsets) else JUMP
            back = track.last is not None and track.last - time > limit
            if back or (track.last is not None and time - track.last > AHEAD and self._is_ahead(time, track.part)):
                track.part, track.since = track.part + 1, self._clock.now
            while self._left(time, track.part):
                track.part += 1
            track.last = time
        return track.part, track.part != before

    def _is_ahead(self, time: Fraction, part: int) -> bool:
        """Whether a time is further ahead of the pictures than interleaving makes it."""
        offset = self._clock.offsets[min(part, len(self._clock.offsets) - 1)]
        return time + offset * self._clock.time_base - self._clock.now > BEHIND

    def _left(self, time: Fraction, part: int) -> bool:
        """Whether the pictures have left behind a track whose step back was not seen (subtitles are rare)."""
        offsets, now = self._clock.offsets, self._clock.now
        if part + 1 >= len(offsets):
            return False
        late, next_late = (now - time - offset * self._clock.time_base for offset in offsets[part:part + 2])
        return abs(late) > BEHIND and abs(next_late) < abs(late)

    def _alone(self, packet: av.Packet, rest: bool) -> bool:
        """Whether only the packet's track stepped back or ahead, and the pictures went on, or are over (``rest``)."""
        track = self._tracks[packet.stream_index]
        if self._clock.now - track.since <= BEHIND and not rest:
            return False
        track.part = len(self._clock.offsets) - 1
        time = time_of(packet)
        if track.sound and time is not None and self._is_ahead(time + track.own, track.part):
            moved = (track.free or track.since) - (time + track.own + self._clock.offsets[-1] * self._clock.time_base)
            track.own += moved
            track.last = None if track.last is None else track.last + moved
            self.aligned.add(packet.stream_index)
        return True

    def _moved(self, packet: av.Packet, part: int, first: bool) -> list[av.Packet]:
        """The shifted packet; none if it overlaps with an earlier one of its track."""
        track, offsets = self._tracks[packet.stream_index], self._clock.offsets
        moved = offsets[min(part, len(offsets) - 1)] * self._clock.time_base + track.own
        shift(packet, round(moved / packet.time_base))
        when = packet.pts if packet.dts is None else packet.dts
        if when is None:
            return [packet]
        track.narrow |= first
        if track.narrow and track.free is not None and when * packet.time_base < track.free:
            self.left_out += 1
            return []
        # half a packet of sound must go first, so that no rounding makes two times one
        length = packet.duration or 0
        if length * packet.time_base > AHEAD:  # MP4 gives the packet before a jump the jump's length
            length = packet.duration = 0
        room = Fraction(max(1, length), 2) if packet.stream.type == "audio" else 0
        track.narrow, track.free = False, (when + room) * packet.time_base
        return [packet]
