"""U-Nets over the encoders of keras.applications, as the third write-up built them.

Encoder: features at 1/2 .. 1/32. Decoder: four times a transposed convolution with batch norm and
ReLU, joined with the encoder's features of that size, and a last transposed convolution to full
size. MobileNetV2 and MobileNetV3-Large are the write-up's own; ResNet and Inception its "future
research". Input: RGB 0..255 ``(n, h, w, 3)``, sides multiples of 32; output: float32 logits
``(n, h, w, classes)``. Preprocessing is a layer of the net.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import applications, layers

Shape = tuple[int | None, int | None, int]

UP = (1024, 512, 256, 128)  # channels of the decoder at 1/16, 1/8, 1/4 and 1/2


def build(name: str, classes: int, size: tuple[int, int] | None = None, *, imagenet: bool = False,
          frozen: bool = False) -> keras.Model:
    """A U-Net over the encoder ``name`` of :data:`ENCODERS`.

    ``imagenet`` starts the encoder from keras.applications' ImageNet weights, which Keras downloads
    once. ``frozen`` leaves the encoder as it is, as the write-up did (batch norms included): of use
    with ``imagenet`` only.
    """  # fmt: skip
    shape: Shape = (*(size or (None, None)), 3)
    picture = keras.Input(shape, name="picture")
    encoder = ENCODERS[name](shape, "imagenet" if imagenet else None)
    encoder.trainable = not frozen
    # All four of these encoders were trained on -1..1.
    *skips, x = encoder(layers.Rescaling(1 / 127.5, offset=-1, name="scale")(picture))
    for level, filters, skip in zip((4, 3, 2, 1), UP, reversed(skips), strict=True):
        x = _up(filters, f"up{level}")(x)
        x = layers.Concatenate(name=f"up{level}_join")([x, skip])
    logits = layers.Conv2DTranspose(classes, 3, strides=2, padding="same", name="logits")(x)
    return keras.Model(picture, logits, name=f"unet-{name}")


def _up(filters: int, name: str) -> keras.Sequential:
    return keras.Sequential([
        layers.Conv2DTranspose(filters, 3, strides=2, padding="same", use_bias=False,
                               kernel_initializer=keras.initializers.RandomNormal(stddev=0.02)),
        layers.BatchNormalization(),
        layers.ReLU(),
    ], name=name)  # fmt: skip


def _features(base: keras.Model, names: tuple[str, ...]) -> keras.Model:
    return keras.Model(base.input, [base.get_layer(name).output for name in names], name="encoder")


def _mobilenetv2(shape: Shape, weights: str | None) -> keras.Model:
    base = applications.MobileNetV2(input_shape=shape, include_top=False, weights=weights)
    return _features(base, ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu",
                            "block_13_expand_relu", "block_16_expand_relu"))  # fmt: skip


def _mobilenetv3(shape: Shape, weights: str | None) -> keras.Model:
    """Up to and with the 1280-channel convolution before the classifier.

    In the write-up's Keras (2.4) that convolution belonged to the net without its top and worked at
    1/32; today's works after the pooling, so it is made again, and its weights come from the whole net.
    """
    base = applications.MobileNetV3Large(
        input_shape=shape, include_top=False, weights=weights, include_preprocessing=False
    )
    deep = layers.Conv2D(1280, 1, name="conv_2")(base.output)
    deep = layers.Activation("hard_silu", name="conv_2_activation")(deep)
    # The widened features that the next step down starts from: 64, 72, 240 and 672 channels.
    expanded = [
        base.get_layer(f"expanded_conv_{block}_expand").output for block in (1, 3, 6, 12)
    ]
    encoder = keras.Model(base.input, [*expanded, deep], name="encoder")
    if weights is not None:
        whole = applications.MobileNetV3Large(weights=weights, include_preprocessing=False)
        encoder.set_weights(whole.get_weights()[: len(encoder.weights)])
    return encoder


def _resnet50v2(shape: Shape, weights: str | None) -> keras.Model:
    base = applications.ResNet50V2(input_shape=shape, include_top=False, weights=weights)
    return _features(base, ("conv1_conv", "conv2_block3_1_relu", "conv3_block4_1_relu",
                            "conv4_block6_1_relu", "post_relu"))  # fmt: skip


def _inceptionv3(shape: Shape, weights: str | None) -> keras.Model:
    """InceptionV3 with padding everywhere: without, its features (111, 54, 25 ..) fit no decoder."""
    original = applications.InceptionV3(
        input_shape=(299, 299, 3), include_top=False, weights=weights
    )

    def padded(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if "padding" in config:
            config["padding"] = "same"
        return type(layer).from_config(config)

    base = keras.models.clone_model(original, keras.Input(shape), clone_function=padded)
    if weights is not None:
        base.set_weights(original.get_weights())
    # The stem's layers bear numbers that differ from net to net: found by what follows them.
    stem = [layer.input for layer in base.layers if isinstance(layer, layers.MaxPooling2D)][:2]
    rest = [base.get_layer(name).output for name in ("mixed2", "mixed7", "mixed10")]
    return keras.Model(base.input, [*stem, *rest], name="encoder")


ENCODERS: dict[str, Callable[[Shape, str | None], keras.Model]] = {
    "mobilenetv2": _mobilenetv2,
    "mobilenetv3": _mobilenetv3,
    "resnet50v2": _resnet50v2,
    "inceptionv3": _inceptionv3,
}
