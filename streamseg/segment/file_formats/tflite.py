"""A .tflite file: names, shapes, operations and metadata, without loading it.

What is where in the file: schema.fbs of TensorFlow Lite, version 3.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flatbuffers.number_types as numbers
from flatbuffers.table import Table

from .facts import KEY, SIGMOID, SOFTMAX, ModelFacts, Shape, TensorFacts, parsed

MARK = b"TFL3"
# Numbers of fields in their tables.
CODES, GRAPHS, BUFFERS, METADATA, SIGNATURES = 1, 2, 4, 6, 7  # of Model
_DTYPES = ("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64")
KEY_OF_SIGNATURE = 2  # of SignatureDef
# Numbers of operations, of BuiltinOperator.
_MADE_BY = {14: SIGMOID, 25: SOFTMAX}  # LOGISTIC, SOFTMAX
# They hand a probability on as a probability: DEQUANTIZE, RESHAPE, RESIZE_BILINEAR, TRANSPOSE, SQUEEZE, CAST,
# EXPAND_DIMS, RESIZE_NEAREST_NEIGHBOR, QUANTIZE.
_PASSED = {6, 22, 23, 39, 43, 53, 70, 97, 114}
# Behind "HxW" in the name of a file's one signature: its graph may be made anew for other sizes, multiples of 32.
STEPS = "_steps_of_32"
_SIZED = re.compile(rf"(\d+)x(\d+)({STEPS})?")


def read(path: Path) -> ModelFacts:
    """What the file says. Raises ValueError where it is no .tflite file."""
    content = path.read_bytes()
    if content[4:8] != MARK:
        raise ValueError(f"it does not have {MARK.decode()} at its beginning")
    try:
        return _facts(content)
    except (struct.error, IndexError, TypeError, UnicodeDecodeError) as error:  # places beyond the end
        raise ValueError(f"it is damaged or cut off ({error})") from error


def _facts(content: bytes) -> ModelFacts:
    model = root(content)
    graphs = list(tables(model, GRAPHS))
    if not graphs:
        raise ValueError("it holds no graph")
    signatures = list(tables(model, SIGNATURES))
    sized = [_SIZED.fullmatch(text(signature, KEY_OF_SIGNATURE)) for signature in signatures]
    # The first signature stands for all: they are one net at several sizes.
    main, given, taken = signature_of(signatures[0]) if signatures else (0, {}, {})
    graph = graphs[main]
    tensors, codes = list(tables(graph, 0)), [operation_of(code) for code in tables(model, CODES)]
    made = {output: (codes[number(item, 0)], list(whole_numbers(item, 1)))
            for item in tables(graph, 3) for output in whole_numbers(item, 2)}
    return ModelFacts(
        format="tflite", labels=_labels(content), metadata=_metadata(model), net=text(graph, 4),
        sizes=tuple((int(found[1]), int(found[2])) for found in sized if found),
        resizable=any(found[3] for found in sized if found),
        inputs=tuple(_tensor(tensors[i], given.get(i)) for i in whole_numbers(graph, 1)),
        outputs=tuple(_tensor(tensors[i], taken.get(i), _made_by(i, made)) for i in whole_numbers(graph, 2)))


def signature_of(signature: Table) -> tuple[int, dict[int, str], dict[int, str]]:
    """The number of a signature's graph, and tensor's number -> name of its inputs and outputs."""
    given, taken = ({number(item, 1): text(item, 0) for item in tables(signature, field)} for field in (0, 1))
    return number(signature, 4), given, taken


def _tensor(tensor: Table, name: str | None, made_by: str = "") -> TensorFacts:
    sides = list(whole_numbers(tensor, 7)) or list(whole_numbers(tensor, 0))  # shape_signature, where a side is open
    shape: Shape = tuple(side if side >= 0 else None for side in sides)
    kind = tensor.GetSlot(slot(1), 0, numbers.Int8Flags)
    dtype = _DTYPES[kind] if kind < len(_DTYPES) else f"type {kind}"
    found = dict.fromkeys(item for item in (name, text(tensor, 3)) if item)
    return TensorFacts(tuple(found) or ("",), shape, dtype, made_by)


def _made_by(tensor: int, made: Mapping[int, tuple[int, list[int]]]) -> str:
    for _ in range(len(made)):  # a damaged file may go in a circle
        operation, given = made.get(tensor, (-1, []))
        if operation not in _PASSED or not given:
            return _MADE_BY.get(operation, "")
        tensor = given[0]
    return ""


def _metadata(model: Table) -> Mapping[str, Any] | None:
    for item in tables(model, METADATA):
        if text(item, 0) == KEY:
            buffer = list(tables(model, BUFFERS))[number(item, 1)]
            place = buffer.Offset(slot(0))
            start = buffer.Vector(place) if place else 0
            return parsed(bytes(buffer.Bytes[start : start + (buffer.VectorLen(place) if place else 0)]))
    return None


def _labels(content: bytes) -> tuple[str, ...]:
    """Names of classes: MediaPipe's files end in a zip with a text file of them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            lists = [name for name in archive.namelist() if name.endswith(".txt")]
            if len(lists) == 1:
                lines = archive.read(lists[0]).decode().splitlines()
                return tuple(line.strip() for line in lines if line.strip())
    except (zipfile.BadZipFile, UnicodeDecodeError, OSError):
        pass
    return ()


# FlatBuffers


def root(content: bytes) -> Table:
    return Table(content, struct.unpack_from("<I", content)[0])


def slot(field: int) -> int:
    """A field's place in the table of places: 4 bytes of head, 2 a field."""
    return 4 + 2 * field


def tables(table: Table, field: int) -> Iterator[Table]:
    """The tables in a list of them."""
    if place := table.Offset(slot(field)):
        start = table.Vector(place)
        for i in range(table.VectorLen(place)):
            yield Table(table.Bytes, table.Indirect(start + 4 * i))


def whole_numbers(table: Table, field: int) -> Iterator[int]:
    """The numbers, of 32 bits, in a list of them."""
    if place := table.Offset(slot(field)):
        yield from struct.unpack_from(f"<{table.VectorLen(place)}i", table.Bytes, table.Vector(place))


def number(table: Table, field: int) -> int:
    return int(table.GetSlot(slot(field), 0, numbers.Uint32Flags))


def text(table: Table, field: int) -> str:
    place = table.Offset(slot(field))
    return table.String(table.Pos + place).decode() if place else ""


def operation_of(code: Table) -> int:
    """The greater of the two fields: the old one holds 8 bits."""
    old = code.GetSlot(slot(0), 0, numbers.Int8Flags)
    return max(int(old), int(code.GetSlot(slot(3), 0, numbers.Int32Flags)))
