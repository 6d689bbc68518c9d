"""Streams whose times are not in the file, whose stated length is wrong, or whose pictures change their shape."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.api import run
from streamseg.errors import OptionError, SourceError
from streamseg.report import Progress
from streamseg.source.deinterlace import deinterlaced
from streamseg.source.normalise import inner_size
from tests import clips

from .source_tools import indices, read


def raw(path: Path, codec: str, rate: int = 30, frames: int = 30, **options: str) -> Path:
    """A stream without container, whose codec states ``rate`` (MJPEG states none)."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.time_base, encoder.framerate = *clips.SIZE, Fraction(1, rate), rate
    encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    encoder.options = options
    packets = []
    for number in range(frames):
        frame = clips.as_frame(clips.picture(number), clips.SIZE, encoder.pix_fmt)
        frame.pts, frame.time_base = number, encoder.time_base
        packets += encoder.encode(frame)
    path.write_bytes(b"".join(bytes(packet) for packet in [*packets, *encoder.encode(None)]))
    return path


@pytest.mark.parametrize(("codec", "name", "rate"), [
    ("libx264", "a.h264", 30), ("libx264", "a.h264", 50), ("libx265", "a.hevc", 50), ("mjpeg", "a.mjpeg", 25),
    ("mpeg1video", "a.m1v", 30), ("mpeg2video", "a.m2v", 50), ("mpeg4", "a.m4v", 50), ("vc2", "a.drc", 50)])
def test_a_raw_stream_has_the_rate_of_its_codec_and_a_note(tmp_path: Path, codec: str, name: str, rate: int) -> None:
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = raw(tmp_path / name, codec, rate, **quiet)
    source, frames = read(path)
    assert indices(frames) == list(range(30))
    assert source.info.rate == rate
    assert not source.info.stills
    times = [float(frame.time - frames[0].time) for frame in frames]
    assert times == pytest.approx([number / rate for number in range(30)], abs=1e-3)
    assert any(f"has no times: {rate} frames a second are assumed; --rate" in note for note in source.notes)


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.h264"), ("mjpeg", "a.mjpeg")])
def test_rate_holds_for_a_raw_stream_and_for_no_other(tmp_path: Path, codec: str, name: str) -> None:
    path = raw(tmp_path / name, codec)
    source, frames = read(path, rate=10)
    assert source.info.rate == 10
    assert float(frames[29].time - frames[0].time) == pytest.approx(2.9, abs=1e-3)
    assert "has no times" not in "; ".join(source.notes)
    assert indices(read(path, rate=10, start=1.0, duration=0.5)[1]) == list(range(10, 15))
    assert run(path, tmp_path / "o.mkv", method="threshold", rate=10).frames == 30
    timed = clips.video(tmp_path / "timed.mkv", frames=3)
    with pytest.raises(OptionError, match="which has its own times"):
        run(timed, tmp_path / "p.mkv", method="threshold", rate=10)


@pytest.mark.parametrize(("codec", "options"), [
    ("libx264", {"bf": "3", "b-pyramid": "normal", "b_strategy": "0"}), ("mpeg4", {"bf": "2"}), ("mpeg4", {"bf": "0"})])
def test_pictures_of_an_avi_with_b_frames_have_even_times_from_its_beginning(tmp_path: Path, codec: str,
                                                                             options: dict[str, str]) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as out:
        track: Any = out.add_stream(codec, rate=25, options={**options, "g": "10"})
        track.width, track.height, track.pix_fmt = *clips.SIZE, "yuv420p"
        packets = [packet for number in range(30)
                   for packet in track.encode(clips.as_frame(clips.picture(number), clips.SIZE, "yuv420p"))]
        for number, packet in enumerate([*packets, *track.encode(None)]):
            packet.pts = packet.dts = number  # all that AVI stores
            packet.time_base = Fraction(1, 25)
            out.mux(packet)
    source, frames = read(path)
    assert indices(frames) == list(range(30))
    assert [frame.time for frame in frames] == [Fraction(number, 25) for number in range(30)]
    assert source.notes == []
    assert indices(read(path, start=0.8, duration=0.2)[1]) == list(range(20, 25))


def test_empty_packets_show_the_picture_before_on_and_do_not_end_the_film(tmp_path: Path) -> None:
    path, empty = tmp_path / "a.nut", (3, 4, 8)  # as Theora has where nothing moves
    with av.open(str(path), "w") as out:
        track: Any = out.add_stream("mpeg4", rate=25)
        track.width, track.height, track.pix_fmt = *clips.SIZE, "yuv420p"
        packets = [packet for number in range(12)
                   for packet in track.encode(clips.as_frame(clips.picture(number), clips.SIZE, "yuv420p"))]
        for number, packet in enumerate([*packets, *track.encode(None)]):
            if number in empty:
                nothing = av.Packet(b"")
                nothing.pts = nothing.dts = number
                nothing.time_base, nothing.stream, packet = Fraction(1, 25), track, nothing
            out.mux(packet)
    source, frames = read(path)
    assert [round(frame.time * 25) for frame in frames] == [number for number in range(12) if number not in empty]
    assert source.notes == []


@pytest.mark.parametrize("rate", ["12.3456789", "0.0123456789", "239.7601"])
def test_a_rate_that_ffmpeg_cannot_count_is_taken_nearly(tmp_path: Path, rate: str) -> None:
    path = raw(tmp_path / "a.h264", "libx264", frames=3)
    source, frames = read(path, rate=Fraction(rate))
    assert float(source.info.rate or 0) == pytest.approx(float(rate), rel=1e-3)
    assert float(frames[2].time - frames[0].time) == pytest.approx(2 / float(rate), rel=1e-3)
    assert run(path, tmp_path / "o.mkv", method="threshold", rate=Fraction(rate)).frames == 3


def stated_too_short(path: Path, seconds: float) -> Path:
    """A WebM whose header states another duration than it has (milliseconds, as EBML's float of 8 bytes)."""
    data = bytearray(path.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3
    data[place:place + 8] = struct.pack(">d", 1000 * seconds)
    path.write_bytes(data)
    return path


def long_webm(path: Path) -> Path:
    return clips.video(path, frames=60, rate=Fraction(2), codec="libvpx-vp9", size=(64, 48))


def test_a_stream_that_is_longer_than_stated_keeps_its_times(tmp_path: Path) -> None:
    path = long_webm(tmp_path / "a.webm")
    expected = [frame.time for frame in read(path)[1]]
    source, frames = read(stated_too_short(path, 5))
    assert [frame.time for frame in frames] == expected
    assert source.notes == []


def test_progress_tells_no_total_that_is_passed(tmp_path: Path) -> None:
    told: list[Progress] = []
    path = stated_too_short(clips.video(tmp_path / "a.webm", frames=30), 0.5)
    run(path, "null:", method="threshold", background="green", progress=told.append)
    assert told[0].total is not None
    assert told[0].total < 30
    assert told[-1].frames == 30
    assert all(item.total is None or item.frames <= item.total for item in told)


def test_a_start_behind_the_stated_end_is_tried(tmp_path: Path) -> None:
    path = long_webm(tmp_path / "a.webm")
    expected = [frame.pts for frame in read(path, start=20)[1]]
    source, frames = read(stated_too_short(path, 5), start=20)
    assert [frame.pts for frame in frames] == expected
    assert len(frames) == 20
    assert source.info.duration is None


@pytest.mark.parametrize(("size", "canvas", "inner"), [
    ((320, 240), (160, 120), (160, 120)), ((640, 360), (90, 160), (90, 50)), ((90, 160), (640, 360), (202, 360)),
    ((161, 121), (160, 120), (160, 120)), ((1, 100), (100, 100), (2, 100)), ((3, 2), (1, 1), (1, 1))])
def test_a_picture_of_another_shape_keeps_its_aspect(size: tuple[int, int], canvas: tuple[int, int],
                                                     inner: tuple[int, int]) -> None:
    assert inner_size(size, canvas) == inner


@pytest.mark.parametrize("sizes", [((90, 160), (320, 180)), ((320, 180), (90, 160)), ((161, 91), (80, 160))])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_after_a_change_of_shape_the_picture_stands_in_black(tmp_path: Path, sizes: Any, pix_fmt: str) -> None:
    path = tmp_path / "a.h264"
    encoded = b""
    for number, size in enumerate(sizes):
        encoder: Any = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.time_base = size[0] // 2 * 2, size[1] // 2 * 2, Fraction(1, 25)
        encoder.pix_fmt = pix_fmt
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((encoder.height, encoder.width, 3), 200, np.uint8), "rgb24"
                                               ).reformat(format=pix_fmt)
            frame.pts = 3 * number + index
            encoded += b"".join(bytes(packet) for packet in encoder.encode(frame))
        encoded += b"".join(bytes(packet) for packet in encoder.encode(None))
    path.write_bytes(encoded)
    source, frames = read(path)
    width, height = sizes[0][0] // 2 * 2, sizes[0][1] // 2 * 2
    assert {(frame.width, frame.height) for frame in frames} == {(width, height)}
    last = frames[-1].rgb().astype(int).mean(axis=2)
    bright = last > 100
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    aspect = (columns[-1] - columns[0] + 1) / (rows[-1] - rows[0] + 1)
    assert aspect == pytest.approx(sizes[1][0] / sizes[1][1], rel=0.08)
    assert abs((rows[0] + rows[-1]) / 2 - (height - 1) / 2) <= 2
    assert abs((columns[0] + columns[-1]) / 2 - (width - 1) / 2) <= 2
    assert np.median(last[~bright]) < 3
    assert any("the picture changes its size: 3 frames" in note for note in source.notes)


@pytest.mark.parametrize(("size", "pix_fmt"), [
    ((1, 1), "yuv444p"), ((2, 2), "yuv444p"), ((2, 8), "yuv444p"), ((8, 3), "yuv444p"), ((8, 6), "yuv420p")])
def test_a_picture_too_small_to_be_deinterlaced_is_refused_in_words(tmp_path: Path, size: tuple[int, int],
                                                                     pix_fmt: str) -> None:
    path = clips.video(tmp_path / "a.mkv", size=size, frames=2, codec="ffv1", pix_fmt=pix_fmt, code=False)
    with pytest.raises(SourceError, match=rf"{size[0]} x {size[1]} cannot be deinterlaced: .*3 columns and 4 lines"):
        read(path, deinterlace=True)
    assert len(read(path)[1]) == 2


@pytest.mark.parametrize("pix_fmt", ["gray", "gray16le", "pal8", "rgb24", "rgba", "yuva420p", "nv12", "yuv411p",
                                     "yuv410p", "yuv422p10le", "ya8", "monob", "gbrp10le", "rgb48be", "yuvj420p"])
@pytest.mark.parametrize("size", [(12, 16), (33, 21)])
def test_every_pixel_format_is_deinterlaced(pix_fmt: str, size: tuple[int, int]) -> None:
    picture = av.VideoFrame(*size, pix_fmt)
    for plane in picture.planes:
        plane.update(bytes(plane.buffer_size))
    made = list(deinterlaced(iter([(picture, 0), (picture, 1)]), Fraction(1, 25)))
    assert [(done.width, done.height, pts) for done, pts in made] == [(*size, 0), (*size, 1)]
