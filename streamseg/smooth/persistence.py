"""Blobs must last before they are taken for the subject.

A net that judges each frame by itself takes a cow, a goat or a flag for a person now and then, for a few frames.
A person does not appear in the middle of a shot out of nothing. So each separate part of a matte is followed from
frame to frame, and left out until it has earned its place. It belongs to the subject at once if it

- carries on a part that did, or one that was there up to MEMORY frames ago;
- comes off such a part, and either is sure or has been in it for long, as an arm or somebody who walks away;
- is small and lies beside such a part, as fingers do;
- or is what the user has said is the subject (``Matte.given``).

Else it must last: a few frames if it comes in at the picture's border or was there when the shot began, more if it
appears in the middle. A frame in which the part is not sure counts less. What is earned counts for the frames
that are still held, too: with look-ahead nobody comes late. A shot may be shorter than that, as an animation of three
pictures is: what was there from its first frame on is kept if it was sure in more than half of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..core.opencv import cv2
from ..temporal import Array, MotionTracker
from .follower import Follower, Held
from .shots import Pair

# Of the picture, and of the subject: up to this a part beside the subject is the subject's, as a hand whose arm
# the net does not see
SMALL, PIECE = 8e-3, 0.25
_BESIDE = 10.0    # samples: how far that is at most, and 3/4 of the square root of the subject's area


def persistent(pairs: Iterator[Pair], frames: int, window: int) -> Iterator[Pair]:
    """The pairs without the parts that have not lasted ``frames`` frames; ``window`` frames are looked ahead at."""
    waiting: deque[Held] = deque()
    follower, tracker, shape = Follower(frames, window), MotionTracker(), None
    for frame, matte in pairs:
        motion = tracker.of(frame)
        if motion.cut or matte.alpha.shape != shape:
            yield from _rest(waiting, follower)
            follower.forget()
        shape = matte.alpha.shape
        waiting.append(follower((frame, matte), motion))
        if len(waiting) > window:
            yield _released(waiting.popleft())
    yield from _rest(waiting, follower)


def _rest(waiting: deque[Held], follower: Follower) -> Iterator[Pair]:
    """The pairs that wait when the shot is over."""
    if waiting:
        follower.ends(waiting[-1])
    while waiting:
        yield _released(waiting.popleft())


def _released(held: Held) -> Pair:
    """The pair without the parts that are doubted."""
    frame, matte = held.pair
    for part in held.parts:
        part.origin, part.others = None, ()  # what is out cannot change: let go of what came before it
    if all(part.accepted for part in held.parts):
        return held.pair
    if not any(part.accepted for part in held.parts):
        return frame, replace(matte, alpha=np.zeros_like(matte.alpha))
    kept = np.array([0, *(part.accepted for part in held.parts)], np.float32)
    _keep_small(kept, held)
    # each sample goes with the part that is nearest
    _, nearest = cv2.distanceTransformWithLabels((held.labels == 0).astype(np.uint8), cv2.DIST_L2, 3,
                                                 labelType=cv2.DIST_LABEL_PIXEL)
    inside = held.labels > 0
    owner = np.zeros(int(nearest.max()) + 1, np.int32)
    owner[nearest[inside]] = held.labels[inside]
    share: Any = cv2.resize(kept[owner[nearest]], matte.alpha.shape[::-1])
    return frame, replace(matte, alpha=matte.alpha * share)


def _keep_small(kept: Array, held: Held) -> None:
    """Keep small parts beside the subject in ``kept``, 1 or 0 for each label."""
    subject = kept[held.labels] > 0
    area = int(np.count_nonzero(subject))
    most = min(SMALL * held.labels.size, PIECE * area)
    small = [label for label, part in enumerate(held.parts, start=1) if not part.accepted and part.area <= most]
    if not small:
        return
    far: Any = cv2.distanceTransform((~subject).astype(np.uint8), cv2.DIST_L2, 3)
    reach = min(_BESIDE, 0.75 * area ** 0.5)
    for label in small:
        kept[label] = far[held.labels == label].min() <= reach
