"""Reads a picture set (index.csv), keeps it in memory, and deals it out in a seeded order.

A set is a folder with ``index.csv``: columns image, matte, source, split, kind, truth_by, width,
height. Mattes are 8-bit grey PNG: 0 background, 255 person, between: soft alpha, 128: nobody knows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

IGNORE = 128


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of the set; paths are relative to the set's folder, ``matte`` may be empty."""

    image: str
    matte: str
    source: str
    split: str
    truth_by: str
    width: int
    height: int


def read_index(folder: Path, split: str | None = None) -> list[Row]:
    """The rows of ``folder/index.csv``, those of one ``split`` if it is given."""
    path = Path(folder) / "index.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: a picture set needs its index")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [
            Row(
                line["image"], line["matte"], line["source"], line["split"], line["truth_by"],
                int(line["width"]), int(line["height"]),
            )
            for line in csv.DictReader(file)
        ]  # fmt: skip
    return [row for row in rows if split is None or row.split == split]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture file as uint8 ``(h, w, 3)`` RGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{path} is not a readable picture")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def read_matte(path: Path) -> NDArray[np.uint8]:
    """A matte file as uint8 ``(h, w)``, 128 = ignore."""
    matte = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if matte is None:
        raise ValueError(f"{path} is not a readable matte")
    return matte


class PictureSet:
    """Pictures and truths by number, decoded once and kept (about 0.3 MB each at 352 px).

    ``set[i]`` is ``(picture, truth)``: uint8 ``(h, w, 3)`` RGB and uint8 ``(h, w, 2)``, whose first
    channel is alpha 0..255 (0 where unknown) and the second 255 where the truth is known. A picture
    without a matte is one with nobody in it. The arrays are shared: do not write into them.
    """

    def __init__(self, folder: Path, rows: Iterable[Row]) -> None:
        self.folder = Path(folder)
        self.rows = list(rows)
        self._kept: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pair = self._kept.get(i)
        if pair is None:
            # Two threads may read the same file at once; both get the same values.
            pair = self._kept[i] = self._read(self.rows[i])
        return pair

    def _read(self, row: Row) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        picture = read_picture(self.folder / row.image)
        truth = np.zeros((*picture.shape[:2], 2), np.uint8)
        truth[..., 1] = 255
        if row.matte:
            matte = read_matte(self.folder / row.matte)
            if matte.shape != picture.shape[:2]:
                raise ValueError(f"{row.matte} is {matte.shape}, its picture {picture.shape[:2]}")
            known = matte != IGNORE
            truth[..., 0] = np.where(known, matte, 0)
            truth[..., 1] = np.where(known, 255, 0)
        return picture, truth


class Deal:
    """The order in which pictures are dealt: every epoch a new seeded shuffle, resumable anywhere.

    ``weights`` says how often a source's pictures come in an epoch: 2 is twice, 0.5 every other
    epoch on average, 0 never. ``deal[k]`` is the picture number of the k-th sample ever dealt.
    """

    def __init__(self, rows: list[Row], weights: Mapping[str, float], seed: int) -> None:
        self._each = np.array([weights.get(row.source, 1.0) for row in rows])
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
