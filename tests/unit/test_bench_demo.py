"""The measure of the demo's film: its outlines move as the film does, and each fault that it looks for is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import demo as measure
from streamseg.core.opencv import cv2
from streamseg.tools import demo

SIZE = (320, 180)


@pytest.fixture(scope="module")
def photo() -> demo.Photo:
    found = demo.photo()
    if found.rgb.shape[:2] != (600, 512):
        pytest.skip("the outlines are of matplotlib's photo, which is not installed")
    return found


@pytest.mark.parametrize("index", [0, 41, 88])
def test_the_outlines_go_with_the_camera(photo: demo.Photo, index: int) -> None:
    drawn = np.zeros(photo.rgb.shape, np.uint8)
    cv2.fillPoly(drawn, [np.array(measure.HAT, np.int32)], (255, 255, 255))
    *_, filmed = demo.film(replace(photo, rgb=drawn), SIZE, index + 1)
    wanted, found = filmed[..., 0] > 127, measure.outline(measure.HAT, index, SIZE, photo) > 0
    assert (wanted & found).sum() / (wanted | found).sum() > 0.96


def test_the_hat_is_white_and_black_and_the_sky_beside_it_is_blue(photo: demo.Photo) -> None:
    shown = next(demo.film(photo, SIZE, 1)).astype(int)
    person, hat = (measure.outline(corners, 0, SIZE, photo) > 0 for corners in (measure.PERSON, measure.HAT))
    colour = shown.max(-1) - shown.min(-1)
    assert np.median(colour[hat]) < 30
    right = ~person & (np.arange(SIZE[0]) > 220)
    assert np.median(shown[right][:, 2] - shown[right][:, 0]) > 60
    assert (person & hat).sum() > 0.98 * hat.sum()


def test_a_right_matte_has_no_fault_and_each_fault_is_found(photo: demo.Photo) -> None:
    right = measure.outline(measure.PERSON, 7, SIZE, photo).astype(np.float32)
    assert measure.judged(right, 7, photo) == measure.Seen(0, 0, 1)
    flag = right.copy()
    flag[120:140, 10:30] = 0.7
    assert measure.judged(flag, 7, photo).blob == pytest.approx(400 / right.size)
    assert measure.judged(np.where(flag == 1, flag, 0.3 * flag), 7, photo).faint == pytest.approx(400 / right.size)
    hat = measure.outline(measure.HAT, 7, SIZE, photo)
    assert measure.judged(right * (1 - hat), 7, photo).hat < 0.01
    assert measure.judged(np.ones_like(right), 7, photo).blob > 0.3
    assert measure.judged(np.roll(right, 40, axis=1), 7, photo).hat < 0.95  # where the film is, not anywhere
