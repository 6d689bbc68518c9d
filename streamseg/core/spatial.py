"""How a picture is to be seen in a headset: the layout of its two views, and the sphere that it shows a part of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spatial:
    """Numbers are FFmpeg's (AVStereo3DType, AVSphericalProjection).

    layout      of two views: 1 side by side, 2 one above the other, ...; None for one view
    inverted    the right eye's view comes first
    projection  0 equirectangular, 1 cube map, 2 a part of an equirectangular one, ...; None for a flat picture
    angles      yaw, pitch and roll, in units of 1/65536 degrees
    bounds      of projection 2: the share cut off at left, top, right and bottom, in units of 2**-32
    padding     of projection 1: pixels around each face
    """

    layout: int | None = None
    inverted: bool = False
    projection: int | None = None
    angles: tuple[int, int, int] = (0, 0, 0)
    bounds: tuple[int, int, int, int] = (0, 0, 0, 0)
    padding: int = 0
