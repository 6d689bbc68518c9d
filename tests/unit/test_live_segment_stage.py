"""What goes through the model and what does not: still pictures, every Nth frame, mattes that move along."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from streamseg import smooth
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import Colour
from streamseg.errors import OptionError
from streamseg.live.adaptive_quality import LADDER
from streamseg.live.segment_stage import REFRESH, SegmentStage
from streamseg.live.types import Matted, Shot
from streamseg.segment import BaseSegmenter, Capabilities
from tests.messages import messages
from tests.unit.live_fakes import PersonModel, control

SIZE = (320, 180)


def scene(shift: int, noise: int = 0) -> Frame:
    """A textured room and before it a textured person (brighter than 150), ``shift`` pixels to the right."""
    random = np.random.default_rng(3)
    room = cv2.GaussianBlur(random.integers(20, 130, SIZE[::-1], np.uint8), (0, 0), 2)
    shirt = cv2.GaussianBlur(random.integers(160, 255, SIZE[::-1], np.uint8), (0, 0), 2)
    mask = truth(shift)
    luma = np.where(mask, np.roll(shirt, shift, 1), room)
    if noise:
        added = np.random.default_rng(noise).normal(0, 1.5, luma.shape)
        luma = np.clip(np.rint(luma + added), 0, 255)
    chroma = np.full((90, 160), 128, np.uint8)
    return Frame((luma.astype(np.uint8), chroma, chroma), "yuv420p", Fraction(1, 30), 0, 0, Colour(6, 1))


def truth(shift: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[60:, 110 + shift:210 + shift] = True
    return mask


class Bright(PersonModel):
    def segment(self, frames: Any) -> Any:
        super().segment(frames)
        return [Matte((cv2.GaussianBlur(frame.planes[0], (0, 0), 2) > 150).astype(np.float32))
                for frame in frames]


def shots(frames: Iterable[Frame], *, cut_at: int = 0, unseen: int = -1) -> Iterable[Shot]:
    for number, frame in enumerate(frames):
        yield Shot(replace(frame, index=number), number / 30, seen=number != unseen, cut=number == cut_at)


def matted(frames: Iterable[Frame], model: PersonModel, *, step: int = 0, **extra: Any) -> list[Matted]:
    state = control()
    state.step = LADDER[step]
    where = {name: extra.pop(name) for name in ("cut_at", "unseen") if name in extra}
    return list(SegmentStage(model, state, **extra)(iter(shots(frames, **where))))


def test_a_still_picture_with_a_cameras_noise_costs_one_inference_a_second() -> None:
    model = PersonModel()
    made = matted([scene(0, noise=number + 1) for number in range(2 * REFRESH)], model)
    assert model.calls == 2
    assert [item.still for item in made] == [number % REFRESH != 0 for number in range(2 * REFRESH)]


def test_a_picture_that_moves_a_little_is_not_still() -> None:
    model = PersonModel()
    made = matted([scene(number) for number in range(6)], model)
    assert model.calls == 6
    assert not any(item.still for item in made)


def test_a_small_change_anywhere_is_seen() -> None:
    """Of the size of an eye that closes."""
    frame, model = scene(0), PersonModel()
    luma = frame.planes[0].copy()
    luma[80:84, 150:158] //= 2
    assert not matted([frame, replace(frame, planes=(luma, *frame.planes[1:]))], model)[1].still


def test_slow_changes_add_up() -> None:
    """Each picture differs from the one before by less than what counts as still."""
    frames = []
    for number in range(9):
        frame = scene(0)
        frames.append(replace(frame, planes=(frame.planes[0] + np.uint8(number), *frame.planes[1:])))
    model = PersonModel()
    made = matted(frames, model)
    assert made[1].still
    assert 3 <= model.calls <= 5


def test_without_skip_still_everything_goes_through_the_model() -> None:
    model = PersonModel()
    matted([scene(0)] * 5, model, skip_still=False)
    assert model.calls == 5


@pytest.mark.parametrize(("step", "calls"), [(0, 9), (1, 5), (2, 5), (3, 3), (4, 3)])
def test_at_a_lower_step_every_nth_goes_through_the_model(step: int, calls: int) -> None:
    model = Bright()
    assert len(matted([scene(2 * number) for number in range(9)], model, step=step)) == 9
    assert model.calls == calls


def test_auto_asks_the_model_more_often_where_the_picture_changes_more() -> None:
    calls = {}
    for pixels in (0.5, 15):
        shifts, model = [int(pixels * number) for number in range(7)], Bright()
        made = matted(map(scene, shifts), model, every=None, skip_still=False)
        calls[pixels] = model.calls
        for shift, item in zip(shifts, made, strict=True):
            alpha, mask = item.matte.alpha > 0.5, truth(shift)  # type: ignore[union-attr]
            assert (alpha & mask).sum() / (alpha | mask).sum() > 0.95
    assert calls == {0.5: 3, 15: 7}


def test_a_lower_step_asks_the_model_no_more_often_than_auto_does() -> None:
    for step, calls in ((0, 3), (1, 3), (4, 2)):
        model = Bright()
        matted([scene(number // 2) for number in range(7)], model, step=step, every=None, skip_still=False)
        assert model.calls == calls


def test_a_model_with_a_memory_cannot_be_left_out() -> None:
    class Remembers(PersonModel, BaseSegmenter):
        capabilities = Capabilities(stateful=True)

    with pytest.raises(OptionError, match="every is 2"):
        SegmentStage(Remembers(), control(), every=2)
    model = Remembers()
    matted([scene(number) for number in range(5)], model, every=None)
    assert model.calls == 5


def test_a_matte_that_is_carried_on_moves_with_the_person() -> None:
    made = matted([scene(3 * number) for number in range(8)], Bright(), step=3, skip_still=False)
    carried = made[3]  # three frames, nine pixels, after the model's last
    alpha = carried.matte.alpha > 0.5  # type: ignore[union-attr]

    now, then = truth(9), truth(0)
    assert (alpha & now).sum() / (alpha | now).sum() > 0.9
    assert (then & now).sum() / (then | now).sum() < 0.85  # what it would be had it stayed where it was
    assert (alpha & ~now).sum() < 0.02 * now.sum()  # hardly any of the room


def test_after_a_stand_in_or_a_cut_nothing_is_carried_on() -> None:
    for where in ({"unseen": 2}, {"cut_at": 2}):
        model = Bright()
        made = matted([scene(0)] * 4, model, step=3, **where)
        assert made[2].matte is None or model.resets == 1
        assert not made[2].still
        assert model.calls == 2


def test_warming_up_is_no_frame_and_its_failure_is_told() -> None:
    told = messages()
    model = PersonModel()
    matting = SegmentStage(model, control())
    matting.warm_up(scene(0))
    assert (model.calls, model.resets, matting.inferred) == (1, 1, 0)
    assert told == []

    def fail(call: int) -> None:
        raise RuntimeError("no memory")

    SegmentStage(PersonModel(fail), control()).warm_up(scene(0))
    assert "the model failed (RuntimeError: no memory)" in told[0]


def test_a_model_that_cannot_be_reset_gives_no_mattes_until_it_can() -> None:
    """What it still knows is of the camera before."""
    class Stuck(PersonModel):
        def reset(self) -> None:
            super().reset()
            if 1 < self.resets < 4:
                raise RuntimeError("no reset")

    model, told = Stuck(), messages()
    matting = SegmentStage(model, control(), skip_still=False)
    made = list(matting(iter([*shots([scene(0)] * 2), *shots([scene(0)] * 4)])))
    assert [item.matte is None for item in made] == [False, False, True, True, False, False]
    assert (model.calls, model.resets) == (4, 4)
    assert told == ["the model failed (RuntimeError: no reset); only the background is shown",
                    "the model works again"]


def test_a_smoother_gets_every_matte_of_the_model_and_begins_anew_after_a_cut() -> None:
    begun: list[int] = []

    def counting(pairs: Any) -> Any:
        begun.append(0)
        for frame, matte in pairs:
            begun[-1] += 1
            yield frame, matte

    matted([scene(4 * number) for number in range(6)], Bright(), cut_at=4, smoother=counting)
    assert begun == [4, 2] or begun == [0, 4, 2]


@pytest.mark.parametrize("name", ["ema", "adaptive", "flow"])
def test_the_live_smoothers_give_each_frame_its_matte_at_once(name: str) -> None:
    made = matted([scene(2 * number) for number in range(5)], Bright(), smoother=smooth.create_smoother(name))
    for number, item in enumerate(made):
        alpha = item.matte.alpha > 0.5  # type: ignore[union-attr]
        mask = truth(2 * number)
        assert (alpha & mask).sum() / (alpha | mask).sum() > 0.9
        assert item.shot.frame.index == number


def test_a_model_that_can_sees_a_smaller_picture_at_the_steps_that_say_so() -> None:
    class Sized(PersonModel, BaseSegmenter):
        def __init__(self) -> None:
            super().__init__()
            self.reduced, self.seen = False, list[bool]()

        def reduce(self, on: bool) -> None:
            self.reduced = on

        def segment(self, frames: Any) -> Any:
            self.seen.append(self.reduced)
            return super().segment(frames)

    state, model = control(), Sized()
    matting = SegmentStage(model, state, skip_still=False)
    for step in (0, 2, 0):
        state.step = LADDER[step]
        for _ in range(state.step.every):
            list(matting(iter(shots([scene(0)], cut_at=-1))))
    assert model.seen == [False, True, False]


def test_a_matte_is_used_for_a_second_at_most_however_slow_the_camera() -> None:
    """A camera of one and a half pictures a second, where a step would let the model leave out three of four."""
    model, state = Bright(), control()
    state.step = LADDER[4]
    slow = [Shot(replace(scene(3 * number), index=number), number / 1.5, cut=number == 0) for number in range(8)]
    assert len(list(SegmentStage(model, state, skip_still=False)(iter(slow)))) == 8
    assert model.calls == 4  # every second one: 0.67 s old is used, 1.33 s old is not
    model, still = Bright(), [replace(shot, frame=scene(0)) for shot in slow]
    made = list(SegmentStage(model, control())(iter(still)))
    assert model.calls == 4
    assert [item.still for item in made] == [False, True] * 4
