"""Writes the clips that the tests need, each with its truth: what is in it is computed, not looked up.

The picture is an object before a plain background: a textured, person-like shape (head and body) that
sways; ``truth(index, size)`` is its mask. A row of black and white blocks along the top carries the
frame's index in a form that lossy codecs leave readable: ``read_index(rgb)``. Everything is written by
PyAV; ``ffprobe`` asks the program of that name, the tests' oracle. Pictures: stills.py; damage: damage.py.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from streamseg.core.pixel_formats import FORMATS
from streamseg.core.scheduling import scheduling_kept

Array = npt.NDArray[Any]
SIZE = (160, 120)
RATE = Fraction(25)
BACKGROUND = (196, 204, 214)
BLOCKS = 16
BITS = 8
CODECS = {".mp4": "libx264", ".mkv": "libx264", ".mov": "libx264", ".webm": "libvpx-vp9", ".avi": "mpeg4",
          ".nut": "ffv1", ".y4m": "wrapped_avframe", ".ts": "libx264", ".flv": "libx264",
          ".mpg": "mpeg2video", ".apng": "apng", ".h264": "libx264"}
AUDIO = {".mp3": "libmp3lame", ".webm": "libopus", ".avi": "mp2", ".mpg": "mp2"}
FAST = {"libx264": {"preset": "ultrafast"},
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8"}, "libsvtav1": {"preset": "12"}}


# --- what is in the picture -------------------------------------------------------------------

def truth(index: int, size: tuple[int, int] = SIZE) -> npt.NDArray[np.bool_]:
    """bool (h, w): where the object is in frame ``index`` of a clip of ``size`` (width, height)."""
    width, height = size
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    centre = 0.5 + 0.12 * math.sin(0.35 * index)
    head = ((x - centre) / 0.09) ** 2 + ((y - 0.38) / 0.13) ** 2 <= 1
    body = ((x - centre) / 0.19) ** 2 + ((y - 0.70) / 0.24) ** 2 <= 1
    return head | body


def picture(index: int, size: tuple[int, int] = SIZE, *, code: bool = True,
            background: tuple[int, int, int] = BACKGROUND) -> npt.NDArray[np.uint8]:
    """uint8 (h, w, 3) RGB of frame ``index``; ``code=False`` leaves the row of blocks out."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:] = background
    shift = round(width * 0.12 * math.sin(0.35 * index))
    cloth = (((x - shift) * 12 // width + y * 12 // height) % 2).astype(bool)
    mask = truth(index, size)
    rgb[mask & cloth] = (150, 44, 40)
    rgb[mask & ~cloth] = (92, 34, 60)
    return write_index(rgb, index) if code else rgb


def write_index(rgb: Array, index: int) -> Array:
    """Paint ``index`` (0..255) along the top of an array (h, w[, 3]) in place: white, black, 8 bits, and
    their parity."""
    bits = [1, 0, *(index >> bit & 1 for bit in range(BITS)), index.bit_count() & 1, 0]
    peak = np.iinfo(rgb.dtype).max
    edges = np.linspace(0, rgb.shape[1], BLOCKS + 1).round().astype(int)
    for number, bit in enumerate(bits):
        rgb[:block_rows(rgb), edges[number]:edges[number + 1]] = peak * bit
    return rgb


def block_rows(rgb: Array) -> int:
    """Height of the index code, in rows."""
    return max(4, rgb.shape[0] // 12)


def read_index(rgb: Array) -> int:
    """The index painted along the top of an array (h, w[, 3]). Raises ValueError where there is none."""
    grey = rgb.astype(np.float64)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    edges = np.linspace(0, grey.shape[1], BLOCKS + 1).round().astype(int)
    levels = []
    for left, right in itertools.pairwise(edges):
        margin = (right - left) // 4
        levels.append(grey[1:block_rows(rgb) - 1, left + margin:right - margin].mean())
    middle = (levels[0] + levels[1]) / 2
    bits = [int(level > middle) for level in levels]
    index = sum(bit << place for place, bit in enumerate(bits[2:2 + BITS]))
    if levels[0] - levels[1] < 0.25 * np.iinfo(rgb.dtype).max or bits[2 + BITS] != index.bit_count() & 1:
        raise ValueError(f"no index code along the top: {np.round(levels[:12])}")
    return index


def iou(mask: Array, wanted: Array) -> float:
    """Intersection over union of two bool arrays."""
    return float((mask & wanted).sum() / max(1, (mask | wanted).sum()))


def noise(format: str, size: tuple[int, int] = SIZE, seed: int = 0) -> av.VideoFrame:
    """A picture of random samples in any planar or packed format PyAV can hold: for lossless checks.

    Samples keep within the format's depth; ``samples`` reads them back.
    """
    frame = av.VideoFrame(*size, format)
    rng = np.random.default_rng(seed)
    depth = max(part.bits for part in frame.format.components)
    for plane in frame.planes:
        if depth > 8 and plane.line_size % 2 == 0:
            count = plane.buffer_size // 2
            values = rng.integers(0, 1 << depth, count, dtype=np.uint16)
            if format.startswith(("p010", "p012", "p210", "p410")):
                values <<= 16 - depth
            plane.update(values.astype(np.dtype("<u2" if not format.endswith("be") else ">u2")).tobytes())
        else:
            plane.update(rng.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
    return frame


def samples(frame: av.VideoFrame, working: str | None = None) -> list[Array]:
    """Copies of a frame's planes as (rows, columns) arrays, for the working formats; ``working``: of the
    colour planes of one with alpha."""
    pixel = FORMATS[working or frame.format.name]
    found = []
    for number in range(pixel.planes):
        plane = frame.planes[number]
        rows, columns = pixel.shape(number, frame.width, frame.height)
        values = np.frombuffer(plane, pixel.dtype)[:rows * (plane.line_size // pixel.dtype.itemsize)]
        found.append(values.reshape(rows, -1)[:, :columns].copy())
    return found


# --- video files ------------------------------------------------------------------------------

def video(path: str | Path, *, size: tuple[int, int] = SIZE, frames: int = 12, rate: Fraction = RATE,
          codec: str | None = None, pix_fmt: str = "yuv420p", options: Mapping[str, str] | None = None,
          content: Callable[[int], Array | av.VideoFrame] | None = None, code: bool = True,
          audio: bool | Sequence[str] = False, subtitles: bool | Sequence[str] = False,
          chapters: bool = False, metadata: Mapping[str, str] | None = None,
          pts: Sequence[int] | None = None, time_base: Fraction | None = None,
          start_offset: float = 0.0, rotation: int = 0, hflip: bool = False, vflip: bool = False,
          sar: Fraction | None = None, colour: Mapping[str, int] | None = None,
          interlaced: bool = False, alpha: bool = False, format: str | None = None,
          gop: int = 12, b_frames: int | None = None) -> Path:
    """Write a clip and return its path. The extension gives the container (or ``format``) and the codec.

    content        frame index -> uint8/uint16 RGB or RGBA array, or av.VideoFrame; default: ``picture``
    audio          True: one AAC (Opus, ...) tone; a sequence of languages: a track each, at 440, 880, ... Hz
    subtitles      the same for text subtitles, one cue a second
    pts            presentation times in ``time_base`` (default 1/1000) units: a variable rate
    start_offset   seconds added to every track
    rotation       display matrix, degrees counter-clockwise as FFmpeg counts: 90, 180, 270
    colour         of matrix, range, primaries, transfer: FFmpeg's integers
    alpha          the truth as alpha; ``pix_fmt`` must hold it (yuva420p, yuva444p10le, rgba, ...)
    """
    path = Path(path)
    codec = codec or CODECS[path.suffix]
    base = time_base or (Fraction(1, 1000) if pts is not None else 1 / rate)
    times = list(pts) if pts is not None else list(range(frames))
    shift = round(start_offset / base)
    length = float(max(times) * base) + float(1 / rate)
    with av.open(str(path), "w", format=format) as out:
        out.metadata.update(metadata or {})
        if chapters:
            out.set_chapters(_chapters(length))
        picture_track = _video_track(out, codec, rate, size, pix_fmt, base, gop, b_frames, interlaced, colour,
                                     {**FAST.get(codec, {}), **(options or {})}, sar)
        if rotation or hflip or vflip:
            picture_track.set_display_rotation(rotation, hflip, vflip)
        sounds = [_audio_track(out, path.suffix, language) for language in _languages(audio)]
        titles = [_subtitle_track(out, path.suffix, language) for language in _languages(subtitles)]
        make = content or (lambda index: picture(index, size, code=code))
        shown = (times, make, size, pix_fmt, alpha, colour or {})
        packets = [*_video_packets(picture_track, base, shift, shown),
                   *(packet for number, track in enumerate(sounds)
                     for packet in _audio_packets(track, length, start_offset, 440 * (number + 1))),
                   *(packet for track in titles
                     for packet in _subtitle_packets(track, path.suffix, length, start_offset))]
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            out.mux(packet)
    return path


def _languages(wanted: bool | Sequence[str]) -> list[str]:
    return list(wanted) if not isinstance(wanted, bool) else ["eng"] * wanted


def _video_track(out: Any, codec: str, rate: Fraction, size: tuple[int, int], pix_fmt: str, base: Fraction,
                 gop: int, b_frames: int | None, interlaced: bool, colour: Mapping[str, int] | None,
                 options: dict[str, str], sar: Fraction | None) -> Any:
    if interlaced and codec == "libx264":
        options = {**options, "x264-params": "tff=1"}
    track = out.add_stream(codec, rate=rate, options=options)
    track.width, track.height = size
    track.pix_fmt = pix_fmt
    track.codec_context.time_base = base
    track.time_base = base
    track.gop_size = gop
    if b_frames is not None:
        track.max_b_frames = b_frames
    if sar is not None:
        track.codec_context.sample_aspect_ratio = sar
    names = {"matrix": "colorspace", "range": "color_range", "primaries": "color_primaries",
             "transfer": "color_trc"}
    for key, value in (colour or {}).items():
        setattr(track.codec_context, names[key], value)
    return track


@scheduling_kept()  # of SVT-AV1
def _video_packets(track: Any, base: Fraction, shift: int, shown: tuple[Any, ...]) -> list[Any]:
    times, make, size, pix_fmt, alpha, colour = shown
    packets = []
    for index, time in enumerate(times):
        frame = as_frame(make(index), size, pix_fmt, truth(index, size) if alpha else None, colour)
        frame.pts, frame.time_base = time + shift, base
        packets += track.encode(frame)
    packets += track.encode(None)
    for packet in packets:  # some encoders leave dts out
        packet.dts = packet.pts if packet.dts is None else packet.dts
    return packets


def as_frame(made: Array | av.VideoFrame, size: tuple[int, int], pix_fmt: str, mask: Array | None = None,
             colour: Mapping[str, int] | None = None) -> av.VideoFrame:
    """An array (RGB, RGBA; 8 or 16 bits) as a frame of ``pix_fmt`` with the colour tags' matrix."""
    if isinstance(made, av.VideoFrame):
        return made
    deep = made.dtype == np.uint16
    if mask is not None:
        peak = np.iinfo(made.dtype).max
        made = np.dstack([made, np.where(mask, peak, 0).astype(made.dtype)])
    layout = ("rgba64le" if deep else "rgba") if made.shape[2] == 4 else ("rgb48le" if deep else "rgb24")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(made), layout)
    if frame.format.name == pix_fmt:
        return frame
    tags = colour or {}
    spaces = {1: "ITU709", 5: "ITU601", 6: "SMPTE170M", 9: "BT2020"}
    return frame.reformat(width=size[0], height=size[1], format=pix_fmt,
                          dst_colorspace=spaces.get(tags.get("matrix", 2), "ITU601"),
                          src_color_range=2, dst_color_range=tags.get("range", 1))


def _audio_track(out: Any, suffix: str, language: str) -> Any:
    track = out.add_stream(AUDIO.get(suffix, "aac"), rate=48000, layout="mono")
    track.metadata["language"] = language
    return track


def _audio_packets(track: Any, length: float, offset: float, pitch: int) -> list[Any]:
    context, packets = track.codec_context, []
    context.open(strict=False)
    step = context.frame_size or 1024
    wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(length * 48000)) / 48000)
    for start in range(0, len(wave), step):
        part = np.zeros(step)
        part[:len(wave[start:start + step])] = wave[start:start + step]
        planar = context.format.name
        scale, kind = {"s16": (32767, np.int16), "s32": (2**31 - 1, np.int32)}.get(planar.rstrip("p"),
                                                                                    (1, np.float32))
        values = (part * scale).astype(kind)
        frame = av.AudioFrame.from_ndarray(values[None], format=planar, layout="mono")
        frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
        frame.pts = start + round(offset * 48000)
        packets += track.encode(frame)
    return packets + track.encode(None)


def _subtitle_track(out: Any, suffix: str, language: str) -> Any:
    codec = {".mp4": "mov_text", ".mov": "mov_text", ".webm": "webvtt"}.get(suffix, "subrip")
    track = out.add_mux_stream(codec)
    track.time_base = Fraction(1, 1000)
    track.metadata["language"] = language
    return track


def _subtitle_packets(track: Any, suffix: str, length: float, offset: float) -> list[Any]:
    packets = []
    for second in range(max(1, math.ceil(length))):
        text = f"Second {second}".encode()
        packet = av.Packet(struct.pack(">H", len(text)) + text if suffix in (".mp4", ".mov") else text)
        packet.stream, packet.time_base = track, Fraction(1, 1000)
        packet.pts = packet.dts = 1000 * second + round(1000 * offset)
        packet.duration = 900
        packets.append(packet)
    return packets


def _chapters(length: float) -> list[dict[str, Any]]:
    half, end = round(500 * length), round(1000 * length)
    return [{"id": number, "start": start, "end": stop, "time_base": Fraction(1, 1000),
             "metadata": {"title": title}}
            for number, start, stop, title in ((1, 0, half, "One"), (2, half, end, "Two"))]


def sound_only(path: str | Path, *, cover: bool = False) -> Path:
    """An audio file; with ``cover`` it has a picture attached (Matroska, MP3 style cover art)."""
    path = Path(path)
    with av.open(str(path), "w") as out:
        track = _audio_track(out, path.suffix, "eng")
        if cover:
            image = out.add_stream("mjpeg", rate=1)
            image.width, image.height, image.pix_fmt = *SIZE, "yuvj420p"
            image.disposition = 0x400  # attached_pic
            shown = as_frame(picture(0), SIZE, "yuvj420p", None, {"range": 2})
            shown.pts, shown.time_base = 0, Fraction(1)
            for packet in [*image.encode(shown), *image.encode(None)]:
                packet.dts = packet.pts = 0
                out.mux(packet)
        for packet in _audio_packets(track, 0.5, 0.0, 440):
            out.mux(packet)
    return path


def resolution_change(path: str | Path, sizes: Sequence[tuple[int, int]] = ((160, 120), (320, 240)),
                      frames: int = 6) -> Path:
    """An MPEG transport stream whose picture changes its size in mid-stream; ``frames`` of each size."""
    path, parts, at = Path(path), [], 0
    for size in sizes:
        part = path.with_name(f"{path.stem}_part{at}.h264")
        video(part, size=size, frames=frames, codec="libx264", format="h264", b_frames=0,
              content=lambda index, size=size, at=at: picture(at + index, size))
        parts.append(part.read_bytes())
        part.unlink()
        at += frames
    path.write_bytes(b"".join(parts))
    return path


# --- the oracle -------------------------------------------------------------------------------

def ffprobe(path: str | Path, *arguments: str) -> dict[str, Any]:
    """What the ffprobe program says of a file, an oracle that shares no code with PyAV's FFmpeg.

    By default streams with counted frames, format and chapters. Skips the test where it is not installed.
    """
    program = shutil.which("ffprobe")
    if program is None:
        pytest.skip("the ffprobe program, this test's oracle, is not installed")
    wanted = arguments or ("-count_frames", "-show_streams", "-show_format", "-show_chapters")
    done = subprocess.run([program, "-v", "error", "-of", "json", *wanted, str(path)], check=True,
                          capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout)


def probed_pts(path: str | Path, stream: str = "v:0") -> list[int | None]:
    """The pts of a stream's frames in order, as ffprobe sees them; None where it knows none."""
    found = ffprobe(path, "-select_streams", stream, "-show_entries", "frame=best_effort_timestamp")
    times = [frame.get("best_effort_timestamp") for frame in found["frames"]]
    return [None if time is None else int(time) for time in times]
