"""Animated WebP, which FFmpeg cannot decode: OpenCV decodes its frames one by one, composited on the canvas.

OpenCV's reader of animations keeps all frames in memory, Pillow's refuses truncated and damaged files; here one
frame is decoded at a time, and damage is skipped or reported.
Source of the layout and of the blending: https://developers.google.com/speed/webp/docs/riff_container
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt

from ..core.frames import Frame, VideoInfo
from ..core.opencv import cv2
from ..core.pixel_formats import Colour
from ..errors import DamagedInputError
from ..options import InputOptions
from .api import BaseSource
from .integrity import missing_in_file
from .open import first_bytes, too_large
from .timeline import TimeRange

ANIMATED, ALPHA = 0x02, 0x10
BASE = Fraction(1, 1000)
RGB = Colour(matrix=0, range=2)
Picture = npt.NDArray[np.uint8]


class AnimatedWebp(BaseSource):
    """The frames of an animated WebP with their own durations; ``pts`` in milliseconds."""

    @staticmethod
    def recognises(path: Path) -> bool:
        """True for a file whose first bytes say that it is an animated WebP; False also where they cannot
        be read: opening it reports why."""
        head = first_bytes(path, 21)
        return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(
            head[20] & ANIMATED)

    def __init__(self, path: Path, options: InputOptions) -> None:
        super().__init__()
        self._path = path
        self._options = options
        self._part = TimeRange.of(options)
        self._cut = missing_in_file(path)
        if self._cut and options.on_error == "stop" and self._part.limit is None:
            raise DamagedInputError(f"{path} is cut off: {self._cut}; --on-error skip takes what is there")
        self._file: BinaryIO = path.open("rb")
        try:
            head = self._file.read(30).ljust(30, b"\0")
            self._alpha = bool(head[20] & ALPHA)
            self._size = (_int24(head, 24) + 1, _int24(head, 27) + 1)
            if self._size[0] * self._size[1] > options.max_pixels:
                raise too_large(str(path), *self._size, options.max_pixels)
            total, count = self._measured()
            frames = self._made()
            first = next(frames, None)
            if first is None:
                raise DamagedInputError(f"{path} has no picture that decodes in the requested part")
        except BaseException:
            self.close()
            raise
        whole = self._part.begin is None and self._part.limit is None
        length = max(Fraction(0), total * BASE - (self._part.begin or 0))
        self.info = VideoInfo(*self._size, "gbrp", BASE, Fraction(1000 * count, total) if total else None,
                              float(min(length, self._part.limit or length)), count if whole else None, RGB,
                              has_alpha=self._alpha, variable_rate=True, name=str(path), plays=self._plays())
        self._frames = self._chained(first, frames)

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @staticmethod
    def _chained(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
        yield first
        yield from rest

    def _chunks(self) -> Iterator[tuple[int, int, bytes]]:
        """(position of the body, its length, its first 16 bytes) of each ANMF chunk."""
        at = 12
        while True:
            self._file.seek(at)
            head = self._file.read(24)
            if len(head) < 8:
                return
            (length,) = struct.unpack_from("<I", head, 4)
            if head[:4] == b"ANMF" and length >= 16 and len(head) == 24:
                yield at + 8, length, head[8:]
            at += 8 + length + length % 2

    def _measured(self) -> tuple[int, int]:
        """The whole length in milliseconds and the number of frames."""
        durations = [max(1, _int24(head, 12)) for _, _, head in self._chunks()]
        return sum(durations), len(durations)

    def _plays(self) -> int | None:
        """What the ANIM chunk says, which is the first or follows a profile."""
        self._file.seek(12)
        head = self._file.read(64)
        at = head.find(b"ANIM")
        return struct.unpack_from("<H", head, at + 12)[0] if 0 <= at <= len(head) - 14 else None

    def _made(self) -> Iterator[Frame]:
        canvas = np.zeros((self._size[1], self._size[0], 4), np.uint8)
        at, index = 0, 0
        for place, length, head in self._chunks():
            x, y, duration = 2 * _int24(head, 0), 2 * _int24(head, 3), max(1, _int24(head, 12))
            self._file.seek(place + 16)
            part = decoded(self._file.read(length - 16), _int24(head, 6) + 1, _int24(head, 9) + 1)
            begin, at = at, at + duration
            if part is None or not self._fits(part, x, y):
                self._damage(f"the frame at {begin / 1000:.3f} s does not decode")
                continue
            area = canvas[y:y + part.shape[0], x:x + part.shape[1]]
            area[:] = part if head[15] & 2 else composited(part, area)
            when = begin * BASE
            if not self._part.skips(when):
                if self._part.origin is None:
                    self._part.open(when)
                if self._part.past(when):
                    return
                yield self._frame(canvas, index, begin - self._part.shift(BASE), duration)
                index += 1
            if head[15] & 1:
                area[:] = 0
        if self._cut:
            self._damage(f"it is cut off ({self._cut})")

    def _fits(self, part: Picture, x: int, y: int) -> bool:
        return x + part.shape[1] <= self._size[0] and y + part.shape[0] <= self._size[1]

    def _frame(self, canvas: Picture, index: int, pts: int, duration: int) -> Frame:
        planes: Any = cv2.split(canvas)
        blue, green, red, alpha = planes
        return Frame((green, blue, red), "gbrp", BASE, index, pts, RGB, duration,
                     alpha if self._alpha else None)

    def _damage(self, what: str) -> None:
        self._damaged += 1
        if self._options.on_error == "stop":
            raise DamagedInputError(f"{self._path} is damaged: {what}; --on-error skip leaves such parts out")


def first_of_animation(path: Path, options: InputOptions) -> tuple[av.VideoFrame, bool]:
    """The first picture of an animated WebP, and whether there are more."""
    source = AnimatedWebp(path, options)
    try:
        frame = next(iter(source))
    finally:
        source.close()
    green, blue, red = frame.planes
    planes = [red, green, blue] if frame.alpha is None else [red, green, blue, frame.alpha]
    made: Any = np.dstack(planes)
    picture = av.VideoFrame.from_ndarray(made, "rgb24" if frame.alpha is None else "rgba")
    return picture, source.info.frames != 1


def _int24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at:at + 3], "little")


def decoded(body: bytes, width: int, height: int) -> Picture | None:
    """The BGRA picture in the sub-chunks of an ANMF chunk, decoded as a WebP file; None if it does not decode."""
    extended = b""
    if body[:4] == b"ALPH":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        extended = b"VP8X" + struct.pack("<I", 10) + bytes([ALPHA, 0, 0, 0]) + size
    data = b"WEBP" + extended + body
    whole = np.frombuffer(b"RIFF" + struct.pack("<I", len(data)) + data, np.uint8)
    try:
        picture: Any = cv2.imdecode(whole, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if picture is None or picture.shape[:2] != (height, width):
        return None
    return picture if picture.shape[2] == 4 else cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)


def composited(above: Picture, below: Picture) -> Picture:
    """Straight-alpha BGRA composited over BGRA."""
    if above[..., 3].min() == 255:
        return above
    top = above[..., 3:].astype(np.float32) / 255
    under = below[..., 3:].astype(np.float32) / 255 * (1 - top)
    alpha = top + under
    colours = (above[..., :3] * top + below[..., :3] * under) / np.maximum(alpha, 1e-6)
    return np.rint(np.concatenate([colours, alpha * 255], axis=2)).astype(np.uint8)
