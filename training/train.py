"""``python -m training.train --size medium --data DIR --minutes N --out DIR``: trains a net.

One loop: deal a batch, take a step, and every so often write a checkpoint and score the averaged weights on
the val pictures. Killed at any moment it goes on from its last checkpoint (``--resume``; without it an
``--out`` that holds a run is refused). The schedule runs by minutes spent: a busy machine trains less, never
less finished; with ``--steps`` it runs by steps.
In ``--out``: checkpoint.npz, best.keras, last.keras, log.csv and val.csv, curves.png.
Works on every Keras backend (KERAS_BACKEND=tensorflow, jax or torch).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import keras
import numpy as np

from streamseg.core.opencv import cv2
from streamseg.errors import OptionError
from training import architectures
from training.augment import Size
from training.commands import at_least, command, positive
from training.distributed import join
from training.losses import MatteLoss
from training.runs import FROZEN, OPTIMISERS, Run, append
from training.tasks import Task, open_task


def train(args: argparse.Namespace, task: Task | None = None) -> Run:
    """Trains for ``args.minutes`` (those of earlier starts counted in) or ``args.steps``; returns the run.

    ``task``: as ``open_task`` would make it, for several runs on the same pictures. Raises OptionError if
    ``args.out`` holds a run and ``args.resume`` is not given.
    """
    group = join(args)
    there = any((args.out / name).exists() for name in ("checkpoint.npz", "best.keras"))
    if group.agreed(there) and not args.resume:
        raise OptionError(f"{args.out} holds a run: give --resume to go on with it, or another --out")
    keras.utils.set_random_seed(args.seed)
    cv2.setNumThreads(1)  # the feed has threads of its own
    loss = MatteLoss(sharp=args.sharp, detail=args.detail, steady=args.steady, taught=args.taught)
    task = task or open_task(args.data, args.batch, args.seed, args.shapes or [], loss, args.memory * 1e9,
                             args.sequences, args.teacher)
    run = Run(args, task, group)
    resumed = args.resume and run.load()
    print(f"{'resumed at' if resumed else 'new at'} step {run.state.step}", flush=True)
    state = run.state
    losses: list[float] = []
    waited = 0.0
    scored_step = -1
    if not resumed:
        run.score()
        scored_step = state.step
    began = last = scored = saved = told = group.agreed(time.monotonic())
    told_step = state.step
    batches = task.feed.stream(state.step, args.feed_threads)
    while run.done < 1 and (not args.patience or state.stale < args.patience):
        asked = time.monotonic()
        pictures, truths = next(batches)
        waited += time.monotonic() - asked
        losses.append(run.step(group.own(pictures), group.own(truths)))
        now = group.agreed(time.monotonic())
        state.seconds, last = state.seconds + now - last, now
        due = now - scored > 60 * args.score_every
        if now - told > args.tell or due or run.done >= 1:
            speed = (state.step - told_step) * args.batch / (now - told)
            row = {"minutes": f"{state.seconds / 60:.2f}", "step": state.step,
                   "loss": f"{np.mean(losses):.4f}", "rate": f"{run.rate_now():.2e}",
                   "images_per_second": f"{speed:.1f}", "waiting": f"{waited / (now - told):.3f}",
                   "epoch": f"{run.epochs:.2f}"}  # fmt: skip
            if group.first:
                append(run.out / "log.csv", row)
            left = state.seconds / 60 * (1 - run.done) / max(run.done, 1e-9)
            print(" ".join(f"{k} {v}" for k, v in row.items()), f"left {left:.1f} min", flush=True)
            losses, waited, told, told_step = [], 0.0, now, state.step
        if due:
            run.score()
            scored = last = told = group.agreed(time.monotonic())  # scoring is not training time
            told_step = scored_step = state.step
            run.save()
            saved = scored
        elif now - saved > 60 * args.save_every:
            run.save()
            saved = now
    batches.close()
    if scored_step != state.step:
        run.score()
    run.save()
    print(f"done: {state.step} steps, {(time.monotonic() - began) / 60:.1f} min", flush=True)
    return run


def size(text: str) -> Size:
    """"HxW" as (height, width), both multiples of 32."""
    try:
        height, width = (int(part) for part in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH") from None
    if height % 32 or width % 32 or height < 32 or width < 32:
        raise argparse.ArgumentTypeError(f"{text!r}: sides must be multiples of 32")
    return height, width


def parser() -> argparse.ArgumentParser:
    """The command's options; their defaults are the recipe."""
    own = argparse.ArgumentParser(prog="python -m training.train", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--size", default="medium", choices=architectures.NAMES)
    own.add_argument("--data", type=Path, required=True, help="folder with index.csv (and classes.csv)")
    own.add_argument("--out", type=Path, required=True, help="checkpoints, weights, logs, curves")
    length = own.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=positive)
    length.add_argument("--steps", type=at_least(1), help="in place of minutes: the same work on any machine")
    own.add_argument("--init", type=Path, help=".keras whose layers are taken over where they fit")
    own.add_argument("--imagenet", action="store_true", help="ImageNet's weights for an encoder that has any")
    own.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    own.add_argument("--seed", type=int, default=1)
    own.add_argument("--batch", type=at_least(1), default=16)
    own.add_argument("--shapes", type=size, nargs="+", metavar="HxW", help="training sizes, in place of the "
                     "recipe's; val pictures are scored at the area of the largest")
    own.add_argument("--optimiser", choices=OPTIMISERS, default="adamw", help="adamw: warm-up and cosine; "
                     "adam: falls by steps, as in the third write-up; adas: each layer earns its own rate")
    own.add_argument("--rate", type=positive, default=1.5e-3)
    own.add_argument("--encoder-scale", type=float, default=0.25)
    own.add_argument("--freeze", type=at_least(0), help="first encoder operations left as they are "
                     f"(default: {FROZEN} with --init, else none)")
    own.add_argument("--warmup", type=at_least(0), default=100, help="steps")
    own.add_argument("--average", type=float, default=0.998, help="momentum of the weight average")
    own.add_argument("--sharp", type=float, default=0.5, help="weight of the rim's absolute error")
    own.add_argument("--detail", type=float, default=0.0, help="weight of the error's Laplacian pyramid")
    own.add_argument("--sequences", type=float, default=0.0, help="how often two to four frames of a moving scene "
                     "stand in a batch for one picture, 0..1")
    own.add_argument("--steady", type=float, default=0.0, help="weight of the error's change between such frames")
    own.add_argument("--teacher", nargs="+", default=[], metavar="MODEL", help="built-in models or exported "
                     "files; what they see on average is learnt besides the truth")
    own.add_argument("--taught", type=float, default=1.0, help="weight of what the teacher sees")
    own.add_argument("--patience", type=at_least(0), default=0, help="scorings without a better "
                     "one before it stops (0: never)")
    own.add_argument("--parallel", action="store_true", help="share each batch among all devices (JAX)")
    own.add_argument("--processes", type=at_least(1), default=1, help="that train together, on one machine or several")
    own.add_argument("--process", type=at_least(0), default=0, help="which of them this is, from 0 on")
    own.add_argument("--head", metavar="HOST:PORT", help="where the first of them is reached")
    own.add_argument("--memory", type=float, default=8.0, help="GB of decoded pictures to keep")
    own.add_argument("--feed-threads", type=at_least(1), default=1)
    own.add_argument("--tell", type=float, default=30.0, help="seconds between log lines")
    own.add_argument("--save-every", type=float, default=3.0, help="minutes")
    own.add_argument("--score-every", type=float, default=12.0, help="minutes")
    return own


@command
def main(arguments: list[str] | None = None) -> None:
    train(parser().parse_args(arguments))


if __name__ == "__main__":
    main()
