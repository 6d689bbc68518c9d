"""FC-DenseNet103, "the one hundred layers Tiramisu" (Jegou et al. 2017), of the fourth write-up.

Input: RGB 0..255 ``(n, h, w, 3)``; output: float32 logits ``(n, h, w, classes)``. Sides are multiples
of 32, or any where ``size`` states them. Preprocessing is a layer of the net.
"""

from __future__ import annotations

import keras
from keras import layers

GROWTH = 16
DOWN = (4, 5, 7, 10, 12)  # layers of the dense blocks; the way up has the same in reverse
BOTTOM = 15
FIRST = 48
DROPOUT = 0.2


def build(classes: int, size: tuple[int, int] | None = None) -> keras.Model:
    """FC-DenseNet103: 103 convolutions, growth 16, dropout 0.2; 9.4 million parameters."""
    picture = keras.Input((*(size or (None, None)), 3), name="picture")
    x = layers.Rescaling(1 / 255, name="scale")(picture)
    x = _conv(x, FIRST, 3, "first")
    skips = []
    for level, count in enumerate(DOWN):
        x = layers.Concatenate(name=f"down{level}_out")([x, *_dense(x, count, f"down{level}")])
        skips.append(x)
        x = _norm_conv(x, x.shape[-1], 1, f"down{level}_step")
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)
    # On the way up only what a block made goes on: with its input the channels would explode.
    made = _dense(x, BOTTOM, "bottom")
    for level, count in reversed(list(enumerate(DOWN))):
        x = layers.Concatenate(name=f"up{level}_made")(made)
        x = _step_up(x, skips[level], f"up{level}")
        made = _dense(x, count, f"up{level}")
    x = layers.Concatenate(name="last")([x, *made])
    return keras.Model(picture, _conv(x, classes, 1, "logits"), name="fc-densenet103")


def _dense(x: keras.KerasTensor, count: int, name: str) -> list[keras.KerasTensor]:
    """The new features of a dense block: each layer sees the block's input and all layers before it."""
    made: list[keras.KerasTensor] = []
    for i in range(count):
        seen = layers.Concatenate(name=f"{name}_join{i}")([x, *made]) if made else x
        made.append(_norm_conv(seen, GROWTH, 3, f"{name}_layer{i}"))
    return made


def _step_up(x: keras.KerasTensor, skip: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Twice the size, cut to the skip's (a side of 45 became 22 and comes back as 45, one of 44 too)."""
    x = layers.Conv2DTranspose(
        x.shape[-1], 3, strides=2, kernel_initializer="he_uniform", name=f"{name}_up"
    )(x)
    cut = tuple(
        (0, 1 if here is None else here - there)
        for here, there in zip(x.shape[1:3], skip.shape[1:3], strict=True)
    )
    x = layers.Cropping2D(cut, name=f"{name}_cut")(x)
    return layers.Concatenate(name=f"{name}_join")([x, skip])


def _norm_conv(x: keras.KerasTensor, filters: int, kernel: int, name: str) -> keras.KerasTensor:
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    return layers.Dropout(DROPOUT, name=f"{name}_drop")(_conv(x, filters, kernel, name))


def _conv(x: keras.KerasTensor, filters: int, kernel: int, name: str) -> keras.KerasTensor:
    return layers.Conv2D(
        filters, kernel, padding="same", kernel_initializer="he_uniform", name=name
    )(x)
