"""Strokes: "this too" and "not that", drawn on one frame of a film and carried along with the motion, both ways, until
a cut.

    marks     what a stroke is, and its JSON
    carry     where each stroke is in the other frames of its shot
    paint     a matte with the strokes in it
"""

from __future__ import annotations

from .carry import CarriedStrokes, carried, carried_through
from .marks import Stroke, strokes_of

# Modules that other packages import, beside the names here
PUBLIC: tuple[str, ...] = ()

__all__ = ["CarriedStrokes", "Stroke", "carried", "carried_through", "strokes_of"]
