"""The classical methods against known truth: each finds the object before a plain background."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import get_bin_seeds

import streamseg
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.segment import create_segmenter
from streamseg.segment.classical.clustering import _bins

from . import scenes
from .fakes import FakeSink
from .method_tools import MOVING, STILL, matte_of, plate_file
from .scenes import assert_subject, frame, iou


class KeepingSink(FakeSink):
    """Keeps the pictures that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    def write(self, item: Frame) -> None:
        self.frames.append(item)


# --- the assertion itself -----------------------------------------------------------------------

@pytest.mark.parametrize("wrong", ["zeros", "ones", "inverse", "grey", "shifted"])
def test_the_assertion_rejects_what_is_no_answer(wrong: str) -> None:
    mask = scenes.truth()
    right = mask.astype(np.float32)
    assert_subject(Matte(right), mask)
    answers = {"zeros": np.zeros_like(right), "ones": np.ones_like(right), "inverse": 1 - right,
               "grey": 0.5 * right + 0.25, "shifted": np.roll(right, 12, axis=1)}
    with pytest.raises(AssertionError):
        assert_subject(Matte(answers[wrong]), mask)


def test_the_equal_palette_really_has_equal_luma() -> None:
    luma = frame(scenes.picture("equal")[0]).luma()
    mask = scenes.truth()
    assert abs(float(luma[mask].mean()) - float(luma[~mask].mean())) < 2


# --- each method on the seeds' kind of picture --------------------------------------------------

@pytest.mark.parametrize("kind", ["dark", "light"])
@pytest.mark.parametrize("name", [name for name in STILL if name != "chroma"])
def test_subject_darker_or_lighter_than_the_background_is_found(name: str, kind: str) -> None:
    rgb, mask = scenes.picture(kind)
    assert_subject(matte_of(name, rgb), mask)


@pytest.mark.parametrize("name", ["kmeans", "meanshift", "region", "grabcut"])
def test_subject_of_equal_luma_is_found_by_its_colour(name: str) -> None:
    rgb, mask = scenes.picture("equal")
    assert_subject(matte_of(name, rgb), mask)


def test_threshold_cannot_find_a_subject_of_equal_luma() -> None:
    rgb, mask = scenes.picture("equal")
    assert iou(matte_of("threshold", rgb).alpha, mask) < 0.8


@pytest.mark.parametrize("name", ["grabcut", "region"])
def test_textured_subject_is_found(name: str) -> None:
    rgb, mask = scenes.textured()
    assert_subject(matte_of(name, rgb), mask)


def test_uneven_light_is_for_adaptive_and_not_for_threshold() -> None:
    rgb, mask = scenes.picture("dark")
    light = np.linspace(0.25, 1.0, scenes.WIDTH)[None, :, None]
    lit = (rgb * light).astype(np.uint8)
    assert_subject(matte_of("adaptive", lit), mask)
    assert iou(matte_of("threshold", lit).alpha, mask) < 0.8


@pytest.mark.parametrize("name", MOVING)
def test_subject_that_walks_through_is_found_and_its_shadow_is_not(name: str, tmp_path: Any) -> None:
    clip = scenes.crossing(shadow=0.75)
    params = {"plate": plate_file(tmp_path, scenes.empty("light", 99))} if name == "plate" else {}
    method = create_segmenter(name, params)
    scores = []
    for index, (rgb, mask) in enumerate(clip):
        matte, = method.segment([frame(rgb, index)])
        if not mask.any():
            assert float(matte.alpha.mean()) < 0.01
        elif index >= 8:
            scores.append(iou(matte.alpha, mask))
            assert_subject(matte, mask, 0.85)
    assert np.mean(scores) > 0.9
    method.close()


def test_plate_takes_the_median_of_a_clip(tmp_path: Any) -> None:
    clip = scenes.crossing(30, before=14)
    method = create_segmenter("plate", {"clip": [rgb for rgb, _ in clip]})
    for rgb, mask in clip[16::5]:
        assert_subject(method.segment([frame(rgb)])[0], mask)


@pytest.mark.parametrize("colour", [(12, 168, 62), (20, 60, 190), (200, 30, 160)])
def test_chroma_keys_any_colour_and_finds_it_by_itself(colour: tuple[int, int, int]) -> None:
    rgb, mask = scenes.picture("screen")
    rgb = np.where(mask[..., None], rgb, np.array(colour)).astype(np.uint8)
    text = "#{:02x}{:02x}{:02x}".format(*colour)
    assert_subject(matte_of("chroma", rgb, key=text), mask)
    assert_subject(matte_of("chroma", rgb, key="auto"), mask)


def test_chroma_default_keys_green_also_in_its_shadow() -> None:
    rgb, mask = scenes.picture("screen")
    light = np.linspace(0.55, 1.0, scenes.WIDTH)[None, :, None]
    assert_subject(matte_of("chroma", rgb), mask)
    assert_subject(matte_of("chroma", np.where(mask[..., None], rgb, rgb * light).astype(np.uint8)), mask)


@pytest.mark.parametrize(("key", "level"), [("white", 248), ("black", 6), ("#c8c8c8", 200), ("auto", 120)])
def test_chroma_keys_a_background_without_hue(key: str, level: int) -> None:
    rgb, mask = scenes.picture("screen")
    rgb = np.where(mask[..., None], rgb, np.uint8(level))
    assert_subject(matte_of("chroma", rgb, key=key), mask)


def test_chroma_edge_is_soft_in_the_mixtures_order() -> None:
    ramp = np.linspace(0, 1, scenes.WIDTH)[None, :, None]
    green, skin = (np.array(colour, float) for colour in scenes.PALETTES["screen"])
    rgb = np.broadcast_to(green * (1 - ramp) + skin * ramp, (scenes.HEIGHT, scenes.WIDTH, 3)).astype(np.uint8)
    row = matte_of("chroma", rgb).alpha[70]
    assert row[4] == 0
    assert row[-4] == 1
    assert (np.diff(row) >= -0.05).all()
    assert ((row > 0.1) & (row < 0.9)).sum() > 15


def test_chroma_says_which_colour_to_despill() -> None:
    assert create_segmenter("chroma", {"key": "green"}).despill == (0, 177, 64)  # type: ignore[attr-defined]
    assert create_segmenter("chroma", {"key": "green", "spill": "false"}).despill is None  # type: ignore[attr-defined]
    assert create_segmenter("chroma", {"key": "white"}).despill is None  # type: ignore[attr-defined]
    method = create_segmenter("chroma", {"key": "auto"})
    assert method.despill is None  # type: ignore[attr-defined]
    method.segment([frame(scenes.picture("screen")[0])])
    found = method.despill  # type: ignore[attr-defined]
    assert np.abs(np.array(found) - scenes.PALETTES["screen"][0]).max() <= 4
    method.reset()
    assert method.despill is None  # type: ignore[attr-defined]


def test_a_chroma_matte_carries_the_key_that_it_was_made_by() -> None:
    assert matte_of("chroma", scenes.picture("screen")[0], key="green").despill == (0, 177, 64)
    assert matte_of("chroma", scenes.picture("screen")[0], spill="false").despill is None
    found = matte_of("chroma", scenes.picture("screen")[0], key="auto").despill  # of the first frame already
    assert np.abs(np.array(found) - scenes.PALETTES["screen"][0]).max() <= 4
    assert matte_of("threshold", scenes.picture("dark")[0]).despill is None


def test_a_key_that_is_found_takes_the_reflection_out_in_a_run() -> None:
    rgb, mask = scenes.picture("screen")
    rgb[mask] = (150, 190, 140)  # skin with the screen's green on it

    def green(**params: str) -> float:
        """By how much the middle of the subject is greener than it is red, in the picture that is written."""
        sink = KeepingSink()
        streamseg.run([rgb] * 3, sink, method="chroma", set=params, background="black")
        red, green, _ = sink.frames[-1].rgb()[90:100, 120:136].reshape(-1, 3).mean(axis=0)
        return float(green - red)

    assert green(key="#0ca83e", spill="false") > 30
    assert green(key="#0ca83e") < 3
    assert green(key="auto") < 3


# --- what all of them promise -------------------------------------------------------------------

@pytest.mark.parametrize("name", STILL)
def test_pixel_formats_give_nearly_the_same_matte(name: str) -> None:
    rgb, mask = scenes.picture("screen")
    mattes = [matte_of(name, rgb, format) for format in ("yuv420p", "yuv420p10le", "gbrp", "yuv444p")]
    for matte in mattes:
        assert_subject(matte, mask)
        assert float(np.abs(matte.alpha - mattes[0].alpha).mean()) < 0.02


@pytest.mark.parametrize("name", ["mog2", "knn"])
def test_a_clip_gives_the_same_mattes_again(name: str) -> None:
    frames = [frame(rgb, index) for index, (rgb, _) in enumerate(scenes.crossing(10))]
    first = create_segmenter(name).segment(frames)
    cv2.setRNGSeed(77)
    for one, two in zip(first, create_segmenter(name).segment(frames), strict=True):
        np.testing.assert_array_equal(one.alpha, two.alpha)


@pytest.mark.parametrize("name", STILL)
def test_same_input_gives_the_same_matte_whatever_the_global_random_state(name: str) -> None:
    rgb, _ = scenes.textured()
    cv2.setRNGSeed(1)
    np.random.seed(1)
    first = matte_of(name, rgb).alpha
    cv2.setRNGSeed(77)
    np.random.seed(77)
    np.testing.assert_array_equal(matte_of(name, rgb).alpha, first)


@pytest.mark.parametrize("name", [*STILL, "mog2", "knn"])
def test_reset_forgets_all_earlier_frames(name: str) -> None:
    method = create_segmenter(name)
    rgb, mask = scenes.picture("screen", 20)
    fresh = create_segmenter(name).segment([frame(rgb)])[0].alpha
    method.segment([frame(item[0], index) for index, item in enumerate(scenes.crossing(6, "dark", 0))])
    method.reset()
    np.testing.assert_array_equal(method.segment([frame(rgb)])[0].alpha, fresh)
    del mask


@pytest.mark.parametrize("name", STILL)
def test_empty_background_gives_an_empty_matte(name: str) -> None:
    flat = np.full((scenes.HEIGHT, scenes.WIDTH, 3), (12, 168, 62), np.uint8)
    assert float(matte_of(name, flat).alpha.mean()) < 0.01
    assert float(matte_of(name, scenes.empty("screen")).alpha.mean()) < 0.01


@pytest.mark.parametrize("name", [*STILL, "mog2", "knn"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (17, 200), (255, 143)])
def test_odd_and_tiny_pictures_give_a_matte_of_their_shape(name: str, width: int, height: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    method = create_segmenter(name)
    for matte in method.segment([frame(rgb, 0, "yuv444p"), frame(rgb, 1, "yuv444p")]):
        rows, columns = matte.alpha.shape
        assert abs(columns - rows * width / height) <= 1


@pytest.mark.parametrize("name", [*STILL, "mog2", "knn"])
def test_size_that_changes_in_mid_stream_is_followed(name: str) -> None:
    method = create_segmenter(name)
    for scale in (1.0, 0.5):
        rgb = cv2.resize(scenes.picture("screen")[0], None, fx=scale, fy=scale)
        alpha = method.segment([frame(rgb)])[0].alpha
        assert alpha.shape[1] / alpha.shape[0] == pytest.approx(16 / 9, rel=0.02)


@pytest.mark.parametrize("name", [*STILL, "mog2", "knn"])
def test_segment_changes_no_plane_of_the_frame(name: str) -> None:
    given = frame(scenes.picture("dark")[0], format="yuv444p")
    before = [plane.copy() for plane in given.planes]
    create_segmenter(name, {"size": scenes.WIDTH}).segment([given, given])
    for plane, copy in zip(given.planes, before, strict=True):
        np.testing.assert_array_equal(plane, copy)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (16, 16)])
def test_meanshift_warns_of_nothing_where_each_pixel_has_a_bin_of_its_own(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        matte_of("meanshift", rgb, "yuv444p", blur=1, bandwidth=1)


def test_the_bins_are_those_of_sklearn() -> None:
    points = np.random.default_rng(2).normal(100, 30, (400, 3)).astype(np.float32)
    expected = get_bin_seeds(points, 24.0)
    assert len(expected) < 200
    assert sorted(map(tuple, _bins(points, 24.0).tolist())) == sorted(map(tuple, expected.tolist()))


def test_meanshift_goes_on_where_a_flat_picture_changes_by_about_a_bandwidth() -> None:
    for first, later in ((0, 12), (0, 15), (20, 27), (40, 50), (100, 112)):
        method = create_segmenter("meanshift", {"bandwidth": 8.0})
        for index, level in enumerate((first, later)):
            method.segment([frame(np.full((48, 64, 3), level, np.uint8), index)])


@pytest.mark.parametrize("size", [(4, 1000), (1000, 4), (1, 1)])
def test_clusters_are_found_in_the_smallest_pictures(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    for name, params in (("meanshift", {}), ("kmeans", {"engine": "sklearn", "k": 5})):
        assert create_segmenter(name, params).segment([frame(rgb)])[0].alpha.ndim == 2


@pytest.mark.parametrize("name", ["threshold", "kmeans", "meanshift", "grabcut", "region"])
@pytest.mark.parametrize("kind", ["dark", "equal"])
def test_sides_do_not_swap_while_the_subject_moves(name: str, kind: str) -> None:
    if (name, kind) == ("threshold", "equal"):
        pytest.skip("threshold sees no colour")
    method = create_segmenter(name)
    for index in range(20):
        rgb, mask = scenes.picture(kind, 4.0 * index - 40, index)
        assert_subject(method.segment([frame(rgb, index)])[0], mask)


@pytest.mark.parametrize("name", ["threshold", "kmeans", "meanshift"])
def test_sides_do_not_swap_when_the_subject_covers_the_border_for_a_moment(name: str) -> None:
    method = create_segmenter(name)
    scores = []
    for index in range(12):
        rgb, mask = scenes.picture("dark", 0, index)
        if index in (6, 7):  # a hand before the lens: the subject's colour all round the edge
            cover = np.ones_like(mask)
            cover[20:-20, 30:-30] = False
            rgb = np.where(cover[..., None], np.array(scenes.PALETTES["dark"][1]), rgb).astype(np.uint8)
            mask = mask | cover
        scores.append(iou(method.segment([frame(rgb, index)])[0].alpha, mask))
    assert min(scores) > 0.9


def test_person_on_the_lower_edge_is_the_subject() -> None:
    rgb, mask = scenes.picture("dark")
    lower = 42  # pushes the shoulders below the edge
    rgb, mask = np.roll(rgb, lower, axis=0), np.roll(mask, lower, axis=0)
    rgb[:lower], mask[:lower] = scenes.empty("dark")[:lower], False
    assert mask[-1].sum() > 60
    for name in ("threshold", "adaptive", "kmeans", "meanshift", "region", "grabcut"):
        assert_subject(matte_of(name, rgb), mask)


def test_no_method_imports_scikit_learn_before_it_is_used() -> None:
    code = ("import sys, streamseg.segment.catalogue as c\n"
            f"for name in {(*STILL, *MOVING)!r}: c.describe(name)\n"
            "from streamseg.segment import create_segmenter\n"
            "create_segmenter('kmeans'); create_segmenter('meanshift'); create_segmenter('grabcut')\n"
            "assert 'sklearn' not in sys.modules and 'tensorflow' not in sys.modules\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
