"""Small pictures of a film while it is made: somebody who waits sees how it comes out, and may stop it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ...core.frames import Frame
from ...core.geometry import resize
from ...core.opencv import cv2
from ...sink import BaseSink

FOLDER = "previews"  # in the job's, until its film has ended
EVERY = 0.5          # seconds of the film from one to the next, at least
MOST = 200           # of a film
LONG = 480           # pixels of the long side
QUALITY = 70


def preview_file(folder: Path, number: int) -> Path:
    """The file of a preview, from 0."""
    return folder / FOLDER / f"{number}.webp"


class Previews(BaseSink):
    """Writes previews of finished frames. ``times``: of those that are there, seconds from the first frame.

    kind      which of the finished pictures; transparent ones stay so
    seconds   how long the film lasts, None where that is not known
    """

    target = "previews"

    def __init__(self, folder: Path, kind: str, seconds: float | None) -> None:
        super().__init__()
        self.kind = kind
        self.times: list[float] = []
        self._folder = folder
        self._step = max(EVERY, (seconds or 0) / MOST)
        self._first: float | None = None
        (folder / FOLDER).mkdir(exist_ok=True)

    def write(self, frame: Frame) -> None:
        """Write it, where one is due."""
        now = float(frame.time or 0)
        self._first = now if self._first is None else self._first
        now -= self._first
        if len(self.times) >= MOST or (self.times and now < self.times[-1] + self._step):
            return
        path = preview_file(self._folder, len(self.times))
        made, data = cv2.imencode(".webp", _small(frame), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
        if made:
            path.with_suffix(".part").write_bytes(data.tobytes())
            os.replace(path.with_suffix(".part"), path)
            self.times.append(round(now, 3))


def _small(frame: Frame) -> Any:
    """uint8 (h, w, 3 or 4) BGR(A)."""
    scale = min(1.0, LONG / max(frame.width, frame.height))
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    picture = frame.rgb(size)[..., ::-1]
    if frame.alpha is None:
        return np.ascontiguousarray(picture)
    alpha = resize(frame.alpha.astype(np.float32) * (255 / frame.pixel.peak), size[::-1])
    return np.dstack([picture, np.rint(np.clip(alpha, 0, 255)).astype(np.uint8)])
