"""The colours around the rim, found anew for a frame or taken from the one before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..core.frames import Frame
from ..temporal import Repeats
from .color_model import ColorModel
from .tiles import Array


class LastingColors:
    """In the place of ``ColorModel.of``, for the frames of a film in order: where ``repeats`` says so the colours are
    those that were found for the frame before."""

    def __init__(self) -> None:
        self.repeats = Repeats()
        self._last: Callable[[Frame], ColorModel] | None = None  # the last colours with a frame: its own is not held

    def __call__(self, frame: Frame, alpha: Array, columns: int) -> ColorModel:
        """As ``ColorModel.of``."""
        if self.repeats(frame) and self._last is not None:
            return self._last(frame)
        made = ColorModel.of(frame, alpha, columns)
        self._last = partial(ColorModel, columns=columns, step=made.step, ahead=made.ahead, behind=made.behind,
                             gains=made.gains)
        return made
