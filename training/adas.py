"""AdaS: SGD whose learning rate each layer earns by what it learnt in the last epoch.

Hosseini and Plataniotis, "AdaS: Adaptive Scheduling of Stochastic Gradients" (arXiv 2006.06587). With
W the kernel of layer l after epoch t, unfolded to N_d rows (d = 3: channels in, d = 4: channels out)
and s_1 >= s_2 >= ... the singular values of its low-rank part (what is not noise)::

    G_d(t, l)  = (s_1 + s_2 + ...) / (N_d s_1)                   knowledge gain, 0 to 1
    G(t, l)    = (G_3(t, l) + G_4(t, l)) / 2
    rate(t, l) = beta rate(t-1, l) + zeta (G(t, l) - G(t-1, l))  never below 1e-20

beta 0.8 is greedy, 0.98 patient; zeta 1. The low-rank part is the analytic solution of empirical
variational Bayes matrix factorisation (Nakajima, Sugiyama, Babacan, Tomioka, JMLR 14, 2013).
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

SMALLEST_RATE = 1e-20


def low_rank(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Singular values of a matrix's low-rank part, largest first; none where all of it is noise.

    The noise's variance is found with it: the one that explains the matrix best.
    """
    rows, columns = sorted(matrix.shape)
    values = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    if values[0] == 0:
        return values[:0]
    squares = np.maximum(values**2, np.finfo(np.float64).eps * values[0] ** 2)
    alpha = rows / columns
    tau = 2.5129 * math.sqrt(alpha)  # the paper's approximation of where the two cases meet
    limit = (1 + tau) * (1 + alpha / tau)

    def unlikely(variance: float) -> float:
        x = squares / (columns * variance)
        kept = x[x > limit]
        taus = _tau(kept, alpha)
        gain = np.log1p(taus) + alpha * np.log1p(taus / alpha) - taus
        return float((x - np.log(x)).sum() + gain.sum())

    most = math.ceil(rows / (1 + alpha)) - 1  # no larger rank can be told from noise
    lowest = max(squares[most] / limit, squares[most:].mean()) / columns
    highest = squares.sum() / (rows * columns)
    found = minimize_scalar(unlikely, bounds=(lowest, highest), method="bounded").x
    noise = columns * found
    large = values[values**2 > limit * noise]
    shrunk = 1 - (1 + alpha) * noise / large**2
    return large / 2 * (shrunk + np.sqrt(shrunk**2 - 4 * alpha * (noise / large**2) ** 2))


def knowledge_gain(kernel: NDArray[Any]) -> float:
    """G of a convolution's kernel ``(h, w, channels, channels)``: the mean over its two channel axes.

    An axis of one (the last of a depthwise kernel) can hold no structure and is left out.
    """
    gains = []
    for axis in (2, 3):
        if kernel.shape[axis] == 1:
            continue
        found = low_rank(np.moveaxis(kernel, axis, 0).reshape(kernel.shape[axis], -1))
        gains.append(found.sum() / (kernel.shape[axis] * found[0]) if len(found) else 0.0)
    return float(np.mean(gains)) if gains else 0.0


@keras.saving.register_keras_serializable("streamseg")
class AdaS(keras.optimizers.SGD):
    """SGD with momentum and a learning rate of its own for each convolution, by the formula above.

    ``learning_rate`` is what every layer starts with. :meth:`end_epoch` is to be called after each
    epoch; the first one only measures. A layer that is noise
    to the last singular value keeps its rate: it would stop before it learnt anything. Biases and
    norms go with the convolution before them.
    """

    def __init__(self, learning_rate: float = 0.03, momentum: float = 0.9, beta: float = 0.8,
                 zeta: float = 1.0, **kwargs: Any) -> None:  # fmt: skip
        super().__init__(learning_rate, momentum=momentum, **kwargs)
        self.beta, self.zeta = beta, zeta
        self._first_rate = learning_rate

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the rates and gains, one of each kernel; they are saved with the optimiser."""
        if self.built:
            return
        super().build(variables)
        self._kernels = [i for i, variable in enumerate(variables) if len(variable.shape) == 4]
        if not self._kernels:
            raise ValueError("AdaS has nothing to go by: no variable is a convolution's kernel")
        self._layer = [max(0, sum(kernel <= i for kernel in self._kernels) - 1)
                       for i in range(len(variables))]  # fmt: skip
        count = (len(self._kernels),)
        start = keras.initializers.Constant(self._first_rate)
        self.rates = self.add_variable(count, initializer=start, name="rates")
        unknown = keras.initializers.Constant(math.nan)
        self.gains = self.add_variable(count, initializer=unknown, name="gains")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One step of SGD, at the rate of the variable's layer."""
        rate = self.rates[self._layer[self._get_variable_index(variable)]]
        super().update_step(gradient, variable, rate)

    def end_epoch(self) -> None:
        """Measures what each layer gained since the last call, and sets the rates."""
        gains = np.array([
            knowledge_gain(keras.ops.convert_to_numpy(self._trainable_variables[i]))
            for i in self._kernels
        ])  # fmt: skip
        before, rates = (keras.ops.convert_to_numpy(v) for v in (self.gains, self.rates))
        earned = np.maximum(self.beta * rates + self.zeta * (gains - before), SMALLEST_RATE)
        self.rates.assign(np.where(np.isnan(before) | (gains == 0), rates, earned))
        self.gains.assign(gains)

    def get_config(self) -> dict[str, Any]:
        """As Keras saves it."""
        return {**super().get_config(), "beta": self.beta, "zeta": self.zeta}


def _tau(x: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """The larger root of ``x = (1 + tau) (1 + alpha / tau)``."""
    middle = x - (1 + alpha)
    return 0.5 * (middle + np.sqrt(middle**2 - 4 * alpha))
