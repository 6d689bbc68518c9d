"""``python -m training.curves RUN [RUN ...] --out FILE.png``: the curves of runs of training.train.

A run keeps its figures as CSV: log.csv (loss, rate, pictures a second) and val.csv (the scores). One run
gives its training loss and its scores; several are laid over each other: cross entropy and accuracy on val.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamseg.errors import MissingDependencyError, SourceError
from training.commands import command

_SIZE = (11, 4.2)


def read(path: Path) -> dict[str, list[float]]:
    """Column -> values of a CSV file of numbers; empty fields are nan. Raises SourceError."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {name: [float(row[name] or "nan") for row in rows] for name in (rows[0] if rows else {})}
    except (OSError, ValueError, TypeError) as error:
        raise SourceError(f"{path} cannot be read as a run's figures: {error}") from error


def draw_run(folder: Path) -> Path:
    """Writes ``folder/curves.png``: training loss by minutes, and the IoU of every val set."""
    figure, (left, right) = _axes()
    if (folder / "log.csv").is_file():
        log = read(folder / "log.csv")
        left.plot(log["minutes"], log["loss"], lw=0.6, alpha=0.5)
        left.plot(log["minutes"], _smooth(log["loss"]), label="training loss")
        left.legend()
    val = read(folder / "val.csv")
    for name in (name for name in val if name.endswith("_iou")):
        right.plot(val["minutes"], val[name], marker=".", label=name.removesuffix("_iou"))
    right.plot(val["minutes"], val["score"], color="black", lw=2, label="score")
    right.legend(fontsize=7, ncols=2)
    left.set(xlabel="minutes", ylabel="loss")
    right.set(xlabel="minutes", ylabel="IoU on val")
    return _save(figure, folder / "curves.png")


def draw_several(runs: Mapping[str, Path], out: Path) -> Path:
    """Writes ``out``: cross entropy and accuracy on val by minutes, a line for each run (name -> folder)."""
    figure, (left, right) = _axes()
    for name, folder in runs.items():
        val = read(folder / "val.csv")
        if "loss" not in val:
            raise SourceError(f"{folder / 'val.csv'} has no column loss: it is of an older version")
        left.plot(val["minutes"], val["loss"], marker=".", label=name)
        right.plot(val["minutes"], val["accuracy"], marker=".", label=name)
    left.legend(fontsize=8)
    left.set(xlabel="minutes", ylabel="cross entropy on val")
    right.set(xlabel="minutes", ylabel="accuracy on val")
    return _save(figure, out)


def _axes() -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(f"matplotlib does not load ({error}): pip install 'streamseg[train]'"
                                     ) from error
    figure = Figure(figsize=_SIZE, layout="constrained")  # not pyplot: it would keep every figure
    axes = figure.subplots(1, 2)
    for axis in axes:
        axis.grid(alpha=0.3)
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    aside = path.with_name(f"tmp-{path.name}")
    figure.savefig(aside, dpi=110)
    aside.replace(path)
    return path


def _smooth(values: list[float], keep: float = 0.9) -> list[float]:
    """Exponential average that starts at the first value."""
    smoothed = values[:1]
    for value in values[1:]:
        smoothed.append(keep * smoothed[-1] + (1 - keep) * value)
    return smoothed


@command
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.curves", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="folders that training.train wrote")
    parser.add_argument("--out", type=Path, help="default: curves.png in the (first) run's folder")
    args = parser.parse_args(arguments)
    if len(args.runs) == 1 and args.out is None:
        print(f"wrote {draw_run(args.runs[0])}")
    else:
        runs = {folder.name: folder for folder in args.runs}
        print(f"wrote {draw_several(runs, args.out or args.runs[0] / 'curves.png')}")


if __name__ == "__main__":
    main()
