"""DeepLabv3 over MobileNetV2, the other net of the fourth write-up.

Chen et al.: Rethinking Atrous Convolution (2017), in the light form of Sandler et al. (MobileNetV2,
2018): of the pyramid only the 1x1 convolution and the picture's mean. Input: RGB 0..255
``(n, h, w, 3)``, sides multiples of 32; output: float32 logits ``(n, h, w, classes)``. Preprocessing
is a layer of the net. The encoder's layers bear the names that keras.applications.MobileNetV2 gives
them, so ``architectures.copy_weights`` carries its ImageNet weights over (at width 1).
"""

from __future__ import annotations

import keras
from keras import layers

# Channels, blocks and first stride of each stage, before the width multiplier; all but the first
# widen six times.
STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))


def build(classes: int, size: tuple[int, int] | None = None, *, width: float = 1.0,
          stride: int = 16) -> keras.Model:
    """DeepLabv3 with MobileNetV2 at ``width``, features at 1/``stride`` (8, 16 or 32).

    Width 1, stride 16 is the published net (2.11 million parameters); width 0.5, stride 8 is
    ``deeplabv3_mnv2_257.tflite`` (see training/encoders.py).
    """  # fmt: skip
    picture = keras.Input((*(size or (None, None)), 3), name="picture")
    x = _encoder(layers.Rescaling(1 / 127.5, offset=-1, name="scale")(picture), width, stride)
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    mean = _conv(mean, 256, 1, "aspp_mean", active=True)
    near = _conv(x, 256, 1, "aspp_near", active=True)
    # A 1x1 convolution of both joined, as a sum of two: the mean need not be spread over the picture.
    join = layers.Add(name="join")([
        layers.Conv2D(256, 1, use_bias=False, name="join_mean")(mean),
        layers.Conv2D(256, 1, use_bias=False, name="join_near")(near),
    ])  # fmt: skip
    x = layers.ReLU(name="join_relu")(_norm(join, "join_BN"))
    x = layers.Conv2D(classes, 1, name="logits")(layers.Dropout(0.1, name="drop")(x))
    x = layers.UpSampling2D(stride, interpolation="bilinear", name="enlarge")(x)
    return keras.Model(picture, x, name="deeplabv3")


def _encoder(x: keras.KerasTensor, width: float, stride: int) -> keras.KerasTensor:
    x = _conv(x, round(32 * width), 3, "Conv1", "bn_Conv1", stride=2, active=True, relu="Conv1_relu")
    done, rate, number = 2, 1, 0
    for channels, count, first in STAGES:
        for i in range(count):
            step, after = (first if i == 0 else 1), rate
            if done * step > stride:  # a step too many: look further apart instead
                step, after = 1, rate * first
            x = _block(x, round(channels * width), step, rate, number)
            done, rate, number = done * step, after, number + 1
    return x


def _block(
    x: keras.KerasTensor, filters: int, stride: int, rate: int, number: int
) -> keras.KerasTensor:
    """An inverted residual: widen, look around (``rate`` apart), narrow; added where sizes allow."""
    name = f"block_{number}" if number else "expanded_conv"
    inside = _conv(x, x.shape[-1] * 6, 1, f"{name}_expand", active=True) if number else x
    inside = layers.DepthwiseConv2D(
        3, strides=stride, padding="same", dilation_rate=rate, use_bias=False, name=f"{name}_depthwise"
    )(inside)
    inside = _norm(inside, f"{name}_depthwise_BN")
    inside = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(inside)
    inside = _conv(inside, filters, 1, f"{name}_project")
    if stride == 1 and x.shape[-1] == filters:
        inside = layers.Add(name=f"{name}_add")([x, inside])
    return inside


def _conv(x: keras.KerasTensor, filters: int, kernel: int, name: str, norm: str = "", *,
          stride: int = 1, active: bool = False, relu: str = "") -> keras.KerasTensor:  # fmt: skip
    x = layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=name
    )(x)
    x = _norm(x, norm or f"{name}_BN")
    return layers.ReLU(6.0, name=relu or f"{name}_relu")(x) if active else x


def _norm(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=name)(x)


def encoder_convolutions() -> list[str]:
    """Names of the encoder's convolutions, in the order in which the picture meets them."""
    names = ["Conv1", "expanded_conv_depthwise", "expanded_conv_project"]
    for number in range(1, sum(count for _, count, _ in STAGES)):
        names += [f"block_{number}_{part}" for part in ("expand", "depthwise", "project")]
    return names
