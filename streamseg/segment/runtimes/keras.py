"""Keras (TensorFlow, JAX or torch below): for a GPU and batches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Size
from ...errors import DeviceError, MissingDependencyError, OptionError
from ..model_spec import ModelSpec


class KerasNet:
    """A .keras file with one picture input, channels last.

    ``threads`` are the backend's for the whole process, see :func:`share_threads`; ``runs_on`` tells those
    that it got.
    """

    def __init__(self, path: Path, spec: ModelSpec, *, device: str = "auto", threads: int = 1) -> None:
        try:
            import keras
        except ImportError as error:
            raise MissingDependencyError(f"Keras does not load ({error}): pip install 'streamseg[train]', or "
                                         "'streamseg[gpu]' for a GPU") from error
        backend = keras.backend.backend()
        if device == "gpu" and not _has_gpu(backend):
            raise DeviceError(f"{backend} finds no GPU: install its drivers and 'streamseg[gpu]', or give "
                              "--device cpu")
        count = share_threads(backend, threads)  # before all else: TensorFlow's first use settles them
        # auto: where the library puts it by itself, which is a GPU if it finds one.
        self._place: Callable[[], AbstractContextManager[Any]] = (
            partial(keras.device, "cpu") if device == "cpu" else nullcontext)
        try:
            with self._place():
                self._model: Any = keras.saving.load_model(path, compile=False)
        except (ValueError, OSError, TypeError) as error:
            raise OptionError(f"model {str(path)!r} is no Keras model that loads: {error}") from error
        shape = self._model.inputs[0].shape
        if len(self._model.inputs) != 1 or len(shape) != 4 or shape[3] != 3:
            raise OptionError(f"model {str(path)!r} takes {len(self._model.inputs)} inputs, the first of "
                              f"shape {shape}; it must take one of (n, height, width, 3)")
        stated = None if None in shape[1:3] else (int(shape[1]), int(shape[2]))
        if spec.size and stated and spec.size != stated:
            raise OptionError(f"the model spec says size {list(spec.size)}, but {path.name} takes "
                              f"{list(stated)}")
        size = stated or spec.size
        self.sizes: tuple[Size, ...] = (size,) if size else ()
        self._functions: dict[Size, Any] = {}
        self._lock = threading.Lock()  # for the function that is exchanged below
        place = "GPU" if device != "cpu" and _has_gpu(backend) else f"CPU, {_in_words(count)}"
        self.runs_on = f"Keras ({backend}, {place})"

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 (n, h, w, 3) to (n, h, w, c), all at once."""
        # One compiled function a size: Keras would make one for all sizes, which some layers forbid.
        size = batch.shape[1], batch.shape[2]
        with self._lock:
            self._model.predict_function = self._functions.get(size)
            with self._place():
                output = np.asarray(self._model.predict_on_batch(batch), np.float32)
            self._functions[size] = self._model.predict_function
        return output if output.ndim == 4 else output[..., None]

    def close(self) -> None:
        """Free the model."""
        self._model, self._functions = None, {}


def share_threads(backend: str, threads: int) -> int | None:
    """Lets a Keras backend compute on ``threads`` threads; returns how many it has now, None if it does not
    say.

    They are the whole process's. TensorFlow makes its threads when it is first used and keeps them from then
    on; JAX has no setting for them.
    """
    if backend == "tensorflow":
        import tensorflow

        pools = tensorflow.config.threading
        with suppress(RuntimeError):  # it has been used: what it has is returned
            pools.set_intra_op_parallelism_threads(threads)
            pools.set_inter_op_parallelism_threads(1)  # one operation at a time, on all of them
        return pools.get_intra_op_parallelism_threads() or None
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)
        return int(torch.get_num_threads())
    return None


def _in_words(threads: int | None) -> str:
    return f"{threads} thread{'s' * (threads > 1)}" if threads else "as many threads as it chooses"


def _has_gpu(backend: str) -> bool:
    if backend == "tensorflow":
        import tensorflow

        return bool(tensorflow.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return any(item.platform != "cpu" for item in jax.devices())
    import torch

    return bool(torch.cuda.is_available())
