"""From a small matte to the alpha of every pixel, and to the colours at the rim.

    shape     the small matte: which subject, islands and holes; the large one: threshold, erode, feather
    cover     where the subject is, tile by tile; alpha at full size, in the rim alone
    mixture   colours on both sides of the rim, and the alpha that the picture itself shows there
    lasting_colors   the same for a second frame, where it may not take long
    fill      what is known here and there, extended over the rest
    tiles     the tiles of the rim, taken out of a plane and put back; windows: small maps at their pixels
"""

from __future__ import annotations

from ..core.frames import Frame, Matte
from .alpha_tiles import AlphaTiles
from .color_model import ColorModel
from .fill import fill
from .lasting_colors import LastingColors
from .shape import Edge, Selection
from .tiles import ROWS, Array, Tiles, UnknownTiles, padded, tile_of

# Modules that other packages import, beside the names here
PUBLIC = ("fill",)

__all__ = [
    "ROWS",
    "AlphaTiles",
    "Array",
    "ColorModel",
    "Edge",
    "LastingColors",
    "Selection",
    "Tiles",
    "UnknownTiles",
    "fill",
    "full_size",
    "padded",
    "tile_of",
]


def full_size(matte: Matte, frame: Frame, *, guided: bool = False) -> Array:
    """The alpha plane of ``frame``: (height, width), the frame's dtype, 0..peak; bilinear, or guided by the
    picture.

    The frame's own alpha, if any, multiplies it.
    """
    return AlphaTiles.of(frame, matte, guided=guided).plane()
