"""Container formats by file extension, with their codecs and pixel formats.

Codec and pixel format follow the extension and the frame's format: ``closest`` takes, of the formats
an encoder accepts, the one that loses least (depth, chroma, alpha), and of those the smallest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath

import av

from ..core.frames import VideoInfo
from ..core.pixel_formats import FORMATS
from ..errors import OptionError


@dataclass(frozen=True, slots=True)
class ContainerFormat:
    """A file format: FFmpeg's muxer and what goes into it by default.

    ``alpha``: the encoder for pictures with transparency, None if it cannot hold any. ``matte``: the
    encoder for mattes. ``audio`` and ``text``: what tracks are turned into when the container cannot
    hold theirs; None: it holds no such tracks at all. ``timed``: it stores a time with each frame.
    """

    muxer: str
    codec: str
    alpha: str | None = None
    matte: str | None = None
    audio: str | None = None
    text: str | None = None
    timed: bool = True


CONTAINERS: dict[str, ContainerFormat] = {
    ".mp4": ContainerFormat("mp4", "libx264", None, "libx264", "aac", "mov_text"),
    ".m4v": ContainerFormat("mp4", "libx264", None, "libx264", "aac", "mov_text"),
    ".mov": ContainerFormat("mov", "libx264", "prores_ks", "libx264", "aac", "mov_text"),
    ".mkv": ContainerFormat("matroska", "libx264", "ffv1", "ffv1", "aac", "subrip"),
    ".webm": ContainerFormat("webm", "libvpx-vp9", "libvpx-vp9", "libvpx-vp9", "libopus", "webvtt"),
    ".avi": ContainerFormat("avi", "libx264", None, "ffv1", "libmp3lame", None, timed=False),
    ".ts": ContainerFormat("mpegts", "libx264", None, "libx264", "aac", None),
    ".nut": ContainerFormat("nut", "libx264", "ffv1", "ffv1", "aac", None),
    ".gif": ContainerFormat("gif", "gif", "gif", "gif"),
    ".apng": ContainerFormat("apng", "apng", "apng", "apng"),
    ".webp": ContainerFormat("webp", "libwebp_anim", "libwebp_anim", "libwebp_anim"),
}
Y4M = ContainerFormat("yuv4mpegpipe", "wrapped_avframe", None, "wrapped_avframe", timed=False)
NUT_RAW = ContainerFormat("nut", "rawvideo", "rawvideo", "rawvideo", "aac", None)
# Standard output for what NUT takes and does not keep: VP9's alpha
PIPED = ContainerFormat("matroska", "libx264", "ffv1", "ffv1", "aac", "subrip")
# Tracks that MPEG-TS has a type for (FFmpeg's mpegtsenc.c), by the codec's own name.
MPEGTS = ("mp1", "mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m",
          "dvb_subtitle", "dvb_teletext", "klv", "timed_id3")
_PQ, _HLG = 16, 18  # AVColorTransferCharacteristic
# Muxers that write chapters, and those with square pixels (of GIF and APNG only FFmpeg reads another aspect)
CHAPTERS = ("mp4", "mov", "matroska", "webm", "nut")
SQUARE = ("gif", "apng", "webp")
# Codecs (canonical names) that say themselves how wide a pixel is. With others only MP4 and QuickTime say it: for the
# other muxers it is a field of the stream that PyAV 18 does not set.
ASPECT = ("h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg")
# Sound that keeps its times in AVI, which counts blocks: FLAC, E-AC-3 and Vorbis are read back too short
AVI = ("mp2", "mp3", "aac", "ac3", "pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le",
       "pcm_alaw", "pcm_mulaw")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tiff", ".tif", ".bmp", ".exr")
ALPHA_PICTURES = (".png", ".webp", ".tiff", ".tif", ".exr")
# Codecs for delivery: players show them in 4:2:0, and rarely in RGB, in 4:4:4 or in grey.
DELIVERY = ("h264", "hevc", "vp9", "vp8", "av1", "mpeg4")
# Encoders that take any size with subsampled chroma; H.264 in 4:2:0 can only crop by twos.
ODD_SIZES = ("libvpx-vp9", "libvpx", "ffv1", "prores_ks", "rawvideo", "wrapped_avframe", "libaom-av1")
PATTERN = re.compile(r"%(?:0\d)?d")  # not %20d, which in a URL is a blank and a d, as in 'my%20dog.png'


def extension(target: str) -> str:
    """Lower-case extension with its dot, '' if there is none."""
    return PurePath(target).suffix.lower()


def numbered(target: str) -> bool:
    """Whether ``target`` names a picture for each frame, as frame_%05d.png. Raises OptionError for two."""
    name = PurePath(target).name
    count = len(PATTERN.findall(name)) if extension(target) in PICTURES else 0
    if count > 1:
        raise OptionError(f"output {target!r} has {count} numbers; pictures are numbered by one, %d or %05d: "
                          "leave the others out")
    return count == 1


def container_of(target: str) -> ContainerFormat:
    """The container of a video file's name. Raises OptionError that lists those there are."""
    found = CONTAINERS.get(extension(target))
    if found is None:
        named = f"has the extension {extension(target)!r}" if extension(target) else "has no extension"
        raise OptionError(f"output {target!r} {named}, which says no format; videos: "
                          f"{' '.join(CONTAINERS)}; pictures: {' '.join(PICTURES)}; a folder ends with /; "
                          "- is standard output, null: writes nothing")
    return found


def for_film(container_format: ContainerFormat, info: VideoInfo) -> ContainerFormat:
    """The container with the encoder for films such as ``info``: H.265 for HDR of 10 bits and more, because players
    and editors take none as H.264."""
    hdr = info.colour.transfer in (_PQ, _HLG) and FORMATS[info.format].depth > 8
    if not hdr or container_format.codec != "libx264" or container_format.muxer == "avi":  # AVI holds no H.265
        return container_format
    return replace(container_format, codec="libx265")


def no_alpha(target: str) -> OptionError:
    """The error for an output that cannot hold transparency; it lists those that can."""
    return OptionError(f"{target}: {extension(target)} cannot hold transparency; use .mov (ProRes 4444), "
                       ".webm (VP9), .mkv (FFV1), .apng, .webp, .gif, pictures (frame_%05d.png or a "
                       "folder/), or give a background other than none")


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """What an FFmpeg pixel format can hold. ``sx``, ``sy``: luma pixels a chroma sample spans."""

    name: str
    depth: int
    sx: int
    sy: int
    rgb: bool
    grey: bool
    alpha: bool

    @classmethod
    def of(cls, name: str) -> EncoderInput:
        item = av.VideoFormat(name, 16, 16)
        parts = item.components
        alpha = any(part.is_alpha for part in parts)
        grey = len(parts) - alpha == 1
        chroma = not grey and not item.is_rgb
        return cls(name, parts[0].bits, 16 // item.chroma_width() if chroma else 1,
                   16 // item.chroma_height() if chroma else 1, item.is_rgb, grey, alpha)


def usable(name: str) -> bool:
    """Whether pictures are written in FFmpeg's format ``name``: none with a palette, below 8 bits, of floats or in
    hardware, and none that is another under a second name."""
    item = av.VideoFormat(name, 16, 16)
    whole = len(item.components) > 0 and not item.has_palette and not item.is_bit_stream
    return whole and not re.match(r"yuvj|.*(f16|f32|msb)|gray9|nv20|xyz|rgb8|bgr8|rgb4|bgr4|.*5[56]5", name)


def closest(source: EncoderInput, supported: Iterable[str]) -> str | None:
    """The format of ``supported`` that loses least of ``source``, and of those the smallest.

    Formats with a palette, below 8 bits, in hardware or of floats are left out; None if none is left.
    """
    best: tuple[tuple[int, ...], str] | None = None
    for position, name in enumerate(supported):
        if not usable(name):
            continue
        item = av.VideoFormat(name, 16, 16)
        to = EncoderInput.of(name)
        lost = (source.alpha and not to.alpha, to.grey and not source.grey, max(source.depth - to.depth, 0),
                max(to.sx * to.sy - source.sx * source.sy, 0) if not source.grey else 0,
                source.rgb != to.rgb and not source.grey)
        waste = (source.grey and not to.grey, to.depth - source.depth, to.rgb and source.grey,
                source.sx * source.sy - to.sx * to.sy, to.alpha and not source.alpha, not item.is_planar,
                position)
        rank = tuple(int(part) for part in (*lost, *waste))
        if best is None or rank < best[0]:
            best = (rank, name)
    return best[1] if best else None
