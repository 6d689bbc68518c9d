"""What travels between the live stages, and what they are told while they run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ..background import sample_values
from ..core.frames import Frame, Matte, VideoInfo
from ..core.pixel_formats import FORMATS

TICKS = Fraction(1, 1_000_000)  # live times are microseconds since the start


@dataclass(frozen=True, slots=True)
class QualityStep:
    """A step of quality. ``every``: one frame in so many goes through the model, in between the matte is
    carried on; ``reduced``: the model sees a smaller picture; ``divisor``: one frame in so many of the
    camera's is taken at all."""

    name: str
    every: int = 1
    reduced: bool = False
    divisor: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """How the outgoing picture is to be made. ``version`` grows when a background file has changed."""

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
    """What the main thread sets and the stages read, each time anew. Every field is replaced as a whole,
    never changed in place.

    paused   the camera's pictures are not to be used: the background alone goes out
    has_consumers  another program uses an output (see on_demand)
    """

    step: QualityStep
    scene: Scene
    paused: bool = False
    has_consumers: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame as it came. ``at``: the clock when it did; ``seen``: False for a stand-in, which shows nothing
    that a camera saw; ``cut``: the first of a camera, nothing carries over from before."""

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
    """``matte``: None where it is not known what is background: only the background alone may go out.
    ``still``: matte and picture are those of the one before."""

    shot: Shot
    matte: Matte | None
    still: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A picture that may go out. ``view``: the matte as grey, for the window, where it was asked for."""

    picture: Frame
    at: float
    view: Frame | None = None


def stand_in(info: VideoInfo) -> Frame:
    """A black frame like those of ``info``: what is worked on where no camera's picture may be."""
    pixel = FORMATS[info.format]
    planes = tuple(np.zeros(pixel.shape(number, info.width, info.height), pixel.dtype)
                   for number in range(pixel.planes))
    made = Frame(planes, info.format, TICKS, 0, 0, info.colour)
    for plane, value in zip(made.planes, sample_values((0, 0, 0), made), strict=True):
        plane.fill(value)  # ours alone until it is given out
    return made
