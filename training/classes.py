"""Many classes (CamVid, pets): how they are dealt out and judged; data.py tells how a set keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.core import geometry
from streamseg.core.opencv import cv2
from training.augment import Pair, Size
from training.data import Class, PictureSet
from training.feed import Feed, Recipe
from training.predict import KerasPredictor, Picture
from training.sheets import UNKNOWN


class ClassFeed(Feed):
    """Batches of a many-class set: scaled, cropped and flipped; no compositing, no disturbance.

    truths: uint8 ``(n, h, w, 2)``: class number, 255 where it is known.
    """

    def __init__(self, pictures: PictureSet, batch_size: int, seed: int, shapes: Sequence[Size]) -> None:
        recipe = Recipe(weights={}, shapes=tuple((shape, 1.0) for shape in shapes))
        super().__init__(pictures, recipe, batch_size, seed)

    def sample(self, number: int, size: Size, rng: np.random.Generator) -> Pair:
        """A window of ``size`` on the picture at 0.7 to 1.5 times its size, never smaller than the window."""
        picture, truth = self.pictures[number]
        height, width = truth.shape[:2]
        scale = max(np.exp(rng.uniform(np.log(0.7), np.log(1.5))), size[0] / height, size[1] / width)
        top, left = rng.random(2) * (height * scale - size[0], width * scale - size[1])
        flip = rng.random() < 0.5
        # Centres of pixels lie at halves on both sides of the map.
        matrix = np.array([[scale, 0.0, scale / 2 - 0.5 - left], [0.0, scale, scale / 2 - 0.5 - top]])
        if flip:
            matrix[0] = -matrix[0] + (0.0, 0.0, size[1] - 1)
        target = (size[1], size[0])
        moved = cv2.warpAffine(picture, matrix, target, flags=cv2.INTER_LINEAR,
                               borderMode=cv2.BORDER_REPLICATE)
        # A number between two classes would be a third class.
        numbers = cv2.warpAffine(truth, matrix, target, flags=cv2.INTER_NEAREST,
                                 borderMode=cv2.BORDER_REPLICATE)
        return moved, numbers

    def finished(self, truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return truth


def confusion(predicted: NDArray[np.int64], truth: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """int64 ``(classes, classes)``: pixels by true class (row) and predicted class (column), known only.

    ``truth``: uint8 ``(h, w, 2)``: class number, 255 where known.
    """
    known = truth[..., 1] > 0
    pairs = truth[..., 0][known].astype(np.int64) * classes + predicted[known]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Over a whole set. ``ious``: per class, nan where neither truth nor prediction has it; ``accuracy``:
    share of the known pixels that are right; ``loss``: their mean cross entropy."""

    ious: NDArray[np.float64]
    accuracy: float
    loss: float

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that are there (Jegou et al. 2017 and others on CamVid)."""
        return float(np.nanmean(self.ious))


def score(predict: KerasPredictor, pictures: PictureSet, classes: int) -> ClassScore:
    """Scores of a net with logits at the truth's full resolution, over all pictures together."""
    table, entropy = np.zeros((classes, classes), np.int64), 0.0
    for i in range(len(pictures)):
        picture, truth = pictures[i]
        logits = geometry.resize(predict.logits([picture])[0], (truth.shape[0], truth.shape[1]))
        table += confusion(logits.argmax(axis=-1), truth, classes)
        known = truth[..., 1] > 0
        sure, numbers = logits[known].astype(np.float64), truth[..., 0][known]
        top = sure.max(axis=1, keepdims=True)
        total = np.log(np.exp(sure - top).sum(axis=1)) + top[:, 0]
        entropy += float((total - sure[np.arange(len(sure)), numbers]).sum())
    right, count = np.diag(table), max(1, int(table.sum()))
    either = table.sum(axis=0) + table.sum(axis=1) - right
    ious = np.where(either > 0, right / np.maximum(either, 1), np.nan)
    return ClassScore(ious, float(right.sum() / count), entropy / count)


def coloured(
    numbers: NDArray[Any], classes: Sequence[Class], known: NDArray[np.bool_] | None = None
) -> Picture:
    """Class numbers ``(h, w)`` as a picture in the classes' colours, what is not known in magenta."""
    table = np.array([one.colour for one in classes], np.uint8)
    if known is None:
        return table[numbers]
    return np.where(known[..., None], table[np.where(known, numbers, 0)], np.array(UNKNOWN, np.uint8))


def table_text(found: ClassScore, classes: Sequence[Class]) -> str:
    """The IoU of each class as Markdown."""
    lines = ["| class | IoU |", "|---|---|"]
    lines += [f"| {one.name} | {iou:.4f} |" for one, iou in zip(classes, found.ious, strict=True)]
    lines.append(f"| mean | {found.mean_iou:.4f} |")
    lines.append(f"\nglobal accuracy {found.accuracy:.4f}, cross entropy {found.loss:.4f}")
    return "\n".join(lines)
