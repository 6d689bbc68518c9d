"""Reads the requested part of one video stream: pictures with their times, and the packets beside them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ..core.words import counted, were
from ..errors import DamagedInputError, SourceError
from ..options import InputOptions
from .alpha import AlphaStream
from .byte_input import ReadableFile
from .decode import Decoder
from .deinterlace import Timed
from .heif import is_heif
from .leaps import Leaps
from .open import FAILURES, byte_input, missing_in_stream, open_container, scheme
from .packet_sync import PacketSync, shift, time_of
from .probe import beginning, frame_rate, has_own_times, has_times, is_jumpy, select_stream, stated_end, time_base_of
from .timeline import AHEAD, Timeline, TimeRange

DEFAULT_RATE = Fraction(25)
EARLIER = Fraction(1, 2)  # seconds before ``start`` to seek to: an index is by decoding time, not by display


class ClipReader:
    """One pass over the part of an input that ``options`` request. Use from one thread.

    spec       what the container was opened from: it is opened again where seeking failed
    name       of the input, for messages and for the VideoInfo
    truncated  what is missing at the end of the file, None if nothing is
    """

    def __init__(self, container: Any, spec: str | ReadableFile, name: str, options: InputOptions, *,
                 truncated: str | None) -> None:
        self.name = name
        self._spec, self._options, self._truncated = spec, options, truncated
        self.has_times = has_times(container)
        self._believed = has_own_times(container)
        self._alpha: AlphaStream | None = None
        self._format = None if self.has_times else container.format.name  # the name of a file may say another
        self._attach(container)
        stream = self.stream
        self.rate = frame_rate(stream, container, options.rate)
        self.time_base = time_base_of(stream, container, options.rate)
        self._jumpy = is_jumpy(container, name)
        self.part = TimeRange.of(options, beginning(stream, container))
        self.part.wraps = (stream.start_time or 0) < 0
        self._stated = self.end = stated_end(stream, container) if self.has_times else None
        if self.end is not None and self.part.begin is not None and self.part.begin >= self.end:
            self.end = None  # try it: a wrong duration in a header is common
        self._step = max(1, round(1 / (self.time_base * (self.rate or DEFAULT_RATE))))
        self._start_clock()
        if truncated and options.on_error == "stop" and self.part.limit is None:
            raise DamagedInputError(f"{name} is cut off: {truncated}; --on-error skip takes what is there")

    def _attach(self, container: Any) -> None:
        self.container = container
        shown = "standard input" if self.name == "-" else self.name
        source = byte_input(container)
        self._one_way = self._spec == "-" or (source is not None and not source.seekable())
        self.stream = select_stream(container, shown, self._options.stream, self._options.max_pixels)
        self.decoder = Decoder(container, self.stream, shown, self._options, piped=self._one_way)
        self._close_alpha()
        self._alpha = AlphaStream.beside(self.stream, Path(self._spec.removeprefix("file://")), self._options) \
            if isinstance(self._spec, str) and is_heif(container) else None

    def _start_clock(self) -> None:
        self._clock = Timeline(self.time_base, self._step, self.end)
        self._sync = PacketSync(self._clock, self.decoder.take)

    def close(self) -> None:
        """Close the container; may be called twice."""
        self.container.close()
        self._close_alpha()

    @property
    def damaged(self) -> int:
        """Damaged parts so far."""
        return self.decoder.damaged + (0 if self._alpha is None else self._alpha.damaged)

    def _close_alpha(self) -> None:
        if self._alpha is not None:
            self._alpha.close()

    # --- pictures ---

    def pictures(self) -> Iterator[Timed]:
        """The pictures within the part, with their times."""
        part = self.part
        for picture, pts in self._timed() if part.begin is None else self._from(part.begin):
            when = pts * self.time_base
            if part.skips(when):
                # the demuxer is ahead of the decoder: some packets that it has read lie within the part
                self._sync.put_back([packet for packet in self._sync.take()
                                     if (time := time_of(packet)) is None or not part.skips(time)])
                continue
            if part.origin is None:
                self.decoder.ignore = False
                part.open(when)
            if part.past(when):
                self._finish_tracks()
                return
            yield picture, pts
        missing = self._truncated or missing_in_stream(self.container)
        if missing:
            self.decoder.damage(f"it is cut off ({missing})")

    def _timed(self) -> Iterator[Timed]:
        pictures = iter(self.decoder) if self._alpha is None else map(self._alpha.put, self.decoder)
        if self._believed:
            yield from Leaps(self._clock, self._sync, jumpy=self._jumpy).timed(pictures)
            return
        for picture in pictures:
            yield picture, self._clock.time(None)

    def duration_of(self, picture: av.VideoFrame, distance: int | None = None) -> int | None:
        """How long a picture is shown, in ``time_base`` units; None where nothing states it. ``distance``: to the next
        one, if it is known: MP4 gives the picture before a jump the jump's length."""
        if not self.has_times:
            return self._step
        stated = picture.duration or None
        far = stated is not None and distance is not None and distance < stated and stated * self.time_base > AHEAD
        return distance if far else stated

    def _from(self, begin: Fraction) -> Iterator[Timed]:
        """The pictures from a key frame before ``begin`` on. Where seeking fails (raw streams, GIF, a wrong
        index: the first picture is too late, or there is none), all from the beginning."""
        self.decoder.ignore = True
        if self._seek(begin):
            pictures = self._timed()
            first = next(pictures, None)
            if first is not None and first[1] * self.time_base <= begin:
                yield first
                yield from pictures
                return
            self.container.close()
            self._attach(open_container(self._spec, self._options, format=self._format))
            self._start_clock()
            self.decoder.ignore = True
        yield from self._timed()

    def _seek(self, begin: Fraction) -> bool:
        """Go to a key frame before ``begin``; False where the container cannot seek or need not."""
        first = self.stream.start_time
        place = int((begin - EARLIER) / self.time_base)
        if first is None or place <= first or self._one_way:
            return False
        try:
            self.container.seek(place, stream=self.stream)
        except FAILURES:  # a pipe: all of it is decoded, and dropped up to ``begin``
            return False
        return True

    # --- packets of the other tracks ---

    def packets(self, *, rest: bool = False) -> tuple[av.Packet, ...]:
        """The packets read since the last call that lie in the part, shifted as the frames are; ``rest``: those
        that still wait, too."""
        part = self.part
        if part.whole and not part.late:
            return tuple(self._sync.take(rest=rest))
        kept = []
        for packet in self._sync.take(rest=rest):
            time = time_of(packet)
            if time is not None and ((part.begin is not None and part.origin is not None
                                      and time < part.origin) or part.past(time)):
                continue
            shift(packet, -part.shift(packet.time_base))
            kept.append(packet)
        return tuple(kept)

    def _finish_tracks(self) -> None:
        """Read the sound up to the end of the part: in the file it may lie behind the picture."""
        part = self.part
        unfinished = {track.index for track in self.decoder.tracks if track.type == "audio"}
        held: list[av.Packet] = []
        for packet in self.decoder.packets() if unfinished else ():
            new = self._sync.take()
            held += new
            unfinished -= {other.stream_index for other in new
                           if other.dts is not None and part.past(other.dts * other.time_base)}
            unfinished -= self._sync.waiting()
            when = packet.dts if packet.pts is None else packet.pts
            late = when is not None and part.past((when + self._clock.offsets[-1]) * self.time_base - 2)
            if not unfinished or late or not packet.size:
                break
        self._sync.put_back(held)
        self._sync.drop_waiting()  # it lies behind a splice that the part does not reach

    # --- messages ---

    def nothing_found(self) -> SourceError:
        """The error for a part without pictures."""
        part = self.part
        if part.whole:
            errors = counted(self.decoder.damaged, "error")
            return DamagedInputError(f"{self.name}: no picture of it decodes ({errors})")
        end = None if self._stated is None else max(self._stated, float(self._clock.now))
        return SourceError(f"{self.name} has no picture in the requested part: start is {self._options.start:g} s"
                           + ("" if part.limit is None else f", duration {float(part.limit):g} s")
                           + ("" if end is None else f"; it ends at {end:g} s"))

    def alpha_notes(self) -> list[str]:
        """For a HEIC or AVIF: whether it may have an alpha that cannot be read, as it is no file."""
        like = [other for other in self.container.streams.video
                if other is not self.stream and other.frames == self.stream.frames > 1]
        if self._alpha is not None or not like or (isinstance(self._spec, str) and scheme(self._spec) is None):
            return []
        return ["the picture's transparency, a stream of its own in HEIC and AVIF, is left out: give it as a file"]

    def remarks(self) -> list[str]:
        """What is known at the end only."""
        found, lost = [], self.decoder.read - self.decoder.given
        if self._clock.corrected:
            found.append(f"{counted(self._clock.corrected, 'frame time')} did not increase and "
                         f"{were(self._clock.corrected)} corrected")
        if self._clock.leapt:
            count, seconds = len(self._clock.leapt), sum(self._clock.leapt)
            often = "once" if count == 1 else f"{count} times"
            found.append(f"the clock jumps ahead {often}, by {seconds:.0f} s in all: what follows is joined without "
                         "the gap")
        if self._sync.aligned:
            found.append(f"the clock of {counted(len(self._sync.aligned), 'sound track')} is not that of the pictures: "
                         "the sound begins with them, or goes on where it was")
        if self._sync.left_out:
            found.append(f"{counted(self._sync.left_out, 'packet')} of the other tracks overlapped with earlier ones "
                         f"where the clock steps back, and {were(self._sync.left_out)} left out")
        if lost > 0 and not self.decoder.damaged and self.part.whole:
            found.append(f"{lost} of {self.decoder.read} coded pictures gave no frame")
        return found
