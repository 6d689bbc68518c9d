"""`training.prepare coco` on real COCO records (../shared/coco_mini: 40 pictures, polygons and crowds)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.shared import shared_folder
from training.data import read_index, read_matte
from training.prepare.__main__ import main

COCO_SIDE = 640  # no picture of COCO 2017 is larger: nothing is resized


@pytest.fixture(scope="module")
def coco() -> Path:
    return shared_folder("coco_mini")


def test_mattes_of_real_records_are_pycocotools_masks(coco: Path, tmp_path: Path) -> None:
    api = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    main(["coco", str(coco), "--out", str(tmp_path), "--least", "0", "--side", str(COCO_SIDE)])
    rows = {Path(row.image).stem: row for row in read_index(tmp_path)}
    assert [sum(row.split == split for row in rows.values()) for split in ("train", "val")] == [30, 10]
    crowds = 0
    for split in ("train", "val"):
        truth = api.COCO(str(coco / "annotations" / f"instances_{split}2017.json"))
        person = truth.getCatIds(catNms=["person"])
        for image in truth.loadImgs(truth.getImgIds(catIds=person)):
            people, crowd = np.zeros((2, image["height"], image["width"]), np.bool_)
            for mark in truth.loadAnns(truth.getAnnIds(imgIds=image["id"], catIds=person)):
                (crowd if mark["iscrowd"] else people)[truth.annToMask(mark) > 0] = True
                crowds += mark["iscrowd"]
            matte = read_matte(tmp_path / rows[Path(image["file_name"]).stem].matte)
            assert np.array_equal(matte == 255, people)
            assert np.array_equal(matte == 128, crowd & ~people)
    assert crowds == 4


def test_small_persons_are_left_out_by_share(coco: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    main(["coco", str(coco), "--out", str(tmp_path), "--least", "0.02"])
    for row in read_index(tmp_path):
        matte = read_matte(tmp_path / row.matte)
        assert (matte > 128).mean() > 0.015  # 2 % before the picture was made smaller
