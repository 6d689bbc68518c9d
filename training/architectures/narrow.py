"""An encoder that widens less inside its blocks, made of one that widens more.

What goes on from block to block is as wide in both; inside a block the channels that matter most are kept,
with their weights. How much one matters is the product of the norms of its weights in the block's three
convolutions (widen, depthwise, project): what it can add to the block's sum, but for activations. Training
makes up for the rest. After Li et al. 2017, "Pruning Filters for Efficient ConvNets".
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

Weights = list[NDArray[np.float32]]


def narrow_encoder(model: keras.Model, start: keras.Model) -> list[str]:
    """Sets the encoder blocks of ``model`` that are narrower inside than those of ``start``; returns their
    layers' names. Both are nets of person.py."""
    found: list[str] = []
    for layer in start.layers:
        if not isinstance(layer, keras.layers.DepthwiseConv2D) or layer.name == "enc1":
            continue  # enc1's block does not widen
        middle = int(layer.name.removeprefix("enc"))
        names = [f"enc{number}" for number in (middle - 1, middle, middle + 1)]
        count = model.get_layer(names[0]).filters
        wide = [start.get_layer(name).get_weights() for name in names]
        if count < wide[1][1].size:
            for name, weights in zip(names, strongest(wide, count), strict=True):
                model.get_layer(name).set_weights(weights)
            found += names
    return found


def strongest(block: list[Weights], count: int) -> list[Weights]:
    """The ``count`` inner channels of a block that matter most, in their order: kernel and bias of its three
    convolutions, of shapes (1, 1, in, c), (3, 3, c, 1) and (1, 1, c, out)."""
    (widen, widen_bias), (depth, depth_bias), (project, bias) = block
    strength = (np.linalg.norm(widen[0, 0], axis=0) * np.linalg.norm(depth[..., 0], axis=(0, 1))
                * np.linalg.norm(project[0, 0], axis=1))  # fmt: skip
    kept = np.sort(np.argsort(-strength)[:count])
    return [[widen[..., kept], widen_bias[kept]], [depth[:, :, kept], depth_bias[kept]],
            [project[:, :, kept], bias]]
