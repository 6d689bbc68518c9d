"""training.damage: pictures suffer as cameras and codecs make them suffer, and truths stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from tests.training.sets import pair, texture
from training import damage

SIZE = (96, 128)


def test_disturbing_changes_the_picture_and_never_the_truth() -> None:
    changed = 0
    for seed in range(40):
        given = pair(seed, SIZE)
        picture, truth = damage.disturb(given, np.random.default_rng(seed))
        assert truth is given[1]
        assert picture.shape == given[0].shape
        assert picture.dtype == np.uint8
        changed += not np.array_equal(picture, given[0])
    assert changed == 40


@pytest.mark.parametrize(("harm", "mild", "strong"), [(damage.jpeg, 90, 10), (damage.h264, 18, 45)])
def test_codecs_do_more_damage_at_lower_quality_and_shift_nothing(
        harm: Callable[..., Any], mild: int, strong: int) -> None:
    picture = texture(np.random.default_rng(0), SIZE)
    picture[30:60, 40:90] = (250, 20, 20)
    errors = [float(np.abs(harm(picture, level).astype(int) - picture).mean()) for level in (mild, strong)]
    assert 0 < errors[0] < errors[1] < 40
    assert errors[1] > 1.5 * errors[0]
    found = harm(picture, strong)[45, :, 0].astype(int)
    assert abs(int(np.argmax(np.diff(found))) - 39) <= 4
    assert np.array_equal(harm(picture, strong), harm(picture, strong))


def test_motion_blur_draws_a_point_out_to_a_line_of_three_to_eight_pixels() -> None:
    picture = np.zeros((31, 31, 3), np.uint8)
    picture[15, 15] = 255
    counts, steep = [], []
    for seed in range(60):
        line = damage._motion_blur(picture, np.random.default_rng(seed)).astype(int)
        assert np.array_equal(line[..., 0], line[..., 2])
        places = np.argwhere(line[..., 0])
        assert abs(line[..., 0].sum() - 255) <= len(places) / 2  # each is rounded
        around = places - places.mean(axis=0)
        assert np.abs(places.mean(axis=0) - 15).max() <= 0.5  # nothing is shifted
        along, across = np.linalg.svd(around)[2]
        assert np.abs(around @ across).max() < 0.75
        assert cv2.connectedComponents(np.sign(line[..., 0]).astype(np.uint8))[0] == 2  # no gap
        counts.append(len(places))
        steep.append(abs(along[0]))
    assert (min(counts), max(counts)) == (3, 8)
    assert min(steep) < 0.1
    assert max(steep) > 0.9


def test_a_coarse_picture_has_lost_its_fine_detail_and_nothing_else() -> None:
    picture = texture(np.random.default_rng(0), SIZE)
    wide = cv2.GaussianBlur(picture, (0, 0), 6).astype(int)

    def energy(one: Any) -> float:
        return float(np.square(cv2.Laplacian(one, cv2.CV_32F)).mean())

    for seed in range(10):
        coarse = damage._coarse(picture, np.random.default_rng(seed))
        assert coarse.shape == picture.shape
        assert energy(coarse) < 0.5 * energy(picture)
        assert np.abs(cv2.GaussianBlur(coarse, (0, 0), 6) - wide).max() <= 4


@pytest.mark.parametrize(("dark", "low", "high"), [(False, 2, 12), (True, 4, 16)])
def test_noise_has_its_sigma_and_no_mean_in_every_channel(dark: bool, low: int, high: int) -> None:
    grey, alike = np.full((200, 200, 3), 128, np.uint8), []
    for seed in range(12):
        sigma = np.random.default_rng(seed).uniform(low, high)  # the first number that is drawn
        noise = damage._noise(grey, np.random.default_rng(seed), dark).astype(float) - 128
        assert noise.std(axis=(0, 1)) == pytest.approx([sigma] * 3, rel=0.05)
        assert np.abs(noise.mean(axis=(0, 1))).max() < 0.04 * sigma
        assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.05
        alike.append(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1])
    # in single pixels, or in blotches of 2 x 2, which share half of their pixels with the next
    assert all(min(abs(one), abs(one - 0.5)) < 0.05 for one in alike)
    assert 0 < sum(one > 0.25 for one in alike) < 12


def test_backlight_dims_the_person_and_lights_the_rest() -> None:
    picture, truth = pair(3, SIZE)
    lit = damage._backlight(picture, truth[..., 0], np.random.default_rng(0)).astype(int)
    inside, outside = truth[..., 0] == 255, cv2.dilate(truth[..., 0], np.ones((15, 15), np.uint8)) == 0
    inside &= cv2.erode(truth[..., 0], np.ones((21, 21), np.uint8)) == 255
    assert lit[inside].mean() < 0.95 * picture[inside].mean()
    assert lit[outside].mean() - picture[outside].mean() > lit[inside].mean() - picture[inside].mean() + 10
