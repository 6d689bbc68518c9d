"""Keras (TensorFlow, JAX or torch below): for a GPU and batches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Size
from ...core.words import counted
from ...errors import DeviceError, MissingDependencyError, OptionError
from ..model_spec import ModelSpec
from . import State
from .ports import Port, Wiring, zeros


class KerasNet:
    """A .keras file with a picture input, channels last or first; others as the model spec says.

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
        self._wiring = Wiring.of(path, spec, *_ports(self._model))
        size = self._wiring.size(path, spec)
        self.sizes: tuple[Size, ...] = (size,) if size else ()
        self._functions: dict[Any, Any] = {}
        self._lock = threading.Lock()  # for the function that is exchanged below
        place = "GPU" if device != "cpu" and _has_gpu(backend) else f"CPU, {_in_words(count)}"
        self.runs_on = f"Keras ({backend}, {place})"

    def run(self, inputs: Sequence[npt.NDArray[np.float32]],
            state: State | None = None) -> tuple[list[npt.NDArray[np.float32]], State | None]:
        """As Net.run. Pictures are computed all at once, but for a net with states."""
        wiring = self._wiring
        pictures = wiring.given(inputs[0])
        if not wiring.states:
            return [wiring.taken(self._predicted(pictures, ())[wiring.matte.handle])], None
        if state is None:
            state = tuple(zeros(given) for given, _ in wiring.states)
        found = []
        for i in range(len(pictures)):
            outputs = self._predicted(pictures[i : i + 1], state)
            state = tuple(outputs[taken.handle] for _, taken in wiring.states)
            found.append(outputs[wiring.matte.handle])
        return [wiring.taken(np.concatenate(found))], state

    def _predicted(self, pictures: npt.NDArray[np.float32], state: State) -> list[npt.NDArray[np.float32]]:
        """All outputs, in the model's order."""
        import keras

        wiring = self._wiring
        given = {wiring.picture.handle: pictures}
        given |= {port.handle: value for (port, _), value in zip(wiring.states, state, strict=True)}
        given |= {port.handle: np.full([len(pictures), *(side or 1 for side in port.shape[1:])], number, np.float32)
                  for port, number in wiring.constants}
        batch = [given[place] for place in range(len(given))]
        # One compiled function a size: Keras would make one for all sizes, which some layers forbid.
        size = pictures.shape[1:], *(value.shape for value in state)
        with self._lock:
            self._model.predict_function = self._functions.get(size)
            with self._place():
                outputs = self._model.predict_on_batch(batch if len(batch) > 1 else batch[0])
            self._functions[size] = self._model.predict_function
        return [np.asarray(output, np.float32) for output in keras.tree.flatten(outputs)]

    def trim(self) -> None:
        """Nothing: the library keeps its working memory to itself."""

    def close(self) -> None:
        """Free the model."""
        self._model, self._functions = None, {}


def _ports(model: Any) -> tuple[list[Port], list[Port]]:
    """A model's inputs and outputs by their layers' names, found by their places."""
    try:
        names = list(model.output_names)
    except AttributeError:  # a model that is no graph of layers, but a row of them
        names = [model.layers[-1].name]
    inputs = [Port((item.name,), tuple(item.shape), place) for place, item in enumerate(model.inputs)]
    outputs = [Port((name,), tuple(item.shape), place)
               for place, (name, item) in enumerate(zip(names, model.outputs, strict=True))]
    return inputs, outputs


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
    return counted(threads, "thread") + " for the net" if threads else "as many threads as it chooses"


def _has_gpu(backend: str) -> bool:
    if backend == "tensorflow":
        import tensorflow

        return bool(tensorflow.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return any(item.platform != "cpu" for item in jax.devices())
    import torch

    return bool(torch.cuda.is_available())
