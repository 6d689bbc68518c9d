"""Nobody found is said: in the report, in JSON, in Python, and on request as an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.batch.item import run_one
from streamseg.batch.methods import Methods
from streamseg.cli import cli
from streamseg.core.frames import Frame, Matte
from streamseg.errors import NoSubjectError
from streamseg.report import Subject
from streamseg.segment import METHODS
from streamseg.subject import SubjectCounter, remarks

from . import scenes


def square(side: int, of: int = 40, alpha: float = 1.0) -> Any:
    made = np.zeros((of, of), np.float32)
    made[:side, :side] = alpha
    return made


@pytest.mark.parametrize(("alpha", "wanted"), [
    (square(0), "none"), (square(40, alpha=0.5), "grey"), (square(40, alpha=0.15), "grey"), (square(40), "found"),
    (square(36, alpha=0.5), "grey"),  # grey but for a frame
    (square(5), "found"), (square(5, of=95), "found"), (square(1, of=101), "none"),
    (square(20, alpha=0.5), "none"), (square(20, alpha=0.6), "found")])
def test_what_a_matte_says(alpha: Any, wanted: str) -> None:
    counter = SubjectCounter()
    list(counter.passing(iter([(0, Matte(alpha))])))
    assert counter.result.state == wanted


def test_shares_are_of_the_frames_and_of_the_picture() -> None:
    counter = SubjectCounter()
    mattes = [square(0), square(10), square(20), square(40, alpha=0.5)]
    assert [matte.alpha.sum() for _, matte in counter.passing(iter([(0, Matte(item)) for item in mattes]))] == [
        item.sum() for item in mattes]
    assert counter.result == Subject("found", 0.5, 0.25)
    assert SubjectCounter().result == Subject("none", 0.0, 0.0)


def test_the_remark_names_methods_that_there_are() -> None:
    said, = remarks(Subject("grey", 0, 0), 3, "person")
    assert "any of 3 frames" in said
    assert "half transparent all over" in said
    assert {"region", "grabcut", "kmeans"} <= {word.strip(",;.") for word in said.split()} & set(METHODS)
    assert remarks(Subject("found", 1, 1), 3, "person") == []


class Given:
    """A method that gives one even alpha."""

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [Matte(np.full((9, 16), self.alpha, np.float32)) for _ in frames]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def a_clip() -> list[Any]:
    return [scenes.picture("dark", shift)[0] for shift in (0.0, 1.0, 2.0)]


@pytest.mark.parametrize(("alpha", "state"), [(0.0, "none"), (0.5, "grey"), (1.0, "found")])
def test_a_run_reports_its_subject(tmp_path: Path, alpha: float, state: str) -> None:
    report = streamseg.run(a_clip(), tmp_path / "out.mkv", method=Given(alpha), smooth="none")
    assert report.subject == Subject(state, float(state == "found"), alpha if state == "found" else 0.0)
    assert report.to_dict()["subject"]["state"] == state
    assert any("no subject was found" in note for note in report.notes) == (state != "found")
    wanted = {"method": Given(alpha), "smooth": "none", "require_subject": True}
    if state == "found":
        streamseg.run(a_clip(), tmp_path / "must.mkv", **wanted)
        return
    with pytest.raises(NoSubjectError, match="in any of 3 frames by the method Given"):
        streamseg.run(a_clip(), [tmp_path / "must.mkv", tmp_path / "must.mov"], **wanted)
    assert os.listdir(tmp_path) == ["out.mkv"]


def test_the_largest_share_is_that_of_the_truth(tmp_path: Path) -> None:
    rgb, mask = scenes.picture("dark")
    report = streamseg.run([rgb, scenes.empty("dark")], tmp_path / "out.mkv", method="threshold", smooth="none",
                           every="1", set={"polarity": "dark"})
    assert report.subject is not None
    assert report.subject.frames == 0.5
    assert report.subject.largest == pytest.approx(mask.mean(), rel=0.05)


def test_a_single_picture_may_require_a_subject() -> None:
    rgb, _ = scenes.picture("dark")
    with pytest.raises(NoSubjectError, match="in the picture"):
        streamseg.remove(rgb, model=Given(0.4), require_subject=True)
    assert streamseg.remove(rgb, model=Given(0.4)).shape == (*rgb.shape[:2], 4)


def films(folder: Path) -> None:
    (folder / "in").mkdir()
    for name, rgb in (("empty", scenes.empty("dark")), ("full", scenes.picture("dark")[0])):
        assert scenes.cv2.imwrite(str(folder / "in" / f"{name}.png"), rgb[..., ::-1])


THRESHOLD = ["--method", "threshold", "--set", "polarity=dark"]


def test_the_command_line_says_it_for_each_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    films(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli(["run", "in", "-o", "out/", *THRESHOLD, "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert {Path(run["input"]).stem: run["subject"]["state"] for run in runs} == {"empty": "none", "full": "found"}
    assert [note for run in runs for note in run["notes"] if "by the method threshold" in note]
    assert cli(["run", "in", "-o", "must/", *THRESHOLD, "--require-subject"]) == 1
    assert "error: in/empty.png: no subject was found in the picture by the method threshold" in capsys.readouterr().err
    assert os.listdir("must") == ["full.png"]


def test_a_batch_fails_what_has_no_subject_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli(["batch", "in", "-o", "out/", *THRESHOLD, "--require-subject", "-q"]) == 1
    assert sorted(name for name in os.listdir("out") if name.endswith(".png")) == ["full.png"]


def test_an_empty_film_on_the_command_line(tmp_path: Path) -> None:
    """The default method, in a process of its own: nobody stands in front of a bare wall."""
    film = tmp_path / "wall.mkv"
    streamseg.run([scenes.empty("light")] * 2, film, method=Given(1.0), background="original", codec="ffv1")
    done = subprocess.run([sys.executable, "-m", "streamseg", "run", str(film), "-o", str(tmp_path / "out.mp4")],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    assert "note: no subject was found in any of 2 frames by the method person" in done.stderr


def test_methods_of_a_batch_keep_their_name(tmp_path: Path) -> None:
    films(tmp_path)
    report, seen = run_one(str(tmp_path / "in" / "empty.png"), [str(tmp_path / "out.png")],
                           {"method": "threshold"}, Methods())
    assert (report.method, seen) == ("threshold", "none")
    assert "by the method threshold" in " ".join(report.notes)
