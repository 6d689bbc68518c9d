"""Whether a JPEG is complete: from segment to segment to its end marker (ISO 10918-1, table B.1)."""

from __future__ import annotations

import re
from typing import BinaryIO

JPEG_START, JPEG_END, JPEG_SCAN = b"\xff\xd8\xff", b"\xd9", b"\xda"
# The markers of frame headers: C0 to CF without those of tables (C4, CC) and of an extension (C8)
FRAMES = tuple(bytes([mark]) for mark in range(0xC0, 0xD0) if mark not in (0xC4, 0xC8, 0xCC))
JPEG_CUT = "JPEG's end mark is missing"
PIECE = 1 << 14  # bytes read at once in search of a marker, of which a picture has ten or more
# So many pictures in a row are an MJPEG video: only its end is read (reading all takes 18 s a GB)
ALBUM, MJPEG_TAIL = 16, 1 << 24
# Between the codes of a scan there are stuffed FF00, fill bytes FFFF and restart markers FFD0 to FFD7; after
# the codes come EOI or a segment with a length: tables, the next scan, comments.
HEADER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
IN_SCAN = re.compile(rb"\xff([\xc4\xd9-\xdd\xe0-\xef\xfe])")


def missing_in_jpeg(file: BinaryIO, size: int) -> str | None:
    """What is missing of a JPEG of ``size`` bytes, None if it is complete. The end marker must be reached
    segment by segment: a thumbnail has an end marker too, and so may have the video or depth map that a phone
    appends."""
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


def following_jpeg(file: BinaryIO) -> bool:
    """Whether another JPEG of the same size comes right behind the first one (not a depth or gain map, which is
    smaller)."""
    end = _jpeg_end(file, 2) if _at(file, 0, 3) == JPEG_START else None
    if end is None or _at(file, end, 3) != JPEG_START:
        return False
    size = _jpeg_size(file, 2)
    return size is not None and size == _jpeg_size(file, end + 2)


def _jpeg_size(file: BinaryIO, at: int) -> bytes | None:
    """Height and width as stored, of the picture whose segments begin at ``at`` (ISO 10918-1, B.2.2: its frame
    header); None if it has none."""
    while (found := _marker(file, at, HEADER)) is not None:
        mark, at = found
        if mark in FRAMES:
            return _at(file, at + 3, 4)
        if mark in (JPEG_END, JPEG_SCAN):
            return None
        at += int.from_bytes(_at(file, at, 2), "big")
    return None


def _jpeg_end(file: BinaryIO, at: int) -> int | None:
    """Where the picture whose segments begin at ``at`` ends, None if it does not."""
    markers = HEADER
    while (found := _marker(file, at, markers)) is not None:
        mark, at = found
        if mark == JPEG_END:
            return at
        length = int.from_bytes(_at(file, at, 2), "big")
        # otherwise it is damaged data that looks like a marker
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
