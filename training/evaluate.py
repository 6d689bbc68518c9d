"""``python -m training.evaluate --data DIR --split val [--model PATH]``: scores per source.

Every picture is squeezed to the net's nearest size, its matte brought back to the truth's size.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamseg import geometry
from streamseg.segment.runtimes import open_net
from streamseg.segment.runtimes.spec import ModelSpec
from streamseg.segment.unet import built_in, default_spec
from training import scores
from training.data import PictureSet, read_index
from training.shapes import PerShape

# The sets whose truth people drew: models are chosen by the mean of their IoU.
BY_PEOPLE = ("eg1800", "ccp", "voc", "hsd")


class Predictor(Protocol):
    """Mattes of pictures of any shapes: float32 ``(h, w)`` in 0..1 each, at the net's size."""

    def __call__(self, pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]: ...


@dataclass(frozen=True, slots=True)
class Score:
    """One picture's figures."""

    image: str
    source: str
    iou: float
    boundary_f: float
    mad: float


class KerasPredictor:
    """A Keras net with logits, at sizes near each picture's aspect, 16 pictures of a size at once."""

    def __init__(self, model, budget: int = geometry.DEFAULT_BUDGET) -> None:
        self.model, self.budget = model, budget
        self._functions = PerShape(model, "predict")

    def __call__(self, pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        sizes = [geometry.net_size(*p.shape[:2], budget=self.budget) for p in pictures]
        mattes: dict[int, NDArray[np.float32]] = {}
        for size in sorted(set(sizes)):
            numbers = [i for i, other in enumerate(sizes) if other == size]
            for start in range(0, len(numbers), 16):
                part = numbers[start : start + 16]
                batch = np.stack([geometry.resize(pictures[i], size) for i in part])
                with self._functions.use(size) as model:
                    logits = np.asarray(model.predict_on_batch(batch.astype(np.float32)))[..., 0]
                alphas = 1 / (1 + np.exp(-logits.astype(np.float32)))
                mattes.update(zip(part, alphas, strict=True))
        return [mattes[i] for i in range(len(pictures))]


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
        for i, (_, mask), matte in zip(part, pairs, mattes, strict=True):
            truth, known = mask[..., 0].astype(np.float32) / 255, mask[..., 1] > 0
            alpha = geometry.resize(matte, truth.shape)
            row = pictures.rows[i]
            result.append(
                Score(
                    row.image, row.source, scores.iou(alpha, truth, known),
                    scores.boundary_f(alpha, truth, known), scores.mad(alpha, truth, known),
                )
            )  # fmt: skip
    return result


def by_source(results: list[Score]) -> dict[str, tuple[int, float, float, float]]:
    """source -> (pictures, IoU, boundary F, MAD), means over pictures, in order of appearance."""
    table = {}
    for source in dict.fromkeys(score.source for score in results):
        own = [score for score in results if score.source == source]
        means = np.mean([(score.iou, score.boundary_f, score.mad) for score in own], axis=0)
        table[source] = (len(own), *(float(mean) for mean in means))
    return table


def choice_score(table: dict[str, tuple[int, float, float, float]]) -> float:
    """The figure models are chosen by: mean IoU of the sets drawn by people (all, if none is)."""
    chosen = [table[name][1] for name in BY_PEOPLE if name in table]
    return float(np.mean(chosen or [row[1] for row in table.values()]))


def table_text(table: dict[str, tuple[int, float, float, float]]) -> str:
    """The table as Markdown."""
    lines = ["| source | pictures | IoU | boundary F | MAD x 1e3 |", "|---|---|---|---|---|"]
    for source, (count, iou, edge, mad) in table.items():
        lines.append(f"| {source} | {count} | {iou:.4f} | {edge:.4f} | {mad:.1f} |")
    lines.append(f"\nmean IoU of {', '.join(BY_PEOPLE)}: {choice_score(table):.4f}")
    return "\n".join(lines)


class FilePredictor:
    """A model file of any kind, run just as ``streamseg run --model`` runs it."""

    def __init__(self, path: Path, spec: ModelSpec, budget: int, threads: int) -> None:
        self.net = open_net(path, spec, "auto", "cpu", threads)
        self.spec, self.budget = spec, budget

    def __call__(self, pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        low, high = self.spec.range
        mattes = []
        for picture in pictures:
            sides = picture.shape[0], picture.shape[1]
            if self.net.sizes:
                size = geometry.nearest_size(*sides, self.net.sizes)
            else:
                size = self.spec.size or geometry.net_size(*sides, budget=self.budget)
            small = geometry.resize(picture, size).astype(np.float32) * ((high - low) / 255) + low
            mattes.append(self.spec.alpha(self.net.run(small[None]))[0])
        return mattes


def open_predictor(path: Path, spec: Path | None, budget: int, threads: int) -> Predictor:
    """A predictor for a file: nets from ``training.train`` give logits, all others what spec says."""
    if path.suffix == ".keras" and spec is None:
        import keras

        from training.architectures import person  # noqa: F401  registers the layers

        model = keras.saving.load_model(path, compile=False)
        if model.layers[-1].name != "alpha":
            return KerasPredictor(model, budget)
    return FilePredictor(path, ModelSpec.read(spec) if spec else default_spec(path), budget, threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", type=Path, default=built_in(), help="default: the shipped one")
    parser.add_argument("--model-spec", type=Path, help="JSON, as for `streamseg run`")
    parser.add_argument("--budget", type=int, default=geometry.DEFAULT_BUDGET)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    rows = [row for row in read_index(args.data, args.split) if row.matte]
    pictures = PictureSet(args.data, rows)
    predict = open_predictor(args.model, args.model_spec, args.budget, args.threads)
    start = time.perf_counter()
    results = evaluate(predict, pictures)
    print(table_text(by_source(results)))
    print(f"{len(results)} pictures in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
