"""Background subtraction: what moves in front of a still camera is the subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ...core.frames import Frame
from ...core.opencv import cv2
from ..api import Capabilities, param
from .base import Alpha, Classical, Grey, rgb_picture, softened, without_specks

_RATE_HELP = ("How fast the background is learnt, 0 (only from the first frame) to 1 (anew from each "
              "frame); -1: 1/history.")
_SHADOW_HELP = "A darker copy of the background is a shadow, not the subject."
_CLOSE_HELP = "Close gaps in the subject up to this width, in pixels of the small copy; 0: none."


@dataclass(kw_only=True)
class Subtractor(Classical):
    """What both subtractors share. ``_model`` is made on the first frame after a reset."""

    history: int = param(500, "Number of frames that the background is learnt from.", low=1, high=100000)
    rate: float = param(-1.0, _RATE_HELP, low=-1, high=1)
    shadows: bool = param(True, _SHADOW_HELP)
    close_gaps: int = param(7, _CLOSE_HELP, low=0, high=99)
    _model: Any = field(default=None, init=False, repr=False)

    @property
    def capabilities(self) -> Capabilities:
        """The background is learnt from every frame."""
        return Capabilities(stateful=True)

    def _alpha(self, frame: Frame) -> Alpha:
        picture = rgb_picture(frame, self.size, self.blur)
        if self._model is None:
            self._model = self._make()
            # The first picture is the background as far as anyone can tell, and must be learnt even at
            # rate 0. Eight times: KNN believes in a value only after it has come back.
            for _ in range(8):
                self._model.apply(picture, learningRate=0.5)
            return np.zeros(picture.shape[:2], np.float32)
        # OpenCV's own rate starts at 1/2 and would learn a subject of the first seconds as background.
        # Nor may it be 0: KNN divides by it.
        rate = max(self.rate, 1e-6) if self.rate >= 0 else 1 / self.history
        found = self._model.apply(picture, learningRate=rate)
        return softened(self._solid(found))

    def _make(self) -> Any:
        raise NotImplementedError

    def _solid(self, found: Grey) -> Grey:
        """The raw answer (255 subject, 127 shadow) without specks, gaps closed, holes filled."""
        mask = cv2.threshold(found, 200, 255, cv2.THRESH_BINARY)[1]
        mask = cv2.medianBlur(mask, 5)
        if self.close_gaps:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (self.close_gaps, self.close_gaps))
            mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
        return without_specks(mask)

    def reset(self) -> None:
        """Forget the background."""
        self._model = None


@dataclass(kw_only=True)
class Mog2(Subtractor):
    """A mixture of Gaussians for each pixel. The first frame after a reset is taken for background, so
    its matte is empty; a subject that stands still is learnt as background in time (see ``rate``)."""

    threshold: float = param(16.0, "A pixel is subject if its squared distance from the background is more than "
                             "this, in variances.", low=1, high=1000)

    summary: ClassVar[str] = "What moves in front of a still camera (background subtraction, mixture of Gaussians)."
    source: ClassVar[str] = ("cv2.createBackgroundSubtractorMOG2; Zivkovic 2004, 'Improved adaptive Gaussian "
                             "mixture model for background subtraction'.")
    good_for: ClassVar[str] = "A still camera; a subject that enters an empty scene and keeps moving."
    bad_for: ClassVar[str] = "Moving cameras; subjects that stand still, or are there from the first frame; pictures."

    def _make(self) -> Any:
        return cv2.createBackgroundSubtractorMOG2(self.history, self.threshold, self.shadows)


@dataclass(kw_only=True)
class Knn(Subtractor):
    """The k nearest of a pixel's earlier values. The first frame after a reset is taken for background,
    so its matte is empty; a subject that stands still is learnt as background in time (see ``rate``)."""

    threshold: float = param(400.0, "A pixel is background if its squared distance in RGB is at most this.", low=1,
                             high=195075)

    summary: ClassVar[str] = "What moves in front of a still camera (background subtraction, nearest neighbours)."
    source: ClassVar[str] = ("cv2.createBackgroundSubtractorKNN; Zivkovic and van der Heijden 2006, "
                             "'Efficient adaptive density estimation per image pixel'.")
    good_for: ClassVar[str] = "As mog2; better where little of the picture moves."
    bad_for: ClassVar[str] = "Moving cameras; subjects that stand still, or are there from the first frame; pictures."

    def _make(self) -> Any:
        return cv2.createBackgroundSubtractorKNN(self.history, self.threshold, self.shadows)
