"""Pictures and videos as backgrounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from ..core.frames import Frame, VideoInfo
from ..core.opencv import cv2
from ..core.resampling import shrink
from ..engine import Prefetch
from ..errors import SourceError
from ..options import BackgroundOptions, InputOptions
from ..refine import AlphaTiles
from ..source import open_source
from . import light
from .planes import Array, from_rgb, sample_values, to_rgb, whole_numbers

Box = tuple[float, float, float, float]
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
AHEAD = 4        # pictures that are decoded ahead: evens out the film's I frames; 12 MB at 1080p
HELD = 64 << 20  # bytes of pictures: a film that fits is read once; 20 of 1080p, a loop of a second or less


def reading(options: BackgroundOptions) -> InputOptions:
    """How a background's file is read in a run of ``options``."""
    return InputOptions(timeout=options.timeout, retry=options.retry, audio=False, on_error=options.on_error)


def seen_through(name: str, picture: Frame) -> list[str]:
    """What is to be said of a background picture that is transparent somewhere."""
    if picture.alpha is None or int(picture.alpha.min()) == picture.pixel.peak:
        return []
    return [f"background {name} is transparent in places, which become black: nothing lies behind it; give one "
            "without transparency"]


class Picture:
    """One picture behind every frame. It is brought to a frame's size, format and colours once.

    aspect   its sample aspect over the frames'
    """

    sees_the_subject = False

    def __init__(self, picture: Frame, fit: str, aspect: Fraction = Fraction(1),
                 notes: Sequence[str] = ()) -> None:
        self.notes = notes
        self._picture, self._fit, self._aspect = picture, fit, aspect
        self._key: object = None
        self._planes: tuple[Array, ...] = ()

    def paint(self, target: Frame, frame: Frame, cover: AlphaTiles) -> None:
        """Copy the picture into ``target``'s planes."""
        key = frame.width, frame.height, frame.format, frame.colour
        if self._key != key:
            self._planes, self._key = converted(self._picture, frame, self._fit, self._aspect), key
        for plane, ready in zip(target.planes, self._planes, strict=True):
            np.copyto(plane, ready)

    def close(self) -> None:
        """Nothing is held but memory."""


class VideoBackground:
    """A video on its own clock, looped: at time t after the first frame it shows the last of its
    pictures whose time is not after t. A film of one picture is a still. One that fits into HELD bytes is
    read once: shorter than a frame, it begins again with every frame. All but the first picture are decoded in
    a thread of their own, up to AHEAD pictures ahead.

    info   of the film it lies behind

    Raises SourceError when it cannot be read or holds no picture.
    """

    sees_the_subject = False

    def __init__(self, spec: str, options: BackgroundOptions, info: VideoInfo, notes: Sequence[str] = ()) -> None:
        self.notes = list(notes)
        self._transparent = False  # a picture so far
        self._spec, self._fit = spec, options.fit
        self._options = reading(options)
        self._rate, self._aspect = info.rate or Fraction(25), info.sample_aspect
        self._origin: Fraction | None = None
        self._shown: Picture | None = None
        self._next: Frame | None = None
        self._held: list[Frame] = []  # all pictures, once they are known to be few
        self._ahead: Prefetch[Frame] | None = None
        self._open(Fraction(0))

    def _open(self, start: Fraction) -> None:
        """Begin at the film's first picture, which is shown from ``start`` on."""
        self._start = start
        self._frames: Iterator[Frame]
        if self._held:
            self._frames = iter(self._held)
            self._next = next(self._frames)
            return
        self._source = open_source(self._spec, self._options)
        try:
            frames = self._read()
            first = next(frames, None)
            if first is None:
                raise SourceError(f"background {self._spec!r} holds no picture; give another file")
        except BaseException:
            self._source.close()
            raise
        self._look(first)
        self._frames = self._ahead = Prefetch("background", frames, AHEAD)
        self._next = first
        self._first = self._time(first, self._source.info.rate)

    def _read(self) -> Iterator[Frame]:
        """The source's pictures; at their end they are held if they fit."""
        read: list[Frame] = []
        size = 0
        for frame in self._source:
            size += sum(plane.nbytes for plane in frame.planes)
            if size <= HELD:
                read.append(frame)
            else:
                read.clear()
            yield frame
        self._held = read

    def _advance(self, time: Fraction) -> None:
        while True:
            while self._next is not None and self._at(self._next) <= time:
                self._look(self._next)
                aspect = self._source.info.sample_aspect / self._aspect
                self._shown, self._last = Picture(self._next, self._fit, aspect), self._at(self._next)
                self._usual = self._length(self._next)
                self._next = next(self._frames, None)
            length = self._last + self._usual - self._start
            if self._next is not None or self._last == self._start or time < self._start + length:
                return
            if not self._held:
                self.close()
            self._open(self._start + (time - self._start) // length * length)

    def _look(self, frame: Frame) -> None:
        """Note the first picture that is transparent somewhere."""
        if not self._transparent and frame.alpha is not None:
            found = seen_through(self._spec, frame)
            self.notes += found
            self._transparent = bool(found)

    def _at(self, frame: Frame) -> Fraction:
        return self._start + self._time(frame, self._source.info.rate) - self._first

    def _length(self, frame: Frame) -> Fraction:
        """Seconds a picture is shown for: its own duration, else that of one at the film's rate."""
        own = Fraction(0) if frame.duration is None else frame.duration * frame.time_base
        return own if own > 0 else 1 / (self._source.info.rate or Fraction(25))

    @staticmethod
    def _time(frame: Frame, rate: Fraction | None) -> Fraction:
        return frame.index / (rate or Fraction(25)) if frame.time is None else frame.time

    def paint(self, target: Frame, frame: Frame, cover: AlphaTiles) -> None:
        """Copy the picture of ``frame``'s time into ``target``'s planes."""
        time = self._time(frame, self._rate)
        if self._origin is None:
            self._origin = time
        self._advance(max(Fraction(0), time - self._origin))
        assert self._shown is not None
        self._shown.paint(target, frame, cover)

    def close(self) -> None:
        """End the thread and close the file; may be called twice."""
        if self._ahead is None or self._ahead.close():
            self._source.close()


def converted(picture: Frame, like: Frame, fit: str, aspect: Fraction = Fraction(1)) -> tuple[Array, ...]:
    """``picture``'s planes in the size, format, matrix and range of ``like``.

    fit      "cover" fills the frame and cuts what is over, "contain" shows all of it on black, "stretch"
             changes its shape, "tile" repeats it at its own size from the top left corner
    aspect   the picture's sample aspect over the frame's: its pixels, each so many of the frame's wide

    Its own alpha, if any, lies over black. Where one of the two is of high dynamic range (HDR), white stays
    diffuse white.
    """
    size = like.width, like.height
    black = sample_values((0, 0, 0), picture)
    planes, same = picture.planes, _alike(picture, like)
    if picture.alpha is not None:
        planes = tuple(_over_black(plane, picture, value) for plane, value in zip(planes, black, strict=True))
    boxes = _boxes(fit, float(picture.width * aspect / picture.height) * like.height / like.width)
    if same and fit != "tile":
        return tuple(_fitted(plane, (made.shape[1], made.shape[0]), boxes, value)
                     for plane, value, made in zip(planes, black, like.planes, strict=True))
    # Linear maps commute with resampling: planes are brought to the frame's size as they are, and only
    # then to its colours.
    tile = max(1, round(picture.width * aspect)), picture.height
    large = [_tiled(shrink(plane, tile), size) if fit == "tile" else _fitted(plane, size, boxes, value)
             for plane, value in zip(planes, black, strict=True)]
    values = cv2.split(_recoloured(cv2.merge(large), picture, like))
    return tuple(shrink(channel, (plane.shape[1], plane.shape[0]))
                 for channel, plane in zip(values, like.planes, strict=True))


def _alike(picture: Frame, like: Frame) -> bool:
    """True if the same sample values are the same colours in both."""
    return (picture.format == like.format and not light.differs(picture.colour, like.colour)
            and bool(np.allclose(from_rgb(picture), from_rgb(like))))


def _recoloured(samples: Array, picture: Frame, like: Frame) -> Array:
    """(h, w[, planes]) samples of ``picture`` as those of ``like`` for the same colours."""
    if light.differs(picture.colour, like.colour):
        rgb = cv2.transform(samples.astype(np.float32), to_rgb(picture))
        rgb = light.signal(rgb, like.colour, picture.colour)
        return whole_numbers(cv2.transform(rgb, from_rgb(like)), like.pixel.peak)
    planes = picture.pixel.planes
    matrix = from_rgb(like) @ np.vstack([to_rgb(picture), np.eye(1, planes + 1, planes)])
    if picture.pixel.depth == 8 and like.pixel.depth == 8:
        return cv2.transform(samples, matrix)
    return whole_numbers(cv2.transform(samples.astype(np.float32), matrix), like.pixel.peak)


def _over_black(plane: Array, picture: Frame, black: int) -> Array:
    assert picture.alpha is not None
    share = shrink(picture.alpha, (plane.shape[1], plane.shape[0])).astype(np.float32) / picture.pixel.peak
    return np.rint(black + share * (plane.astype(np.float32) - black)).astype(plane.dtype)


def _boxes(fit: str, wide: float) -> tuple[Box, Box]:
    """Which part of the picture (left, top, right, bottom as shares) fills which part of the frame; ``wide``:
    its shape over the frame's."""
    if fit == "stretch":
        return _WHOLE, _WHOLE
    across, down = min(1.0, 1 / wide), min(1.0, wide)
    if fit == "contain":
        across, down = min(1.0, wide), min(1.0, 1 / wide)
    box = ((1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2)
    return (_WHOLE, box) if fit == "contain" else (box, _WHOLE)


def _fitted(plane: Array, size: tuple[int, int], boxes: tuple[Box, Box], empty: int) -> Array:
    """A picture's plane brought to ``size`` (width, height), ``empty`` where it does not reach."""
    source, target = boxes
    left, top, right, bottom = _pixels(source, plane.shape[1], plane.shape[0])
    part = np.ascontiguousarray(plane[top:bottom, left:right])
    left, top, right, bottom = _pixels(target, *size)
    part = shrink(part, (right - left, bottom - top))
    if part.shape == size[::-1]:
        return part
    made = np.full(size[::-1], empty, plane.dtype)
    made[top:bottom, left:right] = part
    return made


def _pixels(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    left, top = min(width - 1, round(box[0] * width)), min(height - 1, round(box[1] * height))
    return left, top, max(left + 1, round(box[2] * width)), max(top + 1, round(box[3] * height))


def _tiled(plane: Array, size: tuple[int, int]) -> Array:
    down, across = -(-size[1] // plane.shape[0]), -(-size[0] // plane.shape[1])
    return np.tile(plane, (down, across))[:size[1], :size[0]]
