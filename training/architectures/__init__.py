"""Nets by name: ours in three sizes, and those that earlier write-ups of this project used."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from streamseg.errors import OptionError
from training.architectures import deeplab, person, pretrained, tiramisu, unet
from training.architectures.narrow import narrow_encoder

BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "unet-plain": unet.plain,
    "unet-normalised": unet.normalised,
    **{f"unet-{name}": partial(pretrained.build, name) for name in pretrained.ENCODERS},
    "fc-densenet103": tiramisu.build,
    "deeplabv3": deeplab.build,
}
NAMES = (*person.SIZES, *BUILDERS)


def build(
    name: str, classes: int = 1, size: tuple[int, int] | None = None, **encoder: Any
) -> keras.Model:
    """A net with fresh weights: RGB 0..255 ``(n, h, w, 3)`` in, logits ``(n, h, w, classes)`` out.

    ``name`` is one of NAMES; ``size`` (height, width) fixes the input, default: any multiples of 32.
    ``encoder``: ``imagenet=True`` and ``frozen=True`` of the nets in pretrained.py, ``width`` and
    ``stride`` of DeepLab. ValueError on an unknown name, or on more than ours can do: one class, any
    size.
    """
    if name in person.SIZES:
        if classes != 1 or size is not None or encoder:
            raise ValueError(f"{name} has one class, takes any size and has no options; choose one of "
                             f"{', '.join(BUILDERS)}")
        return person.build(name)
    if name not in BUILDERS:
        raise ValueError(f"no architecture {name!r}: choose one of {', '.join(NAMES)}")
    return BUILDERS[name](classes, size, **encoder)


def load_net(path: Path) -> keras.Model:
    """The net that a ``.keras`` file holds, not compiled. Raises OptionError if it is not there or no net."""
    if not path.is_file():
        raise OptionError(f"model {str(path)!r} is not there: give a .keras of training.train")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError, LookupError, AttributeError, zipfile.BadZipFile) as error:
        # Keras calls a file that is no archive "not found", and goes on after a line with configurations.
        reason = (str(error).splitlines() or [repr(error)])[0] if zipfile.is_zipfile(path) else "no archive"
        raise OptionError(f"model {str(path)!r} is no Keras model that loads ({reason}): give a .keras of "
                          "training.train") from error


def copy_weights(model: keras.Model, start: keras.Model) -> list[str]:
    """Copies every layer of ``start`` whose name and shapes fit; returns the layers left fresh.

    Our encoder's blocks that are narrower here than in ``start`` get the strongest channels (see narrow.py).
    """
    sources = {layer.name: layer for layer in start.layers if layer.weights}
    other = person.start_names() if "conv2d" in sources else {}
    # What stands under one number in two encoders has nothing to do with each other.
    alike = _encoder(model) == _encoder(start)
    fresh = []
    for layer in model.layers:
        if not layer.weights:
            continue
        if person.encoder_layer(layer.name) and not alike:
            fresh.append(layer.name)
            continue
        source = sources.get(other.get(layer.name, layer.name))
        shapes = [tuple(w.shape) for w in layer.weights]
        if source is None or shapes != [tuple(w.shape) for w in source.weights]:
            fresh.append(layer.name)
            continue
        layer.set_weights([np.asarray(value) for value in source.get_weights()])
    if alike and model.name.startswith("person-") and start.name.startswith("person-"):
        narrowed = narrow_encoder(model, start)
        fresh = [name for name in fresh if name not in narrowed]
    return fresh


def _encoder(model: keras.Model) -> list[str]:
    """The encoder's layers that have weights."""
    return [layer.name for layer in model.layers if layer.weights and person.encoder_layer(layer.name)]
