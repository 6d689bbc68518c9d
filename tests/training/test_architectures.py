"""Nets by name: parameter counts of the write-ups' tables, shapes, and what the layers are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="training needs TensorFlow: pip install -e '.[train]'")

import keras

from tests.shared import shared_folder
from training import architectures
from training.architectures import deeplab, person, tiramisu


def counts(model: keras.Model) -> tuple[int, int]:
    """(parameters, trainable ones)."""
    return model.count_params(), sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def table(model: keras.Model) -> list[int]:
    """Parameters of the layers that have any, in the order in which they stand."""
    return [layer.count_params() for layer in model.layers if layer.count_params()]


def pairs(*rows: tuple[int, int, int]) -> list[int]:
    """Twice convolution and norm, of (first convolution, second, norm)."""
    return [count for first, second, norm in rows for count in (first, norm, second, norm)]


# The write-ups' own tables: row by row, total and trainable.
@pytest.mark.parametrize(("name", "classes", "options", "rows", "total", "trainable"), [
    ("unet-plain", 3, {},
     [1_792, *[36_928] * 9, 590_848, 9_438_208, 5_014_016, 2_359_808, 1_327_360, 590_080, 368_768, 147_584,
      110_656, 36_928, 1_731], 20_320_131, 20_320_131),
    ("unet-normalised", 1, {},
     [*pairs((1_792, 36_928, 256), (73_856, 147_584, 512), (295_168, 590_080, 1_024),
             (1_180_160, 2_359_808, 2_048), (2_359_808, 2_359_808, 2_048)),
      2_359_808, *pairs((4_719_104, 2_359_808, 2_048)), 1_179_904, *pairs((1_179_904, 590_080, 1_024)),
      295_040, *pairs((295_040, 147_584, 512)), 73_792, *pairs((73_792, 36_928, 256)),
      36_928, *pairs((36_928, 36_928, 256)), 65], 22_846_593, 22_836_609),
    ("unet-mobilenetv2", 3, {"frozen": True},
     [1_522_304, 8_851_456, 7_374_848, 1_623_040, 461_312, 6_051], 19_839_011, 18_312_867),
    ("unet-mobilenetv3", 3, {"frozen": True},
     [4_226_432, 11_800_576, 7_817_216, 1_733_632, 378_368, 5_187], 25_961_411, 21_731_139),
])
def test_parameters_are_those_of_the_write_ups_row_by_row(
        name: str, classes: int, options: dict, rows: list[int], total: int, trainable: int) -> None:
    model = architectures.build(name, classes, **options)
    assert table(model) == rows
    assert counts(model) == (total, trainable)


# No write-up has these: Keras's published counts of the encoders, and the decoder by its formula.
@pytest.mark.parametrize(("name", "encoder", "channels"), [
    ("unet-resnet50v2", 23_564_800, (64, 64, 128, 256, 2048)),
    ("unet-inceptionv3", 21_802_784, (64, 192, 288, 768, 2048)),
])
def test_resnet_and_inception_are_the_known_encoders_under_the_same_decoder(name, encoder, channels) -> None:
    total, below = encoder, channels[4]
    for skip, filters in zip(channels[3::-1], (1024, 512, 256, 128), strict=True):
        total += 9 * below * filters + 4 * filters
        below = filters + skip
    model = architectures.build(name, frozen=True)
    assert counts(model)[0] == total + 9 * below + 1
    assert not model.get_layer("encoder").trainable_weights
    assert [feature.shape[-1] for feature in model.get_layer("encoder").outputs] == list(channels)


def test_tiramisu_has_the_papers_channels_convolutions_and_parameters() -> None:
    model = architectures.build("fc-densenet103", 11)
    convolutions = [layer for layer in model.layers if type(layer).__name__.startswith("Conv2D")]
    assert len(convolutions) == 103
    # Table 1 of the paper: feature maps after each dense block (its 578 is a slip: 160 + 304 + 7 * 16 = 576).
    bottom = model.get_layer("bottom_join14").output.shape[-1] + tiramisu.GROWTH
    down = [model.get_layer(f"down{level}_out").output.shape[-1] for level in range(5)]
    up = [model.get_layer(f"up{level}_join").output.shape[-1] + tiramisu.DOWN[level] * tiramisu.GROWTH
          for level in (4, 3, 2, 1, 0)]
    assert (down, bottom, up) == ([112, 192, 304, 464, 656], 896, [1088, 816, 576, 384, 256])
    total, trainable = counts(model)
    assert round(total / 1e6, 1) == 9.4  # published to two digits
    assert (total, trainable) == (9_425_163, 9_322_091)


def test_tiramisu_takes_camvids_odd_sizes_where_stated() -> None:
    model = architectures.build("fc-densenet103", 11, (360, 480))  # 360 / 32 = 11.25
    assert model.output_shape == (None, 360, 480, 11)


def test_deeplab_has_the_published_two_million_parameters() -> None:
    total, trainable = counts(architectures.build("deeplabv3", 21))
    assert round(trainable / 1e6, 2) == 2.11  # MobileNetV2's paper, table 7
    backbone = 2_257_984 - 320 * 1280 - 4 * 1280  # Keras's, less its last convolution
    pyramid = 2 * (320 * 256 + 4 * 256) + 512 * 256 + 4 * 256 + 256 * 21 + 21
    assert total == backbone + pyramid


def test_deeplabs_encoder_takes_the_weights_of_keras_applications() -> None:
    model = architectures.build("deeplabv3")
    source = keras.applications.MobileNetV2(input_shape=(64, 64, 3), include_top=False, weights=None)
    fresh = architectures.copy_weights(model, source)
    assert {name.partition("_")[0] for name in fresh} == {"aspp", "join", "logits"}
    for name in deeplab.encoder_convolutions():
        assert np.array_equal(model.get_layer(name).get_weights()[0], source.get_layer(name).get_weights()[0])


@pytest.mark.parametrize(("stride", "rates"), [(32, {1}), (16, {1, 2}), (8, {1, 2, 4})])
def test_deeplab_looks_further_apart_where_it_does_not_stride(stride: int, rates: set[int]) -> None:
    model = deeplab.build(2, (64, 96), width=0.5, stride=stride)
    assert model.get_layer("logits").output.shape == (None, 64 // stride, 96 // stride, 2)
    assert model.output_shape == (None, 64, 96, 2)
    assert {layer.dilation_rate[0] for layer in model.layers
            if isinstance(layer, keras.layers.DepthwiseConv2D)} == rates


@pytest.mark.parametrize("name", architectures.NAMES)
def test_every_net_gives_finite_logits_at_the_pictures_size_and_sees_the_picture(name: str) -> None:
    keras.utils.set_random_seed(0)
    model = architectures.build(name)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    logits = keras.ops.convert_to_numpy(model(pictures))
    assert logits.shape == (2, 64, 96, 1)
    assert np.isfinite(logits).all()
    assert np.abs(logits[0] - logits[1]).max() > 0


def test_mobilenetv3s_last_convolution_comes_first_after_the_encoder_in_the_whole_net() -> None:
    # What pretrained.py relies on when it takes ImageNet weights from the net with its top.
    whole = keras.applications.MobileNetV3Large(weights=None, include_preprocessing=False)
    encoder = architectures.build("unet-mobilenetv3").get_layer("encoder")
    shapes = [weight.shape for weight in encoder.weights]
    assert [weight.shape for weight in whole.weights][: len(shapes)] == shapes


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"no architecture 'vgg': choose one of .*medium.*deeplabv3"):
        architectures.build("vgg")


@pytest.mark.parametrize("options", [{"classes": 2}, {"size": (64, 64)}, {"frozen": True}])
def test_ours_refuse_what_they_cannot_be(options: dict) -> None:
    with pytest.raises(ValueError, match="one class, takes any size"):
        architectures.build("small", **options)


def test_large_goes_on_from_the_start_that_is_kept() -> None:
    start = shared_folder("models", "large.keras")
    assert architectures.copy_weights(person.build("large"), architectures.load_net(start)) == []


@pytest.mark.parametrize(("size", "of"), [("medium", "large"), ("large", "medium"), ("small", "large")])
def test_nothing_of_another_encoder_is_taken_over(size: str, of: str) -> None:
    model = person.build(size)
    before = {layer.name: layer.get_weights() for layer in model.layers if person.encoder_layer(layer.name)}
    fresh = architectures.copy_weights(model, person.build(of))
    assert {name for name, weights in before.items() if weights} <= set(fresh)
    for name, weights in before.items():
        assert all(map(np.array_equal, weights, model.get_layer(name).get_weights()))


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_the_portable_net_is_the_same_function_with_its_sigmoid(size: str) -> None:
    keras.utils.set_random_seed(0)
    model, twin = person.build(size), person.build(size, portable=True)
    # Trained as little as it takes for the detail branch and the residual blocks to be more than zero.
    for layer in model.layers:
        layer.set_weights([value + 0.01 for value in layer.get_weights()])
    left = architectures.copy_weights(twin, model)
    assert set(left) == ({"head_unfold"} if size == "small" else {"detail_fold", "detail_unfold"})
    assert all(type(layer).__module__.startswith("keras.") for layer in twin.layers)
    picture = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    expected = keras.ops.sigmoid(model(picture))
    assert np.abs(keras.ops.convert_to_numpy(expected - twin(picture))).max() < 1e-5


def test_a_narrower_encoder_keeps_the_channels_that_matter() -> None:
    keras.utils.set_random_seed(0)
    wide, narrow = person.build("medium"), person.build("small")
    # Every other inner channel of a block reaches nothing: half as wide, the encoder gives the same.
    for layer in wide.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D) and layer.name != "enc1":
            project = wide.get_layer(f"enc{int(layer.name.removeprefix('enc')) + 1}")
            kernel, bias = project.get_weights()
            kernel[:, :, ::2] = 0
            project.set_weights([kernel, bias])
    fresh = architectures.copy_weights(narrow, wide)
    assert "context" in fresh
    assert not [name for name in fresh if name.startswith("enc")]
    picture = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    theirs, ours = (keras.ops.convert_to_numpy(keras.Model(net.input, net.get_layer("enc60").output)(picture))
                    for net in (wide, narrow))
    assert np.ptp(theirs) > 0
    assert np.abs(theirs - ours).max() < 1e-4 * np.abs(theirs).max()
