"""TIFFs and JP2 in forms that FFmpeg decodes to another picture, or not at all; Pillow's reading is the oracle."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

import streamseg
from streamseg.errors import DamagedInputError, SourceError
from tests import clips, damage, stills
from tests.media.source_tools import read

needs_libtiff = pytest.mark.skipif(not features.check("libtiff"), reason="this Pillow has no libtiff")


def written(path: Path, mode: str = "RGB", compression: str = "jpeg", **more: Any) -> Image.Image:
    """A picture in a TIFF of this kind, as Pillow reads it."""
    rgb = Image.fromarray(clips.picture(0))
    made = Image.fromarray(np.asarray(rgb.convert("L")) / np.float32(255)) if mode == "F" else rgb.convert(mode)
    try:
        made.save(path, compression=compression, **more)
    except OSError:
        pytest.skip(f"this libtiff has no {compression}")
    return Image.open(path)


@needs_libtiff
@pytest.mark.parametrize(("mode", "compression"), [
    ("RGB", "jpeg"), ("L", "jpeg"), ("RGBA", "jpeg"), ("LA", "jpeg"), ("CMYK", "jpeg"), ("YCbCr", "jpeg"),
    ("RGB", "zstd"), ("RGB", "lzma"), ("YCbCr", "raw"), ("YCbCr", "tiff_lzw"), ("PA", "tiff_lzw"),
    ("RGB", "tiff_lzw"), ("L", "packbits"), ("1", "group4"), ("P", "tiff_lzw")])  # these FFmpeg reads
def test_a_tiff_is_read_as_pillow_reads_it(mode: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    wanted = np.asarray(written(path, mode, compression).convert("RGB"), int)
    assert wanted.std() > 30
    for given in (path, io.BytesIO(path.read_bytes())):
        _, (frame,) = read(given)
        assert np.abs(frame.rgb().astype(int) - wanted).max() <= 3


@needs_libtiff
def test_alpha_beside_jpeg_is_kept(tmp_path: Path) -> None:
    shown = np.dstack([clips.picture(0), clips.truth(0).astype(np.uint8) * 255])
    Image.fromarray(shown).save(tmp_path / "a.tiff", compression="jpeg")
    wanted = np.asarray(Image.open(tmp_path / "a.tiff"), int)[:, :, 3]
    _, (frame,) = read(tmp_path / "a.tiff")
    assert frame.alpha is not None
    assert np.abs(frame.alpha.astype(int) - wanted).max() <= 1


@needs_libtiff
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_it_is_turned_once(orientation: int, tmp_path: Path) -> None:
    stored = Image.fromarray(stills.oriented(clips.picture(0), orientation))
    stored.save(tmp_path / "a.tiff", compression="jpeg", quality=95, tiffinfo={274: orientation})
    _, (frame,) = read(tmp_path / "a.tiff")
    assert (frame.width, frame.height) == clips.SIZE
    assert np.abs(frame.rgb().astype(int) - clips.picture(0)).mean() < 4


def test_grey_floats_are_0_to_1(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (64, 1))
    Image.fromarray(ramp).save(tmp_path / "a.tiff")
    streamseg.run(tmp_path / "a.tiff", tmp_path / "o.png", method="threshold", background="original")
    found = np.asarray(Image.open(tmp_path / "o.png").convert("RGB"), int)
    assert np.abs(found - np.round(255 * ramp)[:, :, None]).max() <= 1


def test_floats_of_three_colours_are_0_to_1_too(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    ramp = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (64, 1))
    tifffile.imwrite(tmp_path / "a.tiff", np.dstack([ramp, ramp[:, ::-1], ramp * 0.5]), photometric="rgb")
    _, (frame,) = read(tmp_path / "a.tiff")
    wanted = np.round(255 * np.dstack([ramp, ramp[:, ::-1], ramp * 0.5]))
    assert np.abs(frame.rgb().astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(("kind", "said"), [(np.float16, "16-bit floating point"), (np.int16, "signed whole numbers")])
def test_halves_and_signed_numbers_are_not_taken_for_others(tmp_path: Path, kind: Any, said: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "a.tiff", np.full((48, 64), 1, kind))
    with pytest.raises(SourceError, match=f"a TIFF of {said}"):
        read(tmp_path / "a.tiff")


def test_what_is_not_read_without_loss_is_refused_in_words(tmp_path: Path) -> None:
    Image.fromarray(np.full((48, 64), 70_000, np.int32)).save(tmp_path / "a.tiff")
    with pytest.raises(SourceError, match="a TIFF of 32-bit whole numbers, whose white is not known: save it with 8"):
        read(tmp_path / "a.tiff")


@needs_libtiff
def test_damage_and_size_are_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "a.tiff", quality=95)
    width, height = clips.SIZE
    with pytest.raises(SourceError, match=f"is {width} x {height}, .*--max-pixels {width * height} raises"):
        read(tmp_path / "a.tiff", max_pixels=width * height - 1)
    for seed in range(8):
        path = damage.flipped(tmp_path / "a.tiff", tmp_path / "b.tiff", seed=seed, count=400, span=(0.1, 0.9))
        with pytest.raises(DamagedInputError, match="a JPEG in it is damaged"):
            read(path)
    assert capfd.readouterr() == ("", "")  # libtiff keeps to itself


@needs_libtiff
@pytest.mark.parametrize("colours", [5, 32803])
def test_jpeg_in_a_form_that_pillow_does_not_know_is_not_read_as_black(colours: int, tmp_path: Path) -> None:
    written(tmp_path / "a.tiff")
    data = bytearray((tmp_path / "a.tiff").read_bytes())
    begin, = struct.unpack_from("<I", data, 4)
    count, = struct.unpack_from("<H", data, begin)
    place, = (at for at in range(begin + 2, begin + 2 + 12 * count, 12) if struct.unpack_from("<H", data, at)[0] == 262)
    struct.pack_into("<H", data, place + 8, colours)
    (tmp_path / "a.tiff").write_bytes(data)
    with pytest.raises(SourceError, match="in a form that is not read"):
        read(tmp_path / "a.tiff")


@needs_libtiff
@pytest.mark.parametrize("tag", [273, 279, 347])  # places and lengths of the strips, their tables
@pytest.mark.parametrize("type", [2, 5, 6, 12])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_tags_of_a_type_that_they_cannot_have_are_no_internal_error(tag: int, type: int, tmp_path: Path) -> None:
    written(tmp_path / "a.tiff")
    data = bytearray((tmp_path / "a.tiff").read_bytes())
    begin, = struct.unpack_from("<I", data, 4)
    count, = struct.unpack_from("<H", data, begin)
    place, = (at for at in range(begin + 2, begin + 2 + 12 * count, 12) if struct.unpack_from("<H", data, at)[0] == tag)
    struct.pack_into("<H", data, place + 2, type)
    (tmp_path / "a.tiff").write_bytes(data)
    with contextlib.suppress(DamagedInputError):  # libtiff takes some of them
        assert len(read(tmp_path / "a.tiff")[1]) == 1


# --- JPEG 2000 --------------------------------------------------------------------------------

needs_openjpeg = pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow has no OpenJPEG")


@needs_openjpeg
@pytest.mark.parametrize("mode", ["YCbCr", "RGB", "L"])
def test_a_jpeg_2000_is_read_in_its_colours(mode: str, tmp_path: Path) -> None:
    Image.fromarray(clips.picture(0)).convert(mode).save(tmp_path / "a.jp2")
    wanted = np.asarray(Image.open(tmp_path / "a.jp2").convert("RGB"), int)
    for given in (tmp_path / "a.jp2", io.BytesIO((tmp_path / "a.jp2").read_bytes())):
        _, (frame,) = read(given)
        assert np.abs(frame.rgb().astype(int) - wanted).max() <= 3


@needs_openjpeg
def test_inks_are_not_taken_for_rgb_and_alpha(tmp_path: Path) -> None:
    Image.fromarray(clips.picture(0)).convert("CMYK").save(tmp_path / "a.jp2")
    with pytest.raises(SourceError, match="a JPEG 2000 in CMYK, which is not read: save it in RGB"):
        read(tmp_path / "a.jp2")
