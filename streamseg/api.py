"""Puts the stages together: source, segment, smooth, refine + composite, sink.

Threads (design: one a stage, joined by bounded channels): decode, segment, finish; the main thread
encodes, shows progress and takes Ctrl-C. Models load and files open before any thread starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from . import segment as methods
from . import smooth
from .composite import Compositor
from .core.frames import Frame, Matte, VideoInfo
from .core.opencv import cv2
from .core.thread_budget import Threads
from .engine.channels import StageRunner
from .errors import OptionError, SegmentError, SinkError, SourceError, StreamsegError
from .options import Options
from .report import Forecast, Progress, Queue, Report, Stopwatch, peak_rss_mib
from .segment import BaseSegmenter, Segmenter
from .segment.keyframes import KeyframeSegmenter
from .sink import (
    BaseSink,
    PictureSink,
    Sink,
    Target,
    adapt_sink,
    alpha_by_default,
    check_target,
    commit_together,
    extension_for,
    open_sink,
    path_text,
)
from .sink.commit import refuse_input
from .smooth import Smoother
from .source import Source, open_source, refuse_idle
from .temporal import tracked
from .validation import interval

FINISHED = 4  # finished frames that may wait for the encoder: evens out its I frames; 12 MB at 1080p
_THREADS_BEFORE: list[int] = []  # OpenCV's, before each of the runs that are under way


def run(source: Any, sink: Target | Sequence[Target] | None = None, *, format: str | None = None,
        progress: Callable[[Progress], None] | None = None, **options: Any) -> Report:
    """Take the background out of ``source`` and write ``sink``.

    source    what ``open_source`` takes: a path, URL, folder, '-', or an iterable of arrays
    sink      one or a list of: a path (str or os.PathLike) or '-', whose extension decides container and
              codec; a file object that takes bytes, as an io.BytesIO; a Sink. None if only options.matte,
              cutout or foreground is wanted. Each is written in a thread of its own
    format    what a file object is to hold, as an extension: format="mp4"; default: that of its name
    progress  called in this thread: once when all is ready, and after each frame that was written
    options   fields of Options. ``method`` may be an object with segment(frames), reset() and close(), for
              one run at a time. It is reset before the first frame and at each cut, and never closed, after a
              failure neither: who made it closes it

    All outputs are made from one inference, and appear together at the end: if one fails, none does, and
    what lay there before is untouched. Raises StreamsegError; then every partial output is gone
    (options.keep_partial keeps it, and a note on the error says where) and no thread is left.
    """
    chosen = Options.of(options)
    stopwatch = Stopwatch()
    began = time.perf_counter()
    with ExitStack() as stack:
        stack.enter_context(_opencv_threads(chosen.threads))
        crew = StageRunner(stall_timeout=chosen.stall_timeout)
        opened = open_source(source, chosen)
        stack.callback(crew.unless_running, "decode", opened.close)
        refuse_idle(source, opened, chosen)
        _refuse_own_input(source, sink, chosen)
        sinks = _open_sinks(sink, format, opened.info, chosen, stack)
        segmenter = _segmenter(source, chosen, opened.info.stills)
        stack.callback(crew.unless_running, "segment", segmenter.close)
        compositor = Compositor(opened.info, sorted({kind for kind, _ in sinks}), chosen)
        stack.callback(crew.unless_running, "finish", compositor.close)
        stack.enter_context(crew)
        runs_on = segmenter.capabilities.runs_on
        if progress is not None:
            progress(Progress(0, opened.info.expected_frames, 0.0, runs_on))
        finished = _stages(crew, opened, segmenter, compositor, chosen, stopwatch)
        count, first = _write_all(finished, sinks, opened.info, stopwatch, progress, began)
        elapsed = time.perf_counter() - began
        queues = {name: Queue(stats.capacity, stats.high_water, stats.dropped)
                  for name, stats in crew.stats.items()}
        return Report(
            input=opened.info.name, frames=count, elapsed=round(elapsed, 3),
            method=methods.shown(chosen.method), runs_on=runs_on,
            fps=round(count / elapsed, 2), first_frame_s=first, stages=stopwatch.stages(), queues=queues,
            outputs=[item.result() for _, item in sinks], damaged=opened.damaged,
            dropped=sum(queue.dropped for queue in queues.values()), peak_rss_mib=peak_rss_mib(),
            mattes=dict(segmenter.statistics),
            notes=[*opened.notes, *compositor.notes, *(note for _, item in sinks for note in item.notes)])


def mattes(source: Any, **options: Any) -> Iterator[tuple[Frame, Matte]]:
    """Yield each frame of ``source`` with its matte, which is at the method's own size and steadied over
    time (``smooth="none"``: as the method gave it).

    Decoding and the method run in threads of their own; they end when the iterator is closed. Options are
    checked at once, the source is opened with the first pair. A method that is an object remains the caller's
    to close, as in ``run``.
    """
    return _mattes(source, Options.of(options))


def _mattes(source: Any, chosen: Options) -> Iterator[tuple[Frame, Matte]]:
    stopwatch = Stopwatch()
    with ExitStack() as stack:
        stack.enter_context(_opencv_threads(chosen.threads))
        crew = StageRunner(stall_timeout=chosen.stall_timeout)
        opened = open_source(source, chosen)
        stack.callback(crew.unless_running, "decode", opened.close)
        refuse_idle(source, opened, chosen)
        segmenter = _segmenter(source, chosen, opened.info.stills)
        stack.callback(crew.unless_running, "segment", segmenter.close)
        stack.enter_context(crew)
        yield from _matte_stages(crew, opened, segmenter, chosen, stopwatch)


def _stages(crew: StageRunner, source: Source, segmenter: Segmenter, compositor: Compositor, options: Options,
            stopwatch: Stopwatch) -> Iterator[dict[str, Frame]]:
    pairs = _matte_stages(crew, source, segmenter, options, stopwatch)
    return crew.thread("finish", finish_stage(pairs, compositor, stopwatch), capacity=FINISHED)


def _matte_stages(crew: StageRunner, source: Source, segmenter: Segmenter, options: Options,
                  stopwatch: Stopwatch) -> Iterator[tuple[Frame, Matte]]:
    live = source.info.live
    frames = crew.thread("decode", decode_stage(source, stopwatch),
                         capacity=1 if live else 2 * options.batch, newest=live, merge=inherit)
    batch = 1 if live or source.info.stills else options.batch
    if not source.info.stills:
        frames = tracked(frames)
    mattes = segment_stage(frames, segmenter, batch, source.info.stills, stopwatch)
    if not source.info.stills and options.smooth != "none":
        steady = smooth.create(options.smooth, strength=options.smooth_strength, window=options.lookahead,
                               hysteresis=options.hysteresis, live=live)
        mattes = smooth_stage(mattes, steady, stopwatch)
    return crew.thread("segment", mattes, capacity=batch)


def inherit(dropped: Frame, frame: Frame) -> Frame:
    """``frame`` with the sound of ``dropped`` before its own: only the picture gives way, live."""
    return replace(frame, packets=dropped.packets + frame.packets) if dropped.packets else frame


def decode_stage(source: Source, stopwatch: Stopwatch) -> Iterator[Frame]:
    """The source's frames. Whatever it raises becomes a SourceError."""
    with _blame(SourceError, "the input cannot be read"):
        yield from stopwatch.timed("decode", iter(source))


def segment_stage(frames: Iterator[Frame], segmenter: Segmenter, batch: int, stills: bool,
                  stopwatch: Stopwatch) -> Iterator[tuple[Frame, Matte]]:
    """Each frame with its matte. Stills have nothing to do with each other: reset before each."""
    while group := list(islice(frames, batch)):
        with _blame(SegmentError, f"the method failed on frame {group[0].index}"), \
                stopwatch.measure("segment", len(group)):
            if stills:
                segmenter.reset()
            found = segmenter.segment(group)
            if len(found) != len(group) or not all(isinstance(matte, Matte) for matte in found):
                raise SegmentError(f"the method gave {len(found)} mattes for {len(group)} frames at frame "
                                   f"{group[0].index}: segment() must return one Matte a frame")
        yield from zip(group, found, strict=True)


def smooth_stage(pairs: Iterator[tuple[Frame, Matte]], smoother: Smoother,
                 stopwatch: Stopwatch) -> Iterator[tuple[Frame, Matte]]:
    """Each frame with its matte steadied over time. The smoother takes the pairs itself, some before it
    gives the first; what it waits for them is not counted as its time."""
    waited = 0.0

    def incoming() -> Iterator[tuple[Frame, Matte]]:
        nonlocal waited
        begin = time.perf_counter()
        for pair in pairs:
            waited += time.perf_counter() - begin
            yield pair
            begin = time.perf_counter()
        waited += time.perf_counter() - begin

    begin = time.perf_counter()
    with _blame(SegmentError, "the mattes cannot be steadied (--smooth none leaves it out)"):
        for pair in smoother(incoming()):
            stopwatch.count("smooth", time.perf_counter() - begin - waited)
            yield pair
            begin, waited = time.perf_counter(), 0.0


def finish_stage(pairs: Iterator[tuple[Frame, Matte]], compositor: Compositor,
                 stopwatch: Stopwatch) -> Iterator[dict[str, Frame]]:
    """The finished pictures of each frame, by kind."""
    for frame, matte in pairs:
        with _blame(StreamsegError, f"frame {frame.index} cannot be composited"), \
                stopwatch.measure("composite"):
            pictures = compositor.finish(frame, matte)
        yield pictures


def _write_all(finished: Iterator[dict[str, Frame]], sinks: Sequence[tuple[str, BaseSink]], info: VideoInfo,
               stopwatch: Stopwatch, progress: Callable[[Progress], None] | None,
               began: float) -> tuple[int, float | None]:
    """Write every picture and commit the sinks together. -> (frames, seconds to the first)"""
    count, first = 0, None
    forecast = Forecast(_growing(sinks), info.expected_frames, info.rate)
    for pictures in finished:
        with _blame(SinkError, "the output cannot be written"), stopwatch.measure("encode"):
            for kind, sink in sinks:
                sink.write(pictures[kind])
        count += 1
        elapsed = time.perf_counter() - began
        first = round(elapsed, 3) if first is None else first
        if progress is not None:
            progress(Progress(count, info.expected_frames, elapsed, expected_bytes=forecast.at(count)))
    with _blame(SinkError, "the output cannot be finished"):
        commit_together(sink for _, sink in sinks)
    return count, first


def _segmenter(source: Any, options: Options, stills: bool) -> BaseSegmenter:
    named = isinstance(source, (str, Path)) and str(source) != "-"
    clip = str(source) if named else source if isinstance(source, (list, tuple)) else None
    reading = {name: getattr(options, name) for name in methods.READING}
    segmenter = methods.create(options.method, options.set, clip=clip, **reading, threads=options.threads,
                               device=options.device, runtime=options.runtime, model=options.model,
                               model_spec=options.model_spec, classes=options.classes, stills=stills)
    every = interval(options.every)
    if every is None and not segmenter.capabilities.expensive:
        every = 1  # what is cheaper than optical flow, or learns from every frame, sees every frame
    if stills:
        return segmenter
    return KeyframeSegmenter(segmenter, skip_still=options.skip_still, every=every)


def _open_sinks(sink: Target | Sequence[Target] | None, format: str | None, info: VideoInfo, options: Options,
                stack: ExitStack) -> list[tuple[str, BaseSink]]:
    """(kind, sink) of every output, all opened; ``stack`` aborts those that are not committed at its end."""
    targets: list[tuple[str, Target]] = [(_kind_of(target, format, options), target) for target in _listed(sink)]
    also = {"matte": options.matte, "cutout": options.cutout, "foreground": options.foreground}
    targets += [(kind, path) for kind, path in also.items() if path is not None]
    if not targets:
        raise OptionError("no output: give -o PATH, --matte PATH, --cutout PATH or --foreground PATH")
    named = [path_text(target) for _, target in targets if isinstance(target, (str, PathLike))]
    names = ["standard output" if name == "-" else os.path.abspath(name)
             for name in named if not name.startswith("null:")]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise OptionError(f"{', '.join(sorted(twice))} is named as an output twice: give each its own path")
    opened: list[tuple[str, BaseSink]] = []
    for kind, target in targets:
        item = adapt_sink(open_sink(target, info, kind=kind, format=format, options=options))
        stack.push(partial(_abort, item))
        opened.append((kind, item))
    return opened


def _refuse_own_input(source: Any, sink: Target | Sequence[Target] | None, options: Options) -> None:
    for target in (*_listed(sink), options.matte, options.cutout, options.foreground):
        if isinstance(target, (str, PathLike)) and isinstance(source, (str, PathLike)):
            refuse_input(path_text(target), source, options.overwrite)


def _abort(sink: BaseSink, kind: object, error: BaseException | None, trace: object) -> None:
    """Abort ``sink``, which does nothing to a closed one, and note on the error what it kept, and where."""
    sink.abort()
    if error is not None and sink.kept is not None:
        error.add_note(f"what was written until then is kept as {sink.kept}")


def _listed(sink: Target | Sequence[Target] | None) -> list[Target]:
    if sink is None:
        return []
    return list(sink) if isinstance(sink, (list, tuple)) else [sink]  # type: ignore[list-item]


def _kind_of(target: Target, format: str | None, options: Options) -> str:
    """'cutout' where transparency was asked for, or nothing was and the output is one for it."""
    check_target(target)
    if isinstance(target, Sink):
        return adapt_sink(target).kind
    name = path_text(target) if isinstance(target, (str, PathLike)) else "output" + extension_for(target, format)
    if options.show_matte:
        return "composite"
    wanted = options.background == "none" or (options.background is None and alpha_by_default(name))
    return "cutout" if wanted else "composite"


def _growing(sinks: Sequence[tuple[str, BaseSink]]) -> list[Path]:
    """The files that films are being written to; none beside pictures, whose sizes come one by one."""
    if any(isinstance(sink, PictureSink) for _, sink in sinks):
        return []
    return [sink.growing for _, sink in sinks if sink.growing is not None]


@contextmanager
def _blame(kind: type[StreamsegError], what: str) -> Iterator[None]:
    """Turn an exception that is not a StreamsegError into one of ``kind`` that says ``what`` failed."""
    try:
        yield
    except StreamsegError:
        raise
    except Exception as error:
        raise kind(f"{what}: {type(error).__name__}: {error}. --verbose shows where") from error


@contextmanager
def _opencv_threads(budget: int | None) -> Iterator[None]:
    """OpenCV's own pool for the time of a run: every stage has a thread already, so a call gets more
    than one only where the budget has more than the four stages need. Of runs side by side the last to end
    puts things back."""
    _THREADS_BEFORE.append(cv2.getNumThreads())
    cv2.setNumThreads(Threads.of(budget).opencv)
    try:
        yield
    finally:
        before = _THREADS_BEFORE.pop()
        if not _THREADS_BEFORE:
            cv2.setNumThreads(before)
