"""ONNX Runtime: runs .onnx files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.geometry import Size
from ...errors import DeviceError, MissingDependencyError, OptionError
from ..model_spec import ModelSpec


class Onnx:
    """An .onnx file with one picture input, channels last or first."""

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
            self._session: Any = onnxruntime.InferenceSession(
                str(path), settings, providers=_providers(device, onnxruntime.get_available_providers()))
        except (DeviceError, MemoryError):
            raise
        except Exception as error:  # onnxruntime's own classes share no base but Exception
            raise OptionError(f"model {str(path)!r} is no ONNX model that loads: {error}") from error
        given = self._session.get_inputs()
        self._name = given[0].name
        shape = [side if isinstance(side, int) else None for side in given[0].shape]
        self._first = _channels_first(path, shape, len(given), spec)
        sides = shape[2:] if self._first else shape[1:3]
        stated = None if None in sides else (int(sides[0] or 0), int(sides[1] or 0))
        if spec.size and stated and spec.size != stated:
            raise OptionError(f"the model spec says size {list(spec.size)}, but {path.name} takes "
                              f"{list(stated)}")
        size = stated or spec.size
        self.sizes: tuple[Size, ...] = (size,) if size else ()
        self._batched = shape[0] is None
        provider = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        self.runs_on = f"ONNX Runtime ({provider})"

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32 (n, h, w, 3) to (n, h, w, c)."""
        if self._first:
            batch = np.ascontiguousarray(batch.transpose(0, 3, 1, 2))
        parts = [batch] if self._batched else [batch[i : i + 1] for i in range(len(batch))]
        output = np.concatenate([self._session.run(None, {self._name: part})[0] for part in parts])
        if output.ndim == 3:
            output = output[..., None]
        elif self._first:
            output = output.transpose(0, 2, 3, 1)
        return output.astype(np.float32, copy=False)

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _providers(device: str, available: list[str]) -> list[str]:
    gpu = [name for name in available if name not in ("CPUExecutionProvider", "AzureExecutionProvider")]
    if device == "gpu" and not gpu:
        raise DeviceError("no GPU runtime is in this onnxruntime: install onnxruntime-gpu, or give "
                          "--device cpu")
    return gpu if device == "gpu" else ["CPUExecutionProvider"]


def _channels_first(path: Path, shape: list[int | None], count: int, spec: ModelSpec) -> bool:
    first, last = len(shape) == 4 and shape[1] == 3, len(shape) == 4 and shape[3] == 3
    if count != 1 or not (first or last):
        raise OptionError(f"model {str(path)!r} takes {count} inputs, the first of shape {shape}; it must "
                          "take one, of [n, height, width, 3] or [n, 3, height, width]")
    return spec.layout == "nchw" if spec.layout else first and not last
