"""A .tflite file's signatures, and the file with one of them alone.

LiteRT gets every graph in a file ready when it opens it: for ours, with a graph for each size, 20 ms and
7 MiB a size, of which a video needs one. So it is given a copy of the file that lists the one graph that is
wanted; the weights, which all graphs share, stay where they are in it.

What is where in the file: schema.fbs of TensorFlow Lite, version 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import flatbuffers.encode
import flatbuffers.number_types as numbers
from flatbuffers.table import Table

_MARK = b"TFL3"
# Places of fields in their tables, as FlatBuffers counts them: 4 bytes of head, 2 a field.
_SUBGRAPHS, _SIGNATURES = 4 + 2 * 2, 4 + 2 * 7  # of Model
_INPUTS, _OUTPUTS, _KEY, _SUBGRAPH = 4, 4 + 2 * 1, 4 + 2 * 2, 4 + 2 * 4  # of SignatureDef
_NAME, _TENSOR = 4, 4 + 2 * 1  # of TensorMap


def signatures(content: bytes) -> dict[str, int]:
    """Name of each signature in a file -> the number of its graph; nothing where there are none, or the file
    is damaged or of another kind."""
    return {_text(signature, _KEY): _number(signature, _SUBGRAPH) for signature in _signatures(content)}


def tensor_names(content: bytes, graph: int) -> tuple[dict[int, str], dict[int, str]]:
    """Tensor's number -> name that a signature gives it, of the inputs and of the outputs of the graph of that
    number; nothing where no signature is of that graph."""
    for signature in _signatures(content):
        if _number(signature, _SUBGRAPH) == graph:
            given, taken = ({_number(item, _TENSOR): _text(item, _NAME) for item in _tables(signature, field)}
                            for field in (_INPUTS, _OUTPUTS))
            return given, taken
    return {}, {}


def _signatures(content: bytes) -> list[Table]:
    """Nothing where the file is damaged, or of another kind."""
    if content[4:8] != _MARK:
        return []
    try:
        found = list(_tables(_model(content), _SIGNATURES))
        for signature in found:  # whether they can be read
            _text(signature, _KEY)
            for field in (_INPUTS, _OUTPUTS):
                for item in _tables(signature, field):
                    _text(item, _NAME)
        return found
    except (struct.error, IndexError, TypeError, ValueError):  # places beyond the end, names of no text
        return []


def alone(content: bytes, graph: int) -> bytes:
    """A file's ``content`` with the graph of that number for its only one, and no signatures.

    The lists are cut in place: a list is its length and then, for each entry, how far on from there it lies.
    """
    model, made = _model(content), bytearray(content)
    first = model.Vector(model.Offset(_SUBGRAPHS))
    place = model.Indirect(first + 4 * graph)
    struct.pack_into("<II", made, first - 4, 1, place - first)
    struct.pack_into("<I", made, model.Vector(model.Offset(_SIGNATURES)) - 4, 0)
    return bytes(made)


def _tables(table: Table, field: int) -> Iterator[Table]:
    """The tables in a list of them."""
    place = table.Offset(field)
    for i in range(table.VectorLen(place) if place else 0):
        yield Table(table.Bytes, table.Indirect(table.Vector(place) + 4 * i))


def _text(table: Table, field: int) -> str:
    return str(table.String(table.Pos + table.Offset(field)).decode())


def _number(table: Table, field: int) -> int:
    return int(table.GetSlot(field, 0, numbers.Uint32Flags))


def _model(content: bytes) -> Any:  # the package has no types
    return Table(content, flatbuffers.encode.Get(numbers.UOffsetTFlags.packer_type, content, 0))
