"""Still pictures, folders, numbered sequences and animations as inputs."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from streamseg.core.opencv import cv2
from streamseg.errors import DamagedInputError, SourceError
from streamseg.options import Options
from streamseg.source import open_source
from streamseg.source.integrity import missing_in_file
from tests import clips, damage, stills
from tests.media.source_tools import indices, read


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = stills.exif_image(tmp_path / f"camera{suffix}", orientation)
    source, (frame,) = read(path)
    assert (source.info.width, source.info.height) == clips.SIZE
    assert np.abs(frame.rgb().astype(int) - clips.picture(0)).mean() < 3
    if suffix == ".jpg":
        other = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)  # libjpeg and OpenCV's own reading
        assert np.abs(frame.rgb().astype(int) - other).mean() < 3


@pytest.mark.parametrize(("name", "arguments", "format"), [
    ("a.png", {}, "gbrp"), ("deep.png", {"deep": True}, "gbrp16le"), ("gray.png", {"kind": "gray"}, "gbrp"),
    ("pal.png", {"kind": "palette"}, "gbrp"), ("a.webp", {}, "gbrp"), ("a.bmp", {}, "gbrp"),
    ("a.tiff", {}, "gbrp"), ("a.ppm", {}, "gbrp"), ("rgba.png", {"kind": "rgba"}, "gbrp"),
    ("deep_rgba.png", {"kind": "rgba", "deep": True}, "gbrp16le"),
])
def test_lossless_stills_come_exactly(tmp_path: Path, name: str, arguments: dict[str, Any],
                                      format: str) -> None:
    source, (frame,) = read(stills.image(tmp_path / name, 5, **arguments))
    info = source.info
    assert (info.stills, info.frames, info.format, frame.format) == (True, 1, format, format)
    assert frame.name == name
    rgb = clips.picture(5)
    if arguments.get("kind") == "gray":
        rgb = np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    unit = 257 if frame.pixel.depth == 16 else 1
    for plane, channel in zip(frame.planes, (1, 2, 0), strict=True):
        assert np.array_equal(plane, rgb[..., channel].astype(plane.dtype) * unit)
    has_alpha = arguments.get("kind") == "rgba"
    assert info.has_alpha == (frame.alpha is not None) == has_alpha
    if has_alpha:
        assert np.array_equal(frame.alpha == frame.pixel.peak, clips.truth(5))


def test_jpeg_is_full_range_and_true_in_colour(tmp_path: Path) -> None:
    _, (frame,) = read(stills.image(tmp_path / "a.jpg", 9))
    assert frame.colour.full_range
    assert np.abs(frame.rgb().astype(int) - clips.picture(9)).mean() < 3


def test_a_folder_is_read_in_natural_order_with_names(tmp_path: Path) -> None:
    names = ["a1.png", "a2.jpg", "a10.webp"]
    path = stills.folder(tmp_path / "folder", names)
    (path / "notes.txt").write_text("no picture")
    stills.image(path / "z.png", 7, (96, 80))
    source, frames = read(path)
    assert source.info.stills
    assert [frame.name for frame in frames] == [*names, "z.png"]
    assert indices(frames) == [0, 1, 2, 7]
    assert (frames[-1].width, frames[-1].height) == (96, 80)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]


def test_only_selects_files_of_a_folder(tmp_path: Path) -> None:
    path = stills.folder(tmp_path / "folder", ["a.png", "b.jpg", "c.png"])
    assert indices(read(path, only="*.png")[1]) == [0, 2]
    with pytest.raises(SourceError, match=r"none of the 3 files .* matches '\*\.gif'"):
        open_source(path, Options(only="*.gif"))


def test_a_folder_without_pictures_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(SourceError, match=r"none of the 1 files in .* is a picture \(\.jpg"):
        open_source(tmp_path)


def test_a_damaged_file_stops_a_folder_or_is_left_out(tmp_path: Path) -> None:
    path = stills.folder(tmp_path / "folder", ["a.png", "b.png", "c.png"])
    damage.truncated(path / "b.png", path / "b.png")
    with pytest.raises(DamagedInputError, match=r"b\.png .*--on-error skip leaves such pictures out"):
        read(path)
    source, frames = read(path, on_error="skip")
    assert [frame.name for frame in frames] == ["a.png", "c.png"]
    assert [frame.index for frame in frames] == [0, 1]
    assert source.damaged == 1
    assert source.notes == ["1 picture could not be read: b.png"]


def test_a_truncated_jpeg_is_noticed_though_ffmpeg_fills_it_up(tmp_path: Path) -> None:
    path = damage.truncated(stills.image(tmp_path / "a.jpg", 0, (320, 240)), tmp_path / "b.jpg")
    with pytest.raises(DamagedInputError, match="JPEG's end mark is missing"):
        open_source(path)


def test_an_animation_in_a_folder_is_told(tmp_path: Path) -> None:
    stills.animation(tmp_path / "a.gif")
    source, frames = read(tmp_path, only="*.gif")
    assert indices(frames) == [0]
    assert len(source.notes) == 1
    assert "a.gif is animated: only its first picture is taken" in source.notes[0]


@pytest.mark.parametrize("alpha", [False, True])
def test_an_animated_webp_in_a_folder_gives_its_first_picture(tmp_path: Path, alpha: bool) -> None:
    stills.animation(tmp_path / "a.webp", alpha=alpha)
    stills.image(tmp_path / "b.webp", 3)
    source, frames = read(tmp_path)
    assert [frame.name for frame in frames] == ["a.webp", "b.webp"]
    assert source.damaged == 0
    assert source.notes == ["a.webp is animated: only its first picture is taken; give it alone to take all"]
    inside = clips.truth(0)
    assert np.array_equal(frames[0].rgb()[inside], clips.picture(0)[inside])
    assert (frames[0].alpha is not None) == alpha
    if alpha:
        assert np.array_equal(frames[0].alpha == 255, inside)


@pytest.mark.parametrize(("shape", "names"), [
    ("frame_%05d.png", ["frame_00007.png", "frame_00008.png", "frame_00009.png"]),
    ("%d.png", ["8.png", "9.png", "10.png"]),
    ("a%03d_x.jpg", ["a098_x.jpg", "a099_x.jpg", "a100_x.jpg"]),
])
def test_a_pattern_is_a_film(tmp_path: Path, shape: str, names: list[str]) -> None:
    path = stills.folder(tmp_path, [*names, "other.png"])
    source, frames = read(path / shape, rate="24")
    assert not source.info.stills
    assert indices(frames) == [0, 1, 2]
    assert [frame.name for frame in frames] == names
    assert [frame.time for frame in frames] == [Fraction(number, 24) for number in range(3)]
    assert source.info.rate == 24


def test_a_pattern_has_25_frames_a_second_unless_told(tmp_path: Path) -> None:
    stills.folder(tmp_path, [f"{number}.png" for number in range(10)])
    source, frames = read(tmp_path / "%d.png", start=0.1, duration=0.12)
    assert source.info.rate == 25
    assert indices(frames) == [3, 4, 5]


@pytest.mark.parametrize(("shape", "message"), [
    ("f_%03d.png", r"has gaps: 2 of 5 files are missing, first f_002\.png, f_004\.png"),
    ("g_%03d.png", "no file is named as"),
    ("f_%03d_%d.png", "must have one number"),
    ("f_%s.png", "must have one number"),
])
def test_what_is_wrong_with_a_pattern_is_said(tmp_path: Path, shape: str, message: str) -> None:
    stills.folder(tmp_path, ["f_001.png", "f_003.png", "f_005.png"])
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / shape)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng", ".png"])
def test_animations_keep_all_frames_and_delays(tmp_path: Path, suffix: str) -> None:
    delays = [40, 80, 200, 40, 120]
    path = stills.animation(tmp_path / f"a{suffix}", delays=delays)
    _, frames = read(path)
    assert indices(frames) == [0, 1, 2, 3, 4]
    assert [1000 * frame.time for frame in frames] == [0, 40, 120, 320, 360]
    assert [1000 * frame.duration * frame.time_base for frame in frames[:4]] == delays[:4]
    if suffix != ".gif":  # 256 colours
        assert np.array_equal(frames[3].rgb(), clips.picture(3))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_animations_keep_their_alpha(tmp_path: Path, suffix: str) -> None:
    source, frames = read(stills.animation(tmp_path / f"a{suffix}", alpha=True))
    assert source.info.has_alpha
    assert len(frames) == 5
    for frame in frames:
        assert clips.iou(frame.alpha > 127, clips.truth(frame.index)) == 1.0


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_animations_can_be_cut(tmp_path: Path, suffix: str) -> None:
    _, frames = read(stills.animation(tmp_path / f"a{suffix}", frames=40), start=1.0, duration=0.12)
    assert indices(frames) == [25, 26, 27]
    assert frames[0].pts == 0


def test_opencvs_own_reader_of_webp_animations_agrees(tmp_path: Path) -> None:
    path = stills.animation(tmp_path / "a.webp", alpha=True, delays=[30, 50, 70, 90, 110])
    _, found = cv2.imreadanimation(str(path))
    _, frames = read(path)
    assert [frame.duration for frame in frames] == [int(value) for value in found.durations]
    for frame, other in zip(frames, found.frames, strict=True):
        assert np.array_equal(frame.alpha, other[..., 3])
        shown = other[..., 3] > 0
        assert np.array_equal(frame.rgb()[shown], other[..., 2::-1][shown])


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_a_cut_off_animation_stops_or_is_counted(tmp_path: Path, suffix: str) -> None:
    path = damage.truncated(stills.animation(tmp_path / f"a{suffix}", frames=10), tmp_path / f"b{suffix}")
    with pytest.raises(DamagedInputError, match="--on-error skip"):
        read(path)
    source, frames = read(path, on_error="skip")
    assert 1 <= len(frames) < 10
    assert indices(frames) == list(range(len(frames)))
    assert source.damaged >= 1


# --- a JPEG's end ---

def jpeg(*, progressive: bool = False, size: tuple[int, int] = (320, 240)) -> bytes:
    """With restart marks, and noise that gives many stuffed FF00."""
    noisy = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8)
    ok, data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive),
                                            cv2.IMWRITE_JPEG_RST_INTERVAL, 4])
    assert ok
    return data.tobytes()


def with_thumbnail(data: bytes) -> bytes:
    """A whole JPEG in APP1, as cameras have it in their EXIF."""
    small = jpeg(size=(32, 24))
    return data[:2] + b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small + data[2:]


MP4_WITH_MARKS = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + b"\xff\xda\0\x08" * 5 + bytes(range(256)) * 40


@pytest.mark.parametrize("trailer", [MP4_WITH_MARKS, b"\0" * 100, b"\xff" * 100, jpeg(),
                                     jpeg() + MP4_WITH_MARKS])
@pytest.mark.parametrize("progressive", [False, True])
def test_what_follows_a_whole_jpeg_does_not_make_it_missing_in_file(tmp_path: Path, progressive: bool,
                                                            trailer: bytes) -> None:
    """A motion photo is a JPEG with an MP4 behind it."""
    data = with_thumbnail(jpeg(progressive=progressive))
    (tmp_path / "a.jpg").write_bytes(data + trailer)
    assert missing_in_file(tmp_path / "a.jpg") is None


def test_a_motion_photo_is_read(tmp_path: Path) -> None:
    path = stills.image(tmp_path / "a.jpg", 9)
    path.write_bytes(path.read_bytes() + MP4_WITH_MARKS)
    _, (frame,) = read(path)
    assert np.abs(frame.rgb().astype(int) - clips.picture(9)).mean() < 3


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_cut_off_wherever_it_ends_early(tmp_path: Path, progressive: bool) -> None:
    """Also behind the thumbnail, which has an end mark of its own; and as the second of two pictures."""
    data, path = with_thumbnail(jpeg(progressive=progressive)), tmp_path / "a.jpg"
    for end in (*range(4, len(data), len(data) // 40), len(data) - 2, len(data) - 1):
        for before in (b"", data):
            path.write_bytes(before + data[:end])
            assert missing_in_file(path) == "JPEG's end mark is missing", end


def test_a_film_of_jpegs_is_cut_off_in_its_last_picture(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mjpeg", codec="mjpeg", frames=25, pix_fmt="yuvj420p")
    assert missing_in_file(path) is None
    assert indices(read(path)[1]) == list(range(25))
    path.write_bytes(path.read_bytes()[:-200])
    assert missing_in_file(path) == "JPEG's end mark is missing"


def test_damage_that_looks_like_a_marker_hides_no_end(tmp_path: Path) -> None:
    data = bytearray(jpeg())
    data[len(data) // 2:len(data) // 2 + 4] = b"\xff\xe1\xee\xee"  # a segment longer than what follows
    (tmp_path / "a.jpg").write_bytes(bytes(data))
    assert missing_in_file(tmp_path / "a.jpg") is None


def test_a_jpeg_with_megabytes_behind_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(size=(2400, 1800)) + b"\xff" * 8_000_000)
    assert missing_in_file(path) is None


@pytest.mark.parametrize(("name", "arguments"), [
    ("a.dng", {}), ("a.nef", {"dng": False}), ("a.tif", {"dng": False, "compression": 34713})])
def test_a_cameras_raw_picture_is_no_picture_yet(tmp_path: Path, name: str, arguments: dict[str, Any]) -> None:
    raw = stills.camera_raw(tmp_path / name, **arguments)
    assert Image.open(raw).size == (16, 12)  # the small copy is what a reader of plain TIFF sees
    with pytest.raises(SourceError, match=rf"{name} is a camera's raw picture, .* save it as TIFF, PNG or JPEG"):
        read(raw)


@pytest.mark.parametrize("before", [b"%PDF-1.3\n", b"PK\3\4", b"IIU\0", b"\0"])
def test_a_file_that_holds_a_jpeg_somewhere_is_no_film_of_jpegs(tmp_path: Path, before: bytes) -> None:
    picture = stills.image(tmp_path / "a.jpg").read_bytes()
    path = tmp_path / "a.bin"
    path.write_bytes(before + bytes(300) + picture + b"the rest")
    with pytest.raises(SourceError, match="is not a video or a picture: it has a JPEG somewhere inside"):
        read(path)
    with path.open("rb") as file, pytest.raises(SourceError, match="somewhere inside"):
        open_source(file, Options())
    path.write_bytes(2 * picture)
    assert len(read(path)[1]) == 2


@pytest.mark.parametrize("piped", [False, True])
def test_nor_is_it_one_as_standard_input(tmp_path: Path, piped: bool) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.3\n" + stills.image(tmp_path / "a.jpg").read_bytes())
    command = [sys.executable, "-m", "streamseg", "run", "-", "-o", str(tmp_path / "a.mkv"), "--method", "threshold"]
    with path.open("rb") as file:
        given: dict[str, Any] = {"input": file.read()} if piped else {"stdin": file}
        done = subprocess.run(command, capture_output=True, **given)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"standard input is not a video or a picture: it has a JPEG somewhere inside" in done.stderr
    assert not (tmp_path / "a.mkv").exists()


def test_what_is_standard_input_is_looked_at_without_what_windows_lacks(tmp_path: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    film = clips.video(tmp_path / "a.mjpeg", codec="mjpeg", pix_fmt="yuvj420p", format="mjpeg", frames=3)
    document = tmp_path / "a.pdf"
    document.write_bytes(b"%PDF-1.3\n" + stills.image(tmp_path / "a.jpg").read_bytes())
    monkeypatch.delattr("os.pread", raising=False)
    with film.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert len(read("-")[1]) == 3
    with document.open() as file, pytest.raises(SourceError, match="somewhere inside"):
        monkeypatch.setattr("sys.stdin", file)
        read("-")
