"""A .tflite file with one graph, made for another size of picture.

A converted net is of one size: what an operation enlarges its input to stands in the file as numbers. (A graph of any
size reads them from a tensor while it runs, which keeps XNNPACK off.) So a file with a graph for each size holds all
that belongs to a graph as many times; of 8-bit weights, whose scales are a graph's own, three times the weights
themselves. Instead the few numbers are changed when a size is wanted. LiteRT works out all other shapes from them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from flatbuffers.table import Table

from ...core.geometry import Size
from ..file_formats.tflite import BUFFERS, CODES, GRAPHS, number, operation_of, root, slot, tables, whole_numbers

# An operation's number -> which of its inputs says the size of what it gives, and where its height stands there.
_SIZED_BY = {
    23: (1, 0),  # RESIZE_BILINEAR: height, width
    67: (0, 1),  # TRANSPOSE_CONV: n, height, width, channels
}


def resized(content: bytes, size: Size, places: Sequence[int] | None = None) -> bytes:
    """A copy of a file's ``content`` whose first graph takes a picture of ``size`` (height, width).

    The net must be one that takes any size in steps: convolutions, enlarging by whole factors, means over all. Raises
    ValueError where ``size`` goes not with the steps, or the file is damaged or cut off. ``places``: ``sized_places``
    of it, where they are known.
    """
    made = bytearray(content)
    places = sized_places(content) if places is None else places
    known = struct.unpack_from("<2i", content, places[0])
    for place in places:
        sides = struct.unpack_from("<2i", content, place)
        products = [side * new for side, new in zip(sides, size, strict=True)]
        if any(product % old for product, old in zip(products, known, strict=True)):
            raise ValueError(f"size {size[0]}x{size[1]} is not one that the net takes: sides must be multiples of its "
                             "largest step")
        struct.pack_into("<2i", made, place, *(product // old for product, old in zip(products, known, strict=True)))
    return bytes(made)


def sized_places(content: bytes) -> tuple[int, ...]:
    """Where in a file's ``content`` the numbers stand that go with the picture's size, the picture's own first: to be
    looked for once a file, for it takes 5 ms. Raises ValueError where the file is damaged or cut off."""
    try:
        places = tuple(dict.fromkeys(_places(root(content))))  # operations may share their numbers
        for place in (places[0], max(places)):
            struct.unpack_from("<2i", content, place)
    except (struct.error, IndexError, StopIteration, RuntimeError) as error:  # places beyond the end
        raise ValueError(f"it is damaged or cut off ({error})") from error
    return places


def _places(model: Table) -> Iterator[int]:
    """Where in the file a height, and a width after it, goes with the picture's size; the picture's own first."""
    graph = next(tables(model, GRAPHS))
    tensors, buffers = list(tables(graph, 0)), list(tables(model, BUFFERS))
    for buffer in buffers:
        if (field := buffer.Offset(slot(0))) and buffer.Vector(field) + buffer.VectorLen(field) > len(model.Bytes):
            raise IndexError("weights beyond its end")
    kinds = [operation_of(code) for code in tables(model, CODES)]
    picture = tensors[next(whole_numbers(graph, 1))]
    yield picture.Vector(picture.Offset(slot(0))) + 4
    for operation in tables(graph, 3):
        if (kind := kinds[number(operation, 0)]) in _SIZED_BY:
            which, skipped = _SIZED_BY[kind]
            buffer = buffers[number(tensors[list(whole_numbers(operation, 1))[which]], 2)]
            yield buffer.Vector(buffer.Offset(slot(0))) + 4 * skipped
