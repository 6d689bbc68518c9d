"""A person before a screen of one colour: the colour cuts the edge, the person's matte says where it counts.

A key alone leaves what lies beyond the screen (lamps, the studio) and what is stuck onto it (tracking marks); a net
alone has no edge as fine as a key's. So the key's matte is taken near the person, in the parts that reach them; the
inside of the person is never keyed out; and beyond the screen, whose extent is the convex hull of what is clear by
the key, the net's matte holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from ..errors import SegmentError
from .api import Capabilities, param
from .classical.base import SIZE_HELP, Alpha, Picture, rgb_picture
from .classical.chroma import RGB, Chroma, screen_colour
from .person import Person

_SURE, _SEEN, _FAINT = 0.9, 0.5, 0.3  # the person's inside; the person; what may be one
_INSIDE = 0.012  # of the picture's diagonal: how far within the person's edge less and less is keyed out, and
                 # from twice as far on nothing
_TOUCHING = 0.006  # and how near what belongs to the person comes


@dataclass(kw_only=True)
class GreenScreen(Chroma):
    """A person before a green or blue screen, or one of any colour.

    The key is found in the whole picture but the person. It is the method ``chroma``'s, whose parameters these are.
    Raises SegmentError where no colour fills enough of the picture to be a screen.
    """

    reach: float = param(0.1, "How far from the person's matte what is held and worn may reach, as a share of the "
                         "picture's diagonal; what lies beyond is removed.", low=0.0, high=1.0)
    model: str | None = param(None, "As of the method person.")
    model_spec: str | None = param(None, "As of the method person.")
    device: str = param("auto", "As of the method person.", choices=("auto", "cpu", "gpu"))
    runtime: str = param("auto", "As of the method person.", choices=("auto", "litert", "keras", "onnx"))
    threads: int | None = param(None, "As of the method person.", low=1, high=1024)
    stills: bool = param(False, "As of the method person.")
    size: int = param(640, SIZE_HELP, low=16, high=4096)
    _person: Person = field(init=False, repr=False)

    summary: ClassVar[str] = "A person before a green screen: the key is found, marks and the studio are removed."
    source: ClassVar[str] = "chroma and person together (own code)."
    good_for: ClassVar[str] = "People before a green or blue screen that does not fill the picture, or has marks on it."
    bad_for: ClassVar[str] = "Subjects other than people (take chroma); what stands far from the person."

    def __post_init__(self) -> None:
        super().__post_init__()
        self._person = Person(model=self.model, model_spec=self.model_spec, device=self.device, runtime=self.runtime,
                              threads=self.threads, stills=self.stills)

    @property
    def capabilities(self) -> Capabilities:
        """A matte for every frame: moved along with the picture a key's edge would lose its fineness."""
        found = self._person.capabilities
        return Capabilities(stateful=found.stateful, copies=found.copies, runs_on=found.runs_on)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, with the key that it was made by."""
        people = self._person.segment(frames)
        return [Matte(self._joined(frame, matte.alpha), self.despill)
                for frame, matte in zip(frames, people, strict=True)]

    def _joined(self, frame: Frame, person: Alpha) -> Alpha:
        picture = rgb_picture(frame, self.size, self.blur)
        alpha: Any = cv2.resize(person, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
        if not (alpha >= _SEEN).any():  # a film may begin in black: the key is looked for when there is somebody
            return np.zeros(alpha.shape, np.float32)
        if self._key is None:
            self._key = self._screen(picture, alpha)
        keyed = self._keyed(picture)
        diagonal = float(np.hypot(*keyed.shape))
        near = cv2.distanceTransform((alpha < _SEEN).astype(np.uint8), cv2.DIST_L2, 5)
        kept = keyed * _belonging(keyed, near <= _TOUCHING * diagonal)
        kept *= np.clip((self.reach * diagonal - near) / (0.25 * self.reach * diagonal + 1) + 1, 0, 1)
        within = _extent(keyed)
        kept = within * kept + (1 - within) * np.minimum(kept, alpha)
        deep = cv2.distanceTransform((alpha >= _SURE).astype(np.uint8), cv2.DIST_L2, 5)
        return np.maximum(kept, np.clip(deep / (_INSIDE * diagonal) - 1, 0, 1)).astype(np.float32)

    def _screen(self, picture: Picture, person: Alpha) -> RGB:
        found, _ = screen_colour(picture[person < _FAINT])
        if found is None:
            raise SegmentError("no screen was found: no colour fills a tenth of the picture around the person; give "
                               "the screen's colour as --set key=#rrggbb, or leave --greenscreen out")
        return found

    def reset(self) -> None:
        """Forget the key that was found by itself, and where people were."""
        super().reset()
        self._person.reset()

    def close(self) -> None:
        """Free the network."""
        super().close()
        self._person.close()


def _extent(keyed: Alpha) -> Alpha:
    """float32 (h, w): 1 where the screen reaches, the convex hull of what is clear by its key; 0 in the studio, where
    the key says nothing."""
    clear = cv2.morphologyEx((keyed < _FAINT).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    rows = np.flatnonzero(clear.any(axis=1))
    hull = np.zeros(keyed.shape, np.uint8)
    if len(rows):
        first = clear[rows].argmax(axis=1)
        last = clear.shape[1] - 1 - clear[rows][:, ::-1].argmax(axis=1)
        ends = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)]).astype(np.int32)
        cv2.fillConvexPoly(hull, cv2.convexHull(ends), (1,))
    inner = cv2.erode(hull, np.ones((9, 9), np.uint8), borderValue=1)  # the screen's edge is a line of mixed colours
    return cv2.blur(inner.astype(np.float32), (5, 5))


def _belonging(keyed: Alpha, person: Any) -> Alpha:
    """float32 (h, w): 1 in the parts of what is not the screen that meet ``person``, and around them, else 0."""
    count, parts = cv2.connectedComponents((keyed > _FAINT).astype(np.uint8))
    own = np.zeros(count, np.uint8)
    own[np.unique(parts[person])] = 1
    own[0] = 0
    # what is fainter goes with what is around it
    return cv2.blur(cv2.dilate(own[parts], np.ones((5, 5), np.uint8)).astype(np.float32), (3, 3))
