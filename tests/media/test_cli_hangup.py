"""A terminal that is closed in mid-run: standard error is gone, and with it, or not, comes SIGHUP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.frames import Frame, Matte
from tests import clips

pty = pytest.importorskip("pty")
ROOT = Path(__file__).parents[2]
# The terminal sends SIGHUP to the session whose own it is
PROGRAM = ("import fcntl, sys, termios\n"
           "if sys.argv.pop(1) == 'own':\n"
           "    fcntl.ioctl(2, termios.TIOCSCTTY, 0)\n"
           "from streamseg.__main__ import main\n"
           "main()\n")


class Waiting:
    """A method that waits at frame 3 until the terminal is closed."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        if frames[0].index == 3:
            with suppress(OSError):
                os.read(0, 1)
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


def closed_at(said: bytes, own: bool, *words: object) -> int:
    """The exit code of streamseg, whose terminal is closed when it has ``said`` something there."""
    ours, theirs = pty.openpty()
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, "own" if own else "", *map(str, words)],
                               stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"})
    os.close(theirs)
    read = b""
    try:
        while said not in read:
            read += os.read(ours, 4096)
    except OSError:  # it has ended
        pytest.fail(read.decode())
    finally:
        os.close(ours)
    return program.wait(120)


def frames_of(path: Path) -> int:
    return int(clips.ffprobe(path)["streams"][0]["nb_read_frames"])


def test_live_ends_in_order_when_its_terminal_is_closed(tmp_path: Path) -> None:
    clip = clips.video(tmp_path / "in.mkv", frames=1500, size=(64, 48), code=False)
    code = closed_at(b" fps", True, "live", clip, "--realtime", "--to", tmp_path / "talk.mkv",
                     "--method", "threshold")
    assert code == 0
    assert float(clips.ffprobe(tmp_path / "talk.mkv")["format"]["duration"]) > 0.5  # in the header: finished
    assert frames_of(tmp_path / "talk.mkv") > 10


def test_live_goes_on_without_a_terminal_that_was_not_its_own(tmp_path: Path) -> None:
    clip = clips.video(tmp_path / "in.mkv", frames=75, size=(64, 48), code=False)
    code = closed_at(b" fps", False, "live", clip, "--realtime", "--to", tmp_path / "talk.mkv",
                     "--method", "threshold")
    assert code == 0
    assert float(clips.ffprobe(tmp_path / "talk.mkv")["format"]["duration"]) > 2.5


@pytest.mark.parametrize(("own", "codes"), [(True, (0, 1)), (False, (1,))])
def test_live_whose_figures_go_to_a_terminal_that_is_closed_ends_in_order(tmp_path: Path, own: bool,
                                                                          codes: tuple[int, ...]) -> None:
    """Of its own terminal the signal or the failed line may be the first to come."""
    clip = clips.video(tmp_path / "in.mkv", frames=1500, size=(64, 48), code=False)
    code = closed_at(b'"fps"', own, "live", clip, "--realtime", "--to", tmp_path / "talk.mkv",
                     "--method", "threshold", "--json-stats", "-")
    assert code in codes
    assert float(clips.ffprobe(tmp_path / "talk.mkv")["format"]["duration"]) > 0.5  # in the header: finished


@pytest.mark.parametrize(("own", "code"), [(True, 129), (False, 0)])
def test_a_run_is_ended_by_the_signal_alone(tmp_path: Path, own: bool, code: int) -> None:
    clip, out = clips.video(tmp_path / "in.mkv", frames=8), tmp_path / "out.mkv"
    assert closed_at(b"runs on", own, "run", clip, "-o", out, "--method", f"{__name__}:Waiting") == code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"] + ["out.mkv"] * (not own)
    if not own:
        assert frames_of(out) == 8
