"""ModelFacts: what a model file says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.geometry import Size

KEY = "streamseg"  # the metadata's name in every format
SIGMOID, SOFTMAX = "sigmoid", "softmax"
Shape = tuple[int | None, ...]


def channels_first(shape: Shape) -> bool | None:
    """Whether a tensor of ``shape`` takes pictures as (n, 3, h, w); False for (n, h, w, 3), None for no pictures."""
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        return None
    return shape[3] != 3


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """An input or an output.

    names  what the file calls it; a .tflite file may give it two, the signature's first
    shape  None for a side that is left open; () where the file does not tell
    dtype  as NumPy calls it
    made_by  of an output: "sigmoid" or "softmax" where that is the last computation before it, else ""
    """

    names: tuple[str, ...]
    shape: Shape = ()
    dtype: str = "float32"
    made_by: str = ""

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.names[0]

    @property
    def channels_first(self) -> bool | None:
        """As the function, of its shape."""
        return channels_first(self.shape)

    def __str__(self) -> str:
        sides = ", ".join("any" if side is None else str(side) for side in self.shape)
        return f"{self.name!r} ({self.dtype} [{sides}])" if self.shape else f"{self.name!r} (shape not told)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model file says of itself.

    sizes       (height, width) of each of the signatures named HxW in a .tflite file
    resizable   whether the graph of a .tflite file may be made anew for other sizes
    operations  the kinds of operations or layers in an .onnx or .keras file, as {"Conv", "Sigmoid"}
    labels      the names of classes that a .tflite file of MediaPipe carries
    net         what the net is called inside the file
    metadata    streamseg's own, see ModelSpec; None where there is none
    """

    format: str
    inputs: tuple[TensorFacts, ...] = ()
    outputs: tuple[TensorFacts, ...] = ()
    sizes: tuple[Size, ...] = ()
    resizable: bool = False
    operations: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()
    net: str = ""
    metadata: Mapping[str, Any] | None = None


def parsed(text: str | bytes) -> Mapping[str, Any]:
    """The metadata's values. Raises ValueError where it is no JSON object."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"its metadata {KEY!r} is no JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"its metadata {KEY!r} is {values!r}, not a JSON object")
    return values
