"""``run`` and ``mattes``: opens what a run needs, puts it into the engine's graph, and commits the outputs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from os import PathLike
from typing import Any

from . import segment as methods
from . import smooth
from .composite import Compositor
from .core.area import Area, whole
from .core.frames import Frame, Matte, VideoInfo
from .engine import LOSSLESS, Graph
from .errors import OptionError, SinkError
from .options import InputOptions, Options
from .outputs import growing_files, open_outputs, refuse_own_input
from .report import Forecast, Progress, Queue, Report, Stopwatch, peak_rss_mib
from .resizing import run_in_sections
from .segment import BaseSegmenter
from .segment.keyframes import KeyframeSegmenter, interval_for
from .sink import BaseSink, Target, commit_together
from .source import BaseSource, Source, open_source, refuse_unused
from .stages import blame, decode_stage, finish_stage, matted_within, output_stage, segment_stage, smooth_stage
from .subject import SubjectCounter, remarks, require
from .temporal import tracked

Pair = tuple[Frame, Matte]
Matting = Callable[[Iterator[Frame]], Iterator[Pair]]


def run(source: Any, sink: Target | Sequence[Target] | None = None, *, format: str | None = None,
        progress: Callable[[Progress], None] | None = None, **options: Any) -> Report:
    """Take the background out of ``source`` and write ``sink``.

    source    what ``open_source`` takes: a path, URL, folder, '-', or an iterable of arrays
    sink      one or a list of: a path (str or os.PathLike) or '-', whose extension decides container and
              codec; a file object that takes bytes, as an io.BytesIO; a Sink. None if only options.matte,
              cutout or foreground is wanted. Each is written in a thread of its own
    format    what a file object is to hold, as an extension: format="mp4"; default: that of its name
    progress  called in this thread: once when all is ready, and after each frame that every output has written
    options   fields of Options. ``method`` may be an object with segment(frames), reset() and close(), for
              one run at a time. It is reset before the first frame and at each cut, and never closed, after a
              failure neither: who made it closes it

    All outputs are made from one inference, and appear together at the end: if one fails, none does, and
    what lay there before is untouched. Raises StreamsegError; then every partial output is gone
    (options.keep_partial keeps it, and a note on the error says where) and no thread is left. Several runs may be
    under way at a time; nothing that is the whole process's (OpenCV's threads, standard error) is changed.
    """
    chosen = Options.of(options)
    one = partial(_run, format=format)
    if chosen.on_resize == "split":
        return run_in_sections(one, source, sink, chosen, progress)
    return one(source, sink, chosen, progress, _commit)


def _commit(sinks: Sequence[BaseSink]) -> bool:
    commit_together(sinks)
    return True


def _run(source: Any, sink: Target | Sequence[Target] | None, chosen: Options,
         progress: Callable[[Progress], None] | None, finish: Callable[[Sequence[BaseSink]], bool], *,
         format: str | None) -> Report:
    """``run``. ``finish`` commits the outputs, or says by False that it has taken them over."""
    stopwatch = Stopwatch()
    began = time.perf_counter()
    with ExitStack() as stack:
        opened, graph = _opened(source, chosen, stack)
        refuse_own_input(source, sink, chosen)
        painted = _strokes(source, chosen)
        aborts = stack.enter_context(ExitStack())
        outputs = open_outputs(sink, format, opened.info, chosen, graph, aborts)
        segmenter, method = _segmenter(source, chosen, opened.info)
        stack.callback(graph.runner.unless_running, "segment", segmenter.close)
        kinds = [output.kind for output in outputs]
        compositor = Compositor(opened.info, sorted(set(kinds)), chosen)
        stack.callback(graph.runner.unless_running, "finish", compositor.close)
        stack.enter_context(graph)
        runs_on = segmenter.capabilities.runs_on
        if progress is not None:
            progress(Progress(0, opened.info.expected_frames, 0.0, runs_on))
        for number, output in enumerate(outputs):
            graph.output(output.name, output_stage(output.sink, number, output.stage, stopwatch),
                         waits_for_reader=output.sink.waits_for_reader, stop=output.sink.stop)
        seen = SubjectCounter()
        matting = painted(_matting(opened, segmenter, chosen, stopwatch))
        graph.start(decode_stage(opened, stopwatch), lambda frames: seen.passing(matting(frames)),
                    partial(finish_stage, compositor=compositor, kinds=kinds, stopwatch=stopwatch))
        sinks = [output.sink for output in outputs]
        count, first = _follow(graph, sinks, opened.info, progress, began)
        found = seen.result
        if chosen.require_subject:
            require(found, count, method)
        with blame(SinkError, "the output cannot be finished"):
            if not finish(sinks):
                aborts.pop_all()
        elapsed = time.perf_counter() - began
        queues = {name: Queue(stats.capacity, stats.high_water, stats.dropped)
                  for name, stats in graph.queues().items()}
        return Report(
            input=opened.info.name, frames=count, elapsed=round(elapsed, 3),
            method=method, runs_on=runs_on, subject=found,
            fps=round(count / elapsed, 2), first_frame_s=first, stages=stopwatch.stages(), queues=queues,
            outputs=[item.result() for item in sinks], damaged=opened.damaged,
            dropped=sum(queue.dropped for queue in queues.values()), peak_rss_mib=peak_rss_mib(),
            mattes=dict(segmenter.statistics),
            notes=[*opened.notes, *compositor.notes, *(note for item in sinks for note in item.notes),
                   *remarks(found, count, method)])


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
        opened, graph = _opened(source, chosen, stack)
        painted = _strokes(source, chosen)
        segmenter, _ = _segmenter(source, chosen, opened.info)
        stack.callback(graph.runner.unless_running, "segment", segmenter.close)
        stack.enter_context(graph)
        matting = painted(_matting(opened, segmenter, chosen, stopwatch))
        yield from graph.pairs(decode_stage(opened, stopwatch),
                               lambda frames: ((frame, whole(matte, frame)) for frame, matte in matting(frames)))


def _opened(source: Any, options: Options, stack: ExitStack) -> tuple[BaseSource, Graph[Frame, Pair, list[Frame]]]:
    """The source, open, and the graph of the threads that read it. ``stack`` closes it unless its thread hangs."""
    opened = open_source(source, options)
    live = opened.info.live
    policy = LOSSLESS.batched(_batch(opened.info, options))
    graph = Graph[Frame, Pair, list[Frame]](policy.from_live() if live else policy, stall_timeout=options.stall_timeout)
    stack.callback(graph.runner.unless_running, "decode", opened.close)
    refuse_unused(source, opened, options)
    return opened, graph


def _batch(info: VideoInfo, options: Options) -> int:
    return 1 if info.live or info.stills else options.batch


def _matting(source: Source, segmenter: BaseSegmenter, options: Options, stopwatch: Stopwatch
             ) -> Matting:
    """Frames to pairs of frame and matte: the method, and what steadies its mattes."""
    info = source.info
    persistence = smooth.frames_to_last(options, network=segmenter.capabilities.expensive)
    smoothed = not info.stills and (options.smooth != "none" or persistence > 0)
    steady = smooth.create_smoother(options.smooth, strength=options.smooth_strength, window=options.lookahead,
                                    hysteresis=options.hysteresis, live=info.live,
                                    persistence=persistence) if smoothed else None

    def pairs(frames: Iterator[Frame]) -> Iterator[Pair]:
        moving = frames if info.stills else tracked(frames)
        found = segment_stage(moving, segmenter, _batch(info, options), info.stills, stopwatch)
        if options.show_stages:
            found = ((frame, replace(matte, raw=matte.alpha)) for frame, matte in found)
        return found if steady is None else smooth_stage(found, steady, stopwatch)

    if options.roi is None:
        return pairs
    area = Area(options.roi)
    if not info.stills:  # pictures have a size each
        area.box(info.width, info.height)
    return partial(matted_within, area, matting=pairs, whole=options.strokes is not None)


def _strokes(source: Any, options: Options) -> Callable[[Matting], Matting]:
    """What puts options.strokes into the mattes that a matting gives; for them ``source`` is read once before."""
    if options.strokes is None:
        return lambda matting: matting
    from .strokes import carried, strokes_of  # here and below: few runs want them, and every start would wait

    drawn = carried(source, strokes_of(options.strokes), options)
    return lambda matting: lambda frames: drawn.painted(matting(frames), Fraction(str(options.start)))


def _follow(graph: Graph[Frame, Pair, list[Frame]], sinks: Sequence[BaseSink], info: VideoInfo,
            progress: Callable[[Progress], None] | None, began: float) -> tuple[int, float | None]:
    """Tell of the progress until every output has finished. -> (frames, seconds to the first)"""
    count, first = 0, None
    forecast = Forecast(growing_files(sinks), info.expected_frames, info.rate)
    for count in graph.written():
        elapsed = time.perf_counter() - began
        first = round(elapsed, 3) if first is None else first
        if progress is not None:
            passed = count > (info.expected_frames or 0)  # the header stated too short a length
            progress(Progress(count, None if passed else info.expected_frames, elapsed,
                              expected_bytes=None if passed else forecast.at(count)))
    return count, first


def _segmenter(source: Any, options: Options, info: VideoInfo) -> tuple[BaseSegmenter, str]:
    """What finds the subject, and its name for the report."""
    name = methods.method_name(options.method)
    if options.matte_in is None:
        return _in_time(_with_places(_method(source, options, info.stills), options, info), options, info.stills), name
    from .segment.given import CarriedMatte, GivenMattes, MatteFile

    reading = InputOptions(start=options.start, timeout=options.timeout, retry=options.retry, on_error=options.on_error,
                           threads=options.threads, audio=False)
    area = None if options.roi is None else Area(options.roi)
    given = MatteFile(options.matte_in, reading, info, area)
    try:
        if given.single and info.expected_frames != 1:
            carried_on = CarriedMatte(_method(source, options, info.stills), given)
            return _in_time(_with_places(carried_on, options, info), options, info.stills), name
        if options.method != "default" and isinstance(options.method, str):
            raise OptionError(f"method is {options.method!r}, but matte_in has a matte for every frame, so no method "
                              "is needed: leave one of the two out")
        return _in_time(_with_places(GivenMattes(given), options, info), options, info.stills), "matte_in"
    except BaseException:
        given.close()
        raise


def _in_time(segmenter: BaseSegmenter, options: Options, stills: bool) -> BaseSegmenter:
    """``segmenter``, asked only where it must be."""
    if stills:
        return segmenter
    return KeyframeSegmenter(segmenter, skip_still=options.skip_still, every=interval_for(segmenter, options.every))


def _with_places(method: BaseSegmenter, options: Options, info: VideoInfo) -> BaseSegmenter:
    """``method``, with what options.region adds to its mattes and takes from them."""
    if options.region is None:
        return method
    from .segment.places import Places

    if options.roi is None:
        return Places(method, options.region)
    if info.stills:
        raise OptionError(f"region is {options.region!r} and roi {options.roi!r}: of pictures, each with its size, one "
                          "of the two is taken; leave the other out")
    size = info.width, info.height
    return Places(method, options.region, size=size, box=Area(options.roi).box(*size))


def _method(source: Any, options: Options, stills: bool) -> BaseSegmenter:
    named = isinstance(source, (str, PathLike)) and os.fspath(source) != "-"
    clip = os.fspath(source) if named else source if isinstance(source, (list, tuple)) else None
    reading = {name: getattr(options, name) for name in methods.READING}
    return methods.create_segmenter(options.method, options.set, clip=clip, **reading, threads=options.threads,
                                    device=options.device, runtime=options.runtime, model=options.model,
                                    model_spec=options.model_spec, classes=options.classes, stills=stills)
