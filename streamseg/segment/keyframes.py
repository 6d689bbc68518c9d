"""Mattes for less work: none while the picture stands still, and only every Nth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..core.frames import Frame, Matte
from ..errors import OptionError, SegmentError
from ..temporal import COMPARED, Array, Motion, MotionTracker, Propagator, worst_psnr
from ..validation import interval
from .api import BaseSegmenter, Capabilities, Segmenter, adapt

AUTO_LONGEST = 3  # frames from one matte to the next at most, under auto: flow over more is a guess
AUTO_PSNR = 26.0  # dB: what has changed more than this is not carried under auto


class KeyframeChoice:
    """Says of each frame, from the pictures alone, whether it needs a matte of its own.

    skip_still, every   as of KeyframeSegmenter
    """

    def __init__(self, *, skip_still: float | None = None, every: int | None = 1) -> None:
        self._skip_still, self._every = skip_still, every
        self.forget()

    @classmethod
    def of(cls, segmenter: BaseSegmenter, *, skip_still: float | None = None, every: int | None = 1) -> KeyframeChoice:
        """The choice for a method. Raises OptionError where it is to leave frames out of a method that must see each
        (``stateful``)."""
        if not segmenter.capabilities.stateful:
            return cls(skip_still=skip_still, every=every)
        if every not in (None, 1) or skip_still is not None:
            name, value = ("every", every) if every not in (None, 1) else ("skip_still", skip_still)
            raise OptionError(f"{name} is {value}, but the method keeps a state from frame to frame and must be "
                              f"given each: leave --{name.replace('_', '-')} out, or take another method")
        return cls()

    def forget(self) -> None:
        """The next frame is the first."""
        self._seen: Array | None = None  # the picture of the frame that is computed last
        self._since = 0

    def __call__(self, frame: Frame, *, cut: bool, least: int = 1) -> str:
        """'cut' (forget, and compute), 'compute', 'carry' or 'keep'.

        cut     nothing of the frames before may be used
        least   frames from one matte to the next at least, whatever the pictures show
        """
        small = frame.luma(COMPARED)
        self._since += 1
        cut = cut and self._seen is not None
        if self._seen is not None and not cut and (self._skip_still is not None or self._every != 1 or least > 1):
            alike = worst_psnr(small, self._seen)
            if self._skip_still is not None and alike >= self._skip_still:
                return "keep"
            if self._since < least or (
                    self._since < (self._every or AUTO_LONGEST) and (self._every or alike >= AUTO_PSNR)):
                return "carry"
        self._seen, self._since = small, 0
        return "cut" if cut else "compute"


def interval_for(segmenter: Segmenter, every: str) -> int | None:
    """``every`` as KeyframeSegmenter takes it, of the option: auto is each frame for a method that is cheaper than
    optical flow, or learns from every frame. Raises OptionError."""
    found = interval(every)
    return 1 if found is None and not adapt(segmenter).capabilities.expensive else found


class KeyframeSegmenter(BaseSegmenter):
    """A Segmenter that asks another only where it must.

    skip_still  dB: while no part of the picture differs by more than this PSNR from the one whose matte was
                computed last, that matte stays; None: never
    every       a matte is computed for each Nth frame, and moved along with the picture (optical flow) for
                the others; None: as seldom as the picture allows. A cut always calls for a new one.

    Raises OptionError where it is to leave frames out of a method that must see each (``stateful``).
    """

    def __init__(self, segmenter: Segmenter, *, skip_still: float | None = None,
                 every: int | None = 1) -> None:
        self._segmenter = adapt(segmenter, owned=True)
        self._skip_still, self._every = skip_still, every
        self._choice = KeyframeChoice.of(self._segmenter, skip_still=skip_still, every=every)
        self._carry = Propagator()
        self.computed = self.carried = self.kept = 0
        self.reset()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy begins afresh: what optical flow works with cannot be copied."""
        return partial(type(self), skip_still=self._skip_still, every=self._every), (self._segmenter,)

    @property
    def capabilities(self) -> Capabilities:
        """The other's."""
        return self._segmenter.capabilities

    def reduce(self, on: bool) -> None:
        """As the other."""
        self._segmenter.reduce(on)

    @property
    def statistics(self) -> Mapping[str, int]:
        """How many mattes were computed, carried along with the picture, and kept while it stood still."""
        return {**self._segmenter.statistics, "computed": self.computed, "carried": self.carried, "kept": self.kept}

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame; those that must be computed are asked for in one call for each shot."""
        plans: list[tuple[str, Motion]] = []
        found: list[Matte] = []
        wanted: list[Frame] = []
        for frame in frames:
            motion = self._tracker.of(frame)
            plan = self._choice(frame, cut=motion.cut)
            plans.append((plan, motion))
            if plan == "cut":
                found += self._asked(wanted)
                wanted = []
                self._segmenter.reset()
            if plan in ("cut", "compute"):
                wanted.append(frame.with_motion(motion))
        mattes = iter(found + self._asked(wanted))
        return [self._matte(plan, motion, mattes) for plan, motion in plans]

    def _asked(self, frames: list[Frame]) -> list[Matte]:
        found = self._segmenter.segment(frames) if frames else []
        if len(found) != len(frames) or not all(isinstance(matte, Matte) for matte in found):
            raise SegmentError(f"the method gave {len(found)} mattes for {len(frames)} frames at frame "
                               f"{frames[0].index}: segment() must return one Matte a frame")
        return list(found)

    def reset(self) -> None:
        """Forget all earlier frames."""
        self._segmenter.reset()
        self._tracker = MotionTracker()
        self._carry.forget()
        self._choice.forget()

    def close(self) -> None:
        """Close the other."""
        self._segmenter.close()

    def _matte(self, plan: str, motion: Motion, computed: Iterator[Matte]) -> Matte:
        if plan == "carry":
            self.carried += 1
            return self._carry.to(motion)
        if plan == "keep":
            assert self._carry.matte is not None  # a frame that keeps one follows on one that computed it
            matte = self._carry.matte
            self.kept += 1
        else:
            matte = next(computed)
            self.computed += 1
        self._carry.hold(matte)
        return matte
