"""Reads back what was written: a file gets its name only if it holds what was written to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ..core.frames import VideoInfo
from ..core.matrices import kept
from ..errors import SinkError
from .containers import EncoderInput

# Tags of the input file, not of its content, and what is said elsewhere
UNSAID = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "creation_time", "timecode",
          "language")


@dataclass(frozen=True, slots=True)
class Written:
    """The expected content of the file. ``span``: seconds from the first frame's time to the last's.
    ``transparent``: some pixel of the first frame was not opaque."""

    frames: int
    width: int
    height: int
    span: Fraction
    alpha: bool
    transparent: bool


def verify(path: Path, format: str, written: Written, shown: object, stopping: Callable[[], bool] = lambda: False
           ) -> None:
    """Raise SinkError unless the file at ``path`` opens and holds what ``written`` says, or once ``stopping`` says
    that nobody waits for it any more."""
    try:
        if format == "webp":
            _verify_webp(path, written, shown)
            return
        if format == "apng" and written.frames == 1:  # an APNG of one picture is a PNG
            format = "png_pipe"
        with av.open(str(path), format=format) as container:
            _verify(container, written, shown, stopping)
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        if isinstance(error, SinkError):
            raise
        raise SinkError(f"{shown}: what was written does not read back ({error}); the disk may be "
                        "failing or full; the old file, if any, is untouched") from error


def lost_tags(path: Path, format: str, info: VideoInfo) -> list[str]:
    """A note on those of the film's tags and of its picture's labels that the file does not hold."""
    if format in ("gif", "apng", "webp"):
        return []
    lost: list[str] = []
    with contextlib.suppress(av.error.FFmpegError, OSError, ValueError), av.open(str(path), format=format) as container:
        held = {key.lower() for key in container.metadata}
        lost = [key for key in info.metadata if key.lower() not in held and key.lower() not in UNSAID]
        held = {key.lower() for key in container.streams.video[0].metadata}
        lost += [f"{key} of the picture" for key in info.labels if key.lower() not in held]
    return [f"tags that the container does not hold are left out: {', '.join(lost)}"] if lost else []


def _verify(container: av.container.InputContainer, written: Written, shown: object,
            stopping: Callable[[], bool]) -> None:
    stream = container.streams.video[0]
    if container.format.name != "apng":
        _compare("size", (stream.width, stream.height), (written.width, written.height), shown)
    first, times, count = None, [], 0
    for packet in container.demux(stream):
        if stopping():
            raise SinkError(f"{shown}: the run was ended while the file was read back")
        if not packet.size:
            continue
        first = first or packet
        count += 1
        if packet.pts is not None and packet.time_base:
            times.append(packet.pts * packet.time_base)
    _compare("frames", count, written.frames, shown)
    if times:
        span = max(times) - min(times)
        if abs(span - written.span) > max(Fraction(1, 50), 2 * Fraction(stream.time_base or 0)):
            _compare("seconds between first and last frame", float(span), float(written.span), shown)
    if written.alpha and first is not None:
        _verify_alpha(stream, first, written, shown)


def _verify_alpha(stream: av.VideoStream, packet: av.Packet, written: Written, shown: object) -> None:
    """Decode the first frame: it has an alpha channel, and it is not opaque where it was not."""
    context = stream.codec_context
    if context.name == "vp9":  # FFmpeg's own VP9 decoder ignores the alpha layer; libvpx's reads it.
        context = av.CodecContext.create("libvpx-vp9", "r")
        context.extradata, context.width, context.height = stream.codec_context.extradata, stream.width, stream.height
    pictures = [*context.decode(packet), *context.decode(None)]
    if not pictures:
        raise SinkError(f"{shown}: the first frame does not decode")
    picture = pictures[0]
    if picture.format.name == "pal8":
        picture = picture.reformat(format="bgra", threads=1)
    if not EncoderInput.of(picture.format.name).alpha:
        raise SinkError(f"{shown}: transparency was lost in writing, the file has {picture.format.name}")
    if written.transparent and not _has_transparency(picture):
        raise SinkError(f"{shown}: the file's alpha channel is opaque, and what was written is not")


def _has_transparency(picture: av.VideoFrame) -> bool:
    layout = EncoderInput.of(picture.format.name)
    target = "rgba64le" if layout.depth > 8 else "rgba"
    packed: Any = picture.reformat(format=target, threads=1, **kept(int(picture.colorspace))).planes[0]
    samples = np.frombuffer(packed, np.uint16 if layout.depth > 8 else np.uint8)
    row = packed.line_size // samples.itemsize
    alpha = samples.reshape(-1, row)[:, 3:4 * picture.width:4]
    return bool(alpha.min() < (0xFC00 if layout.depth > 8 else 0xFC))


def _compare(what: str, found: object, expected: object, shown: object) -> None:
    if found != expected:
        raise SinkError(f"{shown}: reading back gave {found} ({what}), written were {expected}; the file is "
                        "thrown away; the disk may be failing or full, or another program wrote to it")


def _verify_webp(path: Path, written: Written, shown: object) -> None:
    """FFmpeg writes animated WebP and cannot read it: the lengths of its frames are added up here.

    libwebp makes one longer frame of equal ones, and a still picture where all are equal.
    """
    lengths = [int.from_bytes(head[12:15], "little") for name, head in riff_chunks(path) if name == b"ANMF"]
    if not lengths:
        return
    expected = float(written.span * 1000)
    if len(lengths) > written.frames or sum(lengths) < expected - 20 or sum(lengths[:-1]) > expected + 20:
        _compare("milliseconds", sum(lengths), round(expected), shown)


def riff_chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(name, first 16 bytes) of each chunk of a RIFF file such as WebP, in order.

    Raises ValueError if it is none or cut.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] != b"RIFF" or int.from_bytes(head[4:8], "little") + 8 > size:
            raise ValueError("not a whole RIFF file")
        while len(chunk := stream.read(8)) == 8:
            length = int.from_bytes(chunk[4:], "little")
            begins = stream.tell()
            yield chunk[:4], stream.read(16)
            stream.seek(begins + length + length % 2)
