"""Model files of every kind run, on the device that was asked for, and batches are batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from streamseg.core.geometry import usual_sizes
from streamseg.core.opencv import cv2
from streamseg.errors import DeviceError, OptionError
from streamseg.segment.built_in import built_in
from streamseg.segment.file_formats.tflite import STEPS
from streamseg.segment.known_models import OWN
from streamseg.segment.model_spec import ModelSpec
from streamseg.segment.person import Person
from streamseg.segment.runtimes import Net, litert, open_net
from streamseg.segment.runtimes.keras import share_threads
from streamseg.segment.runtimes.resized import resized, sized_places
from streamseg.segment.runtimes.signatures import alone, signatures
from streamseg.source.arrays import frame_of
from tests.unit.model_tools import frames, mattes
from tests.unit.onnx_files import mean_of_channels

SPEAKING = """
import os
from types import SimpleNamespace as SessionOptions

def get_available_providers():
    return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

class InferenceSession:
    def __init__(self, path, settings, providers):
        if "TensorrtExecutionProvider" in providers:
            print("*** EP Error ***")
        os.write(2, b"[W:onnxruntime:Default] Failed to create CUDAExecutionProvider\\n")

    def get_inputs(self):
        return [SessionOptions(name="picture", type="tensor(float)", shape=["n", 32, 64, 3])]

    def get_outputs(self):
        return [SessionOptions(name="alpha", type="tensor(float)", shape=["n", 32, 64, 1])]

    def get_providers(self):
        return ["CPUExecutionProvider"]
"""


def matte_of(net: Net, pictures: np.ndarray) -> np.ndarray:
    outputs, state = net.run([pictures])
    assert (len(outputs), state) == (1, None)
    return outputs[0]


# LiteRT: the shipped model


def of_sizes(path: Path, sizes, ending: str = "") -> Path:
    """A small U-Net as a .tflite file with a signature for each size, always of the same weights."""
    tf = pytest.importorskip("tensorflow", reason="pip install -e '.[train]'")
    rng = np.random.default_rng(5)
    first, second, last, unfold = (tf.constant(rng.normal(0, 0.4, shape).astype(np.float32))
                                   for shape in ((3, 3, 3, 8), (3, 3, 8, 8), (3, 3, 8, 4), (2, 2, 1, 4)))

    def function(height: int, width: int):
        def alpha(picture):
            half = tf.nn.relu6(tf.nn.conv2d(picture / 255, first, 2, "SAME"))
            deep = tf.nn.relu6(tf.nn.conv2d(half, second, 2, "SAME"))
            gated = deep * tf.sigmoid(tf.reduce_mean(deep, (1, 2), keepdims=True))
            x = half + tf.image.resize(gated, (height // 2, width // 2))
            fine = tf.nn.conv2d(x, last, 1, "SAME")
            coarse = tf.image.resize(tf.reduce_mean(x, -1, keepdims=True), (height, width))
            return {"alpha": tf.sigmoid(coarse + tf.nn.conv2d_transpose(fine, unfold, (1, height, width, 1), 2))}

        return tf.function(alpha).get_concrete_function(tf.TensorSpec((1, height, width, 3), tf.float32, "picture"))

    names = {f"{height}x{width}{ending}": function(height, width) for height, width in sizes}
    tf.saved_model.save(tf.Module(), path.parent / "saved", signatures=names)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(path.parent / "saved"), signature_keys=list(names))
    path.write_bytes(converter.convert())
    return path


def test_a_graph_alone_gives_what_it_gives_among_the_others(tmp_path: Path, capfd) -> None:
    path = of_sizes(tmp_path / "sizes.tflite", [(32, 64), (64, 32), (64, 96)])
    content = path.read_bytes()
    found = signatures(content)
    among = Interpreter(model_content=content, num_threads=1)
    assert set(found) == set(among.get_signature_list()) == {"32x64", "64x32", "64x96"}
    net = open_net(path, ModelSpec(), "litert", "cpu", 1)
    assert {f"{height}x{width}" for height, width in net.sizes} == set(found)
    capfd.readouterr()
    for height, width in ((32, 64), (64, 96)):
        picture = np.random.default_rng(3).uniform(0, 255, (1, height, width, 3)).astype(np.float32)
        runner = among.get_signature_runner(f"{height}x{width}")
        assert np.array_equal(matte_of(net, picture), runner(picture=picture)["alpha"])
    assert capfd.readouterr().err == ""  # the progress bar is there by now
    assert signatures(alone(content, found["32x64"])) == {}


@pytest.mark.parametrize("size", [(32, 64), (64, 32), (96, 160)])
def test_a_graph_that_was_made_for_another_size_gives_what_the_net_gives_there(tmp_path: Path, size) -> None:
    whole = of_sizes(tmp_path / "whole.tflite", [size])
    small = of_sizes(tmp_path / "small.tflite", [(32, 64)], ending=STEPS)
    net = open_net(small, ModelSpec(), "litert", "cpu", 1)
    assert net.sizes == usual_sizes()
    among = Interpreter(model_content=whole.read_bytes(), num_threads=1)
    picture = np.random.default_rng(3).uniform(0, 255, (1, *size, 3)).astype(np.float32)
    expected = among.get_signature_runner("{}x{}".format(*size))(picture=picture)["alpha"]
    assert expected.std() > 0.01
    assert np.allclose(matte_of(net, picture), expected, atol=1e-5)


def test_a_size_that_goes_not_with_the_nets_steps_is_refused(tmp_path: Path) -> None:
    small = of_sizes(tmp_path / "small.tflite", [(32, 64)], ending=STEPS)
    with pytest.raises(ValueError, match="size 33x64 is not one that the net takes"):
        resized(small.read_bytes(), (33, 64))


def test_what_changes_with_the_size_is_looked_for_once_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    path = built_in()
    content, looked = path.read_bytes(), []
    monkeypatch.setattr(litert, "sized_places", lambda given: looked.append(len(given)) or sized_places(given))
    net = open_net(path, OWN, "litert", "cpu", 1)
    sizes = net.sizes[:2]
    for size in sizes:
        assert matte_of(net, np.zeros((1, *size, 3), np.float32)).shape[1:3] == size
        assert resized(content, size, sized_places(content)) == resized(content, size)
    assert resized(content, sizes[0]) != resized(content, sizes[1])
    assert looked == [len(content)]
    net.close()


def test_a_size_is_made_ready_when_it_is_first_used(monkeypatch) -> None:
    opened = []
    real = Interpreter.__init__

    def count(self, *args, **how) -> None:
        real(self, *args, **how)
        opened.append(tuple(self.get_input_details()[0]["shape"][1:3]))

    path = built_in()
    monkeypatch.setattr(Interpreter, "__init__", count)
    net = open_net(path, ModelSpec(), "litert", "cpu", 1)
    assert opened == [(192, 352)]
    for size in ((192, 352), (224, 288), (224, 288)):
        matte_of(net, np.zeros((1, *size, 3), np.float32))
    assert opened == [(192, 352), (224, 288)]
    assert set(net._ready) == {(192, 352), (224, 288)}
    other = open_net(path, ModelSpec(), "litert", "cpu", 1)
    matte_of(other, np.zeros((1, 224, 288, 3), np.float32))
    assert set(other._ready) == {(224, 288)}  # memory is not held for nothing


def test_a_few_sizes_stay_ready_and_none_after_trim() -> None:
    net = open_net(built_in(), ModelSpec(), "litert", "cpu", 1)
    picture = np.full((1, 128, 224, 3), 0.5, np.float32)
    first = matte_of(net, picture)
    sizes = [(160, 288), (192, 256), (224, 224), (256, 192), (288, 160), (96, 128), (128, 96)]
    for size in sizes:
        matte_of(net, np.zeros((1, *size, 3), np.float32))
    assert list(net._ready) == sizes[1:]  # six
    assert np.array_equal(matte_of(net, picture), first)
    net.trim()
    assert not net._ready
    assert np.array_equal(matte_of(net, picture), first)
    net.close()


@pytest.mark.parametrize("precision", ["float", "int8"])
@pytest.mark.parametrize("kept", [0, 4, 8, 64, 1000, 40_000, 0.5, 0.99])
def test_a_tflite_file_that_is_cut_off_is_an_error_that_names_it(kept: float, precision: str, tmp_path: Path) -> None:
    content = built_in(precision=precision).read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(content[:int(kept if kept > 1 or not kept else kept * len(content))])
    with pytest.raises(OptionError, match=r"cut\.tflite' is no LiteRT model that loads"):
        open_net(path, ModelSpec(), "litert", "cpu", 1)


def test_litert_gives_a_batch_what_it_gives_one_by_one() -> None:
    net = open_net(built_in(), ModelSpec(), "litert", "cpu", 1)
    batch = np.random.default_rng(0).uniform(0, 255, (3, *net.sizes[0], 3)).astype(np.float32)
    together = matte_of(net, batch)
    apart = [matte_of(net, batch[i : i + 1])[0] for i in range(3)]
    net.close()
    assert together.shape == (*batch.shape[:3], 1)
    assert np.array_equal(together, np.stack(apart))
    assert not np.array_equal(together[0], together[1])


# ONNX: files of two operations


@pytest.fixture
def onnx() -> ModuleType:
    return pytest.importorskip("onnxruntime", reason="pip install -e '.[onnx]'")


@pytest.mark.parametrize("shape", [("n", 32, 64, 3), (1, 32, 64, 3), ("n", 3, 32, 64), (1, 3, 32, 64)])
def test_onnx_runs_both_layouts_and_any_batch(shape: Any, onnx: ModuleType, tmp_path: Path) -> None:
    net = open_net(mean_of_channels(tmp_path / "m.onnx", shape), ModelSpec(), "auto", "cpu", 1)
    batch = np.random.default_rng(0).uniform(0, 1, (2, 32, 64, 3)).astype(np.float32)
    assert net.sizes == ((32, 64),)
    assert np.abs(matte_of(net, batch) - batch.mean(axis=-1, keepdims=True)).max() < 1e-6
    net.close()


def test_an_onnx_model_of_any_size_takes_the_pictures_shape_or_the_specs(onnx: ModuleType, tmp_path) -> None:
    path = mean_of_channels(tmp_path / "m.onnx", ("n", "h", "w", 3))
    path.with_suffix(".json").write_text("{}")  # as a spec says by default
    pictures = frames(2, 90, 160)
    wide = mattes(pictures, model=str(path))
    assert wide[0].shape[1] > wide[0].shape[0]
    path.with_suffix(".json").write_text('{"size": [48, 32]}')  # found by its name
    small = mattes(pictures, model=str(path), batch=2)
    assert [alpha.shape for alpha in small] == [(48, 32)] * 2
    grey = [picture.mean() / 255 for picture in pictures]
    assert [float(alpha.mean()) for alpha in small] == pytest.approx(grey, abs=0.03)


def test_the_range_of_the_spec_reaches_the_model(onnx: ModuleType, tmp_path: Path) -> None:
    path = mean_of_channels(tmp_path / "m.onnx", ("n", 32, 32, 3), scale=0.5)
    spec = tmp_path / "spec.json"
    spec.write_text('{"range": [-1, 1], "activation": "sigmoid"}')
    grey = np.full((32, 32, 3), 204, np.uint8)  # 204 / 127.5 - 1 = 0.6
    [alpha] = mattes([grey], model=str(path), model_spec=str(spec))
    probability = 1 / (1 + np.exp(-0.3))
    assert float(alpha.mean()) == pytest.approx((probability - 0.04) / 0.92, abs=1e-3)


def test_letterbox_shows_the_whole_picture_and_gives_its_part_back(onnx: ModuleType, tmp_path: Path) -> None:
    path = mean_of_channels(tmp_path / "m.onnx", ("n", 64, 64, 3))
    path.with_suffix(".json").write_text('{"fit": "letterbox"}')
    [alpha] = mattes([np.full((32, 64, 3), 255, np.uint8)], model=str(path))
    assert alpha.shape == (32, 64)
    assert alpha.min() > 0.99  # the black bars are gone


def test_onnx_on_a_gpu_that_is_not_there_is_an_error(onnx: ModuleType, tmp_path: Path) -> None:
    if set(onnx.get_available_providers()) - {"CPUExecutionProvider", "AzureExecutionProvider"}:
        pytest.skip("this onnxruntime has a GPU provider")
    path = mean_of_channels(tmp_path / "m.onnx", ("n", 32, 64, 3))
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(DeviceError, match="onnxruntime-gpu, or give --device cpu"):
        mattes(frames(1, 32, 64), model=str(path), device="gpu")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_onnx_with_a_gpu_provider_that_does_not_start_is_an_error(
        onnx: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As onnxruntime-gpu does without CUDA, the library takes the provider's name and runs on the CPU."""
    monkeypatch.setattr(onnx, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    path = mean_of_channels(tmp_path / "m.onnx", ("n", 32, 64, 3))
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(DeviceError, match=r"does not start here .*give --device cpu"):
        mattes(frames(1, 32, 64), model=str(path), device="gpu")
    assert len(mattes(frames(1, 32, 64), model=str(path), device="auto")) == 1


def test_onnx_that_speaks_by_itself_is_heard_on_neither_output(tmp_path: Path) -> None:
    """As onnxruntime-gpu 1.31 does without CUDA: native lines on standard error, and, where TensorRT is among the
    providers, Python's on standard output, where a film may go."""
    (tmp_path / "onnxruntime.py").write_text(SPEAKING)
    mean_of_channels(tmp_path / "m.onnx", ("n", 32, 64, 3)).with_suffix(".json").write_text("{}")
    cv2.imwrite(str(tmp_path / "in.png"), np.full((48, 64, 3), 90, np.uint8))
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run([sys.executable, "-m", "streamseg", "run", "in.png", "-o", "-", "--model", "m.onnx",
                           "--device", "gpu", "--quiet"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line[:34] for line in done.stderr.splitlines()] == ["streamseg: error: ONNX Runtime has"]


# Keras


@pytest.fixture
def keras() -> ModuleType:
    pytest.importorskip("tensorflow", reason="pip install -e '.[train]'")
    return pytest.importorskip("keras")


def red_and_blue(keras: ModuleType, path: Path, size: tuple[int | None, int | None] = (None, None)) -> Path:
    """A net of three classes whose logits are red, green and blue, each 0..8."""
    picture = keras.Input((*size, 3))
    keras.Model(picture, keras.layers.Rescaling(8 / 255)(picture)).save(path)
    return path


def test_keras_runs_many_classes_in_batches_of_different_shapes(keras: ModuleType, tmp_path: Path) -> None:
    path = red_and_blue(keras, tmp_path / "colours.keras")
    path.with_suffix(".json").write_text(json.dumps(
        {"range": [0, 255], "activation": "softmax", "classes": ["red", "green", "blue"]}))
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    pictures = [np.full((32, 64, 3), colour, np.uint8) for colour in colours]
    for batch in (1, 2, 3):
        found = mattes(pictures, model=str(path), classes="red,blue", batch=batch)
        assert [round(float(alpha.mean()), 3) for alpha in found] == [1.0, 0.0, 1.0]
    method = Person(model=str(path), classes="green")
    shapes = [(64, 32), (64, 32), (32, 64)]
    alphas = method.segment([frame_of(np.full((*shape, 3), (0, 255, 0), np.uint8), i, 1)
                             for i, shape in enumerate(shapes)])
    method.close()
    assert [float(matte.alpha.min()) > 0.99 for matte in alphas] == [True] * 3
    assert [matte.alpha.shape[0] > matte.alpha.shape[1] for matte in alphas] == [True, True, False]


def test_keras_gives_the_built_in_model_what_litert_gives(keras: ModuleType) -> None:
    pictures = frames(3, 90, 160)
    litert, kept = mattes(pictures), mattes(pictures, runtime="keras", batch=3)
    assert kept[0].shape == litert[0].shape
    for ours, theirs in zip(kept, litert, strict=True):
        # Both hold weights of 16 bits, rounded at different places.
        assert np.abs(ours - theirs).mean() < 5e-3
        assert np.abs(ours - theirs).max() < 0.1


def test_a_size_stated_by_the_keras_model_is_used(keras: ModuleType, tmp_path: Path) -> None:
    net = open_net(red_and_blue(keras, tmp_path / "m.keras", (16, 48)), ModelSpec(), "keras", "cpu", 1)
    assert net.sizes == ((16, 48),)
    net.close()


def test_a_size_of_the_spec_that_a_keras_model_does_not_take_is_refused(keras: ModuleType, tmp_path) -> None:
    path = red_and_blue(keras, tmp_path / "m.keras", (16, 48))
    open_net(path, ModelSpec(size=(16, 48)), "keras", "cpu", 1).close()
    with pytest.raises(OptionError, match=r"spec says size \[32, 32\], but m\.keras takes \[16, 48\]"):
        open_net(path, ModelSpec(size=(32, 32)), "keras", "cpu", 1)


def test_keras_on_a_gpu_that_is_not_there_is_an_error(keras: ModuleType) -> None:
    import tensorflow

    if tensorflow.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match=r"finds no GPU: .*or give --device cpu"):
        mattes(frames(1, 32, 64), device="gpu")


def backend_with_threads(name: str, now: int, used: bool) -> Any:
    """Stands for TensorFlow or torch: ``now`` threads, and no changing them once TensorFlow is ``used``."""
    made: Any = ModuleType(name)
    made.threads = {"within": now, "between": now}

    def change(key: str, count: int) -> None:
        if used and count != made.threads[key]:
            raise RuntimeError("cannot be modified after initialization")
        made.threads[key] = count

    made.set_num_threads, made.get_num_threads = partial(change, "within"), lambda: made.threads["within"]
    made.config = SimpleNamespace(threading=SimpleNamespace(
        set_intra_op_parallelism_threads=partial(change, "within"),
        get_intra_op_parallelism_threads=made.get_num_threads,
        set_inter_op_parallelism_threads=partial(change, "between")))
    return made


@pytest.mark.parametrize(("backend", "now", "used", "got"), [
    ("tensorflow", 0, False, 3), ("tensorflow", 2, False, 3),  # 0: as many as it chooses
    ("tensorflow", 2, True, 2), ("tensorflow", 0, True, None),
    ("torch", 2, False, 3), ("jax", 2, False, None)])
def test_a_keras_backend_gets_its_share_of_the_threads_or_says_what_it_has(
        backend: str, now: int, used: bool, got: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    module = backend_with_threads(backend, now, used)
    monkeypatch.setitem(sys.modules, backend, module)
    assert share_threads(backend, 3) == got
    if backend == "tensorflow" and not used:
        assert module.threads == {"within": 3, "between": 1}


def test_the_first_keras_model_settles_tensorflows_threads(keras: ModuleType, tmp_path: Path) -> None:
    path = red_and_blue(keras, tmp_path / "m.keras", (8, 8))
    # In a process of its own: in this one TensorFlow is in use.
    code = ("import sys; from pathlib import Path; import numpy; from streamseg.segment import runtimes\n"
            "for count in (1, 2):\n"
            "    net = runtimes.open_net(Path(sys.argv[1]), runtimes.ModelSpec(), 'keras', 'cpu', count)\n"
            "    net.run([numpy.zeros((1, 8, 8, 3), numpy.float32)])\n"
            "    print(net.runs_on)\n")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True,
                          env=os.environ | {"KERAS_BACKEND": "tensorflow"})
    assert done.stdout.splitlines()[-2:] == ["Keras (tensorflow, CPU, 1 thread for the net)"] * 2


def test_a_keras_model_of_two_inputs_is_refused(keras: ModuleType, tmp_path: Path) -> None:
    pictures = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    keras.Model(pictures, keras.layers.Add()(pictures)).save(tmp_path / "two.keras")
    with pytest.raises(OptionError, match="takes 2 inputs"):
        open_net(tmp_path / "two.keras", ModelSpec(), "auto", "cpu", 1)
