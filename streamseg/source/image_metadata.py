"""What a picture file says beside its picture, that no frame carries: more pages, EXIF, the size on paper."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .exif import ORIENTATION, PNG_MARK, png_chunk, segments, tiff_in

SUBFILE, MAKE, X_RESOLUTION, UNIT, EXIF, GPS = 0x00FE, 0x010F, 0x011A, 0x0128, 0x8769, 0x8825
REDUCED = 1  # of a TIFF's page: a small copy of another
SCREEN = (72, 96)  # dots per inch that programs write where nobody said any


def pages(data: bytes) -> int:
    """How many pictures a TIFF has, small copies left out; 1 for other files."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    return max(1, sum(not tags.get(SUBFILE, 0) & REDUCED for tags in _directories(data)))


def unkept(data: bytes) -> list[str]:
    """The names of what is in the file and in no output."""
    tags = next(_directories(tiff_in(data)), {})
    camera = {EXIF, GPS, MAKE} & tags.keys() if data[:2] in (b"II", b"MM") else tags.keys() - {ORIENTATION}
    paper = _dpi(data) not in (0, *SCREEN)
    return ["EXIF (camera, time, place)"] * bool(camera) + ["the size on paper (dots per inch)"] * paper


def _dpi(data: bytes) -> int:
    """Dots per inch as JFIF, PNG or TIFF give them; 0 where they do not."""
    if data[:2] == b"\xff\xd8":
        found = next((body for mark, body in segments(data) if mark == 0xE0 and body[:5] == b"JFIF\0"), b"")
        unit, across = struct.unpack_from(">BH", found.ljust(10, b"\0"), 7)
        return round(across * {1: 1, 2: 2.54}.get(unit, 0))
    if data[:8] == PNG_MARK:
        across, _, unit = struct.unpack(">IIB", png_chunk(data, b"pHYs")[:9].ljust(9, b"\0"))
        return round(across * 0.0254) if unit == 1 else 0
    tags = next(_directories(data), {})
    place, inches = tags.get(X_RESOLUTION, len(data)), {2: 1, 3: 2.54}.get(tags.get(UNIT, 2), 0)
    above, below = struct.unpack(_order(data) + "II", data[place:place + 8].ljust(8, b"\0"))
    return round(inches * above / below) if below else 0


def _directories(tiff: bytes) -> Iterator[dict[int, int]]:
    """The tags of each directory of a TIFF, with their values or, of those that have no room for them, where
    they stand."""
    order, seen = _order(tiff), {0}
    try:
        (place,) = struct.unpack_from(order + "I", tiff, 4)
        while place not in seen:
            seen.add(place)
            (count,) = struct.unpack_from(order + "H", tiff, place)
            tags = {}
            for at in range(place + 2, place + 2 + 12 * count, 12):
                tag, kind = struct.unpack_from(order + "HH", tiff, at)
                (tags[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), tiff, at + 8)
            yield tags
            (place,) = struct.unpack_from(order + "I", tiff, place + 2 + 12 * count)
    except struct.error:  # these are notes: what cannot be read of them is no reason to refuse the picture
        return


def _order(tiff: bytes) -> str:
    return ">" if tiff[:2] == b"MM" else "<"
