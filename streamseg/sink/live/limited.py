"""Pictures as cameras give them: 8 bits, limited range, in one pixel format."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import av
from av.video.reformatter import VideoReformatter

from ...core.frames import Frame
from ...core.pixel_formats import FULL, LIMITED


class ToLimitedRange:
    """Converts frames to ``format``, one of FFmpeg's with 8 bits, at their own size. Use from one thread.

    ``matrices``: PyAV's ``src_colorspace`` and ``dst_colorspace``; none: swscale's own choice.
    """

    def __init__(self, format: str) -> None:
        self._format, self._reformatter = format, VideoReformatter()

    def __call__(self, frame: Frame, **matrices: Any) -> av.VideoFrame:
        """A picture of its own memory; ``frame`` stays as it is."""
        return self._reformatter.reformat(
            replace(frame, owner=None).to_av(), format=self._format, threads=1,
            src_color_range=FULL if frame.full_range else LIMITED, dst_color_range=LIMITED, **matrices)
