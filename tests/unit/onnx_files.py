"""The smallest .onnx files, written byte by byte: the package onnx is not needed for two operations."""

from __future__ import annotations

import struct
from pathlib import Path

FLOAT, INTS = 1, 7  # onnx.TensorProto.FLOAT, onnx.AttributeProto.INTS
Side = int | str


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


def _value(name: bytes, shape: tuple[Side, ...]) -> bytes:
    sides = b"".join(_field(1, _number(1, side) if isinstance(side, int) else _field(2, side.encode()))
                     for side in shape)
    return _field(1, name) + _field(2, _field(1, _number(1, FLOAT) + _field(2, sides)))


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
