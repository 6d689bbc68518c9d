"""Exported files give what the net gives, hold no variables, and are not kept where they differ."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="training needs TensorFlow: pip install -e '.[train]'")

import keras
import tensorflow

from streamseg.core.opencv import cv2
from streamseg.errors import MissingDependencyError, OptionError
from streamseg.segment.known_models import OWN
from streamseg.segment.model_file import spec_of
from streamseg.segment.person import Person
from streamseg.source.arrays import frame_of
from training import architectures, export, formats
from training.data import Class, Row, write_classes, write_index

SIZES = [(64, 96), (96, 64)]
HAS_ONNX = all(importlib.util.find_spec(name) for name in ("tf2onnx", "onnxruntime"))
ONNX_IS_THERE = pytest.mark.skipif(not HAS_ONNX, reason="tf2onnx or onnxruntime is not installed")


def lively(model: keras.Model) -> keras.Model:
    """A net no layer of which is zero or one: what is left out or done twice then shows."""
    rng = np.random.default_rng(4)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, *_ = values = layer.get_weights()
            layer.set_weights([rng.uniform(0.5, 1.5, gamma.shape), rng.normal(0, 0.2, gamma.shape),
                               rng.normal(0, 0.2, gamma.shape), rng.uniform(0.5, 1.5, gamma.shape)]
                              if len(values) == 4 else values)
        elif layer.name in {"detail_head", "head_fine"}:
            layer.set_weights([rng.normal(0, 0.3, value.shape) for value in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    return lively(architectures.build("medium"))


def expected(model: keras.Model, picture: np.ndarray) -> np.ndarray:
    """Probabilities ``(h, w, classes)`` by NumPy from the net's logits."""
    logits = keras.ops.convert_to_numpy(model(picture.astype(np.float32)[None], training=False))[0]
    if logits.shape[-1] == 1:
        return 1 / (1 + np.exp(-logits.astype(np.float64)))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def stretched(alpha: np.ndarray, tail: float) -> np.ndarray:
    return np.clip((alpha - tail) / (1 - 2 * tail), 0, 1)  # what the model spec does to a matte's ends


@pytest.mark.parametrize(("format", "largest"), [
    ("fp32", 1e-3), ("fp16", 0.05), ("int8", 0.9), ("keras", 0.05),
    pytest.param("onnx", 1e-3, marks=ONNX_IS_THERE),
])
def test_an_exported_file_is_the_net(format: str, largest: float, net: keras.Model, tmp_path: Path) -> None:
    pictures = export.blotches(3)
    [path] = export.export(net, tmp_path, "person-test", [format], sizes=SIZES, checks=pictures[:1],
                           calibration=pictures[1:])
    assert path.name == export.FILES[format].format("person-test")
    path = path.rename(tmp_path / f"anything{path.suffix}")  # what it is, it says inside
    assert spec_of(path) == replace(OWN, name="person-medium")
    rng = np.random.default_rng(1)
    size = SIZES[1]
    picture = cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), size[::-1])
    method = Person(model=str(path), threads=1)
    frame = frame_of(picture, 0, 1)
    alpha = method.segment([frame])[0].alpha
    method.close()
    given = frame.rgb(alpha.shape[::-1])  # at the size that the method chooses for our own net
    truth = stretched(expected(net, given)[..., 0], 0.12)
    assert alpha.shape == truth.shape
    assert truth.std() > 0.05
    assert np.abs(alpha - truth).max() <= largest
    assert np.corrcoef(alpha.ravel(), truth.ravel())[0, 1] > 0.9


def test_no_variable_is_left_in_a_file_and_one_that_is_would_be_seen(net: keras.Model) -> None:
    found = formats.operations(formats.to_tflite(net, SIZES[:1], "fp32"))
    assert "CONV_2D" in found
    assert not found & export.SLOW

    counter = tensorflow.Module()
    counter.count = tensorflow.Variable(tensorflow.ones((1,)))
    function = tensorflow.function(lambda x: counter.count.assign_add(x)).get_concrete_function(
        tensorflow.TensorSpec((1,), tensorflow.float32))
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([function], counter)
    converter.experimental_enable_resource_variables = True
    assert formats.operations(converter.convert()) & export.SLOW


def test_a_file_that_differs_too_much_is_not_kept(net: keras.Model, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(export.TOLERANCES, "keras", export.Tolerance(0.0, 0.0))
    with pytest.raises(OptionError, match=r"person-test.keras differs .* \(allowed 0\).*not kept"):
        export.export(net, tmp_path, "person-test", ["keras"], sizes=SIZES[:1], checks=export.blotches(1))
    assert not list(tmp_path.iterdir())


def test_the_difference_between_two_nets_is_seen(net: keras.Model, tmp_path: Path) -> None:
    keras.utils.set_random_seed(7)
    formats.save_small(formats.deployed(lively(architectures.build("small"))), tmp_path / "other.keras")
    found = export.difference(tmp_path / "other.keras", net, export.blotches(1), SIZES[:1])
    assert found.largest > 0.1
    assert found.mean > 0.01


def test_the_same_weights_give_the_same_bytes(net: keras.Model, tmp_path: Path) -> None:
    for name in ("a.keras", "b.keras"):
        formats.save_small(formats.deployed(net), tmp_path / name)
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def write_camvid(folder: Path) -> None:
    """Four pictures and the names of three classes."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for i, picture in enumerate(export.blotches(4)):
        cv2.imwrite(str(folder / f"images/{i}.png"), picture)
        rows.append(Row(f"images/{i}.png", "", "camvid", "train" if i < 2 else "val", "", "", 360, 360))
    write_index(folder, rows)
    write_classes(folder, [Class(name, (0, 0, 0)) for name in ("road", "pedestrian", "bicyclist")])


def three_classes() -> keras.Model:
    """As small a many-class net as there can be, of a fixed size."""
    keras.utils.set_random_seed(0)
    picture = keras.Input((*SIZES[0], 3))
    x = keras.layers.Rescaling(1 / 64, offset=-2)(picture)
    x = keras.layers.Conv2D(8, 5, padding="same", activation="relu")(x)
    return keras.Model(picture, keras.layers.Conv2D(3, 1)(x), name="tiny")


@pytest.mark.parametrize("format", ["fp32", "keras", pytest.param("onnx", marks=ONNX_IS_THERE)])
def test_a_many_class_net_is_exported_with_the_names_of_its_classes(format: str, tmp_path: Path) -> None:
    model = three_classes()
    model.save(tmp_path / "net.keras")
    write_camvid(tmp_path / "set")
    export.main(["--model", str(tmp_path / "net.keras"), "--out", str(tmp_path / "out"), "--name", "lab",
                 "--formats", format, "--data", str(tmp_path / "set"), "--licence", "CC0"])
    path = tmp_path / "out" / export.FILES[format].format("lab")
    spec = json.loads(path.with_suffix(".json").read_text())
    assert spec == {"range": [0, 255], "classes": ["road", "pedestrian", "bicyclist"]}
    sums = (tmp_path / "out" / "SHA256SUMS").read_text()
    assert sums == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"

    moved = tmp_path / f"person-x{path.suffix}"
    shutil.move(path, moved)  # away from the .json: it says the same inside, and what it is called means nothing
    path = moved
    assert spec_of(path).values() == {"range": [0.0, 255.0], "classes": ["road", "pedestrian", "bicyclist"],
                                      "name": "tiny", "licence": "CC0"}
    picture = cv2.resize(export.blotches(1)[0], SIZES[0][::-1])
    method = Person(model=str(path), classes="person,bicyclist", threads=1)
    alpha = method.segment([frame_of(picture, 0, 1)])[0].alpha
    method.close()
    truth = stretched(expected(model, picture)[..., 1:].sum(axis=-1), 0.04)
    assert truth.std() > 0.02
    assert np.abs(alpha - truth).max() < (0.05 if format == "keras" else 2e-3)


@pytest.mark.parametrize(("words", "message"), [
    (["--formats", "int8"], "int8 is calibrated on pictures: give --data DIR"),
    ([], "is not there: give a .keras of training.train"),
])
def test_what_cannot_be_exported_is_said_in_one_line(words, message, tmp_path: Path, capsys) -> None:
    model = tmp_path / "net.keras"
    if words:
        model.touch()
    with pytest.raises(SystemExit) as ended:
        export.main(["--model", str(model), "--out", str(tmp_path / "out"), *words])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_onnx_without_its_package_names_the_remedy(net: keras.Model, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(MissingDependencyError, match="pip install tf2onnx"):
        formats.to_onnx(net, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


@ONNX_IS_THERE
@pytest.mark.parametrize("bad", [1, formats.ONNX_TRIES])
def test_an_onnx_file_with_an_axis_too_many_is_made_anew(bad: int, net: keras.Model, tmp_path: Path,
                                                         monkeypatch) -> None:
    """What tf2onnx does now and then, done here to the first ``bad`` files."""
    import onnx

    convert, made = keras.Model.export, []

    def export_badly(self: keras.Model, path: Path, **how: object) -> None:
        made.append(path)
        if len(made) > bad:
            convert(self, path, **how)
            return
        axes = onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [0])
        node = onnx.helper.make_node("Unsqueeze", ["picture", "axes"], ["alpha"])
        given = onnx.helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, 64, 96, 1])
        taken = onnx.helper.make_tensor_value_info("alpha", onnx.TensorProto.FLOAT, [1, 1, 64, 96, 1])
        graph = onnx.helper.make_graph([node], "bad", [given], [taken], [axes])
        onnx.save(onnx.helper.make_model(graph), path)

    monkeypatch.setattr(keras.Model, "export", export_badly)
    wanted: dict = {"formats": ["onnx"], "sizes": SIZES[:1], "checks": export.blotches(1)}
    if bad < formats.ONNX_TRIES:
        [path] = export.export(net, tmp_path, "person-test", **wanted)
        assert len(onnx.load(path).graph.output[0].type.tensor_type.shape.dim) == 4
    else:
        with pytest.raises(OptionError, match="has not the 4 axes"):
            export.export(net, tmp_path, "person-test", **wanted)
        assert not list(tmp_path.iterdir())
    assert len(made) == min(bad + 1, formats.ONNX_TRIES)
