"""CamVid: street scenes of 32 classes with colours for labels, and the copy of 11 classes.

32 classes, as published: ``701_StillsRaw_full/NAME.png`` and ``LabeledApproved_full/NAME_L.png``,
``label_colors.txt`` (lines "64 128 64 Animal"); ``train.txt``, ``val.txt``, ``test.txt`` (names), if there.
11 classes, the copy that SegNet's authors made: ``SPLIT/NAME.png`` and ``SPLITannot/NAME.png``, or
``SPLIT/NAME.webp`` and ``SPLIT/NAME.png``, whose pixels are numbers, 11 = unlabelled.
Brostow et al. 2009, Semantic object classes in video; for research.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import SourceError
from training.data import IGNORE_CLASS, Class, read_matte, read_picture, write_classes
from training.prepare.writer import SetWriter

COLOURS = "label_colors.txt"
PICTURES, LABELS = "701_StillsRaw_full", "LabeledApproved_full"
SPLITS = ("train", "val", "test")
# The published train : val : test of the 11-class copy, as parts of each drive.
_PARTS = (367 / 701, 468 / 701)
# Pixels of a colour that is in no list: a file with more of them is labelled in another way.
_STRAY = 0.005
ELEVEN = (
    Class("sky", (128, 128, 128)), Class("building", (128, 0, 0)), Class("pole", (192, 192, 128)),
    Class("road", (128, 64, 128)), Class("pavement", (60, 40, 222)), Class("tree", (128, 128, 0)),
    Class("sign", (192, 128, 128)), Class("fence", (64, 64, 128)), Class("car", (64, 0, 128)),
    Class("pedestrian", (64, 64, 0)), Class("bicyclist", (0, 128, 192)),
)  # fmt: skip


def prepare(root: Path, writer: SetWriter) -> None:
    """Writes the set of 32 classes if ``root`` has a label_colors.txt, else that of 11."""
    if (root / COLOURS).is_file():
        _colours(root, writer)
    else:
        _numbers(root, writer)


def read_colours(path: Path) -> list[Class]:
    """The classes of a label_colors.txt, in its order. Raises SourceError."""
    classes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split(maxsplit=3)
        if not parts:
            continue
        try:
            red, green, blue = (int(part) for part in parts[:3])
            classes.append(Class(parts[3].strip(), (red, green, blue)))
        except (ValueError, IndexError):
            raise SourceError(f"{path}, line {number}: {line!r} is not 'red green blue name'") from None
    return classes


def numbers_of(labels: NDArray[np.uint8], classes: list[Class]) -> NDArray[np.uint8]:
    """Class numbers, uint8 ``(h, w)``, of coloured labels, uint8 ``(h, w, 3)`` RGB; Void and stray colours
    are unknown. Raises SourceError where more than a few pixels are of a colour that no class has."""
    packed = (labels.astype(np.int32) * (65536, 256, 1)).sum(axis=2)
    numbers = np.full(packed.shape, IGNORE_CLASS, np.uint8)
    stray = np.ones(packed.shape, bool)
    for number, one in enumerate(classes):
        red, green, blue = one.colour
        here = packed == (red << 16) + (green << 8) + blue
        stray &= ~here
        if one.name.lower() != "void":
            numbers[here] = number
    if stray.mean() > _STRAY:
        colour = labels[stray][0].tolist()
        raise SourceError(f"{stray.mean():.1%} of the pixels have colours of no class, such as {colour}")
    return numbers


def _colours(root: Path, writer: SetWriter) -> None:
    classes = read_colours(root / COLOURS)
    write_classes(writer.out, classes)
    pictures = {path.stem: path for path in sorted((root / PICTURES).glob("*.png"))}
    for name, split in _split(root, list(pictures)):
        with writer.item(f"{name}.png"):
            if name not in pictures:
                raise SourceError(f"{split}.txt names it, but {root / PICTURES} does not have it")
            labels = numbers_of(read_picture(root / LABELS / f"{name}_L.png"), classes)
            writer.add(name, "camvid", split, read_picture(pictures[name]), labels,
                       classes=True, kind="street", truth_by="people")


def _split(root: Path, names: list[str]) -> Iterator[tuple[str, str]]:
    """(name, split): by the lists if they are there; else the first frames of each drive for training, the
    next for val, the last for test: frames one second apart are the same picture nearly."""
    lists = {split: root / f"{split}.txt" for split in SPLITS}
    if any(path.is_file() for path in lists.values()):
        for split, path in lists.items():
            if path.is_file():
                yield from ((Path(line.strip()).stem, split) for line in path.read_text().splitlines()
                            if line.strip())
        return
    drives: dict[str, list[str]] = {}
    for name in names:
        drives.setdefault(name.split("_")[0], []).append(name)
    for own in drives.values():
        for place, name in enumerate(own):
            done = (place + 0.5) / len(own)
            yield name, SPLITS[sum(done > part for part in _PARTS)]


def _numbers(root: Path, writer: SetWriter) -> None:
    write_classes(writer.out, ELEVEN)
    found = False
    for split in SPLITS:
        beside = root / f"{split}annot"
        labels = beside if beside.is_dir() else root / split
        for path in sorted((root / split).glob("*.png" if beside.is_dir() else "*.webp")):
            found = True
            with writer.item(f"{split}/{path.name}"):
                numbers = read_matte(labels / f"{path.stem}.png")
                if numbers.max() > len(ELEVEN):
                    raise SourceError(f"its labels go up to {numbers.max()}; 0 to {len(ELEVEN)} are allowed")
                numbers[numbers == len(ELEVEN)] = IGNORE_CLASS
                writer.add(f"{split}_{path.stem}", "camvid", split, read_picture(path), numbers,
                           classes=True, kind="street", truth_by="people")
    if not found:
        raise SourceError(f"{root} holds neither {COLOURS} nor train/, val/ and test/ with pictures")
