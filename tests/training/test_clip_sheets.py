"""Contact sheets of films: which films, which frames, and that each cell shows what belongs to its frame."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.core.opencv import cv2
from streamseg.errors import OptionError
from streamseg.tools.demo import write_film
from training import clip_sheets, sheets

LEVELS = (40, 80, 120, 160, 200)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A film whose frames get brighter, and mattes beside it that get darker."""
    for name, levels in (("one.mp4", LEVELS), ("one.matte.mkv", LEVELS[::-1])):
        write_film(tmp_path / name, iter([np.full((48, 64, 3), level, np.uint8) for level in levels]))
    return tmp_path


def test_films_are_found_without_their_mattes_and_a_missing_one_is_named(folder: Path) -> None:
    shutil.copy(folder / "one.mp4", folder / "two.mov")
    assert [path.name for path in clip_sheets.films(folder)] == ["one.mp4", "two.mov"]
    assert [path.name for path in clip_sheets.films(folder, ["two"])] == ["two.mov"]
    with pytest.raises(OptionError, match="no film three"):
        clip_sheets.films(folder, ["two", "three"])
    with pytest.raises(OptionError, match="no film at all"):
        clip_sheets.films(folder / "nowhere")


def test_frames_are_chosen_from_the_first_to_the_last() -> None:
    assert clip_sheets.chosen(100, 4) == [0, 33, 66, 99]
    assert clip_sheets.chosen(2, 24) == [0, 1]


def test_a_sheet_shows_picture_matte_and_the_matte_beside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mattes(path: str, **options: Any) -> Iterator[tuple[streamseg.Frame, streamseg.Matte]]:
        assert options == {"model": None}
        for index, frame in enumerate(streamseg.open_source(path)):
            yield frame, streamseg.Matte(np.full((24, 32), index / 4, np.float32))

    monkeypatch.setattr(streamseg, "mattes", mattes)
    clip_sheets.main([str(folder), str(folder / "sheets"), "--frames", "3"])
    found = cv2.imread(str(folder / "sheets" / "one.png"))
    assert found is not None
    wide = 64 * sheets.CELL // 48 + sheets.GAP
    shown = found[sheets.TEXT + sheets.CELL // 2, wide // 2::wide, 0][:9].astype(int).reshape(3, 3)
    for row, index in zip(shown, (0, 2, 4), strict=True):
        assert row == pytest.approx([LEVELS[index], 255 * index / 4, LEVELS[4 - index]], abs=4)
