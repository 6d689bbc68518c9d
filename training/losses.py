"""What the net is asked for, as one loss over logits; any Keras backend."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any  # of whichever backend Keras runs on


@keras.saving.register_keras_serializable("streamseg")
class MatteLoss(keras.losses.Loss):
    """Cross entropy (rim counted more) + soft Jaccard per picture + absolute error on the rim.

    Cross entropy alone gives soft mattes: where it is unsure, the mean is its best answer. The
    other two have the median for theirs, hence a clear one. ``sharp`` weighs the rim's error.

    truth: uint8 or float ``(n, h, w, 3)`` in 0..255: alpha, known, rim; prediction: logits
    ``(n, h, w, 1)``. Soft truth is allowed everywhere: the soft Jaccard (sum of minima over sum of
    maxima) is zero only where prediction and truth are equal (Wang and Blaschko 2023).
    """

    def __init__(self, rim: float = 2.0, jaccard: float = 1.0, sharp: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rim, self.jaccard, self.sharp = rim, jaccard, sharp

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        truth = ops.cast(y_true, "float32") / 255.0
        alpha, known, rim = truth[..., 0], truth[..., 1], truth[..., 2]
        logits = y_pred[..., 0]
        area = ops.cast(ops.shape(alpha)[1] * ops.shape(alpha)[2], "float32")
        entropy = ops.relu(logits) - logits * alpha + ops.softplus(-ops.abs(logits))
        loss = ops.sum(known * (1.0 + self.rim * rim) * entropy, axis=(1, 2)) / area
        predicted = ops.sigmoid(logits)
        both = ops.sum(known * ops.minimum(predicted, alpha), axis=(1, 2))
        either = ops.sum(known * ops.maximum(predicted, alpha), axis=(1, 2))
        # 0.2 % of the picture: what an empty picture may hold before it costs half a point.
        room = 0.002 * area
        loss += self.jaccard * (1.0 - (both + room) / (either + room))
        wrong = known * rim * ops.abs(predicted - alpha)
        loss += self.sharp * ops.sum(wrong, axis=(1, 2)) / (ops.sum(rim * known, axis=(1, 2)) + room)
        return loss

    def get_config(self) -> dict[str, Any]:
        own = {"rim": self.rim, "jaccard": self.jaccard, "sharp": self.sharp}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("streamseg")
class ClassLoss(keras.losses.Loss):
    """Mean cross entropy over the pixels whose class is known.

    truth: ``(n, h, w, 2)``: class number, 255 where known; prediction: logits ``(n, h, w, classes)``.
    """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        numbers, known = ops.cast(y_true[..., 0], "int32"), ops.cast(y_true[..., 1] > 0, "float32")
        entropy = ops.sparse_categorical_crossentropy(numbers, y_pred, from_logits=True)
        return ops.sum(known * entropy, axis=(1, 2)) / ops.maximum(ops.sum(known, axis=(1, 2)), 1.0)
