"""A folder that has the layout already (index.csv): checked, and copied into a set of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from streamseg.errors import SourceError
from training.data import (
    CLASSES_FILE,
    IGNORE_CLASS,
    Row,
    read_classes,
    read_index,
    read_matte,
    read_picture,
    write_classes,
)
from training.prepare.writer import SetWriter

SPLITS = ("train", "val", "test")


def prepare(root: Path, writer: SetWriter) -> None:
    """Writes all rows that hold what they promise; names the others.

    A row is bad if its split is none of SPLITS, a file is missing or unreadable or of another size than the
    index says, a class number has no class, or if the same picture came before: one that lies in train and
    val tells nothing about val.
    """
    classes = read_classes(root) if (root / CLASSES_FILE).is_file() else None
    if classes:
        write_classes(writer.out, classes)
    seen: dict[bytes, str] = {}
    for row in read_index(root):
        with writer.item(row.image):
            _add(root, row, writer, len(classes) if classes else 0, seen)


def _add(root: Path, row: Row, writer: SetWriter, classes: int, seen: dict[bytes, str]) -> None:
    if row.split not in SPLITS:
        raise SourceError(f"its split is {row.split!r}; allowed are: {', '.join(SPLITS)}")
    picture = read_picture(root / row.image)
    if picture.shape[:2] != (row.height, row.width):
        raise SourceError(f"it is {picture.shape[1]} x {picture.shape[0]}, the index says {row.width} x "
                          f"{row.height}")
    content = hashlib.sha256(picture.tobytes()).digest()
    if content in seen:
        raise SourceError(f"it is the same picture as {seen[content]}")
    matte = read_matte(root / row.matte) if row.matte else None
    if classes and (matte is None or (matte[matte != IGNORE_CLASS] >= classes).any()):
        raise SourceError(f"its labels must be 0 to {classes - 1}, or {IGNORE_CLASS} for unknown")
    if matte is not None and not row.truth_by:
        raise SourceError("it has a matte, but truth_by is empty")
    name = Path(row.image).with_suffix("")
    own = name.relative_to(row.source) if name.is_relative_to(row.source) else name
    writer.add(str(own), row.source, row.split, np.ascontiguousarray(picture), matte, classes=bool(classes),
               kind=row.kind, truth_by=row.truth_by)
    seen[content] = row.image
