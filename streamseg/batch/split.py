"""Long films in parts: which may be, how a part (a Span) is computed, and how parts are joined."""

from __future__ import annotations

import json
import os
import zlib
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import av

from .. import api
from ..core.folders import made_folder
from ..core.frames import Frame, VideoInfo
from ..core.opencv import opencv_threads
from ..core.thread_budget import Threads
from ..errors import SourceError, StreamsegError
from ..options import InputOptions, Options
from ..outputs import kind_of
from ..report import Subject
from ..sink import BaseSink, commit_together, open_sink
from ..sink.containers import extension
from ..sink.join import JOINABLE, JoinedSink, Part, part_of
from ..source import BaseSource, open_source
from ..source.open import open_container
from ..subject import remarks
from . import files
from .addresses import is_address
from .job import EXTRA, NULL
from .methods import MAKING, Methods, OnDemand, splittable
from .names import is_still
from .records import Written
from .spans import Span

_WHOLE_ONLY = ("start", "duration", "preview", "cfr", "rate", "deinterlace", "skip_still", "keep_partial",
               "strokes", "matte_in", "packed")


class NotInParts(StreamsegError):
    """A film whose parts do not fit together: it is done whole."""


@dataclass(frozen=True, slots=True)
class PartDone:
    """What a part gave: a file for each of the job's outputs, in their order. ``written``: the files as they were
    verified."""

    files: tuple[Part, ...]
    seconds: float
    subject: str
    damaged: int
    notes: tuple[str, ...]
    written: tuple[Written, ...] = ()

    def is_there(self) -> bool:
        """Whether its files are as they were written."""
        return bool(self.written) and all(map(files.unchanged, self.written))

    def text(self) -> str:
        """As JSON, for the ledger."""
        return json.dumps(asdict(self), default=lambda data: b64encode(data).decode())

    @classmethod
    def of(cls, text: str) -> PartDone:
        """From ``text``."""
        told = json.loads(text)
        parts = tuple(Part(**{**part, "times": b64decode(part["times"]), "own": b64decode(part["own"])})
                      for part in told.pop("files"))
        return cls(parts, told.pop("seconds"), told.pop("subject"), told.pop("damaged"), tuple(told.pop("notes")),
                   tuple(Written(**made) for made in told.pop("written")))


def outputs_of(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(target, kind) of a job's outputs, as ``run`` decides."""
    options = job["options"]
    whole = Options.of(options)
    found = [(target, kind_of(target, whole)) for target in job["sinks"]]
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
    made = [sink for sink in sinks if isinstance(sink, PartSink)]
    parts = tuple(part_of(str(sink.path), sink.times) for sink in made)
    subject = report.subject or Subject("none", 0, 0)
    said = remarks(subject, report.frames, report.method)  # it is for the film as a whole to say
    notes = tuple(note for note in report.notes if note not in said)
    return PartDone(parts, report.elapsed, subject.state, report.damaged, notes,
                    tuple(files.written(str(sink.path), sink.kind) for sink in made))


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
