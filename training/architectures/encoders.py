"""The pretrained encoders of the shipped family: features at 1/2, 1/4, 1/8, 1/16 and 1/32 of a picture.

Both have their batch norms folded into their convolutions, as training/encoders.py reads their weights.
Layers are named by their operation: ``enc0``, ``enc1``, ... in order, an addition being one, too. Input: RGB
scaled to -1..1, ``(n, h, w, 3)``, sides multiples of 32.
"""

from __future__ import annotations

import keras
from keras import layers

# MobileNetV2 at width 0.5 (Sandler et al. 2018): (channels out, stride of the depthwise convolution), block
# by block. The first block does not widen.
_MOBILENETV2 = (
    (8, 1), (12, 2), (12, 1), (16, 2), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (32, 1),
    (48, 1), (48, 1), (48, 1), (80, 2), (80, 1), (80, 1), (160, 1),
)  # fmt: skip
# EfficientNet-Lite0 (Tan and Le 2019; no squeeze-and-excitation, ReLU6): (kernel, stride of the first block,
# channels out, blocks), stage by stage. The first stage does not widen, the others six times.
LITE0 = ((3, 1, 16, 1), (3, 2, 24, 2), (5, 2, 40, 2), (3, 2, 80, 3), (5, 1, 112, 3), (5, 2, 192, 4),
         (3, 1, 320, 1))  # fmt: skip


def mobilenetv2(x: keras.KerasTensor, widen: int = 6) -> list[keras.KerasTensor]:
    """61 operations; blocks widen ``widen`` times inside."""
    chain = _Chain(symmetric=True)
    x = chain.convolve(x, 16, 3, 2, active=True)
    skips: list[keras.KerasTensor] = []
    for i, (filters, stride) in enumerate(_MOBILENETV2):
        inside = chain.convolve(x, x.shape[-1] * widen, 1, active=True) if i else x
        if stride == 2:
            # The last features before a step down; at half size the block's own 8 channels are too
            # few, so there the widened ones.
            skips.append(inside if not skips else x)
        x = chain.finish_block(x, inside, 3, stride, filters)
    return [*skips, x]


def efficientnet_lite0(x: keras.KerasTensor) -> list[keras.KerasTensor]:
    """57 operations; 3.0 million parameters."""
    chain = _Chain(symmetric=False)
    x = chain.convolve(x, 32, 3, 2, active=True)
    skips: list[keras.KerasTensor] = []
    for i, (kernel, first_stride, filters, blocks) in enumerate(LITE0):
        for stride in (first_stride, *[1] * (blocks - 1)):
            if stride == 2:
                skips.append(x)
            inside = chain.convolve(x, x.shape[-1] * 6, 1, active=True) if i else x
            x = chain.finish_block(x, inside, kernel, stride, filters)
    return [*skips, x]


class _Chain:
    """Operations in order, each named by its number. ``symmetric``: padding as the same on both sides, not
    as Keras's "same", which at stride 2 has it on one."""

    def __init__(self, symmetric: bool) -> None:
        self.symmetric = symmetric
        self.count = 0

    def convolve(self, x: keras.KerasTensor, filters: int, kernel: int, stride: int = 1, *,
                 active: bool = False) -> keras.KerasTensor:
        """A convolution, depthwise where ``filters`` is 0, with a bias; ``active``: then ReLU6."""
        name = f"enc{self.count}"
        self.count += 1
        if self.symmetric and kernel > 1:
            x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid" if self.symmetric else "same"
        if filters:
            x = layers.Conv2D(filters, kernel, strides=stride, padding=padding, name=name)(x)
        else:
            x = layers.DepthwiseConv2D(kernel, strides=stride, padding=padding, name=name)(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x

    def finish_block(self, x: keras.KerasTensor, inside: keras.KerasTensor, kernel: int, stride: int,
                     filters: int) -> keras.KerasTensor:
        """A block's depthwise convolution and projection of ``inside``, and the block's input ``x`` added
        where it fits."""
        inside = self.convolve(inside, 0, kernel, stride, active=True)
        inside = self.convolve(inside, filters, 1)
        if stride == 1 and filters == x.shape[-1]:
            inside = layers.Add(name=f"enc{self.count}_add")([inside, x])
            self.count += 1
        return inside
