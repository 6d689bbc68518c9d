"""Pictures and animations, read back with Pillow, which shares no code with what wrote them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import Colour
from streamseg.errors import OptionError, SinkError
from streamseg.options import Options
from streamseg.sink import open_sink
from tests import clips
from tests.media.live_tools import ROOT

from .sink_tools import about, made, write


@pytest.mark.parametrize("extension", [".png", ".webp", ".tiff", ".tif"])
@pytest.mark.parametrize("pixels", ["yuv420p", "gbrp"])
def test_a_cutout_picture_has_straight_alpha(tmp_path: Path, extension: str, pixels: str) -> None:
    frame = made(pixels, 1, alpha=True)[0]
    target = tmp_path / f"o{extension}"
    write(open_sink(target, about([frame], stills=True), kind="cutout"), [frame])
    back = np.array(Image.open(target)).astype(int)
    assert np.array_equal(back[:, :, 3], frame.alpha)
    inner = np.zeros((120, 160), bool)
    inner[4:-4, 44:-4] = True
    tolerance = 24 if extension == ".webp" else 0
    assert np.abs(back[:, :, :3] - frame.rgb().astype(int))[inner].max() <= tolerance
    if extension != ".webp":  # straight: the colour is there where nothing is seen of it
        assert np.array_equal(back[:, :40, :3], frame.rgb()[:, :40])


@pytest.mark.parametrize("pixels", ["gbrp", "gbrp12le"])
def test_a_tiff_says_that_its_alpha_is_straight(tmp_path: Path, capfd: pytest.CaptureFixture[str], pixels: str) -> None:
    frame = made(pixels, 1, alpha=True)[0]
    write(open_sink(tmp_path / "o.tiff", about([frame], stills=True), kind="cutout"), [frame])
    assert capfd.readouterr().err == ""
    with Image.open(tmp_path / "o.tiff") as picture:
        assert picture.tag_v2[338] == 2 or picture.tag_v2[338] == (2,)  # ExtraSamples: unassociated alpha
        assert picture.tag_v2[258] == ((8,) * 4 if pixels == "gbrp" else (16,) * 4)
    back = cv2.imread(str(tmp_path / "o.tiff"), cv2.IMREAD_UNCHANGED)
    assert capfd.readouterr().err == ""
    assert np.array_equal(back[:, :, 3] > 0, frame.alpha > 0)
    write(open_sink(tmp_path / "opaque.tiff", about([frame], stills=True)), [frame])
    with Image.open(tmp_path / "opaque.tiff") as picture:
        assert 338 not in picture.tag_v2


def test_the_program_prints_no_line_of_opencv(tmp_path: Path) -> None:
    """A TIFF that does not say what its fourth channel is, read quietly."""
    assert cv2.imwrite(str(tmp_path / "in.tiff"), np.full((40, 40, 4), 200, np.uint8))
    command = [sys.executable, "-m", "streamseg", "run", "-q", str(tmp_path / "in.tiff"), "-o",
               str(tmp_path / "o.tiff"), "--method", "threshold"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_more_than_8_bits_give_16_bit_pictures(tmp_path: Path) -> None:
    frame = made("gbrp12le", 1, alpha=True)[0]
    write(open_sink(tmp_path / "o.png", about([frame]), kind="cutout"), [frame])
    back = cv2.imread(str(tmp_path / "o.png"), cv2.IMREAD_UNCHANGED)
    wanted = np.dstack([frame.planes[1], frame.planes[0], frame.planes[2], frame.alpha]) * (65535 / 4095)
    assert back.dtype == np.uint16
    assert np.abs(back - wanted).max() <= 0.5 + 1e-2


def test_limited_10_bit_yuv_becomes_the_right_16_bit_rgb(tmp_path: Path) -> None:
    level = np.full((720, 64), 940, np.uint16)  # limited white
    chroma = np.full((360, 32), 512, np.uint16)
    frame = Frame((level, chroma, chroma), "yuv420p10le", Fraction(1, 25), 0, 0, Colour(1, 1, 1, 1))
    write(open_sink(tmp_path / "o.png", about([frame])), [frame])
    assert (cv2.imread(str(tmp_path / "o.png"), cv2.IMREAD_UNCHANGED) >= 65530).all()


@pytest.mark.parametrize(("pixels", "dtype"), [
    ("gray", np.uint8), ("gray10le", np.uint16), ("gray16le", np.uint16)])
def test_a_matte_picture_is_grey(tmp_path: Path, pixels: str, dtype: Any) -> None:
    frame = made(pixels, 1)[0]
    write(open_sink(tmp_path / "m.png", about([frame]), kind="matte"), [frame])
    back = cv2.imread(str(tmp_path / "m.png"), cv2.IMREAD_UNCHANGED)
    assert (back.ndim, back.dtype) == (2, dtype)
    full = 255 if dtype == np.uint8 else 65535
    assert np.abs(back - frame.planes[0] * (full / frame.pixel.peak)).max() <= 0.51


@pytest.mark.parametrize("extension", [".jpg", ".jpeg", ".bmp", ".png", ".tiff", ".webp"])
def test_an_opaque_picture_has_the_frame_s_colours(tmp_path: Path, extension: str) -> None:
    frame = made("gbrp", 1)[0]
    write(open_sink(tmp_path / f"o{extension}", about([frame], stills=True)), [frame])
    picture = Image.open(tmp_path / f"o{extension}")
    assert picture.mode == "RGB"
    assert np.abs(np.array(picture)[4:-4, 44:-4].astype(int) - frame.rgb()[4:-4, 44:-4]).mean() < 3


def test_jpeg_quality_makes_it_smaller(tmp_path: Path) -> None:
    frame = made("gbrp", 1)[0]
    low = write(open_sink(tmp_path / "a.jpg", about([frame]), options=Options(quality=10)), [frame])
    high = write(open_sink(tmp_path / "b.jpg", about([frame]), options=Options(quality=100)), [frame])
    assert low.size < high.size / 2


def test_a_pattern_numbers_from_one(tmp_path: Path) -> None:
    frames = made("yuv420p", 3)
    sink = write(open_sink(tmp_path / "f_%03d.png", about(frames)), frames)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["f_001.png", "f_002.png", "f_003.png"]
    back = np.array(Image.open(tmp_path / "f_003.png"))
    assert np.array_equal(back, frames[2].rgb())
    assert (sink.frames, sink.size) == (3, sum(item.stat().st_size for item in tmp_path.iterdir()))


@pytest.mark.parametrize(("name", "wanted"), [
    ("100%_f_%03d.png", "100%_f_002.png"), ("a%d.png", "a2.png"), ("%s_%20dx_%02d.jpg", "%s_%20dx_02.jpg")])
def test_only_the_number_of_a_pattern_is_filled_in(tmp_path: Path, name: str, wanted: str) -> None:
    frames = made("yuv420p", 2)
    write(open_sink(tmp_path / name, about(frames)), frames)
    assert sorted(item.name for item in tmp_path.iterdir())[1] == wanted


@pytest.mark.parametrize("name", ["my%20dog.png", "a%d_%d.png", "%d0%b0.jpg", "frame_%05d.png"])
def test_a_single_picture_gets_its_name_as_it_is(tmp_path: Path, name: str) -> None:
    frames = made("gbrp", 1, names=["in.png"])
    info = replace(about(frames, stills=True, name="in.png"), frames=1)
    write(open_sink(tmp_path / name, info), frames)
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_a_folder_of_one_picture_is_numbered_as_one_of_many(tmp_path: Path) -> None:
    frames = made("gbrp", 1, names=["in.png"])
    info = replace(about(frames, stills=True, name=str(tmp_path)), frames=1)
    write(open_sink(tmp_path / "f_%03d.png", info), frames)
    assert [item.name for item in tmp_path.iterdir()] == ["f_001.png"]


def test_two_numbers_in_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"a%d_%03d\.png' has 2 numbers.*by one, %d or %05d"):
        open_sink(tmp_path / "a%d_%03d.png", about(made()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["my%20dog.mp4", "a%d_%03d.mkv", "x%05d.gif"])
def test_the_name_of_a_video_holds_no_number(tmp_path: Path, name: str) -> None:
    frames = made()
    write(open_sink(tmp_path / name, about(frames)), frames)
    assert [item.name for item in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("kind", "pixels", "wanted"), [
    ("composite", "gbrp", ["a.png", "b.jpg", "c.png"]), ("cutout", "gbrp", ["a.png", "b.png", "c.png"]),
    ("matte", "gray", ["a.png", "b.png", "c.png"]), ("composite", "gbrp16le", ["a.png", "b.png", "c.png"])])
def test_a_folder_keeps_the_names(tmp_path: Path, kind: str, pixels: str, wanted: list[str]) -> None:
    frames = made(pixels, 3, alpha=kind == "cutout", names=["a.png", "b.jpg", "c.gif"])
    write(open_sink(f"{tmp_path}/out/", about(frames, stills=True), kind=kind), frames)
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == wanted
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_pictures_of_a_folder_may_have_different_sizes(tmp_path: Path) -> None:
    frames = [made("gbrp", 1, size)[0] for size in ((40, 30), (33, 55))]
    frames = [replace(frame, name=f"{index}.png", index=index) for index, frame in enumerate(frames)]
    write(open_sink(f"{tmp_path}/out/", about(frames, stills=True)), frames)
    assert [Image.open(tmp_path / f"out/{name}.png").size for name in (0, 1)] == [(40, 30), (33, 55)]


def test_two_inputs_that_would_share_a_name_are_refused(tmp_path: Path) -> None:
    frames = made("gbrp", 2, alpha=True, names=["a.png", "a.jpg"])
    sink = open_sink(f"{tmp_path}/out/", about(frames, stills=True), kind="cutout")
    with pytest.raises(SinkError, match=r"two pictures.*a\.png"):
        write(sink, frames)
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_video_into_an_existing_folder_is_numbered(tmp_path: Path) -> None:
    frames = made("yuv420p", 2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    write(open_sink(tmp_path / "out", about(frames)), frames)
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == [
        "frame_00001.png", "frame_00002.png", "notes.txt"]


def test_existing_pictures_are_refused_at_once_and_replaced_when_asked(tmp_path: Path) -> None:
    frames = made("yuv420p", 2)
    (tmp_path / "f_2.png").write_bytes(b"old")
    with pytest.raises(SinkError, match=r"f_2\.png exists"):
        open_sink(tmp_path / "f_%d.png", about(frames))
    assert (tmp_path / "f_2.png").read_bytes() == b"old"
    write(open_sink(tmp_path / "f_%d.png", about(frames), options=Options(overwrite=True)), frames)
    assert Image.open(tmp_path / "f_2.png").size == (160, 120)


def test_an_existing_name_in_a_folder_is_refused_and_kept(tmp_path: Path) -> None:
    frames = made("gbrp", 2, names=["a.png", "b.png"])
    (tmp_path / "b.png").write_bytes(b"old")
    sink = open_sink(tmp_path, about(frames, stills=True))
    with pytest.raises(SinkError, match=r"b\.png exists"):
        write(sink, frames)
    sink.abort()
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [("b.png", b"old")]


def test_one_picture_for_many_frames_names_pattern_and_folder(tmp_path: Path) -> None:
    frames = made("yuv420p", 3)
    with pytest.raises(OptionError, match=r"o_%05d\.png.*o/"):
        open_sink(tmp_path / "o.png", replace(about(frames), frames=3))
    sink = open_sink(tmp_path / "o.png", about(frames))
    with pytest.raises(SinkError, match=r"o_%05d\.png.*o/"):
        write(sink, frames)
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_changed_behind_our_back_is_found(tmp_path: Path) -> None:
    frames = made("yuv420p", 3)
    sink = open_sink(tmp_path / "f_%d.png", about(frames))
    for frame in frames:
        sink.write(frame)
    part = next(tmp_path.rglob("f_2.png"))
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(SinkError, match=r"f_2\.png has 50 bytes"):
        sink.close()
    assert list(tmp_path.iterdir()) == []


def test_too_large_for_webp_is_said(tmp_path: Path) -> None:
    frame = made("gray", 1, (17000, 4))[0]
    sink = open_sink(tmp_path / "o.webp", about([frame], stills=True), kind="matte")
    with pytest.raises(SinkError, match=r"17000x4 .*\.webp.*\.png"):
        sink.write(frame)
    sink.abort()


TIMES = [0, 9000, 27000, 36000, 63000]  # 0.1, 0.2, 0.1, 0.3 s apart


@pytest.mark.parametrize("extension", [".gif", ".webp", ".apng"])
@pytest.mark.parametrize("kind", ["composite", "cutout"])
def test_animations_keep_times_colours_and_alpha(tmp_path: Path, extension: str, kind: str) -> None:
    frames = made("yuv420p", 5, pts=TIMES, alpha=kind == "cutout")
    target = tmp_path / f"o{extension}"
    write(open_sink(target, about(frames, variable_rate=True), kind=kind), frames)
    with Image.open(target) as animation:
        assert animation.n_frames == 5
        assert animation.info.get("loop") == 0  # for ever
        pictures, lengths = [], []
        for picture in ImageSequence.Iterator(animation):
            pictures.append(np.array(picture.convert("RGBA")).astype(int))
            lengths.append(round(picture.info["duration"]))
    assert lengths[:4] == [100, 200, 100, 300]
    assert lengths[4] > 0
    for frame, picture in zip(frames, pictures, strict=True):
        inner = np.zeros((120, 160), bool)
        inner[4:56, 44:150] = True
        assert np.abs(picture[..., :3] - frame.rgb().astype(int))[inner].mean() < 9
        if kind == "cutout":
            assert frame.alpha is not None
            wanted = np.where(frame.alpha >= 128, 255, 0) if extension == ".gif" else frame.alpha
            assert np.abs(picture[..., 3] - wanted).max() <= 1
        else:
            assert picture[..., 3].min() == 255


@pytest.mark.parametrize("extension", [".gif", ".webp", ".apng"])
def test_a_picture_that_stands_still_keeps_its_time(tmp_path: Path, extension: str) -> None:
    still, *_, other = made("yuv420p", 20)
    frames = [replace(other if index == 4 else still, index=index, pts=time)
              for index, time in enumerate(TIMES)]
    write(open_sink(tmp_path / f"o{extension}", about(frames)), frames)
    with Image.open(tmp_path / f"o{extension}") as animation:
        lengths = []
        for item in ImageSequence.Iterator(animation):
            item.load()
            lengths.append(round(item.info["duration"]))
    assert sum(lengths[:-1]) == 700


@pytest.mark.parametrize("extension", [".gif", ".webp", ".apng"])
def test_an_animation_of_one_frame_is_a_picture(tmp_path: Path, extension: str) -> None:
    frames = made("yuv420p", 1, alpha=True)
    write(open_sink(tmp_path / f"o{extension}", about(frames), kind="cutout"), frames)
    back = np.array(Image.open(tmp_path / f"o{extension}").convert("RGBA"))
    assert back.shape == (120, 160, 4)
    assert (back[:, :40, 3] == 0).all()


def test_gif_says_that_alpha_becomes_one_bit_and_times_hundredths(tmp_path: Path) -> None:
    frames = made("yuv420p", 3, alpha=True)
    sink = write(open_sink(tmp_path / "o.gif", about(frames), kind="cutout"), frames)
    assert any("1 bit" in note for note in sink.notes)
    assert any("hundredths" in note for note in sink.notes)


def test_a_matte_in_webp_is_lossless(tmp_path: Path) -> None:
    frames = made("gray", 3)
    write(open_sink(tmp_path / "m.webp", about(frames), kind="matte"), frames)
    with Image.open(tmp_path / "m.webp") as animation:
        back = [np.array(item.convert("RGB")) for item in ImageSequence.Iterator(animation)]
    assert np.array_equal(np.stack(back)[..., 0], np.stack([frame.planes[0] for frame in frames]))


def test_null_counts_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sink = write(open_sink("null:", about(made(count=1))), made(count=5))
    assert (sink.frames, list(tmp_path.iterdir())) == (5, [])


@pytest.mark.parametrize(("arguments", "mode"), [([], "RGBA"), (["--background", "none"], "RGBA"),
                                                 (["--background", "blue"], "RGB"),
                                                 (["--background", "original"], "RGB")])
@pytest.mark.parametrize("source", ["photo.jpg", "-"])
def test_a_picture_to_standard_output_is_a_png(tmp_path: Path, arguments: list[str], mode: str, source: str) -> None:
    photo = tmp_path / "photo.jpg"
    Image.fromarray(clips.picture(3)).save(photo)
    command = [sys.executable, "-m", "streamseg", "run", source, "-o", "-", "--method", "threshold", *arguments]
    done = subprocess.run(command, capture_output=True, input=photo.read_bytes() if source == "-" else None, check=True,
                          cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    with Image.open(io.BytesIO(done.stdout)) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", mode, Image.open(photo).size)
        if mode == "RGBA":
            assert picture.getchannel("A").getextrema() == (0, 255)


def test_a_picture_to_standard_output_with_a_codec_is_a_film(tmp_path: Path) -> None:
    Image.fromarray(clips.picture(3)).save(tmp_path / "photo.png")
    command = [sys.executable, "-m", "streamseg", "run", "photo.png", "-o", "-", "--method", "threshold",
               "--codec", "ffv1"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout[:5] == b"nut/m"
