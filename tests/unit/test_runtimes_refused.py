"""Runtimes, model files, devices and settings that are not there or do not fit: errors with a remedy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streamseg.errors import DeviceError, MissingDependencyError, OptionError
from streamseg.segment.model_spec import ModelSpec
from streamseg.segment.runtimes import open_net
from tests.unit.model_tools import frames, mattes


@pytest.mark.parametrize(("library", "ending"), [
    ("ai_edge_litert.interpreter", "tflite"), ("onnxruntime", "onnx"), ("keras", "keras")])
def test_a_runtime_that_is_not_installed_names_the_remedy(library, ending, tmp_path, monkeypatch) -> None:
    path = tmp_path / f"m.{ending}"
    path.touch()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        open_net(path, ModelSpec(), "auto", "cpu", 1)


@pytest.mark.parametrize("ending", ["tflite", "onnx", "keras"])
def test_a_file_that_is_no_model_is_refused(ending: str, tmp_path: Path) -> None:
    library = {"onnx": "onnxruntime", "keras": "tensorflow"}.get(ending)
    if library:
        pytest.importorskip(library)
    path = tmp_path / f"m.{ending}"
    path.write_bytes(b"this is no model" * 100)
    with pytest.raises(OptionError, match=r"is no .* model that loads"):
        open_net(path, ModelSpec(), "auto", "cpu", 1)


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"model": "nowhere.tflite"}, OptionError, "is not there: give the path of"),
    ({"model_spec": "spec.json"}, OptionError, "describes a model file: give --model FILE"),
    ({"model": "huge"}, OptionError,
     "model is 'huge'; allowed are: small, medium, large, both, or the path of a .tflite"),
    ({"classes": "person"}, OptionError, "the built-in models know persons only"),
    ({"model": "large", "classes": "person"}, OptionError, "the built-in models know persons only"),
    ({"model": "large", "runtime": "keras"}, OptionError, "large runs in LiteRT, on the CPU, only"),
    ({"model": "large", "device": "gpu"}, OptionError, "large runs in LiteRT, on the CPU, only"),
    ({"method": "kmeans", "model": "m.onnx"}, OptionError, "method kmeans runs no model: leave --method out"),
    ({"method": "mog2", "classes": "person"}, OptionError, "classes is 'person', but method mog2"),
    ({"method": "threshold", "device": "gpu"}, OptionError,
     "device is 'gpu', but method threshold runs no model: leave --method out, or --device"),
    ({"method": "threshold", "runtime": "onnx"}, OptionError, "runtime is 'onnx', but method threshold runs"),
    ({"runtime": "onnx"}, OptionError, "have no ONNX file"),
    ({"runtime": "litert", "device": "gpu"}, DeviceError, "LiteRT runs on the CPU here"),
    ({"runtime": "cuda"}, OptionError, "runtime is 'cuda'; allowed are: auto, litert, keras, onnx"),
    ({"device": "tpu"}, OptionError, "device is 'tpu'; allowed are: auto, cpu, gpu"),
])
def test_what_was_asked_for_and_is_not_there_is_an_error(options, kind, message) -> None:
    with pytest.raises(kind, match=message):
        mattes(frames(1, 32, 64), **options)


def test_a_method_without_a_model_runs_on_the_cpu_as_it_was_asked_to() -> None:
    assert len(mattes(frames(1, 32, 64), method="threshold", device="cpu", runtime="auto")) == 1


@pytest.mark.parametrize(("name", "runtime", "message"), [
    ("m.pt", "auto", r"is of no kind that is known: allowed are \.tflite, \.onnx, \.keras, \.h5"),
    ("m.onnx", "litert", r"runtime litert takes \.tflite, not 'm\.onnx'"),
    ("m.tflite", "keras", r"runtime keras takes \.keras, \.h5, not"),
])
def test_a_file_that_a_runtime_does_not_take_is_refused(name, runtime, message, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(OptionError, match=message):
        mattes(frames(1, 32, 64), model=str(tmp_path / name), runtime=runtime)
