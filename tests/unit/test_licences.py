"""``streamseg info --licenses``."""

from __future__ import annotations

import importlib.metadata
import json
import tomllib
import zipfile
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streamseg.cli import cli, licences
from streamseg.cli.licences import UNKNOWN, licence_of

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_code_weights_and_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    import numpy
    assert cli(["info", "--licenses", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["licence"] for item in found["code"]] == [PROJECT["license"]]
    files = {item["file"]: item for item in found["weights"]}
    assert set(files) == {path.name for path in licences.WEIGHTS.iterdir() if path.suffix in (".tflite", ".keras")}
    assert files["person-medium.tflite"]["licence"] == "MIT"  # its own metadata
    assert files["person-medium.keras"]["licence"] == "MIT"
    assert "Apache-2.0" in files["person-medium.keras"]["model card"]
    libraries = {item["name"]: item for item in found["libraries"]}
    assert libraries["numpy"]["version"] == numpy.__version__
    assert "BSD-3-Clause" in libraries["numpy"]["licence"]
    assert libraries["numpy"]["for"] == libraries["click"]["for"] == "streamseg"
    assert libraries["markdown-it-py"]["licence"]  # of rich
    assert "GPL" in libraries["FFmpeg (inside av)"]["licence"]
    assert libraries["libx264 (inside av)"]["licence"].startswith("GPL")
    assert "pytest" not in libraries
    assert len(libraries) == len(found["libraries"])


def test_of_weights_that_state_no_licence_the_card_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(licences.WEIGHTS / "person-medium.keras") as own, \
            zipfile.ZipFile(tmp_path / "bare.keras", "w") as bare:
        for name in own.namelist():
            if name != "streamseg.json":
                bare.writestr(name, own.read(name))
    monkeypatch.setattr(licences, "WEIGHTS", tmp_path)
    (found,) = licences.licences()["weights"]
    assert found["licence"] == found["model card"]
    assert "Apache-2.0" in found["licence"]


def test_the_text_has_every_library_that_is_installed_of_the_base(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["info", "--licenses"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines if len(line) == 1] == ["code", "weights", "libraries"]
    names = {line[0].lower() for line in lines}
    assert {item.split(">=")[0] for item in PROJECT["dependencies"] if "opencv" not in item} <= names


def test_a_model_beside_it_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["info", "a.onnx", "--licenses"]) == 2
    assert "leave MODEL out" in capsys.readouterr().err


def test_out_of_a_folder_it_tells_of_the_packages_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> Any:
        if name == "streamseg":
            raise importlib.metadata.PackageNotFoundError(name)
        return importlib.metadata.distribution(name)

    monkeypatch.setattr(licences, "distribution", none)
    assert {"numpy", "av", "click"} <= {item["name"] for item in licences.licences()["libraries"]}


@pytest.mark.parametrize(("fields", "wanted"), [
    ([("License-Expression", "MIT"), ("License", "other")], "MIT"),
    ([("License", "BSD"), ("Classifier", "License :: OSI Approved :: BSD License")], "BSD; BSD License"),
    ([("License", "a long\ntext"), ("Classifier", "License :: OSI Approved :: PSF")], "PSF"),
    ([("Classifier", "License :: OSI Approved"), ("Classifier", "Topic :: Multimedia")], UNKNOWN), ([], UNKNOWN)])
def test_what_metadata_states(fields: list[tuple[str, str]], wanted: str) -> None:
    message = Message()
    for name, value in fields:
        message[name] = value
    package: Any = SimpleNamespace(metadata=message)
    assert licence_of(package) == wanted
