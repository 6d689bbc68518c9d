"""Auto framing: zoom in a little and keep the head in the middle, with smooth movements."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.frames import Frame, Matte
from ..core.opencv import cv2

ZOOM = 1.3        # where there is a person
HEAD = 0.38       # height of the head in the picture, from the top
SECONDS = 0.8     # after which two thirds of a movement are done
DEADBAND = 0.03   # of the picture: smaller movements are not followed
LEAST = 0.002     # share of the picture that a subject covers at least


@dataclass(frozen=True, slots=True)
class View:
    """What is shown: centre and size as shares of the picture. ``size`` 1 is all of it."""

    x: float = 0.5
    y: float = 0.5
    size: float = 1.0

    def clamped(self) -> View:
        """The same view, moved into the picture."""
        half = self.size / 2
        return replace(self, x=min(1 - half, max(half, self.x)), y=min(1 - half, max(half, self.y)))


class AutoFraming:
    """Keeps the view on the subject. One for a run; call it once for each frame."""

    def __init__(self) -> None:
        self.view = View()
        self._goal = View()
        self._at: float | None = None

    def __call__(self, matte: Matte | None, at: float) -> View:
        """The view for a frame with ``matte`` that came at ``at`` seconds."""
        goal = View() if matte is None else view_of(matte)
        moved = max(abs(goal.x - self._goal.x), abs(goal.y - self._goal.y), abs(goal.size - self._goal.size))
        if moved > DEADBAND:
            self._goal = goal
        passed = 0.0 if self._at is None else max(0.0, at - self._at)
        self._at = at
        share = 1 - math.exp(-passed / SECONDS)
        now, to = self.view, self._goal
        self.view = View(now.x + share * (to.x - now.x), now.y + share * (to.y - now.y),
                         now.size + share * (to.size - now.size)).clamped()
        return self.view


def view_of(matte: Matte) -> View:
    """The view with the subject's head at its place; the whole picture if there is no person.

    The head is the top quarter of the matte; of several persons that of the tallest.
    """
    solid = matte.alpha > 0.5
    if solid.mean() < LEAST:
        return View()
    rows = np.flatnonzero(solid.any(axis=1))
    top, height = int(rows[0]), len(rows)
    head = solid[top:top + max(1, height // 4)]
    x = float((np.flatnonzero(head.any(axis=0)) + 0.5).mean()) / solid.shape[1]
    y = (top + head.shape[0] / 2) / solid.shape[0]
    size = 1 / ZOOM
    return View(x, y + (0.5 - HEAD) * size, size).clamped()


def cropped(frame: Frame, view: View) -> Frame:
    """The part of ``frame`` that ``view`` shows, at the frame's own size; the frame itself if that is all."""
    if view.size > 0.999:
        return frame
    return replace(frame, planes=tuple(_cut(plane, view) for plane in frame.planes), owner=None,
                   alpha=None if frame.alpha is None else _cut(frame.alpha, view))


def cropped_matte(matte: Matte, view: View) -> Matte:
    """The same part of the matte, at the matte's size."""
    if view.size > 0.999:
        return matte
    return replace(matte, alpha=np.clip(_cut(matte.alpha, view), 0, 1))


def _cut(plane: Any, view: View) -> Any:
    """The view of one plane, sampled bilinearly: pixel centres of planes of any size agree."""
    height, width = plane.shape
    left, top = (view.x - view.size / 2) * width, (view.y - view.size / 2) * height
    scale, centre = view.size, (view.size - 1) / 2
    inverse = np.array([[scale, 0, left + centre], [0, scale, top + centre]])
    return cv2.warpAffine(np.ascontiguousarray(plane), inverse, (width, height),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
