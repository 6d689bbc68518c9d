"""Training on two processes at once, as training/README.md says: it starts, and both take the same steps."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WHY = "training is tested where TensorFlow and Keras are installed: pip install '.[train]'"
pytest.importorskip("tensorflow", reason=WHY)
pytest.importorskip("keras", reason=WHY)

from streamseg.errors import OptionError  # noqa: E402
from tests.training.sets import people_set  # noqa: E402
from training import distributed, train  # noqa: E402
from training.distributed import Group  # noqa: E402

ROOT = Path(__file__).parents[2]
# The command with a net of two convolutions: what is tested is that the processes go together
PROGRAM = """
import sys
import keras
from training import runs, train

def build(name, classes=1, **_):
    picture = keras.Input((None, None, 3), name="picture")
    x = keras.layers.Conv2D(8, 9, padding="same", name="wide")(keras.layers.Rescaling(1 / 255, name="scale")(picture))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
    return keras.Model(picture, keras.layers.Conv2D(classes, 1, name="logits")(x))

runs.architectures.build = build
train.main(sys.argv[1:])
"""


def told(*more: object) -> Any:
    return train.parser().parse_args(["--data", "set", "--out", "run", "--steps", "1", *map(str, more)])


def test_a_batch_is_dealt_out_whole_and_once() -> None:
    batch = np.arange(24).reshape(8, 3)
    parts = [Group(number, 4, True).own(batch) for number in range(4)]
    assert np.array_equal(np.concatenate(parts), batch)
    assert np.array_equal(Group().own(batch), batch)
    assert Group().agreed(0.1) == 0.1


@pytest.mark.parametrize("options", [
    ["--processes", 2], ["--parallel", "--processes", 2], ["--processes", 2, "--head", "a:1"],
    ["--parallel", "--processes", 2, "--process", 2, "--head", "a:1"], ["--process", 1], ["--head", "a:1"]], ids=str)
def test_processes_that_cannot_find_each_other_are_refused(options: list[Any]) -> None:
    with pytest.raises(OptionError, match="several processes want --parallel, each its number from 0 on"):
        distributed.join(told(*options))


def test_another_backend_is_refused() -> None:
    with pytest.raises(OptionError, match="KERAS_BACKEND=jax"):
        distributed.join(told("--parallel", "--processes", 2, "--head", "localhost:1"))


@pytest.mark.slow
def test_two_processes_train_one_net(tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="JAX is not installed: pip install jax")
    people_set(tmp_path / "set", {"train": 12, "val": 3}, backgrounds=4)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        head = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-c", PROGRAM, "--size", "small", "--data", str(tmp_path / "set"), "--out",
               str(tmp_path / "run"), "--shapes", "64x64", "--tell", "0", "--steps", "3", "--batch", "4", "--parallel",
               "--processes", "2", "--head", head]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
                   "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    both = [subprocess.Popen([*command, "--process", str(number)], env=environment, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for number in range(2)]
    try:
        said = [process.communicate(timeout=280)[0] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], "\n".join(said)
    losses = [[line.split()[5] for line in text.splitlines() if line.startswith("minutes")] for text in said]
    assert len(losses[0]) == 3
    assert losses[0] == losses[1]  # of all four pictures, not of a process's two
    with (tmp_path / "run" / "log.csv").open(newline="") as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["1", "2", "3"]
    with (tmp_path / "run" / "val.csv").open(newline="") as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["0", "3"]
    assert {"best.keras", "last.keras", "checkpoint.npz"} <= {path.name for path in (tmp_path / "run").iterdir()}
