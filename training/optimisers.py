"""Optimisers beyond Keras's own, and the third write-up's recipe. AdaS is in adas.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from training.architectures import person


@keras.saving.register_keras_serializable("streamseg")
class ScaledAdamW(keras.optimizers.AdamW):
    """AdamW whose steps on the pretrained encoder are smaller by ``encoder_scale``."""

    def __init__(self, *args: Any, encoder_scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.encoder_scale = encoder_scale

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        # By number: what a backend passes here need not carry the Keras path.
        path = self._trainable_variables[self._get_variable_index(variable)].path
        scale = self.encoder_scale if person.encoder_layer(path) else 1.0
        super().update_step(gradient, variable, learning_rate * scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoder_scale": self.encoder_scale}


def staircase_adam(rate: float, steps: int = 100_000, base: float = 0.95) -> keras.optimizers.Adam:
    """The write-up's Adam (0.9, 0.999): the rate falls to ``base`` of itself once every ``steps`` steps.

    Its rates: 0.1 (MobileNetV2), 0.03 (MobileNetV3), 1e-4 (plain).
    """
    schedule = keras.optimizers.schedules.ExponentialDecay(rate, steps, base, staircase=True)
    return keras.optimizers.Adam(schedule)


class Average:
    """Exponential average of a model's trainable weights.

    Batch-norm statistics are copied, never averaged: they belong to the weights of the moment, and
    an averaged net with lagging statistics predicts nothing.
    """

    def __init__(self, model: keras.Model, momentum: float, every: int = 4) -> None:
        self.model, self.momentum, self.every = model, momentum**every, every
        self.values = {w.path: self._read(w) for w in model.trainable_weights}

    def update(self, step: int) -> None:
        """To be called after every step; works on each ``every``-th."""
        if step % self.every:
            return
        # Young averages forget faster, or the start weights stay in for thousands of steps.
        keep = min(self.momentum, (1 + step / self.every) / (10 + step / self.every))
        for weight in self.model.trainable_weights:
            value = self.values[weight.path]
            value *= keep
            value += (1 - keep) * self._read(weight)

    def swap(self) -> None:
        """Exchanges the model's trainable weights with their averages; a second call undoes it."""
        for weight in self.model.trainable_weights:
            now = self._read(weight)
            weight.assign(self.values[weight.path])
            self.values[weight.path] = now

    def load(self, values: Mapping[str, np.ndarray]) -> None:
        self.values = {path: np.array(value) for path, value in values.items()}

    @staticmethod
    def _read(weight: keras.Variable) -> np.ndarray:
        return np.array(keras.ops.convert_to_numpy(weight), np.float32)
