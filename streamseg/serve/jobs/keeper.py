"""Accepts films as jobs, whole, in parts or from an address; deletes them; and starts and ends what does them.

All is called in one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from ..fetch import Fetcher
from ..limits import FILMS, head_of, kind_of
from ..metrics import Metrics
from ..options import ServeOptions
from ..refusals import Refusal, busy
from .records import JobRecords
from .room import Room
from .shown import JobView
from .store import FINAL, WAITING, Job, JobStore
from .tasks import OUTPUTS, REPORT, Crash, Failure, FilmLimits, FilmTask, JobRunner
from .wanted import BACKGROUND, SOURCE, Wanted
from .work import FilmWork


class JobKeeper:
    """``start`` before anything else, ``close`` at the end: what is running goes back into the queue."""

    def __init__(self, options: ServeOptions, runner: JobRunner, fetcher: Fetcher, metrics: Metrics,
                 threads: int | None = None) -> None:
        self._options, self._runner, self._fetcher = options, runner, fetcher
        self._own: dict[str, Any] = {} if threads is None else {"threads": threads}
        self.limits = FilmLimits(options.max_film_pixels, options.max_seconds, options.max_frames)
        self._secret = options.webhook_secret()
        self._uploading: set[str] = set()
        self.records = JobRecords(options.home())
        self.view = JobView(self.records, options)
        self._room = Room(self.records, self.view, options, self.delete, self._uploading)
        self._work = FilmWork(self.records, self.view, self._run, options.films, fetcher, metrics, self._secret)

    # --- start and end ----------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the database and the runner, and go on with what was accepted. Raises StreamsegError."""
        records, work = self.records, self._work
        await records.open()
        await self._runner.open()
        for job in await records.ask(JobStore.recover):
            await self._adopt(job)
        known = {job.id for job in await records.ask(lambda store: store.of_states((*WAITING, *FINAL)))}
        for left in records.home.iterdir():  # of jobs that were never accepted, or were being deleted
            if left.name not in known:
                await asyncio.to_thread(shutil.rmtree, left, True)
        for job in await records.ask(lambda store: store.of_states(("fetching",))):
            work.spawn(self._fetch(job))
        for job in await records.ask(lambda store: store.of_states(("uploading",))):
            if job.size is not None and self.received(job.id) == job.size:  # killed before its answer
                work.spawn(self._complete_late(job))
        for job in await records.ask(JobStore.to_tell):
            work.spawn(work.tell_webhook(job.id))
        work.spawn(self._room.sweep_for_ever())
        await work.next()

    async def _adopt(self, job: Job) -> None:
        """A job that was running: done, if its outputs are in their place, else it is done anew."""
        report = self.folder(job.id) / OUTPUTS / REPORT
        if report.is_file():
            await self._work.finish(job.id, report=json.loads(await asyncio.to_thread(report.read_text)))

    async def close(self) -> None:
        """Stop what is running; it begins anew at the next start."""
        self.end_events()
        await self._work.close()
        await self._runner.close()
        await self.records.close()

    # --- looking ----------------------------------------------------------------------------------

    @property
    def home(self) -> Path:
        """The folder of all jobs' folders."""
        return self.records.home

    @property
    def counts(self) -> dict[str, int]:
        """Jobs by state, as they were counted last."""
        return self.records.counts

    def folder(self, id: str) -> Path:
        """The job's folder."""
        return self.records.path(id)

    def received(self, id: str) -> int:
        """Bytes of the film that are there."""
        return self.records.received(id)

    async def get(self, id: str, dialect: str | None = None) -> Job:
        """The job of an id. Raises Refusal (not_found)."""
        return await self.records.get(id, dialect)

    async def newest(self, limit: int) -> list[Job]:
        """The jobs that were accepted last."""
        return await self.records.ask(lambda store: store.newest(limit))

    async def shown(self, job: Job) -> dict[str, Any]:
        """A job as its client sees it."""
        return await self.view.shown(job)

    def end_events(self) -> None:
        """The server is about to end: ``events`` of jobs that are under way end now."""
        self.records.end_news()

    async def events(self, id: str, quiet: float) -> AsyncIterator[dict[str, Any] | None]:
        """The job as it is, and again at each change, until it has ended; None after ``quiet`` seconds without."""
        async with contextlib.aclosing(self.records.news(id, quiet)) as news:
            async for job in news:
                yield None if job is None else await self.view.shown(job)

    # --- accepting --------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def place(self, bytes: int) -> AsyncIterator[str]:
        """A new job's id, and its folder for a film of about so many ``bytes``. The folder is gone again unless the
        job was accepted in the block.

        Raises Refusal: busy where as many wait as may, storage_full where there is no room.
        """
        await self._refuse_many()
        await self.make_room(bytes)
        id = secrets.token_urlsafe(12).replace("-", "a").replace("_", "b")
        await asyncio.to_thread(self.folder(id).mkdir, mode=0o700)
        try:
            yield id
        finally:
            if await self.records.ask(lambda store: store.get(id)) is None:
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, self.folder(id), True))

    async def make_room(self, bytes: int) -> None:
        """Delete the oldest finished jobs until ``bytes`` more fit. Raises Refusal (storage_full)."""
        await self._room.make(bytes)

    async def accept(self, id: str, dialect: str, wanted: Wanted, *, size: int | None = None,
                     hook: str | None = None) -> Job:
        """The job is in the books; where its film is there already, it was checked by ``check``."""
        state = "fetching" if wanted.url is not None else "uploading" if size is not None else "queued"
        job = await self.records.ask(lambda store: store.add(id, dialect, state, wanted.to_dict(), size, hook))
        if state == "fetching":
            self._work.spawn(self._fetch(job))
        await self._work.next()
        return job

    def refuse_webhook(self) -> None:
        """Raise Refusal where no webhook can be sent."""
        if not self._fetcher.on:
            raise Refusal("urls_off", "webhook cannot be sent: this server was started without --urls")
        if self._secret is None:
            raise Refusal("unsupported", "webhook cannot be signed: this server was started without "
                          "--webhook-secret-file")

    async def check(self, id: str, name: str) -> None:
        """Look at a film's header. Raises Refusal for what is no film, or is beyond the limits."""
        path = self.folder(id) / SOURCE
        try:
            head = await asyncio.to_thread(head_of, path)
        except FileNotFoundError as error:
            raise Refusal("not_found", "the job was deleted") from error
        if not head:
            raise Refusal("failed_to_read", "the film is empty")
        if kind_of(head) not in FILMS:
            raise Refusal("unsupported_type", f"the film is of no known kind; those are {', '.join(FILMS)}")
        try:
            await self._runner.probe(str(path), self.limits, {str(path): name or "the film"})
        except Failure as failure:
            raise Refusal(failure.code, failure.message) from failure
        except Crash as crash:
            raise Refusal("failed_to_read", "the film cannot be read: what reads it died of it") from crash

    async def _refuse_many(self) -> None:
        await self.records.count()
        waiting = sum(self.counts[state] for state in WAITING)
        if waiting >= self._options.max_jobs:
            raise busy(f"{waiting} films wait, as many as this server takes: try again later", 60)

    # --- parts, and addresses ---------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def part(self, job: Job, offset: int) -> AsyncIterator[Path]:
        """The film's file, to append a part at ``offset``. Raises Refusal (conflict)."""
        if job.state != "uploading":
            raise Refusal("conflict", f"the job is {job.state}: no part is awaited")
        if job.id in self._uploading:
            raise Refusal("conflict", "another part is being received: one after the other")
        there = self.received(job.id)
        if offset != there:
            raise Refusal("conflict", f"the part begins at {offset}, and {there} bytes are there: go on from there",
                          headers={"Upload-Offset": str(there)})
        self._uploading.add(job.id)
        try:
            yield self.folder(job.id) / SOURCE
        finally:
            self._uploading.discard(job.id)
            await self.records.ask(lambda store: store.touch(job.id))

    async def complete(self, job: Job) -> None:
        """All parts are there. Raises Refusal for a film that cannot be taken; the job has failed then."""
        try:
            await self.check(job.id, Wanted.of(job.wanted).name)
        except Refusal as refusal:
            await self._refused(job, refusal)
            raise
        await self._queue(job, from_="uploading")

    async def _complete_late(self, job: Job) -> None:
        with contextlib.suppress(Refusal):  # the job says why
            await self.complete(job)

    async def _fetch(self, job: Job) -> None:
        wanted = Wanted.of(job.wanted)
        assert wanted.url is not None
        path = self.folder(job.id) / SOURCE
        try:
            await self._fetcher.to_file(wanted.url, path, round(self._options.max_film * 1e6))
            await self.check(job.id, wanted.name)
        except Refusal as refusal:
            await self._refused(job, refusal)
            return
        await self._queue(job, from_="fetching")

    async def _refused(self, job: Job, refusal: Refusal) -> None:
        await self._work.finish(job.id, error={"code": refusal.code, "message": str(refusal)})

    async def _queue(self, job: Job, *, from_: str) -> None:
        await self.records.ask(lambda store: store.move(job.id, "queued", from_=from_))
        self.records.tell(job.id)
        await self._work.next()

    # --- doing, and deleting ----------------------------------------------------------------------

    async def _run(self, job: Job, progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        return await self._runner.run(self._task(job), progress)

    def _task(self, job: Job) -> FilmTask:
        wanted, folder = Wanted.of(job.wanted), self.folder(job.id)
        source, back = str(folder / SOURCE), str(folder / BACKGROUND)
        return FilmTask(job.id, source, str(folder), wanted.targets, {**wanted.options, **self._own}, self.limits,
                        wanted.bundle, back if wanted.background else None,
                        {source: wanted.name or "the film", back: "the background"})

    async def delete(self, id: str) -> None:
        """Take a job out, whatever it is at, and its files."""
        await self.records.ask(lambda store: store.forget(id))
        await self._work.stop(id)
        await asyncio.to_thread(shutil.rmtree, self.folder(id), True)
        self.records.tell(id)
        self.records.changes.pop(id, None)
