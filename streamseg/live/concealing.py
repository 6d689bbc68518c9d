"""What goes out while the model does not answer."""

from __future__ import annotations

import logging
from dataclasses import replace

from ..core.clock import Clock
from .segment_stage import SegmentStage
from .types import OLDEST, TICKS, Control, Matted, Shot

LOG = logging.getLogger(__name__)

LOOK_SECONDS = 0.25  # how often it is looked whether the model is late


class Concealing:
    """Call it while nothing comes from ``matting``: where that has been at work on one shot for more than OLDEST
    seconds, the shot without a matte, once in OLDEST seconds; so that only the background is shown. Else None: the
    camera is what is waited for.

    ``began``: the clock at the frames' time 0.
    """

    def __init__(self, matting: SegmentStage, control: Control, clock: Clock, began: float) -> None:
        self._matting, self._control, self._clock, self._began = matting, control, clock, began
        self._last = began
        self._told = False

    def __call__(self) -> Matted | None:
        shot, now = self._matting.working, self._clock.now()
        if shot is None or now - shot.at <= OLDEST or now - self._last <= OLDEST or self._control.scene.freeze:
            return None
        self._last = now
        if not self._told:  # a slow model would say it every second
            self._told = True
            LOG.warning(f"the model has not answered for {OLDEST:g} s; only the background is shown whenever that is so"
                        ": is the device at work, or is a faster --method or --model needed?")
        frame = replace(shot.frame, pts=round((now - self._began) / TICKS), time_base=TICKS, index=0, owner=None)
        return Matted(Shot(frame, now, seen=False, cut=True), None)
