"""What is kept of a matte, and what the user does to its edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage.filters import gaussian
from skimage.morphology import dilation, disk, erosion

from streamseg.composite import KINDS, Compositor
from streamseg.core.frames import Matte
from streamseg.errors import OptionError
from streamseg.options import Options
from streamseg.refine import Edge, Selection, full_size

from . import drawn


def discs(*places, size=(288, 160)):
    """A matte of discs (column, row, radius) with edges two samples wide."""
    down, across = np.mgrid[0:size[1], 0:size[0]]
    alpha = np.zeros(size[::-1])
    for column, row, radius in places:
        alpha = np.maximum(alpha, np.clip((radius - np.hypot(down - row, across - column)) / 2 + 0.5, 0, 1))
    return Matte(drawn.locked(alpha.astype(np.float32)))


SHOT, OTHER_SHOT = drawn.frame(seed=1), drawn.frame(seed=2)
LARGE, MIDDLE, SPECK = (70, 80, 40), (160, 80, 25), (250, 30, 2)


def alone(matte, place):
    return np.abs(matte.alpha - discs(place).alpha).max()


@pytest.mark.parametrize("steady", [True, False])
def test_one_subject_is_kept_and_its_soft_edge_with_it(steady):
    matte = discs(LARGE, MIDDLE)
    for subject, place in (("largest", LARGE), ("center", MIDDLE)):
        assert alone(Selection(subject, clean=False, steady=steady)(matte, SHOT), place) < 1e-6
    assert Selection("all", clean=False, steady=steady)(matte, SHOT) is matte


def test_the_subject_kept_so_far_stays_while_another_grows_a_little():
    first, second = discs(LARGE, (210, 80, 38)), discs(LARGE, (210, 80, 42))
    for steady, place in ((True, LARGE), (False, (210, 80, 42))):
        keep = Selection("largest", clean=False, steady=steady)
        keep(first, SHOT)
        assert alone(keep(second, SHOT), place) < 1e-6
    keep = Selection("largest", clean=False, steady=True)
    keep(first, SHOT)
    assert alone(keep(discs(LARGE, (210, 80, 60)), SHOT), (210, 80, 60)) < 1e-6


def test_nobody_is_loyal_to_a_subject_of_the_shot_before():
    keep = Selection("largest", clean=False, steady=True)
    keep(discs(LARGE, (210, 80, 38)), SHOT)
    others = discs(LARGE, (210, 80, 42))
    for _ in range(2):
        assert alone(keep(others, OTHER_SHOT), (210, 80, 42)) < 1e-6


def test_a_single_subject_and_an_empty_matte_are_left_as_they_are():
    for subject in ("largest", "center"):
        keep = Selection(subject, clean=True, steady=True)
        assert np.array_equal(keep(discs(LARGE), SHOT).alpha, discs(LARGE).alpha)
        assert not keep(drawn.uniform(0.0), SHOT).alpha.any()
        assert (keep(drawn.uniform(1.0), SHOT).alpha == 1).all()


def test_specks_and_pinholes_go_and_persons_and_gaps_stay():
    small_person, gap, pinhole = (230, 120, 7), (70, 80, 9), (60, 60, 1)
    wanted = discs(LARGE, small_person).alpha - discs(gap).alpha
    spoilt = np.maximum(wanted, discs(SPECK).alpha) - discs(pinhole).alpha
    matte = Matte(drawn.locked(spoilt.astype(np.float32)))
    made = Selection("all", clean=True, steady=True)(matte, SHOT).alpha
    assert np.abs(spoilt - wanted).max() == 1
    assert np.abs(made - wanted).max() < 0.1  # what is fainter than a tenth is not looked for
    assert made[28:33, 248:253].max() == 0
    assert made[59:62, 59:62].min() == 1
    untouched = Selection("all", clean=False, steady=True)(matte, SHOT).alpha
    assert np.array_equal(untouched, spoilt.astype(np.float32))


def test_many_specks_fade_as_each_of_them_does_alone():
    keep = Selection("all", clean=True, steady=True)
    specks = [(20 + 40 * (number % 7), 20 + 60 * (number // 7), radius)
              for number, radius in enumerate(np.linspace(3, 5, 21))]
    together = keep(discs(*specks), SHOT).alpha
    alone_each = np.maximum.reduce([keep(discs(speck), SHOT).alpha for speck in specks])
    assert np.abs(together - discs(*specks).alpha).max() > 0
    assert np.abs(together - alone_each).max() < 1e-6


def test_a_speck_that_grows_fades_in():
    keep = Selection("all", clean=True, steady=True)
    peaks = [keep(discs(LARGE, (250, 30, radius)), SHOT).alpha[:60, 220:].max()
             for radius in np.arange(2, 6, 0.1)]
    assert peaks[0] == 0
    assert peaks[-1] == 1
    assert np.diff(peaks).min() >= 0
    assert np.diff(peaks).max() < 0.2


def test_a_haze_is_judged_the_same_whatever_else_is_in_the_picture():
    clean = Selection("all", clean=True, steady=False)
    faint = discs(LARGE).alpha.copy()
    faint[:40, 200:224] = 0.03  # 2 % of the picture
    speck = faint.copy()
    speck[100:102, 240:242] = 1
    haze = slice(5, 35), slice(205, 220)
    np.testing.assert_array_equal(clean(Matte(faint), SHOT).alpha[haze],
                                  clean(Matte(speck), SHOT).alpha[haze])


def test_other_fields_of_a_matte_are_carried():
    matte = replace(discs(LARGE, MIDDLE), despill=(0, 255, 0))
    assert Selection("largest", clean=True, steady=True)(matte, SHOT).despill == (0, 255, 0)


def edged(alpha, **options):
    peak = 255 if alpha.dtype == np.uint8 else 1023
    edge = Edge(Options(**options))
    return edge.feathered(edge.cut(drawn.locked(alpha), peak))


def ramp_disc(dtype=np.uint8, radius=40.0, soft=2.0):
    down, across = np.mgrid[0:120, 0:160]
    peak = 255 if dtype == np.uint8 else 1023
    away = np.hypot(down - 59.5, across - 79.5)
    return np.rint(peak * np.clip((radius - away) / soft + 0.5, 0, 1)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("pixels", [3, -3, 8])
def test_erode_is_morphology_by_crosses_and_squares_in_turns(dtype, pixels):
    alpha = ramp_disc(dtype)
    wanted, change = alpha, erosion if pixels > 0 else dilation
    for number in range(abs(pixels)):
        wanted = change(wanted, disk(1) if number % 2 == 0 else np.ones((3, 3)))
    assert np.array_equal(edged(alpha, erode=pixels), wanted)


@pytest.mark.parametrize("pixels", [-6.0, -2.5, -0.5, 0.5, 2.5, 6.0, 12.0])
def test_erode_moves_the_edge_by_so_many_pixels(pixels):
    area = (edged(ramp_disc(), erode=pixels) / 255).sum()
    assert np.sqrt(area / np.pi) == pytest.approx(40 - pixels, abs=0.1 * abs(pixels) + 0.3)


def test_the_pictures_edge_is_not_eroded():
    whole = np.full((40, 60), 255, np.uint8)
    assert (edged(whole, erode=5) == 255).all()
    assert (edged(whole, feather=9) == 255).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("pixels", [2.0, 9.0])
def test_feather_is_a_gaussian_of_half_as_many_pixels(dtype, pixels):
    alpha = ramp_disc(dtype)
    wanted = gaussian(alpha.astype(float), pixels / 2, mode="nearest", preserve_range=True)
    made = edged(alpha, feather=pixels)
    assert np.abs(made - wanted).max() <= 0.012 * alpha.max()
    assert np.abs(made.astype(int) - alpha).max() > 0.15 * alpha.max()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_threshold_makes_a_steep_edge_and_keeps_the_ends(dtype, threshold):
    peak = 255 if dtype == np.uint8 else 1023
    alpha = np.linspace(0, peak, 512).round().astype(dtype)[None]
    made = edged(alpha, threshold=threshold) / peak
    assert made[0, 0] == 0
    assert made[0, -1] == 1
    assert (made[alpha / peak < threshold - 1 / 16] == 0).all()
    assert (made[alpha / peak > threshold + 1 / 16] == 1).all()
    assert np.abs(made - alpha / peak).max() > 0.2
    if 0 < threshold < 1:
        assert abs(float(np.interp(threshold, alpha[0] / peak, made[0])) - 0.5) < 0.05


def test_nothing_is_done_unless_it_is_asked_for():
    for given, cuts, feathers in (({}, False, False), ({"threshold": 0.0}, True, False),
                                  ({"erode": -1.0}, True, False), ({"feather": 0.5}, False, True)):
        edge = Edge(Options(**given))
        assert (edge.cuts, edge.feathers) == (cuts, feathers)


@pytest.mark.parametrize("given", [{"erode": 101}, {"feather": -1}, {"threshold": 1.5}, {"light_wrap": 2},
                                   {"subject": "left"}, {"edges": "sharp"}])
def test_values_that_are_not_allowed_are_refused(given):
    with pytest.raises(OptionError, match=next(iter(given))):
        Options(**given)


@pytest.mark.parametrize("given", [{"erode": 3.0}, {"erode": -3.0}, {"feather": 6.0}, {"threshold": 0.8},
                                   {"subject": "largest"}, {"clean": True}, {"edges": "bilinear"}])
@pytest.mark.parametrize("stills", [False, True])
def test_every_option_reaches_every_kind_and_still(given, stills):
    for format, size in (("yuv420p", (160, 120)), ("gbrp", (161, 121)), ("yuv420p10le", (96, 128))):
        frame = drawn.frame(format, size)
        width, height = size
        matte = discs((width * 0.4, height * 0.5, height * 0.25), (width * 0.85, height * 0.3, height * 0.1),
                      (width * 0.1, 4, 1.5), size=size)
        info = drawn.info(frame, stills=stills)
        both = [Compositor(info, KINDS, Options(background="#ff0000", **{"clean": False, **options})).finish(
            frame, matte) for options in ({}, given)]
        plain, changed = both
        alphas = [made["matte"].planes[0].astype(int) for made in both]
        assert np.array_equal(alphas[1], changed["cutout"].alpha)
        assert np.abs(alphas[1] - alphas[0]).max() > 0.1 * frame.pixel.peak
        for alpha, made in zip(alphas, both, strict=True):
            # where the matte is whole the frame shows, where it is nothing the background does
            assert np.array_equal(made["composite"].planes[0][alpha == frame.pixel.peak],
                                  frame.planes[0][alpha == frame.pixel.peak])
            assert len(np.unique(made["composite"].planes[0][alpha == 0])) == 1
        assert any(not np.array_equal(*pair)
                   for pair in zip(plain["composite"].planes, changed["composite"].planes, strict=True))


def test_a_feathered_edge_keeps_the_subjects_colours():
    """Nothing of the old background, neither inside the edge, where alpha says so, nor outside."""
    size, matte = (640, 480), drawn.matte((160, 120), soft=1.0)
    blank, own, behind = drawn.frame("gbrp", size), (90, 120, 200), (60, 200, 30)
    alpha = full_size(matte, blank)[..., None] / 255
    seen = np.rint(alpha * own + (1 - alpha) * behind).astype(np.uint8)
    frame = replace(blank, planes=tuple(drawn.locked(np.ascontiguousarray(plane)) for plane in
                                        np.moveaxis(seen, 2, 0)))
    made = Compositor(drawn.info(frame), ["cutout"], Options(feather=24.0)).finish(frame, matte)["cutout"]
    soft = (made.alpha > 10) & (made.alpha < 250)
    assert soft.sum() > 1000
    for plane, value, other in zip(made.planes, own, behind, strict=True):
        assert np.abs(plane[soft].astype(int) - value).mean() <= 0.03 * abs(other - value)


@pytest.mark.parametrize("format", ["yuv420p", "yuv420p10le", "gbrp"])
@pytest.mark.parametrize("size", [(320, 240), (321, 241)])
def test_light_wrap_brightens_the_subjects_edge_from_the_background(format, size):
    black, matte = drawn.frame(format, size, values=(16, 128, 128) if "yuv" in format else (0, 0, 0)), \
        drawn.matte((80, 60), soft=1.0)
    if "10" in format:
        black = drawn.frame(format, size, values=(64, 512, 512))
    plain, half, full = (Compositor(drawn.info(black), ["composite"], Options(
        background="white", light_wrap=strength)).finish(black, matte)["composite"].luma().astype(int)
        for strength in (0.0, 0.5, 1.0))
    alpha = full_size(matte, black, guided=True) / black.pixel.peak
    down, across = np.mgrid[0:size[1], 0:size[0]]
    depth = 0.33 * size[1] - np.hypot(down - (size[1] - 1) / 2, across - (size[0] - 1) / 2)
    edge, core = (alpha == 1) & (depth < 5), depth > 30
    assert full[edge].mean() > half[edge].mean() + 15 > plain[edge].mean() + 30
    assert np.abs(full[core] - plain[core]).max() <= 1
    assert np.abs(full[alpha == 0] - plain[alpha == 0]).max() <= 1
