"""Places and colours that the user adds to the subject, or takes from it, whatever the method says.

    +x,y    what lies there is the subject: before a plain background the whole thing, of whatever colours; else the
            area of one colour
    -x,y    the area of one colour there is background
    +red, -#00b140    all that has this colour

An area is looked for where the place says in the first frame of a shot, and then followed: of the areas like it, the
one that covers most of what it covered in the frame before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..background.colours import parse
from ..core.frames import Frame, Matte
from ..core.geometry import Box
from ..core.opencv import cv2
from ..errors import OptionError
from ..validation import places
from .api import Adapted, BaseSegmenter, adapt
from .classical.base import Grey, Picture, lab_picture, softened, working_size
from .classical.chroma import commonest
from .classical.polarity import ring

_LEAST_SIDE = 320     # samples of the long side at which areas are looked for, at least
_LIKE, _UNLIKE = 24.0, 40.0  # distance in L*a*b* up to which a colour is the same, and from which on it is not
_PLAIN = 0.6          # of the border, the lower edge left out: so much of one colour is a plain background


@dataclass(frozen=True, slots=True)
class Place:
    """``adds``: to the subject; else taken from it. Either ``at``, (x, whether in per cent), (y, ...), or ``lab``, a
    colour as uint8 L*a*b*."""

    adds: bool
    at: tuple[tuple[float, bool], tuple[float, bool]] | None = None
    lab: npt.NDArray[np.float32] | None = None

    def pixel(self, width: int, height: int) -> tuple[float, float]:
        """x and y in pixels of a picture. Raises OptionError where they lie outside."""
        assert self.at is not None  # of a place
        x, y = (value * whole / 100 if relative else value
                for (value, relative), whole in zip(self.at, (width, height), strict=True))
        if x > width or y > height:
            raise OptionError(f"region names the place {x:g},{y:g}, which is not in the picture of {width} x {height} "
                              "pixels")
        return x, y


def parsed(text: str) -> list[Place]:
    """The places of an option's text. Raises OptionError."""
    made = []
    for adds, what in places(text):
        if isinstance(what, str):
            rgb = parse(what)
            if rgb is None:
                raise OptionError(f"region names the colour {what!r}; it must be a colour's name or #rrggbb")
            lab: Any = cv2.cvtColor(np.array([[rgb]], np.uint8), cv2.COLOR_RGB2LAB)[0, 0]
            made.append(Place(adds, lab=lab.astype(np.float32)))
        else:
            made.append(Place(adds, at=what))
    return made


def with_places(frame: Frame, matte: Matte, text: str, size: tuple[int, int] | None = None,
                box: Box | None = None) -> Matte:
    """A single picture's matte as ``Places`` changes it, with the same arguments. Raises OptionError."""
    return Places(adapt(_Given(matte)), text, size=size, box=box).segment([frame])[0]


@dataclass(frozen=True, slots=True)
class _Given:
    """A method that has found its matte already."""

    matte: Matte

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [self.matte for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Places(Adapted):
    """A method whose mattes are changed by ``text``, the option region.

    size, box   of the whole picture (width, height), and where in it the frames lie, if they are parts of it

    Raises OptionError for what is no region.
    """

    def __init__(self, method: BaseSegmenter, text: str, *, size: tuple[int, int] | None = None,
                 box: Box | None = None) -> None:
        super().__init__(method)
        self._method, self._places = method, parsed(text)
        self._size, self._box = size, box
        self._areas: dict[int, Grey] = {}

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame."""
        return [self._changed(frame, matte)
                for frame, matte in zip(frames, self._method.segment(frames), strict=True)]

    def reset(self) -> None:
        """Forget where the areas were."""
        self._method.reset()
        self._areas.clear()

    def _changed(self, frame: Frame, matte: Matte) -> Matte:
        long_side = max(_LEAST_SIDE, *matte.alpha.shape)
        picture = lab_picture(frame, long_side, 3)
        alpha: Any = cv2.resize(matte.alpha, working_size(frame, long_side), interpolation=cv2.INTER_LINEAR)
        given = np.zeros(alpha.shape, bool)
        if matte.given is not None:
            given = cv2.resize(matte.given.astype(np.uint8), alpha.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        for number, place in enumerate(self._places):
            if place.lab is not None:
                share = np.clip((_UNLIKE - _distance(picture, place.lab)) / (_UNLIKE - _LIKE), 0, 1)
            else:
                share = softened(self._area(number, place, picture, frame))
            alpha = np.maximum(alpha, share) if place.adds else np.minimum(alpha, 1 - share)
            given = given | (share > 0.5) if place.adds else given & (share <= 0.5)
        return replace(matte, alpha=np.clip(alpha, 0, 1).astype(np.float32), given=given)

    def _area(self, number: int, place: Place, picture: Picture, frame: Frame) -> Grey:
        """uint8 (h, w), 255 in the area of a place; it is looked for at the place, or where it was before."""
        before = self._areas.get(number)
        if before is None or before.shape != picture.shape[:2]:
            before = np.zeros(picture.shape[:2], np.uint8)
            column, row = self._sample(place, picture, frame)
            before[max(0, row - 1):row + 2, max(0, column - 1):column + 2] = 255
        seen = before > 0
        plain = _plain_background(picture) if place.adds else None
        if plain is None or plain[seen].mean() > 0.5:
            like = _distance(picture, np.median(picture[seen], axis=0)) <= _LIKE
        else:
            like = ~plain
        found = _meeting(like.astype(np.uint8), seen)
        if found.any():
            self._areas[number] = found
        return found

    def _sample(self, place: Place, picture: Picture, frame: Frame) -> tuple[int, int]:
        """Column and row of a place in the working picture. Raises OptionError where it lies outside."""
        width, height = self._size or (frame.width, frame.height)
        x, y = place.pixel(width, height)
        if self._box is not None:
            x, y = x - self._box.left, y - self._box.top
            if not (0 <= x <= frame.width and 0 <= y <= frame.height):
                raise OptionError(f"region names a place outside the part of the picture that roi leaves: {x:g},{y:g} "
                                  "from its corner; leave it out")
        rows, columns = picture.shape[:2]
        return min(columns - 1, int(x * columns / frame.width)), min(rows - 1, int(y * rows / frame.height))


def _distance(picture: Picture, lab: Any) -> Any:
    """float32 (h, w): from a colour in uint8 L*a*b*; lightness counts half, as shadows change it."""
    away = (picture.astype(np.float32) - np.asarray(lab, np.float32)) * np.array([0.5, 1, 1], np.float32)
    return np.sqrt(np.square(away).sum(axis=2))


def _plain_background(picture: Picture) -> Any:
    """bool (h, w): what has the border's colour, where the border has mostly one; else None."""
    border = picture[ring((picture.shape[0], picture.shape[1]))]
    like = _distance(picture, commonest(border)) <= _LIKE / 2
    return like if like[ring((picture.shape[0], picture.shape[1]))].mean() >= _PLAIN else None


def _meeting(mask: Grey, seen: Any) -> Grey:
    """uint8 (h, w), 255 in the part of a mask (0 and 1) that covers most of ``seen``, its holes filled."""
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, parts = cv2.connectedComponents(closed)
    shared = np.bincount(parts[seen], minlength=count)
    shared[0] = 0
    if not shared.any():
        return np.zeros(mask.shape, np.uint8)
    own = (parts == shared.argmax()).astype(np.uint8)
    # what does not reach the picture's edge is a hole
    count, rest, stats, _ = cv2.connectedComponentsWithStats(1 - own, connectivity=4)
    edge = np.unique(np.concatenate([rest[0], rest[-1], rest[:, 0], rest[:, -1]]))
    hole = np.ones(count, bool)
    hole[edge] = False
    hole[stats[:count, cv2.CC_STAT_AREA] > 0.02 * mask.size] = False  # a wide one may be seen through
    return np.where(hole[rest] | (own > 0), np.uint8(255), np.uint8(0))
