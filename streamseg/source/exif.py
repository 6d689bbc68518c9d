"""EXIF's orientation in the bytes of a picture file: JPEG, PNG, WebP or TIFF.

FFmpeg turns the tag into a display matrix too, but PyAV 18 cannot list the side data of a picture that
carries EXIF (it does not know the type's number) and its ``rotation`` cannot tell mirrored from turned.
"""

from __future__ import annotations

import struct

ORIENTATION = 0x0112


def orientation(data: bytes) -> int:
    """1 to 8 as the tag says, 1 where there is none or where it cannot be read."""
    tiff = _tiff(data)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for number in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * number)
            if tag == ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:  # the tag is a courtesy: a broken one is no reason to refuse the picture
        pass
    return 1


def _tiff(data: bytes) -> bytes:
    """The TIFF structure that holds the tags, empty if there is none."""
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _chunk(data, 8, b"eXIf", ">I", length_first=True, tail=4)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _chunk(data, 12, b"EXIF", "<I", length_first=False, tail=0).removeprefix(b"Exif\0\0")
    return data if data[:4] in (b"II*\0", b"MM\0*") else b""


def _jpeg(data: bytes) -> bytes:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        (length,) = struct.unpack_from(">H", data, at + 2)
        if data[at + 1] == 0xE1 and data[at + 4:at + 10] == b"Exif\0\0":
            return data[at + 10:at + 2 + length]
        at += 2 + length
    return b""


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
