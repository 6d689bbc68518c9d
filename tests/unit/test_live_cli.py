"""`streamseg live`: one field one flag, settings from file and line, refusals."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from streamseg.cli import cli
from streamseg.cli.live import _given, live
from streamseg.errors import SourceError
from streamseg.live import config
from streamseg.live import run as live_run
from streamseg.live.controls import Controls
from streamseg.live.options import SHARED, LiveOptions, cpu_share
from streamseg.live.stats import LiveReport
from streamseg.live.types import Scene
from streamseg.options import Options
from streamseg.validation import default_of
from tests import clips
from tests.messages import messages
from tests.unit.live_fakes import FakeClock, control

FIELDS = {item.name: item for item in fields(LiveOptions)}
VALUES = {"camera": "1", "size": "640x480", "rate": "15", "format": "yuyv422", "backend": "opencv",
          "backgrounds": "blur,green", "max_cpu": "50%", "duration": 3.0, "audio": "default",
          "config": "live.toml", "json_stats": "out.jsonl", "whip_token": "sesame"}


def words_for(name: str) -> tuple[list[str], Any]:
    item = FIELDS[name]
    spelling = (item.metadata["flag"] or f"--{name.replace('_', '-')}").split("/")
    default = default_of(item)
    if isinstance(default, bool):
        return [spelling[1] if default else spelling[0]], not default
    return [spelling[0], str(VALUES[name])], VALUES[name]


def parsed(*words: str) -> dict[str, Any]:
    params = dict(live.make_context("live", list(words)).params)
    for name in ("source", "to", "save_config"):
        params.pop(name)
    return _given(params)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_has_one_flag_that_sets_it(name: str) -> None:
    words, value = words_for(name)
    assert parsed(*words) == {name: value}
    assert getattr(LiveOptions.of({name: value}), name) != default_of(FIELDS[name])


def test_the_flags_are_those_fields_the_shared_ones_and_a_few_of_its_own() -> None:
    names = {item.name for item in live.params if isinstance(item, click.Option)}
    assert names == set(FIELDS) | set(SHARED) | {"to", "save_config", "json", "quiet", "verbose"}
    assert set(SHARED) <= {item.name for item in fields(Options)}
    assert not set(SHARED) & set(FIELDS)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `live` asks the engine for, which does nothing but report."""
    seen: dict[str, Any] = {"failed": False}

    def run(source: Any, to: Any, *, options: Options, live: LiveOptions, on_begin: Any,
            on_stats: Any, accept: Any) -> LiveReport:
        seen.update(source=source, to=list(to), options=options, live=live, accept=accept)
        if "error" in seen:
            raise seen["error"]
        on_begin()
        on_stats({"fps": 30.0})
        row = {"name": "null", "failed": seen["failed"]}
        return LiveReport(1.0, 30, 30.0, {"p50": 10.0, "p95": 12.0, "max": 15.0}, 2, 30, 0, 0, 40.0, 180.0,
                          ["full"], [row], [(10.0, 30)], [], seen.get("damaged", 0))

    monkeypatch.setattr(live_run, "run", run)
    return seen


def test_without_anything_a_camera_goes_to_the_virtual_camera(asked: dict[str, Any]) -> None:
    assert cli(["live", "--quiet"]) == 0
    assert asked["source"] is None
    assert asked["to"] == ["virtual"]


def test_the_line_wins_over_the_settings_file(asked: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    path.write_text('to = ["null", "window"]\nblur = 0.9\nbackground = "green"\nmirror = true\n')
    assert cli(["live", "-q", "--config", str(path), "--blur", "0.2", "clip.mp4", "--realtime"]) == 0
    assert asked["to"] == ["null", "window"]
    assert asked["source"] == "clip.mp4"
    assert (asked["options"].blur, asked["options"].background) == (0.2, "green")
    assert asked["live"].mirror
    assert asked["live"].realtime


@pytest.mark.parametrize("number", ["50", "50.0"])
def test_the_settings_file_may_give_numbers_without_quotes(asked: dict[str, Any], tmp_path: Path, number: str
                                                           ) -> None:
    path = tmp_path / "live.toml"
    path.write_text(f'to = "null"\nmax_cpu = {number}\ncamera = 1\nbitrate = 2500000\n')
    assert cli(["live", "-q", "--config", str(path)]) == 0
    assert cpu_share(asked["live"].max_cpu) == 0.5
    assert (asked["to"], asked["live"].camera, asked["options"].bitrate) == (["null"], "1", "2500000")


def test_a_setting_of_the_wrong_type_is_an_error_and_no_defect(asked: dict[str, Any], tmp_path: Path,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "live.toml"
    path.write_text('mirror = "no"')
    assert cli(["live", "-q", "--config", str(path)]) == 2
    assert capsys.readouterr().err == ("streamseg: error: live.toml: mirror is 'no'; it must be true or "
                                       "false\n")
    assert "live" not in asked


@pytest.mark.parametrize(("name", "value", "message"), [
    ("background", "none", "no call shows"), ("background", "talk.mkv", "the same file"),
    ("smooth", "lookahead", "holds frames back"), ("max_cpu", "2%", "5% to 100%"),
    ("to", ["a.mkv", "./a.mkv"], "the same file"),
    ("camera", 7, ""), ("adapt", False, ""), ("background", "blue", "")])  # the first two do nothing here
def test_what_the_start_refuses_is_refused_when_the_settings_are_read_again(
        asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str], name: str, value: Any, message: str) -> None:
    """What is edited goes before the line: --background green is no reason to take another that cannot be."""
    monkeypatch.chdir(tmp_path)
    path, clock = Path("live.toml"), FakeClock()
    told = messages()
    Path("talk.mkv").write_bytes(b"")  # the recording
    begun = {"to": ["talk.mkv", "null"], "max_cpu": "50%", "mirror": True}
    path.write_text(config.text(begun))
    words = ["live", "-q", "--config", str(path), "clip.mp4", "--realtime"]
    assert cli([*words, "--background", "green"]) == 0
    state = control(background="green", mirror=True)
    desk = Controls(state, clock, settings=str(path), accept=asked["accept"])
    path.write_text(config.text({**begun, "mirror": False, name: value}))
    clock.time += 1.5
    desk()
    assert cli(words) == (2 if message else 0)
    refused = capsys.readouterr().err
    assert message in refused
    if message:
        assert told == [refused.removeprefix("streamseg: error: ").rstrip() + "; the previous settings stay"]
        assert state.scene == Scene("green", mirror=True)
    else:
        assert told[0].startswith("live.toml was read again")
        assert not state.scene.mirror


def test_save_config_writes_what_config_reads(asked: dict[str, Any], tmp_path: Path) -> None:
    path = str(tmp_path / "live.toml")
    assert cli(["live", "--to", "null", "--blur", "0.2", "--mirror", "--set", "block=3", "--save-config",
                path]) == 0
    assert "source" not in asked  # nothing ran
    assert cli(["live", "-q", "--config", path]) == 0
    assert (asked["to"], asked["options"].blur, asked["live"].mirror) == (["null"], 0.2, True)
    assert asked["options"].set == {"block": "3"}


def test_save_config_saves_no_leave_to_replace_files(asked: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    for words in ([], ["--config", str(path)]):  # new ones, and those there brought up to date
        words = ["--to", "null", "--mirror", *words, "--overwrite"]
        assert cli(["live", *words, "--save-config", str(path)]) == 0
        assert "overwrite" not in path.read_text().partition("\n")[2]
        assert cli(["live", "-q", "--config", str(path)]) == 0
        assert (asked["live"].mirror, asked["options"].overwrite) == (True, False)


def test_save_config_leaves_the_token_out(asked: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "live.toml"
    assert cli(["live", "--to", "whip:https://h/x", "--whip-token", "sesame", "--save-config", str(path)]) == 0
    assert "sesame" not in path.read_text()
    assert cli(["live", "-q", "--config", str(path), "--whip-token", "sesame"]) == 0
    assert (asked["to"], asked["live"].whip_token) == (["whip:https://h/x"], "sesame")


def test_settings_of_a_file_wait_while_another_source_is_named(asked: dict[str, Any], tmp_path: Path) -> None:
    """A file serves several sources: what it says of the camera does nothing to a clip, and is no mistake."""
    path, again = tmp_path / "live.toml", tmp_path / "again.toml"
    path.write_text('to = "null"\ncamera = "7"\nsize = "640x480"\nreconnect = true\nmax_cpu = "50%"\n')
    words = ["live", "-q", "--config", str(path), "clip.mp4", "--realtime"]
    assert cli([*words, "--no-adapt"]) == 0
    assert (asked["live"].camera, asked["live"].reconnect, asked["live"].max_cpu) == (None, False, None)
    assert cli([*words, "--save-config", str(again)]) == 0
    assert 'camera = "7"' in again.read_text()
    assert cli(["live", "-q", "--config", str(again)]) == 0
    assert (asked["source"], asked["live"].size, asked["live"].max_cpu) == ("clip.mp4", None, "50%")
    assert cli(["live", "-q", "--config", str(path)]) == 0
    assert (asked["live"].camera, asked["live"].reconnect) == ("7", True)


def test_what_is_on_the_line_and_does_nothing_is_refused(asked: dict[str, Any], tmp_path: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "live.toml"
    path.write_text('to = "null"\nsource = "clip.mp4"\nrealtime = true\nadapt = false\n')
    for words, message in ((["--camera", "7"], "--camera 7: no effect with the source clip.mp4"),
                           (["--max-cpu", "50%"], "--no-adapt switches off")):
        assert cli(["live", "-q", "--config", str(path), *words]) == 2
        assert message in capsys.readouterr().err
    assert "live" not in asked


def test_standard_output_takes_the_lines_or_the_report_and_not_both(asked: dict[str, Any],
                                                                   capsys: pytest.CaptureFixture[str]
                                                                   ) -> None:
    assert cli(["live", "--to", "null", "--json", "--json-stats", "-"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--json and --json-stats - both want standard output" in err
    assert "live" not in asked


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
@pytest.mark.parametrize("place", [["--to"], ["--to", "null", "--json-stats"]])
def test_an_output_over_the_source_is_refused_and_the_source_stays(
        tmp_path: Path, words: list[str], place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    clip = clips.video(tmp_path / "clip.mp4", frames=3)
    before = clip.read_bytes()
    playing = ["live", "-q", str(clip), "--realtime", "--method", "threshold", *words]
    assert cli([*playing, *place, str(clip)]) == 2
    assert "and the source" in capsys.readouterr().err
    assert clip.read_bytes() == before


def test_json_stats_on_standard_output_is_a_line_each_and_nothing_else(asked: dict[str, Any],
                                                                      capsys: pytest.CaptureFixture[str]
                                                                      ) -> None:
    assert cli(["live", "--to", "null", "--json-stats", "-"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [{"fps": 30.0}]
    assert "30 frames in 1.0 s, 30.0 fps, delay 10.0 ms (95 %: 12.0)" in err


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
def test_json_stats_of_a_run_that_cannot_start_leave_everything_as_it_was(
        asked: dict[str, Any], tmp_path: Path, words: list[str]) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("precious")
    asked["error"] = SourceError("no camera")
    for path in (old, new):
        assert cli(["live", "-q", "--to", "null", "--json-stats", str(path), *words]) == 1
    assert old.read_text() == "precious"
    assert not new.exists()


def test_json_stats_replace_a_file_only_with_overwrite(asked: dict[str, Any], tmp_path: Path,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    words = ["live", "-q", "--to", "null", "--json-stats", str(path)]
    assert cli(words) == 0
    path.write_text("precious" * 9)
    assert cli(words) == 1
    assert path.read_text() == "precious" * 9
    assert f"{path} exists; give another name, or --overwrite" in capsys.readouterr().err
    assert cli([*words, "--overwrite"]) == 0
    assert json.loads(path.read_text()) == {"fps": 30.0}


@pytest.mark.parametrize(("name", "message"), [
    ("", "a folder; name a file in it"), ("missing/x.json", "does not exist; make it first"),
    ("x" * 300, "cannot be written: File name too long")])
def test_json_stats_that_cannot_be_written_are_refused_before_the_run(
        asked: dict[str, Any], tmp_path: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
        ) -> None:
    assert cli(["live", "-q", "--to", "null", "--json-stats", str(tmp_path / name)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "internal" not in error
    assert "source" not in asked  # nothing ran


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full, which holds nothing, is Linux's")
def test_json_stats_to_a_device_replace_nothing_and_a_full_one_is_told(
        asked: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["live", "-q", "--to", "null", "--json-stats", "/dev/null"]) == 0
    assert cli(["live", "-q", "--to", "null", "--json-stats", "/dev/full"]) == 1
    assert ("error: the statistics cannot be written to /dev/full: No space left on device; give --json-stats "
            "another place") in capsys.readouterr().err


def test_json_stats_to_a_standard_output_that_is_closed_are_refused(
        asked: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)  # as Python has it after `>&-`
        assert cli(["live", "-q", "--to", "null", "--json-stats", "-"]) == 1
    assert "--json-stats - means standard output, which is closed" in capsys.readouterr().err
    assert "source" not in asked  # nothing ran


@pytest.mark.parametrize("words", [["--save-config", ""], ["--config", ""]], ids=lambda words: words[0])
def test_a_settings_file_without_a_name_is_refused(asked: dict[str, Any], words: list[str],
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["live", "-q", "--to", "null", *words]) == 2
    assert f"{words[0]} is ''; it must be a file; leave it out, or see whether" in capsys.readouterr().err
    assert "source" not in asked


def test_damaged_parts_that_were_skipped_are_counted_in_the_last_line(capsys: pytest.CaptureFixture[str],
                                                                      asked: dict[str, Any]) -> None:
    for damaged, said in ((0, "2 dropped, CPU"), (1, "2 dropped, 1 damaged part skipped, CPU"),
                          (3, "2 dropped, 3 damaged parts skipped, CPU")):
        asked["damaged"] = damaged
        assert cli(["live", "--to", "null", "--on-error", "skip"]) == 0
        assert said in capsys.readouterr().err
    assert asked["options"].on_error == "skip"


def test_an_output_that_failed_makes_the_exit_code_1(asked: dict[str, Any]) -> None:
    asked["failed"] = True
    assert cli(["live", "-q", "--to", "null"]) == 1
