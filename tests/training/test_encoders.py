"""A LiteRT file's encoder read into our net gives the file's features."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="training needs TensorFlow: pip install -e '.[train]'")

import keras

from streamseg.errors import OptionError
from streamseg.segment.unet import built_in
from training import architectures, encoders, formats
from training.architectures import deeplab

SIDE = encoders.SIDE


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
    file, model = encoders.DeepLabFile(written), architectures.build("medium")
    assert encoders.difference(file, model, picture()) > 0.1  # fresh weights are other weights
    done = encoders.carry_over(file, model)
    assert len(done) == 51  # 61 operations, 10 of them additions
    assert encoders.difference(file, model, picture()) < encoders.TOLERANCE


def test_one_changed_kernel_shows(written: Path) -> None:
    file, model = encoders.DeepLabFile(written), architectures.build("medium")
    encoders.carry_over(file, model)
    layer = model.get_layer("enc14")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel.transpose(1, 0, 2, 3), bias])
    assert encoders.difference(file, model, picture()) > encoders.TOLERANCE


def test_the_command_writes_a_start_for_training(written: Path, tmp_path: Path, capsys) -> None:
    encoders.main(["--file", str(written), "--size", "medium", "--out", str(tmp_path / "start.keras")])
    assert "51 convolutions read" in capsys.readouterr().out
    start = keras.saving.load_model(tmp_path / "start.keras", compile=False)
    model = architectures.build("medium")
    assert architectures.copy_weights(model, start) == []  # what training.train --init does
    assert encoders.difference(encoders.DeepLabFile(written), model, picture()) < encoders.TOLERANCE


def test_a_file_that_is_not_the_one_is_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(OptionError, match=r"is not there: give --file PATH of deeplabv3"):
        encoders.DeepLabFile(tmp_path / "none.tflite")
    with pytest.raises(OptionError, match=r"is not deeplabv3_mnv2_257.tflite: its input is \[1, "):
        encoders.DeepLabFile(built_in())
    with pytest.raises(SystemExit) as ended:
        encoders.main(["--file", str(built_in())])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def published() -> Path:
    folder = os.environ.get("STREAMSEG_SHARED")
    if not folder:
        pytest.skip("STREAMSEG_SHARED names no folder with models/deeplabv3_mnv2_257.tflite")
    return Path(folder) / "models" / "deeplabv3_mnv2_257.tflite"


def test_the_published_encoder_is_read() -> None:
    file, model = encoders.DeepLabFile(published()), architectures.build("medium")
    encoders.carry_over(file, model)
    assert encoders.difference(file, model, picture()) < 2e-5


def test_our_deeplab_with_the_published_weights_gives_the_published_logits() -> None:
    file = encoders.DeepLabFile(published())
    model = encoders.whole_deeplab(file)
    logits = keras.Model(model.input, model.get_layer("logits").output)(picture())
    theirs = file.features(picture())[67]
    assert theirs.shape == (1, 33, 33, 21)
    assert np.abs(theirs).max() > 5
    assert np.abs(keras.ops.convert_to_numpy(logits) - theirs).max() < 1e-3
