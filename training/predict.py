"""What turns pictures into mattes while nets are judged: a net itself, or a file as streamseg runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.core import geometry
from streamseg.core.frames import Frame
from streamseg.segment.person import Person
from streamseg.source.arrays import frame_of

# OpenCV's stubs know no dtypes, so these say them to the reader only.
Picture = NDArray[Any]  # uint8 (h, w, 3) RGB
Alpha = NDArray[Any]  # float32 (h, w) in 0..1
Predictor = Callable[[list[Picture]], list[Alpha]]
"""Mattes of pictures of any shapes, one each, at the net's size."""


class KerasPredictor:
    """A Keras net with logits, at sizes near each picture's aspect, 16 small pictures of a size at once."""

    def __init__(self, model: Any, budget: int = geometry.DEFAULT_BUDGET) -> None:
        from training.shapes import PerShape  # imports Keras, which other predictors do without

        self.model, self.budget = model, budget
        self._functions = PerShape(model, "predict")

    def logits(self, pictures: list[Picture]) -> list[NDArray[np.float32]]:
        """float32 ``(h, w, channels)`` for each picture, at the net's size."""
        sizes = [geometry.net_size(p.shape[0], p.shape[1], self.budget) for p in pictures]
        results: dict[int, NDArray[np.float32]] = {}
        for size in sorted(set(sizes)):
            numbers = [i for i, other in enumerate(sizes) if other == size]
            count = max(1, 16 * geometry.DEFAULT_BUDGET // (size[0] * size[1]))
            for start in range(0, len(numbers), count):
                part = numbers[start : start + count]
                batch = np.stack([geometry.resize(pictures[i], size) for i in part])
                with self._functions.use(size) as model:
                    logits = np.asarray(model.predict_on_batch(batch.astype(np.float32)), np.float32)
                results.update(zip(part, logits, strict=True))
        return [results[i] for i in range(len(pictures))]

    def __call__(self, pictures: list[Picture]) -> list[Alpha]:
        return [1 / (1 + np.exp(-logits[..., 0])) for logits in self.logits(pictures)]


class MethodPredictor:
    """A model file (None: the shipped one), run as `streamseg run` runs it on pictures, one at a time."""

    def __init__(self, path: Path | None, spec: Path | None, threads: int) -> None:
        self.method = Person(
            model=str(path) if path else None, model_spec=str(spec) if spec else None, threads=threads,
            stills=True,
        )  # fmt: skip

    def __call__(self, pictures: list[Picture]) -> list[Alpha]:
        return [self._matte(frame_of(picture, i, 1)) for i, picture in enumerate(pictures)]

    def _matte(self, frame: Frame) -> Alpha:
        self.method.reset()  # the pictures have nothing to do with each other
        return self.method.segment([frame])[0].alpha


def open_predictor(path: Path | None, spec: Path | None, budget: int, threads: int) -> Predictor:
    """A predictor for a model file (None: the shipped one).

    A ``.keras`` of training.train, which gives logits, runs bare at sizes of about ``budget`` pixels; all
    others run as in ``streamseg run``, by ``spec``. ``threads`` is for either.
    """
    if path is not None and path.suffix == ".keras" and spec is None:
        import keras

        from streamseg.segment.runtimes.keras import share_threads
        from training.architectures import load_net

        share_threads(keras.backend.backend(), threads)
        model = load_net(path)
        if model.layers[-1].name != "alpha":
            return KerasPredictor(model, budget)
    return MethodPredictor(path, spec, threads)
