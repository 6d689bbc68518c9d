"""Transparent video for players that know no alpha: colour and matte side by side in one opaque picture.

    stacked         colour above, matte below: twice the height
    side-by-side    colour on the left, matte on the right: twice the width
    deovr           the matte around the circles of a VR film of fisheye lenses: see ``deovr``

The colour is straight: the subject's own, carried on where nothing is seen of it. The matte is grey in the colour's
range, so that a player's RGB of it is alpha. An odd side is made even first (the last row or column repeated), so that
the halves are equal and no chroma sample belongs to both. ``player.html`` plays it in any browser:

    python -m streamseg.sink.packed > player.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.frames import Frame, VideoInfo
from ...errors import OptionError
from ...options import OutputOptions
from ..pixels import alpha_of, extended
from ..video import VideoSink
from .deovr import NOTE, check_fisheye, deovr

STACKED, DEOVR = "stacked", "deovr"


class PackedSink(VideoSink):
    """Writes cut-outs as packed pictures; all else is as VideoSink says."""

    def __init__(self, target: str, info: VideoInfo, options: OutputOptions) -> None:
        self._layout = options.packed or STACKED
        if self._layout == DEOVR:
            check_fisheye(info)
        width, height = packed_size(info.width, info.height, self._layout)
        super().__init__(target, replace(info, width=width, height=height), "composite", options)
        self.kind = "cutout"  # what it takes
        self.notes.append(NOTE if self._layout == DEOVR else f"alpha is packed ({self._layout}): `python -m "
                          "streamseg.sink.packed > player.html` gives a page that plays it")

    def write(self, frame: Frame) -> None:
        """Pack one cut-out and write it. Raises SinkError."""
        super().write(packed(frame, self._layout))


def check_packed(options: OutputOptions, background: str | None) -> None:
    """Raise OptionError for a packed output with a background: there is nothing behind the subject."""
    if options.packed is not None and background not in (None, "none"):
        raise OptionError(f"packed {options.packed} writes transparency, and background {background!r} leaves none: "
                          "give one of the two")


def packed_size(width: int, height: int, layout: str) -> tuple[int, int]:
    """(width, height) of the packed picture."""
    if layout == DEOVR:
        return width, height
    width, height = width + width % 2, height + height % 2
    return (width, 2 * height) if layout == STACKED else (2 * width, height)


def packed(frame: Frame, layout: str) -> Frame:
    """The frame, opaque, with its alpha as ``layout`` says. Raises SinkError if it has no alpha."""
    if layout == DEOVR:
        return deovr(frame)
    frame = extended(frame, frame.width + frame.width % 2, frame.height + frame.height % 2)
    pixel = frame.pixel
    join: Any = np.vstack if layout == STACKED else np.hstack
    grey = _in_range(alpha_of(frame), frame)
    planes = [join([plane, grey if number == 0 or pixel.rgb else np.full_like(plane, 1 << (pixel.depth - 1))])
              for number, plane in enumerate(frame.planes)]
    return replace(frame, planes=tuple(planes), alpha=None, owner=None)


def _in_range(alpha: npt.NDArray[Any], frame: Frame) -> npt.NDArray[Any]:
    """Alpha as luma: 0 is black and its peak white, in the frame's range."""
    pixel = frame.pixel
    if frame.full_range:
        return alpha
    unit = 1 << (pixel.depth - 8)
    if pixel.depth == 8:
        return _LIMITED[alpha]
    return np.rint(alpha * np.float32(219 * unit / pixel.peak) + np.float32(16 * unit)).astype(alpha.dtype)


_LIMITED = np.rint(np.arange(256) * (219 / 255) + 16).astype(np.uint8)
