"""Deinterlacing by FFmpeg's bwdif filter."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
import av.filter

from ..errors import SourceError, StreamsegError
from .open import FAILURES, reason

SMALLEST = (3, 4)  # columns and lines: FFmpeg, vf_bwdif.c
Timed = tuple[av.VideoFrame, int]


def deinterlaced(pictures: Iterator[Timed], base: Fraction) -> Iterator[Timed]:
    """One progressive picture for each, at its own time (bwdif needs the next one, so it lags by one)."""
    graph, shape = None, None
    failure: StreamsegError | None = None
    while True:
        try:
            picture, pts = next(pictures)
        except StopIteration:
            break
        except StreamsegError as error:  # what was whole before it comes first
            failure = error
            break
        now = (picture.width, picture.height, picture.format.name)
        if graph is None or now != shape:
            if graph is not None:
                yield from _filtered(graph, None, base)
            graph, shape = _bwdif(picture, base), now
        picture.pts, picture.time_base = pts, base
        yield from _filtered(graph, picture, base)
    if graph is not None:
        yield from _filtered(graph, None, base)
    if failure is not None:
        raise failure


def _bwdif(picture: av.VideoFrame, base: Fraction) -> Any:
    columns = min(part.width for part in picture.format.components)  # of the planes: of chroma there are fewer
    lines = min(part.height for part in picture.format.components)
    if columns < SMALLEST[0] or lines < SMALLEST[1]:
        raise SourceError(f"pictures of {picture.width} x {picture.height} cannot be deinterlaced: bwdif needs at "
                          f"least {SMALLEST[0]} columns and {SMALLEST[1]} lines in each plane; leave --deinterlace "
                          "out")
    graph = av.filter.Graph()
    try:
        begin = graph.add_buffer(width=picture.width, height=picture.height, format=picture.format,
                                 time_base=base)
        graph.link_nodes(begin, graph.add("bwdif", "mode=send_frame:deint=all"),
                         graph.add("buffersink")).configure()
    except FAILURES as error:
        raise _failed(error) from error
    return graph


def _failed(error: Exception) -> SourceError:
    return SourceError(f"deinterlacing failed ({reason(error)}): leave --deinterlace out")


def _filtered(graph: Any, picture: av.VideoFrame | None, base: Fraction) -> Iterator[Timed]:
    try:
        graph.vpush(picture)
        while True:
            done = graph.vpull()
            ticks = done.time_base / base  # 1/2: bwdif counts in fields, its durations too
            done.duration = round(done.duration * ticks)
            yield done, round(done.pts * ticks)
    except (av.error.BlockingIOError, av.error.EOFError):
        return
    except FAILURES as error:
        raise _failed(error) from error
