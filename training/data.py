"""Reads and writes a picture set (index.csv), keeps it in memory, and deals it out in a seeded order.

A set is a folder with ``index.csv``: columns image, matte, source, split, kind, truth_by, width, height.
Mattes are 8-bit grey PNG: 0 background, 255 person, between: soft alpha, 128: nobody knows.

A set of many classes has a ``classes.csv`` too: name, red, green, blue; a class's number is its place, from
0. Its ``matte`` files hold the number of each pixel's class, 255 for unknown, and a net trained on it has a
channel for each class: ``streamseg run --model FILE --classes NAME,NAME`` makes a matte of some of them.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.core.opencv import cv2
from streamseg.errors import SourceError

INDEX, CLASSES_FILE = "index.csv", "classes.csv"
# Unknown pixels: in a matte, and among class numbers.
IGNORE, IGNORE_CLASS = 128, 255
# Backgrounds that no training sees: on them an empty matte must come out.
HELD_OUT = 100
# Held-out backgrounds of the corpus in which people were found when looked at: no empty pictures.
PEOPLED = frozenset({"voc_2008_002442", "voc_2010_000389"})
# Sets whose mattes have holes where a badge or a shirt was left out: holes up to this share of the person's
# area are unknown, as a gap between arm and body cannot be told from them.
HOLES = {"hsd": 0.05, "ccp": 0.002}


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of the set; paths are relative to the set's folder, ``matte`` is empty where nobody is in
    the picture. ``width``, ``height``: pixels. ``kind`` (portrait, street, ...) is for people who look."""

    image: str
    matte: str
    source: str
    split: str
    kind: str
    truth_by: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Class:
    """A class's name, and the RGB colour it is drawn in."""

    name: str
    colour: tuple[int, int, int]


def read_index(folder: Path, split: str | None = None) -> list[Row]:
    """The rows of ``folder/index.csv``, those of one ``split`` if it is given.

    Raises SourceError if the file is missing, lacks a column, has none of the rows, or a size is no number.
    """
    path = Path(folder) / INDEX
    if not path.is_file():
        raise SourceError(f"{path} is missing: a picture set needs its index; `python -m training.prepare` "
                          "makes one")
    names = [field.name for field in fields(Row)]
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        lacking = [name for name in names if name not in (lines.fieldnames or [])]
        if lacking:
            raise SourceError(f"{path} has no column {', '.join(lacking)}; it must have {', '.join(names)}")
        rows = [_row(path, number, line, names) for number, line in enumerate(lines, 2)]
    chosen = [row for row in rows if split is None or row.split == split]
    if not chosen:
        there = ", ".join(sorted({row.split for row in rows})) or "no rows at all"
        raise SourceError(f"{path} has no row of split {split!r}; it has: {there}")
    return chosen


def write_index(folder: Path, rows: Iterable[Row]) -> None:
    """Writes ``folder/index.csv`` aside and renames it: it is there whole or not at all."""
    path = Path(folder) / INDEX
    aside = path.with_suffix(".tmp")
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    aside.replace(path)


def read_classes(folder: Path) -> list[Class]:
    """The classes of a set, by number. Raises SourceError."""
    path = Path(folder) / CLASSES_FILE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [Class(line["name"], (int(line["red"]), int(line["green"]), int(line["blue"])))
                    for line in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{path} cannot be read ({error!r}); it must have the columns name, red, green, "
                          "blue") from error


def write_classes(folder: Path, classes: Sequence[Class]) -> None:
    """Writes the set's ``classes.csv``."""
    with (Path(folder) / CLASSES_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "red", "green", "blue"])
        writer.writerows([one.name, *one.colour] for one in classes)


def held_out(rows: Iterable[Row]) -> frozenset[str]:
    """Images of the backgrounds that training leaves out: a tenth of them, at most HELD_OUT.

    Chosen by a hash of their names, so that a set that grows by others keeps them.
    """
    empty = sorted({row.image for row in rows if not row.matte},
                   key=lambda name: hashlib.sha256(name.encode()).digest())
    return frozenset(empty[: min(HELD_OUT, len(empty) // 10)])


def training_rows(folder: Path) -> list[Row]:
    """The train rows, without the backgrounds held out."""
    rows = read_index(folder, "train")
    kept_away = held_out(rows)
    return [row for row in rows if row.image not in kept_away]


def matte_rows(folder: Path, split: str) -> list[Row]:
    """The rows of ``split`` that have a matte, to score by. Raises SourceError if none has."""
    rows = [row for row in read_index(folder, split) if row.matte]
    if not rows:
        raise SourceError(f"{Path(folder) / INDEX} has no matte in split {split!r}: nothing can be scored on "
                          "pictures without persons alone; give some with mattes that split")
    return rows


def background_rows(folder: Path, split: str) -> list[Row]:
    """Rows with nobody in the picture that no training has seen: those of ``split`` if it has any (and is
    not train), else the held-out ones of train."""
    rows = read_index(folder)
    own = [row for row in rows if row.split == split != "train" and not row.matte]
    train = [row for row in rows if row.split == "train"]
    kept_away = held_out(train)
    return own or [row for row in train
                   if row.image in kept_away and Path(row.image).stem not in PEOPLED]


def read_picture(path: Path) -> NDArray[Any]:
    """A picture file as uint8 ``(h, w, 3)`` RGB. Raises SourceError."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SourceError(f"{path} is not a readable picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def read_matte(path: Path) -> NDArray[Any]:
    """A matte file as uint8 ``(h, w)``, 128 = ignore. Raises SourceError."""
    matte = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if matte is None:
        raise SourceError(f"{path} is not a readable matte")
    return matte


def _row(path: Path, number: int, line: Mapping[str, str], names: list[str]) -> Row:
    values: dict[str, Any] = {name: line[name] or "" for name in names}
    try:
        values |= {name: int(line[name]) for name in ("width", "height")}
    except (TypeError, ValueError):
        raise SourceError(f"{path}, line {number}: width {line['width']!r} and height {line['height']!r} "
                          "must be whole numbers") from None
    return Row(**values)


class PictureSet:
    """Pictures and truths by number, decoded once and kept as long as there is room for them.

    ``set[i]`` is ``(picture, truth)``: uint8 ``(h, w, 3)`` RGB and uint8 ``(h, w, 2)``, whose first
    channel is alpha 0..255 (0 where unknown) and the second 255 where the truth is known. A picture
    without a matte is one with nobody in it. The arrays are shared: do not write into them. ``ignore`` is
    the value of unknown pixels in the mattes' files.

    ``memory``: bytes (about 0.4 MB a picture of 352 pixels). What finds no room is read from disk every time;
    nothing makes way for it, because a shuffled epoch asks for all equally often.
    """

    def __init__(
        self, folder: Path, rows: Iterable[Row], ignore: int = IGNORE, memory: float = math.inf
    ) -> None:
        self.folder, self.ignore, self._room = Path(folder), ignore, memory
        self.rows = list(rows)
        self._kept: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pair = self._kept.get(i)
        if pair is None:
            # Two threads may read the same file at once, and count it twice; both get the same values.
            pair = self._read(self.rows[i])
            size = sum(array.nbytes for array in pair)
            if size <= self._room:
                self._room -= size
                self._kept[i] = pair
        return pair

    def _read(self, row: Row) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        picture = read_picture(self.folder / row.image)
        truth = np.zeros((*picture.shape[:2], 2), np.uint8)
        truth[..., 1] = 255
        if row.matte:
            matte = read_matte(self.folder / row.matte)
            if matte.shape != picture.shape[:2]:
                raise SourceError(f"{row.matte} is {matte.shape}, its picture {picture.shape[:2]}")
            known = matte != self.ignore
            if row.split == "train" and row.source in HOLES:
                known &= ~small_holes(matte, HOLES[row.source])
            truth[..., 0] = np.where(known, matte, 0)
            truth[..., 1] = np.where(known, 255, 0)
        return picture, truth


def small_holes(matte: NDArray[Any], share: float) -> NDArray[np.bool_]:
    """Where a matte uint8 ``(h, w)`` has background that the person encloses, hole by hole up to ``share`` of
    the person's area: bool ``(h, w)``."""
    # Padded: background cut off by the picture's edge alone is one with the rest.
    outside = np.pad((matte < IGNORE).astype(np.uint8), 1, constant_values=1)
    _, label, about, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    small = about[:, cv2.CC_STAT_AREA] <= share * np.count_nonzero(matte > IGNORE)
    small[[0, label[0, 0]]] = False  # label 0 is the person
    return small[label[1:-1, 1:-1]]


class Deal:
    """The order in which pictures are dealt: every epoch a new seeded shuffle, resumable anywhere.

    ``weights`` says how often a source's pictures come in an epoch: 2 is twice, 0.5 every other
    epoch on average, 0 never; "source/kind" says it for one kind of them. ``deal[k]`` is the picture
    number of the k-th sample ever dealt.
    """

    def __init__(self, rows: list[Row], weights: Mapping[str, float], seed: int) -> None:
        self._each = np.array([
            weights.get(f"{row.source}/{row.kind}", weights.get(row.source, 1.0)) for row in rows
        ])  # fmt: skip
        self._seed = seed
        # The same number every epoch, so that sample k needs no history to be found.
        self.per_epoch = max(1, int(self._each.sum()))
        self._epoch = -1
        self._order: NDArray[np.int64] = np.empty(0, np.int64)

    def __getitem__(self, k: int) -> int:
        epoch, place = divmod(k, self.per_epoch)
        if epoch != self._epoch:
            self._order, self._epoch = self._shuffle(epoch), epoch
        return int(self._order[place])

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, epoch])
        # Systematic sampling: with a random offset each picture comes floor or ceil of its weight
        # times, and the total is exact.
        ends = np.cumsum(self._each)
        marks = (np.arange(self.per_epoch) + rng.random()) * (ends[-1] / self.per_epoch)
        order = np.searchsorted(ends, marks, side="right").clip(max=len(self._each) - 1)
        return rng.permutation(order)
