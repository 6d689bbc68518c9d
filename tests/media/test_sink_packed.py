"""Packed alpha: the halves of the pictures, read as PyAV's raw planes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamseg.api import run
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import FORMATS, Colour
from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.sink.pixels import rgb_of

from .sink_tools import BT709, about, made, probe, write
from .test_sink_capability import pictures, planes_of


@pytest.mark.parametrize("layout", ["stacked", "side-by-side"])
@pytest.mark.parametrize(("name", "codec"), [("o.mp4", None), ("o.mov", None), ("o.mp4", "libx265"), ("o.webm", None)])
@pytest.mark.parametrize(("pixels", "colour"), [("yuv420p", BT709), ("yuv420p", Colour(1, 2, 1, 1)),
                                                ("yuv422p10le", BT709)])
def test_colour_and_matte_are_the_halves(tmp_path: Path, layout: str, name: str, codec: str | None, pixels: str,
                                         colour: Colour) -> None:
    frames = made(pixels, 3, alpha=True, colour=colour)
    sink = write(open_sink(tmp_path / name, about(frames), kind="cutout",
                           options=Options(packed=layout, codec=codec, quality=90)), frames)
    video = probe(tmp_path / name).video
    assert video["codec_name"] == ("hevc" if codec else "vp9" if name == "o.webm" else "h264")
    assert (video["width"], video["height"]) == ((160, 240) if layout == "stacked" else (320, 120))
    assert sink.result().kind == "cutout"
    assert any("player.html" in note for note in sink.notes)
    picture = pictures(tmp_path / name)[0]
    luma, depth = planes_of(picture)[0].astype(float), picture.format.components[0].bits
    luma /= 1 << (depth - 8)
    both = np.vsplit(luma, 2) if layout == "stacked" else np.hsplit(luma, 2)
    wanted = frames[0].planes[0] / (1 << (FORMATS[pixels].depth - 8))
    assert np.abs(both[0] - wanted)[4:-4, 4:-4].mean() < 2
    alpha = both[1] / 255 if colour.range == 2 else (both[1] - 16) / 219
    assert frames[0].alpha is not None
    assert np.abs(alpha - frames[0].alpha / frames[0].pixel.peak)[4:-4, 4:-4].mean() < 0.01
    chroma = planes_of(picture)[1]
    middle = chroma[-4:, 4:-4] if layout == "stacked" else chroma[4:-4, -4:]
    assert np.abs(middle / (1 << (depth - 8)) - 128).max() <= 2  # the matte is grey


def test_an_odd_size_has_equal_halves(tmp_path: Path) -> None:
    frames = made(size=(81, 61), count=3, alpha=True)
    write(open_sink(tmp_path / "o.mp4", about(frames), kind="cutout", options=Options(packed="stacked")), frames)
    video = probe(tmp_path / "o.mp4").video
    assert (video["width"], video["height"]) == (82, 124)


def test_a_run_packs_its_outputs_and_keeps_the_sound(clip: Path, tmp_path: Path) -> None:
    report = run(clip, tmp_path / "o.mp4", packed="stacked", method="threshold", cutout=str(tmp_path / "c.mkv"))
    for name in ("o.mp4", "c.mkv"):
        assert probe(tmp_path / name).video["height"] == 2 * probe(clip).video["height"]
        assert len(probe(tmp_path / name).of("audio")) == len(probe(clip).of("audio"))
    assert {output.kind for output in report.outputs} == {"cutout"}


@pytest.mark.parametrize(("target", "options", "said"), [
    ("o.mp4", {"background": "green"}, "packed stacked writes transparency, and background 'green'"),
    ("o.png", {}, "packed stacked is a layout of videos"), ("o.gif", {}, "packed stacked is a layout of videos")])
def test_what_packing_cannot_be_is_refused(clip: Path, tmp_path: Path, target: str, options: dict[str, str], said: str
                                           ) -> None:
    with pytest.raises(OptionError, match=said):
        run(clip, tmp_path / target, packed="stacked", method="threshold", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("pixels", "colour"), [("yuv420p", BT709), ("yuv420p10le", Colour(1, 2, 1, 1))])
def test_vr_players_find_the_matte_around_the_eyes(tmp_path: Path, pixels: str, colour: Colour) -> None:
    """Read as a player does: red at the place of each piece, as FFmpeg's crop and overlay would lay it."""
    frame = made(pixels, 1, size=(640, 320), alpha=True, colour=colour)[0]
    alpha = np.zeros((320, 640), frame.pixel.dtype)
    alpha[60:160, 60:160] = alpha[160:200, 480:600] = frame.pixel.peak  # left eye, upper left; right eye, lower right
    frame = replace(frame, alpha=alpha)
    sink = write(open_sink(tmp_path / "o.mp4", about([frame]), kind="cutout",
                           options=Options(packed="deovr", quality=95)), [frame])
    assert any("_FISHEYE190_alpha" in note for note in sink.notes)
    shown = pictures(tmp_path / "o.mp4")[0].to_ndarray(format="rgb24").astype(float)
    assert shown.shape == (320, 640, 3)
    small = cv2.resize(alpha.astype(np.float32) / frame.pixel.peak, (256, 128), interpolation=cv2.INTER_AREA)
    left, right = small[:, :128], small[:, 128:]
    found = {"top middle": shown[:64, 256:384], "bottom middle": shown[-64:, 256:384], "top left": shown[:64, :64],
             "top right": shown[:64, -64:], "bottom left": shown[-64:, :64], "bottom right": shown[-64:, -64:]}
    wanted = {"top middle": left[64:], "bottom middle": left[:64], "top left": right[64:, 64:],
              "top right": right[64:, :64], "bottom left": right[:64, 64:], "bottom right": right[:64, :64]}
    assert wanted["bottom middle"].max() == wanted["top left"].max() == 1
    steps = np.arange(128) - 63.5
    disc = np.add.outer(steps ** 2, steps ** 2) < 60 ** 2
    discs = {"top middle": disc[64:], "bottom middle": disc[:64], "top left": disc[64:, 64:],
             "top right": disc[64:, :64], "bottom left": disc[:64, 64:], "bottom right": disc[:64, :64]}
    for name, piece in found.items():
        inside = discs[name]
        assert np.abs(piece[:, :, 0] / 255 - wanted[name])[inside].mean() < 0.05, name
        assert np.percentile(piece[inside][:, 1:], 95) < 60, name  # red alone, but for chroma's edges
    middle = shown[100:220, 100:220]
    assert np.abs(middle - rgb_of(frame, 8)[100:220, 100:220]).mean() < 6  # the eyes stay


def test_what_is_no_pair_of_fisheye_pictures_is_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="twice as wide as high"):
        run(clip, tmp_path / "o.mp4", packed="deovr", method="threshold")
    assert not (tmp_path / "o.mp4").exists()
