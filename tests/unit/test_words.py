"""Small words in messages: one of a kind is in the singular, and a name stands once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streamseg.cli import cli, show
from streamseg.cli.session import Session
from streamseg.core.words import counted, were
from streamseg.errors import SourceError
from streamseg.report import Progress
from streamseg.segment import METHODS, method_class
from tests import stills
from tests.unit.fakes import a_report


def test_counted() -> None:
    assert [counted(number, "frame") for number in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert [counted(number, "class", "classes") for number in (1, 3)] == ["1 class", "3 classes"]
    assert [were(number) for number in (0, 1, 2)] == ["were", "was", "were"]


@pytest.mark.parametrize(("count", "wanted"), [(1, ("1 damaged frame skipped", "1 frame dropped", ": 1 frame in")),
                                               (2, ("2 damaged frames skipped", "2 frames dropped", ": 2 frames in"))])
def test_a_report_of_one_and_of_several(count: int, wanted: tuple[str, ...],
                                        capsys: pytest.CaptureFixture[str]) -> None:
    show.report(replace(a_report("a.mp4"), frames=count, damaged=count, dropped=count))
    told = capsys.readouterr().err
    assert [part for part in wanted if part not in told] == []


def test_a_batch_of_one_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stills.image(tmp_path / "a.png", size=(32, 24))
    assert cli(["batch", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--method", "threshold"]) == 0
    assert ", 1 frame, " in capsys.readouterr().err


def test_progress_of_one_frame() -> None:
    assert show.progress_line(Progress(1, None, 1.0)).startswith("1 frame, ")
    assert show.progress_line(Progress(2, None, 1.0)).startswith("2 frames, ")


@pytest.mark.parametrize(("message", "told"), [
    ("a.mp4 is damaged", "a.mp4 is damaged"), ("input 'a.mp4' is empty", "input 'a.mp4' is empty"),
    ("cannot read a.mp4: no", "cannot read a.mp4: no"), ("nothing decodes", "a.mp4: nothing decodes"),
    ("b-a.mp4 is damaged", "a.mp4: b-a.mp4 is damaged")])
def test_an_input_is_named_once(message: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Session().print_error(SourceError(message), "a.mp4")
    assert capsys.readouterr().err == f"streamseg: error: {told}\n"


@pytest.mark.parametrize("name", METHODS)
def test_a_methods_source_is_of_use_to_its_reader(name: str) -> None:
    assert "write-up" not in method_class(name).source
