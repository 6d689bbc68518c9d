"""Nets that people have run with --model FILE alone: known by what they take and give, fed as their authors do.

The real files are large and not here. In their place stand nets with the same inputs and outputs whose answer is a
weighted sum of what goes in, so that a wrong mean, std, range or activation shows in the matte.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from streamseg.errors import OptionError
from streamseg.segment import model_spec
from streamseg.segment.file_formats.facts import ModelFacts, TensorFacts
from streamseg.segment.known_models import KNOWN, find
from streamseg.segment.model_file import describe, spec_of
from streamseg.segment.model_spec import ModelSpec
from tests.shared import shared_folder
from tests.unit import onnx_files
from tests.unit.model_tools import mattes

COLOUR = np.array([200, 100, 50], np.uint8)
WEIGHTS, BIAS = np.array([0.3, -0.2, 0.1]), 0.4  # for red, green, blue: a channel that is mixed up shows
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture
def onnx() -> ModuleType:
    return pytest.importorskip("onnxruntime", reason="pip install -e '.[onnx]'")


def summed(path: Path, given: tuple[str, onnx_files.Shape], taken: list[tuple[str, onnx_files.Shape]], *,
           last: str | None = None, beside: tuple[str, ...] = (), **how: Any) -> Path:
    """A net whose first output is the weighted sum of its input's channels, then ``last``; the others are zero.

    ``beside``: operations that are in the file without being of use.
    """
    name, shape = given
    side = taken[0][1]
    count = side[1]
    weights: dict[str, Any] = {"w": np.zeros((count, 3, 1, 1)), "b": np.zeros(count), "zero": np.zeros(1),
                               "scale": np.ones(3), "shift": np.zeros(3)}
    weights["w"][-1, :, 0, 0], weights["b"][-1] = WEIGHTS, BIAS
    nodes: list[onnx_files.Node] = [("Conv", [name, "w", "b"], ["sum"], {})]
    nodes.append((last, ["sum"], [taken[0][0]], {"axis": 1} if last == "Softmax" else {}) if last
                 else ("Identity", ["sum"], [taken[0][0]], {}))
    nodes += [("Mul", ["sum", "zero"], [other], {}) for other, _ in taken[1:]]
    extra = {"InstanceNormalization": [name, "scale", "shift"], "MatMul": ["sum", "sum"]}
    nodes += [(kind, extra[kind], [f"unused {kind}"], {}) for kind in beside]
    return onnx_files.net(path, {name: shape}, dict(taken), nodes, weights, **how)


def u2net(path: Path) -> Path:
    return summed(path, ("input.1", (1, 3, 320, 320)), [(str(1959 + i), (1, 1, 320, 320)) for i in range(7)])


def isnet(path: Path) -> Path:
    features = [(f"feature{i}", ("n", 1, "h", "w")) for i in range(6)]
    return summed(path, ("input_image", (1, 3, 1024, 1024)),
                  [(f"matte{i}", (1, 1, 1024, 1024)) for i in range(6)] + features, last="Sigmoid")


def isnet_alone(path: Path) -> Path:
    return summed(path, ("input", (1, 3, 1024, 1024)), [("output", (1, 1, 1024, 1024))], last="Sigmoid")


def anime(path: Path) -> Path:
    return summed(path, ("img", (1, 3, 1024, 1024)), [("mask", (1, 1, 1024, 1024))], last="Sigmoid")


def birefnet(path: Path) -> Path:
    return summed(path, ("input_image", (1, 3, 1024, 1024)), [("output_image", (1, 1, 1024, 1024))],
                  beside=("MatMul",))


def birefnet_with_sigmoid(path: Path) -> Path:
    return summed(path, ("input_image", (1, 3, 1024, 1024)), [("output_image", (1, 1, 1024, 1024))], last="Sigmoid",
                  beside=("MatMul",))


def birefnet_in_half(path: Path) -> Path:
    """With inputs and outputs of 16 bits, as rembg's birefnet-general-fp16."""
    shapes = {"input_image": (1, 3, 1024, 1024)}, {"output_image": (1, 1, 1024, 1024)}
    nodes: list[onnx_files.Node] = [
        ("Cast", ["input_image"], ["x"], {"to": onnx_files.FLOAT}), ("Conv", ["x", "w", "b"], ["sum"], {}),
        ("Cast", ["sum"], ["output_image"], {"to": onnx_files.FLOAT16})]
    return onnx_files.net(path, *shapes, nodes, {"w": WEIGHTS.reshape(1, 3, 1, 1), "b": np.full(1, BIAS)},
                          dtype=onnx_files.FLOAT16)


def modnet(path: Path) -> Path:
    return summed(path, ("input", ("batch_size", 3, "height", "width")),
                  [("output", ("batch_size", 1, "height", "width"))], last="Sigmoid",
                  beside=("InstanceNormalization",))


def pphumanseg(path: Path) -> Path:
    return summed(path, ("x", (1, 3, 192, 192)), [("save_infer_model/scale_0.tmp_1", (1, 2, 192, 192))])


def pphumanseg_with_softmax(path: Path) -> Path:
    return summed(path, ("x", ("n", 3, 144, 256)), [("softmax_0.tmp_0", ("n", 2, 144, 256))], last="Softmax")


def rvm(path: Path) -> Path:
    """pha is everywhere r1: half of what it was, and half of the picture's grey times downsample_ratio."""
    grey = [("ReduceMean", ["src"], ["grey"], {"axes": [1, 2, 3]}), ("Mul", ["grey", "downsample_ratio"], ["seen"], {}),
            ("Mul", ["seen", "half"], ["new"], {}), ("Mul", ["r1i", "half"], ["old"], {}),
            ("Add", ["new", "old"], ["r1o"], {})]
    matte = [("ReduceMean", ["src"], ["flat"], {"axes": [1]}), ("Mul", ["flat", "zero"], ["none"], {}),
             ("Add", ["none", "r1o"], ["pha"], {}), ("Identity", ["src"], ["fgr"], {})]
    kept = [("Identity", [f"r{i}i"], [f"r{i}o"], {}) for i in (2, 3, 4)]
    picture, state = ("batch_size", 3, "height", "width"), ("n", "c", "h", "w")
    return onnx_files.net(
        path, {"src": picture, **{f"r{i}i": state for i in range(1, 5)}, "downsample_ratio": (1,)},
        {"fgr": picture, "pha": ("batch_size", 1, "height", "width"), **{f"r{i}o": state for i in range(1, 5)}},
        [*grey, *matte, *kept], {"half": np.full(1, 0.5), "zero": np.zeros(1)})


def sigmoid(value: float) -> float:
    return 1 / (1 + np.exp(-value))


def total(mean: Any, std: Any) -> float:
    """What the net's sum is where the colour goes in as its authors prepare it."""
    return float((((COLOUR / 255 - mean) / std) * WEIGHTS).sum() + BIAS)


@pytest.mark.parametrize(("make", "probability", "size"), [
    (u2net, total(MEAN, STD), (320, 320)),
    (isnet, sigmoid(total(0.5, 1)), (1024, 1024)),
    (isnet_alone, sigmoid(total(0.5, 1)), (1024, 1024)),
    (anime, sigmoid(total(0, 1)), (512, 1024)),  # letterboxed: the part that the picture covers
    (birefnet, sigmoid(total(MEAN, STD)), (1024, 1024)),
    (birefnet_with_sigmoid, sigmoid(total(MEAN, STD)), (1024, 1024)),
    (birefnet_in_half, sigmoid(total(MEAN, STD)), (1024, 1024)),
    (modnet, sigmoid(total(0.5, 0.5)), (480, 960)),
    (pphumanseg, sigmoid(total(0.5, 0.5)), (192, 192)),  # a softmax of two, the other zero
    (pphumanseg_with_softmax, sigmoid(total(0.5, 0.5)), (144, 256)),
])
def test_a_net_that_people_have_runs_as_its_authors_run_it(
        make: Callable[[Path], Path], probability: float, size: tuple[int, int], onnx: ModuleType,
        tmp_path: Path) -> None:
    [alpha] = mattes([np.broadcast_to(COLOUR, (100, 200, 3)).copy()], model=str(make(tmp_path / "any name.onnx")))
    assert 0.1 < probability < 0.9  # else a wrong one would be cut off to the same
    assert alpha.shape == size
    assert np.allclose(alpha, (probability - 0.04) / 0.92, atol=2e-3)


def test_a_net_with_a_memory_runs_with_its_states(onnx: ModuleType, tmp_path: Path) -> None:
    path = rvm(tmp_path / "any name.onnx")
    pictures = [np.full((90, 160, 3), grey, np.uint8) for grey in (204, 204, 51, 51, 51)]
    memory, expected = 0.0, []
    for picture in pictures:
        memory = memory / 2 + picture[0, 0, 0] / 255 / 2
        expected.append((memory - 0.04) / 0.92)
    for batch in (1, 2, 5):
        found = mattes(pictures, model=str(path), batch=batch)
        assert {alpha.shape for alpha in found} == {(288, 512)}
        assert [float(alpha.mean()) for alpha in found] == pytest.approx(expected, abs=2e-3)
        assert max(float(np.ptp(alpha)) for alpha in found) < 1e-3


def test_the_names_of_the_known_nets_are_those_of_no_file(tmp_path: Path) -> None:
    """A net that is called u2net.onnx, and is not, is not taken for it."""
    path = onnx_files.mean_of_channels(tmp_path / "u2net.onnx", ("n", 3, 320, 320))
    with pytest.raises(OptionError, match="is none that is known"):
        spec_of(path)


RVM_STATES = [TensorFacts((f"r{i}i",), (None,) * 4) for i in range(1, 5)]
RVM = ModelFacts(
    format="onnx",
    inputs=(TensorFacts(("src",), (None, 3, None, None)), *RVM_STATES, TensorFacts(("downsample_ratio",), (1,))),
    outputs=(TensorFacts(("fgr",), (None, 3, None, None)), TensorFacts(("pha",), (None, 1, None, None)),
             *(TensorFacts((f"r{i}o",), (None,) * 4) for i in range(1, 5))))


def facts(given: str, size: tuple[int, int], taken: str, count: int, *, labels: tuple[str, ...] = (),
          made_by: str = "") -> ModelFacts:
    return ModelFacts(format="tflite", labels=labels, inputs=(TensorFacts((given,), (1, *size, 3)),),
                      outputs=(TensorFacts((taken,), (1, *size, count), made_by=made_by),))


LABELS = ("background", "hair", "body-skin", "face-skin", "clothes", "others (accessories)")


@pytest.mark.parametrize(("given", "name", "says"), [
    (RVM, "rvm_mobilenetv3", {"input": "src", "output": "pha", "activation": "none", "range": (0.0, 1.0),
                              "states": (("r1i", "r1o"), ("r2i", "r2o"), ("r3i", "r3o"), ("r4i", "r4o")),
                              "constants": (("downsample_ratio", 1.0),)}),
    (facts("input_1", (144, 256), "activation_10", 1), "selfie_segmenter_landscape", {"size": (144, 256)}),
    (facts("input_29", (256, 256), "Identity", 6), "selfie_multiclass_256x256",
     {"channel": (1, 2, 3, 4, 5), "activation": "softmax"}),
    (facts("input_29", (256, 256), "Identity", 6, made_by="softmax"), "selfie_multiclass_256x256",
     {"channel": (1, 2, 3, 4, 5), "activation": "none"}),
    (facts("x", (256, 256), "y", 6, labels=LABELS), "selfie_multiclass_256x256", {"channel": (1, 2, 3, 4, 5)}),
    (facts("input_1", (96, 160), "segment", 2), "segm_full_v679", {"channel": (1,), "activation": "softmax"}),
    (facts("sub_7", (257, 257), "ResizeBilinear_3", 21), "deeplabv3_257_mv_gpu",
     {"channel": (15,), "range": (-1.0, 1.0), "activation": "softmax"}),
])
def test_a_net_is_known_by_what_it_takes_and_gives(given: ModelFacts, name: str, says: dict[str, Any]) -> None:
    found = find(given)
    assert found is not None
    known, spec = found
    assert name in known.names
    assert {key: getattr(spec, key) for key in says} == says


@pytest.mark.parametrize("other", [
    facts("input_1", (256, 256), "activation_11", 1), facts("input_2", (256, 256), "activation_10", 1),
    facts("input_1", (224, 256), "activation_10", 1), facts("input_1", (256, 256), "activation_10", 2),
    facts("x", (256, 256), "y", 6), facts("sub_7", (513, 513), "ResizeBilinear_3", 21),
    replace(RVM, inputs=RVM.inputs[:-1]), replace(RVM, outputs=RVM.outputs[1:]), replace(RVM, inputs=()),
    facts("picture", (224, 224), "alpha", 1),  # as ours, but not made by a sigmoid
])
def test_a_net_that_differs_is_not_known(other: ModelFacts) -> None:
    assert find(other) is None


def test_each_known_net_names_its_source_and_licence_and_reads_as_json() -> None:
    for known in KNOWN:
        assert known.source
        assert known.licence
        assert ModelSpec.of(json.loads(json.dumps(known.spec.values()))) == known.spec
        assert known.spec.kind == "foreign"


# Files of others


def test_the_nets_of_which_a_file_was_read_are_those_that_are_tested_with_it() -> None:
    assert {known.names[0] for known in KNOWN if known.seen} == {
        "exports of training.export without metadata", "selfie_segmenter", "segm_full_v679", "deeplabv3_257_mv_gpu"}


PLAIN = {"fit": "squeeze", "mean": [0, 0, 0], "std": [1, 1, 1], "layout": "nhwc", "tail": 0.04}


@pytest.mark.parametrize(("name", "known", "spec"), [
    ("selfie_256x256.tflite", "selfie_segmenter", {"range": [0, 1], "activation": "none", "channel": 0}),
    ("deeplabv3_mnv2_257.tflite", "deeplabv3_257_mv_gpu",
     {"range": [-1, 1], "activation": "softmax", "channel": 15}),
    ("meet_144x256.onnx", "segm_full_v679", {"range": [0, 1], "activation": "softmax", "channel": 1})])
def test_files_of_others_run_under_any_name(name: str, known: str, spec: dict[str, Any], tmp_path: Path) -> None:
    source = shared_folder("models", name)
    if source.suffix == ".onnx":
        pytest.importorskip("onnxruntime", reason="pip install -e '.[onnx]'")
    path = Path(shutil.copy(source, tmp_path / f"person-x{source.suffix}"))
    assert known in describe(path)["described by"]
    given = tmp_path / "spec.json"
    given.write_text(json.dumps(PLAIN | spec))
    picture = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    assert np.array_equal(mattes([picture], model=str(path)), mattes([picture], model=str(path), model_spec=str(given)))


def test_the_readme_lists_every_known_net_and_every_field_of_a_spec() -> None:
    text = (Path(model_spec.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert [name for known in KNOWN for name in known.names if name not in text] == []
    rows = [line for line in text.splitlines() if line.startswith("|")]
    for known in KNOWN:
        [row] = [row for row in rows if all(f"`{name}`" in row or name in row.split("|")[1] for name in known.names)
                 and known.licence in row][:1]
        assert row
    fields = [item.name for item in dataclasses.fields(ModelSpec)]
    assert [name for name in fields if not any(f"`{name}`" in row.split("|")[1] for row in rows)] == []


def test_the_readmes_examples_are_specs_and_those_of_the_known_nets() -> None:
    text = (Path(model_spec.__file__).parent / "README.md").read_text(encoding="utf-8")
    u2net_spec, rvm_spec = (ModelSpec.of(json.loads(part.partition("```")[0])) for part in text.split("```json")[1:])
    of = {name: known.spec for known in KNOWN for name in known.names}
    assert replace(of["u2net"], name=None, licence=None, layout="nchw") == u2net_spec
    assert replace(of["rvm_mobilenetv3"], name=None, licence=None) == rvm_spec
