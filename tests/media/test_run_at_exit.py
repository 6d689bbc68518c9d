"""A program that ends while a run is under way ends in order: exit code 0, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

OPEN_ITERATOR = """
import sys, streamseg
pairs = streamseg.mattes(sys.argv[1], method="threshold")
frame, matte = next(pairs)
print(frame.index)
"""
DAEMON = """
import sys, threading, streamseg
begun = threading.Event()
options = {"progress": lambda now: now.frames and begun.set(), "method": "threshold", "background": "green"}
threading.Thread(target=streamseg.run, args=sys.argv[1:3], daemon=True, kwargs=options).start()
assert begun.wait(60)
print(0)
"""


@pytest.mark.parametrize("program", [OPEN_ITERATOR, DAEMON], ids=["open iterator", "daemon thread"])
def test_a_program_may_end_while_a_run_is_under_way(long_clip: Path, tmp_path: Path, program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program, str(long_clip), "out.mp4"], cwd=tmp_path, timeout=120,
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert list(tmp_path.iterdir()) == []
