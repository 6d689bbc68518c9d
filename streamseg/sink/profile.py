"""Writes a colour profile (ICC) into the bytes of a picture that OpenCV encoded.

OpenCV can since 4.13, but refuses more than 64 KB in a JPEG, and whatever libpng does not like.
"""

from __future__ import annotations

import struct
import zlib

HOLDING = (".jpg", ".jpeg", ".png", ".webp", ".tiff", ".tif")  # TIFF's is written by tiff.py
PIECE = 65519  # of a profile in one segment of a JPEG: 65,535 less the length and the head
HAS_PROFILE, HAS_ALPHA = 0x20, 0x10


def with_profile(data: bytes, ext: str, profile: bytes) -> bytes:
    """The picture file ``data`` with the profile in its place; ``ext`` is one of HOLDING."""
    if ext == ".png":
        return _png(data, profile)
    return _webp(data, profile) if ext == ".webp" else _jpeg(data, profile)


def _jpeg(data: bytes, profile: bytes) -> bytes:
    """APP2 segments, numbered from 1, behind JFIF's APP0, which must be first. ICC.1:2022, B.4."""
    pieces = [profile[at:at + PIECE] for at in range(0, len(profile), PIECE)]
    segments = [b"\xff\xe2" + struct.pack(">H", len(piece) + 16) + b"ICC_PROFILE\0"
                + bytes([number, len(pieces)]) + piece for number, piece in enumerate(pieces, 1)]
    place = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2
    return data[:place] + b"".join(segments) + data[place:]


def _png(data: bytes, profile: bytes) -> bytes:
    """An iCCP chunk right behind IHDR, which has 25 bytes after the file's first 8."""
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:33] + chunk + data[33:]


def _webp(data: bytes, profile: bytes) -> bytes:
    """An ICCP chunk behind the VP8X chunk, which is made where the picture has none.
    https://developers.google.com/speed/webp/docs/riff_container"""
    if data[12:16] == b"VP8X":
        extended, rest = bytearray(data[12:30]), data[30:]
    else:
        extended, rest = _extended(data), data[12:]
    extended[8] |= HAS_PROFILE
    chunk = b"ICCP" + struct.pack("<I", len(profile)) + profile + b"\0" * (len(profile) % 2)
    body = b"WEBP" + extended + chunk + rest
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _extended(data: bytes) -> bytearray:
    """The VP8X chunk of a WebP without one, from the head of its VP8 or VP8L chunk."""
    if data[12:16] == b"VP8L":  # after a byte: 14 bits of width - 1, 14 of height - 1, one for alpha
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height, alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    else:  # after six bytes: 14 bits of width and two of scale, the same of height
        width, height = ((side & 0x3FFF) - 1 for side in struct.unpack_from("<HH", data, 26))
        alpha = 0
    size = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return bytearray(b"VP8X" + struct.pack("<I4B", 10, HAS_ALPHA * alpha, 0, 0, 0) + size)
