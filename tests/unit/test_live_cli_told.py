"""`streamseg live`: what it refuses, what its help says, what holds where nothing is said."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streamseg.cli import group
from streamseg.core.clock import SystemClock
from streamseg.core.frames import VideoInfo
from streamseg.errors import OptionError
from streamseg.live import run as live_run
from streamseg.live.endpoints import Opener
from streamseg.options import Options
from tests import clips


def refusal(*words: str) -> str:
    result = CliRunner().invoke(group, ["live", *words], standalone_mode=False)
    assert isinstance(result.exception, OptionError), result.output
    return str(result.exception)


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    method = ["--method", "threshold"]
    assert "--realtime plays it" in refusal(*method, "clip.mp4", "--to", "null")
    assert "no call shows" in refusal(*method, "--background", "none", "--to", "null")
    assert "5% to 100%" in refusal(*method, "--max-cpu", "0")
    clip = str(clips.video(tmp_path / "clip.mp4", frames=3))
    playing = [*method, clip, "--realtime", "--to", "null"]
    assert "holds frames back" in refusal(*playing, "--smooth", "lookahead")
    assert "--on-demand: no effect with the source" in refusal(*playing, "--on-demand")


@pytest.mark.parametrize(("listed", "message"), [
    ("blur,missing.jpg", "--backgrounds: background 'missing.jpg' is neither"),
    ("grene", "did you mean green"), ("blur,none", "--backgrounds: background none leaves transparency")])
@pytest.mark.parametrize("more", [[], ["--save-config", "live.toml"]], ids=["run", "save"])
def test_backgrounds_that_a_key_could_not_show_are_refused_at_the_start(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: str, message: str, more: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refusal("--to", "null", "--backgrounds", listed, *more)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "message"), [
    (["--background", "none"], "no call shows"), (["--smooth", "lookahead"], "holds frames back"),
    (["a.mp4", "--realtime", "--camera", "7"], "--camera 7: no effect with the source a.mp4"),
    (["--to", "t.mkv", "--to", "./t.mkv"], "the same file")])
def test_save_config_saves_nothing_that_the_next_start_refuses(tmp_path: Path, words: list[str], message: str
                                                               ) -> None:
    path = tmp_path / "live.toml"
    assert message in refusal(*words, "--save-config", str(path))
    assert not path.exists()


def test_an_output_that_is_none_is_refused(tmp_path: Path) -> None:
    info = VideoInfo(64, 48, "yuv420p", Fraction(1, 30))
    opener = Opener(info, Options(), None, SystemClock(), False)
    for target, words in (("nowhere", "must be virtual, window"), ("clip.avi", ".mkv or .mp4"),
                          ("http://host/x", "streams go to rtmp://")):
        with pytest.raises(OptionError, match=words):
            opener(target)


@pytest.mark.parametrize("command", ["live", "cameras"])
def test_help_loads_nothing_heavy(command: str) -> None:
    code = ("import sys\nfrom streamseg.cli import cli\n"
            f"assert cli(['{command}', '--help']) == 0\n"
            "sys.exit(' '.join(name for name in ('av', 'cv2', 'numpy', 'rich') if name in sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    assert (done.returncode, done.stderr.strip()) in ((0, ""), (1, "")), done.stderr
    assert "Usage: streamseg" in done.stdout


def help_of(command: str, flag: str) -> str:
    """What a command's --help says of a flag."""
    shown = CliRunner().invoke(group, [command, "--help"], terminal_width=400).output
    line = next(line for line in shown.splitlines() if line.strip().startswith(f"{flag} "))
    after = shown[shown.index(line):].splitlines()
    while len(after) > 1 and after[1].startswith(" " * 10):
        line += " " + after.pop(1).strip()
    return line


@pytest.mark.parametrize(("flag", "live_says", "run_says"), [
    ("--background", "default: blur.", "default: none where the output can hold alpha, else green."),
    ("--threads", f"default: {2 * live_run.NET_THREADS} (2 on a single core).", "default: the number of cores.")])
def test_help_says_what_is_true_of_the_command(flag: str, live_says: str, run_says: str) -> None:
    assert live_says in help_of("live", flag)
    assert run_says in help_of("run", flag)
    assert run_says not in help_of("live", flag)


@pytest.mark.parametrize(("given", "wanted"), [
    ({}, {"detail": "medium", "roi": False}),
    ({"set": {"detail": "high"}}, {"detail": "high", "roi": False}),
    ({"method": "threshold", "set": {"value": 99}}, {"value": 99}),
])
def test_the_model_is_set_to_be_quick_unless_it_is_told_otherwise(
        given: dict[str, Any], wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(live_run.segment, "create_segmenter", lambda name, settings, **context: seen.update(settings))
    live_run.model_of(Options.of(given))
    assert seen == wanted


@pytest.mark.parametrize(("cores", "given", "net"), [(1, None, 1), (2, None, 2), (64, None, 2), (64, 8, 4)])
def test_the_net_gets_two_threads_where_there_are_two_cores(
        cores: int, given: int | None, net: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_run, "cores", lambda: cores)
    model = live_run.model_of(Options(threads=given))
    try:
        assert model.capabilities.runs_on == f"LiteRT (CPU, {net} thread{'s' * (net > 1)} for the net)"
    finally:
        model.close()
