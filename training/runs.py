"""A net in training: its step, its schedule, its checkpoint and its scores. The loop is in train.py."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from streamseg.errors import OptionError, SourceError
from training import architectures, curves
from training.adas import AdaS
from training.architectures import person
from training.distributed import Group
from training.optimisers import Average, ScaledAdamW, staircase_adam
from training.shapes import PerShape
from training.tasks import Scored, Task

OPTIMISERS = ("adamw", "adam", "adas")
# The start weights' edges and colours were learnt on millions of pictures, and are the dearest to train.
FROZEN = 10


@dataclass
class State:
    """What a checkpoint must tell besides weights. ``stale``: scorings since the best one."""

    step: int = 0
    seconds: float = 0.0
    best: float = 0.0
    stale: int = 0


class Run:
    """A net in training and everything that a checkpoint holds."""

    def __init__(self, args: argparse.Namespace, task: Task, group: Group | None = None) -> None:
        self.args, self.task, self.out, self.state = args, task, Path(args.out), State()
        self.group = group or Group()
        self.out.mkdir(parents=True, exist_ok=True)
        extra: dict[str, Any] = {"imagenet": True} if args.imagenet else {}
        self.model = build(args.size, task, **extra)
        if args.init:
            start = architectures.load_net(args.init)
            fresh = architectures.copy_weights(self.model, start)
            print(f"start: {args.init}, {len(fresh)} layers fresh: {', '.join(fresh)}", flush=True)
        frozen = args.freeze if args.freeze is not None else FROZEN if args.init else 0
        person.freeze_encoder(self.model, frozen)
        self.optimizer = optimiser(args)
        # Compiled by XLA, TensorFlow on a CPU takes nine times as long; JAX has no other way.
        jit = False if keras.backend.backend() == "tensorflow" else "auto"
        self.model.compile(self.optimizer, task.loss, jit_compile=jit)
        self.optimizer.build(self.model.trainable_variables)
        self.average = Average(self.model, args.average)
        self._functions = PerShape(self.model, "train")
        self._judged: keras.Model | None = None

    def step(self, pictures: np.ndarray, truths: np.ndarray) -> float:
        """One step of the optimiser; returns the batch's loss."""
        if self.args.optimiser == "adamw":
            self.optimizer.learning_rate = self.rate()
        with self._functions.use(pictures.shape[1:3]) as model:
            loss = float(model.train_on_batch(pictures.astype(np.float32), truths))
            model.reset_metrics()
        if not math.isfinite(loss):
            raise OptionError(f"the loss is {loss} at step {self.state.step}: give a lower --rate; the last "
                              "checkpoint is from before")
        epoch = self.epochs // 1
        self.state.step += 1
        if isinstance(self.optimizer, AdaS) and self.epochs // 1 > epoch:
            self.optimizer.end_epoch()
        self.average.update(self.state.step)
        return loss

    @property
    def epochs(self) -> float:
        """How often the training set has been dealt."""
        return self.state.step * self.args.batch / self.task.feed.deal.per_epoch

    @property
    def done(self) -> float:
        """The share of the run that is over, 0..1."""
        over = self.state.step / self.args.steps if self.args.steps else (
            self.state.seconds / (60 * self.args.minutes))
        return min(1.0, over)

    def rate_now(self) -> float:
        """What the optimiser used last; of AdaS the mean over layers."""
        used = self.optimizer.rates if isinstance(self.optimizer, AdaS) else self.optimizer.learning_rate
        return float(np.mean(keras.ops.convert_to_numpy(used)))

    def rate(self) -> float:
        """AdamW's learning rate now: a short rise, then half a cosine down to nothing."""
        rise = min(1.0, (self.state.step + 1) / max(1, self.args.warmup))
        return self.args.rate * rise * max(0.01, 0.5 * (1 + math.cos(math.pi * self.done)))

    def save(self) -> None:
        """One file, written aside and then renamed: a kill leaves the old one or the new one."""
        if not self.group.first:
            return
        arrays = {f"model/{w.path}": w for w in self.model.weights}
        arrays |= {f"optimizer/{i}": v for i, v in enumerate(self.optimizer.variables)}
        arrays |= {f"average/{path}": value for path, value in self.average.values.items()}
        aside = self.out / "checkpoint.tmp.npz"
        with aside.open("wb") as file:
            numbers = {name: keras.ops.convert_to_numpy(value) for name, value in arrays.items()}
            np.savez(file, state=json.dumps(asdict(self.state)), **numbers)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.out / "checkpoint.npz")

    def load(self) -> bool:
        """Goes on from the checkpoint in ``out``; False if there is none. Raises SourceError."""
        path = self.out / "checkpoint.npz"
        if not path.is_file():
            return False
        with np.load(path) as saved:
            if f"optimizer/{len(self.optimizer.variables)}" in saved.files:
                raise SourceError(f"{path} trains more layers than this run would: give the options it was "
                                  "made with")
            try:
                self.state = State(**json.loads(str(saved["state"])))
                for weight in self.model.weights:
                    weight.assign(saved[f"model/{weight.path}"])
                for i, variable in enumerate(self.optimizer.variables):
                    variable.assign(saved[f"optimizer/{i}"])
                self.average.load({p: saved[f"average/{p}"] for p in self.average.values})
            except (KeyError, ValueError) as error:
                raise SourceError(f"{path} is of another net ({error}): give the options it was made with"
                                  ) from error
        return True

    def score(self) -> float:
        """Scores the averaged weights, logs a line, and keeps them if they are the best so far."""
        self.average.swap()
        figure = 0.0
        if self.group.first:
            with self.group.alone():  # saving makes an optimiser, too
                figure = self._score()
        self.average.swap()
        self.state.best = self.group.agreed(self.state.best)
        self.state.stale = int(self.group.agreed(self.state.stale))
        return self.group.agreed(figure)

    def _score(self) -> float:
        figure, found, text = self._scored()
        row = {"minutes": f"{self.state.seconds / 60:.1f}", "step": self.state.step,
               "samples": self.state.step * self.args.batch, "score": f"{figure:.4f}"}  # fmt: skip
        append(self.out / "val.csv", row | found)
        # Always kept as well: the last average is the one that the cosine was run down for.
        self._save_model("last.keras")
        self.state.stale += 1
        if figure > self.state.best:
            self.state.best, self.state.stale = figure, 0
            self._save_model("best.keras")
        curves.draw_run(self.out)
        print(f"val {figure:.4f} (best {self.state.best:.4f}): {text}", flush=True)
        return figure

    def _scored(self) -> Scored:
        if not self.group.shared:
            return self.task.score(self.model)
        if self._judged is None:  # the val pictures come in numbers that devices cannot share
            self._judged = build(self.args.size, self.task)
        self._judged.set_weights(self.model.get_weights())
        return self.task.score(self._judged)

    def _save_model(self, name: str) -> None:
        aside = self.out / f"tmp-{name}"
        self.model.save(aside)
        aside.replace(self.out / name)


def build(name: str, task: Task, **options: Any) -> keras.Model:
    """A fresh net for ``task``. Raises OptionError where that one cannot have its channels or ``options``."""
    try:
        return architectures.build(name, classes=task.channels, **options)
    except (ValueError, TypeError) as error:
        given = "".join(f", {option}" for option in options)
        raise OptionError(f"net {name!r} with {task.channels} classes{given}: {error}") from error


def optimiser(args: argparse.Namespace) -> keras.optimizers.Optimizer:
    """The one that ``args.optimiser`` names, of OPTIMISERS."""
    if args.optimiser == "adas":
        return AdaS(args.rate)
    if args.optimiser == "adam":
        return staircase_adam(args.rate)
    return ScaledAdamW(learning_rate=args.rate, weight_decay=0.01, global_clipnorm=1.0,
                       encoder_scale=args.encoder_scale)


def append(path: Path, row: dict[str, object]) -> None:
    """A line more in a CSV file, by the columns that it has; a new file gets those of ``row``."""
    columns = list(row)
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            columns = next(csv.reader(file))
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerow(row)
