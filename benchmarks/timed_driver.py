"""A batch on Ray of which the seconds are counted, its workers held to a core each."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamseg.batch.ledger import Ledger
from streamseg.batch.ray_cluster import Crew
from streamseg.batch.ray_runner import Driver, Hand


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of a batch on Ray. ``start``: until all workers were there; ``work``: from then to the end, of that
    ``survey`` before the first part of a film and ``join`` after the last; ``cores``: processor seconds of the workers
    a second of work. ``parts``, and seconds of film that were computed ``twice``."""

    start: float
    work: float
    survey: float
    join: float
    cores: float
    parts: int
    twice: float


class TimedDriver(Driver):
    """A driver that gives the first task when all workers are there, and notes what took how long. ``held``: each
    worker may use one core, which is its own as long as there are as many; else its stages, which run beside each other
    in threads, use what is idle."""

    def __init__(self, ray: Any, ledger: Ledger, crew: Crew, *, held: bool) -> None:
        super().__init__(ray, ledger, crew, None)
        self._held, self._here = held, list[int]()  # process ids
        self._began, self._first, self._last, self._end = time.perf_counter(), 0.0, 0.0, 0.0
        self._computing = 0.0  # processor seconds of the workers when they got the first task, then since
        self._part, self._parts, self._twice = 0.0, 0, 0.0

    def spent(self) -> Spent:
        """Of the batch, which has ended."""
        work = self._end - self._first
        return Spent(self._first - self._began, work, self._part - self._first if self._parts else 0.0,
                     self._end - self._last if self._parts else 0.0, self._computing / work, self._parts, self._twice)

    def _heard(self, answer: Any) -> Hand | None:
        hand = super()._heard(answer)
        if hand is not None and hand.process is not None and hand.process not in self._here:
            self._here.append(hand.process)
            if self._held:
                hold(hand.process, len(self._here) - 1)
        return hand

    def _give(self, hand: Hand) -> bool:
        if any(other.writer is None for other in self._hands.values()):
            return False  # one is still to come
        if not self._first:
            self._first, self._computing = time.perf_counter(), sum(map(computed, self._here))
        given = super()._give(hand)
        if given and hand.task is not None and hand.task.kind == "join":
            self._last = time.perf_counter()
        if given and hand.task is not None and hand.task.span is not None:
            span = hand.task.span
            self._part = self._part or time.perf_counter()
            self._parts += 1
            tail = span.tail - span.end if span.tail is not None and span.end is not None else 0
            self._twice += float((span.begin - span.lead + tail) * span.time_base)
        return given

    def _dismiss(self, idle: list[Hand]) -> None:
        self._end, self._computing = time.perf_counter(), sum(map(computed, self._here)) - self._computing
        super()._dismiss(idle)


def hold(process: int, number: int) -> None:
    """Let a process, and the threads that it will have, run on one core only: the ``number``-th that there is."""
    if not hasattr(os, "sched_setaffinity"):
        raise SystemExit("a worker is held to one core, which this system cannot do: measure on Linux")
    there = sorted(os.sched_getaffinity(0))
    for thread in os.listdir(f"/proc/{process}/task"):
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(thread), {there[number % len(there)]})


def computed(process: int) -> float:
    """Processor seconds of a process so far. As ``hold``, for Linux."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
