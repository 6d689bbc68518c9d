"""A watched folder, with real files and real encoders; news and time come from the test where they can."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import streamseg
from streamseg.batch.options import NamingOptions
from streamseg.cli import cli
from streamseg.errors import OptionError, SourceError
from streamseg.watch.ledger import Ledger
from streamseg.watch.options import WatchOptions
from streamseg.watch.watcher import WORK, Watcher
from tests import clips, stills

ROOT = Path(streamseg.__file__).parents[1]
FAST = {"method": "threshold"}
Step = Callable[[], Iterable[Path] | None]


class Script:
    """News of changes: before each look at them one step of a test's is done, and the time goes on by a second. A
    step gives the paths that the system is to tell of. The watch ends with the last step."""

    def __init__(self, *steps: Step) -> None:
        self.now, self.over = 0.0, False
        self._steps: Iterator[Step] = iter(steps)

    def wait(self) -> set[str]:
        """As watch.events.Events."""
        self.now += 1.0
        step = next(self._steps, None)
        if step is None:
            self.over = True
            return set()
        return {str(path) for path in step() or ()}

    def watch(self, folder: Path, out: Path, options: dict[str, Any] | None = None, **told: Any) -> dict[str, int]:
        """Watch until the last step. Of ``told`` are WatchOptions."""
        watcher = Watcher(folder, out, {**FAST, **(options or {})}, told=WatchOptions(**{"rescan": 1e4, **told}),
                          stop=lambda: self.over, clock=lambda: self.now)
        return watcher.watch(self)


def nothing() -> None:
    """A second goes by."""


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def picture(path: Path, index: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return stills.image(path, index, (64, 48))


def made(out: Path) -> set[str]:
    """The outputs, as paths below ``out``."""
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()
            and not path.name.startswith(".")}


# --- which files, and when ---------------------------------------------------------------------

def test_drop_change_delete_and_start_again(inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    a, b = inbox / "a.png", inbox / "deep" / "b.jpg"

    def drop() -> list[Path]:
        return [picture(a), picture(b)]

    def change() -> list[Path]:
        os.utime(picture(a, 5), ns=(1, 1))
        return [a]

    def delete() -> list[Path]:
        b.unlink()
        return [b]

    script = Script(drop, nothing, nothing, change, nothing, nothing, delete)
    assert script.watch(inbox, out) == {"waiting": 0, "done": 2, "failed": 0}
    assert made(out) == {"a.png", "deep/b.png"}
    streamseg.run(a, tmp_path / "wanted.png", **FAST)
    assert (out / "a.png").read_bytes() == (tmp_path / "wanted.png").read_bytes()  # the changed one
    before = (out / "a.png").stat().st_mtime_ns
    assert Script(nothing, nothing, nothing).watch(inbox, out) == {"waiting": 0, "done": 2, "failed": 0}
    assert (out / "a.png").stat().st_mtime_ns == before  # done is done, across restarts


def test_a_file_that_is_still_growing_is_not_taken(inbox: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", inbox / "a.mkv"
    data = clips.video(tmp_path / "whole.mkv", frames=12).read_bytes()
    seen: list[set[str]] = []

    def grow(part: int) -> Step:
        def step() -> list[Path]:
            with path.open("ab") as file:
                file.write(data[len(data) * part // 6:len(data) * (part + 1) // 6])
            seen.append(made(out))
            return [path]
        return step

    steps = [grow(part) for part in range(6)]
    counts = Script(*steps, nothing, nothing, nothing).watch(inbox, out)
    assert counts["done"] == 1
    assert not any(seen)
    assert len(clips.probed_pts(out / "a.mp4" if (out / "a.mp4").exists() else out / "a.mkv")) == 12


def test_a_pause_in_copying_is_waited_for(inbox: Path, tmp_path: Path) -> None:
    """It stands still for longer than --settle, and is not whole."""
    out, path = tmp_path / "out", inbox / "a.png"
    data = picture(tmp_path / "whole.png").read_bytes()
    status: list[Any] = []

    def begin() -> list[Path]:
        path.write_bytes(data[:len(data) // 2])
        return [path]

    def look() -> None:
        with Ledger(out, owner=False) as ledger:
            status.append(ledger.status())

    def go_on() -> list[Path]:
        with path.open("ab") as file:
            file.write(data[len(data) // 2:])
        return [path]

    counts = Script(begin, nothing, nothing, nothing, nothing, look, go_on, *[nothing] * 4).watch(inbox, out)
    assert status[0]["counts"] == {"waiting": 1, "done": 0, "failed": 0}
    assert "not whole" in status[0]["waiting"][0]["reason"]
    assert counts == {"waiting": 0, "done": 1, "failed": 0}


def test_what_stays_broken_fails_with_the_reason_beside_it(inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = picture(tmp_path / "whole.png").read_bytes()
    (inbox / "cut.png").write_bytes(data[:len(data) // 2])
    (inbox / "text.jpg").write_text("no picture")
    picture(inbox / "good.png")
    counts = Script(*[nothing] * 12).watch(inbox, out, patience=5)
    assert counts == {"waiting": 0, "done": 1, "failed": 2}
    assert made(out) == {"good.png", "cut.png.failed.txt", "text.jpg.failed.txt"}
    assert "is damaged" in (out / "cut.png.failed.txt").read_text()
    (inbox / "cut.png").write_bytes(data)  # mended
    assert Script(*[nothing] * 4).watch(inbox, out)["done"] == 2
    assert made(out) == {"good.png", "cut.png", "text.jpg.failed.txt"}
    assert Script(*[nothing] * 4).watch(inbox, out) == {"waiting": 0, "done": 2, "failed": 1}
    assert Script(*[nothing] * 9).watch(inbox, out, retry_failed=True, patience=3)["failed"] == 1


def test_unfinished_and_hidden_names_are_never_taken(inbox: Path, tmp_path: Path) -> None:
    for name in ("a.png.part", "b.tmp", "c.png~", ".d.png", ".hidden/e.png", "f.crdownload", "notes.txt"):
        path = inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(tmp_path / "whole.png").read_bytes())

    def rename() -> list[Path]:
        (inbox / "a.png.part").rename(inbox / "a.png")
        return [inbox / "a.png", inbox / "a.png.part"]

    out = tmp_path / "out"
    assert Script(nothing, nothing, nothing, rename, *[nothing] * 3).watch(inbox, out)["done"] == 1
    assert made(out) == {"a.png"}


def test_a_folder_that_is_moved_in_is_one_event_for_all_its_files(inbox: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for name in ("a.png", "deep/b.png", "deep/er/c.png"):
        picture(tree / name)

    def move() -> list[Path]:
        shutil.move(tree, inbox / "tree")
        return [inbox / "tree"]

    out = tmp_path / "out"
    assert Script(move, *[nothing] * 3).watch(inbox, out)["done"] == 3
    assert made(out) == {"tree/a.png", "tree/deep/b.png", "tree/deep/er/c.png"}


def test_what_the_system_does_not_tell_of_is_found_by_looking_again(inbox: Path, tmp_path: Path) -> None:
    def silently() -> None:
        picture(inbox / "a.png")

    out = tmp_path / "out"
    assert Script(silently, *[nothing] * 4).watch(inbox, out)["done"] == 0
    assert Script(silently, *[nothing] * 9).watch(inbox, tmp_path / "out2", rescan=3)["done"] == 1


def test_the_output_folder_may_lie_in_the_watched_one(inbox: Path) -> None:
    picture(inbox / "a.png")
    out = inbox / "done"
    assert Script(*[nothing] * 9).watch(inbox, out, rescan=1) == {"waiting": 0, "done": 1, "failed": 0}
    assert made(out) == {"a.png"}


def test_a_file_that_changes_while_it_is_done_is_done_again(inbox: Path, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.watch import watcher

    path, out = picture(inbox / "a.png"), tmp_path / "out"
    real, runs = watcher.run, []

    def meddled(*arguments: Any, **options: Any) -> Any:
        report = real(*arguments, **options)
        runs.append(path)
        if len(runs) == 1:
            picture(path, 7)
        return report

    monkeypatch.setattr(watcher, "run", meddled)
    assert Script(*[nothing] * 9).watch(inbox, out)["done"] == 1
    assert len(runs) == 2
    streamseg.run(path, tmp_path / "wanted.png", **FAST)
    assert (out / "a.png").read_bytes() == (tmp_path / "wanted.png").read_bytes()


# --- outputs -----------------------------------------------------------------------------------

def test_two_files_are_never_one_output_and_nothing_of_others_is_replaced(inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    picture(inbox / "a.png")
    picture(inbox / "b.png")
    picture(inbox / "b.jpg", 3)
    picture(out / "a.png", 9)
    foreign = (out / "a.png").read_bytes()
    counts = Script(*[nothing] * 5).watch(inbox, out)
    assert counts == {"waiting": 0, "done": 1, "failed": 2}
    assert (out / "a.png").read_bytes() == foreign
    assert "was not made by this watch" in (out / "a.png.failed.txt").read_text()
    reasons = [path.read_text() for path in out.glob("b.*.failed.txt")]
    assert len(reasons) == 1
    assert "is the output of b." in reasons[0]
    assert Script(*[nothing] * 5).watch(inbox, out, {"overwrite": True}, retry_failed=True)["done"] == 2
    assert (out / "a.png").read_bytes() != foreign


def test_an_input_is_never_replaced_and_no_output_is_taken_for_one(inbox: Path) -> None:
    """The outputs go into the watched folder itself."""
    picture(inbox / "a.jpg", 1)
    before = picture(inbox / "b.png", 2).read_bytes()
    counts = Script(*[nothing] * 9).watch(inbox, inbox, {"overwrite": True}, rescan=2)
    assert counts == {"waiting": 0, "done": 1, "failed": 1}
    assert made(inbox) == {"a.jpg", "a.png", "b.png", "b.png.failed.txt"}
    assert (inbox / "b.png").read_bytes() == before
    assert "came into the watched folder" in (inbox / "b.png.failed.txt").read_text()


def test_the_watched_folder_may_lie_in_the_output_folder(inbox: Path, tmp_path: Path) -> None:
    def drop() -> list[Path]:
        return [picture(inbox / "a.png")]

    assert Script(drop, *[nothing] * 3).watch(inbox, tmp_path) == {"waiting": 0, "done": 1, "failed": 0}
    assert (tmp_path / "a.png").exists()


def test_a_name_stands_once_beside_its_reason(inbox: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = picture(tmp_path / "whole.jpg").read_bytes()
    (inbox / "cut.jpg").write_bytes(data[:len(data) // 2])
    assert Script(*[nothing] * 9).watch(inbox, tmp_path / "out", patience=2)["failed"] == 1
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["cut.jpg"]
    assert caplog.text.count("cut.jpg") == 1
    assert (tmp_path / "out" / "cut.jpg.failed.txt").read_text().count("cut.jpg") == 1


@pytest.mark.parametrize(("options", "words"), [
    ({"background": "nocolour"}, "background 'nocolour' is neither"),
    ({"format": "jpg", "only": "*.png"}, "holds no transparency"),
    ({"codec": "nonsense", "only": "*.mp4"}, "codec is 'nonsense'"), ({"matte": "mattes.mkv"}, "writes into folders")])
def test_what_suits_no_file_is_refused_at_the_start(inbox: Path, tmp_path: Path, options: dict[str, Any],
                                                    words: str) -> None:
    naming = NamingOptions(format=options.pop("format", None))
    with pytest.raises(OptionError, match=words):
        Watcher(inbox, tmp_path / "out", {**FAST, **options}, naming=naming, stop=lambda: True).watch(Script())
    assert not (tmp_path / "out").exists()


def test_what_suits_pictures_alone_ends_no_watch_when_a_film_comes_and_the_other_way(inbox: Path,
                                                                                     tmp_path: Path) -> None:
    clips.video(inbox / "film.mp4", frames=5)
    picture(inbox / "a.png")
    script = Script(*[nothing] * 6)
    watcher = Watcher(inbox, tmp_path / "out", FAST, naming=NamingOptions(format="jpg"),
                      told=WatchOptions(rescan=1e4), stop=lambda: script.over, clock=lambda: script.now)
    assert watcher.watch(script) == {"waiting": 0, "done": 1, "failed": 1}
    assert made(tmp_path / "out") == {"film.mp4", "a.png.failed.txt"}


def test_options_of_run_and_more_folders(inbox: Path, tmp_path: Path) -> None:
    clips.video(inbox / "film.mp4", frames=5)
    picture(inbox / "a.png")
    options = {"background": "#204060", "matte": str(tmp_path / "mattes"), "only": "*.mp4"}
    assert Script(*[nothing] * 4).watch(inbox, tmp_path / "out", options)["done"] == 1
    assert made(tmp_path / "out") == {"film.mp4"}
    assert made(tmp_path / "mattes") == {"film.mkv"}
    assert len(clips.probed_pts(tmp_path / "out" / "film.mp4")) == 5
    assert not (tmp_path / "mattes" / WORK).exists()


def test_no_folder_to_watch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no folder"):
        Watcher(tmp_path / "nowhere", tmp_path / "out")


def test_what_was_made_when_it_was_killed_is_put_into_its_place(inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name in ("a.png", "b.png"):
        picture(inbox / name)
    found = {name: (inbox / name).stat() for name in ("a.png", "b.png")}
    with Ledger(out.mkdir() or out) as ledger:
        for name, stat in found.items():
            ledger.wait(name, (stat.st_size, stat.st_mtime_ns))
            ledger.placing(name, [(str(out / WORK / name), str(out / name))])
    (out / WORK).mkdir()
    (out / WORK / "a.png").write_bytes(b"as it was made")  # killed before it was renamed
    (out / "b.png").write_bytes(b"as it was placed")       # killed after it
    assert Script(*[nothing] * 4).watch(inbox, out) == {"waiting": 0, "done": 2, "failed": 0}
    assert (out / "a.png").read_bytes() == b"as it was made"
    assert (out / "b.png").read_bytes() == b"as it was placed"


# --- the program -------------------------------------------------------------------------------

class Watching:
    """`streamseg watch` as a process of its own. ``lines``: what it said."""

    def __init__(self, inbox: Path, out: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "streamseg", "watch", str(inbox), str(out), "--method", "threshold",
                   "--settle", "0.3", "--rescan", "1", *flags]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, "PYTHONPATH": str(ROOT)})
        self.lines: list[str] = []
        self._told = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._told:
                self.lines.append(line)
                self._told.notify_all()

    def until(self, count: int) -> None:
        """Wait until so many files are done."""
        with self._told:
            assert self._told.wait_for(lambda: sum(": done" in line for line in self.lines) >= count
                                       or self.process.poll() is not None, 120)
        assert self.process.poll() is None or sum(": done" in line for line in self.lines) >= count

    def end(self, number: int) -> int:
        """Send a signal. -> the exit code"""
        self.process.send_signal(number)
        code = self.process.wait(120)
        self._reader.join(30)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_after_the_file_in_hand(inbox: Path, tmp_path: Path, number: int) -> None:
    pytest.importorskip("watchfiles", reason="the extra [serve] is not installed")
    watching = Watching(inbox, tmp_path / "out")
    picture(inbox / "first.png")
    watching.until(1)
    for index in range(60):
        picture(inbox / f"{index}.png", index)
    watching.until(3)
    assert watching.end(number) == 0
    counts = json.loads(subprocess.run(
        [sys.executable, "-m", "streamseg", "watch", str(inbox), str(tmp_path / "out"), "--status", "--json"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True).stdout)["counts"]
    assert counts["done"] == len(made(tmp_path / "out"))
    assert not (tmp_path / "out" / WORK).exists()


def test_kill_9_loses_no_file_and_does_none_twice(inbox: Path, tmp_path: Path) -> None:
    """Thirty files come slowly, in pieces and by renames; four moments, drawn with a seed. benchmarks/serve.py has a
    thousand."""
    pytest.importorskip("watchfiles", reason="the extra [serve] is not installed")
    numbers, out = random.Random(29), tmp_path / "out"
    source = [picture(tmp_path / "src" / f"{index}.png", index).read_bytes() for index in range(30)]

    def come() -> None:
        pause = threading.Event()
        for index, data in enumerate(source):
            place = inbox / f"{index % 3}" / f"{index}.png"
            place.parent.mkdir(exist_ok=True)
            writing = place if index % 2 else place.with_name(place.name + ".part")
            with writing.open("wb") as file:
                for part in range(0, len(data), max(1, len(data) // 3)):
                    file.write(data[part:part + max(1, len(data) // 3)])
                    file.flush()
                    pause.wait(0.02)
            if writing != place:
                writing.rename(place)

    coming = threading.Thread(target=come)
    coming.start()
    for _ in range(4):
        watching = Watching(inbox, out)
        moment = threading.Timer(numbers.uniform(1.0, 3.5), watching.process.kill)
        moment.start()
        watching.process.wait()
        moment.join()
        watching.end(0)
    coming.join()
    assert cli(["watch", str(inbox), str(out), "--method", "threshold", "--settle", "0.3", "--once", "--quiet"]) == 0
    assert made(out) == {f"{index % 3}/{index}.png" for index in range(30)}
    for index in range(30):
        rgb = stills.cv2.imread(str(out / f"{index % 3}" / f"{index}.png"), stills.cv2.IMREAD_UNCHANGED)
        assert rgb.shape == (48, 64, 4)
    with Ledger(out, owner=False) as ledger:
        assert ledger.counts() == {"waiting": 0, "done": 30, "failed": 0}


def test_status_tells_done_failed_and_waiting_apart(inbox: Path, tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    picture(inbox / "good.png")
    (inbox / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    arguments = ["watch", str(inbox), str(out), "--method", "threshold", "--settle", "0", "--patience", "0", "--once"]
    pytest.importorskip("watchfiles", reason="the extra [serve] is not installed")
    assert cli(arguments) == 1  # a file failed
    assert cli(arguments) == 0  # what failed before is not tried again
    picture(inbox / "late.png")
    capsys.readouterr()
    assert cli(["watch", str(inbox), str(out), "--status"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 done, 1 failed, 0 waiting\n")
    assert "failed: bad.png: " in told
    assert cli(["watch", str(inbox), str(tmp_path / "nowhere"), "--status"]) == 1
    assert cli(["watch", str(inbox), str(out), "--settle", "-1"]) == 2
