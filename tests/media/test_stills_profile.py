"""Colour profiles (ICC) of pictures: Pillow reads the bytes back, LittleCMS says what colours they mean."""

from __future__ import annotations

import gc
import io
import struct
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from streamseg.api import run
from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import Colour
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.sink.profile import with_profile
from streamseg.source.metadata import metadata_of
from tests import clips, stills
from tests.media.sink_tools import about, made, write
from tests.media.source_tools import read

BARE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # once: it holds the time


def wide(length: int | None = None, space: bytes = b"RGB ") -> bytes:
    """A profile whose red and green are sRGB's green and red, padded to ``length``: what is shown without it
    is far off. ``space``: another colour space in its header, which makes it one in name only."""
    data = bytearray(BARE)
    tags = struct.unpack_from(">I", data, 128)[0]
    places = {bytes(data[at:at + 4]): at for at in range(132, 132 + 12 * tags, 12)}
    red, green = places[b"rXYZ"] + 4, places[b"gXYZ"] + 4
    data[red:red + 4], data[green:green + 4] = data[green:green + 4], data[red:red + 4]
    data[16:20] = space
    data += bytes(np.random.default_rng(0).integers(0, 256, (length or len(data)) - len(data), np.uint8))
    data[:4] = struct.pack(">I", len(data))
    return bytes(data)


def photo(path: Path, profile: bytes, *, mode: str = "RGB", **how: Any) -> Path:
    """Written by Pillow; lossless where the format can."""
    Image.fromarray(clips.picture(3)).convert(mode).save(
        path, icc_profile=profile, **({"quality": 95} if path.suffix == ".jpg" else how))
    return path


def shown(path: Path) -> np.ndarray[Any, Any]:
    """The picture as a screen in sRGB shows it, as LittleCMS reads its profile."""
    with Image.open(path) as picture:
        own = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        seen = ImageCms.profileToProfile(picture.convert("RGB"), own, ImageCms.createProfile("sRGB"))
    assert seen is not None
    return np.array(seen).astype(int)


def profile_in(path: Path) -> bytes | None:
    with Image.open(path) as picture:
        picture.load()
        found: bytes | None = picture.info.get("icc_profile")
        return found


def through(source: Path, target: Path | str, **options: Any) -> list[str]:
    return run(source, target, **{"method": "threshold", "smooth": "none", "threads": 1, "overwrite": True,
                                  "background": "original", **options}).notes


@pytest.mark.parametrize("output", [".jpg", ".png", ".webp", ".tiff"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tiff"])
def test_a_photo_keeps_its_profile_and_its_colours(tmp_path: Path, source: str, output: str) -> None:
    profile = wide()
    path = photo(tmp_path / f"a{source}", profile)
    target = tmp_path / f"o{output}"
    assert through(path, target) == []
    assert profile_in(target) == profile
    assert np.abs(shown(target) - shown(path)).mean() < 4
    with Image.open(target) as bare:  # the test can fail: without the profile the colours are others
        assert np.abs(np.array(bare.convert("RGB")).astype(int) - shown(path)).mean() > 12


@pytest.mark.parametrize("suffix", [".png", ".apng"])
def test_a_png_with_a_profile_does_not_end_the_process(tmp_path: Path, suffix: str) -> None:
    """PyAV frees the profile's name twice once it was asked for side data: the tenth died, or the first."""
    path = tmp_path / f"a{suffix}"
    pictures = [Image.fromarray(clips.picture(number)) for number in range(3)]
    pictures[0].save(path, format="png", icc_profile=wide(), save_all=suffix == ".apng",
                     append_images=pictures[1:] if suffix == ".apng" else [])
    assert b"iCCP" in path.read_bytes()
    for _ in range(30):
        assert len(read(path)[1]) == (3 if suffix == ".apng" else 1)
        gc.collect()


@pytest.mark.parametrize("exif", [False, True])
@pytest.mark.parametrize(("kind", "name"), [("cutout", "c.png"), ("cutout", "c.webp"),
                                            ("cutout", "c.tiff"), ("foreground", "f.jpg")])
def test_cutouts_and_foregrounds_keep_it_and_mattes_have_none(tmp_path: Path, kind: str, name: str,
                                                              exif: bool) -> None:
    """With EXIF beside it, as in nearly every photo; upright, as nearly no telephone's."""
    tags = Image.Exif()
    tags[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.fromarray(clips.picture(3)).save(path, icc_profile=wide(), **({"exif": tags} if exif else {}))
    through(path, tmp_path / "o.png", background="green", matte=str(tmp_path / "m.png"),
            **{kind: str(tmp_path / name)})
    assert profile_in(tmp_path / "o.png") == profile_in(tmp_path / name) == wide()
    assert profile_in(tmp_path / "m.png") is None


def test_a_profile_of_several_segments_is_whole(tmp_path: Path) -> None:
    profile = wide(200_000)
    path = photo(tmp_path / "a.jpg", profile)
    for name in ("o.jpg", "o.png", "o.webp"):
        assert through(path, tmp_path / name) == []
        assert profile_in(tmp_path / name) == profile
        assert through(tmp_path / name, tmp_path / f"again_{name}") == []
        assert profile_in(tmp_path / f"again_{name}") == profile


def test_each_picture_of_a_folder_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photo(tmp_path / "in" / "a.jpg", wide())
    photo(tmp_path / "in" / "b.png", wide(2000))
    Image.fromarray(clips.picture(1)).save(tmp_path / "in" / "c.png")
    through(tmp_path / "in", f"{tmp_path}/out/")
    assert [profile_in(tmp_path / "out" / name) for name in ("a.jpg", "b.png", "c.png")] == [
        wide(), wide(2000), None]


@pytest.mark.parametrize("output", [".bmp"])
def test_an_output_that_cannot_carry_it_says_so(tmp_path: Path, output: str) -> None:
    notes = through(photo(tmp_path / "a.png", wide()), tmp_path / f"o{output}")
    assert notes == ["the picture's colour profile (ICC) is lost: streamseg writes none into "
                     f"{output}; .jpg, .jpeg, .png, .webp, .tiff, .tif keep it"]
    Image.fromarray(clips.picture(1)).save(tmp_path / "plain.png")
    assert through(tmp_path / "plain.png", tmp_path / f"p{output}") == []


@pytest.mark.parametrize("output", ["o.mkv", "o.webp"])
def test_a_film_of_pictures_says_once_that_it_holds_none(tmp_path: Path, output: str) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(clips.picture(1)).save(tmp_path / "in" / "0.png")
    for number in (1, 2):
        photo(tmp_path / "in" / f"{number}.png", wide())
    lost = [note for note in through(tmp_path / "in" / "%d.png", tmp_path / output) if "(ICC)" in note]
    assert len(lost) == 1
    assert "is lost: a film holds none" in lost[0]


@pytest.mark.parametrize(("mode", "space"), [("L", b"GRAY"), ("CMYK", b"CMYK")])
def test_a_profile_that_is_not_for_rgb_is_left_out_and_told(tmp_path: Path, mode: str, space: bytes) -> None:
    notes = through(photo(tmp_path / "a.jpg", wide(space=space), mode=mode), tmp_path / "o.png")
    assert any("not for RGB, which pictures become, is left out: a.jpg" in note for note in notes)
    assert profile_in(tmp_path / "o.png") is None


def test_what_is_no_profile_is_passed_over(tmp_path: Path) -> None:
    data = photo(tmp_path / "a.jpg", wide(200_000)).read_bytes()
    second = data.index(b"ICC_PROFILE\0\2\4")
    assert metadata_of(data).profile == wide(200_000)
    assert metadata_of(data[:second + 12] + b"\x09" + data[second + 13:]).profile is None  # 1, 9, 3, 4
    photo(tmp_path / "b.png", b"no profile at all" * 30)
    _, (frame,) = read(tmp_path / "b.png")
    assert frame.profile is None
    packed = photo(tmp_path / "c.png", wide()).read_bytes()
    at = packed.index(b"iCCP") + 20
    assert metadata_of(packed[:at] + b"\xff\xff\xff\xff" + packed[at + 4:]).profile is None
    assert metadata_of(b"").profile is metadata_of(b"II*\0").profile is metadata_of(b"\xff\xd8\xff\xe2").profile is None


@pytest.mark.parametrize("size", [(1, 1), (33, 20), (160, 121)])
@pytest.mark.parametrize(("channels", "quality"), [(3, 101), (4, 101), (3, 80), (4, 80)])
def test_webp_of_every_kind_takes_a_profile(size: tuple[int, int], channels: int, quality: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], channels), np.uint8)
    ok, data = cv2.imencode(".webp", noise, [cv2.IMWRITE_WEBP_QUALITY, quality])
    assert ok
    made = with_profile(data.tobytes(), ".webp", wide(1001))
    with Image.open(io.BytesIO(made)) as picture, Image.open(io.BytesIO(data.tobytes())) as before:
        assert picture.info["icc_profile"] == wide(1001)
        assert (picture.size, picture.mode) == (size, before.mode)
        assert np.array_equal(np.array(picture), np.array(before))
    decoded = cv2.imdecode(np.frombuffer(made, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decoded, cv2.imdecode(data, cv2.IMREAD_UNCHANGED))


def test_a_profile_travels_with_a_frame_and_not_with_what_it_says() -> None:
    planes = tuple(np.zeros((4, 4), np.uint8) for _ in range(3))
    frame = Frame(planes, "gbrp", Fraction(1, 25), 0, profile=wide())
    assert Frame.empty(frame).profile == wide()
    assert "profile" not in repr(frame)


@pytest.mark.parametrize(("name", "loaded"), [("a.mkv", False), ("a.mov", False), ("a.png", True)])
def test_pillow_is_loaded_for_pictures_and_not_for_videos(tmp_path: Path, name: str, loaded: bool) -> None:
    """Nor for a video of PNGs: its pictures have no EXIF."""
    path = tmp_path / name
    if name == "a.png":
        stills.image(path)
    else:
        clips.video(path, frames=3, codec="png" if name == "a.mov" else "libx264",
                    pix_fmt="rgb24" if name == "a.mov" else "yuv420p")
    code = (f"import sys\nfrom streamseg.source import open_source\nassert list(open_source({str(path)!r}))\n"
            "print('PIL' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
                          cwd=Path(__file__).parents[2])
    assert done.stdout.split() == [str(loaded)]


def test_damaged_exif_is_neither_an_error_nor_a_warning_on_the_screen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker with a name that does not fit into four bytes"
    path = tmp_path / "a.jpg"
    Image.fromarray(clips.picture(3)).save(path, exif=exif)
    data = bytearray(path.read_bytes())
    at = data.index(b"Exif\0\0") + 6
    data[at + 18:at + 22] = b"\xff\xff\xff\x7f"  # where the text begins
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="EXIF|File"):  # the test can fail
        Image.open(path).getexif()
    done = subprocess.run([sys.executable, "-m", "streamseg", "run", str(path), "-o", str(tmp_path / "o.png"), "-q",
                           "--method", "threshold"], capture_output=True, text=True, timeout=120,
                          cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")


def film(path: Path, primaries: int, transfer: int) -> Path:
    """Of 10 bits, tagged so; FFV1 and Matroska."""
    coding = Colour(9, 1, primaries, transfer)
    frames = [replace(frame, colour=coding) for frame in made("yuv420p10le", 2)]
    write(open_sink(path, about(frames), kind="composite", options=Options(codec="ffv1")), frames)
    return path


@pytest.mark.parametrize(("primaries", "transfer", "name"), [(9, 16, "BT.2020, PQ"), (9, 18, "BT.2020, HLG"),
                                                             (9, 14, "BT.2020"), (12, 13, "Display P3")])
def test_pictures_of_a_film_say_which_colours_they_have_or_that_they_do_not(tmp_path: Path, primaries: int,
                                                                            transfer: int, name: str) -> None:
    source = film(tmp_path / "in.mkv", primaries, transfer)
    said = run(source, tmp_path / "a_%d.png", method="threshold", background="original")
    assert not [note for note in said.notes if "colours are those" in note]
    data = (tmp_path / "a_1.png").read_bytes()
    assert b"cICP" + bytes([primaries, transfer, 0, 1]) in data[:200]
    with Image.open(tmp_path / "a_1.png") as picture:
        picture.load()  # checks the chunks' sums
    for target in ("b_%d.jpg", "b_%d.tiff", "b_%d.webp", "b.gif", "b.webp"):
        report = run(source, tmp_path / target, method="threshold", background="original")
        wanted = f"the colours are those of {name}, which .{target.rpartition('.')[2]} does not say"
        assert [note for note in report.notes if wanted in note], target


@pytest.mark.parametrize("primaries", [9, 11, 12])
def test_a_png_of_strange_primaries_and_no_transfer_says_them(tmp_path: Path, primaries: int) -> None:
    """And its note does not send to .png what .png is said not to hold."""
    frames = [replace(frame, colour=Colour(0, 2, primaries, 2)) for frame in made("gbrp", 1)]
    for name in ("a.png", "a.jpg"):
        sink = open_sink(tmp_path / name, about(frames), kind="composite", options=Options())
        write(sink, frames)
        assert any("colours are those" in note for note in sink.notes) is (name == "a.jpg")
    with Image.open(tmp_path / "a.png") as picture:
        picture.load()
        found = picture.info["chromaticity"]
    white = (0.314, 0.351) if primaries == 11 else (0.3127, 0.329)
    red = {9: (0.708, 0.292), 11: (0.68, 0.32), 12: (0.68, 0.32)}[primaries]  # ITU-T H.273, table 2
    assert found[:4] == pytest.approx((*white, *red))


def test_hdr_goes_through_numbered_pngs_and_back(tmp_path: Path) -> None:
    run(film(tmp_path / "in.mkv", 9, 16), tmp_path / "a_%d.png", method="threshold", background="original")
    run(tmp_path / "a_%d.png", tmp_path / "back.mkv", method="threshold", background="original", quality=95)
    told = clips.ffprobe(tmp_path / "back.mkv")["streams"][0]
    assert (told["color_primaries"], told["color_transfer"], told["color_space"]) == ("bt2020", "smpte2084", "bt2020nc")
    for before, after in zip(read(tmp_path / "in.mkv")[1], read(tmp_path / "back.mkv")[1], strict=True):
        assert np.abs(before.rgb().astype(int) - after.rgb()).mean() < 3


@pytest.mark.parametrize("colour", [Colour(1, 1, 1, 1), Colour(6, 1, 6, 6), Colour()])
def test_ordinary_colours_are_not_spoken_of(tmp_path: Path, colour: Colour) -> None:
    frames = [replace(frame, colour=colour) for frame in made("yuv420p", 1)]
    for name in ("a.png", "a.jpg"):
        sink = open_sink(tmp_path / name, about(frames), kind="composite", options=Options())
        write(sink, frames)
        assert not [note for note in sink.notes if "colours" in note]
    assert b"cICP" not in (tmp_path / "a.png").read_bytes()
