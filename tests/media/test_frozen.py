"""A program that PyInstaller or Nuitka has frozen does what it does unfrozen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streamseg
from streamseg.freezing import LIBRARIES, hook_dirs, nuitka_options
from tests.clips import ffprobe

PROGRAM = """\
import hashlib, json, sys
from importlib.metadata import version
from pathlib import Path
import streamseg
from streamseg.tools.doctor.trial import drawn
place, there = Path(sys.argv[1]), Path(streamseg.__file__).parent
report = streamseg.run([drawn()] * 3, [place / "a.mp4", place / "b.webm"], background="#00b140", rate="25")
cutout = hashlib.sha256(streamseg.remove(drawn()).tobytes()).hexdigest()
pages = [(there / name).exists() for name in ("sink/packed/player.html", "serve/studio/static/index.html")]
print(json.dumps([report.frames, report.method, cutout, pages, [version(name) for name in sys.argv[2:]]]))
"""


# Nuitka takes hours to compile these, and they are not what is tried
NOT_COMPILED = ("streamseg", "PIL", "ai_edge_litert", "av", "click", "cloudpickle", "cv2", "flatbuffers", "google",
                "joblib", "markdown_it", "ml_dtypes", "narwhals", "numpy", "pygments", "rich", "scipy", "sklearn",
                "tqdm")
# module that freezes -> its arguments, with {0} for the folder of the test, and the frozen program
FREEZERS = {
    "PyInstaller": (["--noconfirm", "--log-level", "ERROR", "--distpath", "{0}/d", "--workpath", "{0}/w",
                     "--specpath", "{0}", "--additional-hooks-dir", *hook_dirs()], "d/program/program"),
    "nuitka": (["--standalone", *nuitka_options(), "--output-dir={0}", "--lto=no",
                *(f"--noinclude-custom-mode={name}:bytecode" for name in NOT_COMPILED)], "program.dist/program.bin")}


def _run(*command: str, seconds: float = 120.0, alone: bool = False) -> str:
    """``alone``: where Python cannot find the project's source."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if not alone:
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(Path(streamseg.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=environment,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)  # Nuitka's
@pytest.mark.parametrize("freezer", FREEZERS)
def test_a_frozen_program_makes_what_it_makes_unfrozen(freezer: str, tmp_path: Path) -> None:
    pytest.importorskip(freezer, reason=f"{freezer} is not installed: pip install {freezer.lower()}")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    options, made_at = FREEZERS[freezer]
    _run(sys.executable, "-m", freezer, *(option.format(tmp_path) for option in options), str(program),
         seconds=540 if freezer == "PyInstaller" else 4 * 3600)
    made: dict[str, Any] = {}
    for name, command in (("frozen", [str(tmp_path / made_at)]), ("plain", [sys.executable, str(program)])):
        (tmp_path / name).mkdir()
        made[name] = json.loads(_run(*command, str(tmp_path / name), *LIBRARIES, alone=name == "frozen"))
    assert made["frozen"] == made["plain"]
    assert made["frozen"][:2] == [3, "person"]
    assert made["frozen"][3] == [True, True]
    for name in ("a.mp4", "b.webm"):
        assert (tmp_path / "frozen" / name).read_bytes()[:4] == (tmp_path / "plain" / name).read_bytes()[:4]
        stream, = ffprobe(tmp_path / "frozen" / name)["streams"]
        assert stream["nb_read_frames"] == "3"
