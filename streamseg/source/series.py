"""Pictures of one kind, one after another in one file or pipe: a film without a container.

Some JPEGs have a second one behind them that is no further picture of a film: the MPF format (CIPA DC-007: previews,
stereoscopic pairs) and Ultra HDR (a gain map). They name it in their head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

from ..errors import StreamsegError
from .deinterlace import Timed
from .integrity import following_jpeg
from .open import FAILURES

MJPEG = (".mjpeg", ".mjpg")  # films whatever the number of their pictures
ALBUMS = (b"MPF\0", b"//ns.google.com/photos/1.0/container/")
HEAD = 1 << 16  # bytes of a JPEG in which it says that others belong to it
MARK = 2  # bytes by which the files of one format begin: \x89P, BM, RI, P6


def film_format(path: Path, container: Any, first: bytes = b"") -> str | None:
    """FFmpeg's demuxer that reads all pictures of a picture file, None if there is one picture.

    ``container`` is the file, open; packets are taken from it. ``first``: the packet that was taken before.
    """
    name: str = container.format.name
    if not container.streams.video or container.streams.video[0].codec_context is None:  # no picture, or no decoder
        return None  # opening it as a picture reports that
    if container.streams.video[0].name == "mjpeg":
        return "mjpeg" if path.suffix.lower() in MJPEG or _is_film_of_jpegs(path) else None
    if not name.endswith("_pipe"):
        return None
    marks = [first[:MARK]] if first else []
    try:
        with closing(container.demux(0)) as packets:
            for packet in packets:
                marks += [bytes(memoryview(packet)[:MARK])] if packet.size else []
                if len(marks) == 2:
                    return name if marks[0] == marks[1] else None
    except FAILURES:  # reading the picture reports it
        pass
    return None


def series_of(pictures: Iterator[Timed], first: bytes) -> tuple[Iterator[Timed], bool]:
    """What follows the first picture, whose packet is ``first``, and whether that is nothing: one still picture."""
    if is_album(first):
        return iter(()), True
    try:
        second = next(pictures, None)
    except StreamsegError as error:  # the first picture was whole before it
        return map(_fail, [error]), False
    return (iter(()), True) if second is None else (chain([second], pictures), False)


def _fail(error: StreamsegError) -> Timed:
    raise error


def is_album(first: bytes) -> bool:
    """Whether the JPEG that begins with ``first`` says that what follows belongs to it."""
    return any(mark in first[:HEAD] for mark in ALBUMS)


def _is_film_of_jpegs(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not is_album(file.read(HEAD)) and following_jpeg(file)
    except OSError:
        return False
