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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streamseg import geometry, metrics
from streamseg.errors import OptionError
from streamseg.frames import Frame
from streamseg.segment.unet import Person, built_in
from streamseg.source.arrays import frame_of
from training import robust, sheets
from training.commands import command
from training.data import CLASSES_FILE, IGNORE_CLASS, PictureSet, background_rows, read_classes, read_index

# The sets whose truth people drew: models are chosen by the mean of their IoU.
BY_PEOPLE = ("eg1800", "ccp", "voc", "hsd")
# Speakers and webcams, what the model is for mostly; their truth is a teacher's.
SPEAKERS = ("wtd", "gsa", "fos18", "fos16", "muk", "mask")


class Predictor(Protocol):
    """Mattes of pictures of any shapes: float32 ``(h, w)`` in 0..1 each, at the net's size."""

    def __call__(self, pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]: ...


@dataclass(frozen=True, slots=True)
class Score:
    """One picture's figures, by the definitions in streamseg/metrics.py; all over the known pixels.

    ``accuracy``: share of pixels with the right label. ``loss``: mean binary cross entropy in nats.
    """

    image: str
    source: str
    iou: float
    boundary_f: float
    mad: float
    accuracy: float
    loss: float


class Means(NamedTuple):
    """Means over ``pictures``."""

    pictures: int
    iou: float
    boundary_f: float
    mad: float
    accuracy: float
    loss: float


class KerasPredictor:
    """A Keras net with logits, at sizes near each picture's aspect, 16 small pictures of a size at once."""

    def __init__(self, model: Any, budget: int = geometry.DEFAULT_BUDGET) -> None:
        from training.shapes import PerShape

        self.model, self.budget = model, budget
        self._functions = PerShape(model, "predict")

    def logits(self, pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        """float32 ``(h, w, channels)`` for each picture, at the net's size."""
        sizes = [geometry.net_size(*p.shape[:2], budget=self.budget) for p in pictures]
        results: dict[int, NDArray[np.float32]] = {}
        for size in sorted(set(sizes)):
            numbers = [i for i, other in enumerate(sizes) if other == size]
            count = max(1, 16 * geometry.DEFAULT_BUDGET // (size[0] * size[1]))
            for start in range(0, len(numbers), count):
                part = numbers[start : start + count]
                batch = np.stack([geometry.resize(pictures[i], size) for i in part])
                with self._functions.use(size) as model:
                    logits = np.asarray(model.predict_on_batch(batch.astype(np.float32)), np.float32)
                results.update(zip(part, logits, strict=True))
        return [results[i] for i in range(len(pictures))]

    def __call__(self, pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        return [1 / (1 + np.exp(-logits[..., 0])) for logits in self.logits(pictures)]


class MethodPredictor:
    """A model file, run by streamseg's own person method."""

    def __init__(self, path: Path | None, spec: Path | None, threads: int) -> None:
        self.method = Person(
            model=str(path) if path else None, model_spec=str(spec) if spec else None, threads=threads,
        )  # fmt: skip

    def __call__(self, pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        frames: Iterable[Frame] = (frame_of(picture, i, 1) for i, picture in enumerate(pictures))
        return [self.method.segment([frame])[0].alpha for frame in frames]


def open_predictor(path: Path | None, spec: Path | None, budget: int, threads: int) -> Predictor:
    """A predictor for a model file (None: the shipped one)."""
    if path is not None and path.suffix == ".keras" and spec is None:
        import keras

        from training.architectures import person  # noqa: F401  registers the layers

        model = keras.saving.load_model(path, compile=False)
        if model.layers[-1].name != "alpha":
            return KerasPredictor(model, budget)
    return MethodPredictor(path, spec, threads)


def evaluate(
    predict: Predictor, pictures: PictureSet, only: Iterable[int] | None = None
) -> list[Score]:
    """Scores of the pictures (all, or those with the numbers ``only``)."""
    numbers = list(range(len(pictures)) if only is None else only)
    result = []
    for start in range(0, len(numbers), 256):
        part = numbers[start : start + 256]
        pairs = [pictures[i] for i in part]
        mattes = predict([picture for picture, _ in pairs])
        result += [
            judge(matte, truth, pictures.rows[i].image, pictures.rows[i].source)
            for i, (_, truth), matte in zip(part, pairs, mattes, strict=True)
        ]
    return result


def judge(matte: NDArray[np.float32], mask: NDArray[np.uint8], image: str, source: str) -> Score:
    """The figures of a matte float32 ``(h, w)`` 0..1 of any size against a set's truth, uint8
    ``(h, w, 2)``: alpha and known (see data.py)."""
    truth, unknown = mask[..., 0].astype(np.float32) / 255, mask[..., 1] == 0
    alpha = geometry.resize(matte, (truth.shape[0], truth.shape[1]))
    a, g = alpha[~unknown], truth[~unknown]
    # Below 1e-4 of certainty a wrong pixel would count more than ten thousand others.
    sure = np.clip(a, 1e-4, 1 - 1e-4)
    entropy = -(g * np.log(sure) + (1 - g) * np.log(1 - sure))
    return Score(
        image, source, metrics.iou(alpha, truth, unknown), metrics.boundary_f(alpha, truth, unknown),
        metrics.mad(alpha, truth, unknown), float(np.mean((a >= 0.5) == (g >= 0.5))) if a.size else 1.0,
        float(entropy.mean()) if a.size else 0.0,
    )  # fmt: skip


def means(results: Iterable[Score]) -> Means:
    """Means over pictures, each counting the same."""
    own = list(results)
    columns = ("iou", "boundary_f", "mad", "accuracy", "loss")
    return Means(len(own), *(fmean(getattr(score, name) for score in own) for name in columns))


def by_source(results: list[Score]) -> dict[str, Means]:
    """source -> means, in order of appearance."""
    sources = dict.fromkeys(score.source for score in results)
    return {source: means(score for score in results if score.source == source) for source in sources}


def choice_score(table: dict[str, Means]) -> float:
    """The figure models are chosen by: mean IoU of the sets drawn by people (all, if none is)."""
    chosen = [table[name].iou for name in BY_PEOPLE if name in table]
    return fmean(chosen or [row.iou for row in table.values()])


def table_text(table: dict[str, Means]) -> str:
    """The table as Markdown, and below it the means over sets that the model is chosen and judged by."""
    lines = ["| source | pictures | IoU | boundary F | MAD x 1e3 |", "|---|---|---|---|---|"]
    for source, row in table.items():
        lines.append(f"| {source} | {row.pictures} | {row.iou:.4f} | {row.boundary_f:.4f} | {row.mad:.1f} |")
    lines.append("")
    for title, sources in (("drawn by people", BY_PEOPLE), ("speakers and webcams", SPEAKERS)):
        there = [name for name in sources if name in table]
        if there:
            mean = fmean(table[name].iou for name in there)
            lines.append(f"mean IoU of the sets {title} ({', '.join(there)}): {mean:.4f}")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    own = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--data", type=Path, required=True, help="folder with index.csv")
    own.add_argument("--split", default="val")
    own.add_argument("--model", type=Path, help="default: the shipped one")
    own.add_argument("--model-spec", type=Path, help="JSON, as for `streamseg run`")
    own.add_argument("--budget", type=int, default=geometry.DEFAULT_BUDGET,
                     help="pixels of the input, for a .keras of training.train")
    own.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    own.add_argument("--sheet", type=Path, help="folder for a sheet of the worst pictures of each source")
    own.add_argument("--worst", type=int, default=50, help="pictures on a sheet")
    own.add_argument("--robust", action=argparse.BooleanOptionalAction, default=True,
                     help="also try empty, mirrored and shifted pictures")
    own.add_argument("--json", type=Path, help="write every picture's figures to this file")
    return own


def _many_classes(args: argparse.Namespace) -> None:
    """The IoU of each class, for a .keras that training.train made of a many-class set."""
    from training import classes  # imports this module

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
    rows = [row for row in read_index(args.data, args.split) if row.matte]
    pictures = PictureSet(args.data, rows)
    predict = open_predictor(args.model, args.model_spec, args.budget, args.threads)
    start = time.perf_counter()
    results = evaluate(predict, pictures)
    table = by_source(results)
    print(f"{args.model or built_in()} on {len(results)} pictures, {time.perf_counter() - start:.0f} s\n")
    print(table_text(table))
    found: dict[str, float] = {}
    if args.robust:
        empty = PictureSet(args.data, background_rows(args.data, args.split))
        found = robust.check(predict, pictures, empty)
        print("\n" + robust.text(found))
    if args.json:
        content = {"model": str(args.model or built_in().name), "split": args.split,
                   "sources": {name: row._asdict() for name, row in table.items()}, "robust": found,
                   "pictures": [{name: getattr(score, name) for name in Score.__slots__}
                                for score in results]}  # fmt: skip
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if args.sheet:
        for path in sheets.worst(predict, pictures, results, args.sheet, args.worst):
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
