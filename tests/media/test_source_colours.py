"""Colours that only the container tells, and colour matrices that swscale does not know."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import streamseg
from streamseg.core.frames import Frame, Matte
from streamseg.errors import OptionError
from tests import clips
from tests.media.source_tools import read

RGB = (200, 40, 40)
# Y, Cb and Cr of RGB in full-range BT.709 (ITU-R BT.709-6, 3.2): 0.2126 R + 0.7152 G + 0.0722 B, ...
BT709 = (74, 110, 208)
TAGS = {"matrix": 1, "range": 2, "primaries": 1, "transfer": 13}


class Nobody:
    """A method that finds nobody: all is background."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [Matte(np.zeros((9, 16), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


def plain(values: tuple[int, int, int], format: str = "yuv420p") -> av.VideoFrame:
    """One colour in 8-bit planes."""
    made = av.VideoFrame(*clips.SIZE, format)
    for plane, value in zip(made.planes, values, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return made


def clip(path: Path, values: tuple[int, int, int], tags: dict[str, int], codec: str, **more: Any) -> Path:
    """A film of one colour, tagged in the container and, where the codec can, in the stream."""
    format = more.pop("pix_fmt", "yuv420p")

    def content(index: int) -> av.VideoFrame:
        frame = plain(values, format)
        frame.colorspace, frame.color_range = tags["matrix"], tags.get("range", 1)
        frame.color_primaries, frame.color_trc = tags.get("primaries", 2), tags.get("transfer", 2)
        return frame

    return clips.video(path, codec=codec, frames=3, content=content, colour=tags, pix_fmt=format, **more)


def first_pixel(path: Path) -> tuple[int, ...]:
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((40, 80))  # type: ignore[return-value]


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize("to", [".mp4", ".webm"])
def test_full_range_of_a_browsers_webm_stays(codec: str, to: str, tmp_path: Path):
    made = clip(tmp_path / "canvas.webm", BT709, TAGS, codec)
    streamseg.run(made, tmp_path / f"out{to}", method="threshold", background="original")
    found = clips.ffprobe(tmp_path / f"out{to}")["streams"][0]
    assert (found["color_space"], found["color_range"]) == ("bt709", "pc")
    assert (found["color_primaries"], found["color_transfer"]) == ("bt709", "iec61966-2-1")


def test_vp8_of_full_range_has_its_colours(tmp_path: Path):
    made = clip(tmp_path / "canvas.webm", BT709, TAGS, "libvpx")
    streamseg.run(made, tmp_path / "%d.png", method="threshold", background="original")
    assert first_pixel(tmp_path / "1.png") == pytest.approx(RGB, abs=4)
    assert first_pixel(tmp_path / "3.png") == pytest.approx(RGB, abs=4)  # the tags are lost after the first picture


def test_vp8_without_tags_is_what_vp8_is(tmp_path: Path):
    made = clips.video(tmp_path / "plain.webm", codec="libvpx", frames=3)
    _, frames = read(str(made))
    assert {(frame.colour.matrix, frame.colour.range) for frame in frames} == {(5, 1)}


@pytest.mark.parametrize("hdr", [False, True])
def test_vp9_that_only_claims_alpha_keeps_primaries_and_transfer(hdr: bool, tmp_path: Path):
    tags = {"matrix": 9, "range": 1, "primaries": 9, "transfer": 16} if hdr else TAGS
    made = clip(tmp_path / "claimed.webm", (100, 120, 140), tags, "libvpx-vp9")
    with av.open(str(made)) as source, av.open(str(tmp_path / "alpha.webm"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        stream.metadata["alpha_mode"] = "1"  # as MediaRecorder writes it, with alpha or without
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    source_, frames = read(str(tmp_path / "alpha.webm"))
    assert not source_.info.has_alpha
    assert {frame.colour for frame in frames} == {source_.info.colour}
    colour = source_.info.colour
    assert (colour.matrix, colour.range, colour.primaries, colour.transfer) == tuple(tags.values())


def test_mjpeg_in_a_container_has_the_containers_matrix(tmp_path: Path):
    made = clip(tmp_path / "camera.mkv", BT709, TAGS, "mjpeg", pix_fmt="yuvj420p")
    streamseg.run(made, tmp_path / "%d.png", method="threshold", background="original")
    assert first_pixel(tmp_path / "2.png") == pytest.approx(RGB, abs=4)


# --- matrices ---------------------------------------------------------------------------------

@pytest.mark.parametrize("to", ["out.mp4", "out.mkv", "out.webm", "%d.png", "out.gif"])
@pytest.mark.parametrize("matrix", [3, 8, 10, 11, 12, 13, 14, 15, 16, 17])
def test_no_matrix_is_an_internal_error(matrix: int, to: str, tmp_path: Path):
    made = clip(tmp_path / "in.mkv", (90, 100, 150), {"matrix": matrix}, "ffv1")
    report = streamseg.run(made, tmp_path / to, method="threshold", background="#20c040")
    assert report.frames == 3


@pytest.mark.parametrize("rgb", [(200, 40, 40), (10, 220, 90), (128, 128, 128)])
def test_ycgco_comes_out_in_its_colours(rgb: tuple[int, int, int], tmp_path: Path):
    red, green, blue = rgb
    values = tuple(round(value) for value in (
        green / 2 + (red + blue) / 4, 128 + green / 2 - (red + blue) / 4, 128 + (red - blue) / 2))
    made = clip(tmp_path / "in.mp4", values, {"matrix": 8, "range": 2}, "libx264", pix_fmt="yuv444p")  # type: ignore[arg-type]
    assert clips.ffprobe(made)["streams"][0]["color_space"] == "ycgco"
    streamseg.run(made, [tmp_path / "%d.png", tmp_path / "out.mp4"], method="threshold", background="original")
    assert first_pixel(tmp_path / "1.png") == pytest.approx(rgb, abs=3)
    assert clips.ffprobe(tmp_path / "out.mp4")["streams"][0]["color_space"] == "ycgco"


def test_a_green_background_is_green_in_ycgco(tmp_path: Path):
    made = clip(tmp_path / "in.mp4", (100, 128, 128), {"matrix": 8, "range": 1}, "libx264", pix_fmt="yuv444p")
    streamseg.run(made, tmp_path / "out.mp4", method=Nobody(), background="#20c040")
    with av.open(str(tmp_path / "out.mp4")) as out:
        picture = next(out.decode(video=0))
    luma, cg, co = (float(np.frombuffer(plane, np.uint8)[:100].mean()) for plane in picture.planes)
    light, cg, co = (luma - 16) / 219, (cg - 128) / 224, (co - 128) / 224
    back = [light - cg + co, light + cg, light - cg - co]  # H.273's inverse
    assert [255 * value for value in back] == pytest.approx((0x20, 0xC0, 0x40), abs=3)


def test_colours_that_no_matrix_gives_are_noted(tmp_path: Path):
    made = clip(tmp_path / "in.mp4", (90, 100, 150), {"matrix": 14, "primaries": 9, "transfer": 16}, "libx264")
    report = streamseg.run(made, tmp_path / "out.mp4", method="threshold", background="green")
    assert any("ICtCp" in note for note in report.notes)
    assert clips.ffprobe(tmp_path / "out.mp4")["streams"][0]["color_space"] == "ictcp"


@pytest.mark.parametrize(("name", "codec"), [("out.webm", None), ("out.mkv", "mpeg4"), ("out.webp", None)])
def test_what_has_no_number_for_a_matrix_gets_another_one(name: str, codec: str | None, tmp_path: Path):
    made = clip(tmp_path / "in.mp4", (100, 150, 120), {"matrix": 8, "range": 1}, "libx264", pix_fmt="yuv444p")
    report = streamseg.run(made, tmp_path / name, method=Nobody(), background="#20c040", codec=codec)
    _, frames = read(str(tmp_path / name))
    assert frames[0].rgb()[60, 80].tolist() == pytest.approx((0x20, 0xC0, 0x40), abs=6)
    assert name == "out.webp" or frames[0].colour.matrix == 8 or any("matrix YCgCo becomes" in note
                                                                      for note in report.notes)
    streamseg.run(made, tmp_path / "cutout.webm", method=Nobody())  # with alpha, by the same way


# --- rates ------------------------------------------------------------------------------------

def test_ntsc_rates_in_matroska_stay_what_they_are(tmp_path: Path):
    made = clips.video(tmp_path / "in.mkv", rate=Fraction(60000, 1001), frames=30)
    source, _ = read(str(made))
    assert source.info.rate == Fraction(60000, 1001)
    streamseg.run(made, tmp_path / "out.mkv", method="threshold", background="green", codec="mpeg2video")
    streamseg.run(made, tmp_path / "out.avi", method="threshold", background="green")
    found = clips.ffprobe(tmp_path / "out.mkv")["streams"][0]
    assert (found["codec_name"], found["nb_read_frames"]) == ("mpeg2video", "30")
    assert clips.ffprobe(tmp_path / "out.avi")["streams"][0]["avg_frame_rate"] == "60000/1001"


def test_a_rate_that_mpeg_1_has_no_number_for_names_those_it_has(tmp_path: Path):
    made = clips.video(tmp_path / "in.mp4", rate=Fraction(20), frames=5)
    with pytest.raises(OptionError, match=r"24000/1001, 24, 25, .*give --cfr 24000/1001"):
        streamseg.run(made, tmp_path / "out.mkv", method="threshold", background="green", codec="mpeg1video")
