"""`streamseg bench` as a command: what it prints, writes and refuses, and its exit codes. No run is made."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import streamseg.tools.bench
from streamseg.cli import cli
from streamseg.cli.bench import Percent
from streamseg.errors import MissingDependencyError, StreamsegError
from streamseg.tools.bench.plots import draw
from tests.unit.bench_tools import Result, a_result, a_row


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Result:
    """What the measurement gives: no run is made. ``calls`` gets the arguments."""
    result = a_result(a_row("person", alone_ms={"decode": 1.5, "infer": 12.0}))
    result["calls"] = []

    def fake(clip: str | None, **arguments: Any) -> Result:
        arguments.pop("progress")
        result["calls"].append({"clip": clip, **arguments})
        return {key: value for key, value in result.items() if key != "calls"}

    monkeypatch.setattr(streamseg.tools.bench, "bench", fake)
    return result


def test_the_table_names_methods_stages_and_the_machine(
        measured: Result, capsys: pytest.CaptureFixture[str]) -> None:
    measured["rows"].append({"name": "other", "method": "other", "error": "it has no weights"})
    assert cli(["bench", "in.mp4"]) == 0  # of all methods one may be missing
    out, err = capsys.readouterr()
    assert out == ""
    for part in ("51.0", "0.63", "50.0 to 52.0", "none", "12.00", "failed: it has no weights",
                 "a, 2 cores, GPU none"):
        assert part in err


@pytest.mark.filterwarnings("error")
def test_stages_that_could_not_be_measured_alone_leave_the_other_figures(
        measured: Result, capsys: pytest.CaptureFixture[str]) -> None:
    measured["rows"][1] = a_row("person", alone_error="the stages could not be measured: it broke")
    assert cli(["bench", "in.mp4"]) == 0
    err = capsys.readouterr().err
    for part in ("50.0 to 52.0", "5.10", "alone: failed: the stages could not be measured: it broke"):
        assert part in err
    assert set(draw(measured)) == {"bench-fps.png", "bench-stages.png"}


@pytest.mark.parametrize("asked", [["--methods", "person,other"], ["--device", "gpu"]])
def test_what_was_asked_for_by_name_and_failed_is_an_error(measured: Result, asked: list[str]) -> None:
    assert cli(["bench", "in.mp4", *asked, "-q"]) == 0
    measured["rows"].append({"name": "other", "method": "other", "error": "it has no weights"})
    assert cli(["bench", "in.mp4", *asked, "-q"]) == 1


def test_flags_reach_the_measurement(measured: Result) -> None:
    assert cli(["bench", "in.mp4", "--methods", "person", "--device", "cpu,gpu", "--batch", "1,8",
                "--background", "blur", "--repeats", "7", "-q"]) == 0
    assert cli(["bench", "--quick", "-q"]) == 0
    assert measured["calls"] == [
        {"clip": "in.mp4", "methods": ["person"], "devices": ["cpu", "gpu"], "batches": [1, 8], "repeats": 7,
         "seconds": 5.0, "before": None, "background": "blur"},
        {"clip": None, "methods": ["default"], "devices": ["auto"], "batches": [1], "repeats": 2,
         "seconds": 1.5, "before": None}]


def test_json_is_the_only_thing_on_standard_output(
        measured: Result, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["bench", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"][1]["name"] == "person"
    assert err == ""


def test_a_folder_gets_the_json_and_the_plots_once(measured: Result, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert cli(["bench", "-q", "-o", str(folder)]) == 0
    assert {item.name for item in folder.iterdir()} == {"bench-fps.png", "bench-stages.png", "bench.json"}
    assert json.loads((folder / "bench.json").read_text())["rows"][1]["fps"]["median"] == 51.0
    assert (folder / "bench-fps.png").read_bytes().startswith(b"\x89PNG")
    assert cli(["bench", "-q", "-o", str(folder)]) == 1
    assert cli(["bench", "-q", "-o", str(folder), "--overwrite"]) == 0
    assert len(measured["calls"]) == 2  # what cannot be written is refused before anything is measured


@pytest.mark.parametrize(("segment", "allowed", "code"), [(5.0, "10%", 0), (9.0, "10%", 1), (9.0, "90", 0)])
def test_a_slower_stage_is_named_and_ends_with_code_1(
        measured: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str], segment: float, allowed: str,
        code: int) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(a_result(a_row("person"))))
    measured["rows"][1] = a_row("person", segment=(segment, segment + 0.1))
    assert cli(["bench", "--compare", str(old), "--fail-over", allowed]) == code
    said = "streamseg: person: segment ms 5 -> 9, 80% worse, more than 10%"
    assert (said in capsys.readouterr().err) is bool(code)


@pytest.mark.parametrize(("then", "code"), [(a_row("other"), 1), ({"name": "other", "error": "the same"}, 0)],
                         ids=["it worked", "it did not"])
def test_a_method_that_worked_then_and_fails_now_is_named_and_ends_with_code_1(
        measured: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str], then: Result,
        code: int) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps(a_result(a_row("person"), then)))
    measured["rows"].append({"name": "other", "method": "other", "error": "it broke"})
    assert cli(["bench", "--compare", str(old), "-q"]) == code
    said = "streamseg: other: it worked then and fails now: it broke\n"
    assert capsys.readouterr().err == (said if code else "")


@pytest.mark.parametrize("words", [
    ["--compare", "nothing.json"], ["--methods", "person,person"], ["--batch", "0"], ["--batch", "x"],
    ["--device", "tpu"], ["--blur", "7"], ["--fail-over", "much"], ["--fail-over", "5%"], ["--repeats", "0"],
    ["--seconds", "0"]],
    ids=" ".join)
def test_what_makes_no_sense_is_refused_before_anything_is_measured(
        measured: Result, words: list[str]) -> None:
    assert cli(["bench", *words]) == 2
    assert measured["calls"] == []


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any run, and the making of a clip, is a failure of the test."""
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("something was run")

    for name in ("run_once", "make_clip", "_alone"):
        monkeypatch.setattr(streamseg.tools.bench, name, never)


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(("words", "said"), [
    (["--methods", "threshold,nope"], "method is 'nope'"), (["--background", "gren"], "did you mean green"),
    (["--background", "none"], "transparency"), (["--codec", "h265"], "h265"),
    (["--codec-set", "presett=fast"], "presett"), (["--every", "never"], "never")], ids=str)
def test_values_that_no_run_takes_are_refused_before_anything_is_measured(
        words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["bench", "--methods", "threshold", *words, "-o", str(tmp_path / "new")]) == 2
    line, = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(
        measured: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "afile").write_bytes(b"mine")
    (tmp_path / "taken" / "bench.json").mkdir(parents=True)
    for folder in (tmp_path / "afile", tmp_path / "afile" / "deep", Path("/proc/new"), tmp_path / "taken"):
        assert cli(["bench", "-q", "-o", str(folder), "--overwrite"]) == 1
        line, = capsys.readouterr().err.splitlines()
        assert line.startswith(f"streamseg: error: {folder}")
    assert measured["calls"] == []


def test_a_measurement_that_fails_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise StreamsegError("nothing could be measured")

    monkeypatch.setattr(streamseg.tools.bench, "bench", failing)
    assert cli(["bench", "-q", "-o", str(tmp_path / "new" / "deep")]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_result_is_refused(measured: Result, tmp_path: Path) -> None:
    for text in ("{", "[]", "{}"):
        (tmp_path / "old.json").write_text(text)
        assert cli(["bench", "--compare", str(tmp_path / "old.json")]) == 2
    assert measured["calls"] == []


def test_plots_without_matplotlib_name_the_extra(measured: Result, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError("no matplotlib")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match=r"pip install 'streamseg\[bench\]'"):
        draw(a_result(a_row("person")))
    assert cli(["bench", "-o", str(tmp_path / "x")]) == 1
    assert measured["calls"] == []


def test_a_percentage_is_read_with_and_without_its_sign() -> None:
    texts = ("10%", "10", "2.5%", "0")
    assert [Percent().convert(text, None, None) for text in texts] == [0.1, 0.1, 0.025, 0]


def test_help_ends_with_examples() -> None:
    from streamseg.cli import group
    text = CliRunner().invoke(group, ["bench", "--help"]).output
    assert "--compare before/bench.json --fail-over 10%" in text
