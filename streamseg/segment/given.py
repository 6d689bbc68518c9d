"""Mattes that the user brings: one for every frame, or the first alone, which is carried through the shot.

The first matte is carried along with the picture (optical flow) and corrects the method frame by frame: where the two
differed in more than a line in the first frame, the carried matte holds, for as long as the motion is to be believed
there. A thing that the method took for the subject stays out, a part that it did not see stays in. Everywhere else the
method is right to begin with, and flow that is a little wrong in each frame would only do harm; there the given edge
gives way to the method's within a few frames. If the method sees nothing of what was given (a pet, a product), the
carried matte is all there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.area import Area
from ..core.frames import Frame, Matte, VideoInfo
from ..core.opencv import cv2
from ..core.resampling import shrink
from ..errors import SourceError
from ..options import InputOptions
from ..source import BaseSource, open_source
from ..source.mattes import alpha_of
from ..source.stills import PictureSource
from ..temporal import MotionTracker
from .api import Adapted, BaseSegmenter, Capabilities

Alpha = npt.NDArray[np.float32]

_RATE = 25             # frames a second of a film that does not say
_LONG_SIDE = 1024      # samples of a given matte: more than the smoother could move in good time
_CARRIED_SIDE = 448    # and of one that is carried
_SHAPE = 0.03          # by how much its sides' ratio may differ from the picture's
_APART = 0.4           # alpha by which two mattes differ
_LINE = 7              # samples: what is not wider is the edge
_SEES = 0.3            # share of what was given, and found, that the method finds too: with less it is no help
_FADES = 0.5           # what is left from frame to frame of an edge that was given: it goes within some, not in one


class MatteFile:
    """The mattes of a film, a folder or a picture, in order. ``single``: there is but one.

    options   how it is read; ``start`` is that of the film, and left out of a single picture
    info      of the film that the mattes are for
    area      the part of it that is looked at

    Raises SourceError where it cannot be read, or holds no mattes.
    """

    def __init__(self, path: str, options: InputOptions, info: VideoInfo, area: Area | None = None) -> None:
        self.path, self._info, self._area = path, info, area
        self._open(replace(options, start=0.0))
        if options.start and len(self._ahead) > 1:
            self._begin_at(options)
        if not self._ahead:
            self.close()
            raise SourceError(f"matte_in {path!r} holds no picture; give another file")
        self.single = len(self._ahead) == 1
        self.given = 0

    def _open(self, options: InputOptions) -> None:
        self._source: BaseSource = open_source(self.path, options)
        self._frames: Iterator[Frame] = iter(self._source)
        self._ahead = list(islice(self._frames, 2))

    def _begin_at(self, options: InputOptions) -> None:
        """Leave out the mattes of the frames before ``options.start``: of pictures, which have no times, by number."""
        if isinstance(self._source, PictureSource):
            before = _frames_before(Fraction(str(options.start)), self._info)
            self._frames = islice(chain(self._ahead, self._frames), before, None)
            self._ahead = list(islice(self._frames, 2))
            if not self._ahead:
                self.close()
                raise SourceError(f"matte_in {self.path!r} has no matte from start, {options.start:g} s, on: its "
                                  "first one is that of the film's first frame")
            return
        self.close()
        self._open(options)

    def next(self) -> Matte:
        """The next frame's matte. Raises SourceError where there is none."""
        frame = self._ahead.pop(0) if self._ahead else next(self._frames, None)
        if frame is None:
            raise SourceError(f"matte_in {self.path!r} ends after {self.given} mattes, and the film goes on: give "
                              "one for every frame, or the first alone, which is carried along")
        self.given += 1
        return Matte(self._of(frame))

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _of(self, frame: Frame) -> Alpha:
        info = self._info
        if not info.stills and abs(np.log(frame.width * info.height / (frame.height * info.width))) > _SHAPE:
            raise SourceError(f"matte_in {self.path!r} has {frame.width} x {frame.height} pixels, and the film "
                              f"{info.width} x {info.height}: the shapes must agree")
        alpha = alpha_of(frame, f"matte_in {self.path!r}")
        if self._area is not None:
            box = self._area.box(info.width, info.height)
            down, across = alpha.shape[0] / info.height, alpha.shape[1] / info.width
            alpha = alpha[round(box.top * down):max(1, round((box.top + box.height) * down)),
                          round(box.left * across):max(1, round((box.left + box.width) * across))]
        return reduced(alpha, _LONG_SIDE)


class GivenMattes(BaseSegmenter):
    """A method that gives the mattes of a file, one for every frame."""

    def __init__(self, mattes: MatteFile) -> None:
        self._mattes = mattes

    @property
    def capabilities(self) -> Capabilities:
        """Each frame has its own."""
        return Capabilities(stateful=True)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """The next mattes."""
        return [self._mattes.next() for _ in frames]

    def close(self) -> None:
        """Close the file."""
        self._mattes.close()


class CarriedMatte(Adapted):
    """A method whose matte of the first frame is given; it corrects those that follow, up to the first cut."""

    def __init__(self, method: BaseSegmenter, first: MatteFile) -> None:
        super().__init__(method)
        self._method, self._first = method, first
        self._state: Alpha | None = None
        self._sure: Alpha | None = None
        self._fresh: Alpha = np.empty((0, 0), np.float32)
        self._pure: Alpha = self._fresh
        self._alone = False  # whether the method sees nothing of what was given
        self._tracker = MotionTracker()
        self._begun = False

    @property
    def capabilities(self) -> Capabilities:
        """As the method, but that it must be given every frame."""
        return replace(self._method.capabilities, stateful=True, reducible=False)

    @property
    def statistics(self) -> Mapping[str, int]:
        """As the method."""
        return self._method.statistics

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame."""
        found = self._method.segment(frames)
        return [self._corrected(frame, matte) for frame, matte in zip(frames, found, strict=True)]

    def reset(self) -> None:
        """Another shot begins, or the first: what was carried is of no use in another."""
        self._method.reset()
        if self._begun:
            self._state = self._sure = None

    def close(self) -> None:
        """Close the method and the file."""
        self._method.close()
        self._first.close()

    def _corrected(self, frame: Frame, found: Matte) -> Matte:
        motion = self._tracker.of(frame)
        if not self._begun:
            self._begun = True
            given = self._first.next()
            state = self._state = reduced(given.alpha, _CARRIED_SIDE)
            own = cv2.resize(found.alpha, self._state.shape[::-1])
            both, either = np.minimum(own, state).sum(), np.maximum(own, state).sum()
            self._alone = bool(both < _SEES * either)
            self._sure = np.ones_like(state) if self._alone else _wide(np.abs(state - own) > _APART)
            self._fresh, self._pure = np.ones_like(state), state
            # of the size of all that follow: another would be a cut to the smoother
            return Matte(self._state, given=self._state > 0.5)
        if self._state is None or self._sure is None or motion.cut:
            self._state = self._sure = None
            return found
        size = max(16, self._state.shape[1] // 2), max(16, self._state.shape[0] // 2)
        field = motion.back(size)
        trust = cv2.resize(field.trust, self._state.shape[::-1])
        sure, self._fresh, carried, self._pure = (
            _moved(item, field.place, size) for item in (self._sure, self._fresh, self._state, self._pure))
        if not self._alone:
            sure *= trust
            self._fresh *= _FADES * np.square(trust)
        own = np.asarray(cv2.resize(found.alpha, carried.shape[::-1]), np.float32)
        corrected = np.asarray(own + sure * (carried - own), np.float32)
        self._state, self._sure = corrected, sure
        made = corrected + self._fresh * (self._pure - corrected)
        return replace(found, alpha=np.clip(made, 0, 1).astype(np.float32))


def _frames_before(start: Fraction, info: VideoInfo) -> int:
    """How many frames of a film begin before ``start`` seconds. Containers round times: in Matroska, to milliseconds,
    the third frame of 30 a second begins at 0.067 s."""
    rate = Fraction(info.rate or _RATE)
    before = -int(-start * rate // 1)
    while before and round((before - 1) / rate / info.time_base) * info.time_base >= start:
        before -= 1
    return before


def _wide(apart: Any) -> Alpha:
    """float32 (h, w), 0..1: 1 in the parts of a mask (bool) that are somewhere wider than a line, and around them."""
    mask = apart.astype(np.uint8)
    core = cv2.erode(mask, np.ones((_LINE, _LINE), np.uint8))
    if not core.any():
        return np.zeros(mask.shape, np.float32)
    count, parts = cv2.connectedComponents(mask)
    kept = np.zeros(count, np.uint8)
    kept[np.unique(parts[core > 0])] = 1
    kept[0] = 0
    near = cv2.dilate(kept[parts], np.ones((5, 5), np.uint8))
    return np.asarray(cv2.blur(near.astype(np.float32), (3, 3)), np.float32)


def _moved(alpha: Alpha, place: Any, size: tuple[int, int]) -> Alpha:
    """A map moved by a field of ``size`` (width, height), which is another than its own."""
    nothing: Any = None  # remap: x and y are both in the first map
    rows, columns = alpha.shape
    where = cv2.resize(place, (columns, rows))
    where = (where + np.float32(0.5)) * np.array([columns / size[0], rows / size[1]], np.float32) - np.float32(0.5)
    moved = cv2.remap(alpha, where, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def reduced(alpha: Alpha, long_side: int) -> Alpha:
    """A matte with no more samples on its long side; areas averaged."""
    scale = long_side / max(alpha.shape)
    if scale >= 1:
        return np.ascontiguousarray(alpha)
    size = max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale))
    return np.clip(shrink(np.ascontiguousarray(alpha), size), 0, 1)
