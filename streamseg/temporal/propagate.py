"""A matte moved along with the picture, for frames that get none of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..core.frames import Matte
from ..core.opencv import cv2
from .flow import moved
from .motion import Motion, working_size


class Propagator:
    """Holds the last matte that was computed (``hold``) and says what it is in the frames that follow (``to``).

    The flows of all frames since are put together and the matte is moved once: moved from frame to frame it would
    blur a little each time. Flow over several frames at once fails from about 15 pixels on, and would have to be
    computed anew for each; over few pixels both are as good.
    """

    def __init__(self) -> None:
        self._matte: Matte | None = None
        self._since: Motion | None = None

    @property
    def matte(self) -> Matte | None:
        """The matte that is held."""
        return self._matte

    def hold(self, matte: Matte) -> None:
        """Take the matte of a frame in place of the one before."""
        self._matte, self._since = matte, None

    def forget(self) -> None:
        """Hold nothing."""
        self._matte = self._since = None

    def since(self, motion: Motion) -> Motion:
        """From the frame whose matte is held to the frame of ``motion``, which must be the next after the one of
        the last call. Raises RuntimeError if nothing is held."""
        if self._matte is None:
            raise RuntimeError("no matte is held")
        if self._since is not None:
            motion = self._since.then(motion, working_size(self._matte.alpha.shape))
        self._since = motion
        return motion

    def to(self, motion: Motion, *, careful: bool = False) -> Matte:
        """The held matte, from where its pixels were to where they are in the frame of ``motion``, which must be
        the next after the one of the last call.

        ``careful``: where the motion is not sure, only what is the subject's both moved and unmoved: rather a
        piece of the subject missing than of the room shown. Raises RuntimeError if nothing is held.
        """
        way = self.since(motion)
        assert self._matte is not None  # since() has seen to it
        alpha: Any = self._matte.alpha
        small = working_size(alpha.shape)
        found: Any = moved(alpha, way.displacement(small))
        if careful:
            sure = np.minimum(found, alpha)
            found = sure + cv2.resize(way.back(small).trust, alpha.shape[::-1]) * (found - sure)
        return replace(self._matte, alpha=np.clip(found, 0, 1), given=None)  # which is where it was
