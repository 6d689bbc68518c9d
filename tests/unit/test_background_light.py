"""Backgrounds of high dynamic range (HDR) behind ordinary films, PQ behind HLG and the other way round."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import streamseg
from streamseg.background.media import converted
from streamseg.composite import Compositor
from streamseg.core.pixel_formats import Colour
from streamseg.live.adaptive_quality import LADDER
from streamseg.live.composite_stage import CompositeStage
from streamseg.live.types import Control, Scene
from streamseg.options import Options
from tests import clips
from tests.messages import messages

from . import drawn

PQ, HLG = 16, 18
# Transfer, Y, Cb, Cr of BT.2020 at 10 bits, limited; the same light in the other HDR, and in sRGB as planes
# G, B, R. By zimg 3.0.4: FFmpeg's filter zscale=npl=203:agamma=false, for which white is 203 cd/m2.
LIGHT = [
    (PQ, (573, 512, 512), (721, 512, 512), (255, 255, 255)),
    (PQ, (424, 512, 512), (446, 512, 512), (118, 118, 118)),
    (PQ, (64, 512, 512), (64, 512, 512), (0, 0, 0)),
    (PQ, (500, 480, 540), (596, 436, 571), (161, 122, 245)),
    (PQ, (600, 470, 560), (758, 431, 598), (240, 185, 255)),
    (PQ, (723, 512, 512), (941, 512, 512), (255, 255, 255)),  # 1000 cd/m2
    (HLG, (573, 512, 512), (486, 512, 512), (165, 165, 165)),
    (HLG, (650, 512, 512), (529, 512, 512), (206, 206, 206)),
    (HLG, (340, 617, 504), (363, 559, 509), (77, 140, 72)),
    (HLG, (500, 480, 540), (450, 499, 523), (131, 117, 159)),
]


def hdr(transfer: int) -> Colour:
    return Colour(9, 1, 9, transfer)


@pytest.mark.parametrize(("transfer", "given", "other", "srgb"), LIGHT)
@pytest.mark.parametrize("fit", ["stretch", "tile"])
def test_hdr_behind_other_films_is_as_bright_as_zimg_makes_it(transfer, given, other, srgb, fit):
    picture = drawn.frame("yuv420p10le", (64, 48), values=given, colour=hdr(transfer))
    for like, wanted in [(drawn.frame("yuv420p10le", (64, 48), colour=hdr(PQ + HLG - transfer)), other),
                         (drawn.frame("gbrp", (64, 48), colour=Colour(0, 2, 1, 13)), srgb)]:
        for plane, value in zip(converted(picture, like, fit), wanted, strict=True):
            assert np.abs(plane.astype(int) - value).max() <= 1


@pytest.mark.parametrize(("format", "colour", "white"), [
    ("yuv420p10le", hdr(HLG), (940, 512, 512)), ("yuv420p", Colour(1, 1, 1, 1), (235, 128, 128))])
def test_light_that_a_film_cannot_tell_is_cut_off(format, colour, white):
    sun = drawn.frame("yuv420p10le", (64, 48), values=(940, 512, 512), colour=hdr(PQ))
    made = converted(sun, drawn.frame(format, (64, 48), colour=colour), "cover")
    assert tuple(int(plane[9, 9]) for plane in made) == white


def film(path: Path, transfer: int) -> str:
    tags = {"matrix": 9, "range": 1, "primaries": 9, "transfer": transfer}
    clips.video(path, codec="ffv1", pix_fmt="yuv420p10le", frames=2, colour=tags, code=False)
    return str(path)


def note(path: str, own: str, other: str) -> str:
    return (f"background {path} is HDR ({own}), the input is not ({other}): what is brighter than white in "
            "it is cut off; to keep it, map its tones down first, as ffmpeg's filter tonemap does")


@pytest.mark.parametrize(("transfer", "behind", "said"), [
    (PQ, 1, ("PQ", "BT.709")), (HLG, 2, ("HLG", "untagged")), (PQ, HLG, None), (HLG, HLG, None),
    (1, PQ, None)])
def test_what_an_ordinary_film_cannot_show_of_an_hdr_background_is_said(tmp_path, transfer, behind, said):
    path = film(tmp_path / "room.mkv", transfer)
    info = drawn.info(drawn.frame(), colour=Colour(9, 1, 9, behind))
    maker = Compositor(info, ["composite"], Options(background=path))
    maker.close()
    assert maker.notes == ([note(path, *said)] if said else [])


def test_a_run_says_so_once(tmp_path):
    path, source = film(tmp_path / "room.mkv", PQ), clips.video(tmp_path / "in.mkv", frames=3)
    report = streamseg.run(source, tmp_path / "out.mkv", method="threshold", background=path)
    assert report.notes == [note(path, "PQ", "untagged")]


def test_live_says_so_once(tmp_path):
    path, told = film(tmp_path / "room.mkv", HLG), messages()
    state = Control(LADDER[0], Scene("blur"))
    finisher = CompositeStage(drawn.info(drawn.frame(), colour=Colour(1, 1, 1, 1)), Options(), state)
    for fit in ("cover", "stretch"):
        state.scene = replace(state.scene, background=path, fit=fit)
        finisher._update_scene()
    finisher.close()
    assert told == [note(path, "HLG", "BT.709")]
