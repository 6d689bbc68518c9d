"""LiteRT (once TensorFlow Lite) with XNNPACK: the runtime for a CPU."""

from __future__ import annotations

import re
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Size, nearest_size
from ...core.native_stderr import native_lines_hidden
from ...errors import MissingDependencyError, OptionError, SegmentError
from ..model_spec import ModelSpec
from .signatures import alone, signatures

_SIZED = re.compile(r"(\d+)x(\d+)")


class LiteRt:
    """A .tflite file: with one input of a fixed size, or with signatures named HxW, one a size.

    Ours are of the second kind: a graph of any size would keep XNNPACK off (its resizing reads the
    target from a tensor), and signatures share their weights. A size is made ready when it is first used; the
    commonest at once, so that a file that does not run is found while it is opened.
    """

    def __init__(self, path: Path, spec: ModelSpec, *, device: str = "cpu", threads: int = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise MissingDependencyError(f"LiteRT does not load ({error}): pip install ai-edge-litert, or "
                                         "choose another --runtime or --method") from error
        self._path = path
        self._make: Any = partial(Interpreter, num_threads=threads)
        self._content = path.read_bytes()
        self._graphs = {(int(found[1]), int(found[2])): graph
                        for name, graph in signatures(self._content).items()
                        if (found := _SIZED.fullmatch(name))}  # fmt: skip
        self._ready: dict[Size, Any] = {}
        self._lock = threading.Lock()  # an interpreter does one thing at a time
        self._used = False
        with native_lines_hidden():
            if self._graphs:
                self._net(nearest_size(9, 16, self._graphs))
                self.sizes: tuple[Size, ...] = tuple(self._graphs)
            else:
                net = self._opened(self._content)
                self.sizes = (_input_size(path, net.get_input_details(), spec),)
                self._ready[self.sizes[0]] = net
        self.runs_on = f"LiteRT (CPU, {threads} thread{'s' * (threads > 1)})"

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 (n, h, w, 3) to (n, h, w, c), one picture after another."""
        with self._lock:
            net = self._net((batch.shape[1], batch.shape[2]))
            self._used = True
            return np.concatenate([_one(net, picture[None]) for picture in batch])

    def close(self) -> None:
        """Free the memory that is held."""
        self._ready, self._content = {}, b""

    def _net(self, size: Size) -> Any:
        """The interpreter for a size, opened when it is first asked for."""
        if size not in self._ready:
            if not self._used:  # what was opened to see whether the file runs is not wanted then
                self._ready.clear()
            self._ready[size] = self._opened(alone(self._content, self._graphs[size]))
        return self._ready[size]

    def _opened(self, content: bytes) -> Any:
        try:
            net = self._make(model_content=content)
            net.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise OptionError(f"model {str(self._path)!r} is no LiteRT model that loads: {error}") from error
        return net


def _one(net: Any, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    given, taken = net.get_input_details()[0], net.get_output_details()[0]
    net.set_tensor(given["index"], _quantised(picture, given))
    net.invoke()
    return _dequantised(net.get_tensor(taken["index"]), taken)


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
