"""What a model file runs in. One module a runtime; each imports its library only when it is used.

A runtime is a class ``(path, spec, threads)`` with ``sizes``, ``run`` and ``close`` (the Net protocol).
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...core.geometry import Size
from ...errors import DeviceError, OptionError
from ...validation import choice
from ..model_spec import ModelSpec

# name -> (module:Class, file names' endings)
RUNTIMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "litert": ("litert:LiteRt", (".tflite",)),
    "onnx": ("onnx:Onnx", (".onnx",)),
    "keras": ("keras:KerasNet", (".keras", ".h5")),
}


State = tuple[npt.NDArray[Any], ...]  # what a net remembers, for the next ``run`` alone


class Net(Protocol):
    """A loaded model. ``run`` may be called from several threads at once."""

    sizes: tuple[Size, ...]
    """Input sizes (height, width) it takes; empty: any whose sides are multiples of 32."""
    runs_on: str
    """Runtime and device in words, as 'LiteRT (CPU, 1 thread for the net)'."""

    def run(self, inputs: Sequence[npt.NDArray[np.float32]],
            state: State | None = None) -> tuple[list[npt.NDArray[np.float32]], State | None]:
        """One step, or as many as there are pictures.

        inputs   [the pictures], float32 (n, h, w, 3), already in the range that the model wants
        state    what ``run`` gave last; None: there is nothing to remember, all is 0

        Returns [the output], float32 (n, h, w, c), and the state. Of a net with states (ModelSpec.states) the pictures
        follow on each other, and on those of the run that gave ``state``, which is not changed; all are of one
        size. A net without states takes each picture by itself, and gives None.
        """

    def trim(self) -> None:
        """Free working memory that the next ``run`` takes again; nothing where the library keeps it to itself."""

    def close(self) -> None:
        """Free what is held."""


def runtime_of(path: Path, runtime: str) -> str:
    """The runtime for a model file, by its ending under auto. Raises OptionError where the file is not there, of no
    kind that is known, or of a kind that the runtime does not take."""
    choice("runtime", runtime, ["auto", *RUNTIMES])
    if not os.path.isfile(path):  # unlike Path's it raises nothing
        raise OptionError(f"model {str(path)!r} is not there: give the path of a .tflite, .onnx or "
                          ".keras file")
    if runtime == "auto":
        fitting = [name for name, (_, endings) in RUNTIMES.items() if path.suffix.lower() in endings]
        if not fitting:
            listed = ", ".join(ending for _, endings in RUNTIMES.values() for ending in endings)
            raise OptionError(f"model {str(path)!r} is of no kind that is known: allowed are {listed}")
        runtime = fitting[0]
    endings = RUNTIMES[runtime][1]
    if path.suffix.lower() not in endings:
        raise OptionError(f"runtime {runtime} takes {', '.join(endings)}, not {path.name!r}: "
                          "leave --runtime out, or give another model")
    return runtime


def open_net(path: Path, spec: ModelSpec, runtime: str, device: str, threads: int) -> Net:
    """Load a model file. Raises OptionError, DeviceError or MissingDependencyError with the remedy."""
    runtime = runtime_of(path, runtime)
    if runtime == "litert" and device == "gpu":
        raise DeviceError("LiteRT runs on the CPU here: for a GPU give a .keras or .onnx model, "
                          "or --device cpu")
    module, _, name = RUNTIMES[runtime][0].partition(":")
    cls: Any = getattr(importlib.import_module("." + module, __name__), name)
    net: Net = cls(path, spec, device=device, threads=threads)
    return net
