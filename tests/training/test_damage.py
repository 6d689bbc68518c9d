"""training.damage: pictures suffer as cameras and codecs make them suffer, and truths stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streamseg.opencv import cv2
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


def test_backlight_dims_the_person_and_lights_the_rest() -> None:
    picture, truth = pair(3, SIZE)
    lit = damage._backlight(picture, truth[..., 0], np.random.default_rng(0)).astype(int)
    inside, outside = truth[..., 0] == 255, cv2.dilate(truth[..., 0], np.ones((15, 15), np.uint8)) == 0
    inside &= cv2.erode(truth[..., 0], np.ones((21, 21), np.uint8)) == 255
    assert lit[inside].mean() < 0.95 * picture[inside].mean()
    assert lit[outside].mean() - picture[outside].mean() > lit[inside].mean() - picture[inside].mean() + 10
