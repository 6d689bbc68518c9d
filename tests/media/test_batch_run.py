"""`streamseg batch`, and `run` with folders, on real pictures and films."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from streamseg.batch.ledger import Ledger
from streamseg.batch.methods import Methods
from streamseg.batch.plan import Planner
from streamseg.batch.runner import run_all
from streamseg.cli import cli
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from tests import clips, damage, stills

ROOT = Path(__file__).parents[2]
FAST = ("--method", "threshold")


class Counted:
    """A method that counts how often it is made, in a file; and ends its process at the picture KILL_AT."""

    def __init__(self) -> None:
        with open(os.environ["COUNTED"], "a") as stream:
            stream.write("made\n")
        self.seen = 0

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.seen += 1
        if self.seen == int(os.environ.get("KILL_AT", "-1")):
            os.kill(os.getpid(), getattr(signal, os.environ["KILL_BY"]))
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


COUNTED = f"{__name__}:Counted"


def streamseg(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "streamseg", *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, stdin=subprocess.DEVNULL,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment})


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def decoded(path: Path) -> str:
    """A sum for each frame of each stream, as the ffmpeg program decodes them."""
    return subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-f", "framemd5", "-"], capture_output=True,
                          text=True, check=True).stdout


def done(folder: Path) -> dict[str, int]:
    with Ledger(folder / ".streamseg-batch.sqlite", owner=False) as ledger:
        return ledger.counts(whole=True)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTED", str(tmp_path / "made.txt"))
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for index, name in enumerate(("sub/1.jpg", "1.jpg", "2.png", "10.jpg")):
        stills.image(tmp_path / "in" / name, index, code=False)
    clips.video(tmp_path / "in" / "clip.mp4", frames=8, audio=True, code=False)
    stills.animation(tmp_path / "in" / "moving.webp", frames=3)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path


ALL = [".streamseg-batch.sqlite", "1.png", "10.png", "2.png", "clip.mp4", "moving.webp", "sub/1.png"]


def test_one_broken_file_fails_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage.truncated(place / "in" / "2.png", place / "in" / "2.png", 0.5)
    assert cli(["batch", "in", "-o", "out", *FAST, "--report", "r.csv"]) == 1
    err = capsys.readouterr().err
    assert "1 left out, no picture and no film: in/notes.txt" in err
    assert "streamseg: error: in/2.png is damaged" in err
    assert err.endswith("streamseg: 1 of 6 inputs failed\n")
    assert names(place / "out") == [name for name in ALL if name != "2.png"]
    with open("r.csv", newline="") as stream:
        lines = {row["input"]: row for row in csv.DictReader(stream)}
    assert {source: (row["state"], row["frames"], row["subject"]) for source, row in lines.items()} == {
        "in/1.jpg": ("done", "1", "found"), "in/2.png": ("failed", "", ""), "in/10.jpg": ("done", "1", "found"),
        "in/clip.mp4": ("done", "8", "found"), "in/moving.webp": ("done", "3", "found"),
        "in/sub/1.jpg": ("done", "1", "found")}
    matte = cv2.imread("out/sub/1.png", cv2.IMREAD_UNCHANGED)[..., 3]
    assert clips.iou(matte > 127, clips.truth(0)) > 0.9


def test_the_same_command_again_does_nothing_and_says_what_failed(place: Path,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    (place / "in" / "1.jpg").write_bytes(b"broken")
    assert cli(["batch", "in", "-o", "out", *FAST, "-q"]) == 1
    times = {path: path.stat().st_mtime_ns for path in (place / "out").rglob("*.*4")}
    assert cli(["batch", "in", "-o", "out", *FAST, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["planned"] == {"waiting": 0, "known": 5, "failed": 1, "twice": 0, "others": 0, "made": 0}
    assert found["counts"] == {"waiting": 0, "done": 5, "failed": 1}
    assert times == {path: path.stat().st_mtime_ns for path in (place / "out").rglob("*.*4")}
    stills.image(place / "in" / "1.jpg")
    assert cli(["batch", "in", "-o", "out", *FAST, "-q"]) == 0
    assert names(place / "out") == ALL


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize(("by", "code"), [("SIGKILL", -9), ("SIGINT", 130)])
def test_what_was_killed_goes_on_where_it_was(place: Path, by: str, code: int) -> None:
    arguments = ("batch", "in", "-o", "out", "--method", COUNTED, "--smooth", "none", "-q")
    ended = streamseg(*arguments, KILL_AT="3", KILL_BY=by)
    assert ended.returncode == code, ended.stderr
    counts = done(place / "out")
    assert counts == {"waiting": 4, "done": 2, "failed": 0}
    if by == "SIGINT":
        assert "2 done, 0 failed, 4 left: the same command goes on with them" in ended.stderr
    times = {path: path.stat().st_mtime_ns for path in (place / "out").glob("*.png")}
    assert len(times) == 2
    again = streamseg(*arguments, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["planned"]["waiting"] == 4
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert names(place / "out") == ALL  # and nothing that the killed process had begun


def test_the_method_is_made_once_for_pictures_and_once_for_films(place: Path) -> None:
    assert streamseg("batch", "in", "-o", "out", "--method", COUNTED, "-q").returncode == 0
    made = (place / "made.txt").read_text().count("made")
    assert made == 2
    assert streamseg("run", "in", "-o", "out2", "--method", COUNTED, "-q").returncode == 0
    assert (place / "made.txt").read_text().count("made") - made <= 2
    assert names(place / "out2") == ALL[1:]


def test_pictures_and_films_are_as_run_makes_them(place: Path) -> None:
    assert cli(["batch", "in", "-o", "out", "--matte", "mattes", "-q"]) == 0
    assert cli(["run", "in/1.jpg", "-o", "alone/", "-q"]) == 0
    assert cli(["run", "in/clip.mp4", "--matte", "alone/", "-q"]) == 0  # FFV1: libx264's frames differ now and then
    assert decoded(place / "out" / "1.png") == decoded(place / "alone" / "1.png")
    assert decoded(place / "mattes" / "clip.mkv") == decoded(place / "alone" / "clip.mkv")


@pytest.mark.parametrize(("arguments", "words"), [
    (["--background", "none.jpg"], "background 'none.jpg' is neither"),
    (["--codec", "nonsense"], "codec is 'nonsense'"),
    (["--format", "jpg"], "holds no transparency: give --background"), (["--model", "none.onnx"], "none.onnx"),
    (["--codec-set", "presett=slow"], "no option presett")])
def test_what_suits_no_input_is_refused_before_the_first(place: Path, capsys: pytest.CaptureFixture[str],
                                                         arguments: list[str], words: str) -> None:
    assert cli(["batch", "in", "-o", "out", *arguments]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert words in line
    assert "streamseg-" not in line  # no temporary file's name
    assert not (place / "out").exists()


@pytest.mark.parametrize("arguments", [
    ["--roi", "500,260,100,50"], ["--region", "+600,300"], ["--packed", "deovr"], ["--packed", "stacked"],
    ["--strokes", '[{"kind": "keep", "time": 0.3, "radius": 0.1, "points": [[0.9, 0.9]]}]']])
def test_what_suits_the_film_is_not_refused_for_the_pictures_that_it_is_tried_out_on(
        place: Path, arguments: list[str]) -> None:
    """They are small, and two: what lies beyond them, in place or time, is the film's to answer."""
    clips.video(place / "film_MKX200_alpha.mp4", frames=10, size=(640, 320), code=False)
    assert cli(["batch", "film_MKX200_alpha.mp4", "-o", "out", *FAST, *arguments, "-q"]) == 0
    assert done(place / "out") == {"waiting": 0, "done": 1, "failed": 0}


@pytest.mark.parametrize(("arguments", "words"), [
    (["--roi", "1,2,3"], "roi is '1,2,3'"), (["--region", "+nocolour"], "names the colour 'nocolour'"),
    (["--strokes", "none.json"], "strokes"), (["--strokes", '[{"kind": "keep"}]'], "strokes")])
def test_what_is_no_part_no_place_and_no_stroke_is_refused_before_the_first(
        place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert cli(["batch", "in", "-o", "out", *FAST, *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (place / "out").exists()


def test_the_same_content_is_computed_once(place: Path) -> None:
    (place / "in" / "copy.jpg").write_bytes((place / "in" / "1.jpg").read_bytes())
    assert cli(["batch", "in/1.jpg", "in/copy.jpg", "-o", "out", *FAST, "--report", "r.json", "-q"]) == 0
    first, second = json.loads((place / "r.json").read_text())
    assert (first["reason"], second["reason"]) == (None, f"the same content as {place / 'out/1.png'}: copied")
    assert (place / "out" / "copy.png").read_bytes() == (place / "out" / "1.png").read_bytes()


def test_skip_existing_judges_by_what_is_in_the_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "in", "-o", "out", *FAST, "-q"]) == 0
    os.replace("out/2.png", "out/10.png")                               # a whole picture of the right size
    damage.truncated(place / "out" / "1.png", place / "out" / "1.png", 0.6)
    clips.video(place / "out" / "clip.mp4", frames=5)                   # a whole film, but shorter
    stills.image(place / "out" / "sub" / "1.png", size=(64, 48))        # another size
    before = {name: (place / "out" / name).read_bytes() for name in ("10.png", "moving.webp")}
    assert cli(["batch", "in", "-o", "out", *FAST]) == 1
    assert "outputs exist" in capsys.readouterr().err
    assert cli(["batch", "in", "-o", "out", *FAST, "--skip-existing", "--report", "r.json"]) == 1
    states = {line["input"]: (line["state"], line["reason"]) for line in json.loads((place / "r.json").read_text())}
    assert {source for source, (state, _) in states.items() if state == "failed"} == {
        "in/1.jpg", "in/clip.mp4", "in/sub/1.jpg"}
    assert "has 5 of 8 frames; --overwrite makes it anew" in states["in/clip.mp4"][1]
    assert "is 64 x 48, and" in states["in/sub/1.jpg"][1]
    assert states["in/10.jpg"] == ("done", "was there already, whole")
    assert cli(["batch", "in", "-o", "out", *FAST, "--skip-existing", "--overwrite", "--retry-failed"]) == 0
    assert before == {name: (place / "out" / name).read_bytes() for name in before}
    assert len(list((place / "out").glob("*.png"))) == 3


def test_shards_together_do_everything_once(place: Path, capsys: pytest.CaptureFixture[str],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_TASK_COUNT", "2")
    for task in ("0", "1"):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        assert cli(["batch", "in", "-o", "out", *FAST, "--shard", "auto", "-q"]) == 0
    assert [name for name in names(place / "out") if not name.startswith(".")] == ALL[1:]
    capsys.readouterr()
    assert cli(["batch", "--status", "out", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["items"], found["done"], len(found["ledgers"])) == (6, 6, 2)
    assert cli(["batch", "in", "-o", "out9", *FAST, "--dry-run"]) == 0
    assert "SLURM_ARRAY_TASK_ID is set, and all inputs are done here" in capsys.readouterr().err
    assert not (place / "out9").exists()


def test_a_list_gives_rows_their_own_options(place: Path) -> None:
    (place / "list.csv").write_text("input,output,background\nin/1.jpg,a/one.jpg,blue\nin/clip.mp4,,none\n")
    assert cli(["batch", "--from", "list.csv", "-o", "out", "--matte", "m", *FAST, "-q"]) == 0
    assert names(place / "out") == [".streamseg-batch.sqlite", "a/one.jpg", "clip.webm"]
    assert names(place / "m") == ["a/one.png", "clip.mkv"]
    assert clips.ffprobe(place / "out" / "clip.webm")["streams"][0]["tags"]["alpha_mode"] == "1"


def test_films_become_numbered_pictures_where_that_is_asked_for(place: Path) -> None:
    assert cli(["batch", "in", "-o", "out", "--frames", *FAST, "-q"]) == 0
    assert names(place / "out")[4:12] == [f"clip/frame_{number:05}.png" for number in range(1, 9)]
    assert cli(["batch", "in", "-o", "out", "--frames", *FAST, "-q"]) == 0  # again: all as it was
    assert done(place / "out") == {"waiting": 0, "done": 6, "failed": 0}
    assert cli(["run", "in/clip.mp4", "-o", "alone", *FAST, "--frames", "-q"]) == 2  # a name without / is no folder
    assert cli(["run", "in/clip.mp4", "-o", "alone/", *FAST, "--frames", "-q"]) == 0
    assert names(place / "alone") == [f"frame_{number:05}.png" for number in range(1, 9)]


def test_run_with_a_folder_keeps_what_is_done(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "in" / "10.jpg").write_bytes(b"broken")
    assert cli(["run", "in", "-o", "out", "--matte", "mattes", *FAST, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert names(place / "out") == ["1.png", "2.png", "clip.mp4", "moving.webp", "sub/1.png"]
    assert names(place / "mattes") == ["1.png", "2.png", "clip.mkv", "moving.mkv", "sub/1.png"]
    assert found["left_out"] == {"no picture and no film": {"count": 1, "names": ["in/notes.txt"]}}
    assert [run["method"] for run in found["runs"] if "error" not in run] == 5 * ["threshold"]
    assert cli(["run", "in", "-o", "out", *FAST]) == 1
    assert "nothing was done: 5 of 6 outputs exist (out/1.png, out/2.png, out/clip.mp4, ...)" in capsys.readouterr().err


def test_a_glob_that_matches_one_film_means_what_it_means_for_two(place: Path) -> None:
    assert cli(["run", "in/clip.mp4", "-o", "out/", *FAST, "-q"]) == 0
    assert names(place / "out") == ["clip.mp4"]


@pytest.mark.parametrize("arguments", [["in/clip.mp4", "-o", "in/clip.mp4"], ["in/clip.mp4", "-o", "in/"],
                                       ["in/2.png", "-o", "link.png"], ["in/2.png", "--matte", "hard.png"],
                                       ["in", "-o", "in/", "--background", "blue", "--only", "*.mp4"]])
def test_an_input_is_never_its_own_output(place: Path, capsys: pytest.CaptureFixture[str],
                                          arguments: list[str]) -> None:
    (place / "link.png").symlink_to(place / "in" / "2.png")
    os.link("in/2.png", "hard.png")
    before = {name: (place / "in" / name).read_bytes() for name in names(place / "in")}
    assert cli(["run", *arguments, *FAST, "--overwrite"]) == 1
    assert "input" in capsys.readouterr().err
    assert {name: (place / "in" / name).read_bytes() for name in names(place / "in")} == before


def test_an_input_that_changes_while_it_is_read_is_no_result(place: Path) -> None:
    class Touching:
        def segment(self, frames: Sequence[Frame]) -> list[Matte]:
            os.utime("in/1.jpg", ns=(5, 5))
            return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

        def reset(self) -> None: ...

        def close(self) -> None: ...

    from streamseg.batch.inputs import Item
    with Ledger(":memory:") as ledger:
        Planner(ledger, ["out"], {}).plan([Item("in/1.jpg", "1.jpg")])
        for row in ledger.waiting():
            row.job["options"]["method"] = Touching()
            ledger.waiting = lambda: iter([row])  # type: ignore[method-assign]  # noqa: B023
        state = run_all(ledger, methods=Methods())
        assert (state.done, state.failed) == (0, 1)
        assert "was changed while it was read" in str(next(ledger.lines())["reason"])
