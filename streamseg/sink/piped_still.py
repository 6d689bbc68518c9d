"""One picture on standard output."""

from __future__ import annotations

import sys

from ..core.frames import Frame, VideoInfo
from ..errors import SinkError
from ..options import OutputOptions
from .base import BaseSink
from .commit import writing
from .picture_file import encode_picture
from .stills import no_aspect


class PicturePipe(BaseSink):
    """One picture as a PNG on standard output, written once all outputs are finished."""

    waits_for_reader = True
    target = "-"

    def __init__(self, info: VideoInfo, kind: str, options: OutputOptions) -> None:
        super().__init__()
        self.kind, self._options = kind, options
        self._data: bytes | None = None
        if info.sample_aspect != 1:
            self.notes.append(no_aspect(info))

    def write(self, frame: Frame) -> None:
        """Encode it. Raises SinkError for a second one."""
        if self._data is not None:
            raise SinkError("-: the input has more than one picture, and standard output got a PNG of the first; "
                            "write into a folder/, or give --codec, as --codec ffv1, which makes them a film")
        self._data = encode_picture(frame, ".png", self.kind, self._options.quality)
        self.size = len(self._data)

    def finish(self) -> None:
        """Raise SinkError if no picture came."""
        if self._data is None:
            raise SinkError("-: no frames came, so there is nothing to write")

    def commit(self) -> None:
        """Write it. Raises SinkError where nobody reads."""
        data, self._data = self._data, b""
        with writing("-"):
            sys.stdout.buffer.write(data or b"")
            sys.stdout.buffer.flush()
