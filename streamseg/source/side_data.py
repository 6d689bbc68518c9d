"""Side data of a decoded picture: HDR10 metadata, and what is not kept."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from ..core.matrices import kept
from ..core.pixel_formats import Mastering
from ..core.spatial import Spatial
from .orientation import AS_PNG, side_data

PQ = 16  # SMPTE ST 2084, the transfer function that HDR10, HDR10+ and Dolby Vision share
UNKNOWN = 255  # a layout or a projection that has no number here
DYNAMIC = ("DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_SMPTE_2094_APP5", "DYNAMIC_HDR_VIVID", "DOVI_METADATA",
           "DOVI_RPU_BUFFER")


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


def spatial_of(picture: av.VideoFrame) -> Spatial | None:
    """The layout of two views and the projection (FFmpeg's AVStereo3D and AVSphericalMapping); None without any."""
    found = {} if picture.format.name in AS_PNG else side_data(picture) or {}
    stereo = np.frombuffer(found.get("STEREO3D", b"")[:8], np.int32).tolist()
    sphere = np.frombuffer(found.get("SPHERICAL", b"")[:16], np.int32).tolist()
    cut = np.frombuffer(found.get("SPHERICAL", b"")[16:36], np.uint32).tolist()
    if "STEREO3D" not in found and "SPHERICAL" not in found:
        return None
    layout, flags = stereo if len(stereo) == 2 else (UNKNOWN if "STEREO3D" in found else None, 0)
    if len(sphere) < 4 or len(cut) < 5:
        return Spatial(layout, bool(flags & 1), UNKNOWN if "SPHERICAL" in found else None)
    return Spatial(layout, bool(flags & 1), sphere[0], (sphere[1], sphere[2], sphere[3]),
                   (cut[0], cut[1], cut[2], cut[3]), cut[4])


def captions_of(picture: av.VideoFrame) -> av.VideoFrame:
    """A tiny picture with all that belongs to ``picture``: its captions among it, which PyAV can hand on in no other
    way."""
    return picture.reformat(width=16, height=16, format="gray", **kept(int(picture.colorspace)))


def _display(data: bytes) -> tuple[Fraction, ...] | None:
    """FFmpeg's AVMasteringDisplayMetadata: ten fractions, and whether the colours and the light are given."""
    numbers = np.frombuffer(data[:88], np.int32).tolist()
    if len(numbers) < 22 or not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    return tuple(Fraction(numbers[place], numbers[place + 1]) for place in range(0, 20, 2))
