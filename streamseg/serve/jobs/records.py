"""The jobs' database, their folders, and who waits for news of one. All is called in one event loop; the database is
asked in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..refusals import Refusal
from .store import FINAL, Job, JobStore
from .wanted import SOURCE

T = TypeVar("T")


@dataclass(slots=True)
class Changes:
    """Who waits for news of a job, and the last of how far it is."""

    progress: dict[str, Any] | None = None
    waiting: set[asyncio.Event] = field(default_factory=set)

    def tell(self) -> None:
        """Wake all that wait."""
        for event in self.waiting:
            event.set()


class JobRecords:
    """``open`` before anything else, ``close`` at the end. ``folder``: the server's; the jobs' are in ``home``."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.home = folder, folder / "jobs"
        self._thread = ThreadPoolExecutor(1, "serve-jobs")
        self._store: JobStore | None = None
        self.changes: dict[str, Changes] = {}
        self.closing = False
        self.counts: dict[str, int] = {}  # by state, when ``count`` was called last

    async def open(self) -> None:
        """Open the database. Raises SinkError where another server has it."""
        self._store = await self._run(lambda: JobStore(self._folder))
        await asyncio.to_thread(self.home.mkdir, exist_ok=True, mode=0o700)

    def end_news(self) -> None:
        """Whoever waits for news of a job gets no more, and nobody does from now on."""
        self.closing = True
        for changes in self.changes.values():
            changes.tell()

    async def close(self) -> None:
        """Wake all that wait, and close the database."""
        self.end_news()
        if self._store is not None:
            await self._run(self._store.close)
        self._thread.shutdown()

    async def ask(self, what: Callable[[JobStore], T]) -> T:
        """What the database says."""
        store = self._store
        assert store is not None  # ``open`` comes first
        return await self._run(lambda: what(store))

    async def _run(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, what)

    async def count(self) -> None:
        """Bring ``counts`` up to date."""
        self.counts = await self.ask(JobStore.counts)

    async def get(self, id: str, dialect: str | None = None) -> Job:
        """The job of an id. Raises Refusal (not_found)."""
        job = await self.ask(lambda store: store.get(id)) if len(id) <= 64 and id.isalnum() else None
        if job is None or (dialect is not None and job.dialect != dialect):
            raise Refusal("not_found", "there is no such job: it was never accepted, or it was deleted")
        return job

    def path(self, id: str) -> Path:
        """The job's folder."""
        return self.home / id

    def received(self, id: str) -> int:
        """Bytes of the film that are there."""
        try:
            return (self.path(id) / SOURCE).stat().st_size
        except OSError:
            return 0

    def of(self, id: str) -> Changes:
        """A job's news."""
        return self.changes.setdefault(id, Changes())

    def tell(self, id: str) -> None:
        """Something has changed of a job."""
        if id in self.changes:
            self.changes[id].tell()

    async def news(self, id: str, quiet: float) -> AsyncGenerator[Job | None]:
        """The job as it is, and again at each change, until it has ended; None after ``quiet`` seconds without."""
        event = asyncio.Event()
        changes = self.of(id)
        changes.waiting.add(event)
        try:
            while not self.closing:
                event.clear()
                try:
                    job = await self.get(id)
                except Refusal:
                    return
                yield job
                if job.state in FINAL:
                    return
                while True:
                    try:
                        await asyncio.wait_for(event.wait(), quiet)
                        break
                    except TimeoutError:
                        yield None
        finally:
            changes.waiting.discard(event)
