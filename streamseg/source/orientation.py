"""How stored pictures are brought upright: by FFmpeg's display matrix or by EXIF's orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from ..core.matrices import kept
from .float_pictures import of_floats
from .metadata import exif_orientation

# The formats to which FFmpeg decodes PNG and APNG. PyAV 18.1 frees the name of their colour profile twice, with
# the side data and with the picture: a PNG with a profile (as screenshots on a Mac) ended the process.
AS_PNG = ("rgb24", "rgba", "rgb48be", "rgba64be", "gray", "gray16be", "ya8", "ya16be", "monob", "pal8")


@dataclass(frozen=True, slots=True)
class Turn:
    """What brings a stored picture upright: first transpose it, then mirror left to right, then flip top to
    bottom."""

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def __bool__(self) -> bool:
        return self.transpose or self.mirror or self.flip


def turn_of_exif(orientation: int) -> Turn:
    """The Turn of EXIF's orientation 1 to 8 (other values count as 1). EXIF 2.32, tag 0x0112."""
    known = {2: (False, True, False), 3: (False, True, True), 4: (False, False, True),
             5: (True, False, False), 6: (True, True, False), 7: (True, True, True), 8: (True, False, True)}
    return Turn(*known.get(orientation, (False, False, False)))


def turn_of_matrix(matrix: Sequence[int]) -> Turn | None:
    """The Turn of FFmpeg's display matrix (nine 16.16 integers: x' = a x + c y, y' = b x + d y, y down);
    None for an angle that is not a multiple of 90 degrees."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if not b and not c:
        return Turn(False, a < 0, d < 0)
    if not a and not d:
        return Turn(True, c < 0, b < 0)
    return None


def turn_of_angle(degrees: int) -> Turn | None:
    """The Turn of a rotation counter-clockwise; None where it is not a multiple of 90 degrees."""
    known = {0: Turn(), 90: Turn(True, False, True), 180: Turn(False, True, True),
             270: Turn(True, True, False)}
    return known.get(degrees % 360)


def turn_of(picture: av.VideoFrame, packet: bytes) -> Turn | None:
    """What brings ``picture``, decoded from ``packet``, upright: by the display matrix, or by EXIF in the
    packet. None for an angle that is not a multiple of 90 degrees."""
    if picture.format.name in AS_PNG:
        return _without_side_data(picture, packet)
    side = side_data(picture)
    if side is None:
        return _without_side_data(picture, packet)
    matrix = np.frombuffer(side.get("DISPLAYMATRIX", b""), np.int32)
    return turn_of_matrix([int(value) for value in matrix]) if len(matrix) else Turn()


def side_data(picture: av.VideoFrame) -> dict[str, bytes] | None:
    """The side data of a picture by kind; None where PyAV 18 cannot list it (EXIF is among it, whose number it
    does not know)."""
    if of_floats(picture):
        return {}  # none of their formats has any
    # Asked for its side data, a PyAV frame refers to itself: until the garbage collector runs it keeps the
    # decoder's pictures in memory, about 10 MB of each video opened. So a tiny copy is asked.
    tiny = picture.reformat(width=16, height=16, format="gray", **kept(int(picture.colorspace)))
    try:
        side: Any = tiny.side_data  # PyAV's stub calls it a mapping of one kind
        return {item.type.name: bytes(item) for item in side}
    except ValueError:
        return None


def _without_side_data(picture: av.VideoFrame, packet: bytes) -> Turn | None:
    """As ``turn_of``. Of a display matrix only the rotation is known then, not its mirroring."""
    found = exif_orientation(packet)
    return turn_of_exif(found) if found != 1 else turn_of_angle(picture.rotation)
