"""training.augment: pairs stay aligned, the unknown stays unknown, and a seed gives the same sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from tests.training.sets import figure, pair, texture
from training import augment, damage

SIZE = (96, 128)
Rng = np.random.Generator


def marked(seed: int = 0, size: tuple[int, int] = (120, 100)) -> augment.Pair:
    """A picture that is its own truth: white where alpha is 255, black elsewhere, all known."""
    alpha = figure(np.random.default_rng(seed), size)
    return cv2.merge([alpha] * 3), cv2.merge([alpha, np.full(size, 255, np.uint8)])


def crop(given: augment.Pair, rng: Rng) -> augment.Pair:
    return augment.crop(given, SIZE, rng)


def place(given: augment.Pair, rng: Rng) -> augment.Pair:
    return augment.place(given, SIZE, rng)


def dress(given: augment.Pair, rng: Rng) -> augment.Pair:
    return augment.dress(given, texture(np.random.default_rng(9), SIZE), rng)


def hang(given: augment.Pair, rng: Rng) -> augment.Pair:
    return augment.hang(given, pair(9, SIZE), rng)


@pytest.mark.parametrize("make", [crop, place, dress, hang, damage.disturb])
@pytest.mark.parametrize("seed", range(4))
def test_a_seed_gives_the_same_sample_and_the_arrays_given_stay(make: Callable[..., Any], seed: int) -> None:
    given = pair(seed)
    for array in given:
        array.flags.writeable = False
    first, same, other = (make(given, np.random.default_rng(s)) for s in (seed, seed, seed + 100))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("make", [crop, place])
def test_picture_and_truth_are_moved_alike(make: Callable[..., Any]) -> None:
    for seed in range(30):
        picture, truth = make(marked(seed), np.random.default_rng(seed))
        assert picture.shape == (*SIZE, 3)
        assert truth.shape == (*SIZE, 2)
        known = truth[..., 1] > 0
        # OpenCV interpolates two and three channels with weights of different precision
        assert np.abs(picture[..., 0].astype(int) - truth[..., 0])[known].max() <= 8


def test_crops_are_flipped_about_half_of_the_time() -> None:
    size = (96, 96)
    ramp = np.repeat(np.linspace(0, 255, 96).astype(np.uint8)[None], 96, 0)
    given = cv2.merge([ramp] * 3), cv2.merge([ramp, np.full(size, 255, np.uint8)])
    slopes = []
    for seed in range(60):
        picture, _ = augment.crop(given, size, np.random.default_rng(seed))
        slopes.append(float(picture[48, 60:70].mean()) - float(picture[48, 26:36].mean()))
    assert 20 < sum(slope > 0 for slope in slopes) < 40


@pytest.mark.parametrize("make", [crop, place])
def test_what_nobody_knows_stays_unknown_wherever_it_goes(make: Callable[..., Any]) -> None:
    size = (120, 100)
    seen = 0
    for seed in range(20):
        # the picture is red where its truth is unknown, and only there
        unknown = figure(np.random.default_rng(seed), size) > 0
        picture = np.zeros((*size, 3), np.uint8)
        picture[unknown, 0] = 255
        truth = cv2.merge([np.zeros(size, np.uint8), np.where(unknown, 0, 255).astype(np.uint8)])
        moved, marks = make((picture, truth), np.random.default_rng(seed))
        red = moved[..., 0] > 60
        seen += int(red.sum())
        assert not (marks[..., 1][red] > 0).any()
        assert set(np.unique(marks[..., 1])) <= {0, 255}
    assert seen > 1000


def test_laid_over_by_alpha_and_the_fronts_unknown_comes_along() -> None:
    front, back = pair(1, SIZE), pair(2, SIZE)
    front[1][:20, :, 1] = 0
    back[1][-20:, :, 1] = 0
    mixed, truth = augment.over(front, back, np.random.default_rng(0))
    apart = cv2.dilate(front[1][..., 0], np.ones((9, 9), np.uint8)) == 0
    assert np.array_equal(mixed[apart], back[0][apart])
    inside = cv2.erode(front[1][..., 0], np.ones((9, 9), np.uint8)) == 255
    assert (truth[..., 0][inside] >= 254).all()
    assert (truth[:20, :, 1] == 0).all()
    # what nobody knows of the back is hidden where the front surely stands
    below = truth[-20:, :, 1]
    assert (below[inside[-20:]] == 255).all()
    assert (below[apart[-20:]] == 0).all()


def test_two_people_are_one_matte_of_both() -> None:
    left, right = np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    left[:, 10:40], right[:, 80:110] = 255, 255
    pairs = [(np.full((*SIZE, 3), 90, np.uint8), cv2.merge([alpha, np.full(SIZE, 255, np.uint8)]))
             for alpha in (left, right)]
    _, truth = augment.over(*pairs, np.random.default_rng(0))
    assert (truth[48, 15:35, 0] == 255).all()
    assert (truth[48, 85:105, 0] == 255).all()
    assert (truth[48, 45:75, 0] == 0).all()


def test_one_who_is_cut_by_the_pictures_edge_does_not_float() -> None:
    for seed in range(30):
        given = marked(seed)  # its body ends at the lower edge
        _, truth = augment.place(given, SIZE, np.random.default_rng(seed))
        if truth[..., 0].max() > 200:
            assert truth[-2, :, 0].max() > 100, seed


def test_what_is_worn_looks_otherwise_below_the_head_and_stays_the_persons() -> None:
    shares = []
    for seed in range(40):
        given = pair(seed, SIZE)
        picture, truth = dress(given, np.random.default_rng(seed))
        assert truth is given[1]
        changed = np.any(picture != given[0], axis=2)
        person = truth[..., 0] > 0
        assert not changed[~person].any()
        shares.append(np.count_nonzero(changed) / np.count_nonzero(person))
    assert min(shares) > 0.001
    assert 0.02 < np.median(shares) < 0.5


def test_where_there_is_nobody_nobody_is_dressed() -> None:
    nobody = texture(np.random.default_rng(0), SIZE), cv2.merge([np.zeros(SIZE, np.uint8)] * 2)
    assert dress(nobody, np.random.default_rng(0)) is nobody


def test_cloth_hangs_behind_the_person_and_the_truth_stays() -> None:
    shares = []
    for seed in range(40):
        given = pair(seed, SIZE)
        picture, truth = hang(given, np.random.default_rng(seed))
        assert truth is given[1]
        changed = np.any(picture != given[0], axis=2)
        assert not changed[truth[..., 0] == 255].any()
        shares.append(changed.mean())
    assert 0.02 < np.median(shares) < 0.5


def test_cloth_is_cut_out_of_what_the_other_wears_below_his_head() -> None:
    alpha = np.zeros((200, 160), np.uint8)
    alpha[20:180, 40:120] = 255
    rows, columns = np.indices(alpha.shape).astype(np.uint8)
    placed = cv2.merge([rows, columns, rows])  # each pixel tells where it is
    somebody = placed, cv2.merge([alpha, alpha])
    sizes = set()
    for seed in range(20):
        patch = augment._worn(somebody, np.random.default_rng(seed))
        if patch is None:  # too small a piece was asked for
            continue
        assert patch[..., 0].min() >= 20 + int(0.35 * 160)
        assert patch[..., 0].max() < 180
        assert patch[..., 1].min() >= 40
        assert patch[..., 1].max() < 120
        sizes.add(patch.shape)
    assert len(sizes) > 10
    nobody = placed, cv2.merge([np.zeros_like(alpha)] * 2)
    assert augment._worn(nobody, np.random.default_rng(0)) is None


def test_the_rim_is_where_alpha_changes() -> None:
    alpha = np.zeros((20, 20), np.uint8)
    alpha[:, 10:] = 255
    found = augment.rim(alpha, radius=2)
    assert [x for x in range(20) if found[10, x]] == [8, 9, 10, 11]


@pytest.mark.parametrize(("quarters", "place"), [(1, (9, 0)), (2, (5, 9)), (3, (0, 5))])
def test_a_turned_pair_stays_together(quarters: int, place: tuple[int, int]) -> None:
    picture, truth = np.zeros((6, 10, 3), np.uint8), np.zeros((6, 10, 2), np.uint8)
    picture[0, 0], truth[0, 0] = 200, 255
    turned, mask = augment.turn((picture, truth), quarters)
    assert turned.shape[:2] == mask.shape[:2] == ((10, 6) if quarters % 2 else (6, 10))
    assert np.argwhere(turned[..., 0]).tolist() == np.argwhere(mask[..., 0]).tolist() == [list(place)]
