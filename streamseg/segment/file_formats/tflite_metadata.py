"""Writes streamseg's metadata into a .tflite file.

The file's bytes stay as they are, aligned as they were: places in it count from where they are noted, and always
onwards. So a new root, with longer lists of buffers and of metadata, is put before the old one. The package
flatbuffers would write all anew, with weights that are no longer aligned, and needs TensorFlow's classes for it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers.number_types as numbers
from flatbuffers.table import Table

from .facts import KEY
from .tflite import BUFFERS, MARK, METADATA, root, slot, tables, text

_FIELDS = 10  # of Model; more than that: a newer schema, whose fields may be no lists
_START = 8  # where the new part begins: behind the place of the root and the mark


def write_metadata(path: Path, target: Path, values: Mapping[str, Any]) -> None:
    """Writes ``target``: the file with ``values`` for streamseg's metadata, in place of any that it has.

    Raises ValueError where the file does not let it.
    """
    content = path.read_bytes()
    if content[4:8] != MARK:
        raise ValueError(f"it does not have {MARK.decode()} at its beginning")
    try:
        made = _with_metadata(content, json.dumps(values).encode())
    except (struct.error, IndexError, TypeError) as error:
        raise ValueError(f"it is damaged or cut off ({error})") from error
    target.write_bytes(made)


def _with_metadata(content: bytes, data: bytes) -> bytes:
    model = root(content)
    buffers = list(tables(model, BUFFERS))
    if any(buffer.Offset(slot(1)) for buffer in buffers):
        raise ValueError("its weights lie behind the file's index, as in files of more than 2 GB")
    kept = [entry.Pos for entry in tables(model, METADATA) if text(entry, 0) != KEY]
    vtable = model.Pos - model.Get(numbers.SOffsetTFlags, model.Pos)
    if model.Get(numbers.VOffsetTFlags, vtable) > 4 + 2 * _FIELDS:
        raise ValueError("it is written in a newer form of the format than this version of streamseg can change")
    # What is new, one after the other, each noted by those before it.
    model_at = _aligned(_START + 4 + 2 * _FIELDS, 4)
    buffers_at = model_at + 4 + 4 * _FIELDS
    metadata_at = buffers_at + 4 * (len(buffers) + 2)
    buffer_at = metadata_at + 4 * (len(kept) + 2) + 8
    entry_at = buffer_at + 8 + 8
    name_at = entry_at + 12
    data_at = _aligned(name_at + 4 + len(KEY) + 1 + 4, 16)  # the schema asks for 16; its length comes before it
    old_at = _aligned(data_at + len(data), 64)
    made, shift = bytearray(old_at), old_at - _START
    made[4:8] = MARK
    _refer(made, 0, model_at)
    _put_model(made, model, model_at, shift, {BUFFERS: buffers_at, METADATA: metadata_at})
    _put_list(made, buffers_at, [*(buffer.Pos + shift for buffer in buffers), buffer_at])
    _put_list(made, metadata_at, [*(place + shift for place in kept), entry_at])
    # Buffer: data; Metadata: name and the buffer's number. Each has the places of its fields before it.
    struct.pack_into("<HHHxxi", made, buffer_at - 8, 6, 8, 4, 8)
    _refer(made, buffer_at + 4, data_at - 4)
    struct.pack_into("<HHHHi", made, entry_at - 8, 8, 12, 4, 8, 8)
    _refer(made, entry_at + 4, name_at)
    struct.pack_into("<I", made, entry_at + 8, len(buffers))
    for place, part in ((name_at + 4, KEY.encode()), (data_at, data)):
        struct.pack_into("<I", made, place - 4, len(part))
        made[place : place + len(part)] = part
    return bytes(made) + content[_START:]


def _put_model(made: bytearray, old: Table, at: int, shift: int, replaced: Mapping[int, int]) -> None:
    """The root at ``at``: the old one's fields, which lie ``shift`` further on now, but for the ``replaced``."""
    places = {number: place for number in range(_FIELDS) if (place := old.Offset(slot(number)))}
    struct.pack_into("<HH", made, _START, 4 + 2 * _FIELDS, 4 + 4 * _FIELDS)
    struct.pack_into("<i", made, at, at - _START)
    for number in sorted({*places, *replaced}):
        struct.pack_into("<H", made, _START + slot(number), 4 + 4 * number)
        if number == 0:  # the version, a number in its place
            struct.pack_into("<I", made, at + 4, old.Get(numbers.Uint32Flags, old.Pos + places[0]))
        else:
            target = replaced.get(number) or old.Indirect(old.Pos + places[number]) + shift
            _refer(made, at + 4 + 4 * number, target)


def _put_list(made: bytearray, at: int, targets: Sequence[int]) -> None:
    struct.pack_into("<I", made, at, len(targets))
    for i, target in enumerate(targets):
        _refer(made, at + 4 + 4 * i, target)


def _refer(made: bytearray, place: int, target: int) -> None:
    struct.pack_into("<I", made, place, target - place)


def _aligned(place: int, to: int) -> int:
    return -(-place // to) * to
