"""The figures of a live run: latency, rate, CPU, memory, and their words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamseg.live.adaptive_quality import LADDER
from streamseg.live.controls import PreviewScreen, stats_lines, status_line
from streamseg.live.meters import Latencies, Usage, rss_mib
from streamseg.live.stats import LiveOutput, Stats
from streamseg.live.types import Finished
from tests.unit.live_fakes import FakeClock, Keeper, control, room_frame


def test_latencies_are_those_of_numpy_and_take_no_more_room_with_time() -> None:
    values = np.random.default_rng(1).gamma(4, 0.004, 5000)
    made = Latencies()
    for value in values:
        made.add(float(value))
    p50, p95 = np.percentile(values, (50, 95)) * 1e3
    assert made.overall()["p50"] == pytest.approx(p50, abs=0.15)
    assert made.overall()["p95"] == pytest.approx(p95, abs=0.15)
    assert made.overall()["max"] == pytest.approx(values.max() * 1e3, abs=0.06)
    recent = np.percentile(values[-300:], (50, 95)) * 1e3
    assert list(made.recent().values()) == pytest.approx(list(recent), abs=0.01)
    assert sum(count for _, count in made.histogram()) == 5000
    assert len(made._recent) == 300


def test_what_the_governor_is_told_is_of_the_last_second_alone() -> None:
    clock = FakeClock()
    output = LiveOutput("null", Keeper())
    figures = Stats(clock, control(), [output], cores=2)
    delays = []
    for second, latency in enumerate((0.2, 0.2, 0.01)):
        for _ in range(30):
            output.latencies.add(latency)
        clock.time += 1.0
        line, load = figures.second(30 * (second + 1), 0)
        delays.append(load.delay)
    assert delays == pytest.approx([6.0, 6.0, 0.3], rel=0.02)  # in frame intervals
    assert line["latency_ms"]["p50"] == 200.0  # what the user sees is of the last ten seconds
    assert line["fps"] == pytest.approx(30.0)


def test_before_the_first_picture_there_is_no_latency() -> None:
    assert Latencies().recent() == {"p50": None, "p95": None}
    assert Latencies().overall()["p95"] is None


def test_cpu_is_of_one_core_since_the_last_look() -> None:
    clock, spent = FakeClock(), [0.0]
    usage = Usage(clock, lambda: spent[0])
    clock.time, spent[0] = 102.0, 1.0
    assert usage.percent() == 50.0
    clock.time, spent[0] = 103.0, 3.0
    assert usage.percent() == 200.0
    assert usage.overall() == 100.0


def test_resident_memory_is_what_psutil_says() -> None:
    psutil = pytest.importorskip("psutil", reason="the oracle psutil is not installed")
    assert rss_mib() == pytest.approx(psutil.Process().memory_info().rss / 2 ** 20, rel=0.05)


def test_the_figures_in_words_and_in_the_window() -> None:
    line = {"fps": 29.97, "latency_ms": {"p50": 18.2, "p95": 24.0}, "dropped": 3, "cpu_percent": 61.2,
            "rss_mib": 180.4, "step": "full", "paused": False}
    words = stats_lines(line)
    assert words == ["30.0 fps  18 ms (95 %: 24)  3 dropped", "CPU 61 %  180 MiB  full"]
    shown: list[Any] = []

    class FakeWindow:
        closed = False

        def show(self, frame: Any, lines: Any) -> None:
            shown.append((frame, lines))

    screen = PreviewScreen(FakeWindow(), True)  # type: ignore[arg-type]
    screen.show_stats(line)
    picture, view = room_frame(0), room_frame(1)
    screen.show(Finished(picture, 0.0))
    screen.toggle_stats()
    screen.show(Finished(picture, 0.0, view))
    assert shown == [(picture, words), (view, [])]


@pytest.mark.parametrize("rss", [None, 123456.0])
@pytest.mark.parametrize(("step", "paused"), [("full", True), *((step.name, False) for step in LADDER)])
def test_the_status_line_fits_every_terminal(step: str, rss: float | None, paused: bool) -> None:
    line = {"fps": 29.97, "latency_ms": {"p50": 1188.2, "p95": 12345.0}, "dropped": 123456, "cpu_percent": 1600.2,
            "rss_mib": rss, "step": step, "paused": paused}
    state = "paused" if paused else step
    for columns in (200, 80, 60, 40, 20, 9, 1):
        words = status_line(line, columns)
        assert len(words) < columns
        assert words.startswith("30.0 fps"[:columns - 1])
        assert state in words or columns < 50
    assert "(95 %: 12345)" in status_line(line, 200)
    assert ("MiB" in status_line(line, 200)) == (rss is not None)
    assert "MiB" not in status_line(line, 60)
    nothing = {**line, "latency_ms": {"p50": None, "p95": None}}
    assert status_line(nothing, 200).startswith("30.0 fps  -  123456 dropped")
