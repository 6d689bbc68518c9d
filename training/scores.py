"""How good a model's mattes are: the figures of a picture, of a source, and the one models are chosen by."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamseg.core import geometry
from streamseg.core.opencv import cv2
from streamseg.tools.evaluation import metrics
from training.data import PictureSet
from training.predict import Alpha, Predictor

# The sets whose truth people drew: models are chosen by the mean of their IoU.
BY_PEOPLE = ("eg1800", "ccp", "voc", "hsd")
# Speakers and webcams, what the model is for mostly; their truth is a teacher's.
SPEAKERS = ("wtd", "gsa", "fos18", "fos16", "muk", "mask")
# Of these the subject is scored alone, too: passers-by are not labelled in every picture.
SUBJECT_ALONE = ("ccp",)
ALONE = "{}, the subject alone"
WITHOUT = "{}, without doubtful truths"
# Val pictures whose truth is wrong, with the reason for each.
DOUBTFUL = Path(__file__).with_name("doubtful_truths.csv")
# Pictures and mattes held in memory at once.
_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Score:
    """One picture's figures, by the definitions in streamseg/tools/evaluation/metrics.py; all over the known pixels.

    ``accuracy``: share of pixels with the right label. ``loss``: mean binary cross entropy in nats.
    ``alone``: the figures of the subject alone, for the sources of SUBJECT_ALONE.
    """

    image: str
    source: str
    iou: float
    boundary_f: float
    mad: float
    accuracy: float
    loss: float
    alone: Score | None = None


class Means(NamedTuple):
    """Means over ``pictures``."""

    pictures: int
    iou: float
    boundary_f: float
    mad: float
    accuracy: float
    loss: float


def score_all(predict: Predictor, pictures: PictureSet) -> list[Score]:
    """Scores of all the pictures, in their order."""
    scores = []
    for start in range(0, len(pictures), _TOGETHER):
        rows = pictures.rows[start : start + _TOGETHER]
        pairs = [pictures[start + i] for i in range(len(rows))]
        mattes = predict([picture for picture, _ in pairs])
        for row, (_, truth), matte in zip(rows, pairs, mattes, strict=True):
            alone = None
            if row.source in SUBJECT_ALONE:
                alone = judge(subject_alone(matte, truth), truth, row.image, ALONE.format(row.source))
            scores.append(replace(judge(matte, truth, row.image, row.source), alone=alone))
    return scores


def subject_alone(matte: Alpha, mask: NDArray[np.uint8]) -> Alpha:
    """The matte without the blobs (alpha above a half) that do not touch the labelled person; float32
    ``(h, w)`` at the truth's size. ``mask``: uint8 ``(h, w, 2)``, alpha and known."""
    alpha = geometry.resize(matte, (mask.shape[0], mask.shape[1]))
    found = (alpha > 0.5).astype(np.uint8)
    count, blobs, _, _ = cv2.connectedComponentsWithStats(found)
    touched = np.zeros(count, np.bool_)
    touched[np.unique(blobs[mask[..., 0] > 127])] = True
    touched[0] = True  # blob 0 is what lies around the others: soft rims stay
    return np.where(touched[blobs], alpha, np.float32(0))


@cache
def doubtful_truths() -> dict[str, str]:
    """SOURCE/NAME of each val picture whose truth is wrong -> the reason (doubtful_truths.csv)."""
    with DOUBTFUL.open(newline="", encoding="utf-8") as file:
        return {line["image"]: line["reason"] for line in csv.DictReader(file)}


def is_doubtful(image: str) -> bool:
    """Whether ``image``, a path of an index, is listed in doubtful_truths.csv."""
    return str(PurePosixPath(image).with_suffix("")) in doubtful_truths()


def judge(matte: Alpha, mask: NDArray[np.uint8], image: str, source: str) -> Score:
    """The figures of a matte of any size against a set's truth, uint8 ``(h, w, 2)``: alpha and known (see
    data.py)."""
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


def means(scores: Iterable[Score]) -> Means:
    """Means over pictures, each counting the same."""
    own = list(scores)
    columns = ("iou", "boundary_f", "mad", "accuracy", "loss")
    return Means(len(own), *(fmean(getattr(score, name) for score in own) for name in columns))


def by_source(scores: list[Score]) -> dict[str, Means]:
    """source -> means, in order of appearance; a source with doubtful truths once more without them."""
    doubted = {score.source for score in scores if is_doubtful(score.image)}
    extra = [replace(score, source=WITHOUT.format(score.source)) for score in scores
             if score.source in doubted and not is_doubtful(score.image)]
    all_scores = [*scores, *extra, *(score.alone for score in scores if score.alone)]
    sources = dict.fromkeys(score.source for score in all_scores)
    return {source: means(score for score in all_scores if score.source == source) for source in sources}


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
