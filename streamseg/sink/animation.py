"""Corrects how long the last picture of an animation is shown, which FFmpeg's muxers do not write.

Of WebP and APNG FFmpeg hands on when each picture begins, and so knows no end of the last: it is given the
pictures' average length, or the length of the one before it. GIF's muxer asks for lengths.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

LONGEST = (1 << 24) - 1  # milliseconds in an ANMF chunk
MOST = (1 << 16) - 1  # units of an fcTL chunk's delay
GIF_DELAY = Fraction(2, 100)  # seconds; players take GIF's smallest delay, 1/100, for 1/10


def last_until(path: Path, format: str, length: Fraction) -> None:
    """Make the last picture of the animation at ``path`` end ``length`` seconds after the first begins.

    ``format``: FFmpeg's muxer; others than webp and apng are left alone, as is a file of one picture.
    """
    if format not in ("webp", "apng"):
        return
    with path.open("r+b") as file:
        _webp(file, length) if format == "webp" else _apng(file, length)


def _webp(file: BinaryIO, length: Fraction) -> None:
    """https://developers.google.com/speed/webp/docs/riff_container#animation"""
    places = [place + 12 for name, place, _ in _chunks(file, 12, "<4sI") if name == b"ANMF"]
    shown = [int.from_bytes(_at(file, place, 3), "little") for place in places]
    if places:  # libwebp merges equal pictures: the rest may be longer than the last picture's own duration
        left = round(1000 * length) - sum(shown[:-1])
        file.seek(places[-1])
        file.write(min(max(left, 1), LONGEST).to_bytes(3, "little"))


def _apng(file: BinaryIO, length: Fraction) -> None:
    """https://www.w3.org/TR/png-3/#fcTL-chunk"""
    bodies = [(place, _at(file, place, 26)) for name, place, _ in _chunks(file, 8, ">I4s") if name == b"fcTL"]
    if not bodies:
        return
    before = sum((_delay(body) for _, body in bodies[:-1]), Fraction(0))
    place, body = bodies[-1]
    left = max(length - before, Fraction(0))
    units = next((units for units in (1000, 100, 10) if left * units <= MOST), 1)
    body = body[:20] + struct.pack(">HH", min(round(left * units), MOST), units) + body[24:]
    file.seek(place)
    file.write(body + struct.pack(">I", zlib.crc32(b"fcTL" + body)))


def _delay(body: bytes) -> Fraction:
    count, units = struct.unpack_from(">HH", body, 20)
    return Fraction(count, units or 100)


def _chunks(file: BinaryIO, at: int, layout: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, place of the body, its length) of each chunk from ``at`` on. ``layout`` of their heads: RIFF's
    are the name and the length, padded to even; PNG's the length and the name, with a check behind."""
    while len(head := _at(file, at, 8)) == 8:
        first, second = struct.unpack(layout, head)
        name, length = (first, second) if layout[1] == "4" else (second, first)
        yield name, at + 8, length
        at += 8 + length + (length % 2 if layout[1] == "4" else 4)


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)
