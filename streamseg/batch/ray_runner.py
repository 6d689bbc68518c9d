"""A ledger's items on Ray: workers are actors with their networks loaded once, and a task is a file or a part of a
long film. What goes between driver and workers are names and figures; every worker decodes where it segments.

A worker that is killed, with its machine or alone, takes one task with it: the task is given out again and another
worker is started. What the dead left on the disk is removed, and the ledger hears only of what is whole.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.folders import made_folder
from ..errors import DeviceError, MissingDependencyError, OptionError, StreamsegError
from ..report import Subject
from ..segment import method_name
from ..sink.commit import remove_leftovers, temporary_folder, writer
from ..subject import remarks, require
from . import files
from .ledger import Ledger, Outcome, Row
from .methods import Methods
from .names import EXTRA, NULL
from .options import BatchOptions
from .plan import FILES, targets_of
from .runner import Rates, State, Watch, count, do
from .split import NotInParts, PartDone, Span, do_part, join_all, may_be_split, spans

TRIES = 25       # workers that may die over one task before it counts as the task's fault
PATIENCE = 600.0  # seconds without any worker before the batch gives up
STARTS = 4
_STORE = 80 * 2 ** 20  # bytes of Ray's object store of a cluster of our own: nothing large goes through it


class Worker:
    """What runs in an actor: one task at a time."""

    def __init__(self, threads: int) -> None:
        self._methods, self._threads = Methods(), threads

    def hello(self) -> tuple[str, int]:
        """(the name in this process's temporary files, its process id)."""
        return writer(), os.getpid()

    def whole(self, job: dict[str, Any], name: str) -> Outcome:
        """Do an item."""
        return do(self._told(job), self._methods, worker=name)

    def survey(self, job: dict[str, Any], seconds: float, name: str) -> Outcome | list[Span]:
        """The parts of a film; of one that is too short for that, how it ended: it is done at once."""
        try:
            found = spans(job, seconds)
        except StreamsegError:
            found = None  # doing it says what is wrong with it
        return self.whole(job, name) if found is None else found

    def part(self, job: dict[str, Any], span: Span, folder: str) -> PartDone | StreamsegError:
        """A part of a film. An error comes back as a value: Ray would wrap it."""
        try:
            return do_part(self._told(job), span, folder, self._methods)
        except StreamsegError as error:
            return _plain(error)

    def join(self, job: dict[str, Any], parts: list[Span], done: list[PartDone], name: str) -> Outcome:
        """Put a film together."""
        began = time.perf_counter()
        facts: dict[str, Any] = {"stamp": files.stamp(job["source"]), "content": files.digest(job["source"]),
                                 "worker": name}
        worked = sum(part.seconds for part in done)
        frames = sum(part.count for part in parts)
        subjects = {part.subject for part in done}
        found = Subject(next((seen for seen in ("found", "grey") if seen in subjects), "none"), 0, 0)
        method = method_name(job["options"].get("method", "default"))
        try:
            if job["options"].get("require_subject"):
                require(found, frames, method)
            notes = [*join_all(job, parts, done), *remarks(found, frames, method)]
        except StreamsegError as error:
            return Outcome("failed", reason=f"{type(error).__name__}: {error}", **facts)
        seconds = worked + time.perf_counter() - began
        notes = list(dict.fromkeys([*(note for part in done for note in part.notes), *notes, f"in {len(parts)} parts"]))
        return Outcome("done", frames=frames, damaged=sum(part.damaged for part in done), seconds=round(seconds, 3),
                       fps=round(frames / max(seconds, 1e-6), 2), reason="; ".join(notes),
                       subject=found.state, **facts,
                       outputs=[files.written(*target) for target in targets_of(job["sinks"], job["options"])])

    def _told(self, job: dict[str, Any]) -> dict[str, Any]:
        return {**job, "options": {"threads": self._threads, **job["options"]}}


def _plain(error: StreamsegError) -> StreamsegError:
    """An error that pickles: without causes and traces."""
    return type(error)(str(error))


def absolute(job: dict[str, Any]) -> dict[str, Any]:
    """A job for a worker, which runs in another folder: paths from the root."""
    def path(name: Any, *, there: bool) -> Any:
        local = isinstance(name, str) and name != NULL and "://" not in name
        if not local or (there and not os.path.exists(name)):
            return name
        return os.path.abspath(name) + ("/" if name.endswith("/") else "")

    options = {name: path(value, there=name not in EXTRA) if name in (*EXTRA, *FILES) else value
               for name, value in job["options"].items()}
    return {"source": path(job["source"], there=False), "sinks": [path(sink, there=False) for sink in job["sinks"]],
            "options": options}


@dataclass(slots=True)
class Film:
    """A film in parts: what is done of it."""

    row: Row
    parts: list[Span]
    folder: str
    done: dict[int, PartDone] = field(default_factory=dict)


@dataclass(slots=True)
class Task:
    """``kind``: whole, survey, part or join. ``tries``: workers that died over it."""

    kind: str
    row: Row
    film: Film | None = None
    span: Span | None = None
    tries: int = 0


@dataclass(slots=True)
class Hand:
    """A worker as the driver knows it. ``writer`` and ``process`` are None until it has said hello."""

    name: str
    actor: Any
    writer: str | None = None
    process: int | None = None
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class Crew:
    """How many workers there are and what each gets."""

    address: str | None
    workers: int | None
    cpus: int
    gpus: float
    split: float | None

    @classmethod
    def of(cls, told: BatchOptions) -> Crew:
        """From the options. Raises OptionError."""
        if told.on is None or not (told.on == "ray" or told.on.startswith("ray://")):
            raise OptionError(f"on is {told.on!r}; it must be ray, or ray://HEAD:10001 of a cluster")
        return cls(None if told.on == "ray" else told.on, told.workers, told.cpus_per_worker, told.gpus_per_worker,
                   told.split or None)


@contextmanager
def connected(crew: Crew) -> Iterator[Any]:
    """Ray, connected: to the cluster of the address, to the one that this process already belongs to, or to one of
    its own on this machine, which ends with the block and leaves nothing behind.

    Raises MissingDependencyError, or DeviceError where the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("--on ray needs Ray, which is not installed: "
                                     "pip install 'streamseg[cluster]'") from error
    if ray.is_initialized():
        yield ray
        return
    logger = logging.getLogger("ray")
    level, own = logger.level, None
    told: dict[str, Any] = {"log_to_driver": False, "logging_level": "error", "configure_logging": False}
    if crew.address is not None or os.environ.get("RAY_ADDRESS"):
        told["address"] = crew.address or "auto"
    else:
        own = tempfile.mkdtemp(prefix=f".s.{writer()}-", suffix=".part")  # short: sockets lie in it
        told |= {"num_cpus": (crew.workers or 0) * crew.cpus or None, "include_dashboard": False, "address": "local",
                 "object_store_memory": _STORE, "_temp_dir": own,
                 "_system_config": {"agent_register_timeout_ms": 120_000}}  # 15 s are too few on a busy machine
    logger.setLevel(logging.ERROR)
    try:
        _start(ray, told, 1 if own is None else STARTS)
        yield ray
    finally:
        ray.shutdown()
        logger.setLevel(level)
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


def _start(ray: Any, told: Mapping[str, Any], tries: int) -> None:
    """Connect; a cluster of our own is tried several times, for Ray gives up after 30 s on a busy machine."""
    for left in reversed(range(tries)):
        try:
            ray.init(**told)
            return
        except Exception as error:
            ray.shutdown()
            if not left:
                raise DeviceError(f"Ray does not start or does not answer ({type(error).__name__}: {error}): check the "
                                  "address, or wait until the machine is less busy") from error


def run_on_ray(ledger: Ledger, crew: Crew, *, watch: Watch | None = None) -> State:
    """Do what waits in ``ledger``, this round's, on Ray. As ``runner.run_all``."""
    ledger.sign_on(writer())  # what is left by a failure before the end, the next batch sweeps up
    with connected(crew) as ray:
        state = Driver(ray, ledger, crew, watch).run()
    ledger.sign_off(writer())
    return state


class Driver:
    """Gives tasks to workers and writes down how items ended. Runs in one process; only it writes the ledger."""

    def __init__(self, ray: Any, ledger: Ledger, crew: Crew, watch: Watch | None) -> None:
        self._ray, self._ledger, self._crew, self._watch = ray, ledger, crew, watch
        self._state, self._rates = State(ledger.counts()["waiting"]), Rates()
        self._rows = ledger.waiting()
        self._again: deque[Task] = deque()   # what lost its worker, and parts and joins of films that are begun
        self._hands: dict[Any, Hand] = {}    # by what they are to answer
        self._given_up: set[int] = set()     # films of which a part has failed
        self._names = itertools.count()
        self._began = time.perf_counter()
        self._actor = ray.remote(Worker).options(num_cpus=crew.cpus, num_gpus=crew.gpus, max_restarts=0,
                                                 max_task_retries=0)
        self.deaths = 0

    def run(self) -> State:
        """Until nothing waits and nobody works."""
        idle: list[Hand] = []
        alive = time.monotonic()
        try:
            for _ in range(self._size()):
                self._hire()
            while True:
                idle = [hand for hand in idle if not self._give(hand)]
                if not any(hand.task for hand in self._hands.values()) and self._next_is_none():
                    break
                answers = self._wait()
                if answers or any(hand.writer for hand in self._hands.values()):
                    alive = time.monotonic()
                elif time.monotonic() - alive > PATIENCE:
                    raise DeviceError(f"no worker came for {PATIENCE:g} s: the cluster has not {self._crew.cpus} CPUs "
                                      f"and {self._crew.gpus:g} GPUs free for one")
                idle += [hand for answer in answers if (hand := self._heard(answer)) is not None]
        finally:
            self._dismiss(idle)
        return self._state

    @property
    def busy(self) -> list[int]:
        """The process ids of the workers that are at something."""
        return [hand.process for hand in self._hands.values() if hand.task is not None and hand.process is not None]

    # --- workers ----------------------------------------------------------------------------------

    def _size(self) -> int:
        if self._crew.workers is not None:
            return self._crew.workers
        there = self._ray.cluster_resources()
        size = int(there.get("CPU", 1) // self._crew.cpus)
        if self._crew.gpus:
            size = min(size, int(there.get("GPU", 0) / self._crew.gpus))
        if size < 1:
            raise DeviceError(f"the cluster has {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs, and a "
                              f"worker wants {self._crew.cpus} and {self._crew.gpus:g}")
        return min(size, max(1, self._state.total) if self._crew.split is None else size)

    def _hire(self) -> None:
        """Start a worker, and have it say hello."""
        actor = self._actor.remote(self._crew.cpus)
        hand = Hand(str(next(self._names)), actor)
        self._hands[actor.hello.remote()] = hand

    def _wait(self) -> list[Any]:
        done, _ = self._ray.wait(list(self._hands), num_returns=1, timeout=1.0)
        self._state.elapsed = time.perf_counter() - self._began
        if self._watch is not None:
            self._watch(self._state, None, None)
        return list(done)

    def _heard(self, answer: Any) -> Hand | None:
        """A worker has answered, or died. The worker, if it can be given something."""
        hand = self._hands.pop(answer)
        task, hand.task = hand.task, None
        try:
            found = self._ray.get(answer)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.WorkerCrashedError,
                self._ray.exceptions.NodeDiedError, self._ray.exceptions.OutOfMemoryError) as error:
            self._buried(hand, task, error)
            return None
        if task is None:
            hand.writer, hand.process = found
            self._ledger.sign_on(found[0])
        else:
            self._took(task, found)
        return hand

    def _buried(self, hand: Hand, task: Task | None, error: BaseException) -> None:
        """A worker died: what it left is removed, its task is given out again, another is hired."""
        self.deaths += 1
        self._tidy(hand, task)
        if task is not None:
            task.tries += 1
            # it may have died between the output's last step and its answer
            task.row.job.update(judge=any(os.path.lexists(path) for path, _ in targets_of(
                task.row.job["sinks"], task.row.job["options"])), replace=True)
            if task.tries < TRIES:
                self._again.appendleft(task)
            else:
                self._finish(task.row, Outcome("failed", reason=f"{TRIES} workers died over it, the last by: "
                                                                f"{type(error).__name__}: {error}".splitlines()[0]))
        self._hire()

    def _dismiss(self, idle: list[Hand]) -> None:
        """End all workers. What one is at is broken off, and what it left is removed."""
        for hand in (*idle, *self._hands.values()):
            self._ray.kill(hand.actor)
        busy = {answer: hand for answer, hand in self._hands.items() if hand.task is not None}
        if busy:
            self._ray.wait(list(busy), num_returns=len(busy), timeout=10.0)  # until they are dead
        for hand in busy.values():
            self._tidy(hand, hand.task)
        films = [task.film for task in (*self._again, *(hand.task for hand in busy.values()))
                 if task is not None and task.film is not None]
        for film in films:
            shutil.rmtree(film.folder, ignore_errors=True)
        self._ledger.sign_off(*(hand.writer for hand in (*idle, *self._hands.values()) if hand.writer is not None))

    def _tidy(self, hand: Hand, task: Task | None) -> None:
        """Remove what a dead worker had begun."""
        if hand.writer is None:
            return
        for path, _ in targets_of(task.row.job["sinks"], task.row.job["options"]) if task is not None else ():
            for folder in (os.path.dirname(path), path):
                remove_leftovers(Path(folder), [hand.writer])
        remove_leftovers(Path(tempfile.gettempdir()), [hand.writer])
        self._ledger.sign_off(hand.writer)

    # --- tasks ------------------------------------------------------------------------------------

    def _next_is_none(self) -> bool:
        """Whether nothing waits. Takes one row ahead to know."""
        if self._again:
            return False
        row = next(self._rows, None)
        if row is None:
            return True
        self._again.append(self._first(row))
        return False

    def _first(self, row: Row) -> Task:
        row.job.update(absolute(row.job))
        split = self._crew.split is not None and may_be_split(row.job)
        return Task("survey" if split else "whole", row)

    def _give(self, hand: Hand) -> bool:
        """Give a worker its next task; whether there was one."""
        if self._next_is_none():
            return False
        task = self._again.popleft()
        row, actor = task.row, hand.actor
        self._state.current = row.source
        if task.kind == "whole":
            answer = actor.whole.remote(row.job, hand.name)
        elif task.kind == "survey":
            answer = actor.survey.remote(row.job, self._crew.split, hand.name)
        else:
            assert task.film is not None
            film = task.film
            if task.kind == "part":
                answer = actor.part.remote(row.job, task.span, film.folder)
            else:
                answer = actor.join.remote(row.job, film.parts, [film.done[part.number] for part in film.parts],
                                           hand.name)
        hand.task = task
        self._hands[answer] = hand
        return True

    def _took(self, task: Task, found: Any) -> None:
        """What a worker brought."""
        if isinstance(found, Outcome):
            if task.film is not None:
                shutil.rmtree(task.film.folder, ignore_errors=True)
            self._finish(task.row, found)
        elif task.kind == "survey":
            self._begin(task.row, found)
        elif task.film is not None and task.film.row.id in self._given_up:
            pass  # another part of it has failed
        elif isinstance(found, NotInParts):
            self._drop(task)
            self._again.appendleft(Task("whole", task.row))
        elif isinstance(found, StreamsegError):
            self._drop(task)
            self._finish(task.row, Outcome("failed", reason=f"{type(found).__name__}: {found}",
                                           stamp=files.stamp(task.row.real), content=files.digest(task.row.real)))
        elif task.film is not None and task.span is not None:
            task.film.done[task.span.number] = found
            if len(task.film.done) == len(task.film.parts):
                self._again.appendleft(Task("join", task.row, task.film))

    def _begin(self, row: Row, parts: list[Span]) -> None:
        """Parts before new items: films that are begun come to their end, and their parts off the disk."""
        target = targets_of(row.job["sinks"], row.job["options"])[0][0]
        with made_folder(os.path.dirname(target)):
            folder = str(temporary_folder(Path(target).with_suffix("")))
        film = Film(row, parts, folder)
        self._again.extendleft(Task("part", row, film, span) for span in reversed(parts))

    def _drop(self, task: Task) -> None:
        """Forget a film's parts."""
        assert task.film is not None
        self._given_up.add(task.row.id)
        self._again = deque(other for other in self._again if other.film is not task.film)
        shutil.rmtree(task.film.folder, ignore_errors=True)

    def _finish(self, row: Row, outcome: Outcome) -> None:
        self._ledger.finish(row.id, outcome)
        count(self._state, row.source, outcome)
        self._state.workers = self._rates.add(outcome)
        self._state.elapsed = time.perf_counter() - self._began
        if self._watch is not None:
            self._watch(self._state, row, outcome)
