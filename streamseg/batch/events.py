"""How far a batch is, told as it goes: each Event says what happened and how far all of it is by then.

    started    the plan stands, nothing is done yet
    began      a worker has begun an item, or a part of one
    progress   a worker is some frames further, or only time has passed
    ended      an item is done or has failed
    finished   nothing is left to do; the last event of a batch that was not broken off

The table of the command line, the lines that it prints where there is no terminal, and a server's stream of events
all read these.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from ..report import Progress
from .records import Outcome, Row

KINDS = ("started", "began", "progress", "ended", "finished")
HERE = "here"   # the worker's name where there is but one
SECONDS = 0.25  # between two events of progress, at least
_SPAN = 30      # items over which a worker's rate is told


@dataclass(frozen=True, slots=True)
class At:
    """What a worker is at. ``part``: '3 of 8' of a film that is done in parts. ``frames`` of ``expected``, of this
    part; None: not known."""

    input: str
    part: str | None = None
    frames: int | None = None
    expected: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"input": self.input, "part": self.part, "frames": self.frames, "expected": self.expected}


@dataclass(slots=True)
class State:
    """How far a batch is. ``workers``: frames a second of each, over its last items; ``at``: what each is at."""

    total: int
    done: int = 0
    failed: int = 0
    frames: int = 0
    elapsed: float = 0.0
    current: str = ""
    workers: dict[str, float] = field(default_factory=dict)
    failures: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=5))
    at: dict[str, At] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """Items that are over."""
        return self.done + self.failed

    @property
    def eta(self) -> float | None:
        """Seconds to the end, if all goes on as until now."""
        if not self.ended or self.ended >= self.total:
            return None
        return self.elapsed / self.ended * (self.total - self.ended)

    def snapshot(self) -> State:
        """This state as it is now."""
        made = copy(self)
        made.workers, made.failures, made.at = dict(self.workers), copy(self.failures), dict(self.at)
        return made

    def to_dict(self) -> dict[str, Any]:
        """For JSON and for server-sent events."""
        return {"total": self.total, "done": self.done, "failed": self.failed, "frames": self.frames,
                "elapsed": round(self.elapsed, 3), "eta": None if self.eta is None else round(self.eta, 1),
                "current": self.current, "workers": {name: round(fps, 2) for name, fps in self.workers.items()},
                "at": {name: at.to_dict() for name, at in self.at.items()},
                "failures": [{"input": source, "reason": reason} for source, reason in self.failures]}


@dataclass(frozen=True, slots=True)
class Event:
    """One of KINDS. ``state``: a copy, which later events leave as it is. ``row``: the item that it is about;
    ``outcome``: how that ended."""

    kind: str
    state: State
    row: Row | None = None
    outcome: Outcome | None = None

    @property
    def failed(self) -> bool:
        """Whether an item has failed just now."""
        return self.outcome is not None and self.outcome.state == "failed"

    def to_dict(self) -> dict[str, Any]:
        """For JSON: {"event", "state", "item"}; ``item`` is None where the event is about none."""
        return {"event": self.kind, "state": self.state.to_dict(),
                "item": None if self.row is None else _item(self.row, self.outcome)}

    def sse(self) -> str:
        """As a server-sent event: its name, its data as one line of JSON, and an empty line."""
        return f"event: {self.kind}\ndata: {json.dumps(self.to_dict())}\n\n"


def _item(row: Row, outcome: Outcome | None) -> dict[str, Any]:
    made: dict[str, Any] = {"id": row.id, "input": row.source, "output": row.target, "state": "waiting"}
    if outcome is not None:
        made |= {name: getattr(outcome, name)
                 for name in ("state", "frames", "fps", "seconds", "subject", "reason", "worker")}
    return made


Watch = Callable[[Event], None]


class Telling:
    """Keeps the State of a batch and tells ``watch`` of it. Runs in the batch's thread: whatever ``watch`` raises
    ends the batch."""

    def __init__(self, total: int, watch: Watch | None) -> None:
        self.state = State(total)
        self._watch = watch
        self._began, self._told = time.perf_counter(), 0.0
        self._rates: dict[str, deque[tuple[int, float]]] = {}

    def started(self) -> None:
        """The plan stands."""
        self._tell("started")

    def began(self, row: Row, worker: str = HERE, part: str | None = None) -> None:
        """``worker`` has begun an item, or a part of one."""
        self.state.current = row.source
        self.state.at[worker] = At(row.source, part)
        self._tell("began", row)

    def frames(self, row: Row, progress: Progress, worker: str = HERE) -> None:
        """``worker`` is some frames further."""
        before = self.state.at.get(worker, At(row.source))
        self.state.at[worker] = At(row.source, before.part, progress.frames, progress.total)
        self.passed(row)

    def passed(self, row: Row | None = None) -> None:
        """Time has passed; told every SECONDS at most."""
        now = time.perf_counter()
        if now - self._told >= SECONDS:
            self._told = now
            self._tell("progress", row)

    def idle(self, worker: str = HERE) -> None:
        """``worker`` is at nothing now, or is no more."""
        self.state.at.pop(worker, None)

    def ended(self, row: Row, outcome: Outcome, rates: Mapping[str, float] | None = None) -> None:
        """An item is over. ``rates``: of all workers; default: of each over its last items' own seconds."""
        if outcome.state == "done":
            self.state.done += 1
            self.state.frames += outcome.frames or 0
        else:
            self.state.failed += 1
            self.state.failures.append((row.source, outcome.reason or ""))
        self.state.workers = self._rated(outcome) if rates is None else dict(rates)
        self._tell("ended", row, outcome)

    def finished(self) -> State:
        """Nothing is left. The last state."""
        self.state.at.clear()
        self._tell("finished")
        return self.state

    def _rated(self, outcome: Outcome) -> dict[str, float]:
        last = self._rates.setdefault(outcome.worker or HERE, deque(maxlen=_SPAN))
        last.append((outcome.frames or 0, outcome.seconds or 0.0))
        return {name: sum(frames for frames, _ in seen) / max(sum(seconds for _, seconds in seen), 1e-6)
                for name, seen in self._rates.items()}

    def _tell(self, kind: str, row: Row | None = None, outcome: Outcome | None = None) -> None:
        self.state.elapsed = time.perf_counter() - self._began
        if self._watch is not None:
            self._watch(Event(kind, self.state.snapshot(), row, outcome))
