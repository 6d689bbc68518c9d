"""Side data of a decoded picture: HDR10 metadata, and what is not kept."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from ..core.pixel_formats import Mastering
from .orientation import AS_PNG, side_data

PQ = 16  # SMPTE ST 2084, the transfer function that HDR10, HDR10+ and Dolby Vision share
DYNAMIC = ("DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_SMPTE_2094_APP5", "DYNAMIC_HDR_VIVID", "DOVI_METADATA",
           "DOVI_RPU_BUFFER")
LEFT_OUT = {"STEREO3D": "the layout of the two views (stereoscopic 3D)",
            "A53_CC": "the closed captions' track inside the pictures (A/53)"}


def mastering_of(picture: av.VideoFrame) -> tuple[Mastering | None, bool]:
    """The HDR10 metadata, None where there is none, and whether there is metadata for single pictures (HDR10+,
    Dolby Vision)."""
    if int(picture.color_trc) != PQ or picture.format.name in AS_PNG:
        return None, False
    found = side_data(picture) or {}
    display = _display(found.get("MASTERING_DISPLAY_METADATA", b""))
    light = np.frombuffer(found.get("CONTENT_LIGHT_LEVEL", b"")[:8], np.uint32)
    content = (int(light[0]), int(light[1])) if len(light) == 2 and light.any() else None
    made = Mastering(display, content) if display or content else None
    return made, any(name in found for name in DYNAMIC)


def left_out_of(picture: av.VideoFrame) -> list[str]:
    """Notes on what comes with the picture and is not kept: stereoscopic layout, closed captions."""
    found = {} if picture.format.name in AS_PNG else side_data(picture) or {}
    return [f"{what} is left out" for name, what in LEFT_OUT.items() if name in found]


def _display(data: bytes) -> tuple[Fraction, ...] | None:
    """FFmpeg's AVMasteringDisplayMetadata: ten fractions, and whether the colours and the light are given."""
    numbers = np.frombuffer(data[:88], np.int32).tolist()
    if len(numbers) < 22 or not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    return tuple(Fraction(numbers[place], numbers[place + 1]) for place in range(0, 20, 2))
