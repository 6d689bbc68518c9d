"""Scores of hand-made mattes, whose answers follow from counting pixels; files matched by name."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import Colour
from streamseg.errors import OptionError, SourceError
from streamseg.tools.evaluation import evaluate
from streamseg.tools.evaluation.mattes import alpha_of, paired
from streamseg.tools.evaluation.scores import METRICS, Clip, Evaluation, Scorer

Array = npt.NDArray[Any]
SIZE = (20, 40)


def bar(left: int, width: int = 20, size: tuple[int, int] = SIZE, value: int = 255) -> Array:
    """uint8 (h, w): columns left .. left + width are the person."""
    made = np.zeros(size, np.uint8)
    made[:, left:left + width] = value
    return made


def save(folder: Path, name: str, matte: Array) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(cv2.imencode(path.suffix, matte)[1].tobytes())
    return path


def scored(tmp_path: Path, predicted: Array, truth: Array, **options: Any) -> dict[str, float]:
    return evaluate(str(save(tmp_path, "predicted.png", predicted)), str(save(tmp_path, "truth.png", truth)),
                    **options).summary


# --- known answers ----------------------------------------------------------------------------

def test_a_bar_five_columns_off_has_the_scores_that_counting_gives(tmp_path: Path) -> None:
    found = scored(tmp_path, bar(15), bar(10))
    assert found["iou"] == pytest.approx(15 / 25)
    assert found["miou"] == pytest.approx((15 / 25 + 15 / 25) / 2)
    assert found["mad"] == found["mse"] == pytest.approx(1e3 * 10 / 40)
    assert found["sad"] == pytest.approx(200 / 1e3)
    assert "dtssd" not in found  # a single picture has no time


def test_the_same_matte_is_perfect(tmp_path: Path) -> None:
    found = scored(tmp_path, bar(10), bar(10))
    assert [found[name] for name in ("iou", "miou", "boundary_f", "boundary_iou")] == [1, 1, 1, 1]
    assert [found[name] for name in ("mad", "mse", "sad", "grad", "conn")] == [0, 0, 0, 0, 0]


def test_pixels_of_the_ignored_value_count_for_nothing(tmp_path: Path) -> None:
    truth = bar(10)
    truth[:, 25:30] = 128  # of the person's 20 columns 5 are unknown, and there the prediction lacks them
    predicted = bar(10, 15)
    assert scored(tmp_path, predicted, truth, ignore=128)["iou"] == 1
    assert scored(tmp_path, predicted, truth, ignore=128)["mad"] == 0
    assert scored(tmp_path, predicted, truth, ignore=128)["sad"] == 0
    assert scored(tmp_path, predicted, truth)["iou"] == pytest.approx(15 / 20)
    assert scored(tmp_path, predicted, truth)["sad"] > 0


def test_another_size_is_an_error_that_names_both_unless_it_is_to_be_resized(tmp_path: Path) -> None:
    small = bar(5, 10, (10, 20))
    with pytest.raises(SourceError, match=r"is 20 x 10, of .*truth\.png 40 x 20: --resize predicted"):
        scored(tmp_path, small, bar(10))
    assert scored(tmp_path, small, bar(10), resize="predicted")["iou"] == 1


def test_iou_over_a_folder_is_the_mean_of_what_pycocotools_says_of_each(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="the oracle pycocotools is not installed")
    rng, expected = np.random.default_rng(3), []
    for number in range(4):
        sides = [(cv2.GaussianBlur(rng.random((24, 30)), (0, 0), 2) * 400 - 100).clip(0, 255).astype(np.uint8)
                 for _ in range(2)]
        for folder, side in zip(("predicted", "truth"), sides, strict=True):
            save(tmp_path / folder, f"{number}.png", side)
        masks = [coco.encode(np.asfortranarray(side >= 128, np.uint8)) for side in sides]
        expected.append(coco.iou([masks[0]], [masks[1]], [0])[0, 0])
    result = evaluate(str(tmp_path / "predicted"), str(tmp_path / "truth"))
    assert result.summary["iou"] == pytest.approx(np.mean(expected))
    assert list(result.clips[0].values["iou"]) == pytest.approx(expected)
    assert result.clips[0].worst("iou") == int(np.argmin(expected))
    assert result.clips[0].worst("mad") == int(np.argmax(result.clips[0].values["mad"]))


# --- sequences --------------------------------------------------------------------------------

def fed(frames: list[tuple[Array, Array]], luma: Array | None = None, **known: Any) -> Clip:
    scorer = Scorer(Clip("clip"), METRICS if luma is not None else METRICS[:-1])
    for number, (alpha, truth) in enumerate(frames):
        scorer.add(alpha / np.float32(255), truth / np.float32(255), known.get("ignore"), luma, number / 25)
    return scorer.finished()


def test_a_column_that_blinks_once_is_the_flicker_and_the_change_that_the_truth_has_not() -> None:
    clip = fed([(bar(10), bar(10)), (bar(10, 21), bar(10)), (bar(10), bar(10))], np.zeros(SIZE, np.uint8))
    assert clip.summary["flicker"] == pytest.approx(1e6 / 40)
    assert clip.summary["dtssd"] == pytest.approx(1e2 * math.sqrt(1 / 40))
    assert [math.isnan(value) for value in clip.values["flicker"]] == [True, True, False]
    assert list(clip.times) == [0.0, 1 / 25, 2 / 25]


def test_without_a_guide_every_pixel_is_still_and_with_one_only_those_that_do_not_change() -> None:
    frames = [(bar(10), bar(10)), (bar(10, 21), bar(10)), (bar(10), bar(10))]
    assert fed(frames).summary["flicker"] == pytest.approx(1e6 / 40)
    scorer = Scorer(Clip("clip"), ["flicker"])
    for number, (alpha, _) in enumerate(frames):  # all but columns 20 .. 39 change their brightness
        scorer.add(alpha / np.float32(255), None, None, bar(0, 20, value=100 * (number % 2)), 0)
    assert scorer.finished().summary["flicker"] == pytest.approx(1e6 / 20)


@pytest.mark.parametrize("blinking", [False, True])
def test_what_needs_no_truth_is_the_same_with_unknown_pixels_and_without(blinking: bool) -> None:
    """Beside the person lies a band that the truth does not know, in every other frame only."""
    mattes = [bar(4, 17 if blinking and number % 2 else 16) for number in range(6)]
    truths = [bar(4, 16) + bar(24, 8, value=128 * (number % 2)) for number in range(6)]
    luma = np.random.default_rng(5).integers(0, 255, SIZE).astype(np.uint8)
    scorers = [Scorer(Clip("clip"), ["mad", "flicker", "warping_error"]) for _ in range(2)]
    for matte, truth in zip(mattes, truths, strict=True):
        alpha, true = matte / np.float32(255), truth / np.float32(255)
        scorers[0].add(alpha, None, None, luma, 0)
        scorers[1].add(alpha, true, truth == 128, luma, 0)
    alone, judged = (scorer.finished().summary for scorer in scorers)
    assert judged["flicker"] == alone["flicker"] == pytest.approx(1e6 / 40 * blinking)
    assert judged["warping_error"] == alone["warping_error"]
    assert (judged["warping_error"] > 0) is blinking
    assert (judged["mad"] > 0) is blinking


def test_dtssd_leaves_out_what_is_ignored_in_either_frame() -> None:
    unknown = bar(30, 5) > 0
    frames = [(bar(10), bar(10)), (bar(10, 22), bar(10))]
    assert fed(frames).summary["dtssd"] == pytest.approx(1e2 * math.sqrt(2 / 40))
    assert fed(frames, ignore=unknown).summary["dtssd"] == 0
    scorer = Scorer(Clip("clip"), ["dtssd"])
    for (alpha, truth), ignore in zip(frames, (unknown, np.zeros_like(unknown)), strict=True):
        scorer.add(alpha / np.float32(255), truth / np.float32(255), ignore, None, 0)
    assert scorer.finished().summary["dtssd"] == 0


def test_a_matte_two_frames_late_has_a_lag_of_two() -> None:
    path = [bar(round(15 + 12 * math.sin(0.5 * time)), 10) for time in range(40)]
    clip = fed([(path[time - 2], path[time]) for time in range(2, 40)])
    assert clip.summary["lag"] == pytest.approx(2, abs=0.2)
    assert "lag" not in clip.values


def test_memory_does_not_grow_by_a_picture_with_the_clips_length() -> None:
    def kept(count: int) -> int:
        tracemalloc.start()
        scorer = Scorer(Clip("clip"), METRICS)
        for number in range(count):
            scorer.add(bar(number % 9, 20, (100, 100)) / np.float32(255),
                       bar(5, 20, (100, 100)) / np.float32(255), None, bar(0, 9, (100, 100)), 0)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size
    kept(2)  # what is made once and kept (filters of the gradient) must not count
    assert kept(60) - kept(20) < 100 * 100 * 4


def test_the_mean_over_clips_leaves_out_those_without_a_number_and_json_has_null() -> None:
    clips = [Clip("a", summary={"iou": 0.5, "lag": math.nan}), Clip("b", summary={"iou": 1.0, "lag": 2.0}),
             Clip("c", summary={"iou": 0.9, "lag": math.nan})]
    result = Evaluation(["iou", "lag", "flicker"], clips)
    assert result.summary["iou"] == pytest.approx(0.8)
    assert result.summary["lag"] == 2
    assert result.to_dict()["summary"]["flicker"] is None
    assert result.to_dict()["clips"][0]["summary"] == {"iou": 0.5, "lag": None}


# --- the matte in a picture -------------------------------------------------------------------

def frame(format: str, planes: list[Array], alpha: Array | None = None, span: int = 2) -> Frame:
    return Frame(tuple(planes), format, Fraction(1, 25), 0, 0, Colour(range=span), alpha=alpha)


def half(value: int, dtype: Any = np.uint8) -> Array:
    return np.full((4, 4), value, dtype)


@pytest.mark.parametrize(("picture", "expected"), [
    (frame("gbrp", [half(51)] * 3), 0.2),
    (frame("gbrp16le", [half(13107, np.uint16)] * 3), 0.2),
    (frame("yuv444p", [half(126), half(128), half(128)], span=1), 110 / 219),
    (frame("yuv444p", [half(5), half(127), half(129)], span=1), 0.0),
    (frame("yuv444p10le", [half(940, np.uint16), half(512, np.uint16), half(515, np.uint16)], span=1), 1.0),
    (frame("gbrp", [half(1), half(2), half(99)], half(51)), 0.2),
    (frame("gbrp", [half(1), half(2), half(99)], half(255)), 1.0),
    (frame("gbrp", [half(51)] * 3, half(255)), 0.2),
], ids=["grey", "16 bits", "limited range", "below black", "10 bits", "alpha", "opaque cut-out",
        "opaque alpha over grey"])
def test_the_matte_is_the_alpha_or_the_grey(picture: Frame, expected: float) -> None:
    alpha = alpha_of(picture, "x")
    assert alpha.dtype == np.float32
    np.testing.assert_allclose(alpha, expected, atol=1e-6)


@pytest.mark.parametrize("picture", [
    frame("gbrp", [half(1), half(2), half(99)]), frame("yuv444p", [half(99), half(90), half(128)], span=1)],
    ids=["RGB", "YUV"])
def test_colours_without_alpha_are_no_matte(picture: Frame) -> None:
    with pytest.raises(SourceError, match=r"photo\.jpg has colours and no alpha"):
        alpha_of(picture, "photo.jpg")


# --- which files belong together --------------------------------------------------------------

def touch(folder: Path, *names: str) -> str:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"x")
    return str(folder)


def test_files_are_matched_by_stem_in_natural_order(tmp_path: Path) -> None:
    predicted = touch(tmp_path / "p", "a10.png", "a2.png", ".hidden.png")
    truth = touch(tmp_path / "t", "a2.tif", "a10.tif")
    pairs = paired(predicted, truth, None, None, False, [])
    assert [(pair.name, Path(pair.predicted).name, Path(pair.truth or "").name) for pair in pairs] == [
        ("a2", "a2.png", "a2.tif"), ("a10", "a10.png", "a10.tif")]


@pytest.mark.parametrize(("extra", "words"), [
    (("p", "b.png"), r"1 of 2 files in .*p have no partner of the same stem in .*t: b\.png"),
    (("t", "c.png"), r"1 of 2 files in .*t have no partner of the same stem in .*p: c\.png")])
def test_a_file_without_partner_is_named_and_stops_unless_allowed(tmp_path: Path, extra: tuple[str, str],
                                                                  words: str) -> None:
    sides = [touch(tmp_path / name, "a.png", *([extra[1]] if extra[0] == name else [])) for name in "pt"]
    with pytest.raises(SourceError, match=words + ".*--allow-missing"):
        paired(sides[0], sides[1], None, None, False, [])
    notes: list[str] = []
    assert [pair.name for pair in paired(sides[0], sides[1], None, None, True, notes)] == ["a"]
    assert len(notes) == 1


@pytest.mark.parametrize(("names", "words"), [
    ((["a.png", "a.jpg"], ["a.png"]), r"has both a\.jpg and a\.png"), (([], ["a.png"]), "p has no file"),
    ((["a.png"], ["b.png"]), "no partner")])
def test_folders_that_cannot_be_matched_say_why(tmp_path: Path, names: tuple[list[str], list[str]],
                                                words: str) -> None:
    sides = [touch(tmp_path / side, *given) for side, given in zip("pt", names, strict=True)]
    with pytest.raises(SourceError, match=words):
        paired(sides[0], sides[1], None, None, False, [])


def test_nothing_in_common_is_an_error_even_if_missing_ones_are_allowed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file in .* has a partner"):
        paired(touch(tmp_path / "p", "a.png"), touch(tmp_path / "t", "b.png"), None, None, True, [])


def test_a_folder_against_a_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"p is a folder and .*m\.mkv is none.*%05d\.png"):
        paired(touch(tmp_path / "p", "a.png"), str(tmp_path / "m.mkv"), None, None, False, [])


def test_a_guide_may_have_more_films_but_not_fewer(tmp_path: Path) -> None:
    predicted, guide = touch(tmp_path / "p", "a.mkv"), touch(tmp_path / "g", "a.mp4", "b.mp4")
    pair, = paired(predicted, None, guide, None, False, [])
    assert (pair.truth, Path(pair.guide or "").name) == (None, "a.mp4")
    with pytest.raises(SourceError, match=r"no partner of the same stem in .*p: b\.mp4"):
        paired(guide, None, predicted, None, True, [])


# --- what is refused --------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "words"), [
    ({"metrics": ["iuo"]}, "metric is 'iuo'; allowed are: iou"),
    ({"metrics": ["warping_error"]}, "warping_error needs the filmed pictures: --source VIDEO"),
    ({"metrics": ["dtssd"]}, "dtssd compares the frames of a film; there are only single pictures"),
    ({"ignore": 300}, "ignore is 300; it must be"), ({"resize": "truth"}, "resize is 'truth'; allowed are"),
    ({"guide": "film.mp4"}, r"film\.mp4 does not exist"), ({"start": -1}, "start is -1")])
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises((OptionError, SourceError), match=words):
        scored(tmp_path, bar(10), bar(10), **options)


@pytest.mark.parametrize(("options", "words"), [
    ({}, r"m\.png is a single picture; what is measured without a truth"),
    ({"metrics": ["iou"]}, "iou needs the truth; without that there are: flicker"),
    ({"ignore": 128}, "ignore is 128, but there is no truth"),
    ({"resize": "predicted"}, "resize is 'predicted', but there is no truth")])
def test_without_truth_only_films_and_what_needs_none(tmp_path: Path, options: dict[str, Any],
                                                      words: str) -> None:
    with pytest.raises(OptionError, match=words):
        evaluate(str(save(tmp_path, "m.png", bar(10))), **options)


def test_labels_of_0_and_1_in_the_truth_are_remarked(tmp_path: Path) -> None:
    result = evaluate(str(save(tmp_path, "p.png", bar(10))), str(save(tmp_path, "t.png", bar(10, value=1))))
    assert any("its largest value is 1 of 255" in note for note in result.notes)
