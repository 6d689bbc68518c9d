"""What a user of training's commands can get wrong ends in one line that says so, before any work is lost."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WHY = "training is tested where TensorFlow and Keras are installed: pip install '.[train]'"
pytest.importorskip("tensorflow", reason=WHY)
keras = pytest.importorskip("keras", reason=WHY)

from tests.training.sets import people_set, save  # noqa: E402
from training import compare, evaluate, export, runs, train  # noqa: E402
from training.data import Class, read_index, write_classes, write_index  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("set")
    people_set(made, {"train": 3, "val": 1}, backgrounds=2)
    return made


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """One convolution in place of all nets."""

    def build(name: str, classes: int = 1, **_: object) -> Any:
        picture = keras.Input((None, None, 3))
        return keras.Model(picture, keras.layers.Conv2D(classes, 1)(picture))

    monkeypatch.setattr(runs.architectures, "build", build)


@pytest.fixture
def refused(capsys: Any) -> Callable[..., str]:
    """Runs a command that must end with an exit code of its own; returns the last line of what it says."""

    def run(main: Callable[[list[str]], None], *words: object, code: int = 2) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert ended.value.code == code
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if "error:" in line] == lines[-1:]
        return str(lines[-1])

    return run


# --- numbers ----------------------------------------------------------------------------------

TRAIN = ("--data", "no set", "--out", "no run")
COMPARE = (*TRAIN, "--models", "small")
ONE = ("--steps", 1)


@pytest.mark.parametrize(("main", "given", "words", "allowed"), [
    (train.main, TRAIN, ("--steps", 0), "1 or more"),
    (train.main, TRAIN, ("--steps", "2.5"), "1 or more"),
    (train.main, TRAIN, ("--minutes", 0), "above 0"),
    (train.main, TRAIN, ("--minutes", "nan"), "above 0"),
    (train.main, (*TRAIN, *ONE), ("--batch", 0), "1 or more"),
    (train.main, (*TRAIN, *ONE), ("--warmup", -1), "0 or more"),
    (train.main, (*TRAIN, *ONE), ("--rate", 0), "above 0"),
    (train.main, (*TRAIN, *ONE), ("--freeze", -1), "0 or more"),
    (train.main, (*TRAIN, *ONE), ("--patience", -1), "0 or more"),
    (train.main, (*TRAIN, *ONE), ("--feed-threads", 0), "1 or more"),
    (compare.main, COMPARE, ("--steps", 0), "1 or more"),
    (compare.main, COMPARE, ("--minutes", 0), "above 0"),
    (compare.main, (*COMPARE, *ONE), ("--batch", 0), "1 or more"),
    (compare.main, (*COMPARE, *ONE), ("--rate", "fast"), "above 0"),
    (compare.main, (*COMPARE, *ONE), ("--patience", -1), "0 or more"),
    (evaluate.main, TRAIN[:2], ("--budget", 1023), "1024 or more"),
    (evaluate.main, TRAIN[:2], ("--threads", 0), "1 or more"),
    (evaluate.main, TRAIN[:2], ("--worst", 0), "1 or more"),
    (export.main, ("--model", "no net", "--out", "none"), ("--budget", 10), "1024 or more"),
])
def test_a_number_out_of_range_is_named_with_those_that_are_allowed(
        refused: Callable[..., str], main: Any, given: Any, words: Any, allowed: str) -> None:
    line = refused(main, *given, *words)
    assert f"argument {words[0]}: '{words[1]}' is not allowed" in line
    assert line.endswith(allowed)


def test_the_least_budget_is_one_that_has_a_size() -> None:
    assert export.net_sizes([export.LEAST_BUDGET]) == [(32, 32)]


def test_without_a_warm_up_the_rate_starts_at_its_height(folder: Path, tmp_path: Path, tiny: None) -> None:
    args = train.parser().parse_args(["--data", str(folder), "--out", str(tmp_path), "--steps", "9",
                                      "--warmup", "0", "--rate", "0.5"])
    assert runs.Run(args, train.open_task(args.data, 1, 1, [(32, 32)])).rate() == 0.5


# --- files ------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["checkpoint.npz", "best.keras"])
def test_a_run_that_is_there_is_not_trained_over(
        name: str, folder: Path, tmp_path: Path, tiny: None, refused: Callable[..., str]) -> None:
    held = {name: b"hours of work", "val.csv": b"minutes,score\n9,0.9\n"}
    for own, content in held.items():
        (tmp_path / own).write_bytes(content)
    line = refused(train.main, "--data", folder, "--out", tmp_path, *ONE, "--shapes", "32x32")
    assert line == f"error: {tmp_path} holds a run: give --resume to go on with it, or another --out"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == held


def hollow(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "no net")


def of_a_layer_nobody_has(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", '{"class_name": "Nobody", "module": "nowhere", "config": {}}')


BROKEN = {"garbage": lambda path: path.write_bytes(b"no net"), "hollow": hollow,
          "strange": of_a_layer_nobody_has}  # fmt: skip


@pytest.mark.parametrize("command", ["train", "evaluate", "export"])
@pytest.mark.parametrize("kind", ["missing", *BROKEN])
def test_a_net_that_cannot_be_opened_is_named_with_the_remedy(
        command: str, kind: str, folder: Path, tmp_path: Path, tiny: None,
        refused: Callable[..., str]) -> None:
    path = tmp_path / "net.keras"
    if kind in BROKEN:
        BROKEN[kind](path)
    main, words = {
        "train": (train.main, ("--data", folder, "--out", tmp_path / "run", *ONE, "--init", path)),
        "evaluate": (evaluate.main, ("--data", folder, "--threads", 1, "--model", path)),
        "export": (export.main, ("--out", tmp_path / "files", "--model", path)),
    }[command]
    line = refused(main, *words)
    what = "is not there" if kind == "missing" else "is no Keras model that loads"
    assert line.startswith(f"error: model {str(path)!r} {what}")
    assert line.endswith("give a .keras of training.train")


@pytest.mark.parametrize("main", [train.main, evaluate.main])
def test_a_split_without_any_matte_cannot_be_scored(
        main: Any, tmp_path: Path, refused: Callable[..., str]) -> None:
    people_set(tmp_path, {"train": 2, "val": 2})
    write_index(tmp_path, [replace(row, matte="") if row.split == "val" else row
                           for row in read_index(tmp_path)])
    words = ("--out", tmp_path / "run", *ONE) if main is train.main else ("--threads", 1)
    line = refused(main, "--data", tmp_path, *words, code=1)
    assert f"{tmp_path / 'index.csv'} has no matte in split 'val'" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("main", [train.main, compare.main])
def test_a_net_of_one_class_is_refused_for_a_set_of_many(
        main: Any, tmp_path: Path, refused: Callable[..., str]) -> None:
    rows = people_set(tmp_path, {"train": 2, "val": 1})
    for row in rows:
        save(tmp_path / row.matte, np.zeros((64, 64), np.uint8))
    write_classes(tmp_path, [Class("one", (0, 0, 0)), Class("other", (255, 0, 0))])
    name = ("--size", "medium") if main is train.main else ("--models", "medium")
    line = refused(main, "--data", tmp_path, "--out", tmp_path / "out", *ONE, *name)
    assert line.startswith("error: net 'medium' with 2 classes: medium has one class")
    assert "choose one of unet-plain" in line
