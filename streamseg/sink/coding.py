"""Pictures whose colours are not sRGB's, by film's numbers (ITU-T H.273): PNG can say so, other formats cannot."""

from __future__ import annotations

import struct
import zlib

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
    if not names or ext == ".exr" or (ext in (".png", ".apng") and colour.transfer != _UNTAGGED):
        return []
    return [f"the colours are those of {names}, which {ext} does not say: programs show them pale or dark; .png, .apng "
            "and .exr say it, or convert the film first, as ffmpeg's filters zscale and tonemap do"]


def with_coding(png: bytes, colour: Colour) -> bytes:
    """A PNG with its colours' numbers in a cICP chunk behind IHDR, if they are not sRGB's: PNG (third edition),
    11.3.2.6. RGB has no matrix, and its range is full."""
    if not strange(colour) or colour.transfer == _UNTAGGED:
        return png
    body = b"cICP" + bytes([colour.primaries, colour.transfer, 0, 1])
    return png[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]
