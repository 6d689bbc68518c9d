"""The embedded default: a ledger's items one after the other, in this process, with networks loaded once."""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from .. import api
from ..core.folders import made_folder
from ..core.opencv import opencv_threads
from ..core.thread_budget import Threads
from ..errors import SinkError, StreamsegError
from ..report import Progress, Report
from ..sink.commit import appearing, writer
from . import files, remote
from .inputs import is_address
from .judge import whole
from .ledger import Ledger, Outcome, Row, Written
from .methods import MAKING, Methods, OnDemand
from .names import EXTRA, NULL
from .plan import targets_of

HERE = "here"  # the worker's name where there is but one
_SPAN = 30     # items over which a worker's rate is told


@dataclass(slots=True)
class State:
    """How far a batch is. ``workers``: frames a second of each, over its last items."""

    total: int
    done: int = 0
    failed: int = 0
    frames: int = 0
    elapsed: float = 0.0
    current: str = ""
    workers: dict[str, float] = field(default_factory=dict)
    failures: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=5))

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

    def to_dict(self) -> dict[str, Any]:
        """For JSON and for server-sent events."""
        return {"total": self.total, "done": self.done, "failed": self.failed, "frames": self.frames,
                "elapsed": round(self.elapsed, 3), "eta": None if self.eta is None else round(self.eta, 1),
                "current": self.current, "workers": {name: round(fps, 2) for name, fps in self.workers.items()},
                "failures": [{"input": source, "reason": reason} for source, reason in self.failures]}


Watch = Callable[[State, Row | None, Outcome | None], None]
Like = Callable[[str], Outcome | None]


class Rates:
    """Frames a second of each worker over its last items."""

    def __init__(self) -> None:
        self._last: dict[str, deque[tuple[int, float]]] = {}

    def add(self, outcome: Outcome) -> dict[str, float]:
        """Count an item; the rates of all workers."""
        last = self._last.setdefault(outcome.worker or HERE, deque(maxlen=_SPAN))
        last.append((outcome.frames or 0, outcome.seconds or 0.0))
        return {name: sum(frames for frames, _ in seen) / max(sum(seconds for _, seconds in seen), 1e-6)
                for name, seen in self._last.items()}


def run_all(ledger: Ledger, *, watch: Watch | None = None, methods: Methods | None = None) -> State:
    """Do what waits in ``ledger``, this round's, and write down how each item ended.

    ``watch`` is called with (state, row, None) before each item and (state, row, outcome) after it. An item that
    fails fails alone. What else is raised (Ctrl-C, a defect) ends the batch; what is done is done.
    """
    state, rates, began = State(ledger.counts()["waiting"]), Rates(), time.perf_counter()
    methods = methods or Methods()
    ledger.sign_on(writer())
    try:
        for row in ledger.waiting():
            state.current = row.source
            state.elapsed = time.perf_counter() - began
            if watch is not None:
                watch(state, row, None)
            outcome = do(row.job, methods, like=_like(ledger, row))
            ledger.finish(row.id, outcome)
            count(state, row.source, outcome)
            state.elapsed = time.perf_counter() - began
            state.workers = rates.add(outcome)
            if watch is not None:
                watch(state, row, outcome)
    finally:
        methods.close()
        ledger.sign_off(writer())
    return state


def count(state: State, source: str, outcome: Outcome) -> None:
    """Count an item that is over."""
    if outcome.state == "done":
        state.done += 1
        state.frames += outcome.frames or 0
    else:
        state.failed += 1
        state.failures.append((source, outcome.reason or ""))


def _like(ledger: Ledger, row: Row) -> Like:
    """Finds an item of the same content and options whose outputs are as they were written."""
    def found(content: str) -> Outcome | None:
        other = ledger.of_content(content, row.options, row.id)
        return other if other is not None and all(map(files.unchanged, other.outputs)) else None
    return found


def do(job: Mapping[str, Any], methods: Methods, *, worker: str = HERE,
       like: Like | None = None,
       progress: Callable[[Progress], None] | None = None) -> Outcome:
    """Do one item, and say how it ended. Only what is no StreamsegError is raised.

    job   source, sinks, options, as Job; ``judge``: what lies at the output may be it; ``replace``: and if it is not,
          it may be replaced
    like  finds how an item of the same content ended
    """
    began = time.perf_counter()
    source, targets = job["source"], targets_of(job["sinks"], job["options"])
    before, content = files.stamp(source), files.digest(source)
    facts: dict[str, Any] = {"stamp": before, "content": content, "worker": worker}
    try:
        told = _spared(job, targets, content, None if is_address(source) else like) or _run(job, methods, progress)
        if before is not None and files.stamp(source) != before:
            raise StreamsegError(f"{source} was changed while it was read: do it again when it is whole")
        return Outcome("done", seconds=round(time.perf_counter() - began, 3), **facts, **told,
                       outputs=[files.written(path, kind) for path, kind in targets])
    except StreamsegError as error:
        return Outcome("failed", seconds=round(time.perf_counter() - began, 3),
                       reason=f"{type(error).__name__}: {error}", **facts)


def _spared(job: Mapping[str, Any], targets: list[tuple[str, str]], content: str | None,
            like: Like | None) -> dict[str, Any] | None:
    """What is said of an item whose outputs are there already, or can be copied; None if it is to be made."""
    if job.get("judge"):
        lacking = [reason for path, kind in targets if (reason := whole(job["source"], path, kind, job["options"]))]
        if not lacking:
            return {"reason": "was there already, whole"}
        if not job.get("replace"):
            raise SinkError(f"{lacking[0]}; --overwrite makes it anew")
    other = like(content) if like is not None and content is not None else None
    pairs = list(zip(sorted(targets), other.outputs, strict=False)) if other is not None else []
    if other is None or not pairs or len(targets) != len(other.outputs) or not all(map(_copies, pairs)):
        return None
    for (path, _), made in pairs:
        with made_folder(os.path.dirname(path)), appearing(path, bool(job.get("replace"))) as place:
            shutil.copyfile(made.path, place)
    return {"reason": f"the same content as {pairs[0][1].path}: copied", "frames": other.frames,
            "damaged": other.damaged, "subject": other.subject}


def _copies(pair: tuple[tuple[str, str], Written]) -> bool:
    """Whether an output may be a copy of another: one file, of the same kind and format."""
    (path, kind), made = pair
    return kind == made.kind and os.path.splitext(path)[1] == os.path.splitext(made.path)[1] and \
        os.path.isfile(made.path)


def _run(job: Mapping[str, Any], methods: Methods, progress: Callable[[Progress], None] | None) -> dict[str, Any]:
    options = {**job["options"], "overwrite": bool(job.get("replace"))}
    report, subject = run_one(job["source"], job["sinks"], options, methods, progress=progress)
    return {"frames": report.frames, "damaged": report.damaged, "fps": report.fps,
            "reason": "; ".join(report.notes) or None, "subject": subject}


def run_one(source: str, sinks: Sequence[str], options: Mapping[str, Any], methods: Methods, *,
            progress: Callable[[Progress], None] | None = None,
            given: Collection[str] = ()) -> tuple[Report, str]:
    """``streamseg.run`` with a method out of ``methods``: the report, and whether a subject was found (found, none
    or grey). Folders for the outputs are made, but for those that are ``given``, and go again if nothing comes into
    them. Raises what ``run`` raises."""
    with ExitStack() as stack:
        for target in (*sinks, *(options[name] for name in EXTRA if name in options)):
            if target != NULL and not is_address(target) and target not in given:
                stack.enter_context(made_folder(os.path.dirname(target.rstrip("/"))))
        opened: Any = source
        scratch = ""
        if any(map(remote.is_remote, (source, *sinks, *(options[name] for name in EXTRA if name in options)))):
            scratch = stack.enter_context(files.scratch())
        made = remote.Outputs(scratch, sinks, options)
        if remote.is_remote(source):
            opened = stack.enter_context(remote.opened(source, scratch))
        # every stage has a thread already: a call gets more only where the budget has more than the stages need
        stack.enter_context(opencv_threads(Threads.of(options.get("threads")).opencv))
        method = OnDemand(methods, options, source)
        rest = {key: value for key, value in options.items() if key not in MAKING} | made.extra
        report = api.run(opened, made.sinks, progress=progress, method=method, **rest)
        made.publish(replace=bool(options.get("overwrite")))
        return made.told(replace(report, input=source)), "none" if report.subject is None else report.subject.state
