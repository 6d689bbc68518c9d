"""The live engine and its outputs: a slow or broken one holds nobody up; they come and go while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from streamseg.errors import SinkError
from streamseg.live.stats import LiveOutput, LiveReport
from tests.messages import messages
from tests.unit import live_fakes as fakes
from tests.unit.live_fakes import (
    FRAMES,
    FakeClock,
    Keeper,
    ScriptedCamera,
    engine_of,
    indices,
    wait_for,
)


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

    outputs = [LiveOutput("fast", fast), LiveOutput("slow", slow)]
    engine_of(ScriptedCamera(FRAMES, before=before), outputs).run()
    assert indices(fast) == list(range(9))
    assert indices(slow)[-1] == 8
    assert outputs[0].dropped == 0
    assert outputs[1].dropped >= 6
    assert len(slow.pictures) + outputs[1].dropped == 10


def test_an_output_that_fails_is_told_of_and_the_others_go_on() -> None:
    def fail(number: int) -> None:
        raise OSError(28, "No space left on device")

    good, bad, told = Keeper(), Keeper(at=fail), messages()
    report = engine_of(ScriptedCamera(FRAMES), [LiveOutput("good", good), LiveOutput("bad", bad)]).run()
    assert good.state == "closed"
    assert bad.state == "aborted"
    assert [row["failed"] for row in report.outputs] == [False, True]
    assert any("bad has failed: [Errno 28] No space left" in line for line in told)
    assert fakes.alive() == []


def test_of_two_outputs_with_one_name_both_failures_are_told() -> None:
    def fail(words: str) -> Any:
        def failing(number: int) -> None:
            raise OSError(words)
        return failing

    told = messages()
    outputs = [LiveOutput("rtmp://host", Keeper(at=fail(words))) for words in ("refused", "unknown key")]
    engine_of(ScriptedCamera(FRAMES), [LiveOutput("good", Keeper()), *outputs]).run()
    gone = [line.partition(";")[0] for line in told]
    assert gone == ["rtmp://host has failed: refused", "rtmp://host has failed: unknown key"]


def test_an_output_can_come_and_go_while_it_runs() -> None:
    shown = [threading.Event() for _ in range(len(FRAMES) + 1)]
    first, later = Keeper(), Keeper()
    second = LiveOutput("later", later)
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
    engine = engine_of(camera, [LiveOutput("first", first)], screen=screen, commands=commands)
    engine.run()
    assert steps == ["added", "removed"]
    assert later.state == "closed"
    assert 1 <= len(later.pictures) <= 4
    assert len(first.pictures) > len(later.pictures)


# --- recordings that begin and end during a run -----------------------------------------------------

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
    window, done, told = Window(pictures, at), list[Any](), messages()
    output = LiveOutput("talk.mkv", recording)

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
    engine = engine_of(camera, [], screen=window, commands=commands, **extra)
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
    assert told == ["talk.mkv has failed: no space left on the disk"]
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
