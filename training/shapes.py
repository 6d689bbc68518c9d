"""One compiled function per picture shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


class PerShape:
    """Lets a Keras model keep its compiled function of each input shape.

    Left alone, Keras on TensorFlow meets the second shape by compiling one function for any shape;
    that one is slower, and ``UpSampling2D`` cannot be built in it at all.
    """

    def __init__(self, model: keras.Model, kind: str) -> None:
        self.model, self.attribute = model, f"{kind}_function"
        self._functions: dict[tuple[int, ...], Any] = {}

    @contextmanager
    def use(self, shape: tuple[int, ...]) -> Iterator[keras.Model]:
        """The model with the function for inputs of ``shape`` (without the batch) in place."""
        setattr(self.model, self.attribute, self._functions.get(shape))
        yield self.model
        self._functions[shape] = getattr(self.model, self.attribute)
