"""What each step made of a matte, in one picture: for looking, not for use."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..background import sample_values
from ..core.frames import Frame
from ..core.opencv import cv2
from ..core.resampling import shrink

NAMES = ("raw", "steadied", "refined", "composite")  # from the top left, line by line
_LINE = 18  # of the picture's height is a letter's line at most


def stages_view(frame: Frame, mattes: tuple[npt.NDArray[Any], ...], composite: Frame) -> Frame:
    """A picture of ``frame``'s size and format with four fields: the method's matte, the steadied one, alpha at full
    size (``mattes``: float32 (h, w) in [0, 1], of any sizes), and the ``composite``, each named in its corner."""
    made = Frame.empty(frame)
    black, white = sample_values((0, 0, 0), frame), sample_values((255, 255, 255), frame)
    for number, plane in enumerate(made.planes):
        down, across = plane.shape[0] // 2, plane.shape[1] // 2
        fields = (plane[:down, :across], plane[:down, across:], plane[down:, :across], plane[down:, across:])
        for field, matte in zip(fields, mattes, strict=False):
            if not field.size:  # of a picture of one row or column
                continue
            size = field.shape[1], field.shape[0]
            grey = shrink(matte, size) if matte.shape[0] >= size[1] else cv2.resize(matte, size)
            np.copyto(field, np.rint(black[number] + grey * (white[number] - black[number])).astype(plane.dtype))
        np.copyto(fields[3], shrink(np.ascontiguousarray(composite.planes[number]), fields[3].shape[::-1]))
        if number == 0 or frame.pixel.rgb:
            for field, name in zip(fields, NAMES, strict=True):
                if field.size:
                    _write(field, name, black[number], white[number])
    return made


def _write(field: npt.NDArray[Any], text: str, black: int, white: int) -> None:
    scale = max(0.3, field.shape[0] / (20 * _LINE))
    place = round(10 * scale), round(26 * scale)
    drawn = np.zeros(field.shape, np.uint8)  # OpenCV writes into 8 bits only; thick letters are wider
    cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255,), max(1, round(scale)))
    field[cv2.dilate(drawn, np.ones((5, 5), np.uint8)) > 127] = black
    field[drawn > 127] = white
