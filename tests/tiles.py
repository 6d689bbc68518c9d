"""Writes pictures in tiles (ISO 23008-12, derived image item 'grid'), as phones write HEIC and cameras AVIF."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamseg.core.scheduling import scheduling_kept
from tests import clips

KINDS: dict[str, tuple[bytes, bytes, bytes, str, dict[str, str]]] = {  # brand, item, configuration, encoder
    ".heic": (b"heic", b"hvc1", b"hvcC", "libx265", {"crf": "12", "x265-params": "log-level=none:keyint=1"}),
    ".avif": (b"avif", b"av01", b"av1C", "libsvtav1", {"crf": "12", "preset": "10"})}


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + name + body


def full(name: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags), *parts)


@scheduling_kept()  # of SVT-AV1
def coded(rgb: clips.Array, suffix: str) -> tuple[bytes, bytes]:
    """(the codec's configuration box, the coded picture) of one tile."""
    _, _, configuration, encoder, options = KINDS[suffix]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        track: Any = out.add_stream(encoder, rate=1, options=options)
        track.width, track.height, track.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
        frame = av.VideoFrame.from_ndarray(rgb, "rgb24")
        frame.pts, frame.time_base = 0, Fraction(1)
        packets = [*track.encode(frame), *track.encode(None)]
        out.mux(packets)
    data = file.getvalue()
    at = data.index(configuration) - 4
    length = struct.unpack_from(">I", data, at)[0]
    begin = data.index(b"mdat") + 4
    return data[at:at + length], data[begin:begin + struct.unpack_from(">I", data, begin - 8)[0] - 8]


def tiled(path: Path, rgb: clips.Array, rows: int, columns: int, *, turn: int = 0, thumbnail: bool = False) -> Path:
    """``rgb`` in ``rows`` x ``columns`` tiles of one size.

    ``turn``: quarter turns counter-clockwise that a reader is told to make ('irot'); ``thumbnail``: a small copy
    beside it that is one picture of its own ('thmb'), as telephones write.
    """
    brand, kind, _, _, _ = KINDS[path.suffix]
    height, width = rgb.shape[0] // rows, rgb.shape[1] // columns
    tiles = [coded(np.ascontiguousarray(rgb[y * height:(y + 1) * height, x * width:(x + 1) * width]), path.suffix)
             for y in range(rows) for x in range(columns)]
    count = len(tiles)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, rgb.shape[1], rgb.shape[0])
    small = coded(np.ascontiguousarray(rgb[::4, ::4]), path.suffix) if thumbnail else None
    contents = [grid, *(data for _, data in tiles)] + ([small[1]] if small else [])
    items = b"".join(full(b"infe", struct.pack(">HH", number, 0), b"grid" if number == 1 else kind, b"\0",
                          version=2, flags=int(1 < number <= count + 1)) for number in range(1, len(contents) + 1))
    properties = [full(b"ispe", struct.pack(">II", rgb.shape[1], rgb.shape[0])),
                  full(b"ispe", struct.pack(">II", width, height)), tiles[0][0], box(b"irot", bytes([turn]))]
    owned = [(1, (1, 0x84) if turn else (1,)), *((number, (2, 0x83)) for number in range(2, count + 2))]
    references = [box(b"dimg", struct.pack(f">HH{count}H", 1, count, *range(2, count + 2)))]
    if small:
        properties += [full(b"ispe", struct.pack(">II", *(-(-side // 4) for side in rgb.shape[1::-1]))), small[0]]
        owned.append((count + 2, (5, 0x86)))
        references.append(box(b"thmb", struct.pack(">HHH", count + 2, 1, 1)))
    owners = struct.pack(">I", len(owned)) + b"".join(
        struct.pack(f">HB{len(which)}B", number, len(which), *which) for number, which in owned)
    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)

    def meta(first: int) -> bytes:
        """With the place of the first byte of the items' data."""
        places, at = b"", first
        for number, data in enumerate(contents, 1):
            places += struct.pack(">HHHII", number, 0, 1, at, len(data))
            at += len(data)
        return full(b"meta", full(b"hdlr", bytes(4), b"pict", bytes(13)), full(b"pitm", struct.pack(">H", 1)),
                    full(b"iloc", b"\x44\0", struct.pack(">H", len(contents)), places),
                    full(b"iinf", struct.pack(">H", len(contents)), items), full(b"iref", *references),
                    box(b"iprp", box(b"ipco", *properties), full(b"ipma", owners)))

    begin = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(begin) + box(b"mdat", *contents))
    return path
