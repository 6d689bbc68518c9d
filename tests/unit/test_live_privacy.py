"""Privacy first: whatever happens, no picture goes out that shows the room.

The rooms are noise of black and white, the person before them an even grey, the background red. In every
picture that goes out each pixel is red, or the person's grey where the person was within the last frames, or a
mixture of both along the edge; and where nothing told where the person is, it is red alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg import composite
from streamseg.background import Solid
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import DamagedInputError, SourceError
from streamseg.live.adaptive_quality import LADDER
from streamseg.live.capture import Capture
from streamseg.live.composite_stage import CompositeStage
from streamseg.live.segment_stage import SegmentStage
from streamseg.live.session import LiveSession
from streamseg.live.types import Control
from streamseg.options import Options
from tests.messages import messages
from tests.unit import live_fakes as fakes
from tests.unit.live_fakes import INFO, FakeClock, Keeper, PersonModel, ScriptedCamera, wait_for

RED = 81  # luma of #ff0000 in BT.601, limited range
GREY = 120
PLAIN = 49  # of #202830, which is left when a background fails


def fail_at(*calls: int) -> Callable[[int], Any]:
    def fail(call: int) -> None:
        if call in calls:
            raise RuntimeError("the model broke")
    return fail


def run(script: list[Frame | Exception], state: Control, model: Any = None, *, skip_still: bool = False,
        again: list[list[Frame | Exception]] | None = None, at: Callable[[int], Any] = lambda number: None
        ) -> list[Frame]:
    """All pictures that go out, one for each shot: each frame waits until the one before is shown."""
    shown = [threading.Event() for _ in range(200)]

    class Shown(Keeper):
        def show(self, finished: Any) -> None:
            super().show(finished)
            shown[len(self.pictures) - 1].set()

    screen, clock = Shown(), FakeClock()
    given = 0

    def before(number: int) -> None:
        nonlocal given
        wait_for(shown[given])
        given = len(screen.pictures)
        at(number)

    rest = [ScriptedCamera(items, before=before) for items in again or []]
    capture = Capture(ScriptedCamera(script, before=before), clock, state,
                      reopen=(lambda: rest.pop(0)) if rest else None)
    finisher = CompositeStage(INFO, Options(), state)
    LiveSession(capture, SegmentStage(model or PersonModel(), state, skip_still=skip_still), finisher, [],
           clock=clock, control=state, screen=screen).run()
    return screen.pictures


def shows_the_room(picture: Frame) -> bool:
    """Whether any pixel is neither the background's nor the person's nor a mixture of both."""
    luma = picture.planes[0]
    return bool(((luma < RED - 2) | (luma > GREY + 2)).any())


def is_background_alone(picture: Frame) -> bool:
    return bool((np.abs(picture.planes[0].astype(int) - RED) <= 1).all())


FRAMES: list[Any] = [fakes.room_frame(index) for index in range(6)]


def test_the_check_itself_sees_a_room() -> None:
    assert shows_the_room(FRAMES[0])
    assert not is_background_alone(FRAMES[0])


def test_the_background_goes_out_before_the_camera_gives_anything_and_then_only_the_person() -> None:
    pictures = run(FRAMES, fakes.control())
    assert len(pictures) == 7
    assert is_background_alone(pictures[0])
    for picture in pictures[1:]:
        assert not shows_the_room(picture)
        assert (picture.planes[0][fakes.person()] == GREY).mean() > 0.9


@pytest.mark.parametrize("broken", [(1,), (3,), (6,), (1, 2, 3, 4, 5, 6), (2, 4)], ids=str)
@pytest.mark.parametrize("every", [0, 1, 3], ids=lambda step: LADDER[step].name)
def test_when_the_model_fails_the_background_alone_goes_out(broken: tuple[int, ...], every: int) -> None:
    state, told = fakes.control(), messages()
    state.step = LADDER[every]
    model = PersonModel(fail_at(*broken))
    pictures = run(FRAMES, state, model)
    assert len(pictures) == 7
    assert not any(shows_the_room(picture) for picture in pictures)
    alone = [is_background_alone(picture) for picture in pictures]
    if every == 0:
        assert alone == [number in (0, *broken) for number in range(7)]
    assert any("the model failed (RuntimeError: the model broke)" in line for line in told) or every
    if broken == (1, 2, 3, 4, 5, 6):
        assert all(alone)
        assert len([line for line in told if "failed" in line]) == 1


@pytest.mark.parametrize("answer", [[], None, ["no matte"], [np.zeros((4, 4), np.float32)]], ids=str)
def test_what_is_no_matte_is_not_taken_for_one(answer: Any) -> None:
    class Wrong(PersonModel):
        def segment(self, frames: Any) -> Any:
            return answer

    assert all(is_background_alone(picture) for picture in run(FRAMES, fakes.control(), Wrong()))


@pytest.mark.parametrize("every", [0, 1, 3], ids=lambda step: LADDER[step].name)
def test_when_the_camera_changes_nothing_of_the_old_matte_is_used(every: int) -> None:
    """In the second room the person sits elsewhere: the first room's matte would show that room."""
    state = fakes.control()
    state.step = LADDER[every]
    other: list[Any] = [fakes.room_frame(index, seed=50, shift=16) for index in range(4)]
    model, told = PersonModel(), messages()
    pictures = run([*FRAMES[:3], SourceError("unplugged")], state, model, again=[other])
    assert not any(shows_the_room(picture) for picture in pictures)
    assert model.resets == 2
    assert any("fake camera is back" in line for line in told)
    seen = [not is_background_alone(picture) for picture in pictures]
    assert seen[1:4] == [True] * 3
    assert seen[-4:] == [True] * 4
    assert not any(seen[4:-4])  # while it is lost
    assert len(seen[4:-4]) >= 1


def test_the_old_matte_is_forgotten_though_newer_frames_overtook_the_new_cameras_first() -> None:
    """The model is busy with the old room until stand-ins and the new camera's first frame have given way."""
    state, model_busy, overtaken = fakes.control(), threading.Event(), threading.Event()
    state.step = LADDER[1]  # the frame after one that went through the model is given its matte, moved along
    shown = [threading.Event() for _ in range(9)]

    class Busy(PersonModel):
        def segment(self, frames: Any) -> list[Matte]:
            model_busy.set()
            wait_for(overtaken)
            return super().segment(frames)

    class Shown(Keeper):
        def show(self, finished: Any) -> None:
            super().show(finished)
            shown[len(self.pictures) - 1].set()

    def old(number: int) -> None:
        wait_for([shown[0], model_busy][number])

    def new(number: int) -> None:
        if number == 2:
            overtaken.set()
            wait_for(shown[2])

    other: list[Any] = [fakes.room_frame(index, seed=50, shift=16) for index in range(3)]
    cameras = [ScriptedCamera([FRAMES[0], SourceError("unplugged")], before=old),
               ScriptedCamera(other, before=new)]
    screen, clock, model = Shown(), FakeClock(), Busy()
    capture = Capture(cameras.pop(0), clock, state, reopen=lambda: cameras.pop(0))
    report = LiveSession(capture, SegmentStage(model, state, skip_still=False),
                    CompositeStage(INFO, Options(), state), [], clock=clock, control=state,
                    screen=screen).run()
    assert report.dropped >= 2
    assert len(screen.pictures) == 4
    assert not any(shows_the_room(picture) for picture in screen.pictures)
    assert not is_background_alone(screen.pictures[2])  # the new camera's second frame, with its own matte
    assert model.resets == 2


def test_a_camera_of_another_size_is_brought_to_the_first_ones() -> None:
    large: list[Any] = [fakes.room_frame(index, (128, 96), seed=index) for index in range(3)]

    class Anywhere(PersonModel):
        def segment(self, frames: Any) -> list[Matte]:
            super().segment(frames)
            inner = cv2.erode(fakes.person().astype(np.float32), np.ones((3, 3)))  # scaling mixes edges
            return [Matte(inner)]

    pictures = run([*FRAMES[:2], SourceError("unplugged")], fakes.control(), Anywhere(), again=[large])
    assert {(picture.width, picture.height) for picture in pictures} == {(64, 48)}
    assert not any(shows_the_room(picture) for picture in pictures)
    assert not is_background_alone(pictures[-1])


def test_paused_the_background_alone_goes_out_until_it_goes_on() -> None:
    state = fakes.control()
    pictures = run(FRAMES, state, at=lambda number: setattr(state, "paused", number in (2, 3)))
    assert [is_background_alone(picture) for picture in pictures] == [True, False, False, True, True, False,
                                                                      False]


def test_frozen_nobody_is_shown_while_it_is_paused_and_what_was_frozen_comes_back() -> None:
    state = fakes.control()

    def at(number: int) -> None:
        state.scene = replace(state.scene, freeze=number >= 2)
        state.paused = number in (3, 4)

    frames: list[Any] = [fakes.room_frame(index, shift=index) for index in range(7)]
    pictures = run(frames, state, at=at)
    assert [is_background_alone(picture) for picture in pictures] == [True, False, False, False, True, True,
                                                                      False, False]
    frozen = [pictures[number].planes[0] for number in (2, 3, 6, 7)]
    assert all(np.array_equal(planes, frozen[0]) for planes in frozen)


def test_frozen_nobody_is_shown_while_the_camera_is_lost() -> None:
    state = fakes.control()

    def at(number: int) -> None:
        state.scene = replace(state.scene, freeze=True)

    pictures = run([FRAMES[0], SourceError("unplugged")], state, again=[FRAMES[:2]], at=at)
    alone = [is_background_alone(picture) for picture in pictures]
    assert alone[:2] == [True, False]
    assert alone[-2:] == [False, False]
    assert all(alone[2:-2])
    assert alone[2:-2]


def test_what_is_frozen_during_a_pause_is_the_first_picture_after_it() -> None:
    state = fakes.control()

    def at(number: int) -> None:
        state.paused = number in (1, 2)
        state.scene = replace(state.scene, freeze=number >= 2)

    frames: list[Any] = [fakes.room_frame(index, shift=index) for index in range(5)]
    pictures = run(frames, state, at=at)
    assert [is_background_alone(picture) for picture in pictures] == [True, False, True, True, False, False]
    assert (pictures[5].planes[0][fakes.person(shift=3)] == GREY).mean() > 0.9


@pytest.mark.parametrize("look", [{"mirror": True}, {"follow": True}, {"mirror": True, "follow": True},
                                  {"freeze": True}], ids=str)
def test_mirror_follow_and_freeze_keep_the_matte_with_its_picture(look: dict[str, bool]) -> None:
    frames: list[Any] = [fakes.room_frame(index, seed=index, shift=index * 3) for index in range(6)]
    pictures = run(frames, fakes.control(**look), PersonModel(fail_at(4)))
    for picture in pictures:
        luma = picture.planes[0].astype(int)
        inside = cv2.erode(((luma >= RED - 2) & (luma <= GREY + 2)).astype(np.uint8), np.ones((3, 3)))
        # resampling mixes the person's last pixel row with the room's first: only an edge may be that
        assert inside.mean() > 0.7
        assert ((luma < RED - 2) | (luma > GREY + 2)).mean() < (0.03 if look.get("follow") else 1e-9)


def test_a_broken_background_leaves_the_last_good_one(tmp_path: Path) -> None:
    state, told = fakes.control(), messages()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")

    def at(number: int) -> None:
        if number == 3:
            state.scene = replace(state.scene, background=str(broken))

    pictures = run(FRAMES, state, at=at)
    assert not any(shows_the_room(picture) for picture in pictures)
    assert all((picture.planes[0][fakes.person()] == GREY).mean() > 0.9 for picture in pictures[1:])
    assert [line for line in told if "broken.png" in line and "the previous one stays" in line]
    assert len(told) == 1


@pytest.mark.parametrize("failing", [2, 4], ids=["without a matte", "with one"])
def test_a_film_that_breaks_off_gives_way_to_a_plain_colour(monkeypatch: pytest.MonkeyPatch, failing: int
                                                            ) -> None:
    """As a damaged background does: it opens, and fails when a later picture of it is painted."""
    closed: list[int] = []

    class Film(Solid):
        painted = 0

        def paint(self, target: Any, frame: Any, cover: Any) -> None:
            self.painted += 1
            if self.painted > 2:
                raise DamagedInputError("film.mp4 is damaged at 2 s; --on-error skip leaves it out")
            super().paint(target, frame, cover)

        def close(self) -> None:
            closed.append(self.painted)

    def create(options: Options, info: Any) -> Any:
        return Film((255, 0, 0)) if options.background == "film.mp4" else Solid((0x20, 0x28, 0x30))

    monkeypatch.setattr(composite, "open_background", create)
    told = messages()
    pictures = run(FRAMES, fakes.control(background="film.mp4"), PersonModel(fail_at(failing)))
    assert len(pictures) == 7
    for number, picture in enumerate(pictures):
        assert set(np.unique(picture.planes[0][:, :8])) == {RED if number < 2 else PLAIN}
        assert set(np.unique(picture.planes[0])) <= {RED, PLAIN, GREY}
    assert closed[0] == 3
    told_of = [line for line in told if "film.mp4" in line]
    assert told_of == ["film.mp4 is damaged at 2 s; a plain colour is used instead"]


def detail(picture: Frame) -> float:
    """How much of a picture is finer than a few pixels."""
    luma = picture.planes[0].astype(np.float32)
    return float(np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 2)).mean())


@pytest.mark.parametrize("background", ["blur", "original"])
def test_where_the_room_is_the_background_it_is_blurred_while_nothing_tells_who_is_there(background: str
                                                                                         ) -> None:
    state = fakes.control(background=background, blur=0.0)
    pictures = run(FRAMES, state, PersonModel(fail_at(1, 2, 3)))
    sharp = detail(FRAMES[0])
    assert all(detail(picture) < 0.2 * sharp for picture in pictures[:4])
    assert detail(pictures[-1]) > 0.5 * sharp  # as it was asked for, once there is a matte


def test_the_matte_view_shows_the_matte_and_never_the_room() -> None:
    state = fakes.control(matte_view=True)
    views: list[Frame] = []

    class Views(Keeper):
        def show(self, finished: Any) -> None:
            views.append(finished.view)

    finisher = CompositeStage(INFO, Options(), state)
    capture = Capture(ScriptedCamera(FRAMES), FakeClock(), state)
    LiveSession(capture, SegmentStage(PersonModel(), state), finisher, [], clock=FakeClock(),
           control=state, screen=Views()).run()
    assert all(view.format == "gray" for view in views)
    assert set(np.unique(views[-1].planes[0])) <= {0, 255}
    assert ((views[-1].planes[0] > 127) == fakes.person()).mean() > 0.95


@pytest.mark.parametrize("background", ["#ff0000", "blur"])
def test_while_the_model_hangs_the_background_alone_goes_out(background: str) -> None:
    """Its last picture would stay for ever: what follows it shows nothing of the person either."""
    told, state, go_on = messages(), fakes.control(background=background), threading.Event()
    concealed = threading.Event()

    class Hanging(PersonModel):
        def segment(self, frames: Any) -> Any:
            if self.calls == 2:
                wait_for(go_on)
            return super().segment(frames)

    class Shown(Keeper):
        def show(self, finished: Any) -> None:
            super().show(finished)
            if len(self.pictures) == 4:  # the stand-in, two frames, and what stands for the third
                concealed.set()
                go_on.set()

    screen, clock = Shown(), Moving()
    capture = Capture(ScriptedCamera(FRAMES[:3], before=lambda number: clock.wait(screen, number)), clock, state)
    LiveSession(capture, SegmentStage(Hanging(), state, skip_still=False), CompositeStage(INFO, Options(), state), [],
                clock=clock, control=state, screen=screen).run()
    assert concealed.is_set()
    assert len(screen.pictures) == 5
    assert sum("the model has not answered for 1 s" in line for line in told) == 1
    for picture in (screen.pictures[0], screen.pictures[3]):
        if background == "blur":
            assert (picture.planes[0][fakes.person()] == GREY).mean() < 0.5
        else:
            assert is_background_alone(picture)
    assert (screen.pictures[4].planes[0][fakes.person()] == GREY).mean() > 0.9


class Moving(FakeClock):
    """A clock on which every look takes a twentieth of a second."""

    def __init__(self) -> None:
        super().__init__(step=0.05)

    def wait(self, screen: Keeper, number: int) -> None:
        """Until ``number`` + 1 pictures were shown."""
        for _ in range(1000):
            if len(screen.pictures) > number:
                return
            threading.Event().wait(0.02)
        raise AssertionError("no picture was shown")
