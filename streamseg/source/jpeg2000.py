"""What a JP2 says of its colours, which FFmpeg (8.1) leaves out: sYCC is full-range BT.601, and CMYK is no RGB with
alpha (ISO/IEC 15444-1, I.5.3.3)."""

from __future__ import annotations

import av

from ..core.pixel_formats import FULL
from ..errors import SourceError

_SIGNATURE = b"\0\0\0\x0cjP  "
_CMYK, _SYCC = 12, 18
_BT601 = 5


def colours(data: bytes) -> int | None:
    """The number of the colour space in a JP2's bytes; None in those of a bare codestream, as in films, and where a
    profile stands in its place."""
    at = data.find(b"colr", 0, 4096) if data.startswith(_SIGNATURE) else -1
    return int.from_bytes(data[at + 7:at + 11], "big") if at >= 0 and data[at + 4:at + 5] == b"\1" else None


def check(data: bytes, name: str) -> None:
    """Raises SourceError for inks."""
    if colours(data) == _CMYK:
        raise SourceError(f"{name} is a JPEG 2000 in CMYK, which is not read: save it in RGB")


def complete(picture: av.VideoFrame, data: bytes) -> None:
    """Write range and matrix of sYCC into the picture decoded from ``data``."""
    if colours(data) == _SYCC:
        picture.color_range, picture.colorspace = FULL, _BT601
