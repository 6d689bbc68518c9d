"""Capture: times, lost cameras, growing waits, pauses, black pictures, a camera that is let go."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.frames import Frame
from streamseg.core.pixel_formats import Colour, yuv_from_rgb
from streamseg.errors import SourceError
from streamseg.live.adaptive_quality import LADDER, QualityStep
from streamseg.live.capture import DARK_SECONDS, LONGEST_WAIT, Capture, Fitter
from streamseg.live.consumers import Consumers
from streamseg.live.endpoints import Reader
from streamseg.live.options import LiveOptions
from streamseg.live.types import Shot
from streamseg.options import Options
from streamseg.source.realtime import JUMP, Realtime
from tests.messages import messages
from tests.unit.live_fakes import INFO, FakeClock, ScriptedCamera, control, room_frame

FRAMES: list[Any] = [room_frame(index, seed=index) for index in range(5)]


def capture(script: list[Any], clock: FakeClock | None = None, *, told: list[str] | None = None,
            state: Any = None, before: Any = lambda number: None, **extra: Any) -> Capture:
    return Capture(ScriptedCamera(script, before=before), clock or FakeClock(), state or control(), **extra)


def test_the_first_shot_is_a_stand_in_and_shows_nothing() -> None:
    shots = list(capture(FRAMES))
    assert [shot.seen for shot in shots] == [False] + [True] * 5
    assert set(np.unique(shots[0].frame.planes[0])) == {16}
    assert (shots[0].frame.width, shots[0].frame.height, shots[0].frame.format) == (64, 48, "yuv420p")
    assert [shot.cut for shot in shots] == [True, True] + [False] * 4


def test_frames_get_the_time_at_which_they_came() -> None:
    clock = FakeClock()
    moments = [0.0, 0.03, 0.031, 0.5, 3600.0]  # the machine slept for an hour

    def before(number: int) -> None:
        clock.time = 100.0 + moments[number] if number < 5 else clock.time

    shots = list(capture(FRAMES, clock, before=before))[1:]
    assert [float(shot.frame.time) for shot in shots] == pytest.approx([1e-6, *moments[1:]])  # type: ignore
    assert [shot.frame.index for shot in shots] == [1, 2, 3, 4, 5]
    assert all(shot.frame.time_base == Fraction(1, 1_000_000) for shot in shots)


def test_times_increase_even_when_the_clock_stands() -> None:
    times = [shot.frame.pts for shot in capture(FRAMES)]
    assert times == sorted(set(times))  # type: ignore[type-var]


def test_pixels_of_the_frame_are_handed_on_and_not_changed() -> None:
    before = [frame.planes[0].copy() for frame in FRAMES]
    for shot, frame, kept in zip(list(capture(FRAMES))[1:], FRAMES, before, strict=True):
        assert shot.frame.planes[0] is frame.planes[0]
        assert np.array_equal(kept, frame.planes[0])


def test_without_reconnect_a_lost_camera_is_the_end() -> None:
    with pytest.raises(SourceError, match="unplugged"):
        list(capture([*FRAMES, SourceError("unplugged")]))


def test_with_reconnect_it_tries_again_with_growing_waits_and_shows_the_background_meanwhile() -> None:
    clock, told, tries, waiting = FakeClock(), messages(), [], []

    def reopen() -> Any:
        tries.append(clock.time)
        waiting.append(made.waiting)
        if len(tries) < 8:
            raise SourceError("not there")
        return ScriptedCamera(FRAMES[:2])

    made = capture([FRAMES[0], SourceError("unplugged")], clock, reopen=reopen)
    assert not made.waiting
    shots = list(made)
    gaps = np.diff([100.0, *tries])
    assert gaps == pytest.approx([1, 2, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT])
    seen = [shot.seen for shot in shots]
    assert seen[:2] == [False, True]
    assert seen[-2:] == [True, True]
    assert not any(seen[2:-2])
    assert len(seen[2:-2]) >= 100  # at least one a second
    assert shots[-2].cut
    assert waiting == [True] * 8
    assert not made.waiting
    assert told[0] == "unplugged; trying again, only the background is shown"
    assert "next try in 16 s" in told[4]
    assert told[-1] == "fake camera is back"


def test_the_end_of_what_never_ends_is_a_loss_and_of_a_file_it_is_the_end() -> None:
    cameras = [ScriptedCamera(FRAMES[:2])]

    def reopen() -> Any:
        if not cameras:
            raise KeyboardInterrupt
        return cameras.pop()

    assert len(list(capture(FRAMES, reopen=reopen))) == 6
    shots: list[Shot] = []
    with pytest.raises(KeyboardInterrupt):
        shots.extend(capture(FRAMES, reopen=reopen, lasting=True))
    assert cameras == []


def test_a_lower_rate_takes_every_nth_frame_evenly() -> None:
    state = control()
    state.step = QualityStep("third", divisor=3)
    made = capture([room_frame(index, seed=index) for index in range(12)], state=state)
    shots = list(made)[1:]
    assert len(shots) == 4
    assert (made.arrived, made.thinned) == (12, 8)


def test_paused_no_picture_of_the_camera_is_used() -> None:
    state = control()
    shots = list(capture(FRAMES, state=state, before=lambda number: setattr(state, "paused", number == 2)))
    assert [shot.seen for shot in shots] == [False, True, True, False, True, True]
    assert shots[4].cut


def black(index: int) -> Frame:
    frame = room_frame(index)
    return replace(frame, planes=(np.full_like(frame.planes[0], 16), *frame.planes[1:]))


def test_black_pictures_are_told_of_once_and_dark_ones_are_not() -> None:
    clock, told = FakeClock(), messages()

    def before(number: int) -> None:
        clock.time += 0.1

    count = round(DARK_SECONDS * 10) + 40
    list(capture([black(index) for index in range(count)], clock, before=before))
    assert len(told) == 1
    assert "pictures are black" in told[0]
    told.clear()
    dim = replace(black(0), planes=(np.full((48, 64), 24, np.uint8), *black(0).planes[1:]))
    list(capture([replace(dim, index=index) for index in range(count)], clock, before=before))
    assert told == []


def test_black_pictures_are_told_of_at_half_the_rate_too() -> None:
    clock, told, state = FakeClock(), messages(), control()
    state.step = QualityStep("half the rate", divisor=2)

    def before(number: int) -> None:
        clock.time += 1 / 30

    list(capture([black(index) for index in range(300)], clock, state=state, before=before))
    assert len(told) == 1
    assert "pictures are black" in told[0]


def lost_for_half_a_minute(first: list[Any], second: list[Any], clock: FakeClock) -> list[str]:
    """What is told of two cameras with 30 pictures a second, but for the loss itself."""
    told = messages()

    def before(number: int) -> None:
        clock.time += 1 / 30

    again = [*[SourceError("not there")] * 4, ScriptedCamera(second, before=before)]

    def reopen() -> Any:
        if not again:
            raise KeyboardInterrupt
        item = again.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    with pytest.raises(KeyboardInterrupt):
        list(capture([*first, SourceError("unplugged")], clock, before=before, reopen=reopen,
                     lasting=True))
    assert clock.time > 131
    return [line for line in told if line.startswith("the camera")]


def test_a_loss_is_no_slowness_of_the_camera() -> None:
    frames = [room_frame(index) for index in range(150)]
    assert lost_for_half_a_minute(frames, frames, FakeClock()) == []


def test_a_black_picture_before_a_loss_and_one_after_it_are_no_closed_shutter() -> None:
    assert lost_for_half_a_minute([black(0)], [black(0), *FRAMES[1:]], FakeClock()) == []


def test_a_black_picture_before_a_pause_and_one_after_it_are_no_closed_shutter() -> None:
    clock, told, state = FakeClock(), messages(), control()

    def before(number: int) -> None:
        state.paused = 1 <= number <= 10
        clock.time += 0.5 if state.paused else 1 / 30

    list(capture([black(index) for index in range(30)], clock, state=state, before=before))
    assert told == []


def grey_ramp(colour: Colour, size: tuple[int, int] = (64, 48)) -> Frame:
    """Columns from black to white in ``colour``, and in chroma a red."""
    width, height = size
    ramp = np.linspace(0, 1, width)
    grey = yuv_from_rgb(colour, height, 8) @ np.stack([ramp, ramp, ramp, np.ones(width)])
    red = yuv_from_rgb(colour, height, 8) @ [0.75, 0.25, 0.25, 1.0]
    luma = np.tile(np.rint(grey[0]).astype(np.uint8), (height, 1))
    luma[height // 2:] = round(red[0])
    chroma = [np.full((height // 2, width // 2), 128, np.uint8) for _ in range(2)]
    for number in range(2):
        chroma[number][height // 4:] = round(red[1 + number])
    return Frame((luma, *chroma), "yuv420p", Fraction(1, 30), 0, 0, colour)


@pytest.mark.parametrize("colour", [Colour(6, 2), Colour(6, 1), Colour(1, 1), Colour(1, 2)], ids=str)
@pytest.mark.parametrize("size", [(64, 48), (128, 96)], ids=str)
@pytest.mark.parametrize("wanted", [Colour(6, 1), Colour(1, 2)], ids=str)
def test_a_camera_of_other_colours_is_brought_to_the_first_ones(colour: Colour, size: tuple[int, int],
                                                                wanted: Colour) -> None:
    frame = grey_ramp(colour, size)
    made = Fitter(replace(INFO, colour=wanted))(frame)
    assert made.colour == wanted
    assert (made.width, made.height) == (64, 48)
    same = frame.rgb((64, 48)).astype(int), made.rgb().astype(int)
    for part in (np.s_[2:22, 2:-2], np.s_[26:-2, 2:-2]):  # but for the rims, where scaling mixes
        assert np.abs(same[0][part] - same[1][part]).max() <= 6
    assert int(made.planes[0].max()) == pytest.approx(255 if wanted.full_range else 235, abs=3)


@pytest.mark.parametrize(("gap", "slow"), [(1 / 30, False), (1 / 15, True)])
def test_a_slow_camera_is_told_of_once(gap: float, slow: bool) -> None:
    clock, told = FakeClock(), messages()

    def before(number: int) -> None:
        clock.time += gap

    list(capture([room_frame(index) for index in range(450)], clock, before=before, lasting=True))
    assert len(told) == slow
    assert not slow or told[0].startswith("the camera gives 15 pictures a second of 30")


def test_at_the_start_a_camera_is_waited_for_with_reconnect_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told, tries = FakeClock(), messages(), []
    camera = ScriptedCamera(FRAMES)

    def open_camera(self: Reader, *rest: Any) -> Any:
        tries.append(clock.time)
        if len(tries) < 4:
            raise SourceError("/dev/video0 is in use")
        return camera

    monkeypatch.setattr(Reader, "_camera", open_camera)
    reader = Reader(None, Options(), LiveOptions(reconnect=True), clock)
    assert reader.first() is camera
    assert np.diff(tries) == pytest.approx([1, 2, 4])
    assert told[0] == "/dev/video0 is in use; next try in 1 s"
    tries.clear()
    with pytest.raises(SourceError, match="in use"):
        Reader(None, Options(), LiveOptions(), clock).first()
    assert len(tries) == 1


def test_on_demand_the_camera_is_let_go_and_comes_back() -> None:
    state, clock, told = control(), FakeClock(), messages()
    first, second = ScriptedCamera(FRAMES), ScriptedCamera(FRAMES[:3])

    def sleep(seconds: float) -> None:
        clock.time += seconds
        state.has_consumers = clock.time > 110

    clock.sleep = sleep  # type: ignore[method-assign]
    made = Capture(first, clock, state, reopen=lambda: second, lasting=False, release=True)
    shots = iter(made)
    assert [shot.seen for shot in islice(shots, 3)] == [False, True, True]
    state.has_consumers = False
    waiting = list(islice(shots, 10))
    assert first.closed == 1
    assert not any(shot.seen for shot in waiting)
    assert np.diff([shot.at for shot in waiting]) == pytest.approx(1.0)  # one a second
    rest = list(shots)
    assert [shot.seen for shot in rest[-3:]] == [True] * 3
    assert any("the camera is released" in line for line in told)


def test_on_demand_no_picture_is_taken_while_nobody_looks_from_the_start() -> None:
    state, taken = control(), list[int]()
    state.has_consumers = False
    camera = ScriptedCamera(FRAMES, before=taken.append)
    made = Capture(camera, FakeClock(), state, reopen=lambda: camera, release=True)
    assert not any(shot.seen for shot in islice(made, 5))
    assert taken == []
    assert camera.closed == 1


# --- a file as a camera -------------------------------------------------------------------------

def test_a_files_frames_come_at_their_own_times() -> None:
    clock = FakeClock()
    moments = []
    for frame in Realtime(ScriptedCamera(FRAMES), clock):
        moments.append(clock.time)
        assert frame in FRAMES
    assert np.diff(moments) == pytest.approx(1 / 30)


def test_what_is_late_comes_at_once_and_after_a_jump_it_goes_on_from_there() -> None:
    clock, frames = FakeClock(), [room_frame(index) for index in range(60)]
    moments = []
    for number, _ in enumerate(Realtime(ScriptedCamera(frames), clock)):
        moments.append(clock.time)
        if number == 10:
            clock.time += 0.2  # the reader was slow: six frames are late and come at once
        if number == 30:
            clock.time += 3600.0  # the machine slept: the film does not race after the hour
    steps = np.diff(moments)
    assert sum(steps < 0.001) == 5
    assert moments[30] - moments[0] == pytest.approx(1.0)
    assert steps[31:] == pytest.approx(1 / 30)
    assert JUMP < 3600


def test_realtime_counts_as_live() -> None:
    made = Realtime(ScriptedCamera(FRAMES, info=replace(INFO, live=False)), FakeClock())
    assert made.info.live
    assert LADDER[0].divisor == 1


# --- who looks ------------------------------------------------------------------------------------

def test_another_process_with_the_camera_open_is_demand(tmp_path: Path) -> None:
    device, other = tmp_path / "video9", tmp_path / "video1"
    for path in (device, other):
        path.touch()
    demand = Consumers([str(device)], tmp_path / "proc")
    for process, target in (("17", other), (str(os.getpid()), device), ("self", device)):
        entry = tmp_path / "proc" / process / "fd" / "4"
        entry.parent.mkdir(parents=True)
        entry.symlink_to(target)
    assert not demand()  # another device, ourselves, and what is no process
    (tmp_path / "proc" / "18" / "fd").mkdir(parents=True)
    (tmp_path / "proc" / "18" / "fd" / "7").symlink_to(device)
    assert demand()


def test_without_reconnect_a_source_that_can_be_reopened_is_still_an_error() -> None:
    with pytest.raises(SourceError, match="unplugged"):
        list(capture([*FRAMES, SourceError("unplugged")], reopen=lambda: None, reconnect=False))
