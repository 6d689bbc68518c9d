"""A published file's encoder read into our net gives the file's features."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="training needs TensorFlow: pip install -e '.[train]'")

import keras

from streamseg.errors import OptionError
from streamseg.segment.built_in import built_in
from tests.shared import shared_folder
from training import architectures, encoders, formats
from training.architectures import deeplab, person
from training.encoder_files import DeepLabFile, LiteFile, open_file

SIDE = DeepLabFile.side


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the published one's form: our DeepLabv3 with random weights, its norms folded."""
    keras.utils.set_random_seed(0)
    model = deeplab.build(21, (SIDE, SIDE), width=0.5, stride=8)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape
            layer.set_weights([rng.uniform(0.8, 1.2, count), rng.normal(0, 0.3, count),
                               rng.normal(0, 0.1, count), rng.uniform(0.5, 1.5, count)])
    # From -1..1 on: the published file, too, leaves the range to whoever runs it.
    inner = keras.Model(model.get_layer("scale").output, model.get_layer("logits").output)
    path = tmp_path_factory.mktemp("deeplab") / "deeplab.tflite"
    path.write_bytes(formats.to_tflite(inner, [(SIDE, SIDE)], "fp32"))
    return path


def picture() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.uniform(0, 255, (1, SIDE, SIDE, 3)).astype(np.float32)


def test_the_encoder_read_from_a_file_gives_the_files_features(written: Path) -> None:
    file, model = DeepLabFile(written), architectures.build("medium")
    assert encoders.difference(file, model, picture()) > 0.1  # fresh weights are other weights
    done = encoders.carry_over(file, model)
    assert len(done) == 51  # 61 operations, 10 of them additions
    assert encoders.difference(file, model, picture()) < encoders.TOLERANCE


def test_one_changed_kernel_shows(written: Path) -> None:
    file, model = DeepLabFile(written), architectures.build("medium")
    encoders.carry_over(file, model)
    layer = model.get_layer("enc14")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel.transpose(1, 0, 2, 3), bias])
    assert encoders.difference(file, model, picture()) > encoders.TOLERANCE


def test_the_command_writes_a_start_for_training(written: Path, tmp_path: Path, capsys) -> None:
    encoders.main(["--file", str(written), "--out", str(tmp_path / "start.keras")])
    assert "51 convolutions read" in capsys.readouterr().out
    start = keras.saving.load_model(tmp_path / "start.keras", compile=False)
    model = architectures.build("medium")
    assert architectures.copy_weights(model, start) == []  # what training.train --init does
    assert encoders.difference(DeepLabFile(written), model, picture()) < encoders.TOLERANCE


def test_a_narrower_net_gets_a_part_of_the_channels(written: Path, tmp_path: Path) -> None:
    encoders.main(["--file", str(written), "--size", "small", "--out", str(tmp_path / "start.keras")])
    small, file = architectures.load_net(tmp_path / "start.keras"), DeepLabFile(written)
    kernel, _ = small.get_layer("enc3").get_weights()
    theirs, _ = file.operations[3].weights
    assert kernel.shape == (1, 1, 8, 24)
    assert theirs.shape == (1, 1, 8, 48)
    columns = {column.tobytes() for column in theirs[0, 0].T}
    assert all(column.tobytes() in columns for column in kernel[0, 0].T)


def test_a_file_that_is_not_the_one_is_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(OptionError, match=r"is not there: give --file PATH of deeplabv3"):
        open_file(tmp_path / "none.tflite")
    with pytest.raises(OptionError, match=r"is not deeplabv3_mnv2_257.tflite: its input is \[1, "):
        DeepLabFile(built_in())
    with pytest.raises(SystemExit) as ended:
        encoders.main(["--file", str(built_in())])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of EfficientNet-Lite0's form with random weights, its norms not folded."""
    torch = pytest.importorskip("torch", reason="EfficientNet-Lite0's file is PyTorch's: pip install torch")
    rng = np.random.default_rng(0)
    values = {}
    model = architectures.build("large")
    kernels = iter(layer.kernel.shape for layer in model.layers
                   if person.encoder_layer(layer.name) and layer.weights)

    def convolution(name: str, norm: str) -> None:
        height, width, inner, outer = next(kernels)
        if name.endswith("_depthwise_conv"):
            inner, outer = outer, inner
        size = (height * width * inner) ** -0.5
        values[f"{name}.weight"] = rng.normal(0, 1.4 * size, (outer, inner, height, width))
        for part, least, most in (("weight", 0.8, 1.2), ("bias", -0.3, 0.3), ("running_mean", -0.1, 0.1),
                                  ("running_var", 0.5, 1.5)):
            values[f"{norm}.{part}"] = rng.uniform(least, most, outer)

    convolution("_conv_stem", "_bn0")
    for block in range(16):
        if block:
            convolution(f"_blocks.{block}._expand_conv", f"_blocks.{block}._bn0")
        convolution(f"_blocks.{block}._depthwise_conv", f"_blocks.{block}._bn1")
        convolution(f"_blocks.{block}._project_conv", f"_blocks.{block}._bn2")
    assert next(kernels, None) is None
    path = tmp_path_factory.mktemp("lite") / "lite.pth"
    torch.save({name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()}, path)
    return path


def test_efficientnet_lites_features_are_pytorchs(lite: Path, tmp_path: Path, capsys) -> None:
    file, model = LiteFile(lite), architectures.build("large")
    square = np.random.default_rng(3).uniform(0, 255, (1, file.side, file.side, 3)).astype(np.float32)
    assert [one.shape[1:] for one in file.features(square)] == [
        (112, 112, 16), (56, 56, 24), (28, 28, 40), (14, 14, 112), (7, 7, 320)]  # fmt: skip
    assert encoders.difference(file, model, square) > 0.1
    encoders.main(["--file", str(lite), "--out", str(tmp_path / "start.keras")])
    assert "48 convolutions read" in capsys.readouterr().out
    model = keras.saving.load_model(tmp_path / "start.keras", compile=False)
    assert encoders.difference(file, model, square) < encoders.TOLERANCE


def test_what_a_pytorch_file_is_not_good_for_is_told(lite, tmp_path, capsys) -> None:
    import torch

    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no file of PyTorch")
    for name in ("other", "text"):
        with pytest.raises(OptionError, match=f"{name}.pth' is not efficientnet-lite0-57934424.pth"):
            LiteFile(tmp_path / f"{name}.pth")
    with pytest.raises(OptionError, match="is not that of person-medium: give another file"):
        encoders.carry_over(LiteFile(lite), architectures.build("medium"))
    with pytest.raises(SystemExit):
        encoders.main(["--file", str(lite), "--size", "medium"])
    assert "with lite.pth it can be: large" in capsys.readouterr().err


def test_a_missing_pytorch_is_told(tmp_path, monkeypatch) -> None:
    (tmp_path / "lite.pth").touch()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(OptionError, match="pip install torch, which reads it"):
        open_file(tmp_path / "lite.pth")


def test_efficientnet_lite0_has_the_published_parameters() -> None:
    own = [layer for layer in architectures.build("large").layers
           if person.encoder_layer(layer.name) and layer.weights]
    channels = sum(layer.bias.shape[0] for layer in own)
    # Published: 4,652,008 with the last convolution and its norm, and the classifier. A norm has two values
    # for each channel; folded into the convolution before it, it leaves one.
    head = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert sum(layer.count_params() for layer in own) + channels + head == 4_652_008


def published() -> Path:
    return shared_folder("models", "deeplabv3_mnv2_257.tflite")


def test_the_published_encoder_is_read() -> None:
    file, model = DeepLabFile(published()), architectures.build("medium")
    encoders.carry_over(file, model)
    assert encoders.difference(file, model, picture()) < 2e-5


def test_our_deeplab_with_the_published_weights_gives_the_published_logits() -> None:
    file = DeepLabFile(published())
    model = encoders.whole_deeplab(file)
    logits = keras.Model(model.input, model.get_layer("logits").output)(picture())
    file.run(picture())
    theirs = file.result(67)
    assert theirs.shape == (1, 33, 33, 21)
    assert np.abs(theirs).max() > 5
    assert np.abs(keras.ops.convert_to_numpy(logits) - theirs).max() < 1e-3
