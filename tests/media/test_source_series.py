"""Several pictures in one file: one after another they are a film, of several sizes the largest is taken."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamseg.api import run
from streamseg.core.file_names import PICTURES
from streamseg.source import open_source
from tests import clips, stills

from .source_tools import indices, read
from .test_source_errors import piped


def coded(number: int, suffix: str, size: tuple[int, int] = clips.SIZE) -> bytes:
    """One picture with its number in it, written by Pillow."""
    file = io.BytesIO()
    kind = {".jpg": "JPEG", ".png": "PNG", ".bmp": "BMP", ".ppm": "PPM"}[suffix]
    Image.fromarray(clips.picture(number, size)).save(file, kind, quality=95)
    return file.getvalue()


def one_after_another(path: Path, count: int = 5) -> Path:
    path.write_bytes(b"".join(coded(number, path.suffix) for number in range(count)))
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".ppm"])
def test_pictures_one_after_another_are_a_film(tmp_path: Path, suffix: str) -> None:
    path = one_after_another(tmp_path / f"a{suffix}")
    source, frames = read(path)
    assert indices(frames) == [0, 1, 2, 3, 4]
    assert not source.info.stills
    assert any("25 frames a second are assumed; --rate" in note for note in source.notes)
    slow, frames = read(path, rate=5)
    assert [float(frame.time) for frame in frames] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert slow.notes == []
    run(path, tmp_path / "o.mkv", method="threshold", background="green", rate=10)
    found = clips.ffprobe(tmp_path / "o.mkv")
    assert found["streams"][0]["nb_read_frames"] == "5"
    assert float(found["format"]["duration"]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("count", [1, 5])
def test_a_pipe_and_a_file_object_tell_a_film_from_a_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                           suffix: str, count: int) -> None:
    data = one_after_another(tmp_path / f"a{suffix}", count).read_bytes()
    with piped(monkeypatch, data):
        source, frames = read("-")
    assert (source.info.stills, indices(frames)) == (count == 1, list(range(count)))
    source, frames = read(io.BytesIO(data))
    assert (source.info.stills, indices(frames)) == (count == 1, list(range(count)))


@pytest.mark.parametrize("kind", ["mpo", "gain map"])
def test_what_belongs_to_a_photo_is_no_further_picture(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    if kind == "mpo":  # two of one size, as stereoscopic cameras write
        pair = [Image.fromarray(clips.picture(number)) for number in (0, 1)]
        pair[0].save(path, "MPO", save_all=True, append_images=pair[1:], quality=95)
    else:
        path.write_bytes(coded(0, ".jpg") + coded(1, ".jpg", (80, 60)))
    source, frames = read(path)
    assert (source.info.stills, indices(frames)) == (True, [0])


def test_a_damaged_second_picture_makes_no_still(tmp_path: Path) -> None:
    second = bytearray(coded(1, ".png"))
    second[60:90] = bytes(30)
    path = tmp_path / "a.png"
    path.write_bytes(coded(0, ".png") + bytes(second) + coded(2, ".png"))
    source, frames = read(path, on_error="skip")
    assert (source.info.stills, source.damaged, indices(frames)) == (False, 1, [0, 2])


def test_in_a_folder_the_first_is_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for suffix in (".jpg", ".png"):
        one_after_another(tmp_path / "in" / f"a{suffix}", 3)
    source, frames = read(tmp_path / "in")
    assert (source.info.stills, indices(frames)) == (True, [0, 0])
    assert sum("holds several pictures, one after another" in note for note in source.notes) == 2


def icon(path: Path) -> Path:
    sizes = [(16, 12), (160, 120), (64, 48)]
    shown = [Image.fromarray(clips.picture(0, size)) for size in sizes]
    shown[1].save(path, sizes=sizes, append_images=[shown[0], shown[2]])
    return path


def test_of_an_icon_the_largest_is_taken_and_it_is_a_still(tmp_path: Path) -> None:
    path = icon(tmp_path / "a.ico")
    assert ".ico" in PICTURES
    for spec in (path, io.BytesIO(path.read_bytes())):
        source, frames = read(spec)
        assert (source.info.stills, len(frames), frames[0].width) == (True, 1, 160)
        assert np.array_equal(frames[0].rgb(), clips.picture(0, (160, 120)))
        assert any("holds 3 pictures: the largest is taken, 160 x 120" in note for note in source.notes)
    with av.open(str(path)) as file:  # FFmpeg's order
        widths = [stream.codec_context.width for stream in file.streams.video]
    source, frames = read(path, stream=widths.index(16))
    assert (frames[0].width, source.notes) == (16, [])


def test_of_a_tiff_with_pages_the_first_is_taken_and_told(tmp_path: Path) -> None:
    pages = [Image.fromarray(clips.picture(number)) for number in range(3)]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    source, frames = read(tmp_path / "a.tiff")
    assert indices(frames) == [0]
    assert any("has 3 pages: only the first is taken" in note for note in source.notes)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_single_avif_is_a_still_upright(tmp_path: Path, orientation: int) -> None:
    path, shown = tmp_path / "a.avif", clips.picture(0, (160, 120))
    exif = Image.Exif()
    exif[0x112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(stills.oriented(shown, orientation)))
    stored.save(path, exif=exif, quality=95)  # Pillow writes the turn as the box 'irot'
    for spec in (path, io.BytesIO(path.read_bytes())):
        source = open_source(spec)
        (frame,) = list(source)
        source.close()
        assert source.info.stills
        assert np.abs(frame.rgb().astype(int) - shown).mean() < 6
    run(path, tmp_path / "o.png", method="threshold")
    with Image.open(tmp_path / "o.png") as out:
        assert (out.size, out.mode) == ((160, 120), "RGBA")
