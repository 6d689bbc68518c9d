"""A matte moved along with the picture, for frames that get none of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from .cuts import Array
from .flow import OpticalFlow


class Propagator:
    """Holds the last matte that was computed (``hold``) and says what it is in a later frame (``to``)."""

    def __init__(self) -> None:
        self._motion: OpticalFlow | None = None
        self._held: tuple[Frame, Matte] | None = None
        self._luma: Array | None = None

    @property
    def matte(self) -> Matte | None:
        """The matte that is held."""
        return None if self._held is None else self._held[1]

    def hold(self, frame: Frame, matte: Matte) -> None:
        """Take a frame and its matte in place of those before."""
        self._held, self._luma = (frame, matte), None

    def forget(self) -> None:
        """Hold nothing."""
        self._held = self._luma = None

    def to(self, frame: Frame, *, careful: bool = False) -> Matte:
        """The held matte, from where its pixels were to where they are now (optical flow).

        ``careful``: where the motion is not sure, only what is the subject's both moved and unmoved: rather a
        piece of him missing than of the room shown. Raises RuntimeError if nothing is held.
        """
        if self._held is None:
            raise RuntimeError("no matte is held")
        before, matte = self._held
        height, width = matte.alpha.shape
        size = max(16, width), max(16, height)  # optical flow takes nothing smaller
        if self._luma is None:  # of the first frame that is asked for: most mattes are never carried
            self._luma = before.luma(size)
        self._motion = self._motion or OpticalFlow()
        way, _ = self._motion.between(self._luma, frame.luma(size), both=False)
        alpha: Any = cv2.resize(matte.alpha, size)
        moved: Any = way.carry(alpha)
        if careful:
            sure = np.minimum(moved, alpha)
            moved = sure + way.trust * (moved - sure)
        moved = cv2.resize(moved, (width, height))
        return replace(matte, alpha=np.clip(moved, 0, 1))
