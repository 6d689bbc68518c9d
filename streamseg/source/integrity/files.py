"""Whether a file is complete, from the lengths that its container states (MP4, Matroska, RIFF, Y4M, MPEG-TS,
GIF, JPEG). FFmpeg reports the end of a truncated file as the normal end of the stream."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from .jpeg import missing_in_jpeg
from .layouts import ts_packet, y4m_fields, y4m_record

EBML_SEGMENT = b"\x18\x53\x80\x67"


def missing_in_file(path: Path) -> str | None:
    """What is missing at the end of a file ("412 of 1,024 bytes are missing"). None if nothing is missing, if
    the format states no length, or if the file cannot be read (opening it reports why)."""
    try:
        with path.open("rb") as file:
            return missing_in(file)
    except OSError:
        return None


def missing_in(file: BinaryIO) -> str | None:
    """As ``missing_in_file``, for a seekable binary file object; its position is lost. Raises OSError."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return _missing(file, size)


def _missing(file: BinaryIO, size: int) -> str | None:
    head = file.read(1024)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _short(_mp4_end(file, size), size)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _short(_matroska_end(file), size)
    if head[:4] == b"RIFF" and len(head) >= 8:
        return _short(8 + struct.unpack_from("<I", head, 4)[0], size)
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _tail_misses(file, size, b";", "GIF's end mark is missing")
    if head[:3] == b"\xff\xd8\xff":
        return missing_in_jpeg(file, size)
    if head[:10] == b"YUV4MPEG2 ":
        return _y4m(file, size)
    packet = ts_packet(head)
    return None if packet is None or size % packet == 0 else "its last packet is not whole"


def _short(end: int | None, size: int) -> str | None:
    return None if end is None or end <= size else f"{end - size:,} of {end:,} bytes are missing"


def _mp4_end(file: BinaryIO, size: int) -> int | None:
    """Where the top-level boxes end (ISO 14496-12, 4.2); a box of size 0 goes to the file's end."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        (length,) = struct.unpack(">I", file.read(4))
        name = file.read(4)
        if not all(32 <= letter < 127 or letter == 0xA9 for letter in name):
            return None  # no box follows: the end is unknown
        if length == 1:
            wide = file.read(8)
            length = struct.unpack(">Q", wide)[0] if len(wide) == 8 else 0
        if length < 8:
            return None
        at += length
    return at


def _matroska_end(file: BinaryIO) -> int | None:
    """Where the segment ends (RFC 8794: element sizes); None while its size is unknown, as in a stream."""
    file.seek(4)
    header = _vint(file)
    if header is None:
        return None
    file.seek(header, 1)
    if file.read(4) != EBML_SEGMENT:
        return None
    length = _vint(file)
    return None if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    rest = file.read(extra)
    value = int.from_bytes(bytes([first[0] & ((1 << (7 - extra)) - 1)]) + rest, "big")
    return None if len(rest) < extra or value == (1 << (7 * (extra + 1))) - 1 else value


def _tail_misses(file: BinaryIO, size: int, mark: bytes, words: str) -> str | None:
    file.seek(max(0, size - 64))
    return None if mark in file.read() else words


def _y4m(file: BinaryIO, size: int) -> str | None:
    """A whole number of equally long frames must follow the header, unless frames have parameters."""
    file.seek(0)
    header = file.readline(4096)
    record = y4m_record(y4m_fields(header))
    if record is None or (size - len(header)) % record == 0:
        return None
    file.seek(len(header))
    return "its last frame is not whole" if file.read(6) == b"FRAME\n" else None
