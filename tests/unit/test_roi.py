"""The closer look finds where small people are, shows the net that part, and puts the matte in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from streamseg.core.frames import Frame, Matte
from streamseg.core.geometry import Box
from streamseg.core.opencv import cv2
from streamseg.segment import BaseSegmenter
from streamseg.segment.keyframes import KeyframeSegmenter
from streamseg.segment.roi import LATEST, REFRESH, RegionOfInterest
from streamseg.tools.evaluation import metrics

SIZE, NET = (480, 640), (96, 128)
Person = tuple[int, int, int, int]  # top, left, height, width in pixels of the frame


def frame(*people: Person, size: tuple[int, int] = SIZE) -> Frame:
    """White people in the dark."""
    luma = np.zeros(size, np.uint8)
    for top, left, height, width in people:
        luma[max(0, top):top + height, max(0, left):left + width] = 255
    return Frame((luma,), "gray", Fraction(1, 25), 0)


def truth(shown: Frame) -> np.ndarray:
    return shown.planes[0] / np.float32(255)


class Net:
    """Takes brightness for people, in NET pixels, and keeps what it was shown."""

    def __init__(self) -> None:
        self.parts: list[Box | None] = []

    def __call__(self, frames: Sequence[Frame], part: Box | None) -> list[np.ndarray]:
        self.parts.append(part)
        rgb = [item.rgb((NET[1], NET[0]), part) for item in frames]
        return [np.ascontiguousarray(picture[..., 0] / np.float32(255)) for picture in rgb]


@pytest.fixture
def net() -> Net:
    return Net()


def full(alpha: np.ndarray) -> np.ndarray:
    return cv2.resize(alpha, SIZE[::-1])


def test_a_small_person_is_seen_larger_and_stays_in_his_place(net: Net) -> None:
    shown = frame((201, 333, 97, 41))
    found = RegionOfInterest(net)([shown])[0].alpha
    assert net.parts[0] is None
    part = net.parts[1]
    assert part is not None
    assert part.height * part.width < 0.2 * SIZE[0] * SIZE[1]
    assert part.top < 201 < 298 < part.top + part.height
    assert part.left < 333 < 374 < part.left + part.width
    assert found.shape == NET
    assert metrics.iou(full(found), truth(shown)) > 0.9
    rows, columns = np.indices(SIZE)
    for place, middle in ((rows, 201 + 48.5), (columns, 333 + 20.5)):
        weight = full(found)
        assert abs((place * weight).sum() / weight.sum() - (middle - 0.5)) < 0.5


def test_where_people_fill_the_picture_it_is_seen_once_and_whole(net: Net) -> None:
    closer = RegionOfInterest(net)
    for _ in range(3):
        closer([frame((40, 60, 440, 500))])
    assert net.parts == [None] * 3


def test_an_empty_picture_gives_an_empty_matte(net: Net) -> None:
    assert not RegionOfInterest(net)([frame()])[0].alpha.any()
    assert net.parts == [None]


def test_the_part_follows_a_person_who_walks(net: Net) -> None:
    closer = RegionOfInterest(net)
    for step in range(7):
        shown = frame((150, 60 + 12 * step, 150, 60))
        assert metrics.iou(full(closer([shown])[0].alpha), truth(shown)) > 0.9
    assert net.parts.count(None) == 1
    assert net.parts[-1].left > net.parts[1].left + 20


def test_the_part_rests_while_a_person_hardly_moves(net: Net) -> None:
    closer = RegionOfInterest(net)
    for step in range(6):
        closer([frame((100 + step % 2, 200 + step, 300, 100))])
    assert len(set(net.parts[1:])) == 1


@pytest.mark.parametrize("after", [(20, 20, 100, 40), (150, 262, 150, 60)], ids=["elsewhere", "cut off"])
def test_who_is_lost_is_looked_for_at_once(net: Net, after: Person) -> None:
    closer = RegionOfInterest(net)
    closer([frame((150, 200, 150, 60))])
    shown = frame(after)
    assert metrics.iou(full(closer([shown])[0].alpha), truth(shown)) > 0.9
    assert net.parts.count(None) == 2


def test_what_is_left_of_who_walks_out_does_not_hold_the_look(net: Net) -> None:
    closer = RegionOfInterest(net)
    closer([frame((150, 0, 150, 60))])
    closer([frame((250, 0, 6, 6))])
    assert net.parts[-1] is None


def test_a_newcomer_is_found_at_the_next_look_at_the_whole(net: Net) -> None:
    closer, one, two = RegionOfInterest(net), (150, 60, 150, 60), (150, 380, 150, 60)
    closer([frame(one)])
    shown = frame(one, two)
    found = [full(closer([shown])[0].alpha) for _ in range(REFRESH)]
    assert metrics.iou(found[0], truth(frame(one))) > 0.9  # not yet
    assert metrics.iou(found[-1], truth(shown)) > 0.9


class Closer(BaseSegmenter):
    """The region of interest as a method; notes when it is told to forget."""

    def __init__(self, net: Net) -> None:
        self.roi, self.resets = RegionOfInterest(net), 0

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return self.roi(frames)

    def reset(self) -> None:
        self.resets += 1
        self.roi.reset()


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("every", [1, 3, 5])
@pytest.mark.parametrize("enters", [9, 14, 20])
def test_a_newcomer_is_found_in_time_where_frames_are_left_out(net: Net, every: int, batch: int, enters: int) -> None:
    """Time bounds it, not calls alone: with --every 3 it once took three times as long."""
    one, two = (150, 60, 150, 60), (150, 400, 60, 30)
    closer = Closer(net)
    method = KeyframeSegmenter(closer, every=every)
    film = [replace(frame(one, two) if index >= enters else frame(one), index=index) for index in range(48)]
    found = [matte.alpha for first in range(0, 48, batch) for matte in method.segment(film[first:first + batch])]
    assert closer.resets == 1  # at the start: nothing here is a cut
    seen = [metrics.iou(full(alpha)[:, 320:], truth(shown)[:, 320:]) > 0.8
            for alpha, shown in zip(found[enters:], film[enters:], strict=True)]
    assert seen.index(True) < (REFRESH if every == 1 else LATEST) + every
    assert all(seen[seen.index(True):])
    assert net.parts.count(None) < 48 // REFRESH + 3  # and no oftener than that is the whole looked at


def test_frames_without_numbers_are_counted_as_they_come(net: Net) -> None:
    closer = RegionOfInterest(net)
    for _ in range(2 * REFRESH + 1):
        closer([frame((150, 60, 150, 60))])
    assert net.parts.count(None) == 3


@pytest.mark.parametrize("batch", [4, 16])
def test_a_newcomer_is_found_as_soon_in_batches(net: Net, batch: int) -> None:
    closer, one, two = RegionOfInterest(net), (150, 60, 150, 60), (150, 380, 150, 60)
    closer([frame(one)] * batch)
    net.parts.clear()
    shown = frame(one, two)
    found = [full(matte.alpha) for _ in range(max(1, REFRESH // batch)) for matte in closer([shown] * batch)]
    assert metrics.iou(found[-1], truth(shown)) > 0.9
    assert net.parts.count(None) == 1


def test_a_batch_in_which_people_come_too_near_is_seen_whole(net: Net) -> None:
    closer, far, near = RegionOfInterest(net), (150, 60, 150, 60), (20, 20, 440, 600)
    closer([frame(far)] * 8)
    shown = [frame(near)] * 8
    for matte in closer(shown):
        assert metrics.iou(full(matte.alpha), truth(shown[0])) > 0.9


def test_reset_forgets_where_people_were(net: Net) -> None:
    closer = RegionOfInterest(net)
    closer([frame((150, 200, 150, 60))])
    closer.reset()
    closer([frame((150, 200, 150, 60))])
    assert net.parts.count(None) == 2


def test_a_batch_is_looked_at_together(net: Net) -> None:
    closer = RegionOfInterest(net)
    group = [frame((150, 200 + 4 * step, 150, 60)) for step in range(4)]
    mattes = closer(group)
    assert len(net.parts) == 2
    for shown, matte in zip(group, mattes, strict=True):
        assert metrics.iou(full(matte.alpha), truth(shown)) > 0.9


def test_what_only_the_closer_look_shows_is_not_cut_off_at_its_edge() -> None:
    """A faint person, whom the net takes for somebody only where it sees the person large."""
    shown = frame((150, 200, 150, 60))
    luma = shown.planes[0].copy()
    luma[200:260, 60:560] = 100

    def look(frames: Sequence[Frame], part: Box | None) -> list[np.ndarray]:
        alphas = Net()(frames, part)
        return [np.where(alpha > 0.9, alpha, 0.9 * (alpha > 0.3) * (part is not None)).astype(np.float32)
                for alpha in alphas]

    faint = Frame((luma,), "gray", shown.time_base, 0)
    found = RegionOfInterest(look)([faint])[0].alpha
    assert found.max() == 1
    assert np.array_equal(found, look([faint], None)[0])
