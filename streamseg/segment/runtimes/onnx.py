"""ONNX Runtime: runs .onnx files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Size
from ...core.native_stderr import native_lines_hidden
from ...errors import DeviceError, MissingDependencyError, OptionError
from ..model_spec import ModelSpec
from . import State
from .ports import Port, Wiring, zeros

CPU = "CPUExecutionProvider"
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
           "tensor(uint8)": np.uint8, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


class Onnx:
    """An .onnx file with a picture input, channels last or first; others as the model spec says."""

    def __init__(self, path: Path, spec: ModelSpec, *, device: str = "cpu", threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingDependencyError(f"ONNX Runtime does not load ({error}): "
                                         "pip install 'streamseg[onnx]'") from error
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.log_severity_level = 3
        try:
            with native_lines_hidden():  # why a provider does not start: the severity above is not for it
                self._session: Any = onnxruntime.InferenceSession(
                    str(path), settings, providers=_providers(device, onnxruntime.get_available_providers()))
        except (DeviceError, MemoryError):
            raise
        except Exception as error:  # onnxruntime's own classes share no base but Exception
            raise OptionError(f"model {str(path)!r} is no ONNX model that loads: {error}") from error
        inputs = self._session.get_inputs()
        self._dtypes = {item.name: _DTYPES.get(item.type, np.float32) for item in inputs}
        self._wiring = Wiring.of(path, spec, [_port(item) for item in inputs],
                                 [_port(item) for item in self._session.get_outputs()])
        size = self._wiring.size(path, spec)
        self.sizes: tuple[Size, ...] = (size,) if size else ()
        self._batched = self._wiring.picture.shape[0] is None and not self._wiring.states
        self._fixed = {port.handle: np.full([side or 1 for side in port.shape], number, self._dtypes[port.handle])
                       for port, number in self._wiring.constants}
        running = self._session.get_providers()[0]
        if device == "gpu" and running == CPU:  # the library falls back without an error where CUDA does not load
            raise DeviceError("ONNX Runtime has a GPU provider that does not start here and would run on the CPU: is "
                              "the device there, with its driver, CUDA and cuDNN? Or give --device cpu")
        provider = running.removesuffix("ExecutionProvider")
        self.runs_on = f"ONNX Runtime ({provider})"

    def run(self, inputs: Sequence[npt.NDArray[np.float32]],
            state: State | None = None) -> tuple[list[npt.NDArray[np.float32]], State | None]:
        """As Net.run; several threads may be at work at once."""
        wiring = self._wiring
        pictures = wiring.given(inputs[0]).astype(self._dtypes[wiring.picture.handle], copy=False)
        if state is None:
            state = tuple(zeros(given, self._dtypes[given.handle]) for given, _ in wiring.states)
        names = [wiring.matte.handle, *(taken.handle for _, taken in wiring.states)]
        found = []
        for part in [pictures] if self._batched else [pictures[i : i + 1] for i in range(len(pictures))]:
            remembered = {given.handle: value for (given, _), value in zip(wiring.states, state, strict=True)}
            matte, *following = self._session.run(
                names, {wiring.picture.handle: part, **self._fixed, **remembered})
            state = tuple(following)
            found.append(matte)
        return [wiring.taken(np.concatenate(found))], state or None

    def trim(self) -> None:
        """Nothing: the library keeps its working memory to itself."""

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _port(item: Any) -> Port:
    return Port((item.name,), tuple(side if isinstance(side, int) else None for side in item.shape), item.name)


def _providers(device: str, available: list[str]) -> list[str]:
    """TensorRT is left out: every onnxruntime-gpu names it, where its libraries are not there onnxruntime says so on
    standard output, which may be the film's, and where they are it compiles for minutes before the first frame."""
    gpu = [name for name in available if name not in (CPU, "AzureExecutionProvider", "TensorrtExecutionProvider")]
    if device == "gpu" and not gpu:
        raise DeviceError("no GPU runtime is in this onnxruntime: install onnxruntime-gpu, or give "
                          "--device cpu")
    return gpu if device == "gpu" else [CPU]
