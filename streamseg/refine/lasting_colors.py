"""The colours around the rim, found anew for a frame or taken from the one before."""

from __future__ import annotations

from dataclasses import replace

from ..core.frames import Frame
from ..temporal import COMPARED, worst_psnr
from .color_model import ColorModel
from .tiles import Array

# dB: what has changed more than this has other colours. On 18 made scenes and six clips the mattes' scores are the
# same (.0001 of boundary F), on made 720p30 a frame that has waited for the net is ready 2 ms earlier.
ALIKE = 26.0


class LastingColors:
    """In the place of ``ColorModel.of``, for the frames of a film in order: where ``late`` is set and the picture is
    like the frame before, the colours are those that were found for that one. They serve for two frames at most."""

    def __init__(self) -> None:
        self.late = False
        self._last: tuple[Array, ColorModel] | None = None

    def __call__(self, frame: Frame, alpha: Array, columns: int) -> ColorModel:
        """As ``ColorModel.of``."""
        small, last = frame.luma(COMPARED), self._last
        self._last = None
        if self.late and last is not None and last[1].fits(frame, columns) and worst_psnr(small, last[0]) >= ALIKE:
            return replace(last[1], frame=frame)
        made = ColorModel.of(frame, alpha, columns)
        self._last = small, made
        return made
