"""Packets of the other tracks: sound and subtitles stay in time with the pictures across splices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av

from .timeline import JUMP, Timeline

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
    """

    part: int = 0
    last: Fraction | None = None
    since: Fraction = Fraction(0)
    free: Fraction | None = None
    narrow: bool = False


class PacketSync:
    """The packets of the other tracks, shifted as ``clock`` shifts the pictures.

    A track has passed a splice where its own time steps back. Because of interleaving and of the decoder's
    threads some packets from behind a splice come before its first picture, and some from before it come after.
    Packets that are ahead of the pictures wait until the clock knows the splice.

    left_out  packets that overlapped with earlier ones of their track at a splice: no container stores a step
              back, and other times would move them away from their picture
    """

    def __init__(self, clock: Timeline, read: Callable[[], list[av.Packet]]) -> None:
        self.left_out = 0
        self._clock, self._read = clock, read
        self._tracks: dict[int, _TrackSync] = {}
        self._waiting: list[tuple[av.Packet, int, bool]] = []  # with its part, and whether it is the first
        self._ready: list[av.Packet] = []

    def take(self, *, rest: bool = False) -> list[av.Packet]:
        """The packets since the last call whose place is known; ``rest``: all that were read."""
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
        """Return these first at the next ``take``."""
        self._ready[:0] = packets

    def waiting(self) -> set[int]:
        """The tracks that have passed a splice which the pictures have not."""
        return {packet.stream_index for packet, *_ in self._waiting}

    def drop_waiting(self) -> None:
        """Drop the packets that wait."""
        self._waiting.clear()

    def _part(self, packet: av.Packet) -> tuple[int, bool]:
        """How many splices lie before a packet just read, and whether it is the first behind one."""
        track = self._tracks.setdefault(packet.stream_index, _TrackSync())
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
        """Whether the pictures have left behind a track whose step back was not seen (subtitles are rare)."""
        offsets, now = self._clock.offsets, self._clock.now
        if part + 1 >= len(offsets):
            return False
        late, next_late = (now - time - offset * self._clock.time_base for offset in offsets[part:part + 2])
        return late > BEHIND and abs(next_late) < late

    def _alone(self, packet: av.Packet) -> bool:
        """Whether only the packet's track stepped back, and the pictures went on."""
        track = self._tracks[packet.stream_index]
        if self._clock.now - track.since <= BEHIND:
            return False
        track.part = len(self._clock.offsets) - 1
        return True

    def _moved(self, packet: av.Packet, part: int, first: bool) -> list[av.Packet]:
        """The shifted packet; none if it overlaps with an earlier one of its track."""
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
