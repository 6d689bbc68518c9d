"""Long films in parts: where they are split, what a part computes beside its own frames, and how parts are joined.

A part that begins at a cut computes what the whole film would: there every state begins afresh. Any other part
computes LEAD frames before its own, or up to twice as many, in which the states become those of the whole film, and
as many behind them as the smoother looks ahead; neither are written.
"""

from __future__ import annotations

import os
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av

from .. import api
from ..core.folders import made_folder
from ..core.frames import Frame, VideoInfo
from ..core.matrices import kept
from ..core.opencv import opencv_threads
from ..core.thread_budget import Threads
from ..errors import SourceError, StreamsegError
from ..options import InputOptions, Options
from ..report import Subject
from ..sink import BaseSink, alpha_by_default, commit_together, open_sink
from ..sink.containers import extension
from ..sink.join import JOINABLE, JoinedSink, Part, part_of
from ..source import BaseSource, open_source
from ..source.open import open_container
from ..source.probe import select_stream
from ..subject import remarks
from ..temporal import Cuts
from .inputs import is_address
from .methods import MAKING, Methods, OnDemand, splittable
from .names import EXTRA, NULL, is_still

# Frames: a multiple of the distances of key mattes (3) and of the looks at the whole picture (16, 8 key mattes), so
# that a part that begins so many frames after a shot's first counts them as the whole film does.
LEAD = 48
TRIED = 2      # key frames near a border at which a cut is looked for
NEAR = 0.25    # of a part: how far a border may move to a key frame
_WHOLE_ONLY = ("start", "duration", "preview", "cfr", "rate", "deinterlace", "skip_still", "keep_partial")


class NotInParts(StreamsegError):
    """A film whose parts do not fit together: it is done whole."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a film; times are in ``time_base``.

    begin, end  its frames are those from ``begin`` to before ``end`` (None: to the film's end)
    lead        the first frame that is computed; ``start``: seconds to seek to for it, None from the beginning
    tail        computed up to before this time; None to the end
    count, sum  how many frames it has, and the CRC-32 of their times (int64)
    cut         whether another shot begins with it
    """

    number: int
    time_base: Fraction
    begin: int
    end: int | None
    lead: int
    start: float | None
    tail: int | None
    count: int
    sum: int
    cut: bool


@dataclass(frozen=True, slots=True)
class PartDone:
    """What a part gave: a file for each of the job's outputs, in their order."""

    files: tuple[Part, ...]
    seconds: float
    subject: str
    damaged: int
    notes: tuple[str, ...]


def outputs_of(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(target, kind) of a job's outputs, as ``run`` decides."""
    options = job["options"]
    found = []
    for target in job["sinks"]:
        bare = options.get("background") == "none" or (options.get("background") is None and alpha_by_default(target))
        found.append((target, "cutout" if bare and not options.get("show_matte") else "composite"))
    return found + [(options[kind], kind) for kind in EXTRA if options.get(kind) is not None]


def may_be_split(job: Mapping[str, Any]) -> bool:
    """Whether options and outputs allow parts at all; what the film itself says, ``spans`` finds out."""
    options, source = job["options"], job["source"]
    background = options.get("background")
    film_behind = isinstance(background, str) and os.path.isfile(background) and not is_still(background)
    joinable = all(target != NULL and not is_address(target) and extension(target) in JOINABLE and "%" not in target
                   for target, _ in outputs_of(job))
    return (not is_address(source) and os.path.isfile(source) and not is_still(source) and not film_behind
            and joinable
            and not any(options.get(name) for name in _WHOLE_ONLY) and options.get("on_error", "stop") == "stop"
            and splittable(options))


def spans(job: Mapping[str, Any], seconds: float) -> list[Span] | None:
    """The parts of a job's film, each of about ``seconds``; None where it is too short, or its packets do not tell
    when each frame is shown. Raises SourceError."""
    options = Options.of(job["options"])
    times, keys, zero, time_base = _packets(job["source"], options)
    if len(times) < 2 or len(set(times)) != len(times):
        return None
    order = sorted(times)
    length = (order[-1] - order[0]) * time_base
    count = int(length / Fraction(seconds) + Fraction(1, 2))
    if count < 2:
        return None
    borders = _borders(job["source"], options, order, sorted(keys), count, time_base)
    return _spans(order, borders, options, zero, time_base)


def _packets(path: str, options: InputOptions) -> tuple[list[int], list[int], Fraction, Fraction]:
    """(the frames' times, those of key frames, the container's first time in seconds, the time base)."""
    with open_container(path, options) as container:
        stream = select_stream(container, path, options.stream)
        times, keys = [], []
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        return times, keys, Fraction(container.start_time or 0, av.time_base), Fraction(stream.time_base or 1)


def _borders(path: str, options: InputOptions, order: Sequence[int], keys: Sequence[int], count: int,
             time_base: Fraction) -> list[tuple[int, bool]]:
    """(place in ``order``, whether another shot begins there) of each part but the first."""
    found: list[tuple[int, bool]] = []
    size = len(order) / count
    for number in range(1, count):
        wanted = round(number * size)
        near = sorted((place for place in (bisect_left(order, key) for key in keys)
                       if abs(place - wanted) <= NEAR * size), key=lambda place: abs(place - wanted))
        cut = next((place for place in near[:TRIED] if _is_cut(path, options, order, place, time_base)), None)
        place = cut if cut is not None else near[0] if near else wanted
        if place > (found[-1][0] if found else 0):
            found.append((place, cut is not None))
    return found


def _is_cut(path: str, options: InputOptions, order: Sequence[int], place: int, time_base: Fraction) -> bool:
    """Whether another shot begins with the frame at ``place``, as the pipeline would see it."""
    if place < 1:
        return False
    with open_container(path, options) as container:
        stream = select_stream(container, path, options.stream)
        container.seek(order[place - 1], stream=stream)
        before = None
        for picture in container.decode(stream):
            if picture.pts is None or picture.pts < order[place - 1]:
                continue
            luma = picture.reformat(*Cuts.size, "gray", **kept(int(picture.colorspace))).to_ndarray()
            if before is not None:
                return Cuts().between(before, luma)
            before = luma
    return False


def _spans(order: Sequence[int], borders: Sequence[tuple[int, bool]], options: Options, zero: Fraction,
           time_base: Fraction) -> list[Span]:
    ahead = options.lookahead + 1 if options.smooth in ("auto", "lookahead") else 0
    starts = [(0, True), *borders]
    ends = [place for place, _ in borders] + [len(order)]
    after = [cut for _, cut in borders] + [True]
    made, shot = [], 0
    for number, ((first, cut), last, clean) in enumerate(zip(starts, ends, after, strict=True)):
        shot = first if cut else shot
        lead = shot + max(0, (first - shot) // LEAD - 1) * LEAD if not cut else first
        tail = last if clean else min(len(order), last + ahead)
        start = None
        if lead > 0:  # a little before the frame, so that no rounding skips it
            gap = (order[lead] - order[lead - 1]) * time_base
            start = float(order[lead] * time_base - zero - min(gap / 2, Fraction(1, 1000)))
        own = order[first:last]
        made.append(Span(number, time_base, own[0], order[last] if last < len(order) else None, order[lead], start,
                         order[tail] if tail < len(order) else None, len(own), _sum(own), cut))
    return made


def _sum(times: Sequence[int]) -> int:
    return zlib.crc32(array("q", times).tobytes())


class PartSource(BaseSource):
    """The frames of a span, with what is computed before and behind it, at their times in the film."""

    def __init__(self, source: BaseSource, span: Span) -> None:
        super().__init__()
        self._source, self._span = source, span
        self.info = replace(source.info, tracks=(), chapters=(), metadata={}, frames=None, duration=None)

    @property
    def damaged(self) -> int:
        """Damaged parts so far."""
        return self._source.damaged

    def __iter__(self) -> Iterator[Frame]:
        # with ``start`` a source counts from the first frame that it gives
        shift = 0 if self._span.start is None else self._span.lead
        for frame in self._source:
            if frame.pts is None:
                raise NotInParts(f"frame {frame.index} has no time")
            time = frame.pts + shift
            if self._span.tail is not None and time >= self._span.tail:
                return
            yield replace(frame, pts=time, packets=())

    def close(self) -> None:
        """Close the film."""
        self._source.close()


class PartSink(BaseSink):
    """Writes the frames of a span, and of no other, into a file that begins at 0."""

    def __init__(self, sink: BaseSink, span: Span) -> None:
        super().__init__()
        self._sink, self._span = sink, span
        self.kind, self.target, self.notes, self.path = sink.kind, sink.target, sink.notes, sink.path
        self.times = array("q")

    def write(self, frame: Frame) -> None:
        """Take one frame."""
        assert frame.pts is not None
        if frame.pts >= self._span.begin and (self._span.end is None or frame.pts < self._span.end):
            self.times.append(frame.pts)
            self._sink.write(replace(frame, pts=frame.pts - self._span.begin))

    def finish(self) -> None:
        """Verify the frames' times, and the file."""
        if len(self.times) != self._span.count or zlib.crc32(self.times.tobytes()) != self._span.sum:
            raise NotInParts(f"part {self._span.number} gave {len(self.times)} frames, its packets say "
                             f"{self._span.count}, or other times")
        self._sink.finish()

    def stop(self) -> None:
        """Hand it on."""
        self._sink.stop()

    def placements(self) -> Sequence[Any]:
        """As of the file."""
        return self._sink.placements()

    def settle(self) -> None:
        """Hand it on."""
        self._sink.settle()
        self.size = self._sink.size

    def abort(self) -> None:
        """Hand it on."""
        self._sink.abort()


def do_part(job: Mapping[str, Any], span: Span, folder: str, methods: Methods) -> PartDone:
    """Compute one part into files in ``folder``. Raises what ``run`` raises, and NotInParts."""
    options = {**job["options"], "overwrite": True, "audio": False}
    for name in EXTRA:
        options.pop(name, None)
    reading = Options.of({**options, **({} if span.start is None else {"start": span.start})})
    with opencv_threads(Threads.of(reading.threads).opencv):
        source = PartSource(open_source(job["source"], reading), span)
        try:
            sinks: list[BaseSink] = []
            for number, (target, kind) in enumerate(outputs_of(job)):
                path = os.path.join(folder, f"{span.number:05d}-{number}{extension(target)}")
                sinks.append(PartSink(_file(path, source.info, kind, reading, sinks), span))
            method = OnDemand(methods, job["options"], job["source"])
            rest = {key: value for key, value in options.items() if key not in MAKING}
            report = api.run(source, sinks, method=method, **{**rest, "require_subject": False})  # see join
        finally:
            source.close()
    files = tuple(part_of(str(sink.path), sink.times) for sink in sinks if isinstance(sink, PartSink))
    subject = report.subject or Subject("none", 0, 0)
    said = remarks(subject, report.frames, report.method)  # it is for the film as a whole to say
    notes = tuple(note for note in report.notes if note not in said)
    return PartDone(files, report.elapsed, subject.state, report.damaged, notes)


def _file(path: str, info: VideoInfo, kind: str, options: Options, opened: Sequence[BaseSink]) -> BaseSink:
    try:
        made = open_sink(path, info, kind=kind, options=options)
    except BaseException:
        for sink in opened:
            sink.abort()
        raise
    assert isinstance(made, BaseSink)
    return made


def join_all(job: Mapping[str, Any], spans: Sequence[Span], done: Sequence[PartDone]) -> list[str]:
    """Put the parts together: all outputs of the job, or none. -> notes. Raises SinkError."""
    replaced = {**job["options"], "overwrite": bool(job.get("replace"))}
    options = Options.of(replaced)
    opened = open_source(job["source"], options)
    sinks: list[BaseSink] = []
    try:
        if spans[0].time_base <= 0:
            raise SourceError(f"{job['source']} has no time base")
        for number, (target, kind) in enumerate(outputs_of(job)):
            with made_folder(os.path.dirname(target)):
                sinks.append(JoinedSink(target, opened.info, kind, options, [part.files[number] for part in done],
                                        spans[0].time_base, lambda: _track_packets(job["source"], options)))
        commit_together(sinks)
    except BaseException:
        for sink in sinks:
            sink.abort()
        raise
    finally:
        opened.close()
    return [note for sink in sinks for note in sink.notes]


def _track_packets(path: str, options: InputOptions) -> Iterator[av.Packet]:
    """The packets of all tracks but the pictures, as they lie in the file."""
    with open_container(path, options) as container:
        tracks = [stream for stream in container.streams if stream.type in ("audio", "subtitle", "data")]
        if tracks:
            yield from (packet for packet in container.demux(*tracks) if packet.size)
