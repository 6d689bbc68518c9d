"""What runs in an actor on Ray: films, one after the other, with the networks loaded once."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...batch.methods import Methods
from ...core.opencv import opencv_threads
from ...core.thread_budget import Threads
from ...sink.commit import writer
from .tasks import FilmTask
from .worker import answered, done


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker. ``writer``: the name in its temporary files; ``sees``: whether it sees the folder of the jobs."""

    writer: str
    process: int
    node: str
    sees: bool


class FilmWorker:
    """What runs in an actor. ``progress`` is asked while ``run`` works: they are in two threads."""

    def __init__(self, threads: int) -> None:
        self._threads, self._methods = threads, Methods()
        self._now: tuple[str, dict[str, Any] | None] = "", None

    def hello(self, signs: str, server: str) -> Hello:
        """``signs``: a file in the server's folder that names ``server``."""
        try:
            sees = server in Path(signs).read_text().split()
        except OSError:
            sees = False
        return Hello(writer(), os.getpid(), platform.node(), sees)

    def progress(self, id: str) -> dict[str, Any] | None:
        """How far a job's film is; None where it is not begun here."""
        job, now = self._now
        return now if job == id else None

    def run(self, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Do a task. -> {"report": ...} or {"failure": code and message}: Ray would wrap an error."""
        task = FilmTask.of(values)
        task = replace(task, options={"threads": self._threads, **task.options})

        def tell(now: dict[str, Any] | None) -> None:
            self._now = task.id, now

        tell(None)
        with opencv_threads(Threads.of(task.options["threads"]).opencv):
            return answered("report", lambda: done(task, tell, self._methods), task.names)
