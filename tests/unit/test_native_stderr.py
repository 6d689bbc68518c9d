"""Standard error is nobody's to exchange: runs beside each other leave it as it is; the program itself is quiet."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.core import native_stderr
from streamseg.core.opencv import cv2

ROOT = Path(streamseg.__file__).parents[1]
LINE = "Created TensorFlow Lite XNNPACK delegate"
RUNS = """
import os, sys, threading
import numpy as np
import streamseg

exchanged = []
real = os.dup2
os.dup2 = lambda *numbers, **how: (exchanged.append(numbers), real(*numbers, **how))
before = os.fstat(2)
films = [[np.full((48, 64, 3), 40 * number, np.uint8)] * 3 for number in range(3)]
threads = [threading.Thread(target=streamseg.run, args=(film, "null:"), kwargs={"threads": 1}) for film in films]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
after = os.fstat(2)
assert (after.st_dev, after.st_ino) == (before.st_dev, before.st_ino)
assert exchanged == [], exchanged
print("still here", file=sys.stderr)
"""


def python(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 or not check, done.stderr
    return done


def test_three_runs_at_once_leave_standard_error_alone() -> None:
    assert python("-c", RUNS).stderr.splitlines()[-1] == "still here"


def test_the_program_does_not_show_what_litert_says_by_itself(tmp_path: Path) -> None:
    picture, out = tmp_path / "in.png", tmp_path / "out.png"
    cv2.imwrite(str(picture), np.full((48, 64, 3), 90, np.uint8))
    told = python("-m", "streamseg", "run", str(picture), "-o", str(out), "--model", "medium").stderr
    assert LINE not in told
    assert "out.png" in told  # its own lines are there
    # in Python it is LiteRT's own business: if this fails, it has a switch or says nothing, and the module can go
    assert LINE in python("-c", f"import streamseg; streamseg.remove({str(picture)!r})").stderr


def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_stderr, "_OWN_PROGRAM", type("Set", (), {"get": staticmethod(lambda: True)}))


@pytest.mark.parametrize(("prepare", "threads", "seen"), [(program, 1, ""), (program, 2, "by itself"),
                                                          (lambda monkeypatch: None, 1, "by itself")])
def test_only_the_program_with_a_single_thread_hides_lines(
        prepare: Callable[[pytest.MonkeyPatch], None], threads: int, seen: str, monkeypatch: pytest.MonkeyPatch,
        capfd: Any) -> None:
    prepare(monkeypatch)
    monkeypatch.setattr(native_stderr.threading, "active_count", lambda: threads)
    with capfd.disabled():
        pass
    monkeypatch.setattr(sys, "stderr", open(2, "w", closefd=False))  # noqa: SIM115 - a real one, as of the program
    with native_stderr.native_lines_hidden():
        os.write(2, b"by itself")
    os.write(2, b"|after")
    assert capfd.readouterr().err == f"{seen}|after"
