"""Any Python iterable of arrays, or of Frames, as a Source."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..core.frames import Frame, VideoInfo
from ..core.opencv import cv2
from ..core.pixel_formats import Colour
from ..errors import SourceError
from ..options import InputOptions
from .api import BaseSource
from .clip_reader import DEFAULT_RATE
from .timeline import TimeRange

RGB = Colour(matrix=0, range=2)
ALLOWED = ("uint8 or uint16 of shape (h, w, 3) in RGB order, (h, w, 4) in RGBA order with straight alpha, or "
           "(h, w) in grey")


class ArraySource(BaseSource):
    """Arrays get times by ``options.rate`` (default 25); Frames keep their own. All must have one size.

    The arrays are copied into planes, so a producer may use its buffer again.
    """

    def __init__(self, items: Iterable[Any], options: InputOptions) -> None:
        super().__init__()
        if isinstance(items, np.ndarray) and (items.ndim < 3 or items.shape[2:] in ((3,), (4,))):
            raise SourceError(f"the input is an array of shape {items.shape}, one picture: put it into a "
                              "list, or stack pictures along the first axis")
        self._items = iter(items)
        self._base = 1 / (options.rate or DEFAULT_RATE)
        self._part = TimeRange.of(options)
        self._size: tuple[int, int] | None = None
        self._given = False
        frames = self._made()
        first = next(frames, None)
        if first is None:
            raise SourceError("the iterable has no picture" + (
                " in the requested part" if options.start or self._part.limit is not None else ""))
        known = isinstance(items, (list, tuple, np.ndarray)) and not options.start
        count = len(items) if known and self._part.limit is None else None  # type: ignore[arg-type]
        self.info = VideoInfo(first.width, first.height, first.format, first.time_base,
                              None if self._given else 1 / self._base,
                              None if count is None or self._given else float(count * self._base), count,
                              first.colour, has_alpha=first.alpha is not None, name="arrays")
        self._frames = self._chained(first, frames)

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Close the iterable, if it is a generator."""
        close = getattr(self._items, "close", None)
        if callable(close):
            close()

    @staticmethod
    def _chained(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
        yield first
        yield from rest

    def _made(self) -> Iterator[Frame]:
        part, index = self._part, 0
        for number, item in enumerate(self._items):
            self._given = isinstance(item, Frame)
            frame = self._checked(item, number)
            time = frame.time if frame.time is not None else number * frame.time_base
            if part.skips(time):
                continue
            if part.origin is None:
                part.open(time)
            if part.past(time):
                return
            shift = part.shift(frame.time_base)
            if frame.index != index or shift:
                pts = None if frame.pts is None else frame.pts - shift
                frame = dataclasses.replace(frame, index=index, pts=pts)
            yield frame
            index += 1

    def _checked(self, item: Any, number: int) -> Frame:
        """The item as a Frame. Raises SourceError that names the item if it is not allowed."""
        frame = item if isinstance(item, Frame) else frame_of(item, number, self._base)
        size = (frame.width, frame.height)
        if self._size is not None and size != self._size:
            raise SourceError(f"item {number} of the iterable is {size[0]} x {size[1]}, those before are "
                              f"{self._size[0]} x {self._size[1]}: all must have one size")
        self._size = size
        return frame


def frame_of(item: Any, number: int, base: Any) -> Frame:
    """A gbrp or gbrp16le Frame of an array; grey has the same plane three times."""
    if not isinstance(item, np.ndarray):
        raise SourceError(f"item {number} of the iterable is {type(item).__name__}; it must be a Frame or an "
                          f"array, {ALLOWED}")
    fits = item.dtype in (np.uint8, np.uint16) and item.size and (
        item.ndim == 2 or (item.ndim == 3 and item.shape[2] in (3, 4)))
    if not fits:
        raise SourceError(f"item {number} of the iterable is {item.dtype} of shape {item.shape}; it must be "
                          f"{ALLOWED}")
    format = "gbrp" if item.dtype == np.uint8 else "gbrp16le"
    parts: Any = [item.copy()] * 3 if item.ndim == 2 else cv2.split(item)
    red, green, blue = parts[:3]
    alpha = parts[3] if item.ndim == 3 and item.shape[2] == 4 else None
    return Frame((green, blue, red), format, base, number, number, RGB, 1, alpha)
