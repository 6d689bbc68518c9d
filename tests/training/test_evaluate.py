"""training.evaluate and what it is made of, on predictors with known answers: no net is needed."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from streamseg.errors import OptionError, SourceError
from streamseg.segment.person import Person
from streamseg.source.arrays import frame_of
from streamseg.tools.evaluation import metrics
from tests.training.sets import people_set, save, texture
from training import classes, curves, evaluate, robust, scores, sheets
from training.commands import command
from training.data import (
    Class,
    PictureSet,
    Row,
    background_rows,
    read_classes,
    read_index,
    write_classes,
)
from training.predict import KerasPredictor, Predictor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("set")
    people_set(made, {"train": 2, "val": 6}, backgrounds=20)
    return made


@pytest.fixture
def val(folder: Path) -> PictureSet:
    return PictureSet(folder, [row for row in read_index(folder, "val") if row.matte])


def perfect(pictures: PictureSet) -> Predictor:
    """Answers with the truth of each picture."""
    known = {pictures[i][0].tobytes(): pictures[i][1][..., 0] / np.float32(255) for i in range(len(pictures))}
    return lambda given: [known[picture.tobytes()] for picture in given]


# --- what nets see ----------------------------------------------------------------------------

class Noting:
    """Stands for a Keras net: keeps the batch that it was given."""

    predict_function = None

    def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
        self.seen = batch
        return np.zeros((*batch.shape[:3], 1), np.float32)


@pytest.mark.parametrize("shape", [(720, 405), (1080, 1920), (360, 640), (352, 198)])
def test_a_net_is_scored_on_the_pixels_that_it_gets_in_use(
        shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("keras", reason="training's own predictor imports Keras")
    picture = np.random.default_rng(2).integers(0, 256, (*shape, 3)).astype(np.uint8)
    KerasPredictor(scored := Noting()).logits([picture])
    person = Person(threads=1, roi=False)
    served = []
    run = type(person._net).run

    def noting(net: Any, inputs: Any, *rest: Any) -> Any:
        served.append(np.asarray(inputs if isinstance(inputs, np.ndarray) else inputs[0]))
        return run(net, inputs, *rest)

    monkeypatch.setattr(type(person._net), "run", noting)
    person.segment([frame_of(picture, 0, Fraction(1, 25))])
    person.close()
    np.testing.assert_array_equal(scored.seen, served[0])


# --- scores -----------------------------------------------------------------------------------

def test_the_truth_scores_full_marks_and_nothing_scores_none(val: PictureSet) -> None:
    best = scores.means(scores.score_all(perfect(val), val))
    assert (best.pictures, best.iou, best.boundary_f, best.mad, best.accuracy) == (6, 1, 1, 0, 1)
    empty = [np.zeros(val[i][0].shape[:2], np.float32) for i in range(len(val))]
    none = scores.means(scores.score_all(lambda given: empty, val))
    assert (none.iou, none.boundary_f) == (0, 0)
    assert none.loss > 1 > best.loss


def test_a_scores_figures_are_those_of_metrics_over_the_known_pixels() -> None:
    rng = np.random.default_rng(0)
    alpha = np.clip(cv2.GaussianBlur(rng.normal(0.5, 2, (40, 50)).astype(np.float32), (0, 0), 3), 0, 1)
    truth = np.zeros((40, 50, 2), np.uint8)
    truth[5:30, 10:40, 0] = 255
    truth[8:, :, 1] = 255
    score = scores.judge(alpha, truth, "a", "s")
    g, unknown = truth[..., 0] / np.float32(255), truth[..., 1] == 0
    assert score.iou == metrics.iou(alpha, g, unknown)
    assert score.boundary_f == metrics.boundary_f(alpha, g, unknown)
    assert score.mad == metrics.mad(alpha, g, unknown)
    a, b = alpha[8:].astype(float), g[8:].astype(float)
    assert score.accuracy == pytest.approx(((a >= 0.5) == (b >= 0.5)).mean())
    sure = np.clip(a, 1e-4, 1 - 1e-4)
    entropy = np.where(b > 0, -np.log(sure), -np.log1p(-sure))
    assert score.loss == pytest.approx(float(entropy.mean()), rel=1e-4)


def test_a_matte_of_another_size_is_brought_to_the_truths(val: PictureSet) -> None:
    small = [cv2.resize(matte, (32, 32), interpolation=cv2.INTER_AREA)
             for matte in perfect(val)([val[i][0] for i in range(len(val))])]
    found = scores.means(scores.score_all(lambda given: small, val))
    assert 0.9 < found.iou < 1


def test_the_table_has_a_row_for_each_source_and_the_choice_is_by_those_people_drew() -> None:
    def score(source: str, iou: float) -> scores.Score:
        return scores.Score("x", source, iou, iou, 1.0, 1.0, 0.0)

    table = scores.by_source([score("voc", 0.4), score("voc", 0.6), score("ccp", 0.9), score("wtd", 0.1)])
    assert list(table) == ["voc", "ccp", "wtd"]
    assert (table["voc"].pictures, table["voc"].iou) == (2, 0.5)
    assert scores.choice_score(table) == pytest.approx(0.7)
    assert scores.choice_score({"wtd": table["wtd"]}) == pytest.approx(0.1)
    text = scores.table_text(table)
    assert "| voc | 2 | 0.5000 |" in text
    assert "(ccp, voc): 0.7000" in text
    assert "(wtd): 0.1000" in text


def test_the_command_runs_the_shipped_model_and_writes_all_its_files(
        folder: Path, tmp_path: Path, capsys: Any) -> None:
    evaluate.main(["--data", str(folder), "--threads", "1", "--sheet", str(tmp_path / "sheets"),
                   "--worst", "4", "--json", str(tmp_path / "found.json")])
    out = capsys.readouterr().out
    assert "| drawn | 6 |" in out
    assert "2 backgrounds kept out" in out
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["pictures"]) == 6
    mean = np.mean([one["iou"] for one in found["pictures"]])
    assert found["sources"]["drawn"]["iou"] == pytest.approx(mean)
    sheet = cv2.imread(str(tmp_path / "sheets" / "drawn.png"))
    group = 3 * (sheets.CELL + sheets.GAP) + sheets.GAP
    assert sheet.shape == (sheets.TEXT + sheets.CELL + sheets.GAP, 4 * group, 3)


def test_the_worst_come_first(val: PictureSet, tmp_path: Path) -> None:
    right = perfect(val)

    def predict(given: list[Any]) -> list[Any]:
        return [matte * (0 if picture.tobytes() == val[3][0].tobytes() else 1)
                for picture, matte in zip(given, right(given), strict=True)]

    path, = sheets.worst(predict, val, scores.score_all(predict, val), tmp_path, 1)
    shown = cv2.imread(str(path))[sheets.TEXT : sheets.TEXT + sheets.CELL, : sheets.CELL, ::-1]
    wanted = cv2.resize(val[3][0], (sheets.CELL, sheets.CELL), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(shown, wanted)


def test_the_subject_alone_loses_the_blobs_that_do_not_touch_the_truth() -> None:
    truth = np.zeros((40, 60, 2), np.uint8)
    truth[..., 1] = 255
    truth[10:30, 10:20, 0] = 255
    matte = np.zeros((40, 60), np.float32)
    matte[10:30, 12:24] = 1  # touches
    matte[5:15, 40:50] = 1  # a passer-by
    matte[36, 50] = 0.3  # a soft place is left alone
    alone = scores.subject_alone(matte, truth)
    expected = matte.copy()
    expected[5:15, 40:50] = 0
    assert np.array_equal(alone, expected)
    assert scores.judge(alone, truth, "a", "ccp").iou > scores.judge(matte, truth, "a", "ccp").iou


def test_doubtful_truths_are_listed_with_a_reason_and_scored_apart() -> None:
    listed = scores.doubtful_truths()
    assert {"hsd/110", "hsd/108", "hsd/21"} <= set(listed)
    assert all(listed.values())
    made = [scores.Score(f"hsd/{name}.webp", "hsd", iou, 1, 0, 1, 0) for name, iou in (("110", 0.4), ("3", 0.9))]
    table = scores.by_source(made)
    assert table["hsd"].iou == pytest.approx(0.65)
    assert table["hsd, without doubtful truths"].iou == pytest.approx(0.9)
    assert list(scores.by_source(made[1:])) == ["hsd"]


# --- robustness -------------------------------------------------------------------------------

def bright(given: list[Any]) -> list[Any]:
    """As steady as can be: alpha is the picture's brightness, pixel by pixel."""
    return [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255 for picture in given]


def test_an_even_handed_predictor_passes_and_one_with_a_side_does_not(val: PictureSet, folder: Path) -> None:
    empty = PictureSet(folder, background_rows(folder, "val"))
    assert len(empty) == 2
    found = robust.check(bright, val, empty)
    assert found["mirrored_iou"] == found["mirrored_iou_p5"] == 1
    assert found["shifted_difference"] == found["shifted_flips_ppm"] == 0

    def left(given: list[Any]) -> list[Any]:
        return [np.repeat((np.arange(p.shape[1]) < p.shape[1] // 2)[None], p.shape[0], 0).astype(np.float32)
                for p in given]

    found = robust.check(left, val, empty)
    assert found["mirrored_iou"] < 0.05
    assert found["shifted_flips_ppm"] > 1000
    assert found["empty_mean_alpha"] == pytest.approx(0.5, abs=0.02)
    assert found["empty_above"] == found["empty_pictures"] == 2
    assert "above 0.5 % 2 pictures" in robust.text(found)


def test_an_empty_answer_is_right_where_nobody_is() -> None:
    pictures = [texture(np.random.default_rng(i), (32, 32)) for i in range(3)]
    found = robust.nobody(lambda given: [np.full((8, 8), 0.004, np.float32) for _ in given], pictures)
    assert found["empty_above"] == 0
    assert found["empty_mean_alpha"] == pytest.approx(0.004)


# --- many classes -----------------------------------------------------------------------------

CLASSES = [Class("sky", (1, 2, 3)), Class("road", (4, 5, 6)), Class("car", (7, 8, 9))]


class Logits:
    """Stands for a KerasPredictor: the logits of one class each, at half the size."""

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers

    def logits(self, pictures: list[Any]) -> list[Any]:
        return [np.eye(3, dtype=np.float32)[self.numbers] * 20 for _ in pictures]


def test_ious_of_classes_by_hand(tmp_path: Path) -> None:
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [255, 255, 1, 1], [255, 255, 1, 1]], np.uint8)
    save(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    save(tmp_path / "a_labels.png", labels)
    row = Row("a.png", "a_labels.png", "s", "val", "", "people", 4, 4)
    pictures = PictureSet(tmp_path, [row], ignore=255)
    predicted = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [2, 2, 1, 1], [2, 2, 1, 0]])
    found = classes.score(Logits(predicted), pictures, 3)  # type: ignore[arg-type]
    assert found.ious[0] == pytest.approx(3 / 5)
    assert found.ious[1] == pytest.approx(7 / 9)
    assert math.isnan(found.ious[2])
    assert found.accuracy == pytest.approx(10 / 12)
    assert found.mean_iou == pytest.approx((3 / 5 + 7 / 9) / 2)
    assert found.loss == pytest.approx(2 / 12 * 20, rel=1e-3)
    assert "| road | 0.7778 |" in classes.table_text(found, CLASSES)


def test_class_windows_keep_numbers_and_move_them_with_the_picture(tmp_path: Path) -> None:
    labels = np.repeat(np.repeat(np.random.default_rng(0).choice([3, 7, 255], (6, 8)), 16, 0), 16, 1)
    labels = labels.astype(np.uint8)
    save(tmp_path / "a.png", np.repeat(labels[..., None], 3, 2))
    save(tmp_path / "a_labels.png", labels)
    rows = [Row("a.png", "a_labels.png", "s", "train", "", "people", 128, 96)]
    feed = classes.ClassFeed(PictureSet(tmp_path, rows, ignore=255), 2, 1, [(64, 64)])
    seen = set()
    for k in range(10):
        pictures, truths = feed.batch(k)
        assert pictures.shape == (2, 64, 64, 3)
        assert truths.shape == (2, 64, 64, 2)
        for picture, truth in zip(pictures, truths, strict=True):
            assert set(np.unique(truth[..., 0])) <= {0, 3, 7}
            grey, around = picture[..., 0], np.ones((5, 5))
            smooth = cv2.erode(grey, around) == cv2.dilate(grey, around)
            known = truth[..., 1] > 0
            assert np.array_equal(np.where(known, truth[..., 0], 255)[smooth], grey[smooth])
        seen.add(pictures.tobytes())
    assert len(seen) == 10


def test_classes_are_kept_and_a_broken_list_is_an_error(tmp_path: Path) -> None:
    write_classes(tmp_path, CLASSES)
    assert read_classes(tmp_path) == CLASSES
    (tmp_path / "classes.csv").write_text("name,red\nsky,1\n")
    with pytest.raises(SourceError, match="columns name, red, green, blue"):
        read_classes(tmp_path)


# --- curves and commands ----------------------------------------------------------------------

def test_curves_are_drawn_of_one_run_and_of_several(tmp_path: Path) -> None:
    for name, slope in (("a", 0.1), ("b", 0.3)):
        run = tmp_path / name
        run.mkdir()
        (run / "log.csv").write_text("minutes,loss\n1,2.0\n2,1.5\n3,1.1\n")
        lines = [f"{m},{0.5 + slope * m},{1 - slope * m},{slope * m},{slope * m}\n" for m in range(3)]
        (run / "val.csv").write_text("minutes,score,loss,accuracy,voc_iou\n" + "".join(lines))
    curves.main([str(tmp_path / "a")])
    curves.main([str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "both.png")])
    for path in (tmp_path / "a" / "curves.png", tmp_path / "both.png"):
        picture = cv2.imread(str(path))
        assert picture is not None
        assert (picture < 200).any(axis=2).mean() > 0.005
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "both.png"]


def test_curves_of_no_run_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"val\.csv"):
        curves.draw_run(tmp_path)


def test_a_command_ends_with_one_line_and_the_errors_code(capsys: Any) -> None:
    @command
    def main() -> None:
        raise OptionError("a is 3; it must be 4")

    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: a is 3; it must be 4\n"


def test_turned_portraits_are_scored_against_the_turned_truth(tmp_path: Path) -> None:
    people_set(tmp_path, {"train": 1, "val": 3}, backgrounds=0)
    rows = [Row(row.image, row.matte, "eg1800", row.split, row.kind, row.truth_by, row.width, row.height)
            for row in read_index(tmp_path, "val")]
    portraits = PictureSet(tmp_path, rows)
    known = {np.ascontiguousarray(np.rot90(portraits[i][0], quarters)).tobytes():
             np.rot90(portraits[i][1][..., 0], quarters) / np.float32(255) for i in range(3) for quarters in (1, 2)}

    def predict(given: list[Any]) -> list[Any]:
        """Knows 90 and 180 degrees; at 270 it sees nobody."""
        return [np.ascontiguousarray(known.get(picture.tobytes(), np.zeros(picture.shape[:2], np.float32)))
                for picture in given]

    found = robust.turned(predict, portraits)
    assert found == {"turned_90_iou": 1, "turned_180_iou": 1, "turned_270_iou": 0}
    rest = {"mirrored_iou": 1.0, "mirrored_iou_p5": 1.0, "shifted_difference": 0.0, "shifted_flips_ppm": 0.0}
    assert "turned: IoU at 90 degrees 1.0000, 180 degrees 1.0000, 270 degrees 0.0000" in robust.text(found | rest)
    assert robust.turned(predict, PictureSet(tmp_path, [])) == {}
