"""Follows the separate parts of mattes through a shot, and counts what each has earned (``persistence``)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count as natural
from typing import Any

import numpy as np

from ..core.opencv import cv2
from ..core.resampling import shrink
from ..temporal import Array, Motion, working_size
from .parts import comes_in, labelled, sureness
from .shots import Pair

# What a frame counts in which a part is not sure though the shot's largest has been, and in which no largest was:
# there are nets that are never sure
DOUBTFUL, VAGUE = 0.1, 0.5
MEMORY = 8        # frames for which a place remembers that the subject was there
GAP = 1           # frames that a part may be away while it is still doubted
_REACH = 2        # samples by which motion may be wrong
_NEVER = np.float32(1e9)
_NO_MAP: Any = None  # remap: x and y are both in the first map


@dataclass(slots=True, eq=False)
class Part:
    """A separate part of one frame's matte. ``origin``: the part of an earlier frame that it carries on; ``others``:
    those that ended in it, as people who come to touch."""

    area: int
    earned: float
    need: float
    accepted: bool
    origin: Part | None
    first: int  # number of the frame in which it was new
    seen: int   # and of its own
    others: tuple[Part, ...] = ()

    def accept(self) -> None:
        """Take it for the subject, and what it was in the frames before, too."""
        parts: list[Part] = [self]
        while parts:
            part = parts.pop()
            if not part.accepted:
                part.accepted = True
                parts += part.others if part.origin is None else (part.origin, *part.others)


@dataclass(slots=True, eq=False)
class Held:
    """A frame that waits. ``labels``: int32 (h, w), 0 where nothing is; part n has the label n + 1."""

    pair: Pair
    labels: Array
    parts: list[Part]


class Follower:
    """Follows the parts of mattes through a shot, frame by frame.

    frames   that a part must last which appears in the middle of the picture
    window   frames that are looked ahead at: what comes in at the border need not last longer than they do
    """

    def __init__(self, frames: int, window: int) -> None:
        self._need, self._soon = float(frames), float(min(frames, window + 1))
        self.forget()

    def forget(self) -> None:
        """Another shot begins."""
        # float32 (h, w, 2): which track was at a sample last, and since which frame the subject has been there
        self._map: Array | None = None
        self._tracks: dict[int, Part] = {}
        self._number = 0
        self._anchored = False  # whether the largest part was sure in any frame

    def __call__(self, pair: Pair, motion: Motion) -> Held:
        """Find the parts of a frame and what they carry on."""
        half = working_size(pair[1].alpha.shape)
        size = max(8, half[0] // 2), max(8, half[1] // 2)
        alpha = shrink(pair[1].alpha, size)
        self._number += 1
        labels, count = labelled(alpha)
        held = Held(pair, labels, [])
        if count == 1 and self._goes_on(held):
            return held
        before = self._moved(motion, half, size)
        if count:
            held.parts = self._judged(labels, count, alpha, before)
            _believe(held)
        self._remember(held, before)
        return held

    def ends(self, last: Held) -> None:
        """``last`` was the shot's last frame: what began with the shot cannot last longer than that."""
        for part in last.parts:
            if part.first == 1 and 2 * part.earned > self._number:
                part.accept()

    def _goes_on(self, held: Held) -> bool:
        """Whether the one part carries on the one track, which is the subject's: mostly so, and motion is not
        needed to tell. Then it is noted."""
        if len(self._tracks) != 1 or self._map is None or not self._anchored:
            return False
        (number, origin), = self._tracks.items()
        ids, since = cv2.split(self._map)
        here = held.labels > 0
        if not origin.accepted or origin.seen != self._number - 1 or not np.any(ids[here]):
            return False
        part = replace(origin, area=int(np.count_nonzero(here)), origin=origin, seen=self._number,
                       others=())
        held.parts = [part]
        self._tracks = {number: part}
        self._map = cv2.merge([held.labels.astype(np.float32) * number,
                               np.where(here, np.minimum(since, self._number), _NEVER)])
        return True

    def _moved(self, motion: Motion, half: tuple[int, int], size: tuple[int, int]) -> Array | None:
        """The map, moved along with the picture."""
        if self._map is None or not self._tracks:
            return None
        displacement: Any = motion.displacement(half)
        exact = (2 * size[0], 2 * size[1]) == half
        place = displacement[::2, ::2] if exact else cv2.resize(displacement, size)
        place = place * np.array([size[0] / half[0], size[1] / half[1]], np.float32)
        place += _grid(size)
        return cv2.remap(self._map, place, _NO_MAP, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)

    def _judged(self, labels: Array, count: int, alpha: Array, before: Array | None) -> list[Part]:
        """The parts of a frame, in the order of their labels."""
        areas, sure = sureness(labels, count, alpha)
        self._anchored = self._anchored or bool(sure[1 + int(areas[1:].argmax())])
        shared, numbers = self._shared(labels, count, before)
        # each track goes on as the part that it shares most with
        main = [int(column[1:].argmax()) + 1 if column[1:].any() else 0 for column in shared.T[1:]]
        parts = []
        for label in range(1, count + 1):
            origins = [self._tracks[numbers[i]] for i, child in enumerate(main) if child == label]
            if origins:
                origin = max(origins, key=lambda part: (part.accepted, part.earned, part.area))
                part = self._continued(origin, labels, label, areas, sure)
                if not part.accepted:
                    # sure in more than half of its frames, as two people are who come to touch
                    part.others = tuple(other for other in origins if other is not origin
                                        and 2 * other.earned > other.seen - other.first + 1)
            else:
                part = self._new(labels, label, areas, sure)
                touched = (self._tracks[numbers[i]] for i in np.flatnonzero(shared[label, 1:]))
                if any(other.accepted for other in touched):
                    part.accepted = bool(sure[label]) or self._long(before, labels == label)
            if part.earned >= part.need:
                part.accept()
            parts.append(part)
        return parts

    def _continued(self, origin: Part, labels: Array, label: int, areas: Array, sure: Array) -> Part:
        """The part ``label``, which carries on ``origin``."""
        part = replace(origin, area=int(areas[label]), earned=origin.earned + self._gain(sure[label], origin.first),
                       origin=origin, seen=self._number, others=())
        if not origin.accepted and sure[label] and (origin.first == 1 or comes_in(labels == label)):
            part.need = self._soon
        return part

    def _new(self, labels: Array, label: int, areas: Array, sure: Array) -> Part:
        """The part ``label``, which was not there before."""
        soon = (sure[label] or not self._anchored) and (self._number == 1 or comes_in(labels == label))
        return Part(int(areas[label]), self._gain(sure[label], self._number), self._soon if soon else self._need,
                     False, None, self._number, self._number)

    def _gain(self, sure: bool, first: int) -> float:
        """What a frame counts for a part that was new in frame ``first``."""
        if sure:
            return 1.0
        return DOUBTFUL if self._anchored else 1.0 if first == 1 else VAGUE

    def _long(self, before: Array | None, mask: Array) -> bool:
        """Whether the subject has been where the part is for as long as something new must last."""
        return before is not None and float(np.median(before[..., 1][mask])) <= self._number - self._need

    def _shared(self, labels: Array, count: int, before: Array | None) -> tuple[Array, list[int]]:
        """(samples that each part (row, from 1) shares with each track (column, from 1), the tracks' numbers)."""
        if before is None:
            return np.zeros((count + 1, 1), np.int64), []
        ids: Any = before[..., 0]
        near = cv2.dilate(ids, np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8))
        ids = np.where(ids > 0, ids, near).astype(np.int32)
        numbers = sorted(self._tracks)
        index = np.zeros(int(ids.max()) + 1, np.int32)
        for column, number in enumerate(numbers, start=1):
            if number < len(index):
                index[number] = column
        width = len(numbers) + 1
        joint = labels * width + index[ids]
        return np.bincount(joint.ravel(), minlength=(count + 1) * width).reshape(count + 1, width), numbers

    def _remember(self, held: Held, before: Array | None) -> None:
        """Note where the parts are, and where those lately were that are away."""
        numbers = {id(part): number for number, part in self._tracks.items()}
        self._tracks = {number: part for number, part in self._tracks.items()
                        if self._number - part.seen <= (MEMORY if part.accepted else GAP)}
        new: Array = np.zeros(len(held.parts) + 1, np.float32)
        accepted = np.zeros(len(held.parts) + 1, bool)
        # what carries on keeps its number; only then is it known which are free
        for label, part in sorted(enumerate(held.parts, start=1), key=lambda item: item[1].origin is None):
            number = next(free for free in natural(1) if free not in self._tracks) if part.origin is None \
                else numbers[id(part.origin)]
            self._tracks[number] = part
            new[label], accepted[label] = number, part.accepted
        ids: Any = np.zeros(held.labels.shape, np.float32)
        since: Any = np.full(held.labels.shape, _NEVER, np.float32)
        if before is not None:
            # those that are gone, and those that are here, for they are where they are now
            away = np.zeros(int(before[..., 0].max()) + 1, bool)
            away[[number for number, part in self._tracks.items()
                  if part.seen < self._number and number < len(away)]] = True
            ids = np.where(away[before[..., 0].astype(np.int32)], before[..., 0], ids)
            since = before[..., 1]
        ids = np.where(held.labels > 0, new[held.labels], ids)
        since = np.where(accepted[held.labels], np.minimum(since, self._number), _NEVER)
        self._map = cv2.merge([ids, since])


def _believe(held: Held) -> None:
    """Take the parts for the subject of which the user has said so."""
    given = held.pair[1].given
    if given is None:
        return
    rows, columns = held.labels.shape
    said: Any = cv2.resize(given.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST)
    for label in np.unique(held.labels[said > 0]):
        if label:
            held.parts[label - 1].accept()


@lru_cache(maxsize=8)
def _grid(size: tuple[int, int]) -> Array:
    columns, rows = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    return np.dstack([columns, rows])
