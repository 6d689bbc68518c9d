"""Strokes in whole runs: from a file, on the command line, with a start, over sound and rotation; and what refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.cli import cli
from streamseg.errors import OptionError
from tests import clips
from tests.unit.test_strokes import SIDE, SIZE, place, shot

KEEP = [{"kind": "keep", "time": 0.4, "radius": 0.06, "points": [[0.5, 0.5]]}]  # frame 10 of 25 a second


class Nobody:
    """A method that finds nobody."""

    def segment(self, frames: Any) -> list[streamseg.Matte]:
        return [streamseg.Matte(np.zeros((90, 160), np.float32)) for _ in frames]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("strokes") / "film.mp4", size=SIZE[::-1], frames=21, content=shot,
                       audio=True, code=False)


def centres(path: Path) -> list[float]:
    """The column of the middle of each matte of a film, in pixels; nan where it is empty."""
    found = []
    for frame in streamseg.open_source(path):
        alpha = frame.luma().astype(float)
        alpha[alpha < 64] = 0
        columns = np.arange(alpha.shape[1]) + 0.5
        found.append(float((alpha * columns).sum() / alpha.sum()) if alpha.sum() else float("nan"))
    return found


@pytest.mark.parametrize("start", [0, 0.2, 0.6])
def test_a_films_mattes_have_the_strokes_at_every_time(film: Path, tmp_path: Path, start: float) -> None:
    out = tmp_path / "matte.mkv"
    streamseg.run(film, matte=out, method=Nobody(), strokes=KEEP, start=start, clean=False)
    found = centres(out)
    first = round(25 * start)
    assert len(found) == 21 - first
    for index, column in enumerate(found, first):
        assert abs(column - place(index)[1] - SIDE / 2) < 7, index


def test_the_command_line_takes_a_file(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "strokes.json"
    path.write_text(json.dumps(KEEP))
    out, plain = tmp_path / "matte.mkv", tmp_path / "plain.mkv"
    assert cli(["run", str(film), "--matte", str(out), "--method", "threshold", "--strokes", str(path)]) == 0
    streamseg.run(film, matte=plain, method="threshold")
    assert centres(out) != centres(plain)
    capsys.readouterr()
    assert cli(["run", str(film), "--matte", str(tmp_path / "x.mkv"), "--strokes", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
    assert not (tmp_path / "x.mkv").exists()


def test_strokes_reach_beyond_the_region_that_is_looked_at(film: Path) -> None:
    for index, (_, matte) in enumerate(streamseg.mattes(film, method=Nobody(), strokes=KEEP, roi="0,0,25%,100%")):
        column = (place(index)[1] + SIDE / 2) / SIZE[1]
        assert matte.alpha[matte.alpha.shape[0] // 2, int(column * matte.alpha.shape[1])] > 0.9


def test_a_single_picture_has_strokes_too() -> None:
    (_, matte), = streamseg.mattes([shot(10)], method=Nobody(), strokes=[{**KEEP[0], "time": 0}])
    assert matte.alpha[45, 80] == 1
    assert matte.alpha[5, 5] == 0


def test_what_cannot_be_read_twice_is_refused(film: Path, tmp_path: Path) -> None:
    for source in (io.BytesIO(film.read_bytes()), (frame for frame in [shot(0)])):
        with pytest.raises(OptionError, match="read twice"):
            streamseg.run(source, tmp_path / "out.mp4", method=Nobody(), strokes=KEEP)
    assert list(tmp_path.iterdir()) == []
