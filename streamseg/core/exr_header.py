"""What the numbers of an OpenEXR picture of ours were made of, told in its header, which has no word for it.

EXR holds light, and light says nothing of the curve of the film that it was made of: BT.709's, say, where pictures get
sRGB's. So the sink writes it down, and a film comes back as it was.
"""

from __future__ import annotations

import re

NAME = "streamsegFrom"
_VALUE = re.compile(NAME.encode() + rb"\0string\0....(linear|encoded) (\d{1,2}) (\d{1,2})\0?", re.DOTALL)
_HEAD = 1 << 14  # bytes in which the header lies


def told(light: str, transfer: int, primaries: int) -> str:
    """The attribute's value. ``light``: linear, or encoded: the numbers are those of the film. H.273's numbers."""
    return f"{light} {transfer} {primaries}"


def origin(data: bytes) -> tuple[str, int, int] | None:
    """The three of ``told`` in the bytes of a file; None where they are not there."""
    found = _VALUE.search(data, 0, _HEAD)
    return None if found is None else (found[1].decode(), int(found[2]), int(found[3]))
