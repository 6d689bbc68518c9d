"""Statistics of a live run: a line each second, and the report at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.clock import Clock
from ..engine import OutputThread
from ..sink import Sink, adapt_sink
from .adaptive_quality import Load
from .meters import Latencies, Usage, rss_mib
from .types import Control, Finished


class LiveOutput:
    """One output. ``branch``: its thread, once it runs."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name, self.sink = name, adapt_sink(sink)
        self.latencies = Latencies()
        self.branch: OutputThread[Finished] | None = None

    @property
    def lost(self) -> int:
        """Pictures that the sink took and could not write (see Reconnecting)."""
        return self.sink.lost

    @property
    def dropped(self) -> int:
        """Pictures that were replaced by newer ones before they were written, or lost."""
        return self.lost + (0 if self.branch is None else self.branch.dropped)

    @property
    def ended(self) -> bool:
        return self.branch is not None and self.branch.ended

    @property
    def failure(self) -> BaseException | None:
        return None if self.branch is None else self.branch.failure

    def row(self) -> dict[str, Any]:
        """The statistics of this output."""
        return {"name": self.name, "frames": self.latencies.count, "dropped": self.dropped,
                "latency_ms": self.latencies.recent(), "failed": self.failure is not None}


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts so far: frames of the camera, those replaced by newer ones before the model, pictures written to the
    main output."""

    arrived: int = 0
    overtaken: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class LiveReport:
    """Result of a live run. Latencies are from capture to write in ms, ``cpu_percent`` is of one core, ``dropped``
    are frames that should have reached the first output and did not (at a lower frame rate the skipped ones do
    not count), ``histogram`` is (ms, pictures), ``damaged`` are skipped parts of the input."""

    seconds: float
    frames: int
    fps: float
    latency_ms: dict[str, float | None]
    dropped: int
    inferred: int
    carried: int
    still: int
    cpu_percent: float
    rss_mib: float | None
    steps: list[str]
    outputs: list[dict[str, Any]]
    histogram: list[tuple[float, int]]
    notes: list[str]
    damaged: int = 0

    @classmethod
    def of_nothing(cls) -> LiveReport:
        """That of a run that was ended before it had begun."""
        return cls(0.0, 0, 0.0, {"p50": None, "p95": None, "max": None}, 0, 0, 0, 0, 0.0, None, [], [], [], [])


class Stats:
    """Rate, latency and drops are those of the first output, or of the window if there is no other at the start.
    A recording that begins later appears in its own row only."""

    def __init__(self, clock: Clock, control: Control, outputs: Sequence[LiveOutput], cores: int) -> None:
        self._clock, self._control, self._outputs, self._cores = clock, control, outputs, cores
        self._first = outputs[0] if outputs else None
        self.window = Latencies()
        self._usage = Usage(clock)
        self._began = self._mark = clock.now()
        self._before = Counts()
        self.steps = [control.step.name]

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock.now() - self._began

    @property
    def due(self) -> bool:
        """Whether a second has passed since the last line."""
        return self._clock.now() - self._mark >= 1.0

    def second(self, arrived: int, overtaken: int) -> tuple[dict[str, Any], Load]:
        """The line for the last second, and its Load for the AdaptiveQuality."""
        now = self._clock.now()
        passed, self._mark = max(1e-9, now - self._mark), now
        main = self._main()
        counts, before = Counts(arrived, overtaken, main.count), self._before
        self._before = counts
        latency, cpu = main.recent(), self._usage.percent()
        new = counts.arrived - before.arrived
        # of this second alone: otherwise quality would be lowered for delays that are over
        slowest = main.recent(counts.written - before.written)["p95"]
        delay = 0.0 if slowest is None else slowest / 1e3 * new / passed
        line = {"time": round(now - self._began, 3), "fps": round((main.count - before.written) / passed, 2),
                "latency_ms": latency, "dropped": self._dropped(overtaken), "cpu_percent": cpu,
                "rss_mib": rss_mib(), "step": self._control.step.name, "paused": self._control.paused,
                "sinks": [output.row() for output in self._outputs]}
        return line, Load(new, overtaken - before.overtaken, delay, cpu / 100 / self._cores)

    def report(self, overtaken: int, inferred: int, carried: int, still: int, damaged: int) -> LiveReport:
        """The report on the whole run."""
        seconds, main = self.elapsed, self._main()
        return LiveReport(
            seconds=round(seconds, 3), frames=main.count, fps=round(main.count / max(seconds, 1e-9), 2),
            latency_ms=main.overall(), dropped=self._dropped(overtaken), inferred=inferred, carried=carried,
            still=still, cpu_percent=self._usage.overall(), rss_mib=rss_mib(), steps=self.steps,
            outputs=[output.row() for output in self._outputs], histogram=main.histogram(),
            notes=[note for output in self._outputs for note in output.sink.notes], damaged=damaged)

    def _main(self) -> Latencies:
        return self.window if self._first is None else self._first.latencies

    def _dropped(self, overtaken: int) -> int:
        return overtaken + (0 if self._first is None else self._first.dropped)
