"""Times for decoded pictures where a clock jumps ahead: a pause keeps its length, a jump is joined like a splice.

Recorders that restart, adverts cut out of a broadcast, HLS and RTP make a clock go on an hour later. The sound tells
the two apart: in a pause it goes on, over a jump it jumps as well. Without sound the container's kind does: transport
streams jump (FFmpeg's dts_delta_threshold is 10 s there, too), in other files a long distance may be meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

from ..errors import StreamsegError
from .deinterlace import Timed
from .packet_sync import PacketSync
from .timeline import AHEAD, Timeline

ALONE = 300  # seconds from which a distance is a jump where nothing else tells it from a pause
SLOW = 20  # and usual distances of frames: a time lapse may have a picture every ten minutes


class Leaps:
    """Pictures with increasing times. ``jumpy``: the container is of a kind whose clock jumps."""

    def __init__(self, clock: Timeline, sync: PacketSync, *, jumpy: bool) -> None:
        self._clock, self._sync, self._jumpy = clock, sync, jumpy
        self._until: int | None = None  # the own time at which the last picture's stated duration ends
        self._failure: StreamsegError | None = None

    def timed(self, pictures: Iterator[av.VideoFrame]) -> Iterator[Timed]:
        """The pictures with their times in the clock's time base."""
        picture = next(pictures, None)
        while picture is not None:
            following, pts = None, picture.pts
            far = pts is not None and self._clock.gap(pts) > AHEAD
            if far:
                following = self._peeked(pictures)
                pts = self._judged(pts, following)
            yield picture, self._clock.time(pts, sure=far)
            self._until = None if picture.pts is None else picture.pts + (picture.duration or 0)
            if self._failure is not None:
                raise self._failure
            picture = next(pictures, None) if following is None else following

    def _peeked(self, pictures: Iterator[av.VideoFrame]) -> av.VideoFrame | None:
        try:
            return next(pictures, None)
        except StreamsegError as error:  # the picture before it was whole
            self._failure = error
            return None

    def _judged(self, pts: Any, following: av.VideoFrame | None) -> int | None:
        """A time far ahead as it is, or None for a single wrong one, behind which the clock goes on as before. The
        clock is told of a jump."""
        if following is not None and following.pts is not None and following.pts <= pts:
            self._clock.corrected += 1
            return None
        if self._is_jump(pts):
            self._clock.leap(pts)
        return int(pts)

    def _is_jump(self, pts: int) -> bool:
        gap = self._clock.gap(pts)
        end = pts * self._clock.time_base
        sound_goes_on = self._sync.goes_on(end - gap, end)
        if sound_goes_on is not None:
            return not sound_goes_on
        if self._until is not None and self._until * self._clock.time_base > end - gap / 2:
            return False  # the picture before it is stated to be shown for so long
        limit = AHEAD if self._jumpy else ALONE
        return gap > max(Fraction(limit), SLOW * self._clock.pace * self._clock.time_base)
