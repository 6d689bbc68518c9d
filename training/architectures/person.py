"""The shipped family: a U-Net over a pretrained encoder, in three sizes.

Encoder, five levels: MobileNetV2 at width 0.5; ``large`` has EfficientNet-Lite0 (encoders.py).
Decoder: plain 3x3 convolutions, which on a CPU train twice as fast as depthwise ones and infer as
fast. Two things sit on top of an ordinary U-Net:

- context: a global gate and residual blocks at 1/32 and 1/16, against furniture and animals;
- detail: the picture itself, folded to half size, meets the last features, and their logits are
  unfolded to full size; without it every matte is a blurred half-size one. ``small`` has no room for
  it: there the last features alone say four logits for each half-size pixel.

``small`` also widens half as much inside the encoder's blocks (see narrow.py).

Input: float32 or uint8 ``(n, h, w, 3)`` RGB in 0..255, sides multiples of 32. Output: float32
logits ``(n, h, w, 1)``. Preprocessing is a layer of the net.

The residual blocks and the detail branch start as nothing (their last layer is zero), so that a
net without them can be the start of one with them without losing what it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers

from training.architectures.encoders import efficientnet_lite0, mobilenetv2

Shape = tuple[Any, ...]  # an int for each axis, None where any length will do
Encoder = Callable[[keras.KerasTensor], list[keras.KerasTensor]]


@dataclass(frozen=True, slots=True)
class Widths:
    """One size of the family: channels of the decoder at 1/2, 1/4, 1/8, 1/16 and of the context."""

    half: int
    quarter: int
    eighth: int
    sixteenth: int
    context: int
    blocks: tuple[int, int, int] = (0, 0, 0)  # residual blocks at 1/32, 1/16 and 1/8
    detail: int = 0  # channels of the full-size branch; 0 leaves it out
    unfolded: bool = False  # the head itself gives full-size logits
    encoder: Encoder = mobilenetv2


SIZES = {
    # The start model's net: nothing on top.
    "plain": Widths(16, 32, 48, 96, 160),
    "small": Widths(8, 16, 32, 64, 96, unfolded=True, encoder=partial(mobilenetv2, widen=3)),
    "medium": Widths(16, 32, 48, 96, 160, blocks=(2, 0, 0), detail=8),
    "large": Widths(24, 40, 64, 112, 192, blocks=(2, 1, 0), detail=12, encoder=efficientnet_lite0),
}

# Layers of a portable net that only move pixels, and how many channels they move; nothing to be learnt.
CONSTANT = {"detail_fold": 3, "detail_unfold": 1, "head_unfold": 1}


def build(size: str = "medium", portable: bool = False, folded: bool = False) -> keras.Model:
    """The net of one ``size`` of :data:`SIZES`, with fresh weights, any input of multiples of 32.

    ``portable`` makes the same net of Keras's own layers only and puts the sigmoid inside: what is
    shipped as ``.keras``, and loads where this package is not installed. ``folded`` has no norm where
    two levels meet (see fold): two passes over the features less at each level.
    """
    widths = SIZES[size]
    picture = keras.Input((None, None, 3), name="picture")
    scaled = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(picture)
    half, quarter, eighth, sixteenth, deep = widths.encoder(scaled)
    x = _context(deep, widths)
    x = _up(x, sixteenth, widths.sixteenth, "up16", folded)
    x = _residuals(x, widths.sixteenth, widths.blocks[1], "up16")
    x = _up(x, eighth, widths.eighth, "up8", folded)
    x = _residuals(x, widths.eighth, widths.blocks[2], "up8")
    x = _up(x, quarter, widths.quarter, "up4", folded)
    x = _up(x, half, widths.half, "up2", folded)
    if widths.unfolded:
        logits = layers.Conv2D(4, 3, padding="same", name="head_fine")(x)
        logits = _unfold(portable, "head_unfold")(logits)
    else:
        logits = layers.Conv2D(1, 3, padding="same", name="head")(x)
        logits = layers.UpSampling2D(2, interpolation="bilinear", name="head_up")(logits)
    if widths.detail:
        logits = layers.Add(name="detail_add")([logits, _detail(scaled, x, widths.detail, portable)])
    # float32 also under a mixed-precision policy: the loss wants exact logits.
    last = layers.Activation(
        "sigmoid" if portable else "linear", dtype="float32",
        name="alpha" if portable else "logits",
    )  # fmt: skip
    model = keras.Model(picture, last(logits), name=f"person-{size}")
    if portable:
        for layer in model.layers:
            if layer.name in CONSTANT:
                layer.set_weights([_one_to_one(CONSTANT[layer.name])])
    return model


def encoder_layer(name: str) -> bool:
    """Whether a layer (or a variable's path) belongs to the pretrained encoder."""
    return name.split("/")[0].startswith("enc")


def features(model: keras.Model) -> list[keras.KerasTensor]:
    """What the encoder gives the decoder: at 1/2, 1/4, 1/8, 1/16 and 1/32."""
    after = ("up2_skip", "up4_skip", "up8_skip", "up16_skip", "context")
    return [model.get_layer(name).input for name in after]


def freeze_encoder(model: keras.Model, count: int) -> None:
    """Leaves the first ``count`` operations of the encoder as they are: edges and colours learnt on
    millions of pictures, and the dearest layers to train (0: all are trained)."""
    for layer in model.layers:
        number = layer.name.removeprefix("enc")
        if number.isdecimal() and int(number) < count:
            layer.trainable = False


def start_names() -> dict[str, str]:
    """Decoder layer name here -> automatic name in a net that was built without names.

    The start model's decoder was built in the same order with Keras's own names.
    """
    order = ["context", "gate1", "gate2"]
    norms = ["context_norm"]
    for stage in ("up16", "up8", "up4", "up2"):
        order += [f"{stage}_deep", f"{stage}_skip", f"{stage}_conv"]
        norms += [f"{stage}_norm1", f"{stage}_norm2"]
    order.append("head")
    numbered = {name: f"conv2d_{i}" if i else "conv2d" for i, name in enumerate(order)}
    for i, name in enumerate(norms):
        numbered[name] = f"batch_normalization_{i}" if i else "batch_normalization"
    return numbered


def _context(x: keras.KerasTensor, widths: Widths) -> keras.KerasTensor:
    x = layers.Conv2D(widths.context, 3, padding="same", use_bias=False, name="context")(x)
    x = _norm(x, "context_norm")
    x = _residuals(x, widths.context, widths.blocks[0], "context")
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="gate_mean")(x)
    gate = layers.Conv2D(widths.context, 1, activation="relu", name="gate1")(gate)
    gate = layers.Conv2D(widths.context, 1, activation="sigmoid", name="gate2")(gate)
    return layers.Multiply(name="gate")([x, gate])


def fold(model: keras.Model) -> keras.Model:
    """The portable, folded twin of a net of this family, which computes the same.

    Where two levels meet, the norm stands behind a sum, so that no converter can put it into a
    convolution before it. It is linear, and so is enlarging: both branches' convolutions are scaled,
    and what is added becomes a bias of the second.
    """
    twin = build(model.name.removeprefix("person-"), portable=True, folded=True)
    for layer in twin.layers:
        if not layer.weights or layer.name in CONSTANT:
            continue
        given = [np.asarray(value) for value in model.get_layer(layer.name).get_weights()]
        stage, _, branch = layer.name.partition("_")
        if branch in ("deep", "skip"):
            norm = model.get_layer(f"{stage}_norm1")
            gamma, beta, mean, variance = map(np.asarray, norm.get_weights())
            scale = gamma / np.sqrt(variance + norm.epsilon)
            given = [given[0] * scale] + [beta - mean * scale] * (branch == "skip")
        layer.set_weights(given)
    return twin


def _up(x: keras.KerasTensor, skip: keras.KerasTensor, filters: int, name: str,
        folded: bool) -> keras.KerasTensor:
    """One level up: deep features enlarged meet the encoder's, then one 3x3 convolution."""
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_deep")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_up")(x)
    side = layers.Conv2D(filters, 1, use_bias=folded, name=f"{name}_skip")(skip)
    x = layers.Add(name=f"{name}_add")([x, side])
    x = layers.ReLU(6.0, name=f"{name}_norm1_relu")(x) if folded else _norm(x, f"{name}_norm1")
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _norm(x, f"{name}_norm2")


def _residuals(x: keras.KerasTensor, filters: int, count: int, name: str) -> keras.KerasTensor:
    for i in range(count):
        tag = f"{name}_block{i}"
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{tag}_conv1")(x)
        y = _norm(y, f"{tag}_norm1")
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{tag}_conv2")(y)
        y = layers.BatchNormalization(
            momentum=0.98, gamma_initializer="zeros", name=f"{tag}_norm2"
        )(y)
        x = layers.Add(name=f"{tag}_add")([x, y])
    return x


def _detail(
    scaled: keras.KerasTensor, x: keras.KerasTensor, filters: int, portable: bool
) -> keras.KerasTensor:
    """Full-size logits from half-size features and the folded picture; zero before training."""
    if portable:
        fold = layers.Conv2D(
            12, 2, strides=2, use_bias=False, trainable=False, kernel_initializer="zeros",
            name="detail_fold",
        )  # fmt: skip
    else:
        fold = Fold(2, name="detail_fold")
    folded = fold(scaled)
    y = layers.Concatenate(name="detail_join")([folded, x])
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name="detail_conv")(y)
    y = _norm(y, "detail_norm")
    y = layers.Conv2D(4, 3, padding="same", kernel_initializer="zeros", name="detail_head")(y)
    return _unfold(portable, "detail_unfold")(y)


def _unfold(portable: bool, name: str) -> layers.Layer:
    """Four channels of a half-size pixel to the four full-size ones."""
    if not portable:
        return Unfold(2, name=name)
    return layers.Conv2DTranspose(
        1, 2, strides=2, use_bias=False, trainable=False, kernel_initializer="zeros", name=name,
    )  # fmt: skip


def _one_to_one(channels: int) -> np.ndarray:
    """A 2 x 2 kernel that moves each pixel of a block to a channel of its own (or back)."""
    return np.eye(4 * channels, dtype=np.float32).reshape(2, 2, channels, 4 * channels)


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    x = layers.BatchNormalization(momentum=0.98, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


@keras.saving.register_keras_serializable("streamseg")
class Fold(layers.Layer):
    """Space to depth: ``(n, h, w, c)`` to ``(n, h/b, w/b, b*b*c)``.

    As a convolution with constant weights, and not as a reshape: a rank-6 transpose would keep the
    whole net off the fast CPU kernels.
    """

    def __init__(self, block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, x: Any) -> Any:
        channels, block = x.shape[-1], self.block
        kernel = keras.ops.reshape(
            keras.ops.eye(block * block * channels, dtype=x.dtype),
            (block, block, channels, block * block * channels),
        )
        return keras.ops.conv(x, kernel, strides=block, padding="valid")

    def compute_output_shape(self, shape: Shape) -> Shape:
        n, h, w, c = shape
        b = self.block
        return (n, h and h // b, w and w // b, c * b * b)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block": self.block}


@keras.saving.register_keras_serializable("streamseg")
class Unfold(layers.Layer):
    """Depth to space, for one output channel: ``(n, h, w, b*b)`` to ``(n, h*b, w*b, 1)``."""

    def __init__(self, block: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, x: Any) -> Any:
        b = self.block
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            # One operation that every CPU kernel library knows; reshapes would not be fused.
            return tf.nn.depth_to_space(x, b)
        n, h, w, _ = keras.ops.shape(x)
        x = keras.ops.reshape(x, (n, h, w, b, b))
        x = keras.ops.transpose(x, (0, 1, 3, 2, 4))
        return keras.ops.reshape(x, (n, h * b, w * b, 1))

    def compute_output_shape(self, shape: Shape) -> Shape:
        n, h, w, _ = shape
        return (n, h and h * self.block, w and w * self.block, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block": self.block}
