"""The model's place in a live run: what it costs, and what happens when it fails."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..core.area import Area
from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from ..segment import Segmenter, adapt
from ..segment.keyframes import KeyframeChoice
from ..smooth import Smoother
from ..temporal import Motion, MotionTracker, Propagator
from .types import OLDEST, Control, Matted, Shot

LOG = logging.getLogger(__name__)

# A still picture is told by means over cells of so many pixels squared: noise averages out, a blink does not.
CELL = 10
STILL = 3        # levels of 255 that a cell may differ from the picture that was last worked on
REFRESH = 30     # still frames after which all is computed anew


class SegmentStage:
    """Shots to mattes. Never raises for what the model does: without a matte the shot's is None.

    ``every``, as of KeyframeSegmenter, says which frames go through the model; at a lower ``control.step`` no more
    than every Nth. In between its last matte is moved along with the picture. While the picture stands still nothing is
    computed. A method that is ``stateful`` is given every frame that comes. ``area``: the part of the picture that the
    model sees; the matte is 0 outside. A matte is used for OLDEST seconds at most, whatever the step and however still
    the picture.

    Raises OptionError as KeyframeChoice.of.

    ``working``: the shot that is at work now, None between two.
    """

    def __init__(self, segmenter: Segmenter, control: Control, *,
                 smoother: Smoother | None = None, skip_still: bool = True, area: Area | None = None,
                 every: int | None = 1) -> None:
        self._segmenter, self._control = adapt(segmenter, owned=True), control
        self._every_frame = self._segmenter.capabilities.stateful  # what it knows of the past must not have gaps
        self._area = area
        self._smoother, self._skip_still = smoother, skip_still and not self._every_frame
        self.inferred = self.carried = self.still = self.failures = 0
        self.working: Shot | None = None
        self._inferred_at = 0.0  # when the frame came that the model's last matte is of
        self._failing = self._reset_due = False
        self._tracker, self._carry = MotionTracker(), Propagator()
        self._choice = KeyframeChoice.of(self._segmenter, every=every)
        self._forget()

    def __call__(self, shots: Iterator[Shot]) -> Iterator[Matted]:
        """One Matted for each shot, in order."""
        for shot in shots:
            self.working = shot
            made = self._matted(shot)
            self.working = None
            yield made

    def warm_up(self, frame: Frame) -> None:
        """Have the model work once on a frame like those to come, before any thread runs: the first time
        takes a runtime ten times as long, and is when it writes to stderr. A failure is told of."""
        try:
            self._segmenter.segment([self._seen(frame)])
            self._segmenter.reset()
        except Exception as error:
            self._failed(error)

    def close(self) -> None:
        """Close the model."""
        self._segmenter.close()

    def _forget(self) -> None:
        """Nothing of what was before may be used for what comes."""
        self._matte: Matte | None = None
        self._cells: npt.NDArray[np.uint8] | None = None
        self._age = 0
        self._tracker.forget()
        self._carry.forget()
        self._choice.forget()
        self._steady = None if self._smoother is None else _Steady(self._smoother)

    def _matted(self, shot: Shot) -> Matted:
        if not shot.seen:
            self._forget()
            return Matted(shot, None)
        if shot.cut:
            self._forget()
            self._reset_due = True
        fresh, before = shot.at - self._inferred_at <= OLDEST, self.inferred
        if self._stands_still(shot.frame) and fresh:
            self.still += 1
            return Matted(shot, self._matte, still=True)
        try:
            if self._reset_due:  # until it works: what it knows is of another camera
                self._segmenter.reset()
                self._reset_due = False
            seen = self._seen(shot.frame)
            motion = self._tracker.of(seen)
            matte = self._found(seen.with_motion(motion), motion, shot.at, fresh)
            if self._area is None:
                shot = replace(shot, frame=shot.frame.with_motion(motion))
            self._matte = matte if self._area is None else self._area.placed(matte, shot.frame)
        except Exception as error:  # whatever a model does: a call goes on
            self._failed(error)
        return Matted(shot, self._matte, computed=self.inferred > before)

    def _seen(self, frame: Frame) -> Frame:
        """What the model sees of a frame."""
        return frame if self._area is None else self._area.cut(frame)

    def _stands_still(self, frame: Frame) -> bool:
        if not self._skip_still:
            return False
        cells = frame.luma((max(16, frame.width // CELL), max(9, frame.height // CELL)))
        self._age += 1
        if self._matte is not None and self._cells is not None and self._age < REFRESH \
                and float(cv2.norm(cells, self._cells, cv2.NORM_INF)) <= STILL:
            return True
        self._cells, self._age = cells, 0
        return False

    def _found(self, frame: Frame, motion: Motion, at: float, fresh: bool) -> Matte:
        """The model's matte, steadied; or its last one carried on, if that is ``fresh`` and it is not this frame's
        turn. ``at``: when the frame came."""
        least = 1 if self._every_frame else self._control.step.every
        cut = motion.cut or not fresh or self._carry.matte is None
        if self._choice(frame, cut=cut, least=least) == "carry":
            self.carried += 1
            return self._carry.to(motion, careful=True)
        self._segmenter.reduce(self._control.step.reduced)
        found = self._segmenter.segment([frame])
        if len(found) != 1 or not isinstance(found[0], Matte):
            raise TypeError("segment() did not return one Matte")
        matte = found[0]
        if self._steady is not None:  # it sees these frames only: the motion from one of them to the next
            matte = self._steady(frame if self._carry.matte is None
                                 else frame.with_motion(self._carry.since(motion)), matte)
        self.inferred += 1
        self._inferred_at = at
        if self._failing:
            self._failing = False
            LOG.info("the model works again")
        self._carry.hold(matte)
        return matte

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._forget()
        if not self._failing:  # once, not thirty times a second
            self._failing = True
            LOG.warning(f"the model failed ({type(error).__name__}: {error}); only the background is shown")


class _Steady:
    """A smoother, which is a generator, one matte at a time."""

    def __init__(self, smoother: Smoother) -> None:
        self._waiting: deque[tuple[Frame, Matte]] = deque()
        self._pairs = smoother(iter(self._waiting.popleft, None))

    def __call__(self, frame: Frame, matte: Matte) -> Matte:
        self._waiting.append((frame, matte))
        return next(self._pairs)[1]
