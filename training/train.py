"""``python -m training.train --size medium --data DIR --minutes N --out DIR``: trains the net.

One loop: deal a batch, take a step, and every so often write a checkpoint and score the averaged
weights on the val pictures. Killed at any moment it goes on from its last checkpoint (``--resume``).
The schedule runs by minutes spent, not by steps: a busy machine trains less, never less finished.
Works on every Keras backend (KERAS_BACKEND=tensorflow, jax or torch).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import keras
import numpy as np

from training import architectures, evaluate
from training.architectures import person
from training.data import PictureSet, read_index
from training.feed import Feed, Recipe
from training.losses import MatteLoss
from training.optimisers import Average, ScaledAdamW
from training.shapes import PerShape


@dataclass
class State:
    """What a checkpoint must tell besides weights."""

    step: int = 0
    seconds: float = 0.0
    best: float = 0.0


class Run:
    """A net in training and everything that a checkpoint holds."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out, self.state = args, Path(args.out), State()
        self.out.mkdir(parents=True, exist_ok=True)
        self.model = architectures.build(args.size)
        if args.init:
            start = keras.saving.load_model(args.init, compile=False)
            fresh = architectures.copy_weights(self.model, start)
            print(f"start: {args.init}, {len(fresh)} layers fresh: {', '.join(fresh)}", flush=True)
        person.freeze_encoder(self.model, args.freeze)
        self.optimizer = ScaledAdamW(
            learning_rate=args.rate, weight_decay=0.01, global_clipnorm=1.0,
            encoder_scale=args.encoder_scale,
        )  # fmt: skip
        # Compiled by XLA a CPU takes nine times as long; elsewhere the backend knows best.
        self.model.compile(self.optimizer, MatteLoss(sharp=args.sharp), jit_compile=False)
        self.optimizer.build(self.model.trainable_variables)
        self.average = Average(self.model, args.average)
        self._functions = PerShape(self.model, "train")
        self._predictor = evaluate.KerasPredictor(self.model)

    def step(self, pictures: np.ndarray, truths: np.ndarray) -> float:
        """One step of the optimiser; returns the batch's loss."""
        self.optimizer.learning_rate = self.rate()
        with self._functions.use(pictures.shape[1:3]) as model:
            loss = model.train_on_batch(pictures.astype(np.float32), truths)
            model.reset_metrics()
        self.state.step += 1
        self.average.update(self.state.step)
        return float(loss)

    def rate(self) -> float:
        """The learning rate now: a short rise, then half a cosine down to nothing."""
        done = min(1.0, self.state.seconds / (60 * self.args.minutes))
        rise = min(1.0, (self.state.step + 1) / self.args.warmup)
        return self.args.rate * rise * max(0.01, 0.5 * (1 + math.cos(math.pi * done)))

    def save(self) -> None:
        """One file, written aside and then renamed: a kill leaves the old one or the new one."""
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
        """Goes on from the checkpoint in ``out``; False if there is none."""
        path = self.out / "checkpoint.npz"
        if not path.is_file():
            return False
        with np.load(path) as saved:
            self.state = State(**json.loads(str(saved["state"])))
            for weight in self.model.weights:
                weight.assign(saved[f"model/{weight.path}"])
            for i, variable in enumerate(self.optimizer.variables):
                variable.assign(saved[f"optimizer/{i}"])
            self.average.load({p: saved[f"average/{p}"] for p in self.average.values})
        return True

    def score(self, pictures: PictureSet) -> float:
        """Scores the averaged weights, logs a line, and keeps them if they are the best so far."""
        self.average.swap()
        table = evaluate.by_source(evaluate.evaluate(self._predictor, pictures))
        score = evaluate.choice_score(table)
        row = {"minutes": f"{self.state.seconds / 60:.1f}", "step": self.state.step,
               "samples": self.state.step * self.args.batch, "score": f"{score:.4f}"}  # fmt: skip
        for name, (_, iou, edge, mad) in table.items():
            row |= {f"{name}_iou": f"{iou:.4f}", f"{name}_f": f"{edge:.4f}", f"{name}_mad": f"{mad:.1f}"}
        _append(self.out / "val.csv", row)
        # Always kept as well: the last average is the one that the cosine was run down for.
        self._save_model("last.keras")
        if score > self.state.best:
            self.state.best = score
            self._save_model("best.keras")
        self.average.swap()
        short = " ".join(f"{name} {table[name][1]:.3f}" for name in table)
        print(f"val {score:.4f} (best {self.state.best:.4f}): {short}", flush=True)
        return score

    def _save_model(self, name: str) -> None:
        aside = self.out / f"tmp-{name}"
        self.model.save(aside)
        aside.replace(self.out / name)


def train(args: argparse.Namespace) -> Run:
    """Trains for ``args.minutes`` (those of earlier starts counted in) and returns the run."""
    keras.utils.set_random_seed(args.seed)
    cv2.setNumThreads(1)  # the feed has threads of its own
    run = Run(args)
    resumed = args.resume and run.load()
    print(f"{'resumed at' if resumed else 'new at'} step {run.state.step}", flush=True)
    pictures = PictureSet(args.data, read_index(args.data, "train"))
    val = PictureSet(args.data, [row for row in read_index(args.data, "val") if row.matte])
    feed = Feed(pictures, Recipe(), args.batch, args.seed)
    state, limit = run.state, 60.0 * args.minutes
    losses: list[float] = []
    waited = 0.0
    if not resumed:
        run.score(val)
    began = last = scored = saved = told = time.monotonic()
    told_step = state.step
    batches = feed.stream(state.step, args.feed_threads)
    while state.seconds < limit:
        asked = time.monotonic()
        pictures_in, truths = next(batches)
        waited += time.monotonic() - asked
        losses.append(run.step(pictures_in, truths))
        now = time.monotonic()
        state.seconds, last = state.seconds + now - last, now
        if now - told > args.tell:
            speed = (state.step - told_step) * args.batch / (now - told)
            row = {"minutes": f"{state.seconds / 60:.2f}", "step": state.step,
                   "loss": f"{np.mean(losses):.4f}", "rate": f"{run.rate():.2e}",
                   "images_per_second": f"{speed:.1f}",
                   "waiting": f"{waited / (now - told):.3f}"}  # fmt: skip
            _append(run.out / "log.csv", row)
            left = (limit - state.seconds) / 60
            print(" ".join(f"{k} {v}" for k, v in row.items()), f"left {left:.1f} min", flush=True)
            losses, waited, told, told_step = [], 0.0, now, state.step
        if now - scored > 60 * args.score_every:
            run.score(val)
            scored = last = told = time.monotonic()  # scoring is not training time
            told_step = state.step
            run.save()
            saved = scored
        elif now - saved > 60 * args.save_every:
            run.save()
            saved = time.monotonic()
    batches.close()
    run.score(val)
    run.save()
    print(f"done: {state.step} steps, {(time.monotonic() - began) / 60:.1f} min", flush=True)
    return run


def _append(path: Path, row: dict) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row.keys())
        if new:
            writer.writeheader()
        writer.writerow(row)


def parser() -> argparse.ArgumentParser:
    """The command's options; their defaults are the recipe."""
    own = argparse.ArgumentParser(description=__doc__)
    own.add_argument("--size", default="medium", choices=architectures.NAMES)
    own.add_argument("--data", type=Path, required=True, help="folder with index.csv")
    own.add_argument("--out", type=Path, required=True, help="checkpoints, weights, logs")
    own.add_argument("--minutes", type=float, required=True)
    own.add_argument("--init", type=Path, help=".keras whose layers are taken over where they fit")
    own.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    own.add_argument("--seed", type=int, default=1)
    own.add_argument("--batch", type=int, default=16)
    own.add_argument("--rate", type=float, default=1.5e-3)
    own.add_argument("--encoder-scale", type=float, default=0.25)
    own.add_argument("--freeze", type=int, default=10, help="first encoder operations left as they are")
    own.add_argument("--warmup", type=int, default=100, help="steps")
    own.add_argument("--average", type=float, default=0.998, help="momentum of the weight average")
    own.add_argument("--sharp", type=float, default=0.5, help="weight of the rim's absolute error")
    own.add_argument("--feed-threads", type=int, default=1)
    own.add_argument("--tell", type=float, default=30.0, help="seconds between log lines")
    own.add_argument("--save-every", type=float, default=3.0, help="minutes")
    own.add_argument("--score-every", type=float, default=12.0, help="minutes")
    return own


if __name__ == "__main__":
    train(parser().parse_args())
