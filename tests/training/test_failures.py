"""The sheet of failures shows the pictures beside what a model makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from training import failures, sheets


def test_each_picture_stands_beside_its_matte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage")
    monkeypatch.setattr(failures, "MethodPredictor",
                        lambda *_: lambda pictures: [np.full((8, 8), 0.6, np.float32) for _ in pictures])
    path = tmp_path / "sheet.png"
    failures.main([str(path)])
    found = cv2.imread(str(path))
    assert found is not None
    coffee = failures.pictures()["coffee"]
    wide = round(coffee.shape[1] * sheets.CELL / coffee.shape[0])
    part = found[sheets.TEXT:sheets.TEXT + sheets.CELL]
    picture = cv2.resize(cv2.cvtColor(coffee, cv2.COLOR_RGB2BGR), (wide, sheets.CELL), interpolation=cv2.INTER_AREA)
    assert np.abs(part[:, :wide].astype(int) - picture).mean() < 3
    assert np.all(part[:, wide + sheets.GAP:2 * wide + sheets.GAP] == 153)
    assert capsys.readouterr().out.count("100.0%") == 4
