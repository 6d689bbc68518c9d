"""The smallest .onnx files, written byte by byte: the package onnx is not needed for a few operations."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# onnx.TensorProto's types, onnx.AttributeProto's kinds
FLOAT, INT64, FLOAT16 = 1, 7, 10
INT, INTS = 2, 7
Side = int | str
Shape = tuple[Side, ...]
Node = tuple[str, Sequence[str], Sequence[str], Mapping[str, int | list[int]]]


def net(path: Path, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape], nodes: Sequence[Node],
        weights: Mapping[str, Any] | None = None, *, name: str = "graph", dtype: int = FLOAT,
        listed: bool = False) -> Path:
    """A model of the ``nodes`` (operation, inputs, outputs, attributes); ``weights`` by name, in float32 or int64.

    A name in a shape stands for a side that may be of any length. ``dtype`` is the inputs' and outputs'.
    ``listed``: the weights are listed among the inputs, too, as old exporters did.
    """
    graph = b"".join(_field(1, _node(*node)) for node in nodes) + _field(2, name.encode())
    for key, value in (weights or {}).items():
        graph += _field(5, _tensor(key, np.asarray(value)))
    if listed:
        for key, value in (weights or {}).items():
            graph += _field(11, _value(key.encode(), np.asarray(value).shape))
    for number, tensors in ((11, inputs), (12, outputs)):
        for key, shape in tensors.items():
            graph += _field(number, _value(key.encode(), shape, dtype))
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, _number(2, 13)))
    return path


def _node(operation: str, given: Sequence[str], taken: Sequence[str], how: Mapping[str, int | list[int]]) -> bytes:
    content = b"".join(_field(number, name.encode()) for number, names in ((1, given), (2, taken)) for name in names)
    content += _field(4, operation.encode())
    for key, value in how.items():
        kind = (b"".join(_number(8, item) for item in value) + _number(20, INTS) if isinstance(value, list)
                else _number(3, value) + _number(20, INT))
        content += _field(5, _field(1, key.encode()) + kind)
    return content


def _tensor(name: str, value: np.ndarray) -> bytes:
    whole = value.dtype.kind in "iu"
    value = value.astype(np.int64 if whole else np.float32)
    dims = b"".join(_number(1, side) for side in value.shape)
    return dims + _number(2, INT64 if whole else FLOAT) + _field(8, name.encode()) + _field(9, value.tobytes())


def mean_of_channels(path: Path, shape: tuple[Side, Side, Side, Side], scale: float = 1.0) -> Path:
    """A model whose output (one channel) is ``scale`` times the mean of its three input channels.

    ``shape`` is the input's; a name stands for a side that may be of any length. Channels are where the 3 is.
    """
    axis = shape.index(3)
    output = tuple(1 if i == axis else side for i, side in enumerate(shape))
    factor = _number(2, FLOAT) + _field(8, b"factor") + _field(4, _float(scale))
    attribute = _field(1, b"axes") + _number(8, axis) + _number(20, INTS)
    nodes = [
        _field(1, b"picture") + _field(2, b"mean") + _field(4, b"ReduceMean") + _field(5, attribute),
        _field(1, b"mean") + _field(1, b"factor") + _field(2, b"alpha") + _field(4, b"Mul"),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"graph") + _field(5, factor)
    graph += _field(11, _value(b"picture", shape)) + _field(12, _value(b"alpha", output))
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, _number(2, 13)))
    return path


def _value(name: bytes, shape: tuple[Side, ...], dtype: int = FLOAT) -> bytes:
    sides = b"".join(_field(1, _number(1, side) if isinstance(side, int) else _field(2, side.encode()))
                     for side in shape)
    return _field(1, name) + _field(2, _field(1, _number(1, dtype) + _field(2, sides)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _float(value: float) -> bytes:
    return struct.pack("<f", value)


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])
