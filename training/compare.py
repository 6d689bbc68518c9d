"""``python -m training.compare --data DIR --minutes N --models a,b,c --out DIR``: nets side by side.

Trains each on the same data, in the same order, for the same time, and writes to ``--out``: compare.json
and compare.md (parameters, time per epoch, epochs, loss, accuracy, IoU, boundary F, ms per frame; the figures
of each net's best weights on val), curves.png, predictions.png, and a folder for each run. Killed, the same
command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from streamseg.validation import choice
from training import architectures, curves, formats, sheets
from training import train as training
from training.commands import at_least, command, positive
from training.runs import Run, build
from training.tasks import Task, open_task

# What a frame is when its time is taken: the area that ours are trained at.
FRAME = (224, 224)
_SCORINGS = 8
_SHOWN = 10


def compare(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Trains, measures and writes everything; returns the table's rows."""
    args.out.mkdir(parents=True, exist_ok=True)
    task = open_task(args.data, args.batch, args.seed, args.shapes or [], memory=args.memory * 1e9)
    numbers = np.random.default_rng(args.seed).permutation(len(task.val))[:_SHOWN].tolist()
    rows, shown = [], [task.truths(numbers)]
    for name in args.models:
        print(f"--- {name}", flush=True)
        # Layers are numbered from the start again: a checkpoint knows them by their names.
        keras.backend.clear_session()
        speed = milliseconds(build(name, task))
        keras.backend.clear_session()
        run = training.train(train_arguments(args, name), task)
        best = architectures.load_net(args.out / name / "best.keras")
        rows.append(row(name, run, best, task, speed))
        shown.append(task.shown(best, numbers))
        write(args, task, rows)
    pictures = [task.val[number][0] for number in numbers]
    groups = [("picture | truth | " + " | ".join(args.models) if i == 0 else "", list(cells))
              for i, cells in enumerate(zip(pictures, *shown, strict=True))]
    sheets.write(args.out / "predictions.png", sheets.layout(groups, columns=1))
    curves.draw_several({name: args.out / name for name in args.models}, args.out / "curves.png")
    return rows


def train_arguments(args: argparse.Namespace, name: str) -> argparse.Namespace:
    """The options of training.train for the net ``name``."""
    given = ["--size", name, "--data", args.data, "--out", args.out / name, "--resume", "--seed", args.seed,
             "--batch", args.batch, "--rate", args.rate, "--patience", args.patience]  # fmt: skip
    if args.steps:
        given += ["--steps", args.steps]
    else:
        given += ["--minutes", args.minutes, "--score-every", args.minutes / _SCORINGS]
    if args.shapes:
        given += ["--shapes", *(f"{height}x{width}" for height, width in args.shapes)]
    return training.parser().parse_args([str(value) for value in given])


def row(name: str, run: Run, best: keras.Model, task: Task, speed: float) -> dict[str, Any]:
    """A net's line of the table; times in seconds, ``ms_per_frame`` at FRAME on one thread."""
    figures = task.score(best).row
    # Not minutes over epochs: the first step of each shape compiles the net, which long runs do not feel.
    speed_seen = statistics.median(curves.read(run.out / "log.csv")["images_per_second"])
    trainable = sum(int(np.prod(weight.shape)) for weight in run.model.trainable_weights)
    return {
        "model": name, "parameters": run.model.count_params(), "trainable": trainable,
        "seconds_per_epoch": task.feed.deal.per_epoch / speed_seen, "epochs": run.epochs,
        "loss": float(figures["loss"]), "accuracy": float(figures["accuracy"]), "iou": float(figures["iou"]),
        "boundary_f": float(figures["boundary_f"]) if "boundary_f" in figures else None,
        "ms_per_frame": speed,
    }  # fmt: skip


def milliseconds(model: keras.Model, times: int = 15) -> float:
    """Median time of one frame of FRAME in LiteRT on one thread, exported in 32 bits."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=formats.to_tflite(model, [FRAME], "fp32"), num_threads=1)
    run = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))
    picture = np.random.default_rng(0).uniform(0, 255, (1, *FRAME, 3)).astype(np.float32)
    taken = []
    for _ in range(times + 2):
        start = time.perf_counter()
        run(picture=picture)
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken[2:])


def write(args: argparse.Namespace, task: Task, rows: list[dict[str, Any]]) -> None:
    """compare.json and compare.md, after every net anew: what is measured is not lost."""
    length = {"steps": args.steps} if args.steps else {"minutes": args.minutes}
    content = {"data": args.data.name, **length, "batch": args.batch, "seed": args.seed, "rate": args.rate,
               "samples_per_epoch": task.feed.deal.per_epoch, "val_pictures": len(task.val),
               "frame": FRAME, "backend": keras.backend.backend(), "models": rows}  # fmt: skip
    (args.out / "compare.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (args.out / "compare.md").write_text(table(rows), encoding="utf-8")


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| Model | Parameters | Trainable | Time per epoch | Epochs | Loss | Accuracy | IoU "
             "| Boundary F | ms per frame |", "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for r in rows:
        edge = "-" if r["boundary_f"] is None else f"{r['boundary_f']:.4f}"
        lines.append(
            f"| {r['model']} | {r['parameters']:,} | {r['trainable']:,} | {r['seconds_per_epoch']:.0f} s "
            f"| {r['epochs']:.2f} | {r['loss']:.4f} | {r['accuracy']:.2%} | {r['iou']:.4f} | {edge} "
            f"| {r['ms_per_frame']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def models(text: str) -> list[str]:
    """"a,b,c" as names that architectures has."""
    names = text.split(",")
    for name in names:
        choice("models", name, architectures.NAMES)
    return names


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    own = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--data", type=Path, required=True, help="folder with index.csv")
    own.add_argument("--models", required=True,
                     help=f"names with commas between, of {', '.join(architectures.NAMES)}")
    own.add_argument("--out", type=Path, required=True)
    length = own.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=positive, help="for each net")
    length.add_argument("--steps", type=at_least(1), help="for each net, in place of minutes")
    own.add_argument("--batch", type=at_least(1), default=16)
    own.add_argument("--seed", type=int, default=1)
    own.add_argument("--rate", type=positive, default=1e-3)
    own.add_argument("--shapes", type=training.size, nargs="+", metavar="HxW", help="training sizes")
    own.add_argument("--memory", type=float, default=8.0, help="GB of decoded pictures to keep")
    own.add_argument("--patience", type=at_least(0), default=0,
                     help="scorings without a better one before it stops")
    return own


@command
def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    args.models = models(args.models)
    print(table(compare(args)))


if __name__ == "__main__":
    main()
