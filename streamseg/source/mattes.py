"""The matte in a picture: its alpha, or its grey."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import curves
from ..core.frames import Frame
from ..errors import SourceError
from .float_pictures import NAMES

# Of 255 levels: how far the chroma of a grey picture strays in lossy codecs.
_NEUTRAL = 6
Array = npt.NDArray[Any]


def alpha_of(frame: Frame, name: str) -> npt.NDArray[np.float32]:
    """float32 (h, w) in 0..1: the matte in a picture, which is its alpha if it has one, else its grey
    (limited range stretched).

    An alpha that is opaque all over a grey picture says nothing: then the grey is the matte. Raises
    SourceError for a picture with colours and no alpha.
    """
    peak = frame.pixel.peak
    grey = _is_grey(frame)
    if frame.alpha is not None and not (grey and int(frame.alpha.min()) == peak):
        return (frame.alpha / np.float32(peak)).astype(np.float32)
    if not grey:
        raise SourceError(f"{name} has colours and no alpha, so there is no matte in it: give grey pictures "
                          "or film (as streamseg's --matte writes) or cut-outs with alpha")
    plane = frame.planes[0].astype(np.float32)
    if frame.full_range:
        shares = (plane / np.float32(peak)).astype(np.float32)
        is_light = frame.name is not None and frame.name.lower().endswith(NAMES)
        return curves.light_of(shares, curves.SRGB) if is_light else shares
    unit = np.float32(1 << (frame.pixel.depth - 8))
    return np.clip((plane - 16 * unit) / (219 * unit), 0, 1)


def _is_grey(frame: Frame) -> bool:
    """Whether a picture has no colour, but for what a lossy codec leaves of it."""
    first, *others = frame.planes
    if frame.pixel.rgb:
        return all(np.array_equal(first, plane) or _far(plane, first) <= _NEUTRAL << (frame.pixel.depth - 8)
                   for plane in others)
    half = 1 << (frame.pixel.depth - 1)
    return all(_far(plane, half) <= _NEUTRAL << (frame.pixel.depth - 8) for plane in others)


def _far(plane: Array, other: Array | int) -> int:
    return int(np.abs(plane.astype(np.int32) - other).max())
