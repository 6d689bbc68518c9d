"""LiteRT (once TensorFlow Lite) with XNNPACK: the runtime for a CPU."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import MissingDependencyError, OptionError, SegmentError
from ...geometry import Size
from .spec import ModelSpec

_SIZED = re.compile(r"(\d+)x(\d+)")


class LiteRt:
    """A .tflite file: with one input of a fixed size, or with signatures named HxW, one a size.

    Ours are of the second kind: a graph of any size would keep XNNPACK off (its resizing reads the
    target from a tensor), and signatures share their weights.
    """

    def __init__(self, path: Path, spec: ModelSpec, *, device: str = "cpu", threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingDependencyError(f"LiteRT does not load ({error}): pip install ai-edge-litert, or "
                                         "choose another --runtime or --method") from error
        try:
            with _quiet():
                self._interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise OptionError(f"model {str(path)!r} is no LiteRT model that loads: {error}") from error
        signatures = self._interpreter.get_signature_list()
        sized = {(int(found[1]), int(found[2])): name for name in signatures
                 if (found := _SIZED.fullmatch(name))}
        self._runs: dict[Size, Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]]
        if sized:
            self._runs = {size: self._signature(name) for size, name in sized.items()}
        else:
            self._runs = {_input_size(path, self._interpreter.get_input_details(), spec): self._plain}
        self.sizes: tuple[Size, ...] = tuple(self._runs)
        self.runs_on = f"LiteRT (CPU, {threads} thread{'s' * (threads > 1)})"

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 (n, h, w, 3) to (n, h, w, c), one picture after another."""
        run = self._runs[batch.shape[1:3]]
        return np.concatenate([run(picture[None]) for picture in batch])

    def close(self) -> None:
        """Free the interpreter and its memory."""
        self._runs = {}
        self._interpreter = None

    def _signature(self, name: str) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
        runner = self._interpreter.get_signature_runner(name)  # takes its memory when first used
        given = next(iter(runner.get_input_details()))

        def run(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            return next(iter(runner(**{given: picture}).values()))

        return run

    def _plain(self, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        given, taken = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._interpreter.set_tensor(given["index"], _quantised(picture, given))
        self._interpreter.invoke()
        return _dequantised(self._interpreter.get_tensor(taken["index"]), taken)


def _input_size(path: Path, inputs: list[dict[str, Any]], spec: ModelSpec) -> Size:
    shape = [int(side) for side in inputs[0]["shape"]]
    if len(inputs) != 1 or len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
        raise OptionError(f"model {str(path)!r} takes {len(inputs)} inputs, the first of shape {shape}; "
                          "it must take one of [1, height, width, 3]")
    size = shape[1], shape[2]
    if spec.size is not None and spec.size != size:
        raise OptionError(f"the model spec says size {list(spec.size)}, but {path.name} takes {list(size)}")
    return size


def _quantised(values: npt.NDArray[np.float32], details: dict[str, Any]) -> npt.NDArray[Any]:
    scale, zero = details["quantization"]
    if details["dtype"] == np.float32:
        return values
    if not scale:
        raise SegmentError(f"the model takes {details['dtype'].__name__} without saying its scale")
    limits = np.iinfo(details["dtype"])
    return np.clip(np.rint(values / scale + zero), limits.min, limits.max).astype(details["dtype"])


def _dequantised(values: npt.NDArray[Any], details: dict[str, Any]) -> npt.NDArray[np.float32]:
    scale, zero = details["quantization"]
    if details["dtype"] == np.float32 or not scale:
        return values.astype(np.float32, copy=False)
    return (values.astype(np.float32) - zero) * scale


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps LiteRT's "Created XNNPACK delegate" off stderr; it has no switch for it.

    Only while a model loads, which is before any thread starts. Errors come as exceptions.
    """
    try:
        number = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # stderr is no file: nothing to be kept clean
        yield
        return
    kept, nowhere = os.dup(number), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, number)
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(nowhere)
