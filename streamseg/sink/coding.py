"""Pictures whose colours are not sRGB's, by film's numbers (ITU-T H.273): PNG can say so, other formats cannot."""

from __future__ import annotations

import struct
import zlib

from ..core.matrices import chromaticities
from ..core.pixel_formats import Colour

_PRIMARIES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_TRANSFERS = {16: "PQ", 18: "HLG"}
_UNTAGGED = 2


def strange(colour: Colour) -> str:
    """The names of primaries and transfer where a picture that is taken for sRGB looks pale or dark; else ''."""
    names = (_PRIMARIES.get(colour.primaries, ""), _TRANSFERS.get(colour.transfer, ""))
    return ", ".join(name for name in names if name)


def untold(colour: Colour, ext: str) -> list[str]:
    """What is to be said of a picture file or an animation (``ext``) with such colours."""
    names = strange(colour)
    if not names or ext in (".exr", ".png", ".apng"):
        return []
    return [f"the colours are those of {names}, which {ext} does not say: programs show them pale or dark; .png, .apng "
            "and .exr say it, or convert the film first, as ffmpeg's filters zscale and tonemap do"]


def with_coding(png: bytes, colour: Colour) -> bytes:
    """A PNG with its colours' numbers in a cICP chunk behind IHDR, if they are not sRGB's: PNG (third edition),
    11.3.2.6. RGB has no matrix, and its range is full. Where the transfer is unknown cHRM (11.3.2.1) tells the
    primaries alone."""
    if not strange(colour):
        return png
    points = chromaticities(colour.primaries)
    if colour.transfer == _UNTAGGED and points is not None:  # white comes first
        body = b"cHRM" + struct.pack(">8I", *(round(100000 * point) for point in (*points[6:], *points[:6])))
    else:
        body = b"cICP" + bytes([colour.primaries, colour.transfer, 0, 1])
    return png[:33] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]
