"""Pictures of half and float numbers (OpenEXR, Radiance, PFM, TIFF) as 16-bit RGB.

Those of all but TIFF are light: 0.5 is half as bright as white. They get sRGB's curve, or that of the film that our
sink made them of; taken as they are they look too dark, to the network, too, and in every output but EXR. OpenEXR's
colours are multiplied by their alpha ("Technical introduction to OpenEXR"), which is undone. swscale (FFmpeg 8.1) does
not convert grey ones right: it takes their range for limited, and ends the process on float grey with alpha.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt

from ..core import curves, exr_header

Floats = npt.NDArray[np.float32]
NAMES = (".exr", ".hdr", ".pfm", ".phm")  # of files whose numbers are light
_ROWS = 256       # that are worked on at once
_WHITE = 1.001    # from here on a number is brighter than white, and not white that was rounded
_LINEAR, _UNTAGGED = 8, 2  # transfers; the latter as of other pictures, which have sRGB's curve


def of_floats(picture: av.VideoFrame) -> bool:
    """Whether a picture is of half or float numbers."""
    return "f16" in picture.format.name or "f32" in picture.format.name


def encoded(picture: av.VideoFrame) -> tuple[av.VideoFrame, bool]:
    """``picture`` as gbrp16le or gbrap16le, straight, where it is of half or float numbers, else as it is; and whether
    something in it is brighter than white, which is cut off."""
    name = picture.format.name
    if not of_floats(picture):
        return picture, False
    colours, alpha = _channels(picture, name)
    told: Any = picture.opaque
    light, transfer, primaries = told or ("linear", _UNTAGGED, int(picture.color_primaries))
    is_light = int(picture.color_trc) == _LINEAR and light == "linear"
    made = av.VideoFrame(picture.width, picture.height, "gbrp16le" if alpha is None else "gbrap16le")
    made.pts, made.time_base = picture.pts, picture.time_base
    made.color_range, made.color_primaries, made.color_trc = picture.color_range, primaries, transfer
    goals = [_rows(plane, np.dtype("<u2"), picture.height)[:, :picture.width] for plane in made.planes]
    bright = False
    for top in range(0, picture.height, _ROWS):
        rows = slice(top, top + _ROWS)
        share = None if alpha is None else np.clip(_finite(alpha[rows]), 0, 1)
        if share is not None:
            goals[3][rows] = np.rint(share * 65535)
        for goal, colour in zip(goals, colours, strict=False):
            value = _finite(colour[rows])
            if is_light and share is not None:
                value = np.divide(value, share, out=value, where=share > 0)
            if is_light:
                value = curves.encoded(np.maximum(value, 0), curves.known(transfer, is_rgb=True))
            bright = bright or bool((value > _WHITE).any())
            goal[rows] = np.rint(np.clip(value, 0, 1) * 65535)
    return made, bright


def complete(picture: av.VideoFrame, data: bytes) -> None:
    """Note in the picture that was decoded from the OpenEXR file ``data`` what our sink said of it, for ``encoded``."""
    picture.opaque = exr_header.origin(data)


def _finite(values: npt.NDArray[Any]) -> Floats:
    return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=1e6, neginf=0.0)


def _channels(picture: av.VideoFrame, name: str) -> tuple[list[npt.NDArray[Any]], npt.NDArray[Any] | None]:
    """Green, blue and red, which may be one and the same, and alpha."""
    kind = np.dtype((">" if name.endswith("be") else "<") + ("f2" if "f16" in name else "f4"))
    planes = [_rows(plane, kind, picture.height) for plane in picture.planes]
    parts = len(picture.format.components)
    if len(planes) == 1:  # samples lie in turn
        planes = [planes[0][:, number:parts * picture.width:parts] for number in range(parts)]
        order = (0, 0, 0, 1) if parts < 3 else (1, 2, 0, 3)
    else:
        order = (0, 1, 2, 3)
    planes = [plane[:, :picture.width] for plane in planes]
    return [planes[number] for number in order[:3]], planes[order[3]] if parts in (2, 4) else None


def _rows(plane: Any, kind: np.dtype[Any], height: int) -> npt.NDArray[Any]:
    return np.frombuffer(memoryview(plane), kind).reshape(height, -1)
