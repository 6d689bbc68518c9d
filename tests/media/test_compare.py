"""The contact sheet: what stands where, and what a failing method does to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from streamseg.cli import cli
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import OptionError, SegmentError, SinkError, SourceError
from streamseg.segment import Capabilities
from streamseg.tools.compare import BAND, FOOT, GAP, Column, compare, draw
from tests import clips

CELL = (160, 120)


class Broken:
    """A method that fails."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        raise RuntimeError("it broke")

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Dear:
    """A method so slow that a run asks it for few frames, where the picture stands still; it notes them."""

    capabilities = Capabilities(expensive=True)
    asked: ClassVar[list[int]] = []

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.asked.extend(frame.index for frame in frames)
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


BROKEN = f"{__name__}:Broken"


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    """The picture of a row and column, RGB."""
    left = GAP + column * (CELL[0] + GAP)
    top = BAND + row * (CELL[1] + GAP)
    return sheet[top:top + CELL[1], left:left + CELL[0]]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("compare") / "clip.mp4", frames=12)


def test_rows_are_moments_and_columns_methods(clip: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    columns = compare(clip, sheet, ["region", "grabcut"], rows=4, cell=CELL[0], background="#0000ff")
    shown = cv2.imread(str(sheet))[:, :, ::-1]
    assert shown.shape == (BAND + 4 * (CELL[1] + GAP) + FOOT, 3 * (CELL[0] + GAP) + GAP, 3)
    for row, index in enumerate((1, 4, 7, 10)):
        assert clips.read_index(cell(shown, row, 0)) == index
        away = ~clips.truth(index)
        away[:20], away[-24:] = False, False  # the code along the top and the time in the corner
        away = cv2.erode(away.astype(np.uint8), np.ones((9, 9))).astype(bool)
        assert np.median(cell(shown, row, 0)[away], axis=0) == pytest.approx(clips.BACKGROUND, abs=8)
        for column in (1, 2):
            assert np.median(cell(shown, row, column)[away], axis=0) == pytest.approx([0, 0, 255], abs=8)
            inside = cv2.erode(clips.truth(index).astype(np.uint8), np.ones((9, 9))).astype(bool)
            difference = cell(shown, row, column)[inside].astype(int) - cell(shown, row, 0)[inside]
            assert np.median(np.abs(difference)) < 12
    assert [(item.method, item.frames, item.error) for item in columns] == [("region", 12, None),
                                                                           ("grabcut", 12, None)]
    assert all(item.fps and item.fps > 0 for item in columns)


def test_a_failing_method_leaves_its_error_in_its_column(clip: Path, tmp_path: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.png"
    assert cli(["compare", str(clip), "--methods", f"{BROKEN},threshold", "-o", str(sheet), "--rows", "2",
                "--cell", str(CELL[0]), "--json"]) == 0
    broken, fine = json.loads(capsys.readouterr().out)["columns"]
    assert "it broke" in broken["error"]
    assert (broken["fps"], fine["error"]) == (None, None)
    shown = cv2.imread(str(sheet))
    grey = cell(shown, 0, 1)
    assert np.median(grey) == 232
    assert (grey < 200).any()  # the error, in words


def test_a_methods_speed_is_that_of_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dear, "asked", [])
    still = clips.video(tmp_path / "still.mp4", frames=12,
                        content=lambda index: np.full((120, 160, 3), 90, np.uint8))
    compare(still, tmp_path / "sheet.png", [f"{__name__}:Dear"], rows=1, cell=80)
    assert Dear.asked == list(range(12))


def test_the_table_names_methods_and_speeds(clip: Path, tmp_path: Path,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["compare", str(clip), "--methods", "threshold", "-o", str(tmp_path / "s.png"), "--rows", "1",
                "--cell", "80"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "streamseg: threshold ...\n" in err
    assert str(tmp_path / "s.png") in err


def test_only_if_all_methods_fail_the_sheet_does(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(SegmentError, match=r"no method gave a result: .*it broke"):
        compare(clip, tmp_path / "s.png", [BROKEN])
    assert list(tmp_path.iterdir()) == []


def test_a_clip_shorter_than_the_rows_gives_a_row_a_frame(clip: Path, tmp_path: Path) -> None:
    compare(clip, tmp_path / "s.png", ["threshold"], rows=9, cell=80, duration=0.08)
    assert cv2.imread(str(tmp_path / "s.png")).shape[0] == BAND + 2 * (60 + GAP) + FOOT


def test_what_cannot_be_compared_is_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'-' does not allow"):
        compare("-", tmp_path / "s.png", ["threshold"])
    with pytest.raises(SourceError):
        compare(tmp_path / "nothing.mp4", tmp_path / "s.png", ["threshold"])
    (tmp_path / "s.png").write_bytes(b"mine")
    with pytest.raises(SinkError, match="exists"):
        compare(clip, tmp_path / "s.png", ["threshold"], rows=1)
    assert (tmp_path / "s.png").read_bytes() == b"mine"


def test_a_sheet_may_have_a_name_out_of_a_url(clip: Path, tmp_path: Path) -> None:
    compare(clip, tmp_path / "sheet%20d.png", ["threshold"], rows=1, cell=80)
    assert [item.name for item in tmp_path.iterdir()] == ["sheet%20d.png"]


@pytest.mark.parametrize(("words", "code", "said"), [
    (["--methods", "threshold,nope"], 2, "method is 'nope'"),
    (["--methods", "threshold,no.such:Thing"], 2, "no.such:Thing"),
    (["--background", "gren"], 2, "did you mean green"),
    (["-o", "s.xyz"], 2, "'s.xyz'; it must be one picture: .png"),
    (["-o", "sheet.mp4"], 2, "must be one picture"), (["-o", "-"], 2, "must be one picture"),
    (["-o", "s_%02d.png"], 2, "must be one picture"), (["-o", "none/s.png"], 1, "folder"),
    (["-o", "/proc/s.png"], 1, "/proc/s.png"), (["-o", "old.png"], 1, "old.png exists")], ids=str)
def test_what_could_not_be_done_is_said_before_any_method_runs(
        clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        words: list[str], code: int, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.png").write_bytes(b"mine")
    given = {"--methods": "threshold,region", "-o": "s.png", words[0]: words[1]}
    assert cli(["compare", str(clip), "--rows", "1", "--cell", "80",
                *(word for pair in given.items() for word in pair)]) == code
    out, err = capsys.readouterr()
    line, = err.splitlines()  # and none of a method
    assert said in line
    assert out == ""
    assert [item.name for item in tmp_path.iterdir()] == ["old.png"]


def test_values_that_no_method_takes_are_the_callers_mistake(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no method gave a result: threshold: .*'nope'.*region: "):
        compare(clip, tmp_path / "s.png", ["threshold", "region"], set={"nope": 1})
    columns = compare(clip, tmp_path / "s.png", ["threshold", "adaptive"], rows=1, cell=80,
                      set={"block": 11})
    assert ["parameter of threshold" in str(column.error) for column in columns] == [True, False]


def test_labels_are_drawn_where_nothing_else_is() -> None:
    plain = {0: np.full((60, 80, 3), 7, np.uint8)}
    sheet = draw([Column("original", cells=plain), Column("a method", 12.5, 1, cells=plain)], {0: None})
    left = GAP + 80 + GAP
    assert (sheet[:22, left:] < 128).any()  # its name
    assert (sheet[24:BAND, left:] < 200).any()  # its speed
    assert not (sheet[24:BAND, :left] < 200).any()  # the original has none
    assert (sheet[-FOOT:] < 200).any()  # what fps means
