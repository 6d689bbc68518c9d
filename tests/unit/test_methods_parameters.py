"""Each parameter of the classical methods changes what its help says; oracles are scikit-image and
scikit-learn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from skimage.filters import threshold_otsu
from sklearn.cluster import KMeans as Oracle
from threadpoolctl import threadpool_info

from streamseg.core.opencv import cv2
from streamseg.segment import create_segmenter
from streamseg.segment.classical.base import working_size
from streamseg.segment.classical.clustering import best_centres, squared_distances, starting_centres
from streamseg.segment.classical.plate import exposure_gain
from streamseg.segment.classical.polarity import Vote, inside_excess
from streamseg.segment.classical.threshold import fill_outlines, side_means

from . import scenes
from .scenes import assert_subject, frame, iou


def alpha_of(name: str, rgb: Any, **params: Any) -> Any:
    return create_segmenter(name, params).segment([frame(rgb, format="yuv444p")])[0].alpha


def ramp() -> Any:
    """uint8 (64, 256, 3): each grey once a column, as luma of full range after conversion 16..235."""
    return np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (64, 256, 3)).copy()


# --- what is shared -----------------------------------------------------------------------------

@pytest.mark.parametrize(("size", "expected"), [(128, (128, 72)), (16, (16, 9)), (999, (256, 144))])
def test_size_is_the_long_side_and_never_enlarges(size: int, expected: tuple[int, int]) -> None:
    given = frame(scenes.picture()[0])
    assert working_size(given, size) == expected
    assert create_segmenter("threshold", {"size": size}).segment([given])[0].alpha.shape == expected[::-1]


def test_upright_pictures_keep_their_shape() -> None:
    given = frame(np.rot90(scenes.picture()[0]))
    assert working_size(given, 128) == (72, 128)


@pytest.mark.parametrize("name", ["threshold", "kmeans", "region"])
def test_blur_13_takes_away_noise_that_would_break_the_matte(name: str) -> None:
    mask = scenes.truth()
    clean = np.where(mask, 90.0, 140.0)[..., None]
    noise = np.random.default_rng(3).normal(0, 40, (scenes.HEIGHT, scenes.WIDTH, 1))
    noisy = np.clip(clean + noise, 0, 255).repeat(3, axis=2).astype(np.uint8)
    plain, smooth = (iou(alpha_of(name, noisy, blur=blur), mask) for blur in (1, 13))
    assert smooth > 0.8
    assert smooth > plain + 0.01


def test_inside_excess_has_known_answers() -> None:
    labels = np.zeros((40, 80), int)
    labels[10:30, 20:60] = 1
    labels[30:, 30:50] = 2  # stands on the lower edge, which is no border
    excess = inside_excess(labels, 4)
    assert excess[0] < 0 < excess[2] < excess[1]
    assert excess[3] == 0
    assert excess.sum() == pytest.approx(0)


def frames_until_the_side_changes(name: str, every: int, **settings: Any) -> int:
    """Frames of a film from the one on which the lit side becomes the border's to the first matte that says so."""
    method = create_segmenter(name, settings)
    subject, around = (np.full((48, 64, 3), 40, np.uint8) for _ in range(2))
    subject[16:32, 20:44] = 220
    around[:] = 220
    around[16:32, 20:44] = 40
    for index in range(0, 60, every):
        method.segment([frame(subject, index)])
    for index in range(60, 200, every):
        if method.segment([frame(around, index)])[0].alpha[24, 32] > 0.5:
            return index - 60
    raise AssertionError("it never changed")


@pytest.mark.parametrize(("name", "settings"), [("threshold", {}), ("kmeans", {"k": 2})])
def test_what_side_the_subject_is_on_changes_by_time_not_by_calls(name: str, settings: dict[str, Any]) -> None:
    at_every = frames_until_the_side_changes(name, 1, **settings)
    assert at_every > 3
    assert abs(frames_until_the_side_changes(name, 3, **settings) - at_every) <= 3


def test_vote_holds_against_single_frames_and_forgets_on_reset() -> None:
    light = scenes.truth().astype(np.uint8) * 255
    vote = Vote()
    assert all(vote.lit_is_subject(light) for _ in range(5))
    assert vote.lit_is_subject(255 - light)
    vote.reset()
    assert not vote.lit_is_subject(255 - light)


# --- threshold ----------------------------------------------------------------------------------

def test_otsu_divides_where_scikit_image_does() -> None:
    rgb, _ = scenes.textured()
    given = frame(rgb)
    luma = given.luma()
    expected = luma > threshold_otsu(luma)
    found = create_segmenter("threshold", {"type": "binary"}).segment([given])[0].alpha
    # The matte's rim is softened by a 3 x 3 kernel: compare where the neighbourhood agrees.
    solid = cv2.blur(expected.astype(np.float32), (3, 3))
    np.testing.assert_array_equal(found[solid == 1], 1.0)
    np.testing.assert_array_equal(found[solid == 0], 0.0)
    assert (solid == 1).sum() > 1000


@pytest.mark.parametrize("value", [60, "128", 200])
def test_fixed_levels_and_the_five_types_on_a_ramp(value: Any) -> None:
    given = frame(ramp(), format="gbrp")
    luma = given.luma()[32].astype(int)
    level = int(value)
    keep = {}
    for kind in ("binary", "binary_inv", "trunc", "tozero", "tozero_inv"):
        keep[kind] = create_segmenter("threshold", {"type": kind, "value": value}).segment([given])[0].alpha[32]
    inner = np.abs(luma - level) > 2
    np.testing.assert_array_equal(keep["binary"][inner], (luma > level)[inner])
    np.testing.assert_array_equal(keep["binary_inv"][inner], (luma <= level)[inner])
    assert (keep["trunc"][luma > level] == 1).all()
    below = keep["trunc"][luma < level]
    assert (np.diff(below) >= 0).all()
    assert below[0] == 0
    assert 0.4 < below[3 * level // 4] < 0.6
    for kind, kept in (("tozero", luma > level), ("tozero_inv", luma <= level)):
        assert (keep[kind][~kept] == 0).all()
        mean = luma[kept].mean()
        np.testing.assert_allclose(keep[kind][kept], np.minimum(luma[kept] / mean, 1), atol=0.02)


@pytest.mark.parametrize(("kind", "scene"), [("binary", "light"), ("trunc", "light"), ("tozero", "light"),
                                             ("binary_inv", "dark"), ("tozero_inv", "dark")])
def test_each_type_finds_the_side_it_keeps_and_loses_the_other(kind: str, scene: str) -> None:
    rgb, mask = scenes.picture(scene)
    assert_subject(create_segmenter("threshold", {"type": kind}).segment([frame(rgb)])[0], mask)
    other, mask = scenes.picture("light" if scene == "dark" else "dark")
    assert iou(alpha_of("threshold", other, type=kind), mask) < 0.2


@pytest.mark.parametrize("name", ["threshold", "adaptive", "kmeans", "meanshift"])
@pytest.mark.parametrize("side", ["dark", "light"])
def test_polarity_can_be_forced_and_then_the_border_is_not_asked(name: str, side: str) -> None:
    rgb, mask = scenes.picture(side)
    assert iou(alpha_of(name, rgb, polarity=side), mask) > 0.9
    if name != "adaptive":  # whose outlines enclose the same area from within or without
        other = "light" if side == "dark" else "dark"
        assert iou(alpha_of(name, rgb, polarity=other), ~mask) > 0.9


def test_side_means_are_those_of_the_pixels() -> None:
    grey = frame(scenes.textured()[0]).luma()
    low, high = side_means(grey, 110)
    assert low == pytest.approx(grey[grey <= 110].mean(), rel=1e-4)
    assert high == pytest.approx(grey[grey > 110].mean(), rel=1e-4)
    assert side_means(grey, 255)[1] == 0


# --- adaptive -----------------------------------------------------------------------------------

@pytest.mark.parametrize("method", ["mean", "gaussian"])
def test_both_neighbourhoods_fill_the_subject(method: str) -> None:
    rgb, mask = scenes.picture("dark")
    assert iou(alpha_of("adaptive", rgb, method=method), mask) > 0.9


def test_c_above_the_contrast_finds_nothing() -> None:
    rgb = np.full((scenes.HEIGHT, scenes.WIDTH, 3), 120, np.uint8)
    rgb[scenes.truth()] = 100
    assert iou(alpha_of("adaptive", rgb, c=2), scenes.truth()) > 0.9
    assert alpha_of("adaptive", rgb, c=30).max() == 0


def test_block_must_span_a_soft_edge() -> None:
    rgb, mask = scenes.picture("dark")
    soft = cv2.GaussianBlur(rgb, (0, 0), 9)
    assert iou(alpha_of("adaptive", soft, block=61, c=4), mask) > 0.85
    assert iou(alpha_of("adaptive", soft, block=3, c=4), mask) < 0.1


def test_outlines_are_filled_also_where_the_picture_cuts_them() -> None:
    outline = np.zeros((80, 100), np.uint8)
    cv2.rectangle(outline, (30, 30), (70, 200), 255, 2)  # open at the lower edge
    mask = fill_outlines(outline)
    assert mask[60, 50] == 255
    assert mask[79, 50] == 255
    assert not mask[:25].any()
    assert mask[10, 10] == mask[70, 10] == 0


# --- clustering ---------------------------------------------------------------------------------

@pytest.mark.parametrize("engine", ["opencv", "sklearn"])
@pytest.mark.parametrize("k", [2, 4])
def test_kmeans_groups_as_scikit_learn_does(engine: str, k: int) -> None:
    rgb, _ = scenes.textured()
    method = create_segmenter("kmeans", {"engine": engine, "k": k, "blur": 1, "size": 96})
    given = frame(rgb, format="gbrp")
    method.segment([given])
    points = cv2.cvtColor(given.rgb((96, 54)), cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    oracle = Oracle(k, n_init=10, random_state=0).fit(points)
    centres = method._centres  # type: ignore[attr-defined]
    inertia = squared_distances(points, centres).min(axis=1).sum()
    assert inertia < 1.03 * oracle.inertia_


def test_kmeans_chooses_k_by_itself() -> None:
    generator = np.random.default_rng(0)
    for k in (2, 3, 5):
        middles = generator.permutation(np.linspace(20, 230, k))
        points = np.stack([generator.normal(middle, 3, (200, 3)) for middle in middles]).reshape(-1, 3)
        assert len(best_centres(points.astype(np.float32))) == k
    rgb, mask = scenes.picture("equal")
    assert iou(alpha_of("kmeans", rgb, k=0), mask) > 0.9


def test_more_groups_find_a_subject_of_two_colours() -> None:
    rgb, mask = scenes.picture("light")
    halves = rgb.copy()
    halves[mask & (np.arange(scenes.HEIGHT)[:, None] > 60)] = (110, 20, 30)
    assert iou(alpha_of("kmeans", halves, k=2), mask) < 0.9 < iou(alpha_of("kmeans", halves, k=3), mask)


@pytest.mark.parametrize("name", ["kmeans", "meanshift"])
def test_centres_are_carried_so_that_labels_keep_their_meaning(name: str) -> None:
    method = create_segmenter(name)
    first = None
    for index in range(6):
        rgb, _ = scenes.picture("equal", 5.0 * index, index)
        method.segment([frame(np.clip(rgb * (1 + 0.02 * index), 0, 255).astype(np.uint8), index)])
        centres = method._centres[:2]  # type: ignore[attr-defined]
        first = centres if first is None else first
        if name == "kmeans":
            assert (squared_distances(centres, first).argmin(axis=1) == [0, 1]).all()
    if name == "kmeans":
        return
    roles, centres = method._roles, method._centres  # type: ignore[attr-defined]
    assert len(roles) == len(centres)


def test_starting_centres_of_flat_points_are_all_that_point() -> None:
    flat = np.full((50, 3), 7, np.float32)
    np.testing.assert_array_equal(starting_centres(flat, 3), np.full((3, 3), 7))


def test_bandwidth_decides_how_many_peaks_there_are() -> None:
    rgb = np.array([(30, 30, 30), (200, 40, 40), (40, 180, 60), (230, 230, 230)], np.uint8)
    rgb = rgb.repeat(64, axis=0)[None].repeat(scenes.HEIGHT, axis=0)
    counts = []
    for bandwidth in (10.0, 200.0):
        method = create_segmenter("meanshift", {"bandwidth": bandwidth})
        method.segment([frame(rgb)])
        counts.append(len(method._centres))  # type: ignore[attr-defined]
    assert counts[0] == 4
    assert counts[1] == 1


# --- region, grabcut ----------------------------------------------------------------------------

def test_tolerance_decides_how_far_a_region_grows() -> None:
    rgb, mask = scenes.picture("dark")
    assert iou(alpha_of("region", rgb, tolerance=20), mask) > 0.9
    assert alpha_of("region", rgb, tolerance=200).max() == 0


@pytest.mark.parametrize("seeds", ["128,90", "0.5,0.65;0.5,0.3"])
def test_given_seeds_grow_the_subject_or_if_told_the_background(seeds: str) -> None:
    rgb, mask = scenes.picture("dark")
    assert iou(alpha_of("region", rgb, seeds=seeds), mask) > 0.9
    assert iou(alpha_of("region", rgb, seeds=seeds, polarity="background"), ~mask) > 0.9
    assert iou(alpha_of("region", rgb, seeds="3,3", polarity="background"), mask) > 0.9


def test_holes_of_the_background_colour_stay_in_a_subject_that_the_border_grows_round() -> None:
    rgb, mask = scenes.picture("dark")
    rgb[85:105, 115:140] = scenes.PALETTES["dark"][0]
    assert iou(alpha_of("region", rgb), mask) > 0.9


def test_grabcut_looks_in_the_rectangle() -> None:
    background = np.array((120, 160, 130))
    rgb = np.random.default_rng(0).normal(background, 3, (scenes.HEIGHT, scenes.WIDTH, 3))
    left, right = np.zeros((2, scenes.HEIGHT, scenes.WIDTH), bool)
    left[40:110, 20:80], right[40:110, 170:230] = True, True
    rgb[left | right] = (170, 40, 40)
    given = np.clip(rgb, 0, 255).astype(np.uint8)
    for box, mask in (("0.02,0.2,0.4,0.65", left), ("0.6,0.2,0.38,0.65", right)):
        assert iou(alpha_of("grabcut", given, rect=box), mask) > 0.9


def test_grabcut_follows_the_subject_out_of_the_first_rectangle() -> None:
    carried = create_segmenter("grabcut", {"rect": "0.25,0.05,0.5,0.9"})
    fresh = create_segmenter("grabcut", {"rect": "0,0,0.3,1"})
    for index in range(14):
        rgb, mask = scenes.textured(5.0 * index, index)
        found = carried.segment([frame(rgb, index)])[0]
    assert_subject(found, mask)
    assert iou(fresh.segment([frame(rgb)])[0].alpha, mask) < 0.5


def test_grabcut_reach_bounds_what_is_taken_from_one_frame_to_the_next() -> None:
    def jump(reach: float, index: int = 1) -> float:
        method = create_segmenter("grabcut", {"reach": reach})
        method.segment([frame(scenes.picture("dark", -15)[0])])
        rgb, mask = scenes.picture("dark", 15)
        return iou(method.segment([frame(rgb, index)])[0].alpha, mask)
    assert jump(0.0) < 0.8
    assert jump(0.3) > 0.9
    assert jump(0.06) < 0.8
    assert jump(0.06, index=5) > 0.9  # of each frame that has gone by, also of those left out


@pytest.mark.parametrize(("name", "settings"), [("meanshift", {}), ("kmeans", {"engine": "sklearn"})])
def test_no_other_thread_loses_its_threads_meanwhile(name: str, settings: dict[str, Any],
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    """What BLAS may use is the whole process's: two methods at a time once left it changed."""
    import sklearn.cluster

    def pools() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info()]

    seen: list[list[int]] = []
    for kind in (sklearn.cluster.MeanShift, sklearn.cluster.MiniBatchKMeans):
        real = kind.fit

        def fit(self: Any, points: Any, real: Any = real) -> Any:
            with ThreadPoolExecutor(1) as pool:
                seen.append(pool.submit(pools).result())
            return real(self, points)

        monkeypatch.setattr(kind, "fit", fit)
    before = pools()
    create_segmenter(name, settings).segment([frame(scenes.picture()[0])])
    assert seen == [before] * len(seen) != []
    assert pools() == before


# --- motion, plate ------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["mog2", "knn"])
def test_rate_decides_whether_a_standing_subject_is_learnt(name: str) -> None:
    rgb, mask = scenes.picture("light")
    scores = []
    for rate in (0.0, 0.3):
        method = create_segmenter(name, {"rate": rate})
        method.segment([frame(scenes.empty("light", index), index) for index in range(3)])
        mattes = method.segment([frame(rgb, index) for index in range(3, 23)])
        scores.append(iou(mattes[-1].alpha, mask))
    assert scores[0] > 0.9
    assert scores[1] < 0.1


@pytest.mark.parametrize("name", ["mog2", "knn"])
def test_shadows_are_subject_only_when_told_so(name: str) -> None:
    dim = scenes.empty("dark", 5).astype(np.float32)
    dim[90:130, 40:200] *= 0.7
    taken = []
    for shadows in ("true", "false"):
        method = create_segmenter(name, {"shadows": shadows})
        method.segment([frame(scenes.empty("dark", index), index) for index in range(3)])
        taken.append(method.segment([frame(dim.astype(np.uint8), 3)])[0].alpha.mean())
    assert taken[0] < 0.01
    assert taken[1] == pytest.approx(40 * 160 / (scenes.WIDTH * scenes.HEIGHT), rel=0.1)


def plate_of(tmp_path: Any, kind: str, **params: Any) -> Any:
    path = str(tmp_path / "plate.png")
    cv2.imwrite(path, scenes.empty(kind, 99)[..., ::-1])
    return create_segmenter("plate", {"plate": path, **params})


def test_exposure_that_drifts_is_followed_unless_told_not_to(tmp_path: Any) -> None:
    rgb, mask = scenes.crossing(24, "dark", gain=0.009)[23]
    assert_subject(plate_of(tmp_path, "dark").segment([frame(rgb)])[0], mask)
    assert iou(plate_of(tmp_path, "dark", exposure="false").segment([frame(rgb)])[0].alpha, mask) < 0.5


def test_exposure_gain_is_measured_a_channel() -> None:
    plate = scenes.empty("light").astype(np.float32)
    picture = plate * np.array([1.2, 1.0, 0.8], np.float32)
    picture[scenes.truth()] = 240
    np.testing.assert_allclose(exposure_gain(picture, plate, 12.0), [1.2, 1.0, 0.8], rtol=0.01)


def test_shadow_is_background_down_to_the_share_that_is_given(tmp_path: Any) -> None:
    dim = scenes.empty("dark", 5).astype(np.float32)
    dim[90:130, 40:200] *= 0.7
    given = frame(dim.astype(np.uint8))
    share = 40 * 160 / (scenes.WIDTH * scenes.HEIGHT)
    assert plate_of(tmp_path, "dark").segment([given])[0].alpha.mean() < 0.01
    taken = plate_of(tmp_path, "dark", shadow=1.0).segment([given])[0].alpha.mean()
    assert taken == pytest.approx(share, rel=0.1)


def test_plate_tolerance_and_softness_are_levels(tmp_path: Any) -> None:
    rgb = scenes.empty("light").astype(np.float32)
    rgb[40:100, 60:120] += (0, 0, 18)
    given = frame(rgb.astype(np.uint8), format="gbrp")
    middle = slice(50, 90), slice(70, 110)
    for params, low, high in (({"tolerance": 2, "softness": 2}, 0.95, 1.0), ({"tolerance": 40}, 0, 0),
                              ({"tolerance": 4, "softness": 24}, 0.15, 0.75)):
        method = plate_of(tmp_path, "light", exposure="false", **params)
        assert low <= method.segment([given])[0].alpha[middle].mean() <= high


# --- chroma -------------------------------------------------------------------------------------

def flat_alpha(colour: tuple[int, int, int], **params: Any) -> float:
    rgb = np.full((32, 32, 3), colour, np.uint8)
    method = create_segmenter("chroma", {"key": "green", **params})
    return float(method.segment([frame(rgb, format="gbrp")])[0].alpha.mean())


def test_chroma_tolerance_softness_and_angle_on_flat_colours() -> None:
    key, skin, half, teal = (0, 177, 64), (206, 150, 124), (60, 160, 90), (0, 170, 150)
    assert flat_alpha(key) == 0
    assert flat_alpha(skin) == flat_alpha((128, 128, 128)) == flat_alpha((250, 250, 250)) == 1
    assert flat_alpha(half, tolerance=0.1, softness=0.1) == 1
    assert flat_alpha(half, tolerance=0.9) == 0
    assert 0 < flat_alpha(half, tolerance=0.3, softness=0.6) < 1
    assert flat_alpha(teal, angle=30) == 1
    assert flat_alpha(teal, angle=170) < 0.5
