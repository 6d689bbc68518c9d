"""What the live stages pass on, and the settings that they read while they run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ..background import sample_values
from ..core.frames import Frame, Matte, VideoInfo
from ..core.pixel_formats import FORMATS

TICKS = Fraction(1, 1_000_000)  # live times are microseconds since the start
OLDEST = 1.0  # seconds: a matte that is older is not used, since the person has moved


@dataclass(frozen=True, slots=True)
class QualityStep:
    """A step of quality. ``every``: the model gets every Nth frame, between them the matte is propagated;
    ``reduced``: the model gets a smaller picture; ``divisor``: only every Nth frame of the camera is used."""

    name: str
    every: int = 1
    reduced: bool = False
    divisor: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """How the output picture is made. ``version`` grows when a background file has changed."""

    background: str | None = None
    fit: str = "cover"
    blur: float = 0.5
    mirror: bool = False
    follow: bool = False
    freeze: bool = False
    matte_view: bool = False
    version: int = 0


@dataclass(slots=True)
class Control:
    """Settings that the main thread changes and the stages read for every frame. A field is always replaced,
    never changed in place.

    paused         the camera's pictures are not used: only the background is shown
    has_consumers  another program uses an output (see on_demand)
    """

    step: QualityStep
    scene: Scene
    paused: bool = False
    has_consumers: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A captured frame. ``at``: the clock's time of its arrival; ``seen``: False for a placeholder, which shows
    nothing of the camera; ``cut``: the first frame of a camera, no state of earlier ones may be used."""

    frame: Frame
    at: float
    seen: bool = True
    cut: bool = False

    def replacing(self, dropped: Shot) -> Shot:
        """This shot, which is the first of a camera to the stages behind if the one that gave way to it was: the
        old camera's matte must not be laid over what the new one shows."""
        return replace(self, cut=True) if dropped.cut and not self.cut else self


@dataclass(frozen=True, slots=True, eq=False)
class Matted:
    """``matte``: None where it is unknown: then only the background may be shown. ``still``: matte and picture are
    those of the previous frame. ``computed``: the model saw this frame, which takes longer than to carry a matte."""

    shot: Shot
    matte: Matte | None
    still: bool = False
    computed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A picture for the outputs. ``view``: the matte in grey for the window, if requested."""

    picture: Frame
    at: float
    view: Frame | None = None


def stand_in(info: VideoInfo) -> Frame:
    """A black frame like those of ``info``, processed where no picture of a camera may be shown."""
    pixel = FORMATS[info.format]
    planes = tuple(np.zeros(pixel.shape(number, info.width, info.height), pixel.dtype)
                   for number in range(pixel.planes))
    made = Frame(planes, info.format, TICKS, 0, 0, info.colour)
    for plane, value in zip(made.planes, sample_values((0, 0, 0), made), strict=True):
        plane.fill(value)  # ours alone until it is given out
    return made
