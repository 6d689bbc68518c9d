"""EXIF's orientation in the bytes of a picture file: JPEG, PNG, WebP or TIFF.

FFmpeg turns the tag into a display matrix too, but PyAV 18 cannot list the side data of a picture that
carries EXIF (it does not know the type's number) and its ``rotation`` cannot tell mirrored from turned.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

ORIENTATION = 0x0112
PNG_MARK = b"\x89PNG\r\n\x1a\n"


def orientation(data: bytes) -> int:
    """1 to 8 as the tag says, 1 where there is none or where it cannot be read."""
    tiff = tiff_in(data)
    entry = entry_of(tiff, ORIENTATION)
    if entry is None:
        return 1
    order, _, place = entry
    (value,) = struct.unpack_from(order + "H", tiff, place)
    return int(value) if 1 <= value <= 8 else 1


def entry_of(tiff: bytes, wanted: int) -> tuple[str, int, int] | None:
    """Of a tag in the first directory of a TIFF: the byte order, how many values it has and where they or
    their offset stand, in four bytes that are there. None without the tag, or where it cannot be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, _, count, _ = struct.unpack_from(order + "HHII", tiff, place)
            if tag == wanted:
                return order, int(count), place + 8
    except struct.error:  # the tag is a courtesy: a broken one is no reason to refuse the picture
        pass
    return None


def tiff_in(data: bytes) -> bytes:
    """The TIFF structure that holds the tags, empty if there is none."""
    if data[:2] == b"\xff\xd8":
        found = (body for mark, body in segments(data) if mark == 0xE1 and body[:6] == b"Exif\0\0")
        return next(found, b"")[6:]
    if data[:8] == PNG_MARK:
        return png_chunk(data, b"eXIf")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webp_chunk(data, b"EXIF").removeprefix(b"Exif\0\0")
    return data if data[:4] in (b"II*\0", b"MM\0*") else b""


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The second byte of the marker and the body of each of a JPEG's segments before the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4:at + 2 + length]
        at += 2 + length


def png_chunk(data: bytes, name: bytes) -> bytes:
    """The body of the first chunk ``name``, empty if there is none."""
    return _chunk(data, 8, name, ">I", length_first=True, tail=4)


def webp_chunk(data: bytes, name: bytes) -> bytes:
    """The body of the first chunk ``name``, empty if there is none."""
    return _chunk(data, 12, name, "<I", length_first=False, tail=0)


def _chunk(data: bytes, at: int, wanted: bytes, number: str, *, length_first: bool, tail: int) -> bytes:
    """The body of a PNG or RIFF chunk; RIFF's are padded to even lengths."""
    while at + 8 <= len(data):
        name, size = (data[at + 4:at + 8], data[at:at + 4]) if length_first else (data[at:at + 4],
                                                                                  data[at + 4:at + 8])
        (length,) = struct.unpack(number, size)
        if name == wanted:
            return data[at + 8:at + 8 + length]
        at += 8 + length + (tail or length % 2)
    return b""
