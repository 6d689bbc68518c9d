"""The stages of a run over files: plain generators, each over what the one before gives.

They know nothing of threads; ``engine`` puts one between any two. Where what a stage reads from fails, the stage
first gives everything that it can still make of what came before, whatever its batch and its look-ahead, and only
then hands the failure on: so every frame that was whole reaches the outputs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Generic, Self, TypeVar

from .composite import Compositor
from .core.area import Area
from .core.frames import Frame, Matte
from .errors import SegmentError, SinkError, SourceError, StreamsegError
from .report import Stopwatch
from .segment import Segmenter
from .sink import BaseSink
from .smooth import Smoother
from .source import Source

T = TypeVar("T")


class UntilFailure(Generic[T]):
    """``items`` up to where they fail, which looks like their end; ``hand_on`` then raises the failure."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._failure: Exception | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._failure is not None:
            raise StopIteration
        try:
            return next(self._items)
        except StopIteration:
            raise
        except Exception as error:
            self._failure = error
            raise StopIteration from None

    def hand_on(self) -> None:
        """Raise what the items failed with, if they did."""
        if self._failure is not None:
            raise self._failure


def decode_stage(source: Source, stopwatch: Stopwatch) -> Iterator[Frame]:
    """The source's frames. Whatever it raises becomes a SourceError."""
    with blame(SourceError, "the input cannot be read"):
        yield from stopwatch.timed("decode", iter(source))


def segment_stage(frames: Iterator[Frame], segmenter: Segmenter, batch: int, stills: bool,
                  stopwatch: Stopwatch) -> Iterator[tuple[Frame, Matte]]:
    """Each frame with its matte. Stills have nothing to do with each other: reset before each."""
    whole = UntilFailure(frames)
    while group := list(islice(whole, batch)):
        with blame(SegmentError, f"the method failed on frame {group[0].index}"), \
                stopwatch.measure("segment", len(group)):
            if stills:
                segmenter.reset()
            found = segmenter.segment(group)
            if len(found) != len(group) or not all(isinstance(matte, Matte) for matte in found):
                raise SegmentError(f"the method gave {len(found)} mattes for {len(group)} frames at frame "
                                   f"{group[0].index}: segment() must return one Matte a frame")
        yield from zip(group, found, strict=True)
    whole.hand_on()


def matted_within(area: Area, frames: Iterator[Frame],
                  matting: Callable[[Iterator[Frame]], Iterator[tuple[Frame, Matte]]], *,
                  whole: bool = False) -> Iterator[tuple[Frame, Matte]]:
    """Whole frames with their mattes, for which ``matting`` sees the ``area`` alone, in order. The mattes are of the
    area, or with ``whole`` of all of the frame."""
    waiting: deque[Frame] = deque()

    def parts() -> Iterator[Frame]:
        for frame in frames:
            waiting.append(frame)
            yield area.cut(frame)

    for _, matte in matting(parts()):
        frame = waiting.popleft()
        yield frame, area.placed(matte, frame) if whole else area.covered(matte, frame)


def smooth_stage(pairs: Iterator[tuple[Frame, Matte]], smoother: Smoother,
                 stopwatch: Stopwatch) -> Iterator[tuple[Frame, Matte]]:
    """Each frame with its matte steadied over time. The smoother takes the pairs itself, some before it
    gives the first; what it waits for them is not counted as its time."""
    waited = 0.0
    whole = UntilFailure(pairs)

    def incoming() -> Iterator[tuple[Frame, Matte]]:
        nonlocal waited
        begin = time.perf_counter()
        for pair in whole:
            waited += time.perf_counter() - begin
            yield pair
            begin = time.perf_counter()
        waited += time.perf_counter() - begin

    begin = time.perf_counter()
    with blame(SegmentError, "the mattes cannot be steadied (--smooth none leaves it out)"):
        for pair in smoother(incoming()):
            stopwatch.count("smooth", time.perf_counter() - begin - waited)
            yield pair
            begin, waited = time.perf_counter(), 0.0
    whole.hand_on()


def finish_stage(pairs: Iterator[tuple[Frame, Matte]], compositor: Compositor, kinds: Sequence[str],
                 stopwatch: Stopwatch) -> Iterator[list[Frame]]:
    """The finished pictures of each frame, one for each output's kind."""
    for frame, matte in pairs:
        with blame(StreamsegError, f"frame {frame.index} cannot be composited"), \
                stopwatch.measure("composite"):
            pictures = compositor.finish(frame, matte)
        yield _own(pictures[kind] for kind in kinds)


def _own(pictures: Iterator[Frame]) -> list[Frame]:
    """The pictures, no two with the same FFmpeg picture: encoders work side by side, and each sets its times."""
    made: list[Frame] = []
    for frame in pictures:
        taken = frame.owner is not None and any(frame.owner is other.owner for other in made)
        made.append(replace(frame, owner=None) if taken else frame)
    return made


def output_stage(sink: BaseSink, number: int, name: str, stopwatch: Stopwatch
                 ) -> Callable[[Iterator[list[Frame]]], Iterator[None]]:
    """Writes picture ``number`` of each list to ``sink``, and finishes it; all but its commit. ``name``: in the
    report's stages."""
    def written(items: Iterator[list[Frame]]) -> Iterator[None]:
        for pictures in items:
            with blame(SinkError, "the output cannot be written"), stopwatch.measure(name):
                sink.write(pictures[number])
            yield
        with blame(SinkError, "the output cannot be finished"):
            sink.finish()
    return written


@contextmanager
def blame(kind: type[StreamsegError], what: str) -> Iterator[None]:
    """Turn an exception that is not a StreamsegError into one of ``kind`` that says ``what`` failed."""
    try:
        yield
    except StreamsegError:
        raise
    except Exception as error:
        raise kind(f"{what}: {type(error).__name__}: {str(error).rstrip('.')}. --verbose shows where") from error
