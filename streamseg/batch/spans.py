"""Where a long film is split, at cuts or key frames near even distances, and what a part computes beside its frames.

A part that begins at a cut computes what the whole film would: there every state begins afresh. Any other part
computes LEAD frames before its own, or up to twice as many, in which the states become those of the whole film, and
as many behind them as the smoother looks ahead; neither are written.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from typing import Any

import av

from ..core.matrices import kept
from ..options import InputOptions, Options
from ..source.open import open_container
from ..source.probe import select_stream
from ..temporal import Cuts

# Frames: a multiple of the distances of key mattes (3) and of the looks at the whole picture (16, 8 key mattes), so
# that a part that begins so many frames after a shot's first counts them as the whole film does.
LEAD = 48
TRIED = 2      # key frames near a border at which a cut is looked for
NEAR = 0.25    # of a part: how far a border may move to a key frame


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
