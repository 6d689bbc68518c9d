"""A model file describes itself: its content decides what it is, its name nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from streamseg.cli import cli
from streamseg.errors import OptionError, SegmentError
from streamseg.segment.built_in import built_in
from streamseg.segment.model_file import describe, draft, embed, read_facts, spec_of
from streamseg.segment.model_spec import ModelSpec
from streamseg.segment.person import Person
from streamseg.segment.runtimes import open_net
from streamseg.source.arrays import frame_of
from tests.unit import onnx_files
from tests.unit.model_tools import frames, mattes

SPEC = ModelSpec.of({"range": [-1, 1], "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 1], "tail": 0.1, "name": "Größe",
                     "classes": ["a"], "licence": "MIT", "states": [["h_in", "h_out"]]})
OWN = ModelSpec(range=(0.0, 255.0), tail=0.12, kind="streamseg-person")


@pytest.fixture
def onnx() -> ModuleType:
    return pytest.importorskip("onnxruntime", reason="pip install -e '.[onnx]'")


@pytest.fixture
def tflite(tmp_path: Path) -> Path:
    return Path(shutil.copy(built_in(), tmp_path / "anything.tflite"))


def keras_file(path: Path, *, name: str = "net", activation: str = "sigmoid", given: str = "picture") -> Path:
    """A .keras file as far as it is read here: its archive and its config, without weights."""
    layer = {"class_name": "Activation", "config": {"name": "alpha", "activation": activation}, "inbound_nodes": [
        {"args": [{"class_name": "__keras_tensor__", "config": {"shape": [None, 32, 64, 1]}}]}]}
    config = {"class_name": "Functional", "config": {
        "name": name, "input_layers": [given, 0, 0], "output_layers": [["alpha", 0, 0]], "layers": [
            {"class_name": "InputLayer", "config": {"name": given, "batch_shape": [None, 32, 64, 3]}}, layer]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", b"weights")
    return path


# Ours, under any name


@pytest.mark.parametrize("name", ["medium", "large"])
def test_a_copy_of_a_shipped_file_is_ours_under_any_name(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(built_in(name=name), tmp_path / "selfie v1.tflite"))
    assert spec_of(path).own
    frame = frame_of(frames(1, 90, 160)[0], 0, 1)
    alphas = []
    for model in (name, str(path)):
        method = Person(threads=1, model=model)
        alphas.append(method.segment([frame])[0].alpha)
        assert method._roi is not None
        method.close()
    assert np.array_equal(*alphas)


def test_the_shipped_keras_file_is_ours_under_any_name(tmp_path: Path) -> None:
    shipped = spec_of(Path(shutil.copy(built_in("keras"), tmp_path / "x.keras")))
    assert shipped == replace(OWN, name="person-medium", licence="MIT")
    assert spec_of(keras_file(tmp_path / "mine.keras", name="person-small")) == OWN
    assert spec_of(keras_file(tmp_path / "person-medium.keras", name="unet")).kind == "foreign"


def test_a_foreign_file_is_not_ours_because_it_is_called_so(onnx: ModuleType, tmp_path: Path) -> None:
    path = onnx_files.mean_of_channels(tmp_path / "person-medium.onnx", ("n", 32, 64, 3))
    with pytest.raises(OptionError, match="is none that is known"):
        Person(model=str(path))
    embed(path, ModelSpec(range=(0.0, 1.0), tail=0.0))
    [alpha] = mattes([np.full((32, 64, 3), 51, np.uint8)], model=str(path))
    assert np.allclose(alpha, 0.2, atol=1e-3)


def test_the_sums_are_those_of_the_shipped_files() -> None:
    folder = built_in().parent
    sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sums == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("person-*")}


# Metadata in the file


def test_metadata_comes_back_from_a_tflite_file_and_changes_nothing_else(tflite: Path) -> None:
    before = read_facts(tflite)
    for spec in (SPEC, OWN, ModelSpec(name="n" * 5000), SPEC):  # each in place of the one before
        embed(tflite, spec)
        facts = read_facts(tflite)
        assert ModelSpec.of(facts.metadata or {}) == spec
        assert (facts.inputs, facts.outputs, facts.sizes, facts.net) == (
            before.inputs, before.outputs, before.sizes, before.net)
    nets = [open_net(path, ModelSpec(), "litert", "cpu", 1) for path in (built_in(), tflite)]
    assert nets[0].sizes == nets[1].sizes
    picture = np.random.default_rng(0).uniform(0, 255, (1, 160, 288, 3)).astype(np.float32)
    assert np.array_equal(*(net.run([picture])[0][0] for net in nets))
    assert list(tflite.parent.iterdir()) == [tflite]


def test_a_tflite_file_with_metadata_is_what_tensorflow_reads(tflite: Path) -> None:
    schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated", reason="pip install -e '.[train]'")
    embed(tflite, OWN)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(tflite.read_bytes(), 0))
    [entry] = [item for item in model.metadata if item.name == b"streamseg"]
    assert json.loads(bytes(model.buffers[entry.buffer].data)) == OWN.values()
    old = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(built_in().read_bytes(), 0))
    assert [item.name for item in model.metadata] == [item.name for item in old.metadata]  # of the same names
    assert [None if item.data is None else bytes(item.data) for item in model.buffers[:-1]] == [
        None if item.data is None else bytes(item.data) for item in old.buffers]
    assert (model.version, model.description) == (old.version, old.description)


def test_metadata_comes_back_from_an_onnx_file(onnx: ModuleType, tmp_path: Path) -> None:
    path = onnx_files.mean_of_channels(tmp_path / "m.onnx", ("n", 32, 64, 3))
    before, size = read_facts(path), path.stat().st_size
    for spec in (SPEC, OWN, SPEC, ModelSpec()):
        embed(path, spec)
    facts = read_facts(path)
    assert (facts.metadata, facts.inputs, facts.outputs) == ({}, before.inputs, before.outputs)
    assert path.stat().st_size < size + 40  # the earlier ones are gone
    embed(path, SPEC)
    known = onnx.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
    assert json.loads(known["streamseg"]) == SPEC.values()


def test_metadata_comes_back_from_a_keras_file(tmp_path: Path) -> None:
    path = keras_file(tmp_path / "m.keras")
    embed(path, SPEC)
    once = path.read_bytes()
    embed(path, SPEC)
    assert path.read_bytes() == once  # the same for the same
    assert spec_of(path) == SPEC
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["config.json", "model.weights.h5", "streamseg.json"]
        assert archive.read("model.weights.h5") == b"weights"


def test_a_file_that_keras_wrote_tells_what_goes_in_and_comes_out(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras", reason="pip install -e '.[train]'")
    layers = keras.layers
    pictures = [keras.Input((32, 48, 3), name="picture"), keras.Input((4,), name="number")]
    x = layers.Conv2D(2, 3, padding="same", name="last", activation="softmax")(pictures[0])
    keras.Model(pictures, [layers.Activation("sigmoid", name="alpha")(x), x]).save(tmp_path / "functional.keras")
    keras.Sequential([keras.Input((8, 8, 3), name="seen"), layers.Conv2D(1, 1, name="conv"),
                      layers.Softmax(name="soft")]).save(tmp_path / "row.keras")
    facts = read_facts(tmp_path / "functional.keras")
    assert [(item.name, item.shape) for item in facts.inputs] == [("picture", (None, 32, 48, 3)), ("number", (None, 4))]
    assert [(item.name, item.made_by) for item in facts.outputs] == [("alpha", "sigmoid"), ("last", "softmax")]
    assert facts.outputs[0].shape == (None, 32, 48, 2)
    facts = read_facts(tmp_path / "row.keras")
    assert [(item.name, item.shape) for item in facts.inputs] == [("seen", (None, 8, 8, 3))]
    assert [(item.name, item.made_by) for item in facts.outputs] == [("soft", "softmax")]


def test_keras_loads_a_file_with_metadata(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="pip install -e '.[train]'")
    path = Path(shutil.copy(built_in("keras"), tmp_path / "x.keras"))
    embed(path, OWN)
    nets = [open_net(item, ModelSpec(), "keras", "cpu", 1) for item in (built_in("keras"), path)]
    picture = np.random.default_rng(0).uniform(0, 255, (1, 64, 96, 3)).astype(np.float32)
    assert np.array_equal(*(net.run([picture])[0][0] for net in nets))


def test_the_labels_that_mediapipe_puts_behind_a_file_are_read(tflite: Path) -> None:
    labels = ("background", "hair", "body-skin")
    with zipfile.ZipFile(tflite, "a") as archive:
        archive.writestr("labels.txt", "\n".join(labels))
    assert read_facts(tflite).labels == labels
    embed(tflite, SPEC)
    facts = read_facts(tflite)
    assert (facts.labels, facts.metadata) == (labels, SPEC.values())
    open_net(tflite, ModelSpec(), "litert", "cpu", 1).close()


def test_what_a_spec_says_goes_before_the_files_own_words(tmp_path: Path) -> None:
    path = keras_file(tmp_path / "m.keras")
    embed(path, SPEC)
    path.with_suffix(".json").write_text('{"tail": 0.2}')
    assert (spec_of(path).tail, spec_of(path).mean) == (0.2, SPEC.mean)
    other = tmp_path / "other.json"
    other.write_text('{"std": [1, 1, 1]}')
    found = spec_of(path, str(other))
    assert (found.tail, found.std, found.mean) == (SPEC.tail, (1.0, 1.0, 1.0), SPEC.mean)


@pytest.mark.parametrize(("values", "message"), [
    ({"sise": [1, 2]}, "does not understand .*sise.*give --model-spec, or install a newer version"),
    ({"size": "large"}, "does not understand .size is 'large'"),
])
def test_metadata_that_is_not_understood_is_an_error(values: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = keras_file(tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("streamseg.json", json.dumps(values))
    with pytest.raises(OptionError, match=message):
        spec_of(path)


@pytest.mark.parametrize("text", ["[1]", "{", "\xff"])
def test_metadata_that_is_no_object_is_an_error(text: str, tmp_path: Path) -> None:
    path = keras_file(tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("streamseg.json", text.encode("latin-1"))
    with pytest.raises(OptionError, match=r"m\.keras' is no Keras model that loads: its metadata"):
        spec_of(path)


def test_a_file_that_takes_no_metadata_stays_as_it_was(tmp_path: Path) -> None:
    for name, message in (("m.tflite", "TFL3"), ("m.keras", "no archive"), ("m.h5", "no place for metadata"),
                          ("m.onnx", "protobuf")):
        path = tmp_path / name
        path.write_bytes(b"this is no model")
        with pytest.raises(OptionError, match=message):
            embed(path, SPEC)
        assert path.read_bytes() == b"this is no model"
    assert len(list(tmp_path.iterdir())) == 4


# Damaged files


@pytest.mark.parametrize("kept", [0, 3, 8, 40, 1000, 0.3, 0.9])
@pytest.mark.parametrize("make", [
    lambda folder: shutil.copy(built_in(), folder / "m.tflite"),
    lambda folder: onnx_files.mean_of_channels(folder / "m.onnx", ("n", 3, 32, 64)),
    lambda folder: keras_file(folder / "m.keras")], ids=["tflite", "onnx", "keras"])
def test_a_file_that_is_cut_off_is_an_option_error_or_unknown(
        make: Callable[[Path], Any], kept: float, tmp_path: Path) -> None:
    path = Path(make(tmp_path))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(min(kept, len(content) - 1))])
    with pytest.raises(OptionError, match=r"m\.\w+' is no(ne)? "):
        Person(model=str(path))


@pytest.mark.parametrize("seed", range(20))
def test_a_file_with_wrong_bytes_is_an_option_error_or_read(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    for path in (Path(shutil.copy(built_in(), tmp_path / "m.tflite")),
                 onnx_files.mean_of_channels(tmp_path / "m.onnx", ("n", 3, 32, 64))):
        content = bytearray(path.read_bytes())
        first = 2000 if path.suffix == ".tflite" else len(content)
        for place in [*rng.integers(0, first, 8), *rng.integers(len(content) // 2, len(content), 8)]:
            content[place] = rng.integers(0, 256)
        path.write_bytes(content)
        with suppress(OptionError):
            spec_of(path)


def test_a_file_with_another_formats_ending_names_its_own(tmp_path: Path) -> None:
    for source, name, ending in ((built_in(), "m.onnx", "tflite"), (built_in("keras"), "m.tflite", "keras")):
        path = Path(shutil.copy(source, tmp_path / name))
        with pytest.raises(OptionError, match=rf"no \w+ model that loads: .*it begins as a \.{ending} file does"):
            spec_of(path)


# What is not known


def test_what_is_not_known_is_an_error_with_the_spec_to_write(onnx: ModuleType, tmp_path: Path) -> None:
    path = onnx_files.net(tmp_path / "new.onnx", {"img": (1, 3, 48, 64)}, {"seg": (1, 2, 48, 64)},
                          [("Conv", ["img", "w"], ["seg"], {})], {"w": np.full((2, 3, 1, 1), [[[[0.0]]], [[[1.0]]]])})
    with pytest.raises(OptionError) as caught:
        Person(model=str(path))
    text = str(caught.value)
    assert str(path) in text
    assert "takes 'img' (float32 [1, 3, 48, 64])" in text
    assert "gives 'seg' (float32 [1, 2, 48, 64])" in text
    assert "new.json beside it, or in a file for --model-spec" in text
    draft_text = text[text.index("{") : text.rindex("}") + 1]
    assert json.loads(draft_text) == {"size": [48, 64], "layout": "nchw", "range": [0, 1], "mean": [0, 0, 0],
                                      "std": [1, 1, 1], "activation": "softmax", "channel": 1}
    path.with_suffix(".json").write_text(draft_text)  # ready to be pasted
    [alpha] = mattes([np.full((30, 40, 3), 102, np.uint8)], model=str(path))
    assert alpha.shape == (48, 64)
    assert np.allclose(alpha, (1 / (1 + np.exp(-1.2)) - 0.04) / 0.92, atol=1e-3)


def test_a_draft_tells_what_the_file_tells(tmp_path: Path) -> None:
    path = onnx_files.net(
        tmp_path / "m.onnx", {"picture": ("n", "h", "w", 3), "h_in": (1, 8, 4, 4), "ratio": (1,)},
        {"matte": ("n", "h", "w", 1), "h_out": (1, 8, 4, 4)},
        [("ReduceMean", ["picture"], ["mean"], {"axes": [3]}), ("Sigmoid", ["mean"], ["raw"], {}),
         ("Identity", ["raw"], ["matte"], {}), ("Identity", ["h_in"], ["h_out"], {})],
        {"weights": np.zeros(3)}, listed=True)
    facts = read_facts(path)
    assert [item.name for item in facts.inputs] == ["picture", "h_in", "ratio"]
    assert draft(facts) == {
        "layout": "nhwc", "range": [0, 1], "mean": [0, 0, 0], "std": [1, 1, 1], "activation": "none",
        "input": "picture", "states": [["h_in", "h_out"]], "constants": {"ratio": 1}, "output": "matte"}
    assert ModelSpec.of(draft(facts)).states == (("h_in", "h_out"),)


def test_a_draft_names_the_classes_that_their_number_tells(tmp_path: Path) -> None:
    path = onnx_files.net(tmp_path / "m.onnx", {"x": (1, 3, 8, 8)}, {"y": (1, 21, 8, 8)},
                          [("Conv", ["x", "w"], ["y"], {})], {"w": np.zeros((21, 3, 1, 1))})
    found = draft(read_facts(path))
    assert (found["channel"], found["classes"], found["activation"]) == (15, "voc21", "softmax")


@pytest.mark.parametrize("size", [(48, 64), (48, 48)])
def test_a_net_may_take_channels_first_and_give_them_last(size: tuple[int, int], onnx: ModuleType, tmp_path) -> None:
    weights = np.zeros((5, 3, 1, 1))
    weights[3] = 1 / 3
    path = onnx_files.net(tmp_path / "m.onnx", {"x": (1, 3, *size)}, {"y": (1, *size, 5)},
                          [("Conv", ["x", "w"], ["z"], {}), ("Transpose", ["z"], ["y"], {"perm": [0, 2, 3, 1]})],
                          {"w": weights})
    assert draft(read_facts(path))["activation"] == "softmax"  # several channels
    path.with_suffix(".json").write_text('{"channel": 3}')
    [alpha] = mattes([np.full((30, 40, 3), 102, np.uint8)], model=str(path))
    assert alpha.shape == size
    assert np.allclose(alpha, 0.36 / 0.92, atol=1e-3)


def test_a_net_that_takes_no_picture_is_refused_in_words(tmp_path: Path) -> None:
    path = onnx_files.net(tmp_path / "m.onnx", {"x": (1, 4, 8, 8)}, {"y": (1, 4, 8, 8)},
                          [("Identity", ["x"], ["y"], {})])
    with pytest.raises(OptionError, match=r"takes 'x' \(float32 \[1, 4, 8, 8\]\); it must take a picture"):
        spec_of(path)


def test_an_h5_file_says_nothing_and_needs_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "old.h5"
    path.write_bytes(b"")
    with pytest.raises(OptionError, match="is none that is known"):
        spec_of(path)
    path.with_suffix(".json").write_text('{"range": [0, 255]}')
    assert spec_of(path).range == (0.0, 255.0)


@pytest.mark.parametrize(("spec", "kind", "message"), [
    ('{"activation": "softmax"}', OptionError,
     r"new\.onnx, whose output is .* = \[48, 64, 2\]: the model gives 2 channels: say in the model spec"),
    ('{"channel": 1}', SegmentError, r"new\.onnx, whose output .* gives values from .* name its activation")])
def test_a_spec_that_does_not_fit_what_comes_out_is_an_error_that_names_the_file(
        spec: str, kind: type[Exception], message: str, onnx: ModuleType, tmp_path: Path) -> None:
    path = onnx_files.net(tmp_path / "new.onnx", {"img": (1, 3, 48, 64)}, {"seg": (1, 2, 48, 64)},
                          [("Conv", ["img", "w"], ["seg"], {})], {"w": np.full((2, 3, 1, 1), 3.0)})
    path.with_suffix(".json").write_text(spec)
    with pytest.raises(kind, match=message):
        mattes([np.full((30, 40, 3), 102, np.uint8)], model=str(path))


# streamseg info FILE


def test_info_describes_a_model_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = keras_file(tmp_path / "m.keras")
    embed(path, SPEC)
    told = describe(path)
    assert (told["described by"], told["spec"]) == ("its metadata", SPEC.values())
    assert cli(["info", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"model": told}
    assert cli(["info", str(path)]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") : shown.rindex("}") + 1]) == SPEC.values()


def test_info_of_a_net_that_is_not_known_shows_the_draft(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["info", str(onnx_files.mean_of_channels(tmp_path / "m.onnx", (1, 3, 8, 8))), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["model"]
    assert told["described by"] == "nothing: the spec below is a draft for --model-spec"
    assert (told["spec"]["size"], told["inputs"]) == ([8, 8], ["'picture' (float32 [1, 3, 8, 8])"])


def test_info_of_what_is_no_model_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["info", str(tmp_path / "none.onnx")]) == 2
    assert "none.onnx' is not there: give the path" in capsys.readouterr().err
