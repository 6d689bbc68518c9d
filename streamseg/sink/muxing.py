"""Options of FFmpeg's muxers, and standard output as a file."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..core.frames import VideoInfo
from ..options import OutputOptions
from .containers import ContainerFormat

# FFmpeg takes a file of fewer than ten packets (of 204 bytes at most) for MPEG-TS by its name alone
_PACKET, _LEAST = 188, 12
_NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * (_PACKET - 4)  # ISO/IEC 13818-1, 2.4.3.3: PID 0x1fff, to be skipped
APPLE = "com.apple.quicktime."


class OutputPipe:
    """Standard output as a file that cannot seek: a shell's redirection to a file could."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        return int(self._stream.write(data))


def marks_options(container_format: ContainerFormat, info: VideoInfo, given: Mapping[str, str]) -> dict[str, str]:
    """What MP4 and MOV must be told beside the ``given`` options to hold the marks of ``info``: com.apple.quicktime
    tags (QuickTime's metadata, instead of iTunes') and the boxes of 3D and VR, which no standard has."""
    if container_format.muxer not in ("mp4", "mov"):
        return {}
    made = {}
    if any(key.startswith(APPLE) for key in info.metadata):
        made["movflags"] = given.get("movflags", "") + "+use_metadata_tags"
    if info.spatial is not None and container_format.muxer == "mp4":
        made["strict"] = "unofficial"
    return made


def muxer_options(container_format: ContainerFormat, options: OutputOptions, start: Fraction,
                  plays: int | None = None) -> dict[str, str]:
    """The muxer's options for a video whose first frame is at ``start`` seconds. ``plays``: see VideoInfo; an
    animation plays for ever where the input does not say."""
    if container_format.muxer in ("mp4", "mov"):
        # A partial file plays only if its index is written along the way; hybrid makes an ordinary file of
        # it at the end. The delayed header knows the B-frames' delay, without it all times would shift.
        return {"movflags": "+hybrid_fragmented+delay_moov" if options.keep_partial else "+faststart"}
    if container_format.muxer in ("matroska", "webm") and start >= 0:
        # sound begins a little before zero (AAC's and Opus's priming); FFmpeg would move all tracks by it.
        # Pictures before zero do need that: Matroska cannot place them.
        return {"avoid_negative_ts": "disabled"}
    if container_format.muxer == "avi":  # the same priming would hold the first picture for two
        return {"avoid_negative_ts": "disabled"}
    if container_format.muxer == "apng":
        return {"plays": str(plays or 0)}
    if container_format.muxer == "gif":  # GIF counts repetitions; -1: it has none
        return {"loop": "0" if not plays else "-1" if plays == 1 else str(plays - 1)}
    return {"loop": str(plays or 0)} if container_format.muxer == "webp" else {}


def pad_short_stream(path: Path, container_format: ContainerFormat) -> None:
    """Lengthen an MPEG-TS of very few packets by null packets, so that readers know it from its content."""
    missing = _LEAST - path.stat().st_size // _PACKET
    if container_format.muxer == "mpegts" and missing > 0:
        with path.open("ab") as file:
            file.write(_NULL_PACKET * missing)
