"""How good a model's mattes are: the figures of a picture, of a source, and the one models are chosen by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamseg.core import geometry
from streamseg.tools.evaluation import metrics
from training.data import PictureSet
from training.predict import Alpha, Predictor

# The sets whose truth people drew: models are chosen by the mean of their IoU.
BY_PEOPLE = ("eg1800", "ccp", "voc", "hsd")
# Speakers and webcams, what the model is for mostly; their truth is a teacher's.
SPEAKERS = ("wtd", "gsa", "fos18", "fos16", "muk", "mask")
# Pictures and mattes held in memory at once.
_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Score:
    """One picture's figures, by the definitions in streamseg/tools/evaluation/metrics.py; all over the known pixels.

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


def score_all(predict: Predictor, pictures: PictureSet) -> list[Score]:
    """Scores of all the pictures, in their order."""
    scores = []
    for start in range(0, len(pictures), _TOGETHER):
        rows = pictures.rows[start : start + _TOGETHER]
        pairs = [pictures[start + i] for i in range(len(rows))]
        mattes = predict([picture for picture, _ in pairs])
        scores += [judge(matte, truth, row.image, row.source)
                   for row, (_, truth), matte in zip(rows, pairs, mattes, strict=True)]
    return scores


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
    """source -> means, in order of appearance."""
    sources = dict.fromkeys(score.source for score in scores)
    return {source: means(score for score in scores if score.source == source) for source in sources}


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
