"""The live engine and its frames: the newest wins, none grows old on the way, and how late each goes out."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from streamseg.live.stats import LiveOutput
from tests.unit import live_fakes as fakes
from tests.unit.live_fakes import (
    FRAMES,
    FakeClock,
    Keeper,
    PersonModel,
    ScriptedCamera,
    engine_of,
    indices,
    wait_for,
)


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
            while not all(channel.putting for channel in list(engine._graph.runner.channels.values())[1:]):
                assert time.monotonic() < until
            calls.append(model.calls)

    model, screen = PersonModel(), Keeper(at=at)
    camera = ScriptedCamera(FRAMES * 10 ** 4, before=lambda number: number or wait_for(stood_in))
    engine = engine_of(camera, [], model=model, screen=screen, commands=lambda: bool(calls))
    engine.run()
    assert calls[0] <= 3


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
    report = engine_of(camera, [LiveOutput("kept", keeper)], model=Slow(), clock=clock).run()
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
    engine_of(ScriptedCamera(frames, before=before), [LiveOutput("kept", Counted())], clock=clock,
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
