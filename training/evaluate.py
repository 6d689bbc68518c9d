"""``python -m training.evaluate --data DIR --split val [--model PATH] [--sheet DIR --worst 50]``

Scores a model per source, tries how robust it is, and lays out the pictures it does worst on. A model file
runs as in ``streamseg run``, all that comes before and after the net included; a ``.keras`` of
``training.train``, which gives logits, runs bare.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

from streamseg.core import geometry
from streamseg.errors import OptionError
from training import classes, robust, sheets
from training.commands import LEAST_BUDGET, at_least, command
from training.data import (
    CLASSES_FILE,
    IGNORE_CLASS,
    PictureSet,
    background_rows,
    matte_rows,
    read_classes,
    read_index,
)
from training.predict import KerasPredictor, open_predictor
from training.scores import Score, by_source, score_all, table_text

SHIPPED = "medium and large"  # what single pictures get where no model is named


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    own = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--data", type=Path, required=True, help="folder with index.csv")
    own.add_argument("--split", default="val")
    own.add_argument("--model", type=Path, help="default: the shipped one")
    own.add_argument("--model-spec", type=Path, help="JSON, as for `streamseg run`")
    own.add_argument("--budget", type=at_least(LEAST_BUDGET), default=geometry.DEFAULT_BUDGET,
                     help="pixels of the input, for a .keras of training.train")
    own.add_argument("--threads", type=at_least(1), default=os.cpu_count() or 1)
    own.add_argument("--sheet", type=Path, help="folder for a sheet of the worst pictures of each source")
    own.add_argument("--worst", type=at_least(1), default=50, help="pictures on a sheet")
    own.add_argument("--robust", action=argparse.BooleanOptionalAction, default=True,
                     help="also try empty, mirrored and shifted pictures")
    own.add_argument("--json", type=Path, help="write every picture's figures to this file")
    return own


def _many_classes(args: argparse.Namespace) -> None:
    """The IoU of each class, for a .keras that training.train made of a many-class set."""
    names = read_classes(args.data)
    rows = read_index(args.data, args.split)
    predict = open_predictor(args.model, args.model_spec, max(row.height * row.width for row in rows),
                             args.threads)
    if not isinstance(predict, KerasPredictor) or predict.model.output_shape[-1] != len(names):
        raise OptionError(f"--model is {args.model}; {args.data} wants a .keras of training.train with "
                          f"{len(names)} classes")
    found = classes.score(predict, PictureSet(args.data, rows, IGNORE_CLASS), len(names))
    print(f"{args.model} on {len(rows)} pictures of {args.split}\n\n{classes.table_text(found, names)}")


@command
def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    if (args.data / CLASSES_FILE).is_file():
        _many_classes(args)
        return
    pictures = PictureSet(args.data, matte_rows(args.data, args.split))
    predict = open_predictor(args.model, args.model_spec, args.budget, args.threads)
    start = time.perf_counter()
    scores = score_all(predict, pictures)
    table = by_source(scores)
    print(f"{args.model or SHIPPED} on {len(scores)} pictures, {time.perf_counter() - start:.0f} s\n")
    print(table_text(table))
    found: dict[str, float] = {}
    if args.robust:
        empty = PictureSet(args.data, background_rows(args.data, args.split))
        found = robust.check(predict, pictures, empty)
        print("\n" + robust.text(found))
    if args.json:
        content = {"model": str(args.model or SHIPPED), "split": args.split,
                   "sources": {name: row._asdict() for name, row in table.items()}, "robust": found,
                   "pictures": [{name: getattr(score, name) for name in Score.__slots__ if name != "alone"}
                                for score in scores]}  # fmt: skip
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if args.sheet:
        for path in sheets.worst(predict, pictures, scores, args.sheet, args.worst):
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
