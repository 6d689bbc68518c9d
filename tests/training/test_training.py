"""training.train and training.compare on a small set that the test draws: a net really learns, a killed run
goes on as if nothing had been, and nets are compared. Fixed numbers of steps: nothing here is timed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WHY = "training is tested where TensorFlow and Keras are installed: pip install '.[train]'"
pytest.importorskip("tensorflow", reason=WHY)
keras = pytest.importorskip("keras", reason=WHY)

from streamseg.core.opencv import cv2  # noqa: E402
from streamseg.errors import OptionError, SourceError  # noqa: E402
from tests.training.sets import people_set, save, texture  # noqa: E402
from training import compare, evaluate, losses, runs, scores, train  # noqa: E402
from training.data import Class, PictureSet, Row, read_index, write_classes, write_index  # noqa: E402
from training.predict import open_predictor  # noqa: E402

SHAPE = "64x64"


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Training gives OpenCV one thread; other tests get theirs back."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("set")
    people_set(made, {"train": 120, "val": 20}, backgrounds=30)
    return made


def options(folder: Path, out: Path, *more: object) -> Any:
    given = ["--size", "small", "--data", folder, "--out", out, "--shapes", SHAPE, "--tell", 0, *more]
    return train.parser().parse_args([str(value) for value in given])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets of two convolutions in place of all others: what they learn is not what is tested."""

    def build(name: str, classes: int = 1, **_: object) -> Any:
        picture = keras.Input((None, None, 3), name="picture")
        x = keras.layers.Rescaling(1 / 255, name="scale")(picture)
        x = keras.layers.Conv2D(8, 9, padding="same", name="wide")(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
        return keras.Model(picture, keras.layers.Conv2D(classes, 1, name="logits")(x))

    monkeypatch.setattr(runs.architectures, "build", build)


def columns(path: Path) -> dict[str, list[float]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


# --- learning ---------------------------------------------------------------------------------

@pytest.mark.timeout(900)  # 50 s of work; five minutes on a machine with ten others on it
def test_training_lowers_the_loss_and_lifts_iou_on_pictures_it_has_not_seen(
        folder: Path, tmp_path: Path) -> None:
    train.train(options(folder, tmp_path, "--steps", 220, "--batch", 12, "--rate", 4e-3, "--warmup", 10,
                        "--average", 0.95))
    loss = columns(tmp_path / "log.csv")["loss"]
    val = columns(tmp_path / "val.csv")
    assert len(loss) == 220
    assert np.mean(loss[-20:]) < 0.75 * np.mean(loss[:10])
    assert val["iou"][0] < 0.45
    assert val["iou"][-1] > 0.65
    assert val["loss"][-1] < 0.8 * val["loss"][0]
    assert (tmp_path / "curves.png").stat().st_size > 5000
    # what was kept scores what was said, through the command that users have
    rows = [row for row in read_index(folder, "val") if row.matte]
    predict = open_predictor(tmp_path / "best.keras", None, 64 * 64, 1)
    again = scores.means(scores.score_all(predict, PictureSet(folder, rows)))
    assert again.iou == pytest.approx(max(val["iou"]), abs=2e-4)


# --- checkpoints ------------------------------------------------------------------------------

def contents(path: Path) -> dict[str, Any]:
    with np.load(path) as saved:
        return {name: saved[name] for name in saved.files if name != "state"}


def test_a_killed_run_goes_on_as_if_nothing_had_been(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: None) -> None:
    class Killed(BaseException):
        pass

    more = ["--steps", 9, "--batch", 4, "--save-every", 0]
    whole = train.train(options(folder, tmp_path / "whole", *more))
    step = runs.Run.step

    def dies(run: Any, pictures: Any, truths: Any) -> float:
        if run.state.step == 5:
            raise Killed
        return step(run, pictures, truths)

    keras.backend.clear_session()
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(runs.Run, "step", dies)
        train.train(options(folder, tmp_path / "killed", *more))
    keras.backend.clear_session()
    resumed = train.train(options(folder, tmp_path / "killed", "--resume", *more))
    assert resumed.state.step == whole.state.step == 9
    losses_seen = [columns(tmp_path / name / "log.csv")["loss"] for name in ("whole", "killed")]
    assert losses_seen[1] == pytest.approx(losses_seen[0], abs=1e-4)
    first, second = (contents(tmp_path / name / "checkpoint.npz") for name in ("whole", "killed"))
    assert first.keys() == second.keys()
    for name in first:
        # TensorFlow's threads add up in the order that they come in
        assert np.allclose(first[name], second[name], rtol=1e-4, atol=1e-6), name
    fresh = runs.architectures.build("small").get_layer("wide").kernel
    assert np.abs(first["model/wide/kernel"] - fresh).max() > 1e-3


def test_a_checkpoint_cut_short_leaves_the_one_before(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: None) -> None:
    args = options(folder, tmp_path, "--steps", 1, "--batch", 2)
    run = runs.Run(args, train.open_task(args.data, 2, 1, args.shapes))
    run.state.step = 3
    run.save()
    monkeypatch.setattr(runs.os, "fsync", lambda number: (_ for _ in ()).throw(OSError(28, "disk full")))
    run.state.step = 4
    with pytest.raises(OSError, match="disk full"):
        run.save()
    run.state.step = 0
    assert run.load()
    assert run.state.step == 3


def test_a_checkpoint_of_another_net_is_an_error(folder: Path, tmp_path: Path, tiny: None) -> None:
    np.savez(tmp_path / "checkpoint.npz", state="{}", **{"model/other": np.zeros(3)})
    with pytest.raises(SourceError, match="is of another net"):
        train.train(options(folder, tmp_path, "--steps", 1, "--resume"))


def test_patience_ends_a_run_after_so_many_scorings_without_a_better_one(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: None) -> None:
    args = options(folder, tmp_path, "--steps", 50, "--batch", 2, "--score-every", 0, "--patience", 3)
    figures = iter([0.5, 0.4, 0.6, 0.6, 0.5, 0.5, 0.9])
    task = train.open_task(args.data, 2, 1, args.shapes)
    monkeypatch.setattr(task, "score", lambda model: (next(figures), {}, ""))
    # 0.5 before the first step, 0.6 after the second; then three that are no better
    run = train.train(args, task)
    assert run.state.step == 5
    assert run.state.best == 0.6


def test_a_loss_that_is_no_number_ends_the_run(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: None) -> None:
    args = options(folder, tmp_path, "--steps", 5, "--batch", 2)
    run = runs.Run(args, train.open_task(args.data, 2, 1, args.shapes))
    monkeypatch.setattr(run.model, "train_on_batch", lambda pictures, truths: float("nan"))
    with pytest.raises(OptionError, match="the loss is nan at step 0"):
        run.step(np.zeros((2, 64, 64, 3), np.uint8), np.zeros((2, 64, 64, 3), np.uint8))


@pytest.mark.parametrize("name", ["adam", "adas"])
def test_other_optimisers_train_and_resume(name: str, folder: Path, tmp_path: Path, tiny: None) -> None:
    more = ["--optimiser", name, "--rate", 0.01, "--batch", 60]
    first = train.train(options(folder, tmp_path, "--steps", 5, *more))
    assert 2 < first.epochs < 3
    assert first.rate_now() > 0
    if name == "adas":  # it has measured what each layer gained, at the end of each epoch
        assert np.isfinite(first.optimizer.gains).all()
    keras.backend.clear_session()
    again = train.train(options(folder, tmp_path, "--steps", 5, "--resume", *more))
    assert again.rate_now() == pytest.approx(first.rate_now())
    assert again.state.step == first.state.step == 5


# --- parts ------------------------------------------------------------------------------------

def test_the_average_takes_weights_and_leaves_batch_norm_statistics() -> None:
    from training.optimisers import Average

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False),
                              keras.layers.BatchNormalization()])
    kernel, mean = model.weights[0], model.layers[1].moving_mean
    kernel.assign(np.zeros((2, 1)))
    average = Average(model, momentum=0.5, every=1)
    kernel.assign(np.full((2, 1), 8.0))
    mean.assign(np.array([5.0]))
    for step in range(1, 4):
        average.update(step)
    # keep is min(0.5, (1 + step) / (10 + step)): 2/11, 3/12, 4/13
    wanted = 8 * (1 - 2 / 11 * 3 / 12 * 4 / 13)
    average.swap()
    assert np.allclose(kernel, wanted)
    assert np.allclose(mean, 5.0)
    average.swap()
    assert np.allclose(kernel, 8.0)


def test_the_matte_loss_by_hand() -> None:
    alpha = np.zeros((1, 2, 2, 3), np.uint8)
    alpha[0, 0, :, 0] = 255  # two pixels of person
    alpha[..., 1] = 255  # all known
    alpha[0, 0, 0, 2] = 255  # one on the rim
    logits = np.array([[[2.0], [-1.0]], [[0.0], [-3.0]]], np.float32)[None]
    p = 1 / (1 + np.exp(-logits[0, ..., 0]))
    g = alpha[0, ..., 0] / 255.0
    entropy = -(g * np.log(p) + (1 - g) * np.log(1 - p))
    weights = np.array([[3.0, 1.0], [1.0, 1.0]])
    room = 0.002 * 4
    jaccard = 1 - (np.minimum(p, g).sum() + room) / (np.maximum(p, g).sum() + room)
    sharp = abs(p[0, 0] - 1) / (1 + room)
    wanted = (weights * entropy).sum() / 4 + 1.0 * jaccard + 0.5 * sharp
    assert float(losses.MatteLoss()(alpha, logits)) == pytest.approx(wanted, rel=1e-5)
    alpha[0, 1, :, 1] = 0  # the lower row is unknown: what is said of it costs nothing
    costs = []
    for low in (-9.0, 9.0):
        logits[0, 1] = low
        costs.append(float(losses.MatteLoss()(alpha, logits)))
    assert costs[0] == pytest.approx(costs[1])


def test_the_detail_of_a_rim_is_weighed_by_its_laplacian_pyramid() -> None:
    rng = np.random.default_rng(3)
    alpha = np.zeros((1, 48, 32, 3), np.uint8)
    alpha[0, 10:40, 8:20, 0] = 255
    alpha[..., 1:] = 255
    alpha[0, :4, :, 1] = 0  # four unknown rows
    logits = rng.normal(0, 3, (1, 48, 32, 1)).astype(np.float32)
    level = (1 / (1 + np.exp(-logits[0, ..., 0])) - alpha[0, ..., 0] / 255) * (alpha[0, ..., 1] / 255)
    wanted = 0.0
    for i in range(4):  # OpenCV's pyramid has the same five taps and mirrors at the border, too
        taps = cv2.getGaussianKernel(5, 0)
        assert np.allclose(taps[:, 0] * 16, [1, 4, 6, 4, 1])
        blurred = cv2.sepFilter2D(level, -1, taps, taps, borderType=cv2.BORDER_REFLECT_101)
        wanted += 2**i * np.abs(level - blurred).sum()
        level = cv2.pyrDown(level)
    wanted /= 44 * 32 + (0.002 + 0.02) * 48 * 32
    found = float(losses.MatteLoss(detail=1.0)(alpha, logits)) - float(losses.MatteLoss()(alpha, logits))
    assert found == pytest.approx(wanted, rel=1e-4)


def test_what_stays_wrong_is_steady_and_what_changes_is_not() -> None:
    truth = np.zeros((3, 16, 16, 4), np.uint8)
    truth[..., 1] = 255
    truth[:, 4:12, 4:12, 0] = 255
    truth[0, ..., 3] = 255  # the second picture is the first one's next frame; the third is of another scene
    logits = np.where(truth[..., :1] > 127, 9.0, -9.0).astype(np.float32)
    logits[:2, 0, :8] = 9.0  # the same eight pixels are wrong in both frames
    logits[2, 8] = 9.0

    def unsteady(logits: Any) -> float:
        plain = float(losses.MatteLoss()(truth, logits))
        return float(losses.MatteLoss(steady=1.0)(truth, logits)) - plain

    assert unsteady(logits) == pytest.approx(0, abs=1e-4)
    logits[1, 0, :8] = -9.0  # in the second frame they are right
    # Eight pixels change of 64 of the person; a third of it, since it is the mean over three pictures.
    assert unsteady(logits) == pytest.approx(8 / (64 + 0.02 * 256) / 3, rel=1e-3)


def test_what_a_teacher_sees_is_wanted_but_where_the_truth_says_that_it_is_wrong() -> None:
    truth = np.zeros((1, 2, 2, 5), np.uint8)
    truth[0, ..., 0] = [[255, 255], [0, 255]]
    truth[0, ..., 1] = [[255, 255], [255, 0]]  # the last pixel is unknown
    truth[0, ..., 4] = [[204, 51], [51, 51]]  # .8, and .2, which is wrong where somebody is known to be
    logits = np.array([[[2.0], [-1.0]], [[0.0], [-3.0]]], np.float32)[None]
    p, taught = 1 / (1 + np.exp(-logits[0, ..., 0])), truth[0, ..., 4] / 255
    entropy = -(taught * np.log(p) + (1 - taught) * np.log(1 - p))
    wanted = (entropy * [[1, 0], [1, 1]]).sum() / 4
    found = [float(losses.MatteLoss(taught=weight)(truth, logits)) for weight in (0.0, 1.0, 3.0)]
    assert found[1] - found[0] == pytest.approx(wanted, rel=1e-5)
    assert found[2] - found[0] == pytest.approx(3 * wanted, rel=1e-5)
    assert float(losses.MatteLoss(taught=1.0)(truth[..., :3], logits)) == pytest.approx(found[0])


def test_the_class_loss_by_hand() -> None:
    truth = np.array([[[1, 255], [0, 0]]], np.uint8)[None]  # a known pixel of class 1, an unknown one
    logits = np.array([[[0.0, 1.0, -1.0], [9.0, 0.0, 0.0]]], np.float32)[None]
    wanted = np.log(np.exp([0.0, 1.0, -1.0]).sum()) - 1.0
    assert float(losses.ClassLoss()(truth, logits)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("text", ["64", "64x50", "0x32", "axb"])
def test_sizes_are_checked(text: str, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        train.parser().parse_args(["--data", "d", "--out", "o", "--steps", "1", "--shapes", text])
    assert text in capsys.readouterr().err


# --- many classes and comparing ---------------------------------------------------------------

def test_a_set_of_many_classes_trains_a_net_of_as_many_channels(
        tmp_path: Path, capsys: Any, tiny: None) -> None:
    rng, rows = np.random.default_rng(0), []
    for split, count in (("train", 6), ("val", 2)):
        for i in range(count):
            labels = np.where(np.arange(64) < rng.integers(20, 44), 0, 1).astype(np.uint8)[None].repeat(64, 0)
            labels[:4] = 255
            save(tmp_path / f"{split}{i}.png", (texture(rng, (64, 64)) // 4 + labels[..., None] % 2 * 150))
            save(tmp_path / f"{split}{i}_labels.png", labels)
            rows.append(Row(f"{split}{i}.png", f"{split}{i}_labels.png", "s", split, "", "people", 64, 64))
    write_index(tmp_path, rows)
    write_classes(tmp_path, [Class("left", (255, 0, 0)), Class("right", (0, 0, 255))])

    train.train(options(tmp_path, tmp_path / "run", "--steps", 60, "--batch", 4, "--rate", 2e-2,
                        "--warmup", 5, "--average", 0.9))
    val = columns(tmp_path / "run" / "val.csv")
    assert {"left_iou", "right_iou", "iou", "accuracy"} <= val.keys()
    assert val["iou"][0] < 0.5
    assert val["iou"][-1] > 0.75
    evaluate.main(["--data", str(tmp_path), "--model", str(tmp_path / "run" / "last.keras")])
    assert f"| mean | {val['iou'][-1]:.4f} |" in capsys.readouterr().out


def test_nets_are_compared_in_a_table_with_curves_and_a_sheet(
        folder: Path, tmp_path: Path, tiny: None) -> None:
    args = compare.parser().parse_args([
        "--data", str(folder), "--models", "plain,small", "--out", str(tmp_path), "--steps", "2",
        "--batch", "2", "--shapes", SHAPE])
    args.models = compare.models(args.models)
    compare.compare(args)
    found = json.loads((tmp_path / "compare.json").read_text())["models"]
    assert [row["model"] for row in found] == ["plain", "small"]
    for row in found:
        kernels = 9 * 9 * 3 * 8 + 8 + 9
        assert (row["parameters"], row["trainable"]) == (kernels + 32, kernels + 16)
        assert 0 < row["epochs"] < 1
        assert 0 <= row["iou"] <= 1
        assert 0 <= row["accuracy"] <= 1
        assert min(row["seconds_per_epoch"], row["loss"], row["ms_per_frame"]) > 0
    assert len((tmp_path / "compare.md").read_text().splitlines()) == 4
    sheet = cv2.imread(str(tmp_path / "predictions.png"))
    assert sheet.shape[0] > sheet.shape[1] > 4 * 150
    assert cv2.imread(str(tmp_path / "curves.png")) is not None


def test_comparing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(OptionError, match="models is 'nobody'"):
        compare.models("plain,nobody")
