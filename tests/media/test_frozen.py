"""A program that PyInstaller has frozen does what it does unfrozen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streamseg
from streamseg.freezing import hook_dirs
from tests.clips import ffprobe

PROGRAM = """\
import hashlib, json, sys
from pathlib import Path
import streamseg
from streamseg.tools.doctor.trial import drawn
place, there = Path(sys.argv[1]), Path(streamseg.__file__).parent
report = streamseg.run([drawn()] * 3, [place / "a.mp4", place / "b.webm"], background="#00b140", rate="25")
cutout = hashlib.sha256(streamseg.remove(drawn()).tobytes()).hexdigest()
pages = [(there / name).exists() for name in ("sink/packed/player.html", "serve/studio/static/index.html")]
print(json.dumps([report.frames, report.method, cutout, pages]))
"""


def _run(*command: str, seconds: float = 120.0) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        filter(None, (str(Path(streamseg.__file__).parents[1]), os.environ.get("PYTHONPATH"))))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_frozen_program_makes_what_it_makes_unfrozen(tmp_path: Path) -> None:
    pytest.importorskip("PyInstaller", reason="PyInstaller is not installed: pip install pyinstaller")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    _run(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "--distpath", str(tmp_path / "d"),
         "--workpath", str(tmp_path / "w"), "--specpath", str(tmp_path), "--additional-hooks-dir", *hook_dirs(),
         str(program), seconds=540)
    made: dict[str, Any] = {}
    for name, command in (("frozen", [str(tmp_path / "d/program/program")]), ("plain", [sys.executable, str(program)])):
        (tmp_path / name).mkdir()
        made[name] = json.loads(_run(*command, str(tmp_path / name)))
    assert made["frozen"] == made["plain"]
    assert made["frozen"][:2] == [3, "person"]
    assert made["frozen"][3] == [True, True]
    for name in ("a.mp4", "b.webm"):
        assert (tmp_path / "frozen" / name).read_bytes()[:4] == (tmp_path / "plain" / name).read_bytes()[:4]
        stream, = ffprobe(tmp_path / "frozen" / name)["streams"]
        assert stream["nb_read_frames"] == "3"
