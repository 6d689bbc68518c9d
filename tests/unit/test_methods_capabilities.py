"""What a method declares is read in one way, with defaults; methods and options can be copied and pickled."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.core.frames import Frame, Matte
from streamseg.errors import OptionError
from streamseg.live.adaptive_quality import LADDER
from streamseg.live.segment_stage import SegmentStage
from streamseg.options import Options
from streamseg.segment import (
    METHODS,
    BaseSegmenter,
    Borrowed,
    Capabilities,
    Segmenter,
    adapt,
    create_segmenter,
    method_class,
)
from streamseg.segment.keyframes import KeyframeSegmenter
from tests.unit.fakes import FakeSegmenter, FakeSink
from tests.unit.live_fakes import control
from tests.unit.method_tools import MOVING, STILL, plate_file
from tests.unit.scenes import frame
from tests.unit.test_live_segment_stage import scene, shots


class Declaring(FakeSegmenter):
    """Not derived from anything of ours: it declares ``capabilities`` and no more."""

    capabilities = Capabilities(expensive=True, runs_on="an abacus")


class Derived(BaseSegmenter):
    """Overrides all that one may."""

    capabilities = Capabilities(stateful=True, reducible=True)

    def __init__(self) -> None:
        self.reduced: list[bool] = []
        self.seen: list[int] = []
        self.closed = 0

    @property
    def statistics(self) -> Mapping[str, int]:
        return {"seen": len(self.seen)}

    def reduce(self, on: bool) -> None:
        self.reduced.append(on)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.seen += [item.index for item in frames]
        return [Matte(np.zeros((4, 8), np.float32)) for _ in frames]

    def close(self) -> None:
        self.closed += 1


def test_what_is_not_declared_has_a_default() -> None:
    plain = adapt(FakeSegmenter())
    assert plain.capabilities == Capabilities(expensive=False, stateful=False, takes_clip=False, reducible=False,
                                              runs_on="the CPU")
    assert plain.statistics == {}
    plain.reduce(True)  # does nothing


def test_capabilities_alone_can_be_declared_without_deriving() -> None:
    assert adapt(Declaring()).capabilities.runs_on == "an abacus"
    report = streamseg.run([np.zeros((16, 32, 3), np.uint8)] * 6, FakeSink(), method=Declaring())
    assert report.runs_on == "an abacus"
    assert report.mattes["carried"] == 4  # expensive: auto leaves frames out


def test_a_derived_class_declares_all_through_every_wrapper() -> None:
    inner = Derived()
    for outer in (adapt(inner), adapt(inner, owned=True), KeyframeSegmenter(inner), KeyframeSegmenter(adapt(inner))):
        assert outer.capabilities == inner.capabilities
        assert outer.statistics["seen"] == 0
        outer.reduce(True)
    assert inner.reduced == [True] * 4


def test_the_lender_closes_what_is_lent_and_the_owner_what_is_owned() -> None:
    inner, foreign = Derived(), FakeSegmenter()
    for segmenter in (adapt(inner), adapt(foreign), adapt(adapt(inner))):
        assert isinstance(segmenter, Borrowed)
        segmenter.close()
    assert (inner.closed, foreign.closed) == (0, 0)
    for item in (inner, foreign):
        adapt(item, owned=True).close()
    assert (inner.closed, foreign.closed) == (1, 1)


def test_capabilities_of_another_kind_are_refused() -> None:
    wrong = FakeSegmenter()
    wrong.capabilities = {"expensive": True}
    with pytest.raises(OptionError, match=r"capabilities of FakeSegmenter are .*must be a streamseg\.segment\.Capab"):
        streamseg.run([np.zeros((16, 32, 3), np.uint8)], FakeSink(), method=wrong)


@pytest.mark.parametrize(("name", "wanted"), [
    *((name, Capabilities()) for name in STILL), ("mog2", Capabilities(stateful=True)),
    ("knn", Capabilities(stateful=True)),
    ("person", Capabilities(expensive=True, reducible=True, runs_on="LiteRT (CPU, 1 thread for the net)"))])
def test_each_method_declares_what_it_is(name: str, wanted: Capabilities) -> None:
    method = create_segmenter(name, threads=1)
    assert method.capabilities == wanted
    method.close()


def test_plate_takes_the_clip_unless_it_has_a_plate(tmp_path: Any) -> None:
    picture = np.full((16, 32, 3), 90, np.uint8)
    assert create_segmenter("plate", clip=[picture] * 3).capabilities.takes_clip
    with_plate = create_segmenter("plate", {"plate": plate_file(tmp_path, picture)}, clip=[picture])
    assert not with_plate.capabilities.takes_clip


@pytest.mark.parametrize(("options", "named"), [({"every": "3"}, "every is 3"), ({"skip_still": 40.0},
                                                                                "skip_still is 40")])
@pytest.mark.parametrize("method", ["mog2", Derived()], ids=["mog2", "object"])
def test_a_stateful_method_is_never_asked_for_some_frames_only(options: dict[str, Any], named: str,
                                                               method: Any) -> None:
    with pytest.raises(OptionError, match=rf"{named}.*keeps a state from frame to frame.*leave --"):
        streamseg.run([np.zeros((16, 32, 3), np.uint8)] * 6, FakeSink(), method=method, **options)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_stateful_method_is_given_every_frame_also_where_it_is_expensive(batch: int) -> None:
    class Recurrent(Derived):
        capabilities = Capabilities(stateful=True, expensive=True)

    method = Recurrent()
    streamseg.run([np.zeros((16, 32, 3), np.uint8)] * 9, FakeSink(), method=method, batch=batch)
    assert method.seen == list(range(9))


def test_live_gives_a_stateful_method_every_frame_that_comes() -> None:
    state, method = control(), Derived()
    stage = SegmentStage(method, state)
    state.step = LADDER[-1]
    assert state.step.every > 1
    list(stage(iter(shots([scene(0)] * 6, cut_at=-1))))  # a still picture at the lowest step
    assert len(method.seen) == 6


COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))]
BY = pytest.mark.parametrize("duplicate", COPIES, ids=["copy", "deepcopy", "pickle"])


@BY
def test_a_wrapped_segmenter_can_be_copied(duplicate: Callable[[Any], Any]) -> None:
    """It once ended in KeyError."""
    for wrap in (adapt, lambda item: adapt(item, owned=True), KeyframeSegmenter):
        twin = duplicate(wrap(FakeLike()))
        assert isinstance(twin, BaseSegmenter)
        assert twin.capabilities == Capabilities()
        assert len(twin.segment([frame(np.zeros((16, 32, 3), np.uint8))])) == 1


class FakeLike:
    """A method at module level, as pickle wants it."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [Matte(np.zeros((4, 8), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


@BY
@pytest.mark.parametrize("name", METHODS)
def test_a_copied_or_pickled_method_is_made_anew_with_its_parameters(
        name: str, duplicate: Callable[[Any], Any], tmp_path: Any) -> None:
    assert {*STILL, *MOVING, "person", "greenscreen"} == set(METHODS)
    picture = np.full((48, 64, 3), 90, np.uint8)
    given: dict[str, dict[str, Any]] = {"plate": {"plate": plate_file(tmp_path, picture)},
                                        "person": {"detail": "low", "threads": 1}, "region": {"size": 99}}
    method = create_segmenter(name, given.get(name, {"size": 99}))
    first = method.segment([frame(picture)])[0].alpha
    twin = duplicate(method)
    method.close()
    assert type(twin) is method_class(name)
    assert repr(twin) == repr(method)
    np.testing.assert_array_equal(twin.segment([frame(picture)])[0].alpha, first)  # as from the beginning
    twin.close()


@BY
def test_options_can_be_copied_and_pickled(duplicate: Callable[[Any], Any]) -> None:
    made = Options(method="kmeans", set={"size": 64}, cfr=Fraction(30000, 1001), background="blur")
    assert duplicate(made) == made
    assert isinstance(duplicate(Options(method=FakeLike())).method, Segmenter)


@pytest.mark.parametrize("entry", [streamseg.run, streamseg.mattes])
@pytest.mark.parametrize("every", ["junk", "0", 101])
def test_an_interval_is_checked_before_anything_is_opened(entry: Any, every: Any) -> None:
    with pytest.raises(OptionError, match=f"every is '{every}'; allowed is 1 to 100, or auto"):
        entry("nowhere.mp4", every=every)
