"""Pictures that are under way together: copies of a method, and `streamseg run` with several files."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamseg.batch import item
from streamseg.batch.methods import Copies, Methods, TakesTurns
from streamseg.cli import cli
from streamseg.core.folders import made_folder
from streamseg.core.frames import Frame, Matte
from streamseg.errors import SinkError
from streamseg.segment import BaseSegmenter

PATIENCE = 20.0


class Counting(BaseSegmenter):
    """Meets others at ``together``, and knows how often it was reset."""

    def __init__(self, together: threading.Barrier | None = None) -> None:
        self.together, self.resets, self.closed, self.seen = together, 0, 0, 0

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.seen += 1
        if self.together is not None:
            self.together.wait(PATIENCE)
        return []

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


def in_threads(works: Sequence[Any]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_two_pictures_are_looked_at_at_once() -> None:
    together = threading.Barrier(2)  # of one copy alone it would break
    made: list[Counting] = []

    def make() -> Counting:
        made.append(Counting(together))
        return made[-1]

    copies = Copies(make(), make, 2)
    in_threads([lambda: TakesTurns(copies).segment([])] * 2)
    assert [one.seen for one in made] == [1, 1]
    copies.close()
    assert [one.closed for one in made] == [1, 1]


def test_there_are_never_more_copies_than_may_be() -> None:
    def none() -> Counting:
        raise AssertionError("a second one")

    only = Counting()
    copies = Copies(only, none, 1)
    in_threads([lambda: TakesTurns(copies).segment([])] * 6)
    assert only.seen == 6


def test_a_copy_forgets_the_frames_of_another_input() -> None:
    only = Counting()
    copies = Copies(only, Counting, 1)
    one, other = TakesTurns(copies), TakesTurns(copies)
    one.segment([])
    began = only.resets
    assert began >= 1
    one.segment([])
    assert only.resets == began  # the same input goes on
    other.segment([])
    assert only.resets > began
    began = only.resets
    one.segment([])
    assert only.resets > began


@pytest.mark.parametrize(("method", "threads", "most"), [("person", 2, 2), ("person", 1, 1), ("mog2", 2, 1)])
def test_copies_are_as_many_as_the_budget_keeps_busy(method: str, threads: int, most: int) -> None:
    """What learns from all frames is one."""
    methods = Methods()
    copies = methods.get({"method": method, "threads": threads}, "", stills=True)
    with contextlib.ExitStack() as stack:
        lent = [stack.enter_context(copies.lent(number)) for number in range(most)]
        assert len({id(one) for one in lent}) == most == copies._most
    methods.close()


def test_a_folder_that_another_has_asked_for_stays_when_one_fails(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    with made_folder(place):
        with pytest.raises(SinkError), made_folder(place):
            raise SinkError("no output")
        assert place.is_dir()
    assert place.is_dir()
    place.rmdir()
    with pytest.raises(SinkError), made_folder(place):
        with pytest.raises(SinkError), made_folder(place):
            raise SinkError("no output")
        raise SinkError("nor here")
    assert not place.exists()
    assert (tmp_path / "a").is_dir()  # it was there


def test_run_does_several_pictures_at_once_and_tells_of_them_in_order(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 48, 3), 40 * number, np.uint8))
    (tmp_path / "1.png").write_bytes(b"no picture")
    together, run_one, others = threading.Barrier(3), item.run_one, threading.Event()

    def meeting(source: str, *given: Any, **options: Any) -> Any:
        together.wait(PATIENCE)  # of pictures one after the other it would break
        if source.endswith("0.png"):
            assert others.wait(PATIENCE)  # the first is done last
        try:
            return run_one(source, *given, **options)
        finally:
            if source.endswith("2.png"):
                others.set()

    monkeypatch.setattr(item, "run_one", meeting)
    sources = [str(tmp_path / f"{number}.png") for number in range(3)]
    assert cli(["run", *sources, "-o", f"{tmp_path / 'out'}/", "--method", "threshold", "--threads", "2"]) == 1
    said = capsys.readouterr().err
    assert said.index(f"{sources[0]}: 1 frame") < said.index("error") < said.index(f"{sources[2]}: 1 frame")
    assert "1 of 3 inputs failed" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "2.png"]


def test_a_note_of_many_pictures_is_told_in_full_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((64, 96, 3), 40 * number, np.uint8))
    sources = [str(tmp_path / f"{number}.png") for number in range(3)]
    assert cli(["run", *sources, "-o", f"{tmp_path / 'out'}/"]) == 0
    said = capsys.readouterr().err
    assert said.count("no subject was found") == 3
    assert said.count("streamseg methods") == 1


def test_nothing_but_our_own_lines_is_said_of_several_pictures(tmp_path: Path) -> None:
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((64, 96, 3), 40 * number, np.uint8))
    said = subprocess.run([sys.executable, "-m", "streamseg", "run", *sorted(map(str, tmp_path.glob("*.png"))), "-o",
                           f"{tmp_path / 'out'}/", "--quiet"], capture_output=True, text=True, check=True)
    assert said.stderr == ""
