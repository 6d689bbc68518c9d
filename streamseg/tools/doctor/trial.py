"""One picture through everything, as ``streamseg run`` takes it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .finding import FAULT, OK, Finding

SIZE = (320, 240)
COLOUR, GREEN = "#00b140", (0, 177, 64)
NEAR = 24  # of 255: 4:2:0 and the encoder
CORNER = 24


def one_frame(folder: Path) -> list[Finding]:
    """A drawn person goes through the built-in model, onto green, into an .mp4, and is read back."""
    import av

    from ...api import run

    with tempfile.TemporaryDirectory(prefix="streamseg-doctor-") as place:
        path = Path(place) / "one.mp4"
        report = run([drawn()], path, background=COLOUR, rate="25")
        with av.open(str(path)) as container:
            pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    failure = wrong(pictures)
    if failure:
        return [Finding("one frame", FAULT, failure, "put this report into an issue, with `streamseg bench --quick`",
                        True)]
    return [Finding("one frame", OK, f"a picture of {SIZE[0]} x {SIZE[1]} went through {report.method} on "
                    f"{report.runs_on}, H.264 and back in {report.elapsed:.1f} s", needed=True)]


def wrong(pictures: Sequence[npt.NDArray[Any]]) -> str:
    """What is wrong with the pictures that came back, '' where nothing is: there is one, of the size that was given,
    and its upper corners, where nobody is, are green."""
    if [picture.shape for picture in pictures] != [(SIZE[1], SIZE[0], 3)]:
        shapes = [f"{picture.shape[1]} x {picture.shape[0]}" for picture in pictures]
        return f"one picture of {SIZE[0]} x {SIZE[1]} went in, and there came back: {', '.join(shapes) or 'none'}"
    corners = pictures[0][:CORNER, :CORNER], pictures[0][:CORNER, -CORNER:]
    off = max(float(np.abs(corner.mean((0, 1)) - GREEN).max()) for corner in corners)
    return "" if off <= NEAR else f"the background is off the colour that was asked for by {off:.0f} of 255"


def drawn() -> npt.NDArray[np.uint8]:
    """uint8 (240, 320, 3), RGB: head and shoulders before a grey wall."""
    width, height = SIZE
    down, across = np.mgrid[0:height, 0:width]
    picture = np.full((height, width, 3), (196, 204, 214), np.uint8)
    picture[((across - 160) / 100) ** 2 + ((down - 240) / 90) ** 2 < 1] = (60, 70, 120)
    picture[((across - 160) / 38) ** 2 + ((down - 105) / 50) ** 2 < 1] = (222, 178, 150)
    picture[(((across - 160) / 40) ** 2 + ((down - 88) / 46) ** 2 < 1) & (down < 80)] = (60, 40, 30)
    for eye in (145, 175):
        picture[(across - eye) ** 2 + (down - 100) ** 2 < 16] = (40, 40, 40)
    return picture
