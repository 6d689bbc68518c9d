"""Ctrl-C, kill and readers that go away: what is cleared away, said, and given as exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from streamseg import api as pipeline
from streamseg.cli import cli, reader_went_away
from streamseg.errors import SinkError
from streamseg.report import Report
from tests.unit.fakes import a_report


@pytest.mark.parametrize(("number", "code", "word"), [
    (signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"),
    (signal.SIGHUP, 129, "terminated")])
def test_signals_clean_up_undisturbed_and_give_their_code(
        monkeypatch: pytest.MonkeyPatch, number: int, code: int, word: str,
        capsys: pytest.CaptureFixture[str]) -> None:
    done = []

    def run(source: str, sinks: list[str], **options: Any) -> Report:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            os.kill(os.getpid(), number)  # impatience while clearing away
            done.append("cleaned")
        raise AssertionError

    before = signal.getsignal(number)
    monkeypatch.setattr(pipeline, "run", run)
    assert cli(["run", "in.mp4", "-o", "x.mp4"]) == code
    assert done == ["cleaned"]
    assert capsys.readouterr().err.strip() == f"streamseg: {word}"
    assert signal.getsignal(number) is before


def test_a_signal_that_was_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> Report:
        os.kill(os.getpid(), signal.SIGHUP)
        return a_report()

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        monkeypatch.setattr(pipeline, "run", run)
        assert cli(["run", "in.mp4", "-o", "x.mp4", "-q"]) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def a_broken_pipe(message: str = "the reader has gone") -> SinkError:
    error = SinkError(message)
    error.__cause__ = BrokenPipeError(32, "Broken pipe")
    return error


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    code = ("import sys\nfrom streamseg import api as pipeline\nfrom streamseg.cli import cli\n"
            "from streamseg.errors import SinkError\n"
            "def run(*a, **k):\n"
            "    try:\n"
            "        while True:\n"
            "            sys.stdout.buffer.write(bytes(65536))\n"
            "    except OSError as error:\n"
            "        raise SinkError('the pipe is closed') from error\n"
            "pipeline.run = run\n"
            "sys.exit(cli(['run', 'in.mp4', '-o', '-']))\n")
    done = subprocess.run(["bash", "-c", '"$0" -c "$1" | head -c 100 >/dev/null; exit "${PIPESTATUS[0]}"',
                           sys.executable, code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == ""


def test_a_broken_pipe_elsewhere_is_an_error(monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    def run(*_: Any, **__: Any) -> Report:
        raise a_broken_pipe()

    monkeypatch.setattr(pipeline, "run", run)
    assert cli(["run", "in.mp4", "-o", "rtmp://host/live"]) == 1
    assert capsys.readouterr().err == "streamseg: error: the reader has gone\n"


def test_what_counts_as_a_broken_pipe() -> None:
    assert reader_went_away(a_broken_pipe())
    assert not reader_went_away(SinkError("disk full"))


def test_an_interrupt_while_modules_load_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "streamseg.cli":
                raise KeyboardInterrupt

    from streamseg.__main__ import main
    monkeypatch.delitem(sys.modules, "streamseg.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
