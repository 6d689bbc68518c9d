"""The colours around the rim serve for a second frame where that is late and looks like the first, and no longer."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from streamseg.composite import Compositor
from streamseg.core.frames import Frame, Matte, VideoInfo
from streamseg.core.pixel_formats import Colour
from streamseg.live.composite_stage import CompositeStage
from streamseg.live.types import Matted, Shot
from streamseg.options import Options
from streamseg.refine import LastingColors
from tests.unit.live_fakes import control

SIZE = (320, 176)
ALPHA = np.zeros(SIZE[::-1], np.uint8)
ALPHA[40:, 100:220] = 255
MATTE = Matte(ALPHA[::2, ::2].astype(np.float32) / 255)


def picture(level: int, size: tuple[int, int] = SIZE) -> Frame:
    """A grey room, and a person in it of another grey."""
    luma = np.full(size[::-1], 60, np.uint8)
    luma[40:, 100:220] = level
    chroma = np.full((size[1] // 2, size[0] // 2), 128, np.uint8)
    return Frame((luma, chroma, chroma), "yuv420p", Fraction(1, 30), 0, 0, Colour(6, 1))


def found(frames: list[tuple[Frame, bool]]) -> list[int]:
    """The person's grey in the colours of each (frame, late)."""
    colours, levels = LastingColors(), []
    for frame, late in frames:
        colours.repeats.late = late
        made = colours(frame, ALPHA[:frame.height, :frame.width], 16)
        assert made.frame is frame
        levels.append(round(255 * float(made.ahead[0].max())))
    return levels


def test_they_serve_for_a_late_frame_that_looks_the_same_and_once() -> None:
    assert found([(picture(200), True), (picture(202), True), (picture(204), True)]) == [200, 200, 204]


def test_a_frame_that_is_not_late_gets_its_own() -> None:
    assert found([(picture(200), False), (picture(202), False)]) == [200, 202]


def test_a_picture_that_has_changed_gets_its_own() -> None:
    assert found([(picture(200), False), (picture(100), True)]) == [200, 100]


def test_a_picture_of_another_size_gets_its_own() -> None:
    assert found([(picture(200), False), (picture(202, (256, 176)), True)]) == [200, 202]


@pytest.mark.parametrize(("live", "same"), [(True, True), (False, False)])
def test_only_a_live_composite_takes_those_of_the_frame_before(live: bool, same: bool) -> None:
    options = Options(background="#00ff00")
    info = VideoInfo(*SIZE, "yuv420p", Fraction(1, 30), live=live)
    soft = Matte(np.clip(MATTE.alpha + 0.3, 0, 1))  # a rim everywhere: all colours come from those that were found

    def planes(late: bool) -> tuple[np.ndarray, ...]:
        compositor = Compositor(info, ("composite",), options)
        compositor.finish(picture(200), soft)
        return compositor.finish(picture(203), soft, late=late)["composite"].planes

    assert all(map(np.array_equal, planes(True), planes(False))) is not same


def test_the_blurred_room_of_a_late_frame_is_that_of_the_frame_before() -> None:
    info = VideoInfo(*SIZE, "yuv420p", Fraction(1, 30), live=True)
    compositor = Compositor(info, ("composite",), Options(background="blur"))
    luma, *chroma = picture(200).planes
    brighter = [replace(picture(200), planes=(np.where(luma == 60, np.uint8(60 + more), luma), *chroma))
                for more in (0, 3, 6)]
    corners = [int(compositor.finish(frame, MATTE, late=True)["composite"].planes[0][0, 0]) for frame in brighter]
    assert corners == [60, 60, 66]  # once: the third has its own


def test_a_stage_says_so_of_frames_that_the_model_saw_but_not_of_a_cameras_first(monkeypatch: pytest.MonkeyPatch
                                                                                 ) -> None:
    told: list[bool] = []
    finish = Compositor.finish

    def noting(self: Compositor, frame: Frame, matte: Matte, *, late: bool = False) -> dict[str, Frame]:
        told.append(late)
        return finish(self, frame, matte, late=late)

    monkeypatch.setattr(Compositor, "finish", noting)
    info = VideoInfo(*SIZE, "yuv420p", Fraction(1, 30), live=True)
    stage = CompositeStage(info, Options(background="blur"), control())
    first = Matted(Shot(picture(200), 0.0), MATTE)
    another = Shot(picture(200), 0.1, cut=True)
    items = [first, replace(first, computed=True), replace(first, shot=another, computed=True)]
    assert len(list(stage(iter(items)))) == 3
    assert told == [False, True, False]
