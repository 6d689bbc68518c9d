"""Where strokes are in the other frames of their shots.

The film is read once, small, before it is worked on: what is drawn on a frame concerns those before it, too. The
points of a stroke follow the optical flow from frame to frame, forth and back, until a cut, the end of the film, REACH
frames, or until all have left the picture. A point whose motion is not to be believed goes with the others of its
stroke.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from ..errors import OptionError
from ..options import InputOptions
from ..source import BaseSource, open_source
from ..temporal import Array, Cuts, FlowField, OpticalFlow
from .marks import Stroke
from .paint import Placed, painted

Points = npt.NDArray[np.float32]  # (n, 2), x and y as shares of the picture's sides; NaN where one has left it
REACH = 3000    # frames that a stroke is carried each way: its memory is bounded
POINTS = 64     # of a stroke that are carried
SAMPLES = 24    # colours along a stroke
_LONG = 320     # pixels of the long side of the pictures whose flow is found
_CELL = 4       # pixels of the sides of a cell: flow is kept, and believed or not, for each
_TRUSTED = 0.3  # mean trust from which on a cell is believed
_OUTSIDE = 0.05  # of the picture, beyond its sides: a point further away has left it


@dataclass(slots=True)
class _Track:
    """A stroke in the frames of its shot: frame's number -> points."""

    stroke: Stroke
    colours: npt.NDArray[np.uint8] | None = None
    places: dict[int, Points] = field(default_factory=dict)
    drawn: int = 0  # on this frame


class CarriedStrokes:
    """Strokes in all frames that they concern. ``times``: of the frames that were read, from the first one."""

    def __init__(self, times: Sequence[Fraction], tracks: Sequence[_Track]) -> None:
        self._times, self._tracks = times, tracks

    def at(self, time: Fraction) -> list[Placed]:
        """The strokes in the frame that is nearest to a time in seconds, in the order in which they were drawn."""
        number = bisect_left(self._times, time)
        if number and (number == len(self._times) or time - self._times[number - 1] < self._times[number] - time):
            number -= 1
        if self._is_beyond(time):
            return []
        return [Placed(track.stroke, track.places[number], track.colours)
                for track in self._tracks if number in track.places]

    def painted(self, pairs: Iterable[tuple[Frame, Matte]], start: Fraction = Fraction(0)
                ) -> Iterator[tuple[Frame, Matte]]:
        """Frames and mattes, with the strokes in them. ``start``: the first frame is the first of the film from this
        time on."""
        first: Fraction | None = None
        offset = next((time for time in self._times if time >= start), start)
        for frame, matte in pairs:
            now = frame.time or Fraction(0)
            first = now if first is None else first
            yield frame, painted(matte, frame, self.at(now - first + offset))

    def _is_beyond(self, time: Fraction) -> bool:
        """Whether a time lies behind the last frame that was read, for none further concerns a stroke."""
        return not self._times or time > self._times[-1] + Fraction(1, 1000)


def carried(source: Any, strokes: Sequence[Stroke], options: InputOptions) -> CarriedStrokes:
    """``strokes`` in all frames of ``source``, which is read from its first frame on, as far as it needs.

    Raises OptionError for an input that cannot be read twice, or a stroke behind its end; else as ``open_source``.
    """
    if isinstance(source, BaseSource) and os.path.isfile(source.info.name):
        source = source.info.name
    named = isinstance(source, (str, PathLike)) and str(source) != "-"
    if not named and not isinstance(source, (list, tuple)):
        raise OptionError("strokes wants an input that can be read twice: a file, or a list of arrays")
    whole = replace(options, start=0.0, duration=None, preview=None, audio=False)
    with closing(open_source(source, whole)) as opened:
        info = opened.info
        if info.live:
            raise OptionError("strokes wants an input that can be read twice, and a live one cannot: record it first")
        if info.stills and info.frames != 1:
            raise OptionError("strokes concern one film or one picture, and this input is several pictures")
        return carried_through(opened, strokes)


def carried_through(frames: Iterable[Frame], strokes: Sequence[Stroke]) -> CarriedStrokes:
    """``strokes`` in all of ``frames``, which begin with the film's first. Raises OptionError for a stroke behind the
    last."""
    carrier = _Carrier(strokes)
    for frame in frames:
        carrier.see(frame)
        if carrier.done:
            break
    else:
        carrier.end()
    return CarriedStrokes(carrier.times, carrier.tracks)


class _Carrier:
    """Sees the frames of a film in order, and finds where strokes are in each."""

    def __init__(self, strokes: Sequence[Stroke]) -> None:
        self.tracks = [_Track(stroke) for stroke in strokes]
        self.times: list[Fraction] = []
        self._to_come = sorted(self.tracks, key=lambda track: track.stroke.time)
        self._forth: list[_Track] = []  # those that go on with the next frame
        self._ways: deque[Points] = deque(maxlen=REACH)  # from each frame of the shot to the one before
        self._cuts, self._flow = Cuts(), OpticalFlow()
        self._frame: Frame | None = None
        self._luma: Array = np.zeros((16, 16), np.uint8)
        self._first = Fraction(0)

    @property
    def done(self) -> bool:
        """Whether no later frame concerns a stroke."""
        return not self._to_come and not self._forth

    def see(self, frame: Frame) -> None:
        """The next frame."""
        time = frame.time or Fraction(0)
        if self._frame is None:
            self._first = time
        time -= self._first
        if self.times:
            while self._to_come and self._to_come[0].stroke.time < time:
                self._begin(self._to_come.pop(0))
        luma = frame.luma(_size(frame))
        self.times.append(time)
        if self._frame is None or luma.shape != self._luma.shape or self._cuts.between(self._luma, luma):
            self._forth.clear()
            self._ways.clear()
        else:
            self._carry(luma)
        self._frame, self._luma = frame, luma

    def end(self) -> None:
        """The frame before was the last."""
        last = self.times[-1] if self.times else Fraction(0)
        for track in self._to_come:
            if track.stroke.time > last + 1:
                raise OptionError(f"a stroke has the time {track.stroke.time:g}, and the film's last frame is at "
                                  f"{float(last):.2f} s")
            self._begin(track)
        self._to_come = []

    def _begin(self, track: _Track) -> None:
        """Place a stroke in the frame that was seen last, and carry it back."""
        assert self._frame is not None
        number = len(self.times) - 1
        points = _resampled(np.array(track.stroke.points, np.float32), POINTS)
        if track.stroke.edges:
            track.colours = _colours(self._frame, np.array(track.stroke.points, np.float32))
        track.drawn, track.places[number] = number, points
        for back, way in enumerate(reversed(self._ways), 1):
            points = _moved(points, way)
            if not _within(points).any():
                break
            track.places[number - back] = points
        self._forth.append(track)

    def _carry(self, luma: Array) -> None:
        """Carry what goes on to the next picture of the shot, and keep the way back from there."""
        number, old = len(self.times) - 1, self._luma
        if self._to_come:
            back, _ = self._flow.between(old, luma, both=False)
            self._ways.append(_cells(back))
        if not self._forth:
            return
        # Flow back, reversed, is not flow forth where something moves over a still ground: it is found anew.
        ahead, _ = self._flow.between(luma, old, both=False)
        way, going = _cells(ahead), []
        for track in self._forth:
            points = _moved(track.places[number - 1], way)
            if _within(points).any() and number - track.drawn <= REACH:
                track.places[number] = points
                going.append(track)
        self._forth = going


def _size(frame: Frame) -> tuple[int, int]:
    """(width, height) at which flow is found; at least 16 each, which it needs."""
    scale = min(1.0, _LONG / max(frame.width, frame.height))
    return max(16, round(frame.width * scale)), max(16, round(frame.height * scale))


def _cells(way: FlowField) -> Points:
    """A flow as float16 (rows, columns, 2): for each cell how far it leads, as shares of the picture's sides; NaN where
    it is not to be believed."""
    rows, columns = way.trust.shape
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    moves = (way.place - np.dstack([x, y])) * way.trust[..., None]
    size = max(1, columns // _CELL), max(1, rows // _CELL)
    trust: Any = cv2.resize(way.trust, size, interpolation=cv2.INTER_AREA)
    mean: Any = cv2.resize(moves, size, interpolation=cv2.INTER_AREA) / np.maximum(trust, 1e-6)[..., None]
    mean = mean / np.array([columns, rows], np.float32)
    mean[trust < _TRUSTED] = np.nan
    return np.asarray(mean, np.float16)


def _moved(points: Points, way: Points) -> Points:
    """Points where a flow leads them."""
    rows, columns = way.shape[:2]
    there = _within(points)
    known = np.where(there[:, None], points, 0)
    x = np.clip((known[:, 0] * columns).astype(int), 0, columns - 1)
    y = np.clip((known[:, 1] * rows).astype(int), 0, rows - 1)
    moves = way[y, x].astype(np.float32)
    sure = there & np.isfinite(moves).all(axis=1)
    if sure.any():
        moves[~sure] = np.median(moves[sure], axis=0)
    else:
        moves[:] = 0
    made = points + moves
    made[(made < -_OUTSIDE).any(axis=1) | (made > 1 + _OUTSIDE).any(axis=1)] = np.nan
    return np.asarray(made, np.float32)


def _within(points: Points) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(points).all(axis=1), bool)


def _resampled(points: Points, most: int) -> Points:
    """At most so many points, evenly along the way through ``points``."""
    if len(points) <= most:
        return points
    steps = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    wanted = np.linspace(0, steps[-1], most)
    return np.stack([np.interp(wanted, steps, points[:, side]) for side in (0, 1)], axis=1).astype(np.float32)


def _colours(frame: Frame, points: Points) -> npt.NDArray[np.uint8]:
    """uint8 (n, 3): the picture's colours along a stroke."""
    picture = frame.rgb(_size(frame))
    places = _resampled(points, SAMPLES)
    rows = np.clip((places[:, 1] * picture.shape[0]).astype(int), 0, picture.shape[0] - 1)
    columns = np.clip((places[:, 0] * picture.shape[1]).astype(int), 0, picture.shape[1] - 1)
    return np.unique(picture[rows, columns], axis=0)
