"""Two U-Nets of plain convolutions, layer for layer as the write-ups' tables have them.

Ronneberger, Fischer, Brox: U-Net (2015). Input: RGB 0..255 ``(n, h, w, 3)``, sides multiples of 32;
output: float32 logits ``(n, h, w, classes)``. Preprocessing is a layer of the net.
"""

from __future__ import annotations

import keras
from keras import layers

# The write-up's table does not tell its rate.
DROPOUT = 0.3


def plain(classes: int, size: tuple[int, int] | None = None) -> keras.Model:
    """Third write-up, "U-net plain": 20,320,131 parameters at three classes, no normalisation.

    64 channels at every encoder level, 1024 below; the first level works at full size and is not
    skipped to: the last step up is a transposed convolution from half size.
    """
    picture = keras.Input((*(size or (None, None)), 3), name="picture")
    x = layers.Rescaling(1 / 255, name="scale")(picture)
    skips = []
    for level in range(5):
        x = _pair(x, 64, f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)
    x = _pair(x, 1024, "bottom")
    for level, filters in zip((4, 3, 2, 1), (512, 256, 128, 64), strict=True):
        x = layers.UpSampling2D(name=f"up{level}_up")(x)
        x = layers.Concatenate(name=f"up{level}_join")([x, skips[level]])
        x = _pair(x, filters, f"up{level}")
    logits = layers.Conv2DTranspose(classes, 3, strides=2, padding="same", name="logits")(x)
    return keras.Model(picture, logits, name="unet-plain")


def normalised(classes: int, size: tuple[int, int] | None = None) -> keras.Model:
    """Second write-up: 22,846,593 parameters (22,836,609 trainable) at one class.

    Batch norm after every convolution, dropout after every pooling and join, transposed convolutions
    up; its skips start after the pooling, so the full-size level has none.
    """
    picture = keras.Input((*(size or (None, None)), 3), name="picture")
    x = layers.Rescaling(1 / 255, name="scale")(picture)
    skips = []
    for level, filters in enumerate((64, 128, 256, 512, 512)):
        x = _pair(x, filters, f"down{level}", norm=True)
        x = layers.MaxPooling2D(name=f"down{level}_pool")(x)
        x = layers.Dropout(DROPOUT, name=f"down{level}_drop")(x)
        skips.append(x)
    for level, filters in zip((4, 3, 2, 1, 0), (512, 256, 128, 64, 64), strict=True):
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", name=f"up{level}_up")(x)
        if level:
            x = layers.Concatenate(name=f"up{level}_join")([x, skips[level - 1]])
        x = layers.Dropout(DROPOUT, name=f"up{level}_drop")(x)
        x = _pair(x, filters, f"up{level}", norm=True)
    logits = layers.Conv2D(classes, 1, name="logits")(x)
    return keras.Model(picture, logits, name="unet-normalised")


def _pair(x: keras.KerasTensor, filters: int, name: str, norm: bool = False) -> keras.KerasTensor:
    for i in (1, 2):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_conv{i}")(x)
        if norm:
            x = layers.BatchNormalization(name=f"{name}_norm{i}")(x)
    return x
