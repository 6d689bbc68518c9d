"""A .tflite file's signatures, and the file with one of them alone.

LiteRT gets every graph in a file ready when it opens it: for ours, with a graph for each size, 20 ms and
7 MiB a size, of which a video needs one. So it is given a copy of the file that lists the one graph that is
wanted; the weights, which all graphs share, stay where they are in it.
"""

from __future__ import annotations

import struct

from flatbuffers.table import Table

from ..file_formats.tflite import GRAPHS, KEY_OF_SIGNATURE, MARK, SIGNATURES, root, signature_of, slot, tables, text


def signatures(content: bytes) -> dict[str, int]:
    """Name of each signature in a file -> the number of its graph; nothing where there are none, or the file
    is damaged or of another kind."""
    return {text(signature, KEY_OF_SIGNATURE): signature_of(signature)[0] for signature in _signatures(content)}


def tensor_names(content: bytes, graph: int) -> tuple[dict[int, str], dict[int, str]]:
    """Tensor's number -> name that a signature gives it, of the inputs and of the outputs of the graph of that
    number; nothing where no signature is of that graph."""
    for signature in _signatures(content):
        number, given, taken = signature_of(signature)
        if number == graph:
            return given, taken
    return {}, {}


def _signatures(content: bytes) -> list[Table]:
    """Nothing where the file is damaged, or of another kind."""
    if content[4:8] != MARK:
        return []
    try:
        found = list(tables(root(content), SIGNATURES))
        for signature in found:  # whether they can be read
            text(signature, KEY_OF_SIGNATURE)
            signature_of(signature)
        return found
    except (struct.error, IndexError, TypeError, ValueError):  # places beyond the end, names of no text
        return []


def alone(content: bytes, graph: int) -> bytes:
    """A file's ``content`` with the graph of that number for its only one, and no signatures.

    The lists are cut in place: a list is its length and then, for each entry, how far on from there it lies.
    """
    model, made = root(content), bytearray(content)
    first = model.Vector(model.Offset(slot(GRAPHS)))
    place = model.Indirect(first + 4 * graph)
    struct.pack_into("<II", made, first - 4, 1, place - first)
    struct.pack_into("<I", made, model.Vector(model.Offset(slot(SIGNATURES))) - 4, 0)
    return bytes(made)
