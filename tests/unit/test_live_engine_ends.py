"""What ends the live engine and what does not: afterwards all is closed, and nothing makes it hang."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from streamseg.engine import threads as channel
from streamseg.errors import SourceError, SourceTimeoutError
from streamseg.live.capture import Capture
from streamseg.live.composite_stage import CompositeStage
from streamseg.live.segment_stage import SegmentStage
from streamseg.live.session import LiveSession
from streamseg.live.stats import LiveOutput
from streamseg.options import Options
from tests.messages import messages
from tests.unit import live_fakes as fakes
from tests.unit.live_fakes import (
    FRAMES,
    INFO,
    FakeClock,
    Keeper,
    PersonModel,
    ScriptedCamera,
    engine_of,
    indices,
    wait_for,
)


def test_when_no_output_is_left_the_run_ends_with_its_error() -> None:
    gone = threading.Event()

    def fail(number: int) -> None:
        raise OSError(32, "Broken pipe")

    def commands() -> bool:
        if output.ended:
            gone.set()
        return False

    # the camera would go on for ever: the engine must end by itself
    camera = ScriptedCamera(FRAMES * 10 ** 4, before=lambda number: wait_for(gone) if number == 1 else None)
    output = LiveOutput("bad", Keeper(at=fail))
    with pytest.raises(OSError, match="Broken pipe"):
        engine_of(camera, [output], commands=commands).run()
    assert fakes.alive() == []


@pytest.mark.parametrize("way", ["key", "Ctrl-C", "duration", "end of the source"])
def test_every_way_to_end_closes_outputs_camera_model_and_threads(way: str) -> None:
    keeper, model, clock = Keeper(), PersonModel(), FakeClock()
    camera = ScriptedCamera(FRAMES if way == "end of the source" else FRAMES * 10 ** 4)

    def commands() -> bool:
        if not keeper.pictures:
            return False
        if way == "Ctrl-C":
            raise KeyboardInterrupt
        clock.time += 0.1 * (way == "duration")
        return way == "key"

    engine_of(camera, [LiveOutput("kept", keeper)], model=model, clock=clock, commands=commands,
              duration=0.5 if way == "duration" else None).run()
    assert keeper.state == "closed"
    assert keeper.pictures
    assert (camera.closed, model.closed) == (1, 1)
    assert fakes.alive() == []


def test_a_lost_camera_is_an_error_after_which_the_recording_is_whole() -> None:
    keeper = Keeper()
    camera = ScriptedCamera([*FRAMES, SourceError("the camera was unplugged")])
    with pytest.raises(SourceError, match="unplugged"):
        engine_of(camera, [LiveOutput("kept", keeper)]).run()
    assert keeper.state == "closed"
    assert camera.closed == 1
    assert fakes.alive() == []


def test_a_camera_that_hangs_is_an_error_and_does_not_hang_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "JOIN_SECONDS", 0.2)  # its thread cannot be taken back: it is left behind
    release = threading.Event()
    camera = ScriptedCamera(FRAMES, before=lambda number: release.wait(60) if number == 3 else None)
    engine = engine_of(camera, [LiveOutput("kept", Keeper())], clock=FakeClock(step=0.05), timeout=5.0)
    try:
        with pytest.raises(SourceTimeoutError, match="no picture came from fake camera for 5 s"):
            engine.run()
    finally:
        release.set()
        for thread in threading.enumerate():
            if thread.name.startswith("streamseg-"):
                thread.join(fakes.PATIENCE)


def test_a_camera_that_takes_long_to_open_again_does_not_hang() -> None:
    """A dead address keeps each try for as long as the timeout; meanwhile no picture comes."""
    clock, opening, done = FakeClock(step=0.05), threading.Event(), threading.Event()
    began = 0.0

    def commands() -> bool:
        nonlocal began
        if opening.is_set():
            began = began or clock.time
            if clock.time - began > 30.0:
                done.set()
        return False

    def reopen() -> Any:
        opening.set()
        wait_for(done)
        if not failed:
            failed.append(SourceError("host does not answer"))
            raise failed[0]
        return ScriptedCamera(FRAMES[:2])

    keeper, failed, told, state = Keeper(), list[SourceError](), messages(), fakes.control()
    capture = Capture(ScriptedCamera([FRAMES[0], SourceError("lost")]), clock, state,
                      reopen=reopen)
    LiveSession(capture, SegmentStage(PersonModel(), state),
                CompositeStage(INFO, Options(), state),
           [LiveOutput("kept", keeper)], clock=clock, control=state, commands=commands,
           timeout=5.0).run()
    assert keeper.state == "closed"
    assert told[-1] == "fake camera is back"


def test_a_source_that_says_itself_that_it_hangs_is_heard() -> None:
    """It has the same timeout, and is as late as threads are."""
    clock, hanging, late, told = FakeClock(step=0.01), threading.Event(), threading.Event(), list[float]()

    def before(number: int) -> None:
        if number == 3:
            hanging.set()
            wait_for(late)
            raise SourceTimeoutError("nothing came from the camera for 5 s; plug it in anew")

    def commands() -> bool:
        if hanging.is_set() and not late.is_set():
            told.append(clock.time)
            if told[-1] - told[0] > 5.2:
                late.set()
                until = time.monotonic() + fakes.PATIENCE
                while not engine._graph.runner.channels["decode"].ended:
                    assert time.monotonic() < until
        return False

    engine = engine_of(ScriptedCamera(FRAMES, before=before), [LiveOutput("kept", Keeper())], clock=clock,
                       commands=commands, timeout=5.0)
    with pytest.raises(SourceTimeoutError, match="nothing came from the camera for 5 s; plug it in anew"):
        engine.run()


def test_a_machine_that_slept_for_an_hour_goes_on() -> None:
    clock, went_on = FakeClock(), threading.Event()
    rounds = 0

    def before(number: int) -> None:
        if number == 4:
            clock.time += 3600.0
            wait_for(went_on)

    def commands() -> bool:
        nonlocal rounds
        rounds += clock.time > 3000
        if rounds > 3:  # some rounds without any picture after the jump
            went_on.set()
        return False

    keeper = Keeper()
    engine_of(ScriptedCamera(FRAMES, before=before), [LiveOutput("kept", keeper)], clock=clock, commands=commands,
              timeout=5.0).run()
    assert keeper.state == "closed"
    assert indices(keeper)[-1] == 8
    times = [float(picture.time or 0) for picture in keeper.pictures]
    assert times == sorted(times)
    assert times[-1] > 3600
