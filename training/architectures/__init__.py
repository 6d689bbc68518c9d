"""Nets by name: ours in three sizes, and those that earlier write-ups of this project used."""

from __future__ import annotations

import keras
import numpy as np

from training.architectures import person

NAMES = tuple(person.SIZES)


def build(name: str) -> keras.Model:
    """A net with fresh weights: uint8-ranged RGB in, logits out. ``name`` is one of NAMES."""
    if name not in NAMES:
        raise ValueError(f"no architecture {name!r}: choose one of {', '.join(NAMES)}")
    return person.build(name)


def copy_weights(model: keras.Model, start: keras.Model) -> list[str]:
    """Copies every layer of ``start`` whose name and shapes fit; returns the layers left fresh."""
    sources = {layer.name: layer for layer in start.layers if layer.weights}
    other = person.start_names() if "conv2d" in sources else {}
    fresh = []
    for layer in model.layers:
        if not layer.weights:
            continue
        source = sources.get(other.get(layer.name, layer.name))
        shapes = [tuple(w.shape) for w in layer.weights]
        if source is None or shapes != [tuple(w.shape) for w in source.weights]:
            fresh.append(layer.name)
            continue
        layer.set_weights([np.asarray(value) for value in source.get_weights()])
    return fresh
