"""Alpha packing of VR players (DeoVR, HereSphere): the matte lies in red around the circles of a fisheye film.

The picture is that of two fisheye lenses side by side, twice as wide as high. Each eye's matte is reduced to 0.4 of its
size; its disc fits exactly into what the lenses leave dark. The left eye's centre comes to the middle of the upper
border, the right eye's to the corner; what lies beyond the picture goes on at its opposite side. So the lower half of
the left eye's matte is at the top and the upper one at the bottom, and the right eye's quarters are in the corners.

The layout is DeoVR's (https://deovr.com/blog/59-how-to-use-the-new-alpha-channel-feature-for-perfect-passthrough), held
against two programs for such films that were made independently and lay the six pieces in the same places.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.frames import Frame, VideoInfo
from ...core.opencv import cv2
from ...core.pixel_formats import yuv_from_rgb
from ...errors import OptionError
from ..pixels import alpha_of

Floats = npt.NDArray[np.float32]
SHARE = 0.4  # of the eye's size
NOTE = ("alpha is packed for VR players, which know that by the file's name: let it end with the lens and _alpha, as "
        "film_FISHEYE190_alpha.mp4 or film_MKX200_alpha.mp4")


def check_fisheye(info: VideoInfo) -> None:
    """Raise OptionError for a picture that is not that of two fisheye lenses side by side, by its size."""
    if info.width != 2 * info.height or info.height % 4:
        raise OptionError("packed deovr is for two fisheye pictures side by side, twice as wide as high, of a height "
                          f"that 4 divides; these are {info.width} x {info.height}: packed stacked takes any size; "
                          "FFmpeg's filter v360 makes fisheye pictures of VR180 ones, "
                          "v360=hequirect:fisheye:in_stereo=sbs:out_stereo=sbs:h_fov=190:v_fov=190")


def deovr(frame: Frame) -> Frame:
    """The frame, opaque, with its alpha in red in the places that no lens sees. Raises SinkError if it has no alpha."""
    height, pixel = frame.height, frame.pixel
    matte = matte_around(alpha_of(frame) * np.float32(1 / pixel.peak))
    outside = _outside(height)
    if pixel.rgb:
        ends = [(0, 0), (0, 0), (0, pixel.peak)]
    else:
        rows = yuv_from_rgb(frame.colour, height, pixel.depth)
        ends = [(row[3], row[0] + row[3]) for row in rows]
    planes: list[Any] = []
    for plane, (black, red) in zip(frame.planes, ends, strict=True):
        small, dark = _reduced(matte, plane.shape), _reduced(outside, plane.shape)
        painted = np.clip(np.rint(black + small * (red - black)), 0, pixel.peak)
        planes.append(np.where(dark > 0.5, painted, plane).astype(plane.dtype))
    return replace(frame, planes=tuple(planes), alpha=None, owner=None)


def matte_around(alpha: Floats) -> Floats:
    """The (h, 2 h) alpha of both eyes, 0..1, as it lies around their circles."""
    height = alpha.shape[0]
    size = int(SHARE * height) // 4 * 4
    made = np.zeros_like(alpha)
    middle, half = height // 2, size // 2
    for number, column in enumerate((height, 0)):  # where each eye's centre comes to
        eye = alpha[:, number * height:(number + 1) * height]
        lone = np.zeros_like(made)
        lone[middle - half:middle + half, height - half:height + half] = _disc(size) * _reduced(eye, (size, size))
        made += np.roll(lone, (-middle, column - height), (0, 1))
    return made


@cache
def _disc(size: int) -> Floats:
    """1 in the disc, 0 outside."""
    steps = np.arange(size) - (size - 1) / 2
    made: Floats = (np.add.outer(steps ** 2, steps ** 2) <= size * size / 4).astype(np.float32)
    return made


@cache
def _outside(height: int) -> Floats:
    """1 outside both eyes' circles, 0 in them."""
    return 1 - np.hstack([_disc(height)] * 2)


def _reduced(picture: Floats, shape: tuple[int, ...]) -> Floats:
    made: Any = picture
    if picture.shape != shape:
        made = cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(made, np.float32)
