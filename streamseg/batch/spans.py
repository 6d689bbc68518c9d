"""Where a long film is split, at even distances or at cuts shortly before them, and what a part computes beside its
frames.

A part that begins at a cut computes what the whole film would: there every state begins afresh. Any other part
computes some multiple of LEAD frames before its own, in which the states become those of the whole film, and as many
behind them as the smoother looks ahead; neither are written.
"""

from __future__ import annotations

import math
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from typing import Any

import av

from ..core.matrices import kept
from ..core.thread_budget import Threads
from ..options import InputOptions, Options
from ..smooth import frames_ahead, frames_behind, frames_to_last
from ..source.open import open_container
from ..source.probe import counts_by_decoding, select_stream
from ..temporal import Array, Cuts

# Frames: a multiple of the distances of key mattes (3) and of the looks at the whole picture (16, 8 key mattes), so
# that a part that begins so many frames after a shot's first counts them as the whole film does.
LEAD = 48
SEEN = 600     # frames before a border in which its shot's beginning is looked for
NEAR = 0.25    # of a part: how far a border may move to its shot's beginning


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

    def to_list(self) -> list[Any]:
        """For JSON."""
        return [str(value) if isinstance(value, Fraction) else value for value in astuple(self)]

    @classmethod
    def of(cls, told: Sequence[Any]) -> Span:
        """From ``to_list``."""
        number, time_base, *rest = told
        return cls(number, Fraction(time_base), *rest)


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
    borders = _borders(job["source"], options, order, sorted(keys), count)
    return _spans(order, borders, options, zero, time_base)


def _packets(path: str, options: InputOptions) -> tuple[list[int], list[int], Fraction, Fraction]:
    """(the frames' times, those of key frames, the container's first time in seconds, the time base)."""
    with open_container(path, options) as container:
        stream = select_stream(container, path, options.stream)
        times, keys = [], []
        for packet in container.demux(stream):
            time = packet.dts if counts_by_decoding(container) else packet.pts
            if packet.size and time is not None:
                times.append(time)
                if packet.is_keyframe:
                    keys.append(time)
        return times, keys, Fraction(container.start_time or 0, av.time_base), Fraction(stream.time_base or 1)


def _borders(path: str, options: InputOptions, order: Sequence[int], keys: Sequence[int], count: int
             ) -> list[tuple[int, int]]:
    """(place in ``order``, where its shot begins) of each part but the first."""
    found: list[tuple[int, int]] = []
    size = len(order) / count
    for number in range(1, count):
        wanted = round(number * size)
        shot = _last_cut(path, options, order, keys, wanted)
        place = shot if shot and wanted - shot <= NEAR * size else wanted
        found.append((place, shot if shot is not None else found[-1][1] if found else 0))
    return found


def _last_cut(path: str, options: InputOptions, order: Sequence[int], keys: Sequence[int], place: int) -> int | None:
    """Where the shot of the frame at ``place`` begins, as the pipeline would see it; None if that is more than SEEN
    frames before it.

    Mattes are computed for every third frame, say, counted from a shot's first: a part must count as the film does.
    """
    floor = max(0, place - SEEN)
    starts = sorted({floor, *(start for key in keys if floor < (start := bisect_left(order, key)) <= place)})
    later: list[Array] = []  # the first picture of what was looked at before
    with open_container(path, options) as container:
        stream = select_stream(container, path, options.stream)
        stream.codec_context.thread_count = Threads.of(options.threads).decode
        for start, end in zip(reversed(starts), reversed([*starts[1:], place + 1]), strict=True):
            found = _lumas(container, stream, order[start:end]) + later
            cuts = [number for number in range(1, len(found)) if Cuts().between(found[number - 1], found[number])]
            if cuts:
                return start + cuts[-1]
            later = found[:1]
    return 0 if floor == 0 else None


def _lumas(container: Any, stream: Any, times: Sequence[int]) -> list[Array]:
    """Small grey pictures, uint8, of the frames at ``times``, which follow on one another."""
    found = []
    container.seek(times[0], stream=stream)
    for picture in container.decode(stream):
        if picture.pts is None or picture.pts < times[0]:
            continue
        found.append(picture.reformat(*Cuts.size, "gray", **kept(int(picture.colorspace))).to_ndarray())
        if picture.pts >= times[-1]:
            break
    return found


def _spans(order: Sequence[int], borders: Sequence[tuple[int, int]], options: Options, zero: Fraction,
           time_base: Fraction) -> list[Span]:
    persistence = frames_to_last(options, network=True)  # for another method at worst a few frames too many
    ahead = frames_ahead(options, persistence=persistence)
    blocks = max(1, math.ceil(frames_behind(persistence) / LEAD))
    starts = [(0, 0), *borders]
    ends = [place for place, _ in borders] + [len(order)]
    after = [place == shot for place, shot in borders] + [True]
    made = []
    for number, ((first, shot), last, clean) in enumerate(zip(starts, ends, after, strict=True)):
        cut = first == shot
        lead = shot + max(0, (first - shot) // LEAD - blocks) * LEAD
        tail = last if clean or not ahead else min(len(order), last + ahead + 1)
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
