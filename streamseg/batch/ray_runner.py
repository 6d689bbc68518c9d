"""A ledger's items on Ray: workers are actors with their networks loaded once, and a task is a file or a part of a
long film. What goes between driver and workers are names and figures; every worker decodes where it segments.

A worker that is killed, with its machine or alone, takes one task with it: the task is given out again and another
worker is started. What the dead left on the disk is removed, and the ledger hears only of what is whole.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DeviceError, StreamsegError
from ..sink.commit import remove_leftovers, writer
from . import files
from .events import State, Telling, Watch
from .ledger import Ledger
from .plan import targets_of
from .ray_cluster import Crew, connected, lost
from .ray_tasks import TRIES, Task, Tasks
from .ray_worker import Worker
from .records import Outcome, Row
from .split import NotInParts

PATIENCE = 600.0  # seconds without any worker before the batch gives up


@dataclass(slots=True)
class Hand:
    """A worker as the driver knows it. ``writer`` and ``process`` are None until it has said hello."""

    name: str
    actor: Any
    writer: str | None = None
    process: int | None = None
    task: Task | None = None


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
        self._ray, self._ledger, self._crew = ray, ledger, crew
        self._telling = Telling(ledger.counts()["waiting"], watch)
        self._tasks = Tasks(ledger, crew.split)
        self._hands: dict[Any, Hand] = {}    # by what they are to answer
        self._names = itertools.count()
        self._actor = ray.remote(Worker).options(num_cpus=crew.cpus, num_gpus=crew.gpus, max_restarts=0,
                                                 max_task_retries=0)
        self.deaths = 0

    def run(self) -> State:
        """Until nothing waits and nobody works."""
        idle: list[Hand] = []
        alive = time.monotonic()
        try:
            self._telling.started()
            for _ in range(self._size()):
                self._hire()
            while True:
                idle = [hand for hand in idle if not self._give(hand)]
                if not any(hand.task for hand in self._hands.values()) and not self._tasks:
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
        return self._telling.finished()

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
        return min(size, max(1, self._telling.state.total) if self._crew.split is None else size)

    def _hire(self) -> None:
        """Start a worker, and have it say hello."""
        actor = self._actor.remote(self._crew.cpus)
        hand = Hand(str(next(self._names)), actor)
        self._hands[actor.hello.remote()] = hand

    def _wait(self) -> list[Any]:
        done, _ = self._ray.wait(list(self._hands), num_returns=1, timeout=1.0)
        self._telling.passed()
        return list(done)

    def _heard(self, answer: Any) -> Hand | None:
        """A worker has answered, or died. The worker, if it can be given something."""
        hand = self._hands.pop(answer)
        task, hand.task = hand.task, None
        self._telling.idle(hand.name)
        try:
            found = self._ray.get(answer)
        except lost(self._ray) as error:
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
        if task is not None and not self._tasks.again(task):
            if task.film is not None:
                self._tasks.drop(task.film)
            self._finish(task.row, Outcome("failed", reason=f"{TRIES} workers died over it, the last by: "
                                                            f"{type(error).__name__}: {error}".splitlines()[0]))
        self._hire()

    def _dismiss(self, idle: list[Hand]) -> None:
        """End all workers. What one is at is broken off, and what it left is removed; parts of films that are made
        stay, for the next time."""
        for hand in (*idle, *self._hands.values()):
            self._ray.kill(hand.actor)
        busy = {answer: hand for answer, hand in self._hands.items() if hand.task is not None}
        if busy:
            self._ray.wait(list(busy), num_returns=len(busy), timeout=10.0)  # until they are dead
        for hand in busy.values():
            self._tidy(hand, hand.task)
        self._tasks.leave()
        self._ledger.sign_off(*(hand.writer for hand in (*idle, *self._hands.values()) if hand.writer is not None))

    def _tidy(self, hand: Hand, task: Task | None) -> None:
        """Remove what a dead worker had begun."""
        if hand.writer is None:
            return
        places = [tempfile.gettempdir()]
        if task is not None:
            targets = targets_of(task.row.job["sinks"], task.row.job["options"])
            places += [folder for path, _ in targets for folder in (os.path.dirname(path), path)]
            places += [] if task.film is None else [task.film.folder]
        for place in places:
            remove_leftovers(Path(place), [hand.writer])
        self._ledger.sign_off(hand.writer)

    # --- tasks ------------------------------------------------------------------------------------

    def _give(self, hand: Hand) -> bool:
        """Give a worker its next task; whether there was one."""
        if not self._tasks:
            return False
        task = self._tasks.take()
        row, film, actor = task.row, task.film, hand.actor
        if task.kind == "whole":
            answer = actor.whole.remote(row.job, hand.name)
        elif task.kind == "survey":
            answer = actor.survey.remote(row.job, self._crew.split, hand.name)
        elif task.kind == "part":
            assert film is not None
            answer = actor.part.remote(row.job, task.span, film.folder)
        else:
            assert film is not None
            answer = actor.join.remote(row.job, film.parts, [film.done[part.number] for part in film.parts], hand.name,
                                       film.stamp, film.kept)
        hand.task = task
        self._hands[answer] = hand
        self._telling.began(row, hand.name, task.part)
        return True

    def _took(self, task: Task, found: Any) -> None:
        """What a worker brought."""
        film = task.film
        if isinstance(found, Outcome):
            if film is not None:
                self._tasks.drop(film)
            self._finish(task.row, found)
        elif task.kind == "survey":
            self._tasks.begin(task.row, found)
        elif film is None or task.span is None or self._tasks.given_up(film):
            pass  # another part of it has failed
        elif isinstance(found, NotInParts):
            self._tasks.drop(film)
            self._tasks.whole(task.row)
        elif isinstance(found, StreamsegError):
            self._tasks.drop(film)
            self._finish(task.row, Outcome("failed", reason=f"{type(found).__name__}: {found}",
                                           stamp=files.stamp(task.row.real), content=files.digest(task.row.real)))
        else:
            self._tasks.made(film, task.span, found)

    def _finish(self, row: Row, outcome: Outcome) -> None:
        self._ledger.finish(row.id, outcome)
        self._telling.ended(row, outcome)
