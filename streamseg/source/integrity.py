"""Whether a file is all there. FFmpeg takes the end of a file that was cut off for its proper end.

The container's own structure says how long it ought to be: that is certain, where a comparison of
durations would be a guess.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import BinaryIO

EBML_SEGMENT = b"\x18\x53\x80\x67"
JPEG_START, JPEG_END, JPEG_SCAN = b"\xff\xd8\xff", b"\xd9", b"\xda"
JPEG_CUT = "JPEG's end mark is missing"
PIECE = 1 << 14  # read at once in search of a marker, of which a picture has ten or more
# So many pictures in a row are a film in MJPEG: of that only the end is looked at (all of it: 18 s a GB)
ALBUM, MJPEG_TAIL = 16, 1 << 24
# Of MPEG-TS: a packet's length (192 with a time before each, M2TS; 204 with check bytes), its mark's place
TS_PACKETS, TS_MARK = ((188, 0), (192, 4), (204, 0)), b"\x47"
# Markers of ISO 10918-1, table B.1. Between a scan's codes stand stuffed FF00, fill bytes FFFF and restarts
# FFD0 to FFD7; what may follow the codes are EOI and a length: tables, the next scan, texts.
HEADER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
IN_SCAN = re.compile(rb"\xff([\xc4\xd9-\xdd\xe0-\xef\xfe])")


def cut_off(path: Path) -> str | None:
    """What is missing at the end of a file ("412 of 1,024 bytes are missing"), None if nothing is or
    if its format does not tell, or if it cannot be read: ``opening`` says why."""
    try:
        with path.open("rb") as file:
            return _missing(file, os.fstat(file.fileno()).st_size)
    except OSError:
        return None


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
        return _jpeg(file, size)
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
            return None  # what follows is no box: no statement about the end
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


def _jpeg(file: BinaryIO, size: int) -> str | None:
    """The end mark must be reached from the beginning, segment by segment: a thumbnail has one of its own,
    and so may have what a telephone puts behind the picture (a film, a depth map)."""
    end = 0
    for _ in range(ALBUM):
        if _at(file, end, 3) != JPEG_START:
            return None
        found = _jpeg_end(file, end + 2)
        if found is None:
            return JPEG_CUT
        end = found
    tail = _at(file, max(0, size - MJPEG_TAIL), MJPEG_TAIL)
    return None if tail.rfind(b"\xff" + JPEG_END) > tail.rfind(b"\xff" + JPEG_SCAN) else JPEG_CUT


def _jpeg_end(file: BinaryIO, at: int) -> int | None:
    """Where the picture whose segments begin at ``at`` ends, None if it does not."""
    markers = HEADER
    while (found := _marker(file, at, markers)) is not None:
        mark, at = found
        if mark == JPEG_END:
            return at
        length = int.from_bytes(_at(file, at, 2), "big")
        # else it is damage among the codes that looks like a marker
        if markers is HEADER or mark == JPEG_SCAN or _at(file, at + length, 1) == b"\xff":
            at += length
        if mark == JPEG_SCAN:
            markers = IN_SCAN
    return None


def _marker(file: BinaryIO, at: int, markers: re.Pattern[bytes]) -> tuple[bytes, int] | None:
    """The first of ``markers`` from ``at`` on: its second byte, and where it ends."""
    file.seek(at)
    data = b""
    while piece := file.read(PIECE):
        data = data[-1:] + piece
        if (mark := markers.search(data)) is not None:
            return mark[1], file.tell() - len(data) + mark.end()
    return None


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def _y4m(file: BinaryIO, size: int) -> str | None:
    """A whole number of equally long frames must follow the header, unless frames have parameters."""
    file.seek(0)
    header = file.readline(4096)
    record = y4m_record(y4m_fields(header))
    if record is None or (size - len(header)) % record == 0:
        return None
    file.seek(len(header))
    return "its last frame is not whole" if file.read(6) == b"FRAME\n" else None


def ts_packet(head: bytes) -> int | None:
    """The length of the packets of an MPEG-TS that begins with ``head``, None if it is none."""
    fitting = (length for length, place in TS_PACKETS if head[place:3 * length:length] == 3 * TS_MARK)
    return next(fitting, None)


def y4m_fields(header: bytes) -> dict[str, str]:
    """The parameters in the header's line, by their letter."""
    return {item[:1]: item[1:] for item in header.decode("ascii", "replace").split()[1:]}


def y4m_record(fields: dict[str, str]) -> int | None:
    """Bytes that a frame takes with its 'FRAME' line, None for a layout that is not known here."""
    layout = fields.get("C", "420")
    base, _, deep = layout.partition("p") if layout[:3].isdigit() else (layout, "", "")
    depth = int(deep) if deep.isdigit() else 8
    try:
        width, height = int(fields["W"]), int(fields["H"])
    except (KeyError, ValueError):
        return None
    half = (-(-width // 2), -(-height // 2))
    chroma = {"420": half[0] * half[1], "422": half[0] * height, "444": width * height, "mono": 0}
    kind = "420" if base.startswith("420") else base
    if kind not in chroma:
        return None
    return 6 + (width * height + 2 * chroma[kind]) * (2 if depth > 8 else 1)
