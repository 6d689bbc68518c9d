"""Oxford-IIIT Pet: cats and dogs with trimaps, as three classes or as mattes.

Folder as published: ``images/NAME.jpg``, ``annotations/trimaps/NAME.png`` (1 pet, 2 background, 3 border),
``annotations/trainval.txt`` and ``test.txt`` (a name at the start of each line). Parkhi et al. 2012, Cats
and Dogs; CC BY-SA 4.0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import SourceError
from training.data import IGNORE, Class, read_matte, read_picture, write_classes
from training.prepare.download import Remote, fetch, unpack
from training.prepare.writer import SetWriter

_SITE = "https://www.robots.ox.ac.uk/~vgg/data/pets/data"
FILES = (
    Remote(f"{_SITE}/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
    Remote(f"{_SITE}/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
)
CLASSES = (Class("pet", (255, 255, 255)), Class("background", (0, 0, 0)), Class("border", (128, 128, 128)))
# What the trimap's 1, 2 and 3 are in a matte: the border is where alpha lies between, nobody says what.
_MATTE = np.array([IGNORE, 255, 0, IGNORE], np.uint8)


def download(root: Path) -> None:
    """Loads and unpacks the set into ``root`` (0.8 GB, and the same unpacked)."""
    for remote in FILES:
        unpack(fetch(remote, root), root)


def prepare(root: Path, writer: SetWriter, classes: bool, val: float, seed: int) -> None:
    """Writes all pictures: the published test split as ``test``, of trainval the share ``val`` as ``val``.

    ``classes``: pet, background and border as classes 0, 1 and 2; otherwise a matte of the pet whose border
    is unknown.
    """
    if classes:
        write_classes(writer.out, CLASSES)
    names = {"train": _names(root, "trainval"), "test": _names(root, "test")}
    order = np.random.default_rng(seed).permutation(len(names["train"]))
    chosen = {names["train"][i] for i in order[: round(val * len(order))]}
    for listed, split in [(name, split) for split, own in names.items() for name in own]:
        with writer.item(listed):
            labels = _labels(root / "annotations" / "trimaps" / f"{listed}.png", classes)
            picture = read_picture(root / "images" / f"{listed}.jpg")
            writer.add(listed, "pets", "val" if listed in chosen else split, picture, labels,
                       classes=classes, kind="pet", truth_by="people")


def _names(root: Path, split: str) -> list[str]:
    path = root / "annotations" / f"{split}.txt"
    if not path.is_file():
        raise SourceError(f"{path} is missing: give --download, or the folder that holds images/ and "
                          "annotations/")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def _labels(path: Path, classes: bool) -> NDArray[np.uint8]:
    trimap = read_matte(path)
    if not np.isin(trimap, (1, 2, 3)).all():
        others = sorted(set(np.unique(trimap).tolist()) - {1, 2, 3})
        raise SourceError(f"{path} holds {others}; a trimap holds 1, 2 and 3")
    return trimap - np.uint8(1) if classes else _MATTE[trimap]
