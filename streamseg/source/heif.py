"""What the boxes of a HEIC or AVIF say (ISO 23008-12): which picture or track is meant, which is its alpha, and how
often a sequence plays. FFmpeg gives all of them as streams, without telling which is which."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1", b"avif", b"avis", b"miaf")
LARGEST = 1 << 24  # bytes of the boxes that are read: meta and moov of thousands of pictures
ENDLESS = (1 << 32) - 1, (1 << 64) - 1  # a track's duration, in 32 or 64 bits
Box = tuple[bytes, bytes]  # its type and its content


@dataclass(slots=True)
class HeifContent:
    """primary   the item that is the picture, None for a sequence without
    alpha     item -> the item of its alpha; ``track_alpha``: track -> track
    tracks    the tracks that are pictures, not alpha or depth
    multiplied  items and tracks whose colours are multiplied by their alpha
    plays     how often a sequence plays, 0 for ever; None where it does not say
    """

    primary: int | None = None
    alpha: dict[int, int] = field(default_factory=dict)
    track_alpha: dict[int, int] = field(default_factory=dict)
    tracks: list[int] = field(default_factory=list)
    multiplied: bool = False
    plays: int | None = None


def content_of(path: Path) -> HeifContent | None:
    """What the file says; None if it is no HEIC or AVIF, or cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[4:8] != b"ftyp" or head[8:12] not in BRANDS:
                return None
            return _content(file, path.stat().st_size)
    except (OSError, ValueError, struct.error, IndexError):  # the last two: boxes that are not whole
        return None


def streams_of(container: Any, content: HeifContent) -> tuple[Any, Any]:
    """(the stream of the picture, that of its alpha); None where there is none."""
    items: dict[int, Any] = {}
    tracks: dict[int, Any] = {}
    for stream in container.streams.video:  # FFmpeg's of items count seconds and have no length
        (items if stream.time_base == 1 and stream.duration is None else tracks)[stream.id] = stream
    track = next((tracks[number] for number in content.tracks if number in tracks), None)
    if track is not None:
        return track, tracks.get(content.track_alpha.get(track.id, -1))
    if content.primary is None:
        return None, None
    return items.get(content.primary), items.get(content.alpha.get(content.primary, -1))


def is_heif(container: Any) -> bool:
    """Whether an open input is a HEIC or AVIF."""
    return "mp4" in container.format.name and container.metadata.get("major_brand", "").encode() in BRANDS


def picture_stream(container: Any) -> Any:
    """The stream of the picture in an open HEIC or AVIF; None where that is not known. Of one that is no file of its
    own (an address, a pipe) it is taken to be the first of those with most pictures: alpha comes behind it."""
    path = Path(str(container.name).removeprefix("file:"))
    content = content_of(path) if path.is_file() else None
    if content is not None:
        return streams_of(container, content)[0]
    streams = list(container.streams.video)
    return max(streams, key=lambda stream: int(stream.frames)) if streams else None


def _content(file: BinaryIO, size: int) -> HeifContent:
    found, at = HeifContent(), 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, name = struct.unpack(">I4s", head[:8])
        start = 8
        if length == 1:
            (length,), start = struct.unpack(">Q", head[8:16]), 16
        length = length or size - at
        if length < start:
            break
        if name in (b"meta", b"moov") and length <= LARGEST:
            file.seek(at + start)
            body = file.read(length - start)
            _items(body[4:], found) if name == b"meta" else _tracks(body, found)
        at += length
    return found


def _boxes(data: bytes) -> Iterator[Box]:
    """The boxes in ``data``, as far as they are whole."""
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        length = length or len(data) - at
        if length < 8 or at + length > len(data):
            return
        yield name, data[at + 8:at + length]
        at += length


def _inner(data: bytes, *names: bytes) -> bytes:
    """The content of the first box of each name within the one before; empty if there is none."""
    for wanted in names:
        data = next((body for name, body in _boxes(data) if name == wanted), b"")
    return data


def _items(meta: bytes, found: HeifContent) -> None:
    boxes = dict(_boxes(meta))
    primary = boxes.get(b"pitm", b"")
    if len(primary) >= 6:
        found.primary = int.from_bytes(primary[4:6] if primary[0] == 0 else primary[4:8], "big")
    alphas = _alpha_items(boxes.get(b"iprp", b""))
    references = boxes.get(b"iref", b"")
    wide = 4 if references[:1] == b"\x01" else 2
    for name, body in _boxes(references[4:]):
        numbers = [int.from_bytes(body[at:at + wide], "big") for at in (0, *range(wide + 2, len(body), wide))]
        if name == b"auxl" and numbers[0] in alphas:
            found.alpha.update(dict.fromkeys(numbers[1:], numbers[0]))
        found.multiplied |= name == b"prem" and found.primary in numbers


def _alpha_items(iprp: bytes) -> set[int]:
    """The items with a property that says they are alpha."""
    properties = [name == b"auxC" and body[4:].split(b"\0")[0] in ALPHA for name, body in _boxes(_inner(iprp, b"ipco"))]
    found: set[int] = set()
    for name, body in _boxes(iprp):
        if name == b"ipma":
            found |= {item for item, used in _associations(body)
                      if any(0 < number <= len(properties) and properties[number - 1] for number in used)}
    return found


def _associations(ipma: bytes) -> Iterator[tuple[int, list[int]]]:
    """Each item with the numbers of its properties, from 1."""
    version, wide = ipma[0], ipma[3] & 1
    (count,), at = struct.unpack_from(">I", ipma, 4), 8
    for _ in range(min(count, len(ipma))):
        size = 4 if version else 2
        item, number = int.from_bytes(ipma[at:at + size], "big"), ipma[at + size]
        at += size + 1
        step = 2 if wide else 1
        used = [int.from_bytes(ipma[at + place * step:at + (place + 1) * step], "big") & (0x7FFF if wide else 0x7F)
                for place in range(number)]
        at += number * step
        yield item, used


def _tracks(moov: bytes, found: HeifContent) -> None:
    for name, body in _boxes(moov):
        if name == b"trak":
            _track(body, found)


def _track(trak: bytes, found: HeifContent) -> None:
    head, kind = _inner(trak, b"tkhd"), _inner(trak, b"mdia", b"hdlr")[8:12]
    wide = head[0] == 1
    number = int.from_bytes(head[20:24] if wide else head[12:16], "big")
    references = dict(_boxes(_inner(trak, b"tref")))
    if kind == b"pict":
        found.tracks.append(number)
        if len(found.tracks) == 1:
            found.plays = _plays(int.from_bytes(head[28:36] if wide else head[20:24], "big"),
                                 _inner(trak, b"edts", b"elst"))
        found.multiplied |= b"prem" in references
    elif kind == b"auxv":
        entry = _inner(trak, b"mdia", b"minf", b"stbl", b"stsd")[8:]
        auxiliary = _inner(next(_boxes(entry), (b"", b""))[1][78:], b"auxi")
        if auxiliary[4:].split(b"\0")[0] in ALPHA:
            meant = references.get(b"auxl", b"")
            found.track_alpha.update((int.from_bytes(meant[at:at + 4], "big"), number)
                                     for at in range(0, len(meant) - 3, 4))


def _plays(duration: int, edits: bytes) -> int | None:
    """From the track's duration and its one edit, which may repeat (ISO 14496-12, 8.6.6: flag 1)."""
    if len(edits) < 12:
        return None
    if not edits[3] & 1:
        return 1
    segment = int.from_bytes(edits[8:16] if edits[0] == 1 else edits[8:12], "big")
    if duration in ENDLESS or not segment:
        return 0
    return max(1, -(-duration // segment))
