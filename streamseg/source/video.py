"""A video file, address or pipe as a Source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from ..core.frames import Frame
from ..errors import DamagedInputError, SourceError
from ..options import InputOptions
from .api import BaseSource
from .decode import Decoder, chosen, pictures_of
from .deinterlace import Timed, deinterlaced
from .formats import Normaliser, Turn
from .hdr import mastering_of
from .integrity import cut_off
from .open import FAILURES, cut_pipe, opened, scheme
from .packet_sync import PacketSync, shift, time_of
from .probe import described, sensible, upright
from .timeline import Timeline, TimeRange

DEFAULT_RATE = Fraction(25)
EARLIER = Fraction(1, 2)  # seconds before ``start`` to seek to: an index is by decoding time, not by display


class VideoSource(BaseSource):
    """Frames of one video stream, with the packets of the tracks beside it. See ``open_source``.

    One pass: iterating again goes on where it was. One frame is held back where there are other tracks,
    because the last one carries what follows it.
    """

    def __init__(self, container: Any, name: str, options: InputOptions) -> None:
        super().__init__()
        self.name = name
        self._options = options
        self._container: Any = container
        self._cut = missing(name)
        try:
            self._prepare(container)
        except BaseException:
            self.close()
            raise

    @property
    def damaged(self) -> int:
        """Damaged parts and pictures so far."""
        return self._decoder.damaged

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Close the container. Frames that were given out stay valid."""
        container, self._container = self._container, None
        self._frames: Iterator[Frame] = iter(())  # it refers to this object, and holds pictures
        if container is not None:
            container.close()

    def _prepare(self, container: Any) -> None:
        options = self._options
        self._attach(container)
        stream = self._stream
        self._base = stream.time_base or Fraction(1, 1000)
        self._window = TimeRange.of(options, Fraction(container.start_time or 0, av.time_base))
        self._rate = sensible(stream.average_rate) or sensible(stream.guessed_rate)
        self._step = max(1, round(1 / (self._base * (self._rate or DEFAULT_RATE))))
        self._follow(Timeline(self._base, self._step, self._end(stream, container)))
        if self._cut and options.on_error == "stop" and self._window.limit is None:
            raise DamagedInputError(f"{self.name} is cut off: {self._cut}; --on-error skip takes what is "
                                    "there")
        pictures = self._inside()
        if options.deinterlace:
            pictures = deinterlaced(pictures, self._base)
        first = next(pictures, None)
        if first is None:
            raise self._nothing()
        self._normaliser = Normaliser(self._turn(first[0]), fixed=True)
        self._describe(first[0])
        self._frames = self._made(first, pictures)

    def _attach(self, container: Any) -> None:
        self._container = container
        shown = "standard input" if self.name == "-" else self.name
        self._stream = chosen(container, shown, self._options.stream)
        self._decoder = Decoder(container, self._stream, shown, self._options, piped=self.name == "-")

    def _follow(self, clock: Timeline) -> None:
        self._clock = clock
        self._followers = PacketSync(clock, self._decoder.take)

    def _end(self, stream: Any, container: Any) -> float | None:
        """The stated end in seconds, None where nothing states it."""
        start = (container.start_time or 0) / av.time_base
        if container.duration and container.duration > 0:
            return start + container.duration / av.time_base
        return float((stream.start_time or 0) + stream.duration) * self._base if stream.duration else None

    def _nothing(self) -> SourceError:
        if self._window.begin is not None or self._window.limit is not None:
            end, limit = self._clock.end, self._window.limit
            return SourceError(f"{self.name} has no picture in the part asked for: start is "
                               f"{self._options.start:g} s"
                               + ("" if limit is None else f", duration {float(limit):g} s")
                               + ("" if end is None else f"; it ends at {end:g} s"))
        return DamagedInputError(f"{self.name}: no picture of it decodes ({self._decoder.damaged} errors)")

    # --- pictures, in time ---

    def _inside(self) -> Iterator[Timed]:
        """The pictures within the window, with their times."""
        window = self._window
        for picture, pts in self._sought(window.begin) if window.begin is not None else self._timed():
            when = pts * self._base
            if window.skips(when):
                # the demuxer is ahead of the decoder: a part of what it read lies in the window already
                self._followers.put_back([packet for packet in self._followers.take()
                                          if (time := time_of(packet)) is None or not window.skips(time)])
                continue
            if window.origin is None:
                self._decoder.ignore = False
                window.open(when)
            if window.past(when):
                self._read_on()
                return
            yield picture, pts
        lacks = self._cut or cut_pipe(self._container)
        if lacks:
            self._decoder.damage(f"it is cut off ({lacks})")

    def _timed(self) -> Iterator[Timed]:
        for picture in self._decoder:
            yield picture, self._clock.time(picture.pts)

    def _sought(self, begin: Fraction) -> Iterator[Timed]:
        """The pictures from a key frame before ``begin`` on. Where searching went wrong (raw streams,
        GIF, a bad index: the first picture found is too late, or there is none), all from the beginning."""
        self._decoder.ignore = True
        if self._seek(begin):
            pictures = self._timed()
            first = next(pictures, None)
            if first is not None and first[1] * self._base <= begin:
                yield first
                yield from pictures
                return
            self._container.close()
            self._attach(opened(self.name, self._options))
            self._follow(Timeline(self._base, self._step, self._clock.end))
            self._decoder.ignore = True
        yield from self._timed()

    def _seek(self, begin: Fraction) -> bool:
        """Go to a key frame before ``begin``; False where the container cannot or need not be searched."""
        first = self._stream.start_time
        place = int((begin - EARLIER) / self._base)
        if first is None or place <= first or self.name == "-":
            return False
        try:
            self._container.seek(place, stream=self._stream)
        except FAILURES:  # a pipe: all of it is decoded, and dropped up to ``begin``
            return False
        return True

    def _read_on(self) -> None:
        """Read the other tracks up to the window's end: they may lie behind the picture in the file."""
        window = self._window
        behind = {track.index for track in self._decoder.tracks if track.type == "audio"}
        held: list[av.Packet] = []
        for packet in self._decoder.packets() if behind else ():
            new = self._followers.take()
            held += new
            behind -= {other.stream_index for other in new
                       if other.dts is not None and window.past(other.dts * other.time_base)}
            behind -= self._followers.ahead()
            when = packet.dts if packet.pts is None else packet.pts
            late = when is not None and window.past((when + self._clock.offsets[-1]) * self._base - 2)
            if not behind or late or not packet.size:
                break
        self._followers.put_back(held)
        self._followers.forget()  # it lies behind a splice that the window does not reach

    # --- frames ---

    def _made(self, first: Timed, pictures: Iterator[Timed]) -> Iterator[Frame]:
        """Frames of the pictures; one is held back if there are tracks whose packets may follow it."""
        hold = bool(self._decoder.tracks)
        pending: Timed | None = first
        packets = self._carried() if hold else ()
        index = 0
        while pending is not None:
            following = next(pictures, None) if hold else None
            carried = packets if following is not None or not hold else packets + self._carried(rest=True)
            picture, pts = pending
            yield self._normaliser.frame(picture, index, pts - self._window.shift(self._base), self._base,
                                         picture.duration or None, packets=carried)
            index += 1
            packets = self._carried() if hold else ()
            pending = following if hold else next(pictures, None)
        self._remark()

    def _carried(self, *, rest: bool = False) -> tuple[av.Packet, ...]:
        """The packets read meanwhile that lie in the window, with their times shifted as the frames'."""
        window = self._window
        if window.begin is None and window.limit is None:
            return tuple(self._followers.take(rest=rest))
        kept = []
        for packet in self._followers.take(rest=rest):
            time = time_of(packet)
            if time is not None and ((window.begin is not None and window.origin is not None
                                      and time < window.origin) or window.past(time)):
                continue
            shift(packet, -window.shift(packet.time_base))
            kept.append(packet)
        return tuple(kept)

    def _remark(self) -> None:
        """What is only known at the end."""
        lost = self._decoder.read - self._decoder.given
        if self._clock.mended:
            self.notes.append(f"{self._clock.mended} frame times did not increase and were mended")
        if self._followers.left_out:
            self.notes.append(f"{self._followers.left_out} packets of the other tracks overlapped with what "
                              "was before them where the clock steps back, and were left out")
        if self._normaliser.rescaled:
            self.notes.append(f"the picture changes its size: {self._normaliser.rescaled} frames were "
                              f"scaled to {self.info.width} x {self.info.height}")
        if lost > 0 and not self.damaged and self._window.begin is None and self._window.limit is None:
            self.notes.append(f"{lost} of {self._decoder.read} coded pictures gave no frame")

    def _turn(self, picture: av.VideoFrame) -> Turn:
        turn = upright(picture, self._decoder.first_packet)
        if turn is None:
            self.notes.append(f"the container turns the picture by {picture.rotation} degrees; only "
                              "multiples of 90 are applied")
        return turn or Turn()

    def _describe(self, picture: av.VideoFrame) -> None:
        if picture.interlaced_frame and not self._options.deinterlace:
            self.notes.append("interlaced; --deinterlace makes it progressive")
        films = len(pictures_of(self._container))
        if films > 1 and self._options.stream is None:
            self.notes.append(f"there are {films} video streams, of which one is taken; --stream 0 to "
                              f"{films - 1} says which")
        mastering, dynamic = mastering_of(picture)
        if dynamic:
            self.notes.append("the HDR metadata of single pictures (HDR10+, Dolby Vision) is left out")
        tracks = self._decoder.tracks + self._decoder.attached
        self.info = described(self._container, self._stream, tracks, self._window,
                              frame=self._normaliser.frame(picture, 0, 0, self._base, None),
                              transposed=self._normaliser.turn.transpose, rate=self._rate,
                              end=self._clock.end, mastering=mastering, name=self.name)


def missing(name: str) -> str | None:
    """What ``completeness`` says of a local file, or of one that is standard input (as Linux shows it)."""
    path = Path(f"/proc/self/fd/{sys.stdin.fileno()}" if name == "-" else name.removeprefix("file://"))
    return cut_off(path) if scheme(name) is None and path.is_file() else None
