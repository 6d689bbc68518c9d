"""What PyInstaller's hook and Nuitka's options take along. tests/media/test_frozen.py freezes a program with each."""

from __future__ import annotations

import importlib
import importlib.util
import os
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

import streamseg
from streamseg.freezing import LEFT_OUT, LIBRARIES, nuitka_options

ROOT = Path(streamseg.__file__).parent
PROJECT = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def hook() -> dict[str, Any]:
    """The names in the hook that the entry point leads to."""
    module, _, name = PROJECT["entry-points"]["pyinstaller40"]["hook-dirs"].partition(":")
    folder, = getattr(importlib.import_module(module), name)()
    return runpy.run_path(str(Path(folder) / "hook-streamseg.py"))


def test_every_file_that_is_no_python_comes_along_to_its_place(hook: dict[str, Any]) -> None:
    taken = {Path(folder) / Path(file).name: Path(file) for file, folder in hook["datas"]}
    for name in ("weights/person-medium.tflite", "weights/SHA256SUMS", "weights/MODEL_CARD.md",
                 "sink/capability/table.json", "sink/packed/player.html", "serve/studio/static/index.html",
                 "serve/studio/static/main.js", "MANUAL.md"):
        assert taken[Path("streamseg") / name] == ROOT / name
    assert all(file.is_file() for file in taken.values())
    assert not [file for file in taken.values() if file.suffix in (".py", ".pyc")]
    assert {path.name for path in (ROOT / "weights").iterdir()} <= {path.name for path in taken}


def test_the_libraries_metadata_come_along(hook: dict[str, Any]) -> None:
    import numpy
    folders = {folder for file, folder in hook["datas"] if Path(file).name == "METADATA"}
    assert f"numpy-{numpy.__version__}.dist-info" in folders


def test_every_module_that_is_loaded_by_its_name_comes_along(hook: dict[str, Any]) -> None:
    from streamseg.cli.group import COMMANDS
    from streamseg.segment.runtimes import RUNTIMES
    named = {f"streamseg.segment.runtimes.{place.partition(':')[0]}" for place, _ in RUNTIMES.values()}
    named |= {f"streamseg.cli.{place.partition(':')[0]}" for place, _ in COMMANDS.values()}
    taken = hook["hiddenimports"]
    assert named | {"streamseg", "streamseg.api", "streamseg.segment.classical.chroma"} <= set(taken)
    assert len(taken) == len(set(taken))
    assert [name for name in taken if name.count(".") < 2 and importlib.util.find_spec(name) is None] == []
    assert not [name for name in taken if "-" in name or name.endswith(("__main__", "__init__"))]


def test_nothing_that_every_run_needs_is_left_out(hook: dict[str, Any]) -> None:
    base = {line.split(">=")[0] for line in PROJECT["dependencies"]} | {"cv2", "PIL", "sklearn", "ai_edge_litert"}
    assert not base & set(hook["excludedimports"])
    assert {"tensorflow", "ray"} <= set(hook["excludedimports"])


def test_nuitka_is_told_of_the_same() -> None:
    told = subprocess.run([sys.executable, "-m", "streamseg.freezing"], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT.parent)}).stdout.split()
    assert {"--include-package=streamseg", "--include-package-data=streamseg"} < set(told)
    named = {item.partition("=")[2] for item in told if item.startswith("--include-distribution-metadata=")}
    assert {"numpy", "pillow", "av"} <= named <= set(LIBRARIES)
    left_out, = (item.partition("=")[2].split(",") for item in told if item.startswith("--nofollow-import-to="))
    assert left_out == list(LEFT_OUT)


def test_no_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("streamseg.freezing.distribution", nothing)
    assert not [item for item in nuitka_options() if "metadata" in item]
