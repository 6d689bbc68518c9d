"""An output without a name, as of a variable that is not set: refused, not the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest

import streamseg
from streamseg.cli import cli
from streamseg.errors import OptionError
from streamseg.sink import open_sink
from tests import clips

from .sink_tools import about, made

RUN = ["run", "in.mkv", "--method", "threshold", "--background", "blue"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clips.video(tmp_path / "in.mkv", frames=2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("words", "said"), [
    ([*RUN, "-o", ""], "-o is ''"), ([*RUN, "in.mkv", "-o", ""], "-o is ''"),
    ([*RUN, "-o", "o.mkv", "--matte", ""], "matte is ''"), ([*RUN, "--cutout", ""], "cutout is ''"),
    ([*RUN, "-o", "o.mkv", "--codec", ""], "codec is ''"), (["demo", "--out", ""], "folder is ''"),
    (["compare", "in.mkv", "--methods", "threshold", "-o", ""], "the sheet is ''"),
    (["eval", "in.mkv", "in.mkv", "--csv", ""], "output is ''"), (["bench", "-o", ""], "folder is ''"),
    (["live", "in.mkv", "--realtime", "--to", ""], "''"),
    (["live", "in.mkv", "--json-stats", ""], "json_stats is ''")], ids=str)
def test_commands_refuse_an_output_without_a_name(folder: Path, capsys: pytest.CaptureFixture[str],
                                                  words: list[str], said: str) -> None:
    assert cli(words) == 2
    assert said in capsys.readouterr().err
    assert [item.name for item in folder.iterdir()] == ["in.mkv"]


def test_python_refuses_an_output_without_a_name(folder: Path) -> None:
    with pytest.raises(OptionError, match=r"output is ''; it must be a file, a folder/, - or null:; leave"):
        streamseg.run("in.mkv", "", method="threshold", background="blue")
    with pytest.raises(OptionError, match="output is ''"):
        open_sink("", about(made()))
    assert [item.name for item in folder.iterdir()] == ["in.mkv"]
