"""The region of interest: where people are small, the net sees only the part of the picture that holds them.

A net sees 50,000 to 70,000 pixels, whatever the size of the video: of a runner a third as high as the picture it gets
60 rows. So it is shown the part of the picture that holds the people found so far, and the whole picture only
now and then, to find those who have come since.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.area import placed
from ..core.frames import Frame, Matte
from ..core.geometry import Box
from ..core.opencv import cv2
from .elapsed import ElapsedFrames

Alpha = npt.NDArray[np.float32]
Infer = Callable[[Sequence[Frame], Box | None], list[Alpha]]
InferEach = Callable[[Sequence[Frame], Sequence[Box | None]], list[Alpha]]

SHARE = 0.7     # of the picture: where the region would be larger, the whole picture is as good
MARGIN = 0.2    # of the larger side of what was found: room to move, and surroundings to judge by
LEAST = 0.25    # of the picture's sides: a smaller region shows nothing more
REFRESH = 8     # frames that are computed from one pass over the whole picture to the next, and
LATEST = 16     # frames of the source, where frames are left out: with 8, `run` was 5 % slower at its defaults
_SURE, _SPECK = 0.4, 5e-4  # alpha, and share of the picture, from which on something counts as people
_STEP = 16      # pixels
_FEW = 5e-3     # of the picture: less is what is left of people who walk out, or a thing that looks like a person


class RegionOfInterest:
    """Calls ``infer`` with whole frames (box None) or with a region of them (a Box, in pixels of the frame).

    ``infer`` gives a matte float32 (h, w) in [0, 1] for each frame, all of one shape, which covers the region.
    """

    def __init__(self, infer: Infer) -> None:
        self._infer = infer
        self._elapsed = ElapsedFrames()
        self.reset()

    def reset(self) -> None:
        """Forget where people were."""
        self._box: Box | None = None
        self._computed = self._passed = 0  # since the last pass over the whole picture
        self._elapsed.reset()

    def __call__(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame; the frames are of one size and follow on those of the call before."""
        self._computed += len(frames)
        self._passed += sum(map(self._elapsed.since_last, frames))
        due = self._computed >= REFRESH or self._passed >= LATEST
        mattes = None if due else self._in_region(frames)
        if mattes is None:
            # one frame of a batch shows who has come since
            rest = frames[:-1] if due and self._box else []
            whole = self._infer(frames[len(rest):], None)
            self._computed = self._passed = 0
            self._shape, self._box = whole[0].shape, _people(whole, frames[0])
            mattes = self._in_region(frames)
            if mattes is None:
                # nobody, too large, or people reach over the region's edge, which may cut nobody off
                self._box, mattes = None, (self._infer(rest, None) if rest else []) + whole
        return [Matte(alpha) for alpha in mattes]

    def _in_region(self, frames: Sequence[Frame]) -> list[Alpha] | None:
        """The region's mattes as mattes of the whole; None if there is no region, or people have left it. Where they
        are now is the next region."""
        box = self._box
        if box is None:
            return None
        found = self._infer(frames, box)
        if any(_lost(alpha, box, frames[0]) for alpha in found):
            return None
        size = frames[0].width, frames[0].height
        whole = [placed(alpha, box, size, self._shape) for alpha in found]
        wanted = _people(whole, frames[0])
        # A box that moves with every frame would show the net another grid of pixels every time.
        if wanted is None or not _holds(box, wanted):
            self._box = wanted
        return whole


def separate_regions(infer: InferEach, frames: Sequence[Frame]) -> list[Alpha]:
    """The matte of each of some pictures that have nothing to do with each other: all are seen whole together, then
    the regions of those that have one. What RegionOfInterest gives for each after a ``reset``.

    infer    gives a matte float32 (h, w) in [0, 1] for each frame, which covers its box; None: the whole frame
    """
    mattes = infer(frames, [None] * len(frames))
    boxes = [_people([alpha], frame) for alpha, frame in zip(mattes, frames, strict=True)]
    with_people = [(number, box) for number, box in enumerate(boxes) if box is not None]
    if not with_people:
        return mattes
    closer = infer([frames[number] for number, _ in with_people], [box for _, box in with_people])
    for (number, box), alpha in zip(with_people, closer, strict=True):
        if not _lost(alpha, box, frames[number]):
            size = frames[number].width, frames[number].height
            mattes[number] = placed(alpha, box, size, mattes[number].shape)
    return mattes


def _people(mattes: Sequence[Alpha], frame: Frame) -> Box | None:
    """The part of the frame that holds what the mattes show, with room around it; None if there is nothing, or
    the part is nearly the whole."""
    # every other sample is enough, in a quarter of the time
    seen: Any = np.max([alpha[::2, ::2] for alpha in mattes], axis=0) > _SURE
    rows, columns = seen.shape
    count, _, about, _ = cv2.connectedComponentsWithStats(seen.astype(np.uint8))
    about = about[1:count][about[1:count, cv2.CC_STAT_AREA] >= _SPECK * rows * columns]
    if not len(about):
        return None
    left, top = about[:, 0].min() / columns, about[:, 1].min() / rows
    right = (about[:, 0] + about[:, 2]).max() / columns
    bottom = (about[:, 1] + about[:, 3]).max() / rows
    width, height = (right - left) * frame.width, (bottom - top) * frame.height
    room = MARGIN * max(width, height)
    x, wide = _span(left * frame.width - room, width + 2 * room, frame.width)
    y, high = _span(top * frame.height - room, height + 2 * room, frame.height)
    return None if wide * high > SHARE * frame.width * frame.height else Box(y, x, high, wide)


def _span(start: float, length: float, whole: int) -> tuple[int, int]:
    """Start, at an even pixel, where chroma samples lie, and length of at least LEAST within 0..whole: a
    multiple of _STEP, so that it can be halved again and again, which is the fast way to shrink it."""
    more = max(0.0, LEAST * whole - length)
    first = max(0.0, start - more / 2)
    last = min(float(whole), start + length + more / 2)
    wide = _STEP * math.ceil((last - 2 * math.floor(first / 2)) / _STEP)
    if wide >= whole:
        return 0, whole
    return 2 * math.floor(min(first, whole - wide) / 2), wide


def _holds(box: Box, wanted: Box) -> bool:
    """Whether ``wanted`` lies in ``box``, apart from half the room around the people, and fills most of it."""
    room = 0.5 * MARGIN * max(wanted.height, wanted.width) / (1 + 2 * MARGIN)
    return (box.top - wanted.top <= room and box.left - wanted.left <= room
            and wanted.top + wanted.height - box.top - box.height <= room
            and wanted.left + wanted.width - box.left - box.width <= room
            and box.height * box.width <= 1.5 * wanted.height * wanted.width)


def _lost(alpha: Alpha, box: Box, frame: Frame) -> bool:
    """Whether the region shows hardly anybody, or cuts a person off where the picture goes on: the person has moved,
    or it is another shot."""
    share = np.count_nonzero(alpha > _SURE) / alpha.size
    if share * box.height * box.width < _FEW * frame.height * frame.width:
        return True
    sides = []
    if box.top > 0:
        sides.append(alpha[0])
    if box.left > 0:
        sides.append(alpha[:, 0])
    if box.top + box.height < frame.height:
        sides.append(alpha[-1])
    if box.left + box.width < frame.width:
        sides.append(alpha[:, -1])
    return any(np.count_nonzero(side > _SURE) > 2 for side in sides)
