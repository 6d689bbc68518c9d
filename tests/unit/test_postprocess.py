"""What is nowhere sure goes, what is somewhere sure stays as it is; wide grey is decided, narrow is not."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from streamseg.segment.postprocess import decided, without_doubtful, without_half_seen

SIZE = (96, 128)


def blob(x: int, level: float) -> np.ndarray:
    """A soft disc of 20 pixels, in its middle of ``level``."""
    disc = cv2.circle(np.zeros(SIZE, np.float32), (x, 48), 20, 1.0, -1)
    return np.float32(level) * cv2.GaussianBlur(disc, (0, 0), 2)


def test_a_sure_person_stays() -> None:
    alpha = blob(40, 1.0)
    assert without_doubtful(alpha) is alpha


def test_what_is_grey_all_over_goes_with_its_fringe_and_the_person_beside_it_stays() -> None:
    person, grey = blob(34, 1.0), blob(90, 0.7)
    found = without_doubtful(person + grey)
    assert np.array_equal(found[:, :62], person[:, :62])
    assert found[:, 62:].max() < 0.03
    assert grey.max() > 0.69  # was not written into


def test_a_person_with_a_grey_arm_keeps_it() -> None:
    alpha = np.maximum(blob(40, 1.0), blob(66, 0.6))
    assert without_doubtful(alpha) is alpha


def test_between_doubt_and_certainty_it_fades() -> None:
    """No blob may come and go from frame to frame because a few pixels pass a threshold."""
    kept = []
    for sure in (0, 20, 40, 60, 90):
        alpha = np.zeros(SIZE, np.float32)
        alpha[20:50, 20:50] = 0.6
        alpha[30, 20:20 + min(30, sure)] = alpha[31, 20:20 + max(0, sure - 30)] = 1.0
        alpha[32, 20:20 + max(0, sure - 60)] = 1.0
        kept.append(float(without_doubtful(alpha)[45, 45]) / 0.6)
    assert kept[0] == 0
    assert kept == sorted(kept)
    assert kept[2] == pytest.approx(40 / 90, abs=0.06)
    assert kept[-1] > 0.8


@pytest.mark.parametrize("level", [0.0, 0.2, 1.0])
def test_an_even_matte_is_left_alone(level: float) -> None:
    alpha = np.full(SIZE, level, np.float32)
    assert np.array_equal(without_doubtful(alpha), alpha)


# What one of two nets only half sees, in single pictures

@pytest.mark.parametrize(("other", "stays"), [(0.5, 0.0), (0.95, 1.0)])
def test_what_one_net_half_sees_beside_somebody_sure_goes(other: float, stays: float) -> None:
    person, dog = np.float32(1.3) * blob(34, 1.0), blob(90, 1.0)
    seen = [np.clip(person + dog, 0, 1), np.clip(person + np.float32(other) * dog, 0, 1)]
    small = cv2.resize(seen[0], (SIZE[1] // 2, SIZE[0] // 2))  # passes differ in size
    alpha = (seen[0] + seen[1]) / 2
    found = without_half_seen(alpha, [small, seen[1]])
    assert np.array_equal(found[:, :62], alpha[:, :62])
    assert found[48, 90] == pytest.approx(stays * alpha[48, 90])
    assert found[:, 62:].max() <= stays + 0.03


def test_what_stands_alone_or_beside_nobody_sure_stays() -> None:
    grey = blob(90, 0.6)
    assert without_half_seen(grey, [grey, grey]) is grey
    both = np.maximum(grey, blob(34, 0.7))
    assert without_half_seen(both, [both, both]) is both


# Wide grey places of single pictures


@pytest.mark.parametrize(("level", "least", "most"), [(0.3, 0.0, 0.1), (0.5, 0.5, 0.5), (0.7, 0.9, 1.0)])
def test_a_wide_grey_place_is_decided(level: float, least: float, most: float) -> None:
    alpha = np.zeros(SIZE, np.float32)
    alpha[:, 60:] = 1
    alpha[30:60, 40:80] = level
    found = decided(alpha)
    assert least <= found[45, 60] <= most
    assert np.array_equal(found[34:56, 44:76] > 0.5, alpha[34:56, 44:76] > 0.5)
    assert np.array_equal(found[:20], alpha[:20])
    assert alpha[45, 60] == np.float32(level)  # was not written into


def test_specks_in_a_wide_grey_place_are_decided_with_it() -> None:
    alpha = np.zeros(SIZE, np.float32)
    alpha[30:60, 40:80] = 0.35
    alpha[45, 60] = 0.6
    assert decided(alpha)[45, 60] < 0.2


def test_a_soft_rim_and_hair_stay_soft() -> None:
    person = cv2.circle(np.zeros((360, 480), np.float32), (200, 180), 90, 1.0, -1)
    alpha = cv2.GaussianBlur(person, (0, 0), 1.2)
    alpha[180:183, 290:420] = 0.4  # a strand
    assert ((alpha > 0.05) & (alpha < 0.95)).sum() > 2000
    assert decided(alpha) is alpha


def test_mirrored_mattes_are_decided_alike() -> None:
    alpha = np.maximum(blob(40, 1.0), blob(66, 0.6))
    other = np.ascontiguousarray(alpha[:, ::-1])
    assert np.allclose(decided(other)[:, ::-1], decided(alpha), atol=1e-6)
