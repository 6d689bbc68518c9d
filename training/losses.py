"""What the net is asked for, as one loss over logits; any Keras backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any  # of whichever backend Keras runs on

_LEVELS = 4  # of the pyramid: the smallest training pictures have 10 rows at the coarsest


@keras.saving.register_keras_serializable("streamseg")
class MatteLoss(keras.losses.Loss):
    """Cross entropy (rim counted more) + soft Jaccard per picture + absolute error on the rim, and three more.

    Cross entropy alone gives soft mattes: where it is unsure, the mean is its best answer. The
    other two have the median for theirs, hence a clear one. ``sharp`` weighs the rim's error.
    ``detail`` weighs the error's Laplacian pyramid, which asks for the form of a rim and not for its mean
    (Hou and Liu, Context-Aware Image Matting, 2019). ``steady`` weighs what changes from one frame of a
    sequence to the next and should not, or should and does not: the error whose square dtSSD averages
    (Erofeev et al. 2015), by its magnitude here. ``taught`` weighs the cross entropy with what a teacher sees
    (training/teacher.py), but where the truth is known and says that the teacher is wrong.

    truth: uint8 or float ``(n, h, w, 3)`` in 0..255: alpha, known, rim; a fourth channel of 255 says that the
    next picture of the batch is the next frame of the same sequence; a fifth is what a teacher sees. prediction:
    logits ``(n, h, w, 1)``.
    Soft truth is allowed everywhere: the soft Jaccard (sum of minima over sum of
    maxima) is zero only where prediction and truth are equal (Wang and Blaschko 2023).
    """

    def __init__(
        self, rim: float = 2.0, jaccard: float = 1.0, sharp: float = 0.5, detail: float = 0.0,
        steady: float = 0.0, taught: float = 0.0, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.rim, self.jaccard, self.sharp = rim, jaccard, sharp
        self.detail, self.steady, self.taught = detail, steady, taught

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        truth = ops.cast(y_true, "float32") / 255.0
        alpha, known, rim = truth[..., 0], truth[..., 1], truth[..., 2]
        logits = y_pred[..., 0]
        area = ops.cast(ops.shape(alpha)[1] * ops.shape(alpha)[2], "float32")
        entropy = _entropy(logits, alpha)
        loss = ops.sum(known * (1.0 + self.rim * rim) * entropy, axis=(1, 2)) / area
        predicted = ops.sigmoid(logits)
        both = ops.sum(known * ops.minimum(predicted, alpha), axis=(1, 2))
        either = ops.sum(known * ops.maximum(predicted, alpha), axis=(1, 2))
        # 0.2 % of the picture: what an empty picture may hold before it costs half a point.
        room = 0.002 * area
        loss += self.jaccard * (1.0 - (both + room) / (either + room))
        error = known * (predicted - alpha)
        rims = ops.sum(rim * known, axis=(1, 2)) + room
        loss += self.sharp * ops.sum(rim * ops.abs(error), axis=(1, 2)) / rims
        if self.detail:
            loss += self.detail * _laplacian(error) / (rims + 0.02 * area)
        if self.steady and truth.shape[-1] > 3:
            both_known = known * ops.roll(known, -1, axis=0)
            change = both_known * ops.abs(ops.roll(error, -1, axis=0) - error)
            people = ops.sum(ops.maximum(alpha, ops.roll(alpha, -1, axis=0)), axis=(1, 2)) + 0.02 * area
            follows = truth[:, 0, 0, 3]  # the last picture has no next one: the feed leaves it at 0
            loss += self.steady * follows * ops.sum(change, axis=(1, 2)) / people
        if self.taught and truth.shape[-1] > 4:
            taught = truth[..., 4]
            wrong = known * ops.cast(ops.abs(taught - alpha) > 0.5, "float32")
            loss += self.taught * ops.sum((1.0 - wrong) * _entropy(logits, taught), axis=(1, 2)) / area
        return loss

    def get_config(self) -> dict[str, Any]:
        names = ("rim", "jaccard", "sharp", "detail", "steady", "taught")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """The cross entropy of ``logits`` with the probabilities ``wanted``, a pixel each."""
    return ops.relu(logits) - logits * wanted + ops.softplus(-ops.abs(logits))


def _laplacian(error: Tensor) -> Tensor:
    """Sum of the magnitudes of the Laplacian pyramid of ``error`` ``(n, h, w)``, level ``i`` counted ``2**i``
    times: ``(n,)``. Sides are 32 or more."""
    taps = ops.convert_to_tensor([1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16], "float32")
    level = error[..., None]
    total = 0.0
    for i in range(_LEVELS):
        wide = ops.pad(level, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="reflect")
        coarse = ops.conv(ops.conv(wide, ops.reshape(taps, (5, 1, 1, 1))), ops.reshape(taps, (1, 5, 1, 1)))
        total += 2.0**i * ops.sum(ops.abs(level - coarse), axis=(1, 2, 3))
        level = coarse[:, ::2, ::2]
    return total


@keras.saving.register_keras_serializable("streamseg")
class ClassLoss(keras.losses.Loss):
    """Mean cross entropy over the pixels whose class is known.

    truth: ``(n, h, w, 2)``: class number, 255 where known; prediction: logits ``(n, h, w, classes)``.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        numbers, known = ops.cast(y_true[..., 0], "int32"), ops.cast(y_true[..., 1] > 0, "float32")
        entropy = ops.sparse_categorical_crossentropy(numbers, y_pred, from_logits=True)
        return ops.sum(known * entropy, axis=(1, 2)) / ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)
