"""OpenEXR pictures, read back with OpenEXR's own Python; numbers of sequences."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import streamseg
from streamseg.api import run
from streamseg.core import curves
from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import Colour
from streamseg.errors import MissingDependencyError, OptionError
from streamseg.options import Options
from streamseg.sink import open_sink
from tests import clips

from .sink_tools import about, made, write


def read_exr(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    library = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install '.[exr]'")
    with library.File(str(path), separate_channels=True) as file:
        return dict(file.header()), {name: np.array(item.pixels) for name, item in file.channels().items()}


def grey(level: int, transfer: int, format: str = "gbrp16le", alpha: int = 65535) -> Frame:
    plane = np.full((8, 8), level, np.uint16)
    return Frame((plane,) * 3, format, Fraction(1, 25), 0, 0, Colour(0, 2, 1, transfer),
                 alpha=np.full_like(plane, alpha))


def written(path: Path, frame: Frame, kind: str = "cutout", **options: str) -> Path:
    pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install '.[exr]'")
    write(open_sink(path, about([frame], stills=True), kind=kind, options=Options(codec_set=options)), [frame])
    return path


@pytest.mark.parametrize(("type", "dtype"), [("half", np.float16), ("float", np.float32)])
@pytest.mark.parametrize("compression", ["zip", "piz", "dwaa", "none"])
def test_type_and_compression_are_those_asked_for(tmp_path: Path, type: str, dtype: Any, compression: str) -> None:
    frame = made("gbrp12le", 1, alpha=True)[0]
    header, channels = read_exr(written(tmp_path / "o.exr", frame, type=type, compression=compression, light="encoded",
                                        alpha="straight"))
    assert set(channels) == {"R", "G", "B", "A"}
    assert {plane.dtype for plane in channels.values()} == {np.dtype(dtype)}
    assert header["compression"].name == f"{'NO' if compression == 'none' else compression.upper()}_COMPRESSION"
    assert frame.alpha is not None
    exact = 2e-2 if compression == "dwaa" else 1e-3 if type == "half" else 1e-5
    for name, plane in zip("RGBA", (frame.planes[2], frame.planes[0], frame.planes[1], frame.alpha), strict=True):
        assert np.abs(channels[name] - plane / 4095.0).max() < exact
    if compression != "dwaa":
        assert channels["A"].min() == 0
        assert channels["A"].max() == 1


@pytest.mark.parametrize(("level", "transfer", "light"), [
    # known answers: sRGB's and BT.709's middle grey, PQ of 203 and 1000 cd/m2 (BT.2408), HLG's 75 % and BT.709's white
    (188 * 257, 13, 0.5029), (0.409 * 65535, 1, 0.18), (0.5807 * 65535, 16, 1.0), (0.7518 * 65535, 16, 1000 / 203),
    (0.75 * 65535, 18, 1.0), (65535, 1, 1.0), (0.5 * 65535, 8, 0.5)])
def test_light_is_linear(tmp_path: Path, level: float, transfer: int, light: float) -> None:
    _, channels = read_exr(written(tmp_path / "o.exr", grey(round(level), transfer), type="float"))
    assert channels["G"][4, 4] == pytest.approx(light, rel=3e-3)


def test_colours_are_premultiplied_unless_they_are_to_be_straight(tmp_path: Path) -> None:
    frame = grey(65535, 13, alpha=16384)
    _, usual = read_exr(written(tmp_path / "a.exr", frame, type="float"))
    _, straight = read_exr(written(tmp_path / "b.exr", frame, type="float", alpha="straight"))
    assert (usual["R"][0, 0], usual["A"][0, 0]) == pytest.approx((0.25, 0.25), abs=1e-4)
    assert (straight["R"][0, 0], straight["A"][0, 0]) == pytest.approx((1, 0.25), abs=1e-4)


def test_a_matte_is_one_channel_and_an_opaque_picture_has_no_alpha(tmp_path: Path) -> None:
    frame = made("gray10le", 1)[0]
    _, channels = read_exr(written(tmp_path / "m.exr", frame, "matte"))
    assert set(channels) == {"Y"}
    assert np.abs(channels["Y"] - frame.planes[0] / 1023).max() < 1e-3
    _, channels = read_exr(written(tmp_path / "o.exr", made("yuv420p", 1)[0], "composite"))
    assert set(channels) == {"R", "G", "B"}


def test_primaries_are_told(tmp_path: Path) -> None:
    frame = made("yuv420p10le", 1, alpha=True, colour=Colour(9, 1, 9, 16))[0]
    header, _ = read_exr(written(tmp_path / "o.exr", frame))
    assert header["chromaticities"] == pytest.approx((0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290))


@pytest.mark.parametrize("compression", ["zip", "dwaa"])
def test_matte_colour_and_composite_are_layers_of_one_file(tmp_path: Path, compression: str) -> None:
    pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install '.[exr]'")
    source = clips.video(tmp_path / "in.mkv", frames=2)
    told = {"type": "float", "light": "encoded", "compression": compression, "layers": "yes"}
    run(source, [tmp_path / "o_%04d.exr", tmp_path / "c_%04d.png"], background="#ff0000", method="threshold",
        matte=str(tmp_path / "m_%04d.png"), foreground=str(tmp_path / "f_%04d.png"), codec_set=told)
    _, found = read_exr(tmp_path / "o_0002.exr")
    layers = {name: np.dstack([found[f"{name}.{part}"] for part in "RGB"]) for name in ("colour", "composite")}
    assert set(found) == {*"RGBA", "matte.Y", *(f"{name}.{part}" for name in layers for part in "RGB")}
    lossy = 0.05 if compression == "dwaa" else 0.004  # PNG has 8 bits
    for name, prefix in (("colour", "f"), ("composite", "c"), ("matte", "m")):
        shown = np.asarray(Image.open(tmp_path / f"{prefix}_0002.png"), np.float32) / 255
        assert np.abs((found["matte.Y"] if name == "matte" else layers[name]) - shown).max() < lossy
    matte = found["matte.Y"]
    assert 0.02 < (matte > 0.5).mean() < 0.98
    assert np.abs(found["A"] - matte).max() < lossy
    assert np.abs(np.dstack([found[part] for part in "RGB"]) - layers["colour"] * matte[..., None]).max() < lossy
    assert layers["composite"][matte == 0].mean(0) == pytest.approx([1, 0, 0], abs=0.05)  # chroma of the rim


def test_without_a_background_there_is_no_composite_among_the_layers(tmp_path: Path) -> None:
    pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install '.[exr]'")
    source = clips.video(tmp_path / "in.mkv", frames=1)
    run(source, tmp_path / "o_%d.exr", method="threshold", codec_set={"layers": "yes"})
    assert set(read_exr(tmp_path / "o_1.exr")[1]) == {*"RGBA", "matte.Y", "colour.R", "colour.G", "colour.B"}


@pytest.mark.parametrize(("options", "said"), [({"preset": "slow"}, "preset"), ({"type": "int"}, "half, float"),
                                               ({"compression": "lzw"}, "dwaa")])
def test_other_options_are_refused(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        open_sink(tmp_path / "o.exr", about(made(count=1)), options=Options(codec_set=options))
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_it_says_which_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'streamseg\[exr\]'"):
        open_sink(tmp_path / "o.exr", about(made(count=1)))


@pytest.mark.parametrize("name", ["o_%04d.png", "o_%04d.tiff"])
def test_16_bit_cutouts_keep_their_bits(tmp_path: Path, name: str) -> None:
    from streamseg.core.opencv import cv2

    frame = grey(43690, 13, alpha=65535)
    write(open_sink(tmp_path / name, about([frame]), kind="cutout"), [frame])
    back = cv2.imread(str(tmp_path / (name % 1)), cv2.IMREAD_UNCHANGED)
    assert back.dtype == np.uint16
    assert (back == [43690, 43690, 43690, 65535]).all()


# --- numbers --------------------------------------------------------------------------------------------

@pytest.fixture
def sequence(tmp_path: Path) -> str:
    for number in range(1001, 1004):
        Image.fromarray(clips.picture(number - 1001)).save(tmp_path / f"shot_{number}.png")
    return str(tmp_path / "shot_%04d.png")


def names(folder: Path, pattern: str) -> list[str]:
    return sorted(item.name for item in folder.glob(pattern))


def test_a_sequence_keeps_its_numbers(tmp_path: Path, sequence: str) -> None:
    run(sequence, tmp_path / "o_%05d.png", method="threshold", matte=str(tmp_path / "m_%d.png"))
    assert names(tmp_path, "o_*") == ["o_01001.png", "o_01002.png", "o_01003.png"]
    assert names(tmp_path, "m_*") == ["m_1001.png", "m_1002.png", "m_1003.png"]


def test_the_first_number_may_be_given(tmp_path: Path, sequence: str, clip: Path) -> None:
    run(sequence, tmp_path / "o_%03d.png", method="threshold", start_number=5)
    assert names(tmp_path, "o_*") == ["o_005.png", "o_006.png", "o_007.png"]
    run(clip, tmp_path / "c_%04d.png", method="threshold", start_number=1001, duration=0.1)
    assert names(tmp_path, "c_*")[0] == "c_1001.png"


def test_a_film_is_counted_from_one(tmp_path: Path, clip: Path) -> None:
    run(clip, tmp_path / "c_%04d.png", method="threshold", duration=0.1)
    assert names(tmp_path, "c_*")[0] == "c_0001.png"


def srgb(light: Any) -> Any:
    """IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)


def saved(path: Path, dtype: Any = np.float32, **channels: Any) -> Path:
    library = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install '.[exr]'")
    with library.File({}, {name: np.ascontiguousarray(plane, dtype) for name, plane in channels.items()}) as file:
        file.write(str(path))
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("output", ["o.png", "o.tiff", "o.exr", "o.mkv", "o.jpg"])
def test_linear_light_is_seen_as_bright_as_it_is_in_every_output(tmp_path: Path, output: str, dtype: Any) -> None:
    """0.2140 of white's light is sRGB's 127.5; it was written as 55."""
    colours = {"R": 0.2140, "G": 0.5, "B": 0.0512}
    path = saved(tmp_path / "in.exr", dtype, **{name: np.full((16, 24), light) for name, light in colours.items()})
    target = tmp_path / output
    report = run(path, target, method="threshold", background="original",
                 codec="ffv1" if output == "o.mkv" else None)
    assert not [note for note in report.notes if "brighter" in note]
    if output == "o.exr":
        for name, light in colours.items():
            assert read_exr(target)[1][name] == pytest.approx(light, rel=2e-3)
        return
    found = next(iter(streamseg.open_source(target))).rgb()[8, 12]
    assert np.abs(found - 255 * srgb(np.array(list(colours.values())))).max() <= (2.5 if output == "o.jpg" else 1)


def test_colours_multiplied_by_alpha_are_straight_again(tmp_path: Path) -> None:
    """A ramp of alpha; where it is 0 there is nothing to divide."""
    alpha = np.linspace(0, 1, 32)[None].repeat(16, 0)
    path = saved(tmp_path / "in.exr", R=0.5 * alpha, G=0.25 * alpha, B=0 * alpha, A=alpha)
    frame = next(iter(streamseg.open_source(path)))
    assert frame.alpha is not None
    assert np.abs(frame.alpha / 65535 - alpha).max() < 1e-4
    green, blue, red = frame.planes
    for plane, light in ((red, 0.5), (green, 0.25), (blue, 0.0)):
        assert np.abs(plane[:, 1:] / 65535 - srgb(np.float64(light))).max() < 1e-3
        assert not plane[:, 0].any()


def test_what_is_brighter_than_white_is_told_of(tmp_path: Path) -> None:
    light = np.ones((16, 24))
    saved(tmp_path / "f_1.exr", R=light, G=light, B=light)
    saved(tmp_path / "f_2.exr", R=light * 3, G=light, B=light * np.nan)
    report = run(tmp_path / "f_%d.exr", tmp_path / "o_%d.png", method="threshold", background="original")
    assert [note for note in report.notes if "brighter than white" in note] == [
        "what is brighter than white (1.0) is cut off: f_2.exr"]
    assert np.asarray(Image.open(tmp_path / "o_2.png"))[8, 12].tolist() == [255, 255, 0]


@pytest.mark.parametrize("name", ["m.exr", "m.pfm"])
def test_the_numbers_of_a_given_matte_are_alpha(tmp_path: Path, name: str) -> None:
    """Not light: half is half."""
    alpha = np.full((48, 64), 0.5, np.float32)
    if name == "m.exr":
        saved(tmp_path / name, Y=alpha)
    else:
        (tmp_path / name).write_bytes(b"Pf\n64 48\n-1.0\n" + alpha.tobytes())
    assert cv2.imwrite(str(tmp_path / "in.png"), np.full((48, 64, 3), 90, np.uint8))
    (_, matte), = streamseg.mattes(tmp_path / "in.png", matte_in=str(tmp_path / name))
    assert np.abs(matte.alpha - 0.5).max() < 2e-3


@pytest.mark.parametrize("names", ["YA", "Y"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_grey_exr_is_read_as_light_and_does_not_end_the_process(tmp_path: Path, names: str, dtype: Any) -> None:
    """FFmpeg decodes it to yaf32, on which swscale aborts; grayf32 is moved as if its range were limited."""
    library = pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install '.[exr]'")
    ramp = np.linspace(0, 1, 32, dtype=dtype)[None].repeat(16, 0)
    with library.File({}, {name: ramp if name == "Y" else ramp[:, ::-1].copy() for name in names}) as file:
        file.write(str(tmp_path / "in.exr"))
    script = ("import sys, numpy as np; from streamseg import open_source; f = next(iter(open_source(sys.argv[1])));"
              "a = f.planes[0] if f.alpha is None else f.alpha;"
              "np.savez(sys.argv[2], grey=f.planes[0] / f.pixel.peak, alpha=a / f.pixel.peak)")
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "in.exr"), str(tmp_path / "o.npz")], check=True)
    found = np.load(tmp_path / "o.npz")
    light = ramp.astype(np.float64)
    if names == "YA":  # multiplied by alpha
        light = np.clip(np.divide(light, light[:, ::-1], out=light.copy(), where=light[:, ::-1] > 0), 0, 1)
    assert np.abs(found["grey"] - srgb(light)).max() < 1e-3
    assert np.abs(found["alpha"] - (ramp[:, ::-1] if names == "YA" else srgb(light))).max() < 1e-3
    assert (found["grey"].min(), found["grey"].max()) == (0, 1)


@pytest.mark.parametrize("light", ["linear", "encoded"])
@pytest.mark.parametrize("colour", [Colour(1, 1, 1, 1), Colour(), Colour(9, 1, 9, 16), Colour(9, 1, 9, 18),
                                    Colour(5, 1, 5, 5), Colour(1, 1, 1, 13)], ids=str)
def test_a_film_comes_back_from_exr_as_it_was(tmp_path: Path, colour: Colour, light: str) -> None:
    """All greys of 8 or 10 bits, by a light that only the film's curve gives back; and the tags of its curve."""
    pytest.importorskip("OpenEXR", reason="OpenEXR is not installed: pip install '.[exr]'")
    deep = colour.transfer in (16, 18)
    luma = np.clip(np.arange(16, 236)[None].repeat(32, 0) * (4 if deep else 1), 0, 940).astype("u2" if deep else "u1")
    middle = np.full((32, 220) if deep else (16, 110), 512 if deep else 128, luma.dtype)
    frame = Frame((luma, middle, middle), "yuv444p10le" if deep else "yuv420p", Fraction(1, 25), 0, 0, colour)
    write(open_sink(tmp_path / "in.mkv", about([frame]), options=Options(codec="ffv1")), [frame])
    run(tmp_path / "in.mkv", tmp_path / "o_%02d.exr", method="threshold", background="original",
        codec_set={"light": light})
    read = next(iter(streamseg.open_source(tmp_path / "o_%02d.exr")))
    meant = (luma[8].astype(float) - (64 if deep else 16)) / (876 if deep else 219)
    for plane in read.planes:
        assert np.abs(plane[8] / 65535 - meant).max() < (1 / 876 if deep else 1 / 219)
    assert read.colour.transfer == (1 if colour.transfer in (1, 2) else colour.transfer)
    assert read.colour.primaries == colour.primaries
    run(tmp_path / "o_%02d.exr", tmp_path / "back.mkv", method="threshold", background="original", codec="ffv1")
    back = next(iter(streamseg.open_source(tmp_path / "back.mkv")))
    assert np.abs(back.rgb().astype(int) - frame.rgb()).max() <= 1


@pytest.mark.parametrize("transfer", [1, 4, 5, 13, 16, 18])
def test_a_curve_and_its_inverse_are_one(transfer: int) -> None:
    values = np.linspace(0, 1, 4096, dtype=np.float32)
    there = curves.encoded(curves.light_of(values, transfer), transfer)
    assert np.abs(there - values).max() < 5e-4  # H.273 rounds where BT.709's two parts meet
