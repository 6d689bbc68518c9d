"""COCO: every picture with a person, as a matte; the persons that only crowds show are unknown.

Folder as COCO publishes it: ``annotations/instances_train2017.json`` and ``train2017/*.jpg`` (or 2014, or
val). Lin et al. 2014, Microsoft COCO: Common Objects in Context; annotations CC BY 4.0.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import MissingDependencyError, SourceError
from streamseg.validation import format_value
from training.data import IGNORE, read_picture
from training.prepare.download import Remote, fetch, unpack
from training.prepare.writer import SetWriter

_SITE = "http://images.cocodataset.org"
FILES = {
    2017: (
        Remote(f"{_SITE}/annotations/annotations_trainval2017.zip", "f4bbac642086de4f52a3fdda2de5fa2c"),
        Remote(f"{_SITE}/zips/val2017.zip", "442b8da7639aecaf257c1dceb8ba8c80"),
        Remote(f"{_SITE}/zips/train2017.zip", "cced6f7f71b7629ddf16f17bbcfab6b2"),
    ),
    2014: (
        Remote(f"{_SITE}/annotations/annotations_trainval2014.zip", "0a379cfc70b0e71301e0f377548639bd"),
        Remote(f"{_SITE}/zips/val2014.zip", "a3d79f5ed8d289b7a7554ce06a5782b3"),
        Remote(f"{_SITE}/zips/train2014.zip", "0da8c0bd3d6becc4dcb32757491aca88"),
    ),
}


def download(root: Path, year: int) -> None:
    """Loads and unpacks COCO into ``root`` (19 GB for 2017, 20 GB for 2014, and the same unpacked)."""
    for remote in FILES[year]:
        # Annotations bring their own folder, as do the pictures.
        unpack(fetch(remote, root), root)


def prepare(
    root: Path, writer: SetWriter, year: int, counts: dict[str, int | None], seed: int, least: float,
    backgrounds: int,
) -> None:  # fmt: skip
    """Writes split -> exactly ``counts[split]`` pictures with persons (None: all there are), drawn in a
    seeded order, and ``backgrounds`` train pictures with nobody in them.

    ``least``: the share of the picture that persons must cover together. Raises SourceError if there are
    too few pictures.
    """
    for split, count in counts.items():
        coco = _open(root / "annotations" / f"instances_{split}{year}.json")
        person = coco.getCatIds(catNms=["person"])
        if not person:  # without a category pycocotools gives every picture
            raise SourceError(f"{root}: the annotations of {split}{year} have no category 'person'")
        rng = np.random.default_rng([seed, year, len(split)])
        folder = root / f"{split}{year}"
        people = set(coco.getImgIds(catIds=person))
        _take(coco, person, rng.permutation(sorted(people)), folder, writer, split, count, least)
        if split == "train" and backgrounds:
            empty = sorted(set(coco.getImgIds()) - people)
            _take(coco, person, rng.permutation(empty), folder, writer, split, backgrounds, None)


def truth(coco: Any, person: list[int], image: dict[str, Any]) -> NDArray[np.uint8]:
    """uint8 ``(h, w)``: 255 where a person is, 128 where only a crowd is, else 0."""
    matte = np.zeros((image["height"], image["width"]), np.uint8)
    marked = coco.loadAnns(coco.getAnnIds(imgIds=image["id"], catIds=person))
    # Crowds first: a person marked in front of one is a person.
    for one in sorted(marked, key=lambda one: -one.get("iscrowd", 0)):
        check_mask(one, matte.shape)
        try:
            mask = coco.annToMask(one)
        except Exception as error:  # pycocotools raises Exception itself
            raise SourceError(f"its annotation {one['id']} is no mask: {error}") from error
        matte[mask > 0] = IGNORE if one.get("iscrowd") else 255
    return matte


def check_mask(record: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Raise SourceError for an annotation that is no mask of a picture of ``shape`` (h, w). pycocotools takes some of
    them: five numbers become an empty mask, and runs that are too long are written behind the picture's memory."""
    given = record.get("segmentation")
    wrong = ""
    if isinstance(given, list):
        bad = [polygon for polygon in given if not _is_polygon(polygon)]
        if bad or not given:
            wrong = f"{format_value(bad[0] if bad else given)} is no polygon of three points or more, x and y each"
    elif isinstance(given, dict):
        wrong = _wrong_runs(given, shape)
    else:
        wrong = f"its segmentation is {format_value(given)}, neither polygons nor run lengths"
    if wrong:
        raise SourceError(f"its annotation {record.get('id')} is no mask: {wrong}")


def _is_polygon(given: Any) -> bool:
    return (isinstance(given, list) and len(given) >= 6 and len(given) % 2 == 0
            and all(type(value) in (int, float) and abs(value) < 1e6 for value in given))


def _wrong_runs(given: dict[str, Any], shape: tuple[int, ...]) -> str:
    """What is wrong with run lengths; empty if nothing is."""
    if given.get("size") != list(shape):
        return f"its run lengths are of {format_value(given.get('size'))}, the picture is {list(shape)} (rows, columns)"
    counts = given.get("counts")
    try:
        runs = counts if isinstance(counts, list) else _runs_of(str(counts))
        whole = sum(runs) == shape[0] * shape[1] and min(runs, default=0) >= 0
    except (TypeError, ValueError, IndexError, AttributeError):
        whole = False
    return "" if whole else f"its run lengths do not add up to the picture's {shape[0] * shape[1]} pixels"


def _runs_of(text: str) -> list[int]:
    """The runs in COCO's compressed text: five bits a character, the sixth says that more follow, the highest of the
    last is the sign; from the third on each is the difference to the last but one (rleFrString of maskApi.c)."""
    runs: list[int] = []
    at = 0
    while at < len(text):
        value, place, more = 0, 0, True
        while more:
            part = ord(text[at]) - 48
            value |= (part & 0x1F) << 5 * place
            more, at, place = bool(part & 0x20), at + 1, place + 1
        if part & 0x10:
            value -= 1 << 5 * place
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def _take(
    coco: Any, person: list[int], numbers: NDArray[np.int64], folder: Path, writer: SetWriter, split: str,
    count: int | None, least: float | None,
) -> None:  # fmt: skip
    """``count`` good pictures of ``numbers``, in that order; ``least`` None: they have no truth."""
    taken = 0
    for number in numbers:
        if taken == count:
            break
        image = coco.loadImgs(int(number))[0]
        with writer.item(f"{folder.name}/{image.get('file_name', f'picture {number}')}"):
            _check_picture(image)
            matte = None if least is None else truth(coco, person, image)
            # At the least one whole person: a picture of a crowd alone says nothing.
            if matte is not None and (matte == 255).mean() < max(least or 0.0, 1e-9):
                continue
            name, source = Path(image["file_name"]).stem, "coco" if matte is not None else "background"
            picture = read_picture(folder / image["file_name"])
            writer.add(name, source, split, picture, matte, kind="any", truth_by="people")
            taken += 1
    if count is not None and taken < count:
        what = "with nobody in them" if least is None else f"whose persons cover {least:.1%} or more"
        raise SourceError(f"{folder} has {taken} good pictures {what}, not the {count} asked for: ask for "
                          f"fewer of {split}, or lower --least")


def _check_picture(image: dict[str, Any]) -> None:
    """Raise SourceError for the record of a picture without a name or a size."""
    sized = all(type(side) is int and 0 < side < 1 << 16 for side in (image.get("height"), image.get("width")))
    if not sized or not isinstance(image.get("file_name"), str):
        raise SourceError(f"its record {format_value(image)} has no file_name, height and width")


def _open(path: Path) -> Any:
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise MissingDependencyError(f"pycocotools does not load ({error}): pip install 'streamseg[train]'"
                                     ) from error
    if not path.is_file():
        raise SourceError(f"{path} is missing: give --download, or the folder that holds COCO's annotations")
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its loading times
        try:
            return COCO(str(path))
        except (ValueError, AssertionError, KeyError, TypeError) as error:
            raise SourceError(f"{path} is no COCO annotation file: {error}") from error
