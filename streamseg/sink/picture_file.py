"""One picture as the bytes of a JPEG, PNG, TIFF or WebP file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.frames import Frame
from ..core.opencv import cv2
from ..errors import SinkError
from .coding import with_coding
from .pixels import rgb_of, rgba_of, scaled
from .profile import HOLDING, with_profile
from .tiff import with_fields

DEEP = (".png", ".tiff", ".tif", ".exr")  # hold 16 bits a sample
_LOSSLESS_WEBP = 101  # OpenCV's quality above 100


def encode_picture(frame: Frame, ext: str, kind: str, quality: int | None) -> bytes:
    """The bytes of a picture file: straight RGBA for a cutout, grey for a matte, else RGB; 16 bits where
    the frame has more than 8 and the format can, with the frame's ICC profile where it has colours; a PNG without one
    says which colours it has where they are not sRGB's.
    ``quality``: JPEG 95 and WebP 90 by default; a matte in WebP is lossless.

    Raises SinkError if the format cannot hold the picture.
    """
    depth = 16 if frame.pixel.depth > 8 and ext in DEEP else 8
    array: Any
    if frame.pixel.planes == 1:
        array = scaled(frame.planes[0], frame.pixel.depth, depth)
    elif kind == "cutout":
        array = cv2.cvtColor(rgba_of(frame, depth), cv2.COLOR_RGBA2BGRA)
    else:
        array = cv2.cvtColor(rgb_of(frame, depth), cv2.COLOR_RGB2BGR)
    try:
        flags = _flags(frame, ext, kind, quality)
        good, data = cv2.imencode(ext, np.ascontiguousarray(array), flags)
    except cv2.error as error:
        raise SinkError(f"{frame.width}x{frame.height} cannot be written as {ext} ({error.err}); .png takes "
                        "any size") from error
    if not good:
        raise SinkError(f"{frame.width}x{frame.height} cannot be written as {ext}; .png takes any size")
    profile = profile_of(frame)
    if ext in (".tiff", ".tif"):
        return with_fields(data.tobytes(), alpha=kind == "cutout", profile=profile)
    if ext == ".png" and frame.pixel.planes > 1 and profile is None:
        return with_coding(data.tobytes(), frame.colour)
    return with_profile(data.tobytes(), ext, profile) if profile and ext in HOLDING else data.tobytes()


def profile_of(frame: Frame) -> bytes | None:
    """The ICC profile that belongs to what is written: grey mattes are no colours."""
    return None if frame.pixel.planes == 1 else frame.profile


def _flags(frame: Frame, ext: str, kind: str, quality: int | None) -> Sequence[int]:
    if ext in (".jpg", ".jpeg"):
        full = frame.pixel.planes == 3 and frame.pixel.sx == 1
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        return [cv2.IMWRITE_JPEG_QUALITY, 95 if quality is None else quality,
                cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    if ext == ".webp":
        usual = 90 if quality is None else max(1, quality)
        return [cv2.IMWRITE_WEBP_QUALITY, _LOSSLESS_WEBP if kind == "matte" else usual]
    return []
