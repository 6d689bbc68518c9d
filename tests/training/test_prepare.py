"""training.prepare: each source in its publisher's layout, written small; pycocotools' RLE is the oracle."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from streamseg.errors import SourceError
from tests.training.sets import people_set, save, texture
from training.data import (
    CLASSES_FILE,
    IGNORE_CLASS,
    PictureSet,
    read_classes,
    read_index,
    read_matte,
    write_index,
)
from training.prepare.__main__ import main
from training.prepare.coco import check_mask
from training.prepare.writer import shrink_classes, shrink_matte

SIZE = (40, 60)


def run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


def loss_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """WebP at 101 is lossless: pictures can be compared."""
    monkeypatch.setattr("training.prepare.writer._QUALITY", 101)


# --- COCO -------------------------------------------------------------------------------------

def coco_set(root: Path, train: int = 6, val: int = 3, empty: int = 4, year: int = 2017) -> dict[str, Any]:
    """COCO in little; returns image file name -> (persons' mask, crowd's mask) from pycocotools."""
    mask = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng, truths = np.random.default_rng(3), {}
    for split, count in (("train", train), ("val", val)):
        images, annotations = [], []
        for i in range(count + empty):
            name, number = f"{split}{i:012}.jpg", 100 * (i + 1)
            save(root / f"{split}{year}" / name, texture(rng, SIZE))
            images.append({"id": number, "file_name": name, "width": SIZE[1], "height": SIZE[0]})
            left, top = rng.integers(2, 20, 2).tolist()
            polygon = [left, top, left + 25, top, left + 20, top + 15, left, top + 15]
            crowd = np.zeros(SIZE, np.uint8)
            crowd[10:30, 25:58] = 1
            runs = mask.encode(np.asfortranarray(crowd))
            parts = [("person" if i < count else "dog", [polygon], 0)]
            if i < count and i % 2 == 0:
                parts.append(("person", {"size": list(SIZE), "counts": _counts(crowd)}, 1))
            for kind, shape, crowded in parts:
                annotations.append({"id": len(annotations) + 1, "image_id": number, "iscrowd": crowded,
                                    "category_id": 1 if kind == "person" else 18, "segmentation": shape,
                                    "area": 300, "bbox": [0, 0, 9, 9]})
            solid = mask.decode(mask.merge(mask.frPyObjects([polygon], *SIZE)))
            truths[name] = solid, mask.decode(runs) if len(parts) == 2 else np.zeros(SIZE, np.uint8)
        content = {"images": images, "annotations": annotations, "info": {},
                   "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]}
        path = root / "annotations" / f"instances_{split}{year}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return truths


def _counts(mask: Any) -> list[int]:
    """Uncompressed run lengths, column by column, background first."""
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    return [0, *runs] if flat[0] else runs


def test_coco_truth_is_pycocotools_mask_and_a_crowd_is_unknown(tmp_path: Path) -> None:
    truths = coco_set(tmp_path / "coco")
    run("coco", tmp_path / "coco", "--out", tmp_path / "set")
    rows = read_index(tmp_path / "set")
    assert sorted(f"{Path(row.image).stem}.jpg" for row in rows) == sorted(
        name for name in truths if int(name[-16:-4]) < (6 if "train" in name else 3))
    assert any(truths[f"{Path(row.image).stem}.jpg"][1].any() for row in rows)
    for row in rows:
        solid, crowd = truths[f"{Path(row.image).stem}.jpg"]
        wanted = np.where(solid, 255, np.where(crowd, 128, 0))
        assert np.array_equal(read_matte(tmp_path / "set" / row.matte), wanted)


@pytest.mark.parametrize("year", [2014, 2017])
def test_coco_gives_exactly_the_counts_asked_for_and_backgrounds_without_persons(
        tmp_path: Path, year: int) -> None:
    coco_set(tmp_path / "coco", year=year)
    run("coco", tmp_path / "coco", "--out", tmp_path / "set", "--year", year, "--train", 4, "--val", 2,
        "--backgrounds", 3)
    rows = read_index(tmp_path / "set")
    counts = [(row.split, bool(row.matte)) for row in rows]
    assert [counts.count(key) for key in (("train", True), ("val", True), ("train", False))] == [4, 2, 3]
    empty = [Path(row.image).stem for row in rows if not row.matte]
    assert all(int(name[-12:]) >= 6 for name in empty)


def test_coco_counts_hold_when_pictures_are_bad_and_those_are_named(tmp_path: Path, capsys: Any) -> None:
    coco_set(tmp_path / "coco")
    for path in sorted((tmp_path / "coco" / "train2017").glob("*.jpg"))[:2]:
        path.write_bytes(b"no picture")
    run("coco", tmp_path / "coco", "--out", tmp_path / "set", "--train", 4, "--bad-share", 0.5)
    assert sum(row.split == "train" for row in read_index(tmp_path / "set")) == 4
    skipped = [line for line in capsys.readouterr().out.splitlines() if line.startswith("skipped")]
    assert all("train2017/train0000000000" in line for line in skipped)


BAD_MASKS = [
    [[]], [[1, 1]], [[1, 2, 3, 4, 5]], [[1, 2, 3, 4]], [], [[5, 5, 9, 5, 9, float("nan")]], [["a"] * 6],
    [[1, 1, 9, 1, 9, 9], []], None, "abc", 7,
    {"size": [60, 40], "counts": [0, 2400]}, {"size": None, "counts": [0, 9]},
    {"size": list(SIZE), "counts": [0, 10**9]}, {"size": list(SIZE), "counts": [-5, SIZE[0] * SIZE[1] + 5]},
    {"size": list(SIZE), "counts": "0"}, {"size": list(SIZE), "counts": "zzzzzzzz"}, {"size": list(SIZE), "counts": 3},
    {"size": list(SIZE)}, {},
]


@pytest.mark.parametrize("mask", BAD_MASKS, ids=[str(item)[:30] for item in BAD_MASKS])
def test_bad_masks_of_coco_are_named_skipped_and_counted(mask: Any, tmp_path: Path, capsys: Any) -> None:
    coco_set(tmp_path / "coco")
    path = tmp_path / "coco" / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = mask  # of picture 0
    path.write_text(json.dumps(content))
    run("coco", tmp_path / "coco", "--out", tmp_path / "set", "--bad-share", 0.5)
    told = capsys.readouterr().out
    assert "skipped train2017/train000000000000.jpg: its annotation 1 is no mask" in told
    assert "1 bad pictures skipped" in told
    assert len([row for row in read_index(tmp_path / "set") if row.split == "train"]) == 5


def test_masks_as_pycocotools_packs_them_are_taken(tmp_path: Path) -> None:
    mask = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(5)
    for share in (0.0, 0.01, 0.5, 0.99, 1.0):
        made = np.asfortranarray((rng.random(SIZE) < share).astype(np.uint8))
        packed = mask.encode(made)
        check_mask({"id": 1, "segmentation": {"size": packed["size"], "counts": packed["counts"].decode()}}, SIZE)
        check_mask({"id": 1, "segmentation": {"size": list(SIZE), "counts": _counts(made)}}, SIZE)


@pytest.mark.parametrize(("key", "value"), [("file_name", None), ("height", 0), ("width", "60"), ("height", None)])
def test_a_picture_without_name_or_size_is_named_skipped_and_counted(
        key: str, value: Any, tmp_path: Path, capsys: Any) -> None:
    coco_set(tmp_path / "coco")
    path = tmp_path / "coco" / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text())
    content["images"][0][key] = value
    if value is None:
        del content["images"][0][key]
    path.write_text(json.dumps(content))
    run("coco", tmp_path / "coco", "--out", tmp_path / "set", "--bad-share", 0.5)
    assert "1 bad pictures skipped" in capsys.readouterr().out


def test_annotations_without_persons_category_are_an_error(tmp_path: Path, capsys: Any) -> None:
    coco_set(tmp_path / "coco")
    path = tmp_path / "coco" / "annotations" / "instances_train2017.json"
    path.write_text(path.read_text().replace('"person"', '"cat"'))
    with pytest.raises(SystemExit):
        run("coco", tmp_path / "coco", "--out", tmp_path / "set")
    assert "no category 'person'" in capsys.readouterr().err


def test_coco_with_fewer_pictures_than_asked_for_is_an_error(tmp_path: Path, capsys: Any) -> None:
    coco_set(tmp_path / "coco")
    with pytest.raises(SystemExit):
        run("coco", tmp_path / "coco", "--out", tmp_path / "set", "--train", 7)
    assert "has 6 good pictures" in capsys.readouterr().err
    assert not (tmp_path / "set" / "index.csv").exists()


# --- pets -------------------------------------------------------------------------------------

def pets_set(root: Path) -> dict[str, Any]:
    rng, trimaps = np.random.default_rng(5), {}
    for i in range(14):
        name = f"Breed_{i}"
        trimap = np.full(SIZE, 2, np.uint8)
        cv2.circle(trimap, (30, 20), 12 + i % 3, 3, -1)
        cv2.circle(trimap, (30, 20), 9 + i % 3, 1, -1)
        save(root / "images" / f"{name}.jpg", texture(rng, SIZE))
        save(root / "annotations" / "trimaps" / f"{name}.png", trimap)
        trimaps[name] = trimap
    (root / "annotations" / "trainval.txt").write_text("#header\n" + "".join(
        f"Breed_{i} 1 1 1\n" for i in range(10)))
    (root / "annotations" / "test.txt").write_text("".join(f"Breed_{i} 1 1 1\n" for i in range(10, 14)))
    return trimaps


@pytest.mark.parametrize("form", ["classes", "matte"])
def test_pets_trimaps_become_classes_or_mattes(tmp_path: Path, form: str) -> None:
    trimaps = pets_set(tmp_path / "pets")
    run("pets", tmp_path / "pets", "--out", tmp_path / "set", "--as", form, "--val", 0.2)
    rows = read_index(tmp_path / "set")
    assert [[row.split for row in rows].count(split) for split in ("train", "val", "test")] == [8, 2, 4]
    tested = {Path(row.image).stem for row in rows if row.split == "test"}
    assert tested == {f"Breed_{i}" for i in range(10, 14)}
    values = {"classes": [9, 0, 1, 2], "matte": [9, 255, 0, 128]}[form]
    for row in rows:
        wanted = np.array(values, np.uint8)[trimaps[Path(row.image).stem]]
        assert np.array_equal(read_matte(tmp_path / "set" / row.matte), wanted)
    assert (tmp_path / "set" / CLASSES_FILE).exists() == (form == "classes")
    if form == "classes":
        assert [one.name for one in read_classes(tmp_path / "set")] == ["pet", "background", "border"]


def test_too_many_bad_files_are_an_error_and_there_is_no_index(tmp_path: Path, capsys: Any) -> None:
    pets_set(tmp_path / "pets")
    (tmp_path / "pets" / "images" / "Breed_3.jpg").write_bytes(b"")
    trimap = tmp_path / "pets" / "annotations" / "trimaps" / "Breed_7.png"
    save(trimap, np.full(SIZE, 4, np.uint8))
    with pytest.raises(SystemExit):
        run("pets", tmp_path / "pets", "--out", tmp_path / "set", "--bad-share", 0.1)
    shown = capsys.readouterr()
    assert [line.split(":")[0] for line in shown.out.splitlines()] == ["skipped Breed_3", "skipped Breed_7"]
    assert "2 of 14" in shown.err
    assert not (tmp_path / "set" / "index.csv").exists()
    run("pets", tmp_path / "pets", "--out", tmp_path / "set", "--bad-share", 0.2)
    assert len(read_index(tmp_path / "set")) == 12


# --- CamVid -----------------------------------------------------------------------------------

COLOURS = [(64, 128, 64, "Animal"), (192, 0, 128, "Archway"), (0, 128, 192, "Bicyclist"), (0, 0, 0, "Void")]


def camvid_set(root: Path, frames: int = 10) -> dict[str, Any]:
    """CamVid of 32 colours in little; returns name -> class numbers."""
    rng, numbers = np.random.default_rng(7), {}
    root.mkdir()
    (root / "label_colors.txt").write_text("".join(f"{r} {g} {b}\t\t{n}\n" for r, g, b, n in COLOURS))
    table = np.array([colour[:3] for colour in COLOURS], np.uint8)
    for drive in ("0001TP", "Seq05VD"):
        for i in range(frames):
            name = f"{drive}_{i:05}"
            classes = rng.integers(0, 4, SIZE)
            save(root / "701_StillsRaw_full" / f"{name}.png", texture(rng, SIZE))
            save(root / "LabeledApproved_full" / f"{name}_L.png", table[classes])
            numbers[name] = np.where(classes == 3, IGNORE_CLASS, classes)
    return numbers


def test_camvid_colours_become_class_numbers_and_void_is_unknown(tmp_path: Path) -> None:
    numbers = camvid_set(tmp_path / "camvid")
    run("camvid", tmp_path / "camvid", "--out", tmp_path / "set")
    rows = read_index(tmp_path / "set")
    assert len(rows) == 20
    for row in rows:
        assert np.array_equal(read_matte(tmp_path / "set" / row.matte), numbers[Path(row.image).stem])
    assert [(*one.colour, one.name) for one in read_classes(tmp_path / "set")] == COLOURS


def test_camvid_without_lists_splits_each_drive_in_time(tmp_path: Path) -> None:
    camvid_set(tmp_path / "camvid")
    run("camvid", tmp_path / "camvid", "--out", tmp_path / "set")
    for drive in ("0001TP", "Seq05VD"):
        splits = [row.split for row in read_index(tmp_path / "set") if drive in row.image]
        assert splits == ["train"] * 5 + ["val"] * 2 + ["test"] * 3


def test_camvid_lists_decide_the_split(tmp_path: Path) -> None:
    camvid_set(tmp_path / "camvid")
    (tmp_path / "camvid" / "train.txt").write_text("Seq05VD_00009.png\n0001TP_00000.png\n")
    (tmp_path / "camvid" / "test.txt").write_text("0001TP_00001\n")
    run("camvid", tmp_path / "camvid", "--out", tmp_path / "set")
    assert [(Path(row.image).stem, row.split) for row in read_index(tmp_path / "set")] == [
        ("Seq05VD_00009", "train"), ("0001TP_00000", "train"), ("0001TP_00001", "test")]


def test_camvid_labels_in_colours_of_no_class_are_bad(tmp_path: Path, capsys: Any) -> None:
    camvid_set(tmp_path / "camvid")
    save(tmp_path / "camvid" / "LabeledApproved_full" / "0001TP_00002_L.png",
         np.full((*SIZE, 3), (1, 2, 3), np.uint8))
    run("camvid", tmp_path / "camvid", "--out", tmp_path / "set", "--bad-share", 0.1)
    assert "skipped 0001TP_00002.png" in capsys.readouterr().out
    assert len(read_index(tmp_path / "set")) == 19


@pytest.mark.parametrize("beside", [True, False])
def test_camvid_of_eleven_classes_in_both_layouts(tmp_path: Path, beside: bool) -> None:
    rng, wanted = np.random.default_rng(1), {}
    for split in ("train", "val", "test"):
        for i in range(2):
            labels = rng.integers(0, 12, SIZE).astype(np.uint8)
            save(tmp_path / "eleven" / split / f"{i}.{'png' if beside else 'webp'}", texture(rng, SIZE))
            save(tmp_path / "eleven" / (f"{split}annot" if beside else split) / f"{i}.png", labels)
            wanted[f"{split}_{i}"] = np.where(labels == 11, IGNORE_CLASS, labels)
    run("camvid", tmp_path / "eleven", "--out", tmp_path / "set")
    rows = read_index(tmp_path / "set")
    assert len(rows) == 6
    assert len(read_classes(tmp_path / "set")) == 11
    for row in rows:
        assert np.array_equal(read_matte(tmp_path / "set" / row.matte), wanted[Path(row.image).stem])


# --- a folder ---------------------------------------------------------------------------------

def test_a_folder_is_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss_free(monkeypatch)
    given = people_set(tmp_path / "given", {"train": 3, "val": 2}, backgrounds=2)
    run("folder", tmp_path / "given", "--out", tmp_path / "set")
    rows = read_index(tmp_path / "set")
    assert [(row.source, row.split, row.kind, row.truth_by) for row in rows] == [
        (row.source, row.split, row.kind, row.truth_by) for row in given]
    before, after = PictureSet(tmp_path / "given", given), PictureSet(tmp_path / "set", rows)
    for i in range(len(rows)):
        for one, other in zip(before[i], after[i], strict=True):
            assert np.array_equal(one, other)


def test_bad_rows_of_a_folder_are_each_named(tmp_path: Path, capsys: Any) -> None:
    people_set(tmp_path / "given", {"train": 6, "val": 2})
    index = tmp_path / "given" / "index.csv"
    (tmp_path / "given" / "drawn" / "train000.png").unlink()
    save(tmp_path / "given" / "drawn" / "train001_matte.png", np.zeros((9, 9), np.uint8))
    save(tmp_path / "given" / "drawn" / "val001.png", cv2.imread(
        str(tmp_path / "given" / "drawn" / "train002.png"))[..., ::-1])
    lines = index.read_text().replace("train003_matte.png,drawn,train", "train003_matte.png,drawn,dev")
    index.write_text(lines.replace("train004.png,drawn/train004_matte.png,drawn,train,portrait,people,64",
                                   "train004.png,drawn/train004_matte.png,drawn,train,portrait,people,65"))
    run("folder", tmp_path / "given", "--out", tmp_path / "set", "--bad-share", 0.9)
    out = capsys.readouterr().out
    for name, reason in (("train000", "not a readable picture"), ("train001", "the truth is 9 x 9"),
                         ("train003", "split is 'dev'"), ("train004", "the index says 65 x 64"),
                         ("val001", "same picture as drawn/train002.png")):
        assert any(f"skipped drawn/{name}" in line and reason in line for line in out.splitlines()), name
    good = [Path(row.image).stem for row in read_index(tmp_path / "set")]
    assert good == ["train002", "train005", "val000"]


def test_pictures_of_one_name_become_files_of_their_own(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    loss_free(monkeypatch)
    given = people_set(tmp_path / "given", {"train": 3, "val": 1})
    # one name with other endings; the name that the second of them gets; and one of a source within another
    images = ["drawn/x.png", "drawn/x.bmp", "drawn/x-2.png", "drawn/deep/x.png"]
    for row, image in zip(given, images, strict=True):
        save(tmp_path / "given" / image, cv2.imread(str(tmp_path / "given" / row.image))[..., ::-1])
    given = [replace(row, image=image) for row, image in zip(given, images, strict=True)]
    write_index(tmp_path / "given", given)
    run("folder", tmp_path / "given", "--out", tmp_path / "set")
    rows = read_index(tmp_path / "set")
    assert [row.image for row in rows] == [
        f"drawn/{stem}.webp" for stem in ("x", "x-2", "x-2-2", "deep/x")]
    out = capsys.readouterr().out
    assert "drawn/x is there already: another picture of that name becomes drawn/x-2\n" in out
    before, after = PictureSet(tmp_path / "given", given), PictureSet(tmp_path / "set", rows)
    for i in range(4):
        for one, other in zip(before[i], after[i], strict=True):
            assert np.array_equal(one, other)


def test_a_set_is_not_written_over_another(tmp_path: Path, capsys: Any) -> None:
    people_set(tmp_path / "given", {"train": 2})
    before = (tmp_path / "given" / "index.csv").read_bytes()
    with pytest.raises(SystemExit):
        run("folder", tmp_path / "given", "--out", tmp_path / "given")
    assert "holds a picture set already" in capsys.readouterr().err
    assert (tmp_path / "given" / "index.csv").read_bytes() == before


@pytest.mark.parametrize(("content", "message"), [
    (None, "is missing"), ("image,matte\n", "no column source"), (
        "image,matte,source,split,kind,truth_by,width,height\na.png,,x,train,,,many,3\n", "line 2"),
    ("image,matte,source,split,kind,truth_by,width,height\n", "no rows at all")])
def test_a_broken_index_is_an_error_that_says_where(
        tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "index.csv").write_text(content)
    with pytest.raises(SourceError, match=message):
        read_index(tmp_path)


# --- shrinking --------------------------------------------------------------------------------

def test_pictures_and_truths_are_shrunk_together(tmp_path: Path) -> None:
    people_set(tmp_path / "given", {"train": 1}, size=(64, 96))
    run("folder", tmp_path / "given", "--out", tmp_path / "set", "--side", 48)
    row, = read_index(tmp_path / "set")
    assert (row.height, row.width) == (32, 48)
    picture, truth = PictureSet(tmp_path / "set", [row])[0]
    assert picture.shape[:2] == truth.shape[:2] == (32, 48)


def test_a_shrunk_matte_mixes_alpha_but_never_the_unknown() -> None:
    matte = np.array([[0, 255, 255, 255], [0, 255, 255, 255], [128, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
    # 0 and 255 have the mean 127.5: written as 127, for 128 would say that nobody knows
    assert shrink_matte(matte, (2, 2)).tolist() == [[127, 255], [128, 0]]


def test_shrunk_classes_are_only_classes_that_were_there() -> None:
    labels = np.random.default_rng(0).choice([2, 9, 255], (40, 40)).astype(np.uint8)
    assert set(np.unique(shrink_classes(labels, (17, 23)))) == {2, 9, 255}
