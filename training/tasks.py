"""What a net is trained for: a matte, or many classes. The set decides: see :func:`open_task`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

import keras

from streamseg.errors import OptionError
from training import classes, scores, sheets
from training.augment import Size
from training.data import (
    CLASSES_FILE,
    IGNORE_CLASS,
    PictureSet,
    matte_rows,
    read_classes,
    read_index,
    training_rows,
)
from training.feed import Feed, Recipe
from training.losses import ClassLoss, MatteLoss
from training.predict import KerasPredictor, Picture
from training.teacher import Teacher

# FC-DenseNet's training windows; whole pictures are scored.
_WINDOW = (224, 224)


class Scored(NamedTuple):
    """``figure``: what models are chosen by, higher is better; ``row``: columns of val.csv; ``text``: a line
    for people."""

    figure: float
    row: dict[str, str]
    text: str


class Task(Protocol):
    """The net's ``channels`` and ``loss``, its ``feed`` and its ``val`` pictures."""

    channels: int
    loss: keras.losses.Loss
    feed: Feed
    val: PictureSet

    def score(self, model: keras.Model) -> Scored:
        """The model's figures on the val pictures."""

    def truths(self, numbers: Sequence[int]) -> list[Picture]:
        """The truths of val pictures, to be looked at."""

    def shown(self, model: keras.Model, numbers: Sequence[int]) -> list[Picture]:
        """What the model makes of val pictures, to be looked at."""


class MatteTask:
    """One channel: the person's alpha."""

    channels = 1

    def __init__(
        self, data: Path, batch: int, seed: int, recipe: Recipe, loss: MatteLoss, memory: float,
        teacher: Teacher | None = None,
    ) -> None:  # fmt: skip
        self.loss = loss
        train = PictureSet(data, training_rows(data), memory=memory)
        self.feed = Feed(train, recipe, batch, seed, teacher)
        self.val = PictureSet(data, matte_rows(data, "val"))
        self.budget = max(height * width for (height, width), _ in recipe.shapes)
        self._predictor: KerasPredictor | None = None

    def score(self, model: keras.Model) -> Scored:
        """Mean IoU of the sets drawn by people, and the figures of every set."""
        if self._predictor is None or self._predictor.model is not model:
            self._predictor = KerasPredictor(model, self.budget)
        found = scores.score_all(self._predictor, self.val)
        table, whole = scores.by_source(found), scores.means(found)
        row = {"loss": f"{whole.loss:.4f}", "accuracy": f"{whole.accuracy:.4f}", "iou": f"{whole.iou:.4f}",
               "boundary_f": f"{whole.boundary_f:.4f}"}  # fmt: skip
        for name, own in table.items():
            row |= {f"{name}_iou": f"{own.iou:.4f}", f"{name}_f": f"{own.boundary_f:.4f}",
                    f"{name}_mad": f"{own.mad:.1f}"}  # fmt: skip
        text = " ".join(f"{name} {own.iou:.3f}" for name, own in table.items())
        return Scored(scores.choice_score(table), row, text)

    def truths(self, numbers: Sequence[int]) -> list[Picture]:
        """Alpha in grey, the unknown in magenta."""
        return [sheets.truth_cell(self.val[i][1]) for i in numbers]

    def shown(self, model: keras.Model, numbers: Sequence[int]) -> list[Picture]:
        """Mattes in grey."""
        pictures = [self.val[i][0] for i in numbers]
        mattes = KerasPredictor(model, self.budget)(pictures)
        return [sheets.matte_cell(matte, picture.shape)
                for matte, picture in zip(mattes, pictures, strict=True)]


class ClassTask:
    """A channel for each class of the set."""

    def __init__(
        self, data: Path, batch: int, seed: int, shapes: Sequence[Size], memory: float
    ) -> None:
        self.loss = ClassLoss()
        self.classes = read_classes(data)
        self.channels = len(self.classes)
        rows = {split: read_index(data, split) for split in ("train", "val")}
        train = PictureSet(data, rows["train"], IGNORE_CLASS, memory)
        self.feed: Feed = classes.ClassFeed(train, batch, seed, shapes or [_WINDOW])
        self.val = PictureSet(data, rows["val"], IGNORE_CLASS)
        self.budget = max(row.height * row.width for row in rows["val"])
        self._predictor: KerasPredictor | None = None

    def score(self, model: keras.Model) -> Scored:
        """Mean IoU over classes, on whole pictures, and the IoU of each class."""
        if self._predictor is None or self._predictor.model is not model:
            self._predictor = KerasPredictor(model, self.budget)
        found = classes.score(self._predictor, self.val, self.channels)
        row = {"loss": f"{found.loss:.4f}", "accuracy": f"{found.accuracy:.4f}",
               "iou": f"{found.mean_iou:.4f}"}  # fmt: skip
        named = {one.name: f"{iou:.4f}" for one, iou in zip(self.classes, found.ious, strict=True)}
        row |= {f"{name}_iou": value for name, value in named.items()}
        return Scored(found.mean_iou, row, " ".join(f"{name} {value}" for name, value in named.items()))

    def truths(self, numbers: Sequence[int]) -> list[Picture]:
        """In the classes' colours, the unknown in magenta."""
        return [classes.coloured(truth[..., 0], self.classes, truth[..., 1] > 0)
                for truth in (self.val[i][1] for i in numbers)]

    def shown(self, model: keras.Model, numbers: Sequence[int]) -> list[Picture]:
        """In the classes' colours."""
        predict = KerasPredictor(model, self.budget)
        logits = predict.logits([self.val[i][0] for i in numbers])
        return [classes.coloured(one.argmax(axis=-1), self.classes) for one in logits]


def open_task(
    data: Path, batch: int, seed: int, shapes: Sequence[Size], loss: MatteLoss | None = None,
    memory: float = math.inf, sequences: float = 0.0, teachers: Sequence[str] = (),
) -> Task:  # fmt: skip
    """Many classes if the set has a classes.csv, else the person's matte, by ``loss`` (MatteLoss as it is if none
    is given). ``shapes``: the training pictures' (height, width), empty for the recipe's own; ``memory``: see
    PictureSet; ``sequences``: see Recipe; ``teachers``: see Teacher. Raises OptionError on a teacher of many
    classes, or one that is not there."""
    if (Path(data) / CLASSES_FILE).is_file():
        if teachers:
            raise OptionError(f"{data} has many classes, and teachers know a person only: leave --teacher out")
        return ClassTask(data, batch, seed, shapes, memory)
    recipe = Recipe(sequences=sequences)
    if shapes:
        recipe = replace(recipe, shapes=tuple((shape, 1.0) for shape in shapes))
    teacher = Teacher(teachers) if teachers else None
    return MatteTask(data, batch, seed, recipe, loss or MatteLoss(), memory, teacher)
