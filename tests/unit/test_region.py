"""--region: places and colours that are added to the subject or taken from it; which method to take for what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.cli import cli
from streamseg.cli.flags import given_options
from streamseg.cli.run import run
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import OptionError
from streamseg.live.run import _with_places
from streamseg.options import Options
from streamseg.segment import METHODS
from streamseg.segment.catalogue import CHOICES

from . import live_fakes, scenes
from .scenes import iou

WIDE, HIGH = scenes.WIDTH, scenes.HEIGHT


class Even:
    """A method that sees nothing (0), or everything (1)."""

    def __init__(self, alpha: float = 0.0) -> None:
        self.alpha = alpha

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [Matte(np.full((36, 64), self.alpha, np.float32)) for _ in frames]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def product(left: int = 90, busy: bool = False) -> tuple[Any, Any]:
    """A box of three colours on a plain table, or in a room of stripes; its truth."""
    y, x = np.mgrid[:HIGH, :WIDE]
    rgb = np.empty((HIGH, WIDE, 3), float)
    rgb[:] = (200, 196, 190)
    if busy:
        rgb[(x // 16) % 2 == 0] = (60, 70, 120)
    mask = (y >= 50) & (y < 110) & (x >= left) & (x < left + 70)
    for number, colour in enumerate([(170, 40, 40), (40, 90, 50), (30, 30, 90)]):
        rgb[mask & (y >= 50 + 20 * number)] = colour
    noise = np.random.default_rng(left).normal(0, 2, rgb.shape)
    return np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8), mask


def mattes(pictures: list[Any], region: str, alpha: float = 0.0, **options: Any) -> list[Any]:
    pairs = streamseg.mattes(pictures, method=Even(alpha), region=region, smooth="none", **options)
    return [matte.alpha for _, matte in pairs]


@pytest.mark.parametrize("place", ["+125,60", "+49%,42%", "+125,105"])
def test_a_product_before_a_plain_background_comes_out_by_a_place_in_it(place: str) -> None:
    rgb, mask = product()
    assert iou(mattes([rgb], place)[0], mask) > 0.92  # one sample of its rim: the compositor finds the edge


def test_it_is_followed_as_it_moves() -> None:
    clip = [product(90 + 5 * index) for index in range(12)]
    for alpha, (_, mask) in zip(mattes([rgb for rgb, _ in clip], "+125,60"), clip, strict=True):
        assert iou(alpha, mask) > 0.93


class Half(Even):
    """A net that sees a person, surely, along the picture's left side."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        alpha = np.zeros((36, 64), np.float32)
        alpha[4:, :12] = 1
        return [Matte(alpha) for _ in frames]


def test_what_the_user_adds_need_not_last_to_be_believed() -> None:
    """The default method's films doubt for some frames what is not sure, as a colour that is nearly the one named."""
    pictures, mask = [product(90 + 2 * index)[0] for index in range(7)], product(96)[1]
    for rgb in pictures:
        rgb[50:110, 90:180] = (170, 88, 88)
    doubting, believing = ([matte.alpha for _, matte in streamseg.mattes(
        pictures, method=Half(), region="+#aa2828", persistence=frames, smooth="flow")] for frames in (8, 0))
    assert 0.6 < cv2.resize(believing[0], (WIDE, HIGH))[mask].mean() < 0.9
    assert max(float(np.abs(first - second).max()) for first, second in zip(doubting, believing, strict=True)) < 0.01


def test_before_stripes_a_place_adds_the_area_of_its_colour_alone() -> None:
    rgb, mask = product(busy=True)
    rows = np.arange(HIGH)[:, None]
    assert iou(mattes([rgb], "+125,60")[0], mask & (rows < 70)) > 0.85
    assert iou(mattes([rgb], "+125,60 +125,80 +125,100")[0], mask) > 0.78  # the lines between are of neither


def test_a_place_and_a_colour_take_away() -> None:
    rgb, mask = product()
    assert iou(mattes([rgb], "-5,5", 1.0)[0], mask) > 0.95
    rows = np.arange(HIGH)[:, None]
    assert iou(mattes([rgb], "-5,5 -#aa2828", 1.0)[0], mask & (rows >= 70)) > 0.9
    assert iou(mattes([rgb], "+#aa2828 +#1e1e5a")[0], mask & ((rows < 70) | (rows >= 90))) > 0.9


def test_the_rest_of_the_methods_matte_is_not_touched() -> None:
    rgb, mask = product()
    before = mattes([rgb], "+#ff00ff", 0.5)[0]
    assert np.abs(before - 0.5).max() < 1e-6
    taken = cv2.resize(mattes([rgb], "-125,60", 0.5)[0], (WIDE, HIGH))
    assert np.abs(taken[~cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))).astype(bool)] - 0.5).max() < 1e-6


def test_within_an_area_places_are_still_the_pictures() -> None:
    rgb, mask = product()
    left = np.arange(WIDE)[None, :] < WIDE // 2
    assert iou(mattes([rgb], "+100,80", roi="0,0,50%,100%")[0], mask & left) > 0.85
    with pytest.raises(OptionError, match="outside the part of the picture that roi leaves"):
        mattes([rgb], "+200,80", roi="0,0,50%,100%")


def test_a_single_picture_takes_them() -> None:
    rgb, mask = product()
    alpha = streamseg.remove(rgb, model=Even(), region="+49%,42%")[..., 3] / np.float32(255)
    assert iou(alpha, mask) > 0.95
    half = streamseg.remove(rgb, model=Even(), region="+100,80", roi="0,0,50%,100%")[..., 3] / np.float32(255)
    assert iou(half, mask & (np.arange(WIDE)[None, :] < WIDE // 2)) > 0.9


def test_live_takes_them() -> None:
    rgb, mask = product()
    info = replace(live_fakes.INFO, width=WIDE, height=HIGH)
    method: Any = _with_places(Even(), Options(region="+49%,42%"), info)
    assert iou(method.segment([scenes.frame(rgb)])[0].alpha, mask) > 0.92
    plain = Even()
    assert _with_places(plain, Options(), info) is plain


@pytest.mark.parametrize("text", ["", "320,180", "+", "+1", "+1,2,3", "+101%,5", "+#12", "x+1,2", "+1;2"])
def test_what_is_no_region_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OptionError, match=r"region is .*\+320,180, -10%,90%, \+red or -#00b140"):
        Options(region=text)


def test_a_place_outside_and_a_colour_that_is_none_are_named() -> None:
    rgb, _ = product()
    with pytest.raises(OptionError, match=r"300,20, which is not in the picture of 256 x 144"):
        mattes([rgb], "+300,20")
    with pytest.raises(OptionError, match="colour 'redd'"):
        mattes([rgb], "+redd")


def test_the_flag_may_be_given_several_times() -> None:
    context = run.make_context("run", ["in.mp4", "-o", "o.mp4", "--region", "+1,2", "--region", "-3,4"])
    assert given_options({"region": context.params["region"]}) == {"region": "+1,2 -3,4"}


def test_the_note_about_nobody_names_it_and_with_it_the_product_comes_out(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rgb, mask = product()
    monkeypatch.chdir(tmp_path)
    assert cv2.imwrite("box.png", rgb[..., ::-1])
    wanted = ["run", "box.png", "-o", "out.png", "--set", "detail=low", "--set", "stills=false", "--overwrite"]
    assert cli(wanted) == 0
    assert "--region +x,y" in capsys.readouterr().err
    assert cli([*wanted, "--region", "+125,60"]) == 0
    assert "no subject" not in capsys.readouterr().err
    out = cv2.imread("out.png", cv2.IMREAD_UNCHANGED)
    assert iou(out[..., 3] / np.float32(255), mask) > 0.95


def test_methods_say_what_to_take_for_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["methods"]) == 0
    text = capsys.readouterr().out
    for subject, take in CHOICES:
        assert subject in text
        assert take in text
    assert cli(["methods", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["choices"]
    assert any("product" in item["subject"] and "--region +x,y" in item["take"] for item in told)
    first = {item["take"].partition(",")[0].partition(" ")[0] for item in told} - {"--region", "--matte-in"}
    assert first <= set(METHODS)
