"""HDR's metadata of a film, from a decoded picture: what it was graded on, and how bright it gets."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from ..core.pixel_formats import Mastering
from .probe import AS_PNG, side_data

PQ = 16  # SMPTE ST 2084, the transfer function that HDR10, HDR10+ and Dolby Vision share
DYNAMIC = ("DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_SMPTE_2094_APP5", "DYNAMIC_HDR_VIVID", "DOVI_METADATA",
           "DOVI_RPU_BUFFER")


def mastering_of(picture: av.VideoFrame) -> tuple[Mastering | None, bool]:
    """HDR10's metadata of a film, None where there is none, and whether there is some of each picture
    (HDR10+, Dolby Vision)."""
    if int(picture.color_trc) != PQ or picture.format.name in AS_PNG:
        return None, False
    found = side_data(picture) or {}
    display = _display(found.get("MASTERING_DISPLAY_METADATA", b""))
    light = np.frombuffer(found.get("CONTENT_LIGHT_LEVEL", b"")[:8], np.uint32)
    content = (int(light[0]), int(light[1])) if len(light) == 2 and light.any() else None
    made = Mastering(display, content) if display or content else None
    return made, any(name in found for name in DYNAMIC)


def _display(data: bytes) -> tuple[Fraction, ...] | None:
    """FFmpeg's AVMasteringDisplayMetadata: ten fractions, and whether the colours and the light are given."""
    numbers = np.frombuffer(data[:88], np.int32).tolist()
    if len(numbers) < 22 or not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    return tuple(Fraction(numbers[place], numbers[place + 1]) for place in range(0, 20, 2))
