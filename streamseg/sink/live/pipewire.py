"""A virtual camera of PipeWire: no driver, on Linux desktops."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ...core.frames import Frame, VideoInfo
from ...core.matrices import swscale_matrix
from ...errors import OptionError, SinkError
from ..base import BaseSink
from .limited import ToLimitedRange
from .pipewire_stream import PipeWireStream

DEFAULT_NAME, DEFAULT_RATE = "streamseg", Fraction(30)
HIGHEST_RATE = 1000  # frames a second that are stated; a source that says more does not mean it
LONGEST_NAME = 64
_BT601 = 5  # swscale's number


class PipeWireSink(BaseSink):
    """Shows each frame as the camera ``name`` (None: streamseg) to the programs of this user's PipeWire.

    Pictures are YUY2 of limited range and BT.601, as webcams give them: programs that do not read the tags take them
    for that, and rows of YUY2 need no padding, on which programs do not agree for I420. An odd last column is dropped.
    While no program looks, nothing is converted or sent. ``lost`` counts pictures for which those that look had no
    buffer free.

    Raises MissingDependencyError without libpipewire, SinkError with the remedy where no PipeWire answers.
    """

    def __init__(self, name: str | None, info: VideoInfo) -> None:
        super().__init__()
        self.name = name or DEFAULT_NAME
        check_name(self.name)
        if info.width < 2:
            raise SinkError(f"the picture is {info.width} x {info.height}; a camera needs a width of at least 2 pixels")
        self._width, self._height = info.width // 2 * 2, info.height
        rate = min(Fraction(info.rate or DEFAULT_RATE), Fraction(HIGHEST_RATE)).limit_denominator(1 << 16)
        self._converted = ToLimitedRange("yuyv422")
        self._looked_at = False
        self._stream: PipeWireStream | None = PipeWireStream(
            self.name, (self._width, self._height), rate)
        self.notes.append(f"PipeWire camera: choose {self.name!r} in a program that takes cameras from PipeWire")

    def wanted(self) -> bool:
        """Whether a program took pictures when the last frame came."""
        return self._looked_at

    def write(self, frame: Frame) -> None:
        """Show one frame, if a program looks. Raises SinkError if PipeWire has gone."""
        if self._stream is None:
            raise SinkError(f"the PipeWire camera {self.name!r} is closed")
        self._looked_at = self._stream.wanted()
        if self._looked_at and not self._stream.send(self._yuy2(frame)):
            self.lost += 1

    def finish(self) -> None:
        """Take the camera away."""
        self.abort()

    def abort(self) -> None:
        """Take the camera away; may be called twice."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _yuy2(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """uint8 (height, 2 x width)."""
        matrix = None if frame.pixel.rgb else swscale_matrix(frame.colour.matrix, frame.height)
        made = self._converted(frame, src_colorspace=matrix, dst_colorspace=_BT601)
        plane = made.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(made.height, plane.line_size)
        return rows[:self._height, :2 * self._width]


def check_name(name: str) -> None:
    """Raise OptionError for what no list of cameras could show."""
    if not name.isprintable() or not name.strip() or len(name) > LONGEST_NAME:
        raise OptionError(f"the PipeWire camera's name is {name!r}; it must be one line of at most {LONGEST_NAME} "
                          "printable characters, as --to pipewire:desk")
