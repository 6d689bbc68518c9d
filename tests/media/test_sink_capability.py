"""What a file keeps of a picture: the sink's table made again, and pictures written by what it says.

Pictures are read as PyAV's raw planes, without swscale, and turned into RGB here, by their tags alone.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from streamseg.core.frames import Frame
from streamseg.core.pixel_formats import FORMATS, FULL, LIMITED, Colour
from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.sink.capability import TABLE, capability, combinations
from streamseg.sink.capability.trial import trial
from streamseg.sink.live.recording import RecordingSink, SoundFeed

from .sink_tools import about, made, probe, write

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}  # (Kr, Kb), ITU-R
RED = (200, 40, 40)


# --- the table ------------------------------------------------------------------------------------------

@pytest.mark.skipif(json.loads(TABLE.read_text())["ffmpeg"] != av.ffmpeg_version_info,
                    reason="the table is of another FFmpeg: python -m streamseg.sink.capability.trial makes it anew")
@pytest.mark.parametrize("container", sorted({container for container, _, _ in combinations()}))
def test_every_cell_of_the_table_is_what_comes_back(container: str) -> None:
    cells = [item for item in combinations() if item[0] == container]
    wrong = {item: (capability(*item), found) for item in cells if (found := trial(*item)) != capability(*item)}
    assert cells
    assert not wrong


@pytest.mark.parametrize(("combination", "kept"), [
    (("mov", "prores_ks", "yuva444p10le"), (LIMITED, LIMITED, "exact")),
    (("nut", "ffv1", "yuva420p"), (0, 0, "exact")), (("matroska", "ffv1", "yuva420p"), (LIMITED, FULL, "exact")),
    (("mp4", "libx264", "yuv420p"), (LIMITED, FULL, "")), (("webm", "libvpx-vp9", "yuva420p"), (LIMITED, FULL, "near")),
    (("nut", "libvpx-vp9", "yuva420p"), (LIMITED, FULL, "")), (("mp4", "mjpeg", "yuv420p"), (None, FULL, "")),
    (("matroska", "libx265", "yuva420p"), (None, None, ""))])
def test_the_table_says_what_is_known_of_these(combination: tuple[str, str, str], kept: tuple[Any, ...]) -> None:
    cell = capability(*combination)
    assert cell is not None
    assert (cell.limited, cell.full, cell.alpha) == kept


# --- colours --------------------------------------------------------------------------------------------

def flat(format: str, colour: Colour, rgb: tuple[int, int, int] = RED, count: int = 2, size: int = 64) -> list[Frame]:
    """Pictures of one colour, whose alpha is 0 in the left half and full in the right."""
    pixel = FORMATS[format]
    planes = [np.full(pixel.shape(number, size, size), round(value), pixel.dtype)
              for number, value in enumerate(samples_of(rgb, colour, pixel.depth, pixel.rgb))]
    alpha = np.zeros((size, size), pixel.dtype)
    alpha[:, size // 2:] = pixel.peak
    return [Frame(tuple(planes), format, Fraction(1, 25), index, index, colour, alpha=alpha) for index in range(count)]


def samples_of(rgb: tuple[int, int, int], colour: Colour, depth: int, is_rgb: bool) -> list[float]:
    red, green, blue = (value / 255 for value in rgb)
    peak = (1 << depth) - 1
    if is_rgb:
        return [green * peak, blue * peak, red * peak]
    kr, kb = WEIGHTS[colour.matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    unit = 1 << (depth - 8)
    if colour.range == FULL:
        return [luma * peak, cb * peak + 128 * unit, cr * peak + 128 * unit]
    return [(16 + 219 * luma) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit]


def planes_of(picture: av.VideoFrame) -> list[npt.NDArray[Any]]:
    """(rows, columns) of each plane; of a packed format (rows, columns, parts) of its one."""
    found = []
    parts = picture.format.components
    kind = np.dtype(np.uint8 if parts[0].bits == 8 else ">u2" if picture.format.name.endswith("be") else "<u2")
    for plane in picture.planes:
        rows = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // kind.itemsize)[:plane.height]
        packed = len(picture.planes) == 1 and len(parts) > 1
        width = plane.width * (len(parts) if packed else 1)
        found.append(rows[:, :width].reshape(plane.height, plane.width, -1) if packed else rows[:, :width])
    return found


def rgb_of(picture: av.VideoFrame) -> list[float]:
    """The colour in the middle of the right half, 0..255, as a reader takes it who knows only the tags: untagged is
    limited, and BT.601 (the pictures are small)."""
    planes, name = planes_of(picture), picture.format.name
    depth = picture.format.components[0].bits
    row, column = picture.height // 2, picture.width * 3 // 4
    if len(planes) == 1:
        order = {"rgba": [0, 1, 2], "bgra": [2, 1, 0], "argb": [1, 2, 3], "rgba64le": [0, 1, 2]}[name]
        return [float(planes[0][row, column, part]) * 255 / ((1 << depth) - 1) for part in order]
    values = [float(plane[row * plane.shape[0] // picture.height, column * plane.shape[1] // picture.width])
              for plane in planes[:3]]
    if name.startswith("gbr"):
        return [value * 255 / ((1 << depth) - 1) for value in (values[2], values[0], values[1])]
    kr, kb = WEIGHTS.get(int(picture.colorspace), WEIGHTS[5])
    unit = 1 << (depth - 8)
    full = int(picture.color_range) == FULL or name.startswith("yuvj")
    peak = (1 << depth) - 1
    luma = values[0] / peak if full else (values[0] / unit - 16) / 219
    cb, cr = ((value - 128 * unit) / peak if full else (value / unit - 128) / 224 for value in values[1:])
    red, blue = luma + (2 - 2 * kr) * cr, luma + (2 - 2 * kb) * cb
    return [255 * value for value in (red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue)]


def alpha_of(picture: av.VideoFrame) -> npt.NDArray[Any]:
    planes = planes_of(picture)
    if len(planes) == 1:
        return planes[0][:, :, 0 if picture.format.name == "argb" else 3]
    return planes[3]


def pictures(file: Any, format: str | None = None) -> list[av.VideoFrame]:
    with av.open(file if isinstance(file, io.BytesIO) else str(file), format=format) as container:
        stream = container.streams.video[0]
        decoder: Any = stream.codec_context
        if decoder.name == "vp9":  # FFmpeg's own gives no alpha
            decoder = av.CodecContext.create("libvpx-vp9", "r")
        return [picture for packet in container.demux(stream) for picture in decoder.decode(packet)]


FULL_709, FULL_601 = Colour(1, 2, 1, 1), Colour(6, 2, 6, 6)
LIMITED_709, LIMITED_2020 = Colour(1, 1, 1, 1), Colour(9, 1, 9, 1)
OUTPUTS = [  # name, codec, kind
    ("o.mp4", None, "composite"), ("o.mkv", None, "composite"), ("o.webm", None, "composite"),
    ("o.ts", None, "composite"), ("o.nut", None, "composite"), ("o.avi", None, "composite"),
    ("o.ts", "mpeg2video", "composite"), ("o.avi", "mpeg4", "composite"), ("o.mp4", "mpeg4", "composite"),
    ("o.webm", "libvpx", "composite"), ("o.mov", "prores_ks", "composite"), ("o.avi", "ffv1", "composite"),
    ("o.nut", "ffv1", "composite"), ("o.mov", "mjpeg", "composite"), ("o.mkv", "libx265", "composite"),
    ("o.mov", None, "cutout"), ("o.mkv", None, "cutout"), ("o.webm", None, "cutout"), ("o.nut", None, "cutout"),
    ("o.mov", "png", "cutout"), ("o.mov", "qtrle", "cutout")]


@pytest.mark.parametrize(("name", "codec", "kind"), OUTPUTS)
@pytest.mark.parametrize("colour", [FULL_709, FULL_601, LIMITED_709, LIMITED_2020])
def test_a_colour_comes_back_whatever_its_range_and_matrix(tmp_path: Path, name: str, codec: str | None, kind: str,
                                                          colour: Colour) -> None:
    frames = flat("yuv420p", colour)
    write(open_sink(tmp_path / name, about(frames, rate=Fraction(25)), kind=kind, options=Options(codec=codec)), frames)
    assert np.abs(np.subtract(rgb_of(pictures(tmp_path / name)[0]), RED)).max() <= 4


@pytest.mark.parametrize(("name", "options", "kind", "said"), [
    ("o.mov", Options(), "cutout", "full range becomes limited: prores_ks"),
    ("o.ts", Options(codec="mpeg2video"), "composite", "full range becomes limited: mpeg2video"),
    ("o.webm", Options(codec="libvpx"), "composite", "the matrix BT.709 becomes BT.601: libvpx")])
def test_what_is_converted_because_the_file_keeps_no_other_is_said(tmp_path: Path, name: str, options: Options,
                                                                   kind: str, said: str) -> None:
    frames = flat("yuv420p", FULL_709)
    sink = write(open_sink(tmp_path / name, about(frames), kind=kind, options=options), frames)
    assert any(note.startswith(said) for note in sink.notes)


def test_full_range_in_prores_is_not_stretched(tmp_path: Path) -> None:
    for level in (5, 250):
        frames = flat("yuv444p", FULL_709, (level, level, level))
        write(open_sink(tmp_path / f"{level}.mov", about(frames), kind="cutout"), frames)
        luma = planes_of(pictures(tmp_path / f"{level}.mov")[0])[0][32, 48]
        assert luma == pytest.approx((16 + 219 * level / 255) * 16, abs=16)  # 12 bits


@pytest.mark.parametrize(("name", "codec", "kind"), [("o.ts", "ffv1", "composite"), ("o.mkv", "libx265", "cutout"),
                                                     ("o.mkv", "libx264", "cutout"), ("o.nut", "libvpx-vp9", "cutout"),
                                                     ("o.mov", "libsvtav1", "composite")])
def test_what_would_not_come_back_is_refused(tmp_path: Path, name: str, codec: str, kind: str) -> None:
    with pytest.raises(OptionError, match=codec):
        open_sink(tmp_path / name, about(flat("yuv420p", FULL_709)), kind=kind, options=Options(codec=codec))
    assert list(tmp_path.iterdir()) == []


# --- alpha and mattes -----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["o.mov", "o.mkv", "o.nut", "o.webm", "o.apng"])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p12le", "yuv420p12le",
                                    "gbrp", "gbrp16le"])
def test_alpha_of_0_and_full_is_exact(tmp_path: Path, name: str, format: str) -> None:
    frames = flat(format, FULL_709 if format.startswith("gbr") else LIMITED_709)
    write(open_sink(tmp_path / name, about(frames), kind="cutout"), frames)
    picture = pictures(tmp_path / name)[0]
    alpha, peak = alpha_of(picture), (1 << picture.format.components[-1].bits) - 1
    off = 1 if name == "o.webm" else 0  # lossy, and beside an edge
    assert (int(alpha[:, :32].max()), int(alpha[:, 32:].min())) == pytest.approx((0, peak), abs=off)


@pytest.mark.parametrize("name", ["m.mov", "m.mp4", "m.mkv", "m.nut", "m.webm", "m.avi", "m.ts", "m.apng"])
@pytest.mark.parametrize("format", ["gray", "gray10le", "gray12le"])
def test_a_matte_of_0_and_full_is_exact(tmp_path: Path, name: str, format: str) -> None:
    pixel = FORMATS[format]
    level = np.zeros((64, 64), pixel.dtype)
    level[:, 32:] = pixel.peak
    frames = [Frame((level,), format, Fraction(1, 25), index, index, Colour(range=2)) for index in range(2)]
    write(open_sink(tmp_path / name, about(frames, rate=Fraction(25)), kind="matte"), frames)
    picture = pictures(tmp_path / name)[0]
    luma, depth = planes_of(picture)[0], picture.format.components[0].bits
    lossy = 0 if name in ("m.mkv", "m.nut", "m.avi", "m.apng") else 1 << (depth - 8)
    assert (int(luma[:, :24].max()), int(luma[:, 40:].min())) == pytest.approx((0, (1 << depth) - 1), abs=lossy)
    full = picture.format.name.startswith(("yuvj", "gray", "rgb")) or int(picture.color_range) == FULL
    assert full


@pytest.mark.parametrize("arguments", ["codec='libvpx-vp9'", "codec='prores_ks'", "codec='ffv1'", ""])
def test_standard_output_keeps_the_alpha_of_every_encoder_that_has_one(arguments: str) -> None:
    script = ("from tests.media.test_sink_capability import *; f = flat('yuv420p', LIMITED_709, count=3);"
              f"write(open_sink('-', about(f), kind='cutout', options=Options({arguments})), f)")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    picture = pictures(io.BytesIO(done.stdout))[0]
    alpha, peak = alpha_of(picture), (1 << picture.format.components[-1].bits) - 1
    assert (int(alpha[:, :16].max()), int(alpha[:, 48:].min())) == pytest.approx((0, peak), abs=1)
    assert np.abs(np.subtract(rgb_of(picture), RED)).max() <= 4


# --- files that readers did not take --------------------------------------------------------------------

@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_short_transport_stream_is_known_by_its_content(tmp_path: Path, count: int) -> None:
    frames = flat("yuv420p", LIMITED_709, count=count)
    write(open_sink(tmp_path / "o.ts", about(frames)), frames)
    data = (tmp_path / "o.ts").read_bytes()
    assert len(data) % 188 == 0
    assert len(pictures(io.BytesIO(data))) == count
    (tmp_path / "nameless").write_bytes(data)
    assert len(probe(tmp_path / "nameless").packets[0]) == count


@pytest.mark.parametrize("count", [1, 2])
def test_x265_writes_films_that_are_shorter_than_its_reordering(tmp_path: Path, count: int) -> None:
    """It leaves decoding times unset then, whatever was in memory, and the muxer failed by chance."""
    for attempt in range(3):
        frames = flat("yuv420p", LIMITED_709, count=count)
        name = tmp_path / f"{attempt}.mp4"
        write(open_sink(name, about(frames), options=Options(codec="libx265")), frames)
        assert probe(name).times() == pytest.approx([index / 25 for index in range(count)])


def test_a_live_recording_keeps_that_the_picture_began_later_than_the_sound(tmp_path: Path) -> None:
    blocks = []
    for number in range(6):  # 0.6 s from 0 on
        block = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
        block.sample_rate, block.pts, block.time_base = 48000, number * 4800, Fraction(1, 48000)
        blocks.append(block)
    heard = [blocks, []]
    frames = [replace(frame, pts=500 + 40 * frame.index, time_base=Fraction(1, 1000)) for frame in made(count=5)]
    sink = RecordingSink(str(tmp_path / "o.mp4"), about(frames), Options(),
                         sound=SoundFeed(48000, "mono", lambda: heard.pop(0) if heard else []))
    write(sink, frames)
    found = probe(tmp_path / "o.mp4")
    assert float(found.video["start_time"]) - float(found.of("audio")[0]["start_time"]) == pytest.approx(0.5, abs=0.05)
