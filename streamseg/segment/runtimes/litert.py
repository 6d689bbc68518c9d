"""LiteRT (once TensorFlow Lite) with XNNPACK: the runtime for a CPU."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Size, nearest_size, usual_sizes
from ...core.native_stderr import native_lines_hidden
from ...core.words import counted
from ...errors import MissingDependencyError, OptionError, SegmentError
from ..file_formats.tflite import STEPS
from ..model_spec import ModelSpec
from . import State
from .ports import Port, Wiring, zeros
from .resized import resized, sized_places
from .signatures import alone, signatures, tensor_names

# Sizes of a file that are ready at once. Each takes 25 to 65 MB, and 20 to 40 ms to make ready again. A picture of the
# built-in models wants two of each file, two more for its region of interest, and two where it is looked at turned.
READY = 6
_SIZED = re.compile(r"(\d+)x(\d+)")


class LiteRt:
    """A .tflite file: with a picture input of one size, with signatures named HxW, one a size, or with one graph that
    may be made for other sizes (resized.py). Ours are of the last kind.

    A size is made ready when it is first used, and READY of them stay so; the commonest at once, so that a file that
    does not run is found while it is opened.

    Pictures go through one by one: with 2, 4 or 8 at once each took as long (0.98 to 1.09 of the time), and the net as
    much more memory.
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
        names = signatures(self._content)
        self._graphs = {(int(found[1]), int(found[2])): graph for name, graph in names.items()
                        if (found := _SIZED.fullmatch(name))}  # fmt: skip
        self._resizable = any(name.endswith(STEPS) for name in names)
        self._places: tuple[int, ...] | None = None  # what changes with the size: known from the first one on
        self._spec = spec
        self._ready: OrderedDict[Size, _Graph] = OrderedDict()  # the one that was used last is the last
        self._lock = threading.Lock()  # an interpreter does one thing at a time
        self._used = False
        with native_lines_hidden():
            if self._graphs or self._resizable:
                self.sizes: tuple[Size, ...] = usual_sizes() if self._resizable else tuple(self._graphs)
                self._graph(nearest_size(9, 16, self.sizes))
            else:
                graph = self._opened()
                size = graph.wiring.size(path, spec)
                self.sizes = (size,) if size else ()
                if size:
                    self._ready[size] = graph
        self.runs_on = f"LiteRT (CPU, {counted(threads, 'thread')} for the net)"

    def run(self, inputs: Sequence[npt.NDArray[np.float32]],
            state: State | None = None) -> tuple[list[npt.NDArray[np.float32]], State | None]:
        """As Net.run, one picture after another."""
        pictures, found = inputs[0], []
        with self._lock:
            graph = self._graph((pictures.shape[1], pictures.shape[2]))
            self._used = True
            for picture in pictures:
                matte, state = graph.step(picture[None], state)
                found.append(matte)
        return [np.concatenate(found) if len(found) > 1 else found[0]], state or None

    def trim(self) -> None:
        """Free all sizes' graphs; the next ``run`` makes its own ready again."""
        with self._lock:
            self._ready.clear()

    def close(self) -> None:
        """Free the memory that is held."""
        self.trim()
        self._content = b""

    def _graph(self, size: Size) -> _Graph:
        """The interpreter for a size, opened when it is asked for."""
        if size not in self._ready:
            if not self._used:  # what was opened to see whether the file runs is not wanted then
                self._ready.clear()
            while len(self._ready) >= READY:
                self._ready.popitem(last=False)
            self._ready[size] = self._opened(size)
        self._ready.move_to_end(size)
        return self._ready[size]

    def _opened(self, size: Size | None = None) -> _Graph:
        """The file's graph for a size of picture; its own, where it has one only, at the size that it stands at."""
        number = self._graphs.get(size, 0) if size else 0
        try:
            content = self._content
            if self._resizable and size:
                self._places = self._places or sized_places(content)
                content = resized(content, size, self._places)
            elif self._graphs:
                content = alone(content, number)
            net = self._make(model_content=content)
            net.allocate_tensors()
            graph = _Graph(self._path, self._spec, net, tensor_names(self._content, number))
            if size is not None and size != graph.wiring.size(self._path, self._spec):
                graph.resize(size)
        except (ValueError, RuntimeError) as error:
            raise OptionError(f"model {str(self._path)!r} is no LiteRT model that loads: {error}") from error
        return graph


class _Graph:
    """An interpreter, and what its inputs and outputs are."""

    def __init__(self, path: Path, spec: ModelSpec, net: Any, names: tuple[dict[int, str], dict[int, str]]) -> None:
        self._net = net
        inputs, outputs = net.get_input_details(), net.get_output_details()
        self.wiring = Wiring.of(path, spec, [_port(item, names[0]) for item in inputs],
                                [_port(item, names[1]) for item in outputs])
        if self.wiring.picture.shape[0] not in (1, None):
            raise OptionError(f"model {str(path)!r} takes {self.wiring.picture.shape[0]} pictures at once; it must "
                              "take one: export it with a batch of 1")
        self._shapes = {item["index"]: tuple(int(side) for side in item["shape"]) for item in inputs}

    def resize(self, size: Size) -> None:
        """Take pictures of ``size`` from now on."""
        sides = (1, 3, *size) if self.wiring.channels_first else (1, *size, 3)
        self._set_shape(self.wiring.picture.handle["index"], sides)
        self._net.allocate_tensors()

    def step(self, picture: npt.NDArray[np.float32],
             state: State | None) -> tuple[npt.NDArray[np.float32], State]:
        """The output (1, h, w, c) for a picture (1, h, w, 3), and the state after it."""
        net, wiring = self._net, self.wiring
        if state is None:
            state = tuple(zeros(given) for given, _ in wiring.states)
        given = [(wiring.picture.handle, wiring.given(picture))]
        given += [(port.handle, value) for (port, _), value in zip(wiring.states, state, strict=True)]
        given += [(port.handle, np.full(self._shapes[port.handle["index"]], number, np.float32))
                  for port, number in wiring.constants]
        changed = [self._set_shape(details["index"], value.shape) for details, value in given]
        if any(changed):
            net.allocate_tensors()
        for details, value in given:
            net.set_tensor(details["index"], _quantised(value, details))
        net.invoke()
        matte, *following = (_dequantised(net.get_tensor(port.handle["index"]), port.handle)
                             for port in (wiring.matte, *(taken for _, taken in wiring.states)))
        return wiring.taken(matte), tuple(following)

    def _set_shape(self, index: int, shape: tuple[int, ...]) -> bool:
        """Whether an input had another shape: it was changed then, and tensors must be allocated anew."""
        if self._shapes[index] == shape:
            return False
        self._net.resize_tensor_input(index, shape)
        self._shapes[index] = shape
        return True


def _port(details: dict[str, Any], names: dict[int, str]) -> Port:
    called = dict.fromkeys(name for name in (names.get(details["index"]), details["name"]) if name)
    sides = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    return Port(tuple(called) or ("",), tuple(int(side) if side >= 0 else None for side in sides), details)


def _quantised(values: npt.NDArray[np.float32], details: dict[str, Any]) -> npt.NDArray[Any]:
    scale, zero = details["quantization"]
    if details["dtype"] in (np.float32, np.float16):
        return values.astype(details["dtype"], copy=False)
    if not scale:
        raise SegmentError(f"the model takes {details['dtype'].__name__} without saying its scale")
    limits = np.iinfo(details["dtype"])
    return np.clip(np.rint(values / scale + zero), limits.min, limits.max).astype(details["dtype"])


def _dequantised(values: npt.NDArray[Any], details: dict[str, Any]) -> npt.NDArray[np.float32]:
    scale, zero = details["quantization"]
    if details["dtype"] == np.float32 or not scale:
        return values.astype(np.float32, copy=False)
    return (values.astype(np.float32) - zero) * scale
