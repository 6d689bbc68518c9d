"""What is loaded when: starting must stay cheap, and a system library that lacks must be explained."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import streamseg

HEAVY = ("tensorflow", "keras", "sklearn", "skimage", "matplotlib", "onnxruntime", "ai_edge_litert", "cv2",
         "av", "numpy", "rich", "asyncio", "PIL", "fastapi", "pydantic", "uvicorn")
NEVER_BY_ITSELF = ("tensorflow", "keras", "sklearn", "skimage", "matplotlib", "onnxruntime")
ROOT = Path(streamseg.__file__).parents[1]


def python(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds streamseg, and before it what is in ``path``."""
    places = [str(item) for item in (path, ROOT) if item]
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(places)}, stdin=subprocess.DEVNULL)


def loaded_after(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of the modules ``names`` are loaded once ``code`` has run in a fresh interpreter."""
    done = python("-c", f"{code}\nimport sys\n"
                  f"sys.stderr.write(' '.join(name for name in {names!r} if name in sys.modules))")
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


def test_importing_streamseg_loads_nothing_heavy() -> None:
    assert loaded_after("import streamseg", HEAVY) == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["demo", "--help"],
                                       ["compare", "--help"], ["batch", "--help"], ["methods", "--help"],
                                       ["info", "--help"], ["doctor", "--help"],
                                       ["serve", "--help"], ["watch", "--help"], ["completion", "bash"]], ids=" ".join)
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    code = f"from streamseg.cli import cli\nassert cli({arguments!r}) == 0"
    assert loaded_after(code, HEAVY) == []


def test_the_pipeline_loads_no_framework_before_a_method_needs_it() -> None:
    work = "import streamseg.api, streamseg.tools.compare, streamseg.tools.demo"
    assert loaded_after(work, NEVER_BY_ITSELF) == []
    assert loaded_after("import sklearn", NEVER_BY_ITSELF) == ["sklearn"]  # the check can fail


def test_every_public_name_is_there() -> None:
    for name in streamseg.__all__:
        assert getattr(streamseg, name) is not None
    assert set(streamseg.__all__) <= set(dir(streamseg))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = streamseg.nothing


@pytest.fixture
def without_libgl(tmp_path: Path) -> Path:
    """A folder whose cv2 fails as opencv-python's wheel does where libGL is not installed."""
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [["run", "in.mp4", "-o", "out.mp4"], ["methods"], ["demo"],
                                       ["compare", "in.mp4", "--methods", "knn", "-o", "s.png"]],
                         ids=" ".join)
def test_a_missing_libgl_is_one_line_with_the_remedy(without_libgl: Path, arguments: list[str]) -> None:
    done = python("-m", "streamseg", *arguments, path=without_libgl)
    assert done.returncode == 1
    assert done.stdout == ""
    line, = done.stderr.splitlines()
    assert line.startswith("streamseg: error: OpenCV does not load (libGL.so.1")
    for part in ("apt-get install libgl1 libglib2.0-0", "pip install opencv-python-headless"):
        assert part in line


def test_info_still_tells_all_else_without_libgl(without_libgl: Path) -> None:
    done = python("-m", "streamseg", "info", path=without_libgl)
    assert done.returncode == 0, done.stderr
    assert "does not load: OpenCV does not load (libGL.so.1" in done.stdout
    assert "libx264" in done.stdout
    assert "numpy" in done.stdout


def test_a_run_of_one_film_loads_no_ledger_and_no_masked_arrays() -> None:
    work = ("import streamseg.cli.run, streamseg.api\nfrom streamseg.report import Stopwatch\nwatch = Stopwatch()\n"
            "watch.count('decode', 0.5)\nassert watch.stages()['decode'].p50_ms == 500")
    unwanted = ("sqlite3", "numpy.ma", "streamseg.strokes", "streamseg.segment.places", "streamseg.segment.given",
                "streamseg.batch.item")
    assert loaded_after(work, unwanted) == []
    assert loaded_after(work + "\nimport streamseg.batch.item", unwanted)  # the check can fail
