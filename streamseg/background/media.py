"""Pictures and videos as backgrounds."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from ..errors import SourceError
from ..frames import Frame
from ..opencv import cv2
from ..options import Options
from ..refine import Cover
from ..scaling import shrink
from ..source import open_source
from .planes import Array, from_rgb, sample_values, to_rgb

Box = tuple[float, float, float, float]
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


class Picture:
    """One picture behind every frame. It is brought to a frame's size, format and colours once."""

    def __init__(self, picture: Frame, fit: str) -> None:
        self._picture, self._fit = picture, fit
        self._key: object = None
        self._planes: tuple[Array, ...] = ()

    def paint(self, target: Frame, frame: Frame, cover: Cover) -> None:
        """Copy the picture into ``target``'s planes."""
        key = frame.width, frame.height, frame.format, frame.colour
        if self._key != key:
            self._planes, self._key = converted(self._picture, frame, self._fit), key
        for plane, ready in zip(target.planes, self._planes, strict=True):
            np.copyto(plane, ready)

    def close(self) -> None:
        """Nothing is held but memory."""


class Film:
    """A video on its own clock, looped: at time t after the first frame it shows the last of its
    pictures whose time is not after t. Raises SourceError when it cannot be read or holds no picture."""

    def __init__(self, spec: str, fit: str, options: Options, rate: Fraction | None) -> None:
        self._spec, self._fit = spec, fit
        self._options = Options(timeout=options.timeout, retry=options.retry, audio=False)
        self._rate = rate or Fraction(25)
        self._origin: Fraction | None = None
        self._shown: Picture | None = None
        self._open(Fraction(0))

    def _open(self, start: Fraction) -> None:
        """Begin at the film's first picture, which is shown from ``start`` on."""
        self._start = start
        self._source = open_source(self._spec, self._options)
        try:
            self._frames: Iterator[Frame] = iter(self._source)
            first = next(self._frames, None)
            if first is None:
                raise SourceError(f"background {self._spec!r} holds no picture; give another file")
        except BaseException:
            self._source.close()
            raise
        self._next: Frame | None = first
        self._first = self._time(first, self._source.info.rate)
        self._last = self._first

    def _advance(self, time: Fraction) -> None:
        while True:
            while self._next is not None and self._at(self._next) <= time:
                self._shown, self._last = Picture(self._next, self._fit), self._at(self._next)
                self._usual = self._length(self._next)
                self._next = next(self._frames, None)
            if self._next is not None or self._last + self._usual > time:
                return
            self._source.close()
            self._open(self._last + self._usual)

    def _at(self, frame: Frame) -> Fraction:
        return self._start + self._time(frame, self._source.info.rate) - self._first

    def _length(self, frame: Frame) -> Fraction:
        """Seconds a picture is shown for: its own duration, else that of one at the film's rate."""
        own = Fraction(0) if frame.duration is None else frame.duration * frame.time_base
        return own if own > 0 else 1 / (self._source.info.rate or Fraction(25))

    @staticmethod
    def _time(frame: Frame, rate: Fraction | None) -> Fraction:
        return frame.index / (rate or Fraction(25)) if frame.time is None else frame.time

    def paint(self, target: Frame, frame: Frame, cover: Cover) -> None:
        """Copy the picture of ``frame``'s time into ``target``'s planes."""
        time = self._time(frame, self._rate)
        if self._origin is None:
            self._origin = time
        self._advance(max(Fraction(0), time - self._origin))
        assert self._shown is not None
        self._shown.paint(target, frame, cover)

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def converted(picture: Frame, like: Frame, fit: str) -> tuple[Array, ...]:
    """``picture``'s planes in the size, format, matrix and range of ``like``.

    fit   "cover" fills the frame and cuts what is over, "contain" shows all of it on black, "stretch"
          changes its shape, "tile" repeats it at its own size from the top left corner

    Its own alpha, if any, lies over black.
    """
    size = like.width, like.height
    black = sample_values((0, 0, 0), picture)
    planes, same = picture.planes, _alike(picture, like)
    if picture.alpha is not None:
        planes = tuple(_over_black(plane, picture, value) for plane, value in zip(planes, black, strict=True))
    if same and fit != "tile":
        return tuple(_fitted(plane, (made.shape[1], made.shape[0]), fit, picture, like, value)
                     for plane, value, made in zip(planes, black, like.planes, strict=True))
    # Linear maps commute with resampling: planes are brought to the frame's size as they are, and only
    # then to its colours.
    large = [_tiled(shrink(plane, (picture.width, picture.height)), size) if fit == "tile"
             else _fitted(plane, size, fit, picture, like, value)
             for plane, value in zip(planes, black, strict=True)]
    matrix = from_rgb(like) @ np.vstack([to_rgb(picture), np.eye(1, len(planes) + 1, len(planes))])
    merged = cv2.merge(large)
    if picture.pixel.depth == 8 and like.pixel.depth == 8:
        values = cv2.transform(merged, matrix)
    else:
        exact = cv2.transform(merged.astype(np.float32), matrix)
        values = np.clip(np.rint(exact), 0, like.pixel.peak).astype(like.pixel.dtype)
    return tuple(shrink(channel, (plane.shape[1], plane.shape[0]))
                 for channel, plane in zip(cv2.split(values), like.planes, strict=True))


def _alike(one: Frame, other: Frame) -> bool:
    """True if the same sample values are the same colours in both."""
    return one.format == other.format and bool(np.allclose(from_rgb(one), from_rgb(other)))


def _over_black(plane: Array, picture: Frame, black: int) -> Array:
    assert picture.alpha is not None
    share = shrink(picture.alpha, (plane.shape[1], plane.shape[0])).astype(np.float32) / picture.pixel.peak
    return np.rint(black + share * (plane.astype(np.float32) - black)).astype(plane.dtype)


def _boxes(fit: str, picture: Frame, like: Frame) -> tuple[Box, Box]:
    """Which part of the picture (left, top, right, bottom as shares) fills which part of the frame."""
    wide = picture.width * like.height / (picture.height * like.width)  # its shape over the frame's
    if fit == "stretch":
        return _WHOLE, _WHOLE
    across, down = min(1.0, 1 / wide), min(1.0, wide)
    if fit == "contain":
        across, down = min(1.0, wide), min(1.0, 1 / wide)
    box = ((1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2)
    return (_WHOLE, box) if fit == "contain" else (box, _WHOLE)


def _fitted(plane: Array, size: tuple[int, int], fit: str, picture: Frame, like: Frame, empty: int) -> Array:
    """A plane of ``picture`` brought to ``size`` (width, height), ``empty`` where it does not reach."""
    source, target = _boxes(fit, picture, like)
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
