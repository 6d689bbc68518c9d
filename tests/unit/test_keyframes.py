"""KeyframeSegmenter asks the method only where it must, and what it gives for the other frames is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from streamseg.core.frames import Frame, Matte
from streamseg.errors import OptionError, SegmentError
from streamseg.segment import Capabilities
from streamseg.segment.keyframes import KeyframeSegmenter
from streamseg.tools.evaluation import metrics
from streamseg.validation import interval
from tests.unit.test_smooth import disc, frame, picture


class Truth:
    """Answers with the disc where it is in that frame, and keeps which frames it was asked for."""

    capabilities = Capabilities(runs_on="a fake")

    def __init__(self, places: Sequence[float]) -> None:
        self.places, self.asked, self.calls, self.resets, self.closed = places, [], 0, 0, 0

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.calls += 1
        self.asked += [item.index for item in frames]
        return [Matte(disc(self.places[item.index])) for item in frames]

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


def shown(places: Sequence[float], cut: int | None = None) -> list[Frame]:
    """The frames; from ``cut`` on before another wall, with another subject."""
    return [frame(picture(x) if cut is None or index < cut else picture(x, wall=7, subject=8), index)
            for index, x in enumerate(places)]


def test_every_third_matte_is_computed_and_the_others_move_with_the_picture() -> None:
    places = [100.0 + 4 * index for index in range(9)]
    truth = Truth(places)
    sparse = KeyframeSegmenter(truth, every=3)
    mattes = [sparse.segment([item])[0].alpha for item in shown(places)]
    assert truth.asked == [0, 3, 6]
    for index in (2, 5, 8):
        stays = metrics.iou(mattes[index - 2], disc(places[index]))
        assert 1 - metrics.iou(mattes[index], disc(places[index])) < 0.5 * (1 - stays)
    assert (sparse.computed, sparse.carried, sparse.kept) == (3, 6, 0)
    assert sparse.statistics == {"computed": 3, "carried": 6, "kept": 0}


def test_a_batch_is_asked_for_in_one_call_with_the_same_answers() -> None:
    places = [100.0 + 4 * index for index in range(7)]
    frames = shown(places)
    one, many = KeyframeSegmenter(Truth(places), every=3), KeyframeSegmenter(batched := Truth(places), every=3)
    single = [one.segment([item])[0].alpha for item in frames]
    for alpha, matte in zip(single, many.segment(frames), strict=True):
        np.testing.assert_array_equal(alpha, matte.alpha)
    assert (batched.calls, batched.asked) == (1, [0, 3, 6])


class Remembering(Truth):
    """Answers with the first disc that it has seen since it was told to forget."""

    def __init__(self, places: Sequence[float]) -> None:
        super().__init__(places)
        self.first: int | None = None

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        found = []
        for item in frames:
            self.first = item.index if self.first is None else self.first
            found.append(Matte(disc(self.places[self.first])))
        return found

    def reset(self) -> None:
        self.first = None


@pytest.mark.parametrize("batch", [1, 3, 6])
def test_a_method_forgets_at_the_cut_wherever_in_a_batch_it_lies(batch: int) -> None:
    places = [100.0] * 3 + [130.0] * 3
    frames, sparse = shown(places, cut=3), KeyframeSegmenter(Remembering(places), every=2)
    mattes = [matte for start in range(0, 6, batch) for matte in sparse.segment(frames[start:start + batch])]
    for matte, x in zip(mattes, places, strict=True):
        assert metrics.iou(matte.alpha, disc(x)) > 0.9


def test_no_matte_is_computed_while_the_picture_stands_still() -> None:
    places = [100.0] * 5 + [130.0] * 4
    truth = Truth(places)
    sparse = KeyframeSegmenter(truth, skip_still=40)
    mattes = sparse.segment(shown(places))
    assert truth.asked == [0, 5]
    assert metrics.iou(mattes[-1].alpha, disc(130)) == 1
    assert (sparse.computed, sparse.carried, sparse.kept) == (2, 0, 7)


def test_what_creeps_is_not_taken_for_still() -> None:
    """Each picture is compared with the one whose matte is kept, not with the one before it."""
    places = [100.0 + 0.25 * index for index in range(60)]
    truth = Truth(places)
    mattes = KeyframeSegmenter(truth, skip_still=30).segment(shown(places))
    assert 2 < len(truth.asked) < 30
    assert min(metrics.iou(matte.alpha, disc(x)) for matte, x in zip(mattes, places, strict=True)) > 0.94


def test_a_cut_calls_for_a_new_matte_and_a_method_that_forgets() -> None:
    places = [120.0] * 8
    truth = Truth(places)
    sparse = KeyframeSegmenter(truth, every=8, skip_still=20)
    before = truth.resets
    sparse.segment(shown(places, cut=3))
    assert truth.asked == [0, 3]
    assert truth.resets == before + 1  # what was learnt from another shot is of no use


def test_auto_computes_more_often_where_the_picture_moves_more() -> None:
    asked = []
    for speed in (0.0, 25.0):
        truth = Truth([60.0 + speed * (index % 6) for index in range(12)])
        KeyframeSegmenter(truth, every=None).segment(shown(truth.places))
        asked.append(len(truth.asked))
    assert asked[0] == 4 < 10 <= asked[1]


def test_reset_forgets_and_the_rest_is_the_methods_own() -> None:
    truth = Truth([100.0] * 4)
    sparse = KeyframeSegmenter(truth, every=4)
    before = truth.resets
    frames = shown(truth.places)
    sparse.segment(frames[:2])
    sparse.reset()
    sparse.segment(frames[2:])
    assert truth.asked == [0, 2]
    assert truth.resets == before + 1
    assert sparse.capabilities.runs_on == "a fake"
    assert not hasattr(sparse, "despill")
    sparse.close()
    assert truth.closed == 1


def test_a_wrong_number_of_mattes_is_named() -> None:
    truth = Truth([100.0] * 4)
    truth.segment = lambda frames: []  # type: ignore[method-assign]
    with pytest.raises(SegmentError, match="gave 0 mattes for 2 frames at frame 0"):
        KeyframeSegmenter(truth, every=2).segment(shown(truth.places))


@pytest.mark.parametrize(("text", "wanted"), [("1", 1), ("7", 7), ("auto", None)])
def test_an_interval_is_a_number_or_auto(text: str, wanted: int | None) -> None:
    assert interval(text) == wanted


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "often", "101"])
def test_any_other_interval_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="allowed is 1 to 100, or auto"):
        interval(text)
