"""Every metric against an oracle that shares no code with it, and by the property that it must have."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skimage import measure, morphology

from streamseg.core.opencv import cv2
from streamseg.tools.evaluation import metrics, sequences

Array = npt.NDArray[Any]
ERRORS = ("mad", "mse", "sad", "grad", "conn")
SCORES = ("iou", "miou", "boundary_f", "boundary_iou")


def figure(shift: float = 0.0, size: tuple[int, int] = (72, 96), soft: float = 1.5) -> Array:
    """float32 (h, w): a head and a body with soft rims, ``shift`` pixels right of the middle."""
    y, x = np.mgrid[:size[0], :size[1]].astype(np.float64)
    x -= size[1] / 2 + shift
    head = 10 - np.hypot(x, y - 0.3 * size[0])
    body = 17 - np.hypot(x, (y - 0.75 * size[0]) * 0.9)
    return np.clip(np.maximum(head, body) / soft + 0.5, 0, 1).astype(np.float32)


def rough(seed: int, size: tuple[int, int] = (40, 56)) -> Array:
    """float32 (h, w) in [0, 1]: smooth random blotches, many areas with soft rims."""
    noise = np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 2.5) * 4 + 0.5, 0, 1)


def moving(frames: int = 14) -> list[Array]:
    return [figure(3.0 * index - 20) for index in range(frames)]


# --- one picture against oracles --------------------------------------------------------------

@pytest.mark.parametrize("seed", range(4))
def test_iou_is_what_pycocotools_says(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="the oracle pycocotools is not installed")
    alpha, truth = rough(seed), rough(seed + 10)
    masks = [coco.encode(np.asfortranarray(side >= 0.5, np.uint8)) for side in (alpha, truth)]
    assert metrics.iou(alpha, truth) == pytest.approx(coco.iou([masks[0]], [masks[1]], [0])[0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_miou_is_the_mean_of_sklearns_two_jaccard_scores(seed: int) -> None:
    from sklearn.metrics import jaccard_score

    alpha, truth = rough(seed), rough(seed + 10)
    known = rough(seed + 20) < 0.8
    expected = jaccard_score((truth >= 0.5)[known], (alpha >= 0.5)[known], average=None, labels=[0, 1]).mean()
    assert metrics.miou(alpha, truth, ~known) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_boundary_f_is_davis_formula_with_discs_by_scikit_image(seed: int) -> None:
    alpha, truth = rough(seed, (90, 120)), rough(seed + 1, (90, 120))
    alpha = np.where(np.random.default_rng(seed).random(alpha.shape) < 0.5, alpha, truth)

    def contour(label: Array) -> Array:
        found = np.zeros_like(label)
        height, width = label.shape
        for row in range(height):
            for column in range(width):
                block = label[row:row + 2, column:column + 2]
                found[row, column] = (block != label[row, column]).any()
        return found

    disc = morphology.disk(math.ceil(0.008 * math.hypot(90, 120)))
    mine, true = contour(alpha >= 0.5), contour(truth >= 0.5)
    precision = (mine & morphology.dilation(true, disc)).sum() / mine.sum()
    recall = (true & morphology.dilation(mine, disc)).sum() / true.sum()
    expected = 2 * precision * recall / (precision + recall)
    assert 0.1 < expected < 0.99
    assert metrics.boundary_f(alpha, truth) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_boundary_iou_is_the_published_erosion_of_3x3_repeated(seed: int) -> None:
    alpha, truth = figure(seed * 2 - 3.0, (120, 160)), figure(0, (120, 160))

    def band(label: Array) -> Array:
        padded = np.pad(label, 1)
        core = padded
        for _ in range(round(0.02 * math.hypot(120, 160))):
            core = morphology.erosion(core, np.ones((3, 3)), mode="min")
        return label & ~core[1:-1, 1:-1]

    mine, true = band(alpha >= 0.5), band(truth >= 0.5)
    assert metrics.boundary_iou(alpha, truth) == pytest.approx((mine & true).sum() / (mine | true).sum())


def test_mad_mse_and_sad_of_a_known_difference() -> None:
    truth = np.zeros((20, 50), np.float32)
    alpha = truth.copy()
    alpha[:, :10] = 0.5  # a fifth of the pixels
    assert metrics.mad(alpha, truth) == pytest.approx(100)
    assert metrics.mse(alpha, truth) == pytest.approx(50)
    assert metrics.sad(alpha, truth) == pytest.approx(0.1)


@pytest.mark.parametrize("seed", range(3))
def test_grad_is_scipys_gaussian_derivative_of_unit_norm(seed: int) -> None:
    ndimage = pytest.importorskip("scipy.ndimage", reason="the oracle SciPy is not installed")
    alpha, truth = (0.2 + 0.5 * rough(seed + part) for part in (0, 5))

    def magnitude(values: Array) -> Array:
        impulse = np.zeros((31, 31))
        impulse[15, 15] = 1
        parts = []
        for order in ((0, 1), (1, 0)):
            norm = np.linalg.norm(ndimage.gaussian_filter(impulse, 1.4, order=order, radius=4))
            parts.append(ndimage.gaussian_filter(values.astype(float), 1.4, order=order, radius=4,
                                                 mode="nearest") / norm)
        return np.hypot(*parts)

    expected = ((magnitude(alpha) - magnitude(truth)) ** 2).sum() / 1000
    assert metrics.grad(alpha, truth) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_conn_is_the_published_loop_with_scikit_images_areas(seed: int) -> None:
    alpha, truth = np.round(rough(seed), 2), np.round(rough(seed + 7) * 0.6 + rough(seed) * 0.4, 2)
    levels = np.full(truth.shape, -1.0)
    for step in range(1, 11):
        both = (alpha >= np.float32(step / 10)) & (truth >= np.float32(step / 10))
        areas = measure.label(both, connectivity=1)
        sizes = np.bincount(areas.ravel())[1:]
        largest = areas == sizes.argmax() + 1 if sizes.size else np.zeros_like(both)
        levels[(levels == -1) & ~largest] = (step - 1) / 10
    levels[levels == -1] = 1
    phi = [1 - (side - levels) * (side - levels >= 0.15) for side in (truth, alpha)]
    expected = np.abs(phi[0] - phi[1]).sum() / 1000
    assert expected > 0
    assert metrics.conn(alpha, truth) == pytest.approx(expected, rel=1e-4)


# --- one picture: properties ------------------------------------------------------------------

@pytest.mark.parametrize(("name", "best"), [*((name, 1.0) for name in SCORES),
                                              *((name, 0.0) for name in ERRORS)])
def test_truth_itself_scores_best_and_damage_only_makes_it_worse(name: str, best: float) -> None:
    truth, metric = figure(), metrics.PICTURE[name]
    values = [metric(figure(shift), truth) for shift in (0, 2, 5, 9, 14)]
    assert values[0] == pytest.approx(best, abs=1e-12)
    badness = [abs(value - best) for value in values]
    assert all(earlier < later for earlier, later in itertools.pairwise(badness))


@pytest.mark.parametrize("name", SCORES)
def test_two_empty_mattes_agree_and_one_missed_person_does_not(name: str) -> None:
    empty, metric = np.zeros((72, 96), np.float32), metrics.PICTURE[name]
    assert metric(empty, empty) == 1.0
    assert metric(empty, figure()) < 0.5
    assert metric(figure(), empty) < 0.5


@pytest.mark.parametrize("metric", [metrics.iou, metrics.miou, metrics.boundary_f, metrics.boundary_iou,
                                    metrics.mad, metrics.mse])
def test_what_is_ignored_changes_nothing(metric: Callable[..., float]) -> None:
    truth, ignore = figure(), np.zeros((72, 96), bool)
    ignore[20:50, 60:80] = True
    spoilt = figure(3)
    spoilt[ignore] = np.random.default_rng(1).random(ignore.sum())
    assert metric(spoilt, truth, ignore) == metric(figure(3), truth, ignore)
    assert metric(spoilt, truth) != metric(figure(3), truth)


def test_ignoring_everything_is_no_error_at_all() -> None:
    everything = np.ones((72, 96), bool)
    assert metrics.iou(figure(9), figure(), everything) == 1.0
    assert metrics.mad(figure(9), figure(), everything) == 0.0


@pytest.mark.parametrize("name", [*SCORES, *ERRORS])
def test_mattes_of_another_size_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\(36, 48\)"):
        metrics.PICTURE[name](figure(size=(36, 48)), figure())


def test_no_metric_changes_what_it_is_given() -> None:
    alpha, truth = figure(4), figure()
    alpha.setflags(write=False)
    truth.setflags(write=False)
    for metric in metrics.PICTURE.values():
        metric(alpha, truth)


# --- sequences --------------------------------------------------------------------------------

def test_dtssd_is_its_formula_over_the_whole_sequence() -> None:
    truths = np.stack(moving())
    alphas = np.clip(truths + np.random.default_rng(3).normal(0, 0.1, truths.shape), 0, 1)
    counter = sequences.DtSSD()
    for alpha, truth in zip(alphas, truths, strict=True):
        counter.add(alpha, truth)
    change = np.diff(alphas, axis=0) - np.diff(truths.astype(float), axis=0)
    assert counter.result() == pytest.approx(100 * np.sqrt((change ** 2).mean(axis=(1, 2))).mean())


def test_dtssd_forgives_a_constant_error_and_grows_with_a_changing_one() -> None:
    def score(amplitude: float, offset: float = 0.0) -> float:
        counter = sequences.DtSSD()
        for index, truth in enumerate(moving()):
            counter.add(truth * 0.5 + offset + amplitude * (index % 2), truth * 0.5)
        return counter.result()

    assert score(0.0) == 0.0
    assert score(0.0, offset=0.2) == pytest.approx(0, abs=1e-6)
    assert score(0.05) == pytest.approx(5, rel=1e-5)
    assert score(0.2) == pytest.approx(20, rel=1e-5)


def textured(shift: int, size: tuple[int, int] = (72, 96)) -> Array:
    """uint8 (h, w): fixed random texture, moved right by whole pixels."""
    noise = np.random.default_rng(5).normal(0, 1, (size[0], size[1] + 60)).astype(np.float32)
    wall = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return np.ascontiguousarray(wall[:, 30 - shift:30 - shift + size[1]])


def warping_error(shifts: list[int], jitter: float = 0.0) -> float:
    """Of a matte that moves by ``shifts`` over a picture that moves by one pixel a frame."""
    counter = sequences.WarpingError()
    for index, shift in enumerate(shifts):
        alpha = np.clip(figure(shift) + jitter * (index % 2), 0, 1)
        counter.add(alpha, textured(index))
    return counter.result()


def test_warping_error_is_small_only_for_a_matte_that_moves_with_the_picture() -> None:
    along = warping_error([0, 1, 2, 3])
    assert along < 1e-3
    assert along < warping_error([0, 2, 4, 6]) < warping_error([0, 4, 8, 12])
    assert along < warping_error([0, 1, 2, 3], jitter=0.1) < warping_error([0, 1, 2, 3], jitter=0.4)


def test_warping_error_of_a_still_picture_is_the_mean_squared_change() -> None:
    counter, still = sequences.WarpingError(), textured(0)
    counter.add(np.zeros((72, 96), np.float32), still)
    assert counter.add(np.full((72, 96), 0.3, np.float32), still) == pytest.approx(0.09, rel=1e-5)


def test_warping_error_leaves_out_what_the_flow_cannot_follow() -> None:
    """A picture replaced by another: forward and backward flow disagree nearly everywhere."""
    random = np.random.default_rng(0)
    pictures = [cv2.GaussianBlur(random.integers(0, 255, (72, 96), np.uint8), (0, 0), 2) for _ in range(2)]
    counted: list[float] = []
    for pair in ((pictures[0], pictures[0]), pictures):
        counter = sequences.WarpingError()
        half = np.zeros((72, 96), np.float32)
        counter.add(half, pair[0])
        half = half.copy()
        half[:, ::2] = 1
        counted.append(counter.add(half, pair[1]) or 0.0)
    assert counted[0] == pytest.approx(0.5)
    assert counted[1] != pytest.approx(0.5, abs=1e-4)


def test_flicker_counts_pixels_that_flip_and_flip_back_while_the_picture_is_still() -> None:
    still = np.full((20, 50), 90, np.uint8)
    off, on = np.zeros((20, 50), np.float32), np.zeros((20, 50), np.float32)
    on[:2, :5] = 1
    counter = sequences.Flicker()
    assert [counter.add(alpha, still) for alpha in (off, on, off)] == [None, None, 10_000]
    assert counter.add(off, still) == 0  # on, off, off: no way back
    assert counter.result() == 5_000


def test_flicker_forgives_where_the_picture_changes() -> None:
    off, on = np.zeros((20, 50), np.float32), np.ones((20, 50), np.float32)
    counter = sequences.Flicker()
    for alpha, level in ((off, 90), (on, 94), (off, 90)):
        luma = np.full((20, 50), 90, np.uint8)
        luma[:, :30] = level
        counter.add(alpha, luma)
    assert (counter.flips, counter.still) == (400, 400)
    nothing = sequences.Flicker()
    for index in range(4):
        nothing.add(on, np.full((20, 50), 40 * index, np.uint8))
    assert math.isnan(nothing.result())


@pytest.mark.parametrize("late", [-2, 0, 1, 3])
def test_lag_finds_by_how_many_frames_a_matte_is_late(late: int) -> None:
    truths, counter = moving(24), sequences.Lag()
    for index in range(4, 20):
        counter.add(truths[index - late], truths[index])
    assert counter.result() == pytest.approx(late, abs=0.02)


def test_lag_of_an_average_with_the_frame_before_is_half_a_frame() -> None:
    truths, counter = moving(24), sequences.Lag()
    for index in range(1, 24):
        counter.add((truths[index] + truths[index - 1]) / 2, truths[index])
    assert counter.result() == pytest.approx(0.5, abs=0.05)


def test_lag_of_equal_peaks_is_the_nearest_to_none() -> None:
    truths, to_and_fro = moving(24), sequences.Lag()
    for index in range(24):
        to_and_fro.add(truths[index % 4], truths[index % 4])
    values = to_and_fro.correlations()
    assert values[[0, 4, 8]] == pytest.approx([1, 1, 1], abs=1e-12)
    assert to_and_fro.result() == 0


@pytest.mark.parametrize("spread", [1, 9], ids=["the truth itself", "a wider matte"])
def test_lag_where_the_subject_stands_still_round_no_lag_is_none(spread: int) -> None:
    truths, counter = moving(24), sequences.Lag(reach=2)
    for index in (0, *[9] * 7, 18):  # only the frames that k of -2 and 2 alone look at are others
        counter.add(cv2.blur(truths[index], (spread, spread)), truths[index])
    values = counter.correlations()
    assert values[1:4] == pytest.approx([values[2]] * 3, abs=1e-12)
    assert max(values[0], values[4]) < values[2] - 0.01
    assert counter.result() == 0


def test_lag_correlations_are_numpys() -> None:
    truths, counter = moving(12), sequences.Lag(reach=2)
    alphas = [np.clip(truth + np.random.default_rng(i).normal(0, .2, truth.shape), 0, 1)
              for i, truth in enumerate(truths)]
    for alpha, truth in zip(alphas, truths, strict=True):
        counter.add(alpha, truth)
    middle = np.ravel(alphas[2:10])
    expected = [np.corrcoef(middle, np.ravel(truths[2 - k:10 - k]))[0, 1] for k in (2, 1, 0, -1, -2)]
    assert counter.correlations() == pytest.approx(expected, rel=1e-4)


def test_lag_of_a_still_subject_is_not_a_number() -> None:
    counter = sequences.Lag(reach=2)
    for _ in range(8):
        counter.add(figure(), figure())
    assert math.isnan(counter.result())


@pytest.mark.parametrize("shape", [(10, 40), (40, 10), (8, 8), (1, 1)])
def test_mattes_too_small_for_flow_have_no_warping_error(shape: tuple[int, int]) -> None:
    counter = sequences.WarpingError()
    for level in (0, 1, 0):
        assert counter.add(np.full(shape, level, np.float32), np.zeros(shape, np.uint8)) is None
    assert np.isnan(counter.result())


@pytest.mark.parametrize("kind", [sequences.DtSSD, sequences.WarpingError, sequences.Flicker, sequences.Lag])
def test_a_sequence_of_one_frame_has_no_score(kind: Any) -> None:
    counter = kind()
    luma = np.zeros((72, 96), np.uint8)
    counter.add(figure(), figure() if isinstance(counter, (sequences.DtSSD, sequences.Lag)) else luma)
    assert math.isnan(counter.result())
