"""Pictures that have nothing to do with each other go through the method together, and get what each gets alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from streamseg.core.frames import Frame, Matte
from streamseg.core.geometry import Box
from streamseg.segment import BaseSegmenter, adapt
from streamseg.segment.person import Person
from streamseg.segment.roi import RegionOfInterest, separate_regions
from streamseg.source.arrays import frame_of
from tests.unit.model_tools import frames
from tests.unit.test_roi import Net, frame


class Each(Net):
    """As Net, for a box a frame; ``calls``: how many frames each call had."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def each(self, shown: Sequence[Frame], boxes: Sequence[Box | None]) -> list[np.ndarray]:
        self.calls.append(len(shown))
        return [self([item], box)[0] for item, box in zip(shown, boxes, strict=True)]


def test_each_picture_gets_its_own_region_and_all_are_seen_together() -> None:
    shown = [frame((201, 333, 97, 41)), frame(), frame((20, 20, 440, 600)), frame((150, 60, 150, 60)),
             frame((40, 30, 60, 30), size=(240, 320))]
    net = Each()
    found = separate_regions(net.each, shown)
    assert net.calls == [5, 3]  # nobody in the second, and the third is as good whole
    for alpha, item in zip(found, shown, strict=True):
        assert np.array_equal(alpha, RegionOfInterest(Net())([item])[0].alpha)


def test_pictures_of_one_net_size_go_through_the_net_together() -> None:
    pictures = [frames(1, *size)[0] for size in ((90, 160), (180, 320), (160, 90))]
    shown = [frame_of(picture, 0, 1) for picture in pictures]
    method = Person(threads=1, detail="low", stills=True)
    seen: list[tuple[int, ...]] = []
    run = method._net.run

    def counted(inputs: Sequence[np.ndarray], state: object = None) -> object:
        seen.append(inputs[0].shape)
        return run(inputs, state)

    method._net.run = counted  # type: ignore[method-assign]
    together = method.separate(shown)
    assert [shape[0] for shape in seen] == [2, 2, 1, 1]  # each group, and mirrored
    for item, matte in zip(shown, together, strict=True):
        method.reset()
        assert np.array_equal(matte.alpha, method.segment([item])[0].alpha)
    method.close()


@pytest.mark.parametrize("wrapped", [False, True])
def test_any_method_sees_separate_pictures_with_nothing_remembered(wrapped: bool) -> None:
    class Counting(BaseSegmenter):
        def __init__(self) -> None:
            self.since = 0

        def reset(self) -> None:
            self.since = 0

        def segment(self, frames: Sequence[Frame]) -> list[Matte]:
            self.since += len(frames)
            return [Matte(np.full((4, 4), self.since / 10, np.float32)) for _ in frames]

    class Foreign:
        def __init__(self) -> None:
            self.inner = Counting()
            self.segment, self.reset, self.close = self.inner.segment, self.inner.reset, self.inner.close

    method = adapt(Foreign(), owned=True) if wrapped else Counting()
    shown = [frame_of(picture, number, 1) for number, picture in enumerate(frames(3, 8, 8))]
    assert [float(matte.alpha[0, 0]) for matte in method.separate(shown)] == pytest.approx([0.1, 0.1, 0.1])
