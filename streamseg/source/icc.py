"""The colour profile (ICC) in the bytes of a picture file: JPEG, PNG, WebP or TIFF.

Phones write Display P3, cameras Adobe RGB: the same numbers without it are other colours. FFmpeg hands it on
as side data, which PyAV 18 cannot list beside EXIF, and nearly each photo has that.
"""

from __future__ import annotations

import struct
import zlib

from .exif import PNG_MARK, entry_of, png_chunk, segments, webp_chunk

IN_JPEG = b"ICC_PROFILE\0"
IN_TIFF = 0x8773
LARGEST = 255 * 65519  # what a JPEG can hold; a PNG's may unpack to any size
HEADER = 128


def profile_of(data: bytes) -> bytes | None:
    """The profile as the file holds it; None if there is none, or what is there is no profile."""
    if data[:2] == b"\xff\xd8":
        found = _jpeg(data)
    elif data[:8] == PNG_MARK:
        found = _unpacked(png_chunk(data, b"iCCP"))
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = webp_chunk(data, b"ICCP")
    else:
        found = _tiff(data)
    return found if HEADER < len(found) <= LARGEST and found[36:40] == b"acsp" else None


def is_rgb(profile: bytes) -> bool:
    """Whether the profile is one for RGB, which all pictures become: not one for grey or CMYK."""
    return profile[16:20] == b"RGB "


def _jpeg(data: bytes) -> bytes:
    """Its pieces are numbered 1 to their count (ICC.1:2022, B.4), each with a head of 14 bytes."""
    pieces = {body[12]: body for mark, body in segments(data)
              if mark == 0xE2 and body[:12] == IN_JPEG and len(body) > 14}
    whole = bool(pieces) and sorted(pieces) == list(range(1, next(iter(pieces.values()))[13] + 1))
    return b"".join(pieces[number][14:] for number in sorted(pieces)) if whole else b""


def _unpacked(chunk: bytes) -> bytes:
    """A PNG's: a name, a zero, the method (0), zlib's data."""
    _, _, packed = chunk.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], LARGEST + 1)
    except zlib.error:
        return b""


def _tiff(data: bytes) -> bytes:
    entry = entry_of(data, IN_TIFF)
    if entry is None:
        return b""
    order, count, place = entry
    (start,) = struct.unpack_from(order + "I", data, place)
    return data[start:start + count]
