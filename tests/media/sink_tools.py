"""What the sink tests share: hand-made frames, a small reader of clips, and ffprobe as the oracle."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamseg.core.frames import Frame, Track, VideoInfo
from streamseg.core.pixel_formats import FORMATS, Colour

BT709 = Colour(1, 1, 1, 1)


def made(format: str = "yuv420p", count: int = 12, size: tuple[int, int] = (160, 120), *,
         pts: Sequence[int] | None = None, time_base: Fraction = Fraction(1, 90000), alpha: bool = False,
         colour: Colour = BT709, names: Sequence[str] | None = None) -> list[Frame]:
    """A moving ramp; alpha 0 in the left quarter, 3/4 of the peak at the lower right, else the peak."""
    pixel, (width, height) = FORMATS[format], size
    frames = []
    for index in range(count):
        planes = []
        for plane in range(pixel.planes):
            rows, columns = pixel.shape(plane, width, height)
            ramp = (np.arange(columns) + 3 * index) % columns / columns
            level = 0.2 + 0.6 * ramp if plane == 0 else np.full(columns, 0.3 + 0.2 * plane)
            planes.append(np.tile((level * pixel.peak).astype(pixel.dtype), (rows, 1)))
        mask = None
        if alpha:
            mask = np.full((height, width), pixel.peak, pixel.dtype)
            mask[height // 2:, width // 2:] = pixel.peak * 3 // 4
            mask[:, :width // 4] = 0
        time = index * 3000 if pts is None else pts[index]
        frames.append(Frame(tuple(planes), format, time_base, index, time, colour, None, mask,
                            names[index] if names else None))
    return frames


def about(frames: Sequence[Frame], **extra: Any) -> VideoInfo:
    """The VideoInfo that a source of these frames would give."""
    first = frames[0]
    known = {"width": first.width, "height": first.height, "format": first.format.replace("gray", "yuv444p"),
             "time_base": first.time_base, "rate": Fraction(30), "colour": first.colour}
    if first.format.startswith("gray"):
        known["format"] = {"gray": "yuv420p", "gray10le": "yuv420p10le", "gray12le": "yuv420p12le",
                           "gray16le": "gbrp16le"}[first.format]
    return VideoInfo(**{**known, **extra})  # type: ignore[arg-type]


def read(path: str | Path) -> tuple[VideoInfo, list[Frame]]:
    """A clip's frames, the other tracks' packets with the first of them, as a source gives them."""
    container = av.open(str(path))  # stays open: the tracks' streams are templates
    picture = container.streams.video[0]
    packets, frames = [], []
    for packet in container.demux():
        if packet.stream is picture:
            frames += packet.decode()
        elif packet.size:
            packets.append(packet)
    base = picture.time_base
    tracks = tuple(Track(item.index, item.type, item.codec_context.name, item.language, item)
                   for item in container.streams if item.type in ("audio", "subtitle"))
    half = len(packets) // 2
    carried = {0: tuple(packets[:half]), len(frames) - 1: tuple(packets[half:])}
    out = [Frame.from_av(frame, index, time_base=base, packets=carried.get(index, ()))
           for index, frame in enumerate(frames)]
    return VideoInfo(out[0].width, out[0].height, out[0].format, base, picture.average_rate,
                     colour=out[0].colour, tracks=tracks, chapters=tuple(container.chapters()),
                     metadata=dict(container.metadata)), out


def write(sink: Any, frames: Sequence[Frame]) -> Any:
    for frame in frames:
        sink.write(frame)
    sink.close()
    return sink


@dataclass
class Probe:
    """ffprobe's answer: ``streams``, ``chapters``, ``tags``, and packets by stream."""

    streams: list[dict[str, Any]]
    chapters: list[dict[str, Any]]
    tags: dict[str, str]
    packets: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def video(self) -> dict[str, Any]:
        return next(item for item in self.streams if item["codec_type"] == "video")

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [item for item in self.streams if item["codec_type"] == kind]

    def times(self, index: int | None = None) -> list[float]:
        """Presentation times of a stream (the video's by default) in seconds, sorted."""
        index = self.video["index"] if index is None else index
        return sorted(float(item.get("pts_time") or item["dts_time"]) for item in self.packets[index])


def probe(path: str | Path) -> Probe:
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_packets", "-show_chapters", "-show_format",
               "-of", "json", str(path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    packets: dict[int, list[dict[str, Any]]] = {item["index"]: [] for item in told["streams"]}
    for item in told["packets"]:
        packets[item["stream_index"]].append(item)
    return Probe(told["streams"], told["chapters"], told["format"].get("tags", {}), packets)


def decoded(path: str | Path, pixels: str, *before: str) -> np.ndarray[Any, Any]:
    """Every picture decoded by the ffmpeg program, (frames, rows, samples); ``before``: its input options."""
    info = probe(path).video
    command = ["ffmpeg", "-v", "error", *before, "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough",
               "-f", "rawvideo", "-pix_fmt", pixels, "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    kind = np.uint16 if "le" in pixels else np.uint8
    samples = 1 if pixels.startswith("gray") else 4
    return np.frombuffer(raw, kind).reshape(-1, info["height"], samples * int(info["width"]))


def payloads(path: str | Path, kind: str) -> list[list[tuple[float, str]]]:
    """For each track of ``kind``: (seconds, hash) of its packets."""
    with av.open(str(path)) as container:
        chosen = [item for item in container.streams if item.type == kind]
        found: dict[int, list[tuple[float, str]]] = {item.index: [] for item in chosen}
        for packet in container.demux(chosen):
            if packet.size and packet.pts is not None:
                found[packet.stream_index].append((float(packet.pts * packet.time_base),
                                                   hashlib.sha256(bytes(packet)).hexdigest()))
    return list(found.values())
