"""Cuts and flow are found once a frame and carried with it; what is put together of several flows is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg import smooth
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.live.adaptive_quality import LADDER
from streamseg.live.segment_stage import SegmentStage
from streamseg.live.types import Shot
from streamseg.refine import Selection
from streamseg.segment import Capabilities
from streamseg.segment.keyframes import KeyframeSegmenter
from streamseg.temporal import Cuts, MotionTracker, OpticalFlow, Propagator, tracked, working_size
from streamseg.tools.evaluation import metrics
from tests.unit.live_fakes import control
from tests.unit.test_smooth import SIZE, disc, frame, picture

HALF = working_size(SIZE)


class Counted:
    """How many cut tests and optical flows were computed since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cuts = self.flows = 0
        between, make = Cuts.between, cv2.DISOpticalFlow.create

        class Factory:
            create = staticmethod(lambda preset: _CountedFlow(make(preset), self))

        def counting(cuts: Cuts, *pictures: Any) -> bool:
            self.cuts += 1
            return between(cuts, *pictures)

        monkeypatch.setattr(Cuts, "between", counting)
        monkeypatch.setattr(cv2, "DISOpticalFlow", Factory)


class _CountedFlow:
    def __init__(self, flow: Any, counted: Counted) -> None:
        self._flow, self._counted = flow, counted

    def calc(self, *pictures: Any) -> Any:
        self._counted.flows += 1
        return self._flow.calc(*pictures)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flow, name)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


class Truth:
    """A method that costs more than optical flow, so that with defaults some of its mattes are moved on."""

    def __init__(self, places: Sequence[float]) -> None:
        self.places, self.calls = places, 0

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(expensive=True)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.calls += len(frames)
        return [Matte(disc(self.places[item.index])) for item in frames]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def shots(places: Sequence[float], cut: int | None = None) -> list[Frame]:
    return [frame(picture(x) if cut is None or index < cut else picture(x, wall=7, subject=8), index)
            for index, x in enumerate(places)]


PLACES = [100.0 + 2 * index for index in range(30)]


@pytest.mark.parametrize("batch", [1, 8])
def test_a_run_with_defaults_looks_once_for_a_cut_and_once_for_motion(counted: Counted, batch: int) -> None:
    pictures = [np.repeat(item.planes[0][..., None], 3, axis=2) for item in shots(PLACES)]
    truth = Truth(PLACES)
    found = list(streamseg.mattes(pictures, method=truth, batch=batch))
    assert len(found) == 30
    assert truth.calls < 30  # the others were moved on, by the flow that the smoother uses too
    assert (counted.cuts, counted.flows) == (29, 29)


def test_all_that_ask_for_cuts_and_motion_share_them(counted: Counted) -> None:
    """Key frames, a smoother and the choice of a subject, one after the other."""
    keyframes, selection = KeyframeSegmenter(Truth(PLACES), every=3), Selection("largest", clean=True, steady=True)
    pairs = ((item, keyframes.segment([item])[0]) for item in tracked(shots(PLACES)))
    for item, matte in smooth.create_smoother("lookahead")(pairs):
        selection(matte, item)
    assert (counted.cuts, counted.flows) == (29, 29)


@pytest.mark.parametrize("step", [0, 3])
def test_live_looks_once_too_at_every_step_of_quality(counted: Counted, step: int) -> None:
    state, selection = control(), Selection("largest", clean=True, steady=True)
    state.step = LADDER[step]
    stage = SegmentStage(Truth(PLACES), state, smoother=smooth.create_smoother("auto", live=True))
    for item in stage(Shot(given, given.index / 30, cut=given.index == 0) for given in shots(PLACES)):
        assert item.matte is not None
        selection(item.matte, item.shot.frame)
    assert (counted.cuts, counted.flows) == (29, 29)


def test_motion_that_nobody_asks_for_is_not_computed(counted: Counted) -> None:
    assert len(list(tracked(shots(PLACES)))) == 30
    assert counted.flows == 0


def test_a_tracker_takes_the_carried_motion_only_if_it_begins_where_it_stands(counted: Counted) -> None:
    frames = list(tracked(shots(PLACES[:4])))
    every, second = MotionTracker(), MotionTracker()
    assert [every.of(item) is item.motion for item in frames] == [True] * 4
    motions = [second.of(item) for item in frames[::2]]
    assert motions[1] is not frames[2].motion
    assert motions[1].before is motions[0].now  # over two frames: twice as far
    far, near = (float(np.median(motion.displacement(HALF)[30:50, 40:60, 0]))  # type: ignore[union-attr]
                 for motion in (motions[1], frames[3].motion))
    assert near == pytest.approx(-1, abs=0.2)  # two pixels at half size
    assert far == pytest.approx(-2, abs=0.3)


def test_the_first_frame_of_a_tracker_begins_a_shot_and_a_cut_begins_another() -> None:
    frames = shots([100.0] * 6, cut=3)
    assert [item.motion.cut for item in tracked(frames)] == [True, False, False, True, False, False]  # type: ignore[union-attr]
    tracker = MotionTracker()
    assert [tracker.of(item).cut for item in frames[:2]] == [True, False]
    tracker.forget()
    assert tracker.of(frames[2]).cut
    with pytest.raises(ValueError, match="no picture before"):
        MotionTracker().of(frames[0]).displacement(HALF)


def test_frames_do_not_hold_all_that_came_before_them() -> None:
    """A frame's motion knows the picture before, and that one nothing further."""
    import gc
    import weakref

    class Watched(Frame):
        __slots__ = ("__weakref__",)

    alive: list[Any] = []

    def source() -> Iterator[Frame]:
        for item in shots([100.0] * 8):
            made = Watched(item.planes, item.format, item.time_base, item.index)
            alive.append(weakref.ref(made))
            yield made

    *_, last = tracked(source())
    del _
    gc.collect()
    assert last.index == 7
    assert sum(ref() is not None for ref in alive) <= 2


def test_two_motions_in_a_row_are_one() -> None:
    tracker = MotionTracker()
    first, second, third = (tracker.of(item) for item in shots([100.0, 106.0, 112.0]))
    both = second.then(third, HALF)
    assert (both.before, both.now, both.cut) == (first.now, third.now, False)
    carried = both.back(HALF).carry(cv2.resize(disc(100), HALF))
    wanted = cv2.resize(disc(112), HALF)
    assert 1 - metrics.iou(carried, wanted) < 0.5 * (1 - metrics.iou(cv2.resize(disc(100), HALF), wanted))


def test_a_matte_is_carried_over_many_frames_without_blurring() -> None:
    propagator, tracker = Propagator(), MotionTracker()
    places = [100.0 + 3 * index for index in range(9)]
    for index, item in enumerate(shots(places)):
        motion = tracker.of(item)
        if index == 0:
            propagator.hold(Matte(disc(places[0])))
        else:
            found = propagator.to(motion).alpha
    # flow over the eight frames at once, 24 pixels, fails: .45; unmoved it would be .49
    assert metrics.iou(found, disc(places[-1])) > 0.7
    soft = float(((found > 0.1) & (found < 0.9)).mean())
    assert soft < 2.5 * float(((disc(100) > 0.1) & (disc(100) < 0.9)).mean())
    with pytest.raises(RuntimeError, match="no matte is held"):
        Propagator().to(motion)


def test_a_frame_with_its_motion_shares_all_else() -> None:
    item = frame(picture(100), 3)
    small = item.luma((32, 18))
    motion = MotionTracker().of(item)
    made = item.with_motion(motion)
    assert made.motion is motion
    assert item.motion is None
    assert made.planes is item.planes
    assert made.with_motion(motion) is made
    np.testing.assert_array_equal(made.luma((32, 18)), small)


def test_displacement_leads_from_the_new_picture_to_the_old_one() -> None:
    found = OpticalFlow().displacement(picture(120), picture(132))
    assert float(np.median(found[60:100, 120:144, 0])) == pytest.approx(-12, abs=1.5)
