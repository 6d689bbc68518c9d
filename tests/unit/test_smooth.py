"""Every smoother does what its name says, on made clips of known truth; each test fails on the identity."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamseg import smooth, temporal
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import OptionError
from streamseg.tools.evaluation import metrics, sequences

Array = npt.NDArray[Any]
SIZE = (160, 288)
STEADY = ["ema", "adaptive", "flow", "lookahead"]
ALONG = ["flow", "lookahead"]


@cache
def texture(seed: int, size: tuple[int, int] = SIZE) -> Array:
    noise = np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 5), None, 20, 235, cv2.NORM_MINMAX)


def disc(x: float, size: tuple[int, int] = SIZE, y: float = 80.0, radius: float = 44.0) -> Array:
    rows, columns = np.indices(size, np.float32)
    return np.clip(radius - np.hypot(columns - x, rows - y) + 0.5, 0, 1).astype(np.float32)


def picture(x: float, wall: int = 1, gain: float = 1.0, subject: int = 2) -> Array:
    """uint8 (h, w): a textured disc at ``x`` before a textured wall; the texture moves with the disc."""
    cloth = cv2.warpAffine(texture(subject), np.float32([[1, 0, x - 144], [0, 1, 0]]), SIZE[::-1],
                           borderMode=cv2.BORDER_REFLECT)
    alpha = disc(x)
    return np.clip((texture(wall) * (1 - alpha) + cloth * alpha) * gain, 0, 255).astype(np.uint8)


def frame(luma: Array, index: int) -> Frame:
    grey = np.full((luma.shape[0] // 2, luma.shape[1] // 2), 128, np.uint8)
    return Frame((luma, grey, grey), "yuv420p", Fraction(1, 25), index, pts=3 * index)


def clip(places: list[float], noise: float = 0.0, seed: int = 0) -> tuple[list[smooth.Pair], list[Array]]:
    """Pairs with noisy mattes (blotches that last one frame), and the truths."""
    random = np.random.default_rng(seed)
    truths = [disc(x) for x in places]
    pairs = []
    for index, (x, truth) in enumerate(zip(places, truths, strict=True)):
        blotches = cv2.GaussianBlur(random.normal(0, 1, SIZE).astype(np.float32), (0, 0), 5) * 18 * noise
        pairs.append((frame(picture(x), index), Matte(np.clip(truth + blotches, 0, 1))))
    return pairs, truths


def error(alphas: list[Array], truths: list[Array]) -> float:
    return float(np.mean([metrics.mse(a, g) for a, g in zip(alphas, truths, strict=True)]))


def smoothed(name: str, pairs: list[smooth.Pair], **options: Any) -> list[Array]:
    return [matte.alpha for _, matte in smooth.create_smoother(name, **options)(iter(pairs))]


# --- what all must do -------------------------------------------------------------------------

@pytest.mark.parametrize("name", smooth.NAMES)
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_each_frame_comes_out_once_in_order_with_a_matte_of_its_size(name: str, count: int) -> None:
    pairs, _ = clip([120.0] * count, noise=0.2)
    found = list(smooth.create_smoother(name)(iter(pairs)))
    assert [id(item) for item, _ in found] == [id(item) for item, _ in pairs]
    assert all(matte.alpha.shape == SIZE for _, matte in found)


@pytest.mark.parametrize("name", smooth.NAMES)
def test_no_array_that_was_given_is_changed(name: str) -> None:
    pairs, _ = clip([100.0 + 4 * i for i in range(8)], noise=0.3)
    for item, matte in pairs:
        matte.alpha.setflags(write=False)
        for plane in item.planes:
            plane.setflags(write=False)
    assert len(smoothed(name, pairs)) == 8


@pytest.mark.parametrize("name", STEADY)
def test_flicker_before_a_still_picture_is_more_than_halved(name: str) -> None:
    pairs, truths = clip([120.0] * 20, noise=0.4)
    scores = []
    for alphas in ([matte.alpha for _, matte in pairs], smoothed(name, pairs)):
        counter = sequences.Flicker()
        for (item, _), alpha in zip(pairs, alphas, strict=True):
            counter.add(alpha, item.planes[0])
        scores.append((counter.result(), error(alphas, truths)))
    assert scores[0][0] > 5000
    assert scores[1][0] < 0.5 * scores[0][0]
    assert scores[1][1] < 0.8 * scores[0][1]


@pytest.mark.parametrize("name", STEADY)
def test_nothing_is_left_from_before_a_cut(name: str) -> None:
    before = [(frame(picture(80, wall=1), i), Matte(disc(80))) for i in range(5)]
    after = [(frame(picture(210, wall=7, subject=8), 5 + i), Matte(disc(210))) for i in range(4)]
    found = smoothed(name, before + after)
    for alpha in found[:5]:
        np.testing.assert_allclose(alpha, disc(80), atol=1e-6)
    for alpha in found[5:]:
        np.testing.assert_allclose(alpha, disc(210), atol=1e-6)


@pytest.mark.parametrize("name", STEADY)
def test_a_matte_of_another_size_starts_afresh(name: str) -> None:
    pairs, _ = clip([120.0] * 3)
    small = Matte(np.full((80, 144), 0.25, np.float32))
    found = smoothed(name, [*pairs, (pairs[0][0], small), (pairs[0][0], small)])
    assert [alpha.shape for alpha in found] == [SIZE] * 3 + [(80, 144)] * 2
    assert found[3] == pytest.approx(0.25)


@pytest.mark.parametrize("name", STEADY)
def test_strength_zero_and_no_hysteresis_gives_the_mattes_as_they_came(name: str) -> None:
    pairs, _ = clip([100.0 + 6 * i for i in range(6)], noise=0.3)
    for (_, matte), alpha in zip(pairs, smoothed(name, pairs, strength=0, hysteresis=0), strict=True):
        np.testing.assert_allclose(alpha, matte.alpha, atol=1e-6)


@pytest.mark.parametrize("name", STEADY)
def test_tiny_mattes_are_smoothed_too(name: str) -> None:
    item = frame(picture(120), 0)
    mattes = [Matte(np.full((9, 16), value, np.float32)) for value in (0.2, 0.8, 0.2)]
    found = smoothed(name, [(item, matte) for matte in mattes])
    assert 0.2 < float(found[1].mean()) < 0.75


# --- what tells them apart --------------------------------------------------------------------

def test_none_gives_the_very_objects() -> None:
    pairs, _ = clip([120.0] * 3)
    assert list(smooth.create_smoother("none")(iter(pairs))) == pairs


def test_ema_is_the_weighted_mean_of_all_that_came() -> None:
    pairs, _ = clip([120.0] * 4)
    levels = [0.2, 0.6, 0.4, 0.3]
    flat = [(item, Matte(np.full(SIZE, level, np.float32)))
            for (item, _), level in zip(pairs, levels, strict=True)]
    expected, wanted = 0.2, [0.2]
    for level in levels[1:]:
        expected = 0.7 * expected + 0.3 * level
        wanted.append(expected)
    found = smoothed("ema", flat, strength=0.7, hysteresis=0)
    assert [float(alpha.mean()) for alpha in found] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(("own", "blended", "wanted"), [
    (0.0, 0.06, 0.0), (0.0, 0.075, 0.03), (0.0, 0.09, 0.06), (0.0, 0.12, 0.12), (0.0, 0.3, 0.3),
    (0.02, 0.06, 0.06), (0.98, 0.94, 0.94),
])
def test_a_mean_leaves_no_trace_where_the_frame_itself_is_sure(
        own: float, blended: float, wanted: float) -> None:
    pairs, _ = clip([120.0] * 2)
    before = (blended - 0.4 * own) / 0.6
    for mirrored in (False, True):
        levels = [1 - level if mirrored else level for level in (before, own)]
        flat = [(item, Matte(np.full(SIZE, level, np.float32)))
                for (item, _), level in zip(pairs, levels, strict=True)]
        found = smoothed("ema", flat, strength=0.6, hysteresis=0)[1]
        np.testing.assert_allclose(found, 1 - wanted if mirrored else wanted, atol=1e-5)


def moving_lag(name: str, **options: Any) -> float:
    pairs, truths = clip([70.0 + 5 * i for i in range(26)])
    counter = sequences.Lag()
    for alpha, truth in zip(smoothed(name, pairs, **options), truths, strict=True):
        counter.add(alpha, truth)
    return counter.result()


def test_ema_trails_what_moves_and_the_others_do_not() -> None:
    assert moving_lag("ema") > 0.5
    for name in ("adaptive", *ALONG):
        assert abs(moving_lag(name)) < 0.25


@pytest.mark.parametrize("name", ALONG)
def test_noise_on_a_moving_subject_is_averaged_along_its_way(name: str) -> None:
    """Where ema trails."""
    pairs, truths = clip([70.0 + 5 * i for i in range(20)], noise=0.3)
    raw = error([matte.alpha for _, matte in pairs], truths)
    found = error(smoothed(name, pairs, strength=0.75), truths)
    assert found < 0.6 * raw
    assert error(smoothed("ema", pairs, strength=0.75), truths) > 1.3 * found


def test_adaptive_believes_a_matte_that_changes_with_the_picture_only() -> None:
    """The same jump of the matte: with the picture it is followed at once, without it is an error."""
    moved = [(frame(picture(x), i), Matte(disc(x))) for i, x in enumerate([120.0, 120.0, 168.0])]
    stuck = [(frame(picture(120), i), Matte(disc(x))) for i, x in enumerate([120.0, 120.0, 168.0])]
    assert metrics.iou(smoothed("adaptive", moved)[2], disc(168)) > 0.9
    assert metrics.iou(smoothed("adaptive", stuck)[2], disc(120)) > 0.9


@pytest.mark.parametrize("at", [0, 4, 9])
def test_lookahead_undoes_a_single_bad_matte_wherever_it_comes(at: int) -> None:
    """Even the first: what follows says that it is wrong."""
    pairs, truths = clip([120.0] * 10)
    pairs[at] = (pairs[at][0], Matte(np.zeros(SIZE, np.float32)))
    found = smoothed("lookahead", pairs)
    assert metrics.iou(found[at], truths[at]) > 0.9
    flow = smoothed("flow", pairs)
    assert (metrics.iou(flow[at], truths[at]) > 0.9) == (at != 0)


@pytest.mark.parametrize("window", [1, 3])
def test_lookahead_holds_no_more_frames_than_its_window(window: int) -> None:
    pairs, _ = clip([120.0] * 12)
    taken = 0

    def source() -> Iterator[smooth.Pair]:
        nonlocal taken
        for pair in pairs:
            taken += 1
            yield pair

    for given, _ in enumerate(smooth.create_smoother("lookahead", window=window)(source()), start=1):
        assert taken - given <= window
    assert (taken, given) == (12, 12)


@pytest.mark.parametrize("name", ["ema", "flow"])
def test_hysteresis_keeps_the_label_of_a_pixel_that_wavers_about_the_threshold(name: str) -> None:
    pairs, _ = clip([120.0] * 12)
    wavering = [(item, Matte(np.full(SIZE, 0.5 + 0.06 * (-1) ** index, np.float32)))
                for index, (item, _) in enumerate(pairs)]

    def labels(hysteresis: float) -> set[bool]:
        return {bool((alpha >= 0.5).all()) for alpha in smoothed(name, wavering, strength=0.2,
                                                                  hysteresis=hysteresis)}

    assert labels(0.0) == {True, False}
    assert labels(0.1) == {True}
    clear = [*wavering[:4], *((item, Matte(np.full(SIZE, 0.1, np.float32))) for item, _ in pairs[:3])]
    assert (smoothed(name, clear, hysteresis=0.1)[-1] < 0.5).all()


# --- parts ------------------------------------------------------------------------------------

def test_a_cut_is_found_and_motion_and_exposure_are_none() -> None:
    black = np.zeros(SIZE, np.uint8)
    shown = [picture(80), picture(96), picture(96, gain=1.3), picture(96, gain=0.7),
             picture(200, wall=7, subject=8), black, black]
    assert [temporal.Cuts().between(*pair) for pair in pairwise(shown)] == [False, False, False, True, True, False]


def test_motion_finds_a_known_shift_and_distrusts_what_was_covered() -> None:
    old, new = picture(120).astype(np.uint8), picture(132).astype(np.uint8)
    way, back = temporal.OpticalFlow().between(old, new)
    carried = way.carry(disc(120))
    assert back is not None
    missed = 1 - metrics.iou(disc(120), disc(132))
    assert 1 - metrics.iou(carried, disc(132)) < 0.5 * missed
    assert 1 - metrics.iou(back.carry(disc(132)), disc(120)) < 0.5 * missed
    inside, uncovered = disc(132, radius=28) > 0.5, (disc(120) > 0.5) & (disc(132) < 0.5)
    assert way.trust[inside].mean() > way.trust[uncovered].mean() + 0.3


@pytest.mark.parametrize("shape", [(16, 201), (31, 240), (240, 31), (16, 2000), (32, 240)])
def test_motion_is_found_in_narrow_pictures_too(shape: tuple[int, int]) -> None:
    """OpenCV read beyond a picture whose quarter its patches did not fit: the process was gone."""
    code = (f"import numpy as np, cv2; from streamseg.temporal import OpticalFlow\n"
            f"seen = np.random.default_rng(0).integers(0, 256, {shape}).astype(np.uint8)\n"
            f"wide = cv2.GaussianBlur(seen, (0, 0), 2)\n"
            f"back, _ = OpticalFlow().between(wide, np.roll(wide, 1, 1))\n"
            f"print(np.median(back.place[..., 0] - np.arange({shape[1]})))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(-1, abs=0.5)


@pytest.mark.parametrize("wrong", [{"name": "blur"}, {"name": "flow", "strength": 1.0},
                                   {"name": "flow", "strength": float("nan")},
                                   {"name": "ema", "hysteresis": 0.6}, {"name": "lookahead", "window": 0}])
def test_what_is_not_allowed_is_refused_with_what_is(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="allowed"):
        smooth.create_smoother(**wrong)
