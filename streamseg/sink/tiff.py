"""Writes fields into a TIFF that OpenCV encoded: what its fourth channel is, and which colours it has.

TIFF 6.0 (Adobe, 1992), section 2: a directory of 12-byte entries in the order of their numbers.
"""

from __future__ import annotations

import struct

_SHORT, _UNDEFINED = 3, 7
_EXTRA_SAMPLES, _UNASSOCIATED = 338, 2  # straight alpha; 1 would be premultiplied
_ICC = 34675  # ICC.1:2022, B.5


def with_fields(data: bytes, *, alpha: bool, profile: bytes | None) -> bytes:
    """The little-endian TIFF ``data`` of one picture, with ExtraSamples where it has straight ``alpha``, and its ICC
    ``profile``."""
    if not alpha and not profile:
        return data
    (place,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, place)
    entries = {struct.unpack_from("<H", data, at)[0]: data[at:at + 12]
               for at in range(place + 2, place + 2 + 12 * count, 12)}
    body = bytearray(data + b"\0" * (len(data) % 2))
    if alpha:
        entries[_EXTRA_SAMPLES] = struct.pack("<HHIHH", _EXTRA_SAMPLES, _SHORT, 1, _UNASSOCIATED, 0)
    if profile:
        entries[_ICC] = struct.pack("<HHII", _ICC, _UNDEFINED, len(profile), len(body))
        body += profile + b"\0" * (len(profile) % 2)
    struct.pack_into("<I", body, 4, len(body))  # a new directory at the end; the old one is not pointed at any more
    body += struct.pack("<H", len(entries)) + b"".join(entry for _, entry in sorted(entries.items())) + b"\0" * 4
    return bytes(body)
