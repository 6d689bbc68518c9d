"""A film whose parts were encoded apart becomes one file: packets are copied, nothing is encoded again.

Parts are placed by their frames' times, never by their durations: an MP4 with B frames states its length cut to a
millisecond, so that thirty parts would be twenty milliseconds short.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av

from ..core.frames import VideoInfo
from ..errors import SinkError
from ..options import OutputOptions
from .base import BaseSink
from .commit import Placement, checked_target, temporary_file, writing
from .containers import CHAPTERS, container_of
from .muxing import muxer_options
from .packets import copied
from .tracks import Tracks
from .verify import Written, verify
from .video import FILE_TAGS

# What can be joined: containers that store a time for each frame
JOINABLE = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".nut")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a film. ``times``: its frames' times in the film, as the input has them, in order of presentation
    (int64, in the input's time base). ``own``: the times that its file has for them, in the same order. ``delay``:
    by how many frames its coding order is ahead."""

    path: str
    times: bytes
    own: bytes
    delay: int
    width: int
    height: int


def part_of(path: str, times: Sequence[int]) -> Part:
    """The Part that lies at ``path``. Raises SinkError where it has not as many frames as ``times``."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        own = [packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None]
        width, height = stream.width, stream.height
    if len(own) != len(times):
        raise SinkError(f"{path} has {len(own)} frames, and {len(times)} were written")
    order = sorted(own)
    rank = {pts: number for number, pts in enumerate(order)}
    delay = max((number - rank[pts] for number, pts in enumerate(own)), default=0)
    return Part(path, array("q", times).tobytes(), array("q", order).tobytes(), delay, width, height)


class JoinedSink(BaseSink):
    """The file ``target`` of ``parts``, in order, with the tracks, chapters and tags of ``info``. Takes no frames:
    ``finish`` does it all.

    time_base  of the parts' times
    packets    the tracks' packets, in the file's order; called once
    """

    def __init__(self, target: str, info: VideoInfo, kind: str, options: OutputOptions, parts: Sequence[Part],
                 time_base: Fraction, packets: Callable[[], Iterator[av.Packet]]) -> None:
        super().__init__()
        self.target, self.kind = target, kind
        self._info, self._options, self._parts = info, options, parts
        self._time_base, self._packets = time_base, packets
        self._format = container_of(target)
        self.path = checked_target(target, options.overwrite)
        self.growing = temporary_file(self.path)
        self._times = array("q")
        for part in parts:
            self._times.frombytes(part.times)
        self._finished = self._done = False

    def finish(self) -> None:
        """Copy everything into one file and verify it. Raises SinkError, and then nothing is left behind."""
        if self._finished or self._done:
            return
        assert self.growing is not None
        assert self.path is not None
        try:
            if any(later <= now for now, later in zip(self._times, self._times[1:], strict=False)):
                raise SinkError(f"{self.target}: the parts' times do not increase")
            with writing(self.target, self.path.parent):
                self._write(self.growing)
            span = (self._times[-1] - self._times[0]) * self._time_base
            size = self._parts[0].width, self._parts[0].height
            verify(self.growing, self._format.muxer,
                   Written(len(self._times), *size, span, self.kind == "cutout", False), self.target)
            self.size = self.growing.stat().st_size
        except BaseException:
            self.abort()
            raise
        self._finished = True

    def placements(self) -> Sequence[Placement]:
        """The file, once it is finished."""
        if not self._finished or self._done or self.growing is None or self.path is None:
            return ()
        return [Placement(self.growing, self.path, self.target, self._options.overwrite)]

    def settle(self) -> None:
        """Nothing is left to do."""
        self._done = True

    def abort(self) -> None:
        """Remove what was written. Never raises."""
        if not self._done and self.growing is not None:
            with contextlib.suppress(OSError):
                self.growing.unlink(missing_ok=True)
        self._done = True

    def _write(self, place: Path) -> None:
        start = self._times[0] * self._time_base
        with contextlib.ExitStack() as stack:
            container = stack.enter_context(av.open(
                str(place), "w", format=self._format.muxer,
                container_options=muxer_options(self._format, self._options, start)))
            opened = av.open(self._parts[0].path)
            stack.callback(opened.close)
            model = opened.streams.video[0]
            stream = container.add_stream_from_template(model)
            stream.time_base = self._time_base
            if self._info.rate is not None:  # else the time base counts as the rate, and is written as such
                stream.codec_context.framerate = self._info.rate
            container.metadata.update({key: value for key, value in self._info.metadata.items()
                                       if key not in FILE_TAGS})
            tracks = None
            if self._options.audio and self.kind in ("composite", "cutout") and self._info.tracks:
                tracks = Tracks(container, self._format, self._info, self._options, self.notes)
            if self._info.chapters and self._format.muxer in CHAPTERS:
                container.set_chapters(cast(Any, list(self._info.chapters)))
            container.start_encoding()
            beside = _Beside(self._packets() if tracks is not None else iter(()))
            for packet, when in self._copies(stream, model.codec_context.extradata):
                if tracks is not None:
                    tracks.put(beside.until(when))
                container.mux_one(packet)
            if tracks is not None:
                tracks.put(beside.until(None))
                tracks.close()

    def _copies(self, stream: Any, header: bytes | None) -> Iterator[tuple[av.Packet, Fraction]]:
        """Every packet with its place in the whole film, and when it is decoded."""
        delay, count = max(part.delay for part in self._parts), 0
        for part in self._parts:
            own, first = array("q"), count
            own.frombytes(part.own)
            rank = {pts: first + number for number, pts in enumerate(own)}
            with av.open(part.path) as container:
                video = container.streams.video[0]
                if video.codec_context.extradata != header:
                    raise SinkError(f"{self.target}: the encoder gave its parts different headers; they cannot be "
                                    "joined")
                for packet in container.demux(video):
                    if not packet.size or packet.pts is None:
                        continue
                    made = copied(packet, stream)
                    made.pts, made.dts = self._times[rank[packet.pts]], self._decoded_at(count - delay)
                    if packet.duration and packet.time_base:
                        made.duration = max(1, round(packet.duration * packet.time_base / self._time_base))
                    made.time_base = self._time_base
                    count += 1
                    yield made, made.dts * self._time_base

    def _decoded_at(self, place: int) -> int:
        """The decoding time of the frame that is ``place`` frames after the first to be shown; before that, times
        go on backwards."""
        if place >= 0:
            return self._times[place]
        step = self._times[1] - self._times[0] if len(self._times) > 1 else 1
        return self._times[0] + place * step


class _Beside:
    """The tracks' packets, given out as the pictures come by."""

    def __init__(self, packets: Iterator[av.Packet]) -> None:
        self._packets = packets
        self._next = next(packets, None)

    def until(self, when: Fraction | None) -> Iterator[av.Packet]:
        """Those up to ``when`` seconds, or all that are left."""
        while self._next is not None:
            found = self._next
            time = found.dts if found.dts is not None else found.pts
            if when is not None and time is not None and found.time_base and time * found.time_base > when:
                return
            self._next = next(self._packets, None)
            yield found
