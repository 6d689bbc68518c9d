"""The colours around the rim, found anew for a frame or taken from the one before."""

from __future__ import annotations

from dataclasses import replace

from ..core.frames import Frame
from ..temporal import Repeats
from .color_model import ColorModel
from .tiles import Array


class LastingColors:
    """In the place of ``ColorModel.of``, for the frames of a film in order: where ``repeats`` says so the colours are
    those that were found for the frame before."""

    def __init__(self) -> None:
        self.repeats = Repeats()
        self._last: ColorModel | None = None

    def __call__(self, frame: Frame, alpha: Array, columns: int) -> ColorModel:
        """As ``ColorModel.of``."""
        if self.repeats(frame) and self._last is not None:
            return replace(self._last, frame=frame)
        self._last = ColorModel.of(frame, alpha, columns)
        return self._last
