"""The live engine: the newest frame wins, a slow output holds nobody, and it ends cleanly in every way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from streamseg import channel
from streamseg.errors import SinkError, SourceError, SourceTimeoutError
from streamseg.live.capture import Capture
from streamseg.live.engine import Engine
from streamseg.live.figures import LiveReport, Output
from streamseg.live.finishing import Finisher
from streamseg.live.matting import Matting
from streamseg.options import Options
from tests.unit import live_fakes as fakes
from tests.unit.live_fakes import INFO, FakeClock, Keeper, PersonModel, ScriptedCamera, wait_for

FRAMES = [fakes.room_frame(index, seed=index) for index in range(9)]


def engine_of(camera: ScriptedCamera, outputs: list[Output], *, model: PersonModel | None = None,
              clock: FakeClock | None = None, told: list[str] | None = None, **extra: Any) -> Engine:
    told, clock, state = [] if told is None else told, clock or FakeClock(), fakes.control()
    return Engine(Capture(camera, clock, state, told.append),
                  Matting(model or PersonModel(), state, told.append, skip_still=False),
                  Finisher(INFO, Options(), state, told.append), outputs, clock=clock, control=state,
                  tell=told.append, **extra)


def indices(keeper: Keeper) -> list[int]:
    """The numbers of the camera's frames (the first picture is the stand-in's)."""
    return [picture.index - 1 for picture in keeper.pictures if picture.index]


def test_while_the_model_is_busy_the_newest_frame_takes_the_older_ones_place() -> None:
    taken, all_captured, stood_in = threading.Event(), threading.Event(), threading.Event()

    def before(number: int) -> None:
        if number < 2:  # so that the model has the first and not a later one
            wait_for([stood_in, taken][number])

    class Busy(PersonModel):
        def segment(self, frames: Any) -> Any:
            taken.set()
            wait_for(all_captured)
            return super().segment(frames)

    class Camera(ScriptedCamera):
        def __iter__(self) -> Any:
            yield from super().__iter__()
            all_captured.set()

    screen = Keeper(at=lambda number: stood_in.set())
    report = engine_of(Camera(FRAMES, before=before), [], model=Busy(), screen=screen).run()
    assert indices(screen) == [0, 8]
    assert report.dropped == 7
    assert fakes.alive() == []


def test_the_model_takes_no_frame_that_would_grow_old_while_the_next_stage_is_busy() -> None:
    """The main thread is busy with a picture until both stages before it wait for theirs to be taken: one
    frame each, and no more has gone through the model."""
    stood_in, calls = threading.Event(), []

    def at(number: int) -> None:
        stood_in.set()
        if number == 1:
            until = time.monotonic() + fakes.PATIENCE
            while not all(worker.channel.putting for worker in engine._crew._workers[1:]):
                assert time.monotonic() < until
            calls.append(model.calls)

    model, screen = PersonModel(), Keeper(at=at)
    camera = ScriptedCamera(FRAMES * 10 ** 4, before=lambda number: number or wait_for(stood_in))
    engine = engine_of(camera, [], model=model, screen=screen, commands=lambda: bool(calls))
    engine.run()
    assert calls[0] <= 3


def test_a_slow_output_holds_up_neither_the_others_nor_the_camera() -> None:
    written = [threading.Event() for _ in range(len(FRAMES) + 1)]
    done = threading.Event()
    fast = Keeper()

    class Fast(Keeper):
        def write(self, frame: Any) -> None:
            super().write(frame)
            written[len(self.pictures) - 1].set()

    fast, slow = Fast(), Keeper(at=lambda number: wait_for(done))

    def before(number: int) -> None:
        wait_for(written[number])
        if number == len(FRAMES) - 1:
            done.set()

    outputs = [Output("fast", fast), Output("slow", slow)]
    engine_of(ScriptedCamera(FRAMES, before=before), outputs).run()
    assert indices(fast) == list(range(9))
    assert indices(slow)[-1] == 8
    assert outputs[0].dropped == 0
    assert outputs[1].dropped >= 6
    assert len(slow.pictures) + outputs[1].dropped == 10


def test_an_output_that_fails_is_told_of_and_the_others_go_on() -> None:
    def fail(number: int) -> None:
        raise OSError(28, "No space left on device")

    good, bad, told = Keeper(), Keeper(at=fail), []
    report = engine_of(ScriptedCamera(FRAMES), [Output("good", good), Output("bad", bad)], told=told).run()
    assert good.state == "closed"
    assert bad.state == "aborted"
    assert [row["failed"] for row in report.outputs] == [False, True]
    assert any("bad is gone: [Errno 28] No space left" in line for line in told)
    assert fakes.alive() == []


def test_of_two_outputs_with_one_name_both_failures_are_told() -> None:
    def fail(words: str) -> Any:
        def failing(number: int) -> None:
            raise OSError(words)
        return failing

    told: list[str] = []
    outputs = [Output("rtmp://host", Keeper(at=fail(words))) for words in ("refused", "unknown key")]
    engine_of(ScriptedCamera(FRAMES), [Output("good", Keeper()), *outputs], told=told).run()
    gone = [line.partition(";")[0] for line in told]
    assert gone == ["rtmp://host is gone: refused", "rtmp://host is gone: unknown key"]


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
    output = Output("bad", Keeper(at=fail))
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

    engine_of(camera, [Output("kept", keeper)], model=model, clock=clock, commands=commands,
              duration=0.5 if way == "duration" else None).run()
    assert keeper.state == "closed"
    assert keeper.pictures
    assert (camera.closed, model.closed) == (1, 1)
    assert fakes.alive() == []


def test_a_lost_camera_is_an_error_after_which_the_recording_is_whole() -> None:
    keeper = Keeper()
    camera = ScriptedCamera([*FRAMES, SourceError("the camera was unplugged")])
    with pytest.raises(SourceError, match="unplugged"):
        engine_of(camera, [Output("kept", keeper)]).run()
    assert keeper.state == "closed"
    assert camera.closed == 1
    assert fakes.alive() == []


def test_a_camera_that_hangs_is_an_error_and_does_not_hang_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "JOIN_SECONDS", 0.2)  # its thread cannot be taken back: it is left behind
    release = threading.Event()
    camera = ScriptedCamera(FRAMES, before=lambda number: release.wait(60) if number == 3 else None)
    engine = engine_of(camera, [Output("kept", Keeper())], clock=FakeClock(step=0.05), timeout=5.0)
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

    keeper, failed, told, state = Keeper(), list[SourceError](), list[str](), fakes.control()
    capture = Capture(ScriptedCamera([FRAMES[0], SourceError("lost")]), clock, state, told.append,
                      reopen=reopen)
    Engine(capture, Matting(PersonModel(), state, told.append), Finisher(INFO, Options(), state, told.append),
           [Output("kept", keeper)], clock=clock, control=state, tell=told.append, commands=commands,
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
                while not engine._crew._workers[0].channel.ended:
                    assert time.monotonic() < until
        return False

    engine = engine_of(ScriptedCamera(FRAMES, before=before), [Output("kept", Keeper())], clock=clock,
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
    engine_of(ScriptedCamera(FRAMES, before=before), [Output("kept", keeper)], clock=clock, commands=commands,
              timeout=5.0).run()
    assert keeper.state == "closed"
    assert indices(keeper)[-1] == 8
    times = [float(picture.time or 0) for picture in keeper.pictures]
    assert times == sorted(times)
    assert times[-1] > 3600


def test_latency_is_from_capture_to_write() -> None:
    clock = FakeClock()

    class Slow(PersonModel):
        def segment(self, frames: Any) -> Any:
            clock.time += 0.020
            return super().segment(frames)

    class Written(Keeper):
        def write(self, frame: Any) -> None:
            super().write(frame)
            clock.time += 0.005 * (frame.index > 0)
            written.set()

    written, keeper = threading.Event(), Written()
    camera = ScriptedCamera(FRAMES[:1], before=lambda number: wait_for(written))
    report = engine_of(camera, [Output("kept", keeper)], model=Slow(), clock=clock).run()
    assert report.latency_ms["max"] == pytest.approx(25.0, abs=0.11)
    assert sum(count for _, count in report.histogram) == report.frames == len(keeper.pictures)


def test_a_line_of_figures_comes_each_second() -> None:
    lines: list[dict[str, Any]] = []
    written = [threading.Event() for _ in range(91)]

    class Counted(Keeper):
        def write(self, frame: Any) -> None:
            super().write(frame)
            written[len(self.pictures) - 1].set()

    clock = FakeClock()

    def before(number: int) -> None:  # 30 a second, and nothing dropped
        wait_for(written[number])
        clock.time += 1 / 30

    frames = [fakes.room_frame(index, seed=index) for index in range(90)]
    engine_of(ScriptedCamera(frames, before=before), [Output("kept", Counted())], clock=clock,
              on_stats=lines.append).run()
    assert 2 <= len(lines) <= 3
    first = lines[0]
    assert set(first) == {"time", "fps", "latency_ms", "dropped", "cpu_percent", "rss_mib", "step", "paused",
                          "sinks"}
    assert set(first["latency_ms"]) == {"p50", "p95"}
    assert first["fps"] == pytest.approx(30, abs=2.1)
    assert first["dropped"] == 0
    assert first["step"] == "full"
    assert first["rss_mib"] is None or first["rss_mib"] > 10


def test_an_output_can_come_and_go_while_it_runs() -> None:
    shown = [threading.Event() for _ in range(len(FRAMES) + 1)]
    first, second = Keeper(), Output("later", Keeper())
    steps: list[str] = []

    class Shown(Keeper):
        def show(self, finished: Any) -> None:
            super().show(finished)
            shown[len(self.pictures) - 1].set()

    screen = Shown()

    def commands() -> bool:
        if len(screen.pictures) >= 3 and not steps:
            steps.append("added")
            engine.add(second)
        if len(screen.pictures) >= 6 and steps == ["added"]:
            steps.append("removed")
            engine.remove(second)
        return False

    camera = ScriptedCamera(FRAMES, before=lambda number: wait_for(shown[number]))
    engine = engine_of(camera, [Output("first", first)], screen=screen, commands=commands)
    engine.run()
    assert steps == ["added", "removed"]
    assert second.sink.state == "closed"  # type: ignore[attr-defined]
    assert 1 <= len(second.sink.pictures) <= 4  # type: ignore[attr-defined]
    assert len(first.pictures) > len(second.sink.pictures)  # type: ignore[attr-defined]


class Window(Keeper):
    """A window that tells of each picture."""

    def __init__(self, count: int, at: Callable[[int], Any] = lambda number: None) -> None:
        super().__init__(at)
        self.shown = [threading.Event() for _ in range(count)]

    def show(self, finished: Any) -> None:
        super().show(finished)
        self.shown[len(self.pictures) - 1].set()


def recorded(recording: Keeper, *, pictures: int = 10, begin: int = 2, end: int = 4,
             at: Callable[[int], Any] = lambda number: None, **extra: Any
             ) -> tuple[list[Any], LiveReport, list[str]]:
    """A run with a window, some of whose pictures are recorded. ``at(number)`` is called before each is
    shown. -> (what was done, and how many pictures had been shown when the recording was whole; the report;
    what was told)"""
    window, done, told = Window(pictures, at), list[Any](), list[str]()
    output = Output("talk.mkv", recording)

    def commands() -> bool:
        if len(window.pictures) >= begin and not done:
            done.append("added")
            engine.add(output)
        if len(window.pictures) >= end and done == ["added"]:
            done.append("removed")
            engine.remove(output, lambda: done.append(len(window.pictures)))
        return False

    camera = ScriptedCamera([fakes.room_frame(index, seed=index) for index in range(pictures - 1)],
                            before=lambda number: wait_for(window.shown[number]))
    engine = engine_of(camera, [], screen=window, commands=commands, told=told, **extra)
    return done, engine.run(), told


def test_a_recording_that_takes_long_to_finish_holds_nobody_up() -> None:
    last = threading.Event()

    class Slow(Keeper):
        def close(self) -> None:
            wait_for(last)
            super().close()

    slow = Slow()
    done, _, told = recorded(slow, at=lambda number: last.set() if number == 9 else None)
    assert done == ["added", "removed", 10]
    assert slow.state == "closed"
    assert told == []


def test_a_recording_that_cannot_be_finished_is_told_of_and_not_taken_for_a_whole_one() -> None:
    class Full(Keeper):
        def close(self) -> None:
            raise SinkError("no space left on the disk")

    done, report, told = recorded(Full())
    assert done == ["added", "removed"]
    assert told == ["talk.mkv is gone: no space left on the disk"]
    assert [(row["name"], row["failed"]) for row in report.outputs] == [("talk.mkv", True)]


def test_a_recording_changes_nothing_of_what_the_figures_are_about() -> None:
    lines, clock = list[dict[str, Any]](), FakeClock()

    def at(number: int) -> None:
        clock.time += 0.1

    _, report, _ = recorded(Keeper(), pictures=60, begin=15, end=60, at=at, clock=clock,
                            on_stats=lines.append)
    assert len(lines) >= 5
    assert all(9 <= line["fps"] <= 11 for line in lines)
    assert report.frames == 60
