"""What the command line prints where, and what it ends with. ``streamseg.api.run`` is a fake here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamseg import api as pipeline
from streamseg.cli import cli, show
from streamseg.errors import DeviceError, MissingDependencyError, OptionError, SourceError
from streamseg.options import Options
from streamseg.report import Progress, Report
from tests.unit.fakes import a_report

Call = dict[str, Any]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Calls of ``run``, which calls back twice and reports, or raises ``failure[source]``."""
    made: list[Call] = []

    def run(source: str, sinks: list[str], *, progress: Callable[[Progress], None] | None = None,
            **options: Any) -> Report:
        made.append({"source": source, "sinks": sinks, **options})
        Options.of(options)
        if source in FAILURES:
            raise FAILURES[source]
        if progress is not None:
            progress(Progress(0, 300, 0.0, "the CPU"))
            progress(Progress(120, 300, 4.0))
            progress(Progress(180, 300, 6.0))
        return a_report(source)

    monkeypatch.setattr(pipeline, "run", run)
    return made


FAILURES: dict[str, BaseException] = {
    "bad.mp4": SourceError("bad.mp4 is no video:\nnothing decodes"),
    "worse.mp4": OptionError("method is 'x'; allowed are: a, b"),
    "gpu.mp4": DeviceError("device is 'gpu'; there is none"),
    "lib.mp4": MissingDependencyError("keras is not installed: pip install keras"),
    "defect.mp4": KeyError("k"),
    "stop.mp4": KeyboardInterrupt(),
}


def test_run_hands_inputs_outputs_and_only_given_options_on(calls: list[Call]) -> None:
    assert cli(["run", "in.mp4", "-o", "a.mp4", "-o", "b.mov", "--matte", "m.mkv", "--method", "threshold",
                "--set", "value=90", "--no-audio", "--blur", "0.3"]) == 0
    assert calls == [{"source": "in.mp4", "sinks": ["a.mp4", "b.mov"], "matte": "m.mkv",
                      "method": "threshold", "set": {"value": "90"}, "audio": False, "blur": 0.3}]


def test_the_report_is_on_standard_error_and_text_is_taken_literally(
        calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "in[red].mp4", "-o", "x.mp4"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    for part in ("in[red].mp4: 300 frames in 4.0 s, 75.0 fps, method threshold", "out[b].mp4", "1.2 MB",
                 "2 damaged frames skipped",
                 "note: sound was transcoded to aac"):
        assert part in err
    assert "p95" not in err


def test_verbose_adds_stages_and_queues(calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "in.mp4", "-o", "x.mp4", "-v"]) == 0
    err = capsys.readouterr().err
    rows = [line.split() for line in err.splitlines()]
    assert ["segment", "1.50", "2.50", "0.45"] in rows
    assert ["segment", "1", "1", "0"] in rows
    assert "peak memory 120 MiB" in err
    assert "mattes 100 computed, 200 carried, 0 kept" in err
    assert "first frame after 0.25 s" in err


def test_a_pipe_gets_plain_lines_every_few_seconds(calls: list[Call],
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    cli(["run", "in.mp4", "-o", "x.mp4"])
    lines = [line for line in capsys.readouterr().err.splitlines() if " left" in line]
    assert lines == ["streamseg: in.mp4: 180/300 frames, 30.0 fps, 0:04 left"]  # the first came too early


def test_progress_tells_the_size_at_the_end_where_it_is_known() -> None:
    assert show.progress_line(Progress(120, 300, 4.0)) == "120/300 frames, 30.0 fps, 0:06 left"
    assert show.progress_line(Progress(120, 300, 4.0, expected_bytes=12_410_000)) == (
        "120/300 frames, 30.0 fps, 0:06 left, about 12.4 MB")


def test_what_the_method_runs_on_is_said_before_the_first_frame(
        calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    cli(["run", "in.mp4", "-o", "x.mp4"])
    err = capsys.readouterr().err
    assert err.splitlines()[0] == "streamseg: in.mp4: runs on the CPU"
    assert "method threshold on the CPU" in err


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(show, "is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_a_terminal_gets_a_bar(calls: list[Call], capsys: pytest.CaptureFixture[str],
                               monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, 100)
    assert cli(["run", "in.mp4", "-o", "x.mp4"]) == 0
    err = capsys.readouterr().err
    assert "120/300 frames, 30.0 fps, 0:06 left" in err
    assert "━" in err
    assert "\x1b[?25h" in err  # the cursor is back


def test_the_figures_of_a_long_name_fit_a_narrow_terminal(calls: list[Call], capsys: pytest.CaptureFixture[str],
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, 60)
    assert cli(["run", "a film with a name of many words, 2.mp4", "-o", "x.mp4"]) == 0
    err = capsys.readouterr().err
    assert "a film with a n… " in err
    assert "120/300 frames, 30.0 fps, 0:06 left" in err


def test_quiet_prints_nothing(calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "in.mp4", "-o", "x.mp4", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_quiet_and_verbose_exclude_each_other(calls: list[Call]) -> None:
    assert cli(["run", "in.mp4", "-o", "x.mp4", "-q", "-v"]) == 2
    assert calls == []


def test_json_is_one_object_and_nothing_else(calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "in.mp4", "-o", "x.mp4", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found == {"exit_code": 0, "runs": [json.loads(json.dumps(a_report().to_dict()))]}
    assert err == ""


def test_json_tells_of_failures_too(calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "bad.mp4", "-o", "x.mp4", "--json"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["exit_code"] == 1
    assert found["runs"] == [{"input": "bad.mp4", "error": {"type": "SourceError",
                                                            "message": str(FAILURES["bad.mp4"])}}]
    assert err == "streamseg: error: bad.mp4 is no video: nothing decodes\n"


def test_json_and_a_stream_cannot_share_standard_output(calls: list[Call],
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "in.mp4", "-o", "-", "--json"]) == 2
    assert calls == []
    out, err = capsys.readouterr()
    assert out == ""  # whoever reads it waits for a film
    assert "both want standard output" in err


@pytest.mark.parametrize(("arguments", "code", "type_", "message"), [
    (["run", "in.mp4", "-o", "x.mp4", "--blur", "7"], 2, "OptionError", "blur is 7; allowed is 0 to 1"),
    (["run", "in.mp4", "-o", "x.mp4", "--fit", "tall"], 2, "BadParameter", "'tall' is not one of 'cover'"),
    (["run"], 2, "MissingParameter", "Missing argument 'INPUT...'."),
    (["run", "in.mp4", "--bakground", "blur"], 2, "NoSuchOption", "--bakground"),
    (["rum", "in.mp4"], 2, "NoSuchCommand", "Did you mean 'run'?"),
    (["run", "defect.mp4", "-o", "x.mp4"], 1, "KeyError", "'k'"),
    (["compare", "in.mp4", "--methods", "a,a", "-o", "x.png"], 2, "OptionError", "name each method once"),
    (["bench", "--batch", "0"], 2, "OptionError", "--batch is '0'"),
    (["eval", "nothing.mkv", "none.mkv"], 1, "SourceError", "nothing.mkv does not exist"),
    (["methods", "nothing"], 2, "OptionError", "method is 'nothing'"),
    (["live", "--blur", "7"], 2, "OptionError", "blur is 7; allowed is 0 to 1")],
    ids=lambda value: value[0] if isinstance(value, list) else None)
def test_json_tells_of_every_commands_end(calls: list[Call], capsys: pytest.CaptureFixture[str],
                                          arguments: list[str], code: int, type_: str, message: str) -> None:
    assert cli([*arguments, "--json"]) == code
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["exit_code"], found["error"]["type"]) == (code, type_)
    assert message in found["error"]["message"]
    assert found["error"]["message"].splitlines()[0] in err  # the line for people stays


@pytest.mark.parametrize(("last", "code", "message"), [("stop.mp4", 130, "interrupted"),
                                                       ("defect.mp4", 1, "'k'")])
def test_json_keeps_the_runs_that_were_done_before_an_end(
        calls: list[Call], tmp_path: Path, capsys: pytest.CaptureFixture[str], last: str, code: int,
        message: str) -> None:
    assert cli(["run", "a.mp4", "bad.mp4", last, "b.mp4", "-o", f"{tmp_path}/", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert [run["input"] for run in found["runs"]] == ["a.mp4", "bad.mp4"]
    assert (found["exit_code"], found["error"]["message"]) == (code, message)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full, which holds nothing, is Linux's")
def test_json_of_an_error_that_cannot_be_printed_is_no_defect(calls: list[Call],
                                                              capsys: pytest.CaptureFixture[str],
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert cli(["run", "in.mp4", "-o", "x.mp4", "--blur", "7", "--json"]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "streamseg: error: blur is 7; allowed is 0 to 1"
    assert second.startswith("streamseg: error: standard output cannot be written: No space left on device")


@pytest.mark.parametrize(("source", "code", "message"), [
    ("bad.mp4", 1, "bad.mp4 is no video: nothing decodes"),
    ("gpu.mp4", 1, "device is 'gpu'; there is none"),
    ("lib.mp4", 1, "keras is not installed: pip install keras"),
    ("worse.mp4", 2, "method is 'x'; allowed are: a, b")])
def test_an_error_is_one_line_and_its_exit_code(calls: list[Call], capsys: pytest.CaptureFixture[str],
                                                source: str, code: int, message: str) -> None:
    assert cli(["run", source, "-o", "x.mp4"]) == code
    assert capsys.readouterr() == ("", f"streamseg: error: {message}\n")


def test_verbose_shows_where_an_error_came_from(calls: list[Call],
                                                capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "bad.mp4", "-o", "x.mp4", "--verbose"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("streamseg: error: bad.mp4 is no video: nothing decodes\n")


def test_a_defect_is_one_line_that_asks_for_a_report(calls: list[Call],
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "defect.mp4", "-o", "x.mp4"]) == 1
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith("streamseg: internal error: KeyError: 'k' (a defect")


@pytest.mark.parametrize("arguments", [
    ["run"], ["run", "in.mp4"], ["run", "in.mp4", "-o", "x.mp4", "--fit", "tall"],
    ["run", "in.mp4", "-o", "x.mp4", "--blur", "7"], ["run", "in.mp4", "-o", "x.mp4", "--rate", "fast"],
    ["run", "in.mp4", "-o", "x.mp4", "--nothing"], ["nothing"], ["completion", "tcsh"],
    ["run", "a.mp4", "b.mp4", "-o", "x.mp4"], ["compare", "in.mp4", "--methods", "a,a", "-o", "x.png"]],
    ids=" ".join)
def test_usage_errors_end_with_2_before_anything_runs(calls: list[Call], capsys: pytest.CaptureFixture[str],
                                                      arguments: list[str]) -> None:
    assert cli(arguments) == 2
    assert calls == []
    out, err = capsys.readouterr()
    assert out == ""
    assert "rror: " in err


def test_of_several_inputs_a_failed_one_does_not_stop_the_others(calls: list[Call], tmp_path: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "a.mp4", "bad.mp4", "gpu.mp4", "b.mp4", "-o", f"{tmp_path}/new/deep/"]) == 1
    assert [call["source"] for call in calls] == ["a.mp4", "bad.mp4", "gpu.mp4", "b.mp4"]
    assert (tmp_path / "new/deep").is_dir()
    err = capsys.readouterr().err
    assert "streamseg: error: bad.mp4 is no video" in err
    assert err.endswith("streamseg: 2 of 4 inputs failed\n")
    assert "b.mp4: 300 frames" in err


def test_several_inputs_json_lists_every_run(calls: list[Call], tmp_path: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "a.mp4", "bad.mp4", "b.mp4", "-o", f"{tmp_path}/", "--json"]) == 1
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["input"] for run in runs] == ["a.mp4", "bad.mp4", "b.mp4"]
    assert ["error" in run for run in runs] == [False, True, False]


@pytest.mark.parametrize("inputs", [("worse.mp4", "b.mp4"), ("b.mp4", "worse.mp4")])
def test_an_input_that_its_values_do_not_fit_does_not_stop_the_others_either(
        calls: list[Call], tmp_path: Path, capsys: pytest.CaptureFixture[str],
        inputs: tuple[str, str]) -> None:
    assert cli(["run", *inputs, "-o", f"{tmp_path}/", "--json"]) == 1
    assert [call["source"] for call in calls] == list(inputs)
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["exit_code"] == 1
    assert [run.get("error", {}).get("type") for run in found["runs"]] == [
        "OptionError" if source == "worse.mp4" else None for source in inputs]
    assert err == ("streamseg: error: worse.mp4: method is 'x'; allowed are: a, b\n"
                   "streamseg: 1 of 2 inputs failed\n")


@pytest.mark.parametrize("inputs", [["worse.mp4"], ["worse.mp4", "worst.mp4"]], ids=len)
def test_where_no_input_could_be_run_with_its_values_the_code_is_2(
        calls: list[Call], tmp_path: Path, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch, inputs: list[str]) -> None:
    monkeypatch.setitem(FAILURES, "worst.mp4", OptionError("method is 'y'"))
    assert cli(["run", *inputs, "-o", f"{tmp_path}/", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == 2
    assert [run["input"] for run in found["runs"]] == inputs


@pytest.mark.parametrize("folder", ["afile", "afile/deep", "/proc/new"])
def test_a_folder_that_cannot_be_made_is_each_inputs_error(calls: list[Call], tmp_path: Path, folder: str,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "afile").write_bytes(b"mine")
    target = os.path.join(tmp_path, folder, "")
    assert cli(["run", "a.mp4", "b.mp4", "-o", target]) == 1
    err = capsys.readouterr().err
    assert err.count(f"{target.rstrip('/')}: no folder can be made there (") == 2
    assert calls == []


def test_a_folder_that_no_input_came_into_goes_again(calls: list[Call], tmp_path: Path) -> None:
    assert cli(["run", "bad.mp4", "gpu.mp4", "-o", f"{tmp_path}/new/", "--matte", f"{tmp_path}/m/deep/"]) == 1
    assert len(calls) == 2
    assert list(tmp_path.iterdir()) == []


def test_standard_output_that_is_no_pipe_is_refused(calls: list[Call], monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli(["run", "in.mp4", "--matte", "-"]) == 1
    assert "standard output, which is the terminal: pipe it into a program" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)  # as Python has it after `>&-`
        assert cli(["run", "in.mp4", "-o", "-"]) == 1
    assert "standard output, which is closed" in capsys.readouterr().err
    assert calls == []


def test_ctrl_c_ends_with_130(calls: list[Call], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["run", "stop.mp4", "-o", "x.mp4"]) == 130
    assert capsys.readouterr().err.strip() == "streamseg: interrupted"
