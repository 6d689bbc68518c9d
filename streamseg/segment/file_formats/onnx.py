"""An .onnx file: names, shapes, operations and metadata, without loading it.

onnxruntime tells names and shapes only after it has read and optimised the whole net, and the package onnx is no
dependency. Few fields are wanted, so the file's own coding (protobuf) is walked; what is in which field: onnx.proto.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .facts import KEY, SIGMOID, SOFTMAX, ModelFacts, Shape, TensorFacts, parsed

_GRAPH, _METADATA = 7, 14  # fields of ModelProto
_NODE, _GRAPH_NAME, _WEIGHTS, _INPUT, _OUTPUT = 1, 2, 5, 11, 12  # of GraphProto
_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
_MADE_BY = {"Sigmoid": SIGMOID, "Softmax": SOFTMAX}
# They hand a probability on as a probability.
_PASSED = {"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Resize", "Upsample", "DequantizeLinear",
           "QuantizeLinear"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how a field is coded


class _Field(NamedTuple):
    """A field: its number, where its tag begins, where its content lies, and the content if it is a number."""

    number: int
    tag: int
    start: int
    end: int
    value: int


def read(path: Path) -> ModelFacts:
    """What the file says. Raises ValueError where it is no .onnx file."""
    if path.stat().st_size == 0:
        raise ValueError("it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return _facts(content)
        except (IndexError, UnicodeDecodeError) as error:  # places beyond the end, names of no text
            raise ValueError(f"it is damaged ({error})") from error


def write_metadata(path: Path, target: Path, values: Mapping[str, Any]) -> None:
    """Writes ``target``: the file with ``values`` for streamseg's metadata, in place of any that it has."""
    content = path.read_bytes()
    kept, last = bytearray(), 0
    for item in _fields(content, 0, len(content)):
        if item.number == _METADATA and _entry(content, item)[0] == KEY:
            kept += content[last : item.tag]
            last = item.end
    entry = _coded(1, KEY.encode()) + _coded(2, json.dumps(values).encode())
    target.write_bytes(bytes(kept) + content[last:] + _coded(_METADATA, entry))


def _facts(data: Any) -> ModelFacts:
    graph, metadata = None, None
    for item in _fields(data, 0, len(data)):
        if item.number == _GRAPH:
            graph = item
        elif item.number == _METADATA:
            key, text = _entry(data, item)
            metadata = parsed(text) if key == KEY else metadata
    if graph is None:
        raise ValueError("it holds no graph")
    nodes, inputs, outputs = [], [], []
    weights, name = set(), ""
    for item in _fields(data, graph.start, graph.end):
        if item.number == _NODE:
            nodes.append(_node(data, item))
        elif item.number == _WEIGHTS:
            weights.add(_first_text(data, item, 8))
        elif item.number == _INPUT:
            inputs.append(_tensor(data, item))
        elif item.number == _OUTPUT:
            outputs.append(_tensor(data, item))
        elif item.number == _GRAPH_NAME:
            name = _text(data, item)
    made = {output: (operation, given) for operation, given, taken in nodes for output in taken}
    return ModelFacts(
        format="onnx", net=name, metadata=metadata, operations=frozenset(node[0] for node in nodes),
        inputs=tuple(item for item in inputs if item.name not in weights),  # old files list the weights, too
        outputs=tuple(TensorFacts(item.names, item.shape, item.dtype, _made_by(item.name, made)) for item in outputs))


def _made_by(name: str, made: Mapping[str, tuple[str, list[str]]]) -> str:
    """Which of sigmoid and softmax an output comes from, "" if neither."""
    for _ in range(len(made)):  # a damaged file may go in a circle
        operation, given = made.get(name, ("", []))
        if operation not in _PASSED or not given:
            return _MADE_BY.get(operation, "")
        name = given[0]
    return ""


def _node(data: Any, node: _Field) -> tuple[str, list[str], list[str]]:
    """A NodeProto's operation, inputs and outputs."""
    operation, given, taken = "", [], []
    for item in _fields(data, node.start, node.end):
        if item.number == 1:
            given.append(_text(data, item))
        elif item.number == 2:
            taken.append(_text(data, item))
        elif item.number == 4:
            operation = _text(data, item)
    return operation, given, taken


def _tensor(data: Any, value: _Field) -> TensorFacts:
    """A ValueInfoProto: name = 1, type = 2, in which tensor_type = 1, in which elem_type = 1 and shape = 2."""
    name = _first_text(data, value, 1)
    sides: list[int | None] = []
    dtype = "float32"
    for tensor in (inner for kind in _fields(data, value.start, value.end) if kind.number == 2
                   for inner in _fields(data, kind.start, kind.end) if inner.number == 1):
        for item in _fields(data, tensor.start, tensor.end):
            if item.number == 1:
                dtype = _DTYPES.get(item.value, f"type {item.value}")
            elif item.number == 2:
                sides = [_side(data, side) for side in _fields(data, item.start, item.end) if side.number == 1]
    shape: Shape = tuple(sides)
    return TensorFacts((name,), shape, dtype)


def _side(data: Any, side: _Field) -> int | None:
    """A Dimension: dim_value = 1, else a name or nothing."""
    sizes = [item.value for item in _fields(data, side.start, side.end) if item.number == 1]
    return sizes[0] if sizes and 0 < sizes[0] < 1 << 31 else None


def _entry(data: Any, entry: _Field) -> tuple[str, str]:
    return _first_text(data, entry, 1), _first_text(data, entry, 2)


def _first_text(data: Any, part: _Field, number: int) -> str:
    return next((_text(data, item) for item in _fields(data, part.start, part.end) if item.number == number), "")


def _text(data: Any, item: _Field) -> str:
    return bytes(data[item.start : item.end]).decode()


def _fields(data: Any, start: int, end: int) -> Iterator[_Field]:
    """The fields of a message that lies from ``start`` to ``end``. Raises ValueError, IndexError on what is none."""
    place = start
    while place < end:
        tag = place
        key, place = _varint(data, place)
        number, coding, value = key >> 3, key & 7, 0
        if coding == _VARINT:
            value, after = _varint(data, place)
            start_of, place = place, after
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(coding, -1)
            if coding == _BYTES:
                length, place = _varint(data, place)
            start_of, place = place, place + length
            if length < 0:
                raise ValueError("it is no protobuf message")
        if not number or place > end:
            raise ValueError("it is no protobuf message, or cut off")
        yield _Field(number, tag, start_of, place, value)


def _varint(data: Any, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place
    raise ValueError("it is no protobuf message")


def _coded(number: int, content: bytes) -> bytes:
    return _number(number << 3 | _BYTES) + _number(len(content)) + content


def _number(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])
