"""Accepts films as jobs, does them one after the other, tells how far they are, and deletes them in time.

All is called in one event loop. The database is asked in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..fetch import Fetcher
from ..limits import FILMS, head_of, kind_of
from ..metrics import Metrics
from ..options import ServeOptions
from ..refusals import Refusal, busy
from . import webhook
from .previews import preview_file
from .store import FINAL, WAITING, Job, JobStore
from .tasks import OUTPUTS, REPORT, Crash, Failure, FilmLimits, FilmTask, JobRunner, Target

T = TypeVar("T")
SOURCE, BACKGROUND = "source", "background"
CRASHES = 2    # times that a film's process may die before the film is given up
SPARE = 200e6  # bytes that stay free on the disk
SWEEP = 60.0   # seconds between two looks at what is to be deleted
_log = logging.getLogger("streamseg.serve")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job is to make. ``name``: what the client calls the film; ``url``: where it is to be read."""

    options: dict[str, Any]
    targets: tuple[Target, ...]
    bundle: str | None = None
    name: str = "the film"
    url: str | None = None
    background: bool = False

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"options": self.options, "targets": [[item.name, item.kind] for item in self.targets],
                "bundle": self.bundle, "name": self.name, "url": self.url, "background": self.background}

    @classmethod
    def of(cls, values: dict[str, Any]) -> Wanted:
        """From JSON."""
        return cls(**{**values, "targets": tuple(Target(*item) for item in values["targets"])})

    @property
    def names(self) -> list[str]:
        """The names of the outputs."""
        return [self.bundle] if self.bundle is not None else [item.name for item in self.targets]


@dataclass(slots=True)
class _Changes:
    """Who waits for news of a job, and the last of how far it is."""

    progress: dict[str, Any] | None = None
    waiting: set[asyncio.Event] = field(default_factory=set)

    def tell(self) -> None:
        """Wake all that wait."""
        for event in self.waiting:
            event.set()


class JobKeeper:
    """``start`` before anything else, ``close`` at the end: what is running goes back into the queue."""

    def __init__(self, options: ServeOptions, runner: JobRunner, fetcher: Fetcher, metrics: Metrics,
                 threads: int | None = None) -> None:
        self._options, self._runner, self._fetcher, self._metrics = options, runner, fetcher, metrics
        self._own: dict[str, Any] = {} if threads is None else {"threads": threads}
        self.home = options.home() / "jobs"
        self.limits = FilmLimits(options.max_film_pixels, options.max_seconds, options.max_frames)
        self._secret = options.webhook_secret()
        self._thread = ThreadPoolExecutor(1, "serve-jobs")
        self._changes: dict[str, _Changes] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[Any]] = set()
        self._uploading: set[str] = set()
        self._closing = False
        self._opened: JobStore | None = None
        self.counts: dict[str, int] = {}

    # --- start and end ----------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the database and go on with what was accepted. Raises SinkError."""
        self._opened = await self._ask(lambda: JobStore(self._options.home()))
        await asyncio.to_thread(self.home.mkdir, exist_ok=True, mode=0o700)
        for job in await self._ask(self._store.recover):
            await self._adopt(job)
        known = {job.id for job in await self._ask(lambda: self._store.of_states((*WAITING, *FINAL)))}
        for left in self.home.iterdir():  # of jobs that were never accepted, or were being deleted
            if left.name not in known:
                await asyncio.to_thread(shutil.rmtree, left, True)
        for job in await self._ask(lambda: self._store.of_states(("fetching",))):
            self._spawn(self._fetch(job))
        for job in await self._ask(lambda: self._store.of_states(("uploading",))):
            if job.size is not None and self.received(job.id) == job.size:  # killed before its answer
                self._spawn(self._complete_late(job))
        for job in await self._ask(self._store.to_tell):
            self._spawn(self._tell_webhook(job.id))
        self._spawn(self._sweep_for_ever())
        await self._next()

    async def _adopt(self, job: Job) -> None:
        """A job that was running: done, if its outputs are in their place, else it is done anew."""
        report = self.folder(job.id) / OUTPUTS / REPORT
        if report.is_file():
            await self._finish(job.id, report=json.loads(await asyncio.to_thread(report.read_text)))

    async def close(self) -> None:
        """Stop what is running; it begins anew at the next start."""
        self._closing = True
        tasks = [*self._running.values(), *self._others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for changes in self._changes.values():
            changes.tell()
        if self._opened is not None:
            await self._ask(self._opened.close)
        self._thread.shutdown()

    @property
    def _store(self) -> JobStore:
        assert self._opened is not None  # ``start`` comes first
        return self._opened

    async def _ask(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, what)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    # --- accepting --------------------------------------------------------------------------------

    def folder(self, id: str) -> Path:
        """The job's folder."""
        return self.home / id

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
            if await self._ask(lambda: self._store.get(id)) is None:
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, self.folder(id), True))

    async def accept(self, id: str, dialect: str, wanted: Wanted, *, size: int | None = None,
                     hook: str | None = None) -> Job:
        """The job is in the books; where its film is there already, it was checked by ``check``."""
        state = "fetching" if wanted.url is not None else "uploading" if size is not None else "queued"
        job = await self._ask(lambda: self._store.add(id, dialect, state, wanted.to_dict(), size, hook))
        if state == "fetching":
            self._spawn(self._fetch(job))
        await self._next()
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
        await self._count()
        waiting = sum(self.counts[state] for state in WAITING)
        if waiting >= self._options.max_jobs:
            raise busy(f"{waiting} films wait, as many as this server takes: try again later", 60)

    # --- parts ------------------------------------------------------------------------------------

    def received(self, id: str) -> int:
        """Bytes of the film that are there."""
        try:
            return (self.folder(id) / SOURCE).stat().st_size
        except OSError:
            return 0

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
            await self._ask(lambda: self._store.touch(job.id))

    async def complete(self, job: Job) -> None:
        """All parts are there. Raises Refusal for a film that cannot be taken; the job has failed then."""
        try:
            await self.check(job.id, Wanted.of(job.wanted).name)
        except Refusal as refusal:
            await self._finish(job.id, error={"code": refusal.code, "message": str(refusal)})
            raise
        await self._ask(lambda: self._store.move(job.id, "queued", from_="uploading"))
        self._tell(job.id)
        await self._next()

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
            await self._finish(job.id, error={"code": refusal.code, "message": str(refusal)})
            return
        await self._ask(lambda: self._store.move(job.id, "queued", from_="fetching"))
        self._tell(job.id)
        await self._next()

    # --- doing ------------------------------------------------------------------------------------

    async def _next(self) -> None:
        """Begin what may begin."""
        while len(self._running) < self._options.films and not self._closing:
            found = await self._ask(lambda: self._store.of_states(("queued",), self._options.films + 1))
            job = next((job for job in found if job.id not in self._running), None)
            if job is None or len(self._running) >= self._options.films:
                return
            task = asyncio.create_task(self._do(job))
            self._running[job.id] = task
            task.add_done_callback(lambda done, id=job.id: self._ended(id))  # type: ignore[misc]

    def _ended(self, id: str) -> None:
        self._running.pop(id, None)
        if not self._closing:
            self._spawn(self._next())

    async def _do(self, job: Job) -> None:
        if not await self._ask(lambda: self._store.move(job.id, "running", from_="queued")):
            return  # it was deleted meanwhile
        self._tell(job.id)

        def progress(now: dict[str, Any]) -> None:
            self._of(job.id).progress = now
            self._tell(job.id)

        try:
            report = await self._runner.run(self._task(job), progress)
        except Failure as failure:
            await self._finish(job.id, error={"code": failure.code, "message": failure.message})
        except Crash as crash:
            _log.error("job %s: %s", job.id, crash)
            if await self._ask(lambda: self._store.crashed(job.id)) >= CRASHES:
                await self._finish(job.id, error={"code": "method_failed", "message": "the film's process died "
                                                  f"{CRASHES} times: the film, or what it needs of memory, ends it"})
        except Exception:
            _log.exception("job %s failed", job.id)
            await self._finish(job.id, error={"code": "internal_error", "message": "the server failed at this film, "
                                              "which is a defect of streamseg: its log says more"})
        else:
            await self._finish(job.id, report=report)

    def _task(self, job: Job) -> FilmTask:
        wanted, folder = Wanted.of(job.wanted), self.folder(job.id)
        source, back = str(folder / SOURCE), str(folder / BACKGROUND)
        return FilmTask(job.id, source, str(folder), wanted.targets, {**wanted.options, **self._own}, self.limits,
                        wanted.bundle, back if wanted.background else None,
                        {source: wanted.name or "the film", back: "the background"})

    async def _finish(self, id: str, *, report: dict[str, Any] | None = None,
                      error: dict[str, Any] | None = None) -> None:
        await self._ask(lambda: self._store.finish(id, report=report, error=error))
        await asyncio.to_thread(_tidy, self.folder(id))
        self._metrics.jobs.labels("failed" if error else "done").inc()
        _log.info("job %s: %s", id, f"failed: {error['code']}" if error else "done")
        self._tell(id)
        job = await self._ask(lambda: self._store.get(id))
        if job is not None and job.webhook is not None:
            self._spawn(self._tell_webhook(id))

    async def _tell_webhook(self, id: str) -> None:
        while True:
            job = await self._ask(lambda: self._store.get(id))
            if job is None or job.webhook is None or self._secret is None:
                return
            if job.webhook_tries:
                await asyncio.sleep(webhook.wait(job.webhook_tries))
            sent = await webhook.send(self._fetcher, self._secret, job.webhook, await self.shown(job))
            give_up = job.webhook_tries + 1 >= webhook.TRIES
            await self._ask(lambda: self._store.told(id, sent=sent, give_up=give_up))  # noqa: B023
            if sent or give_up:
                _log.log(logging.INFO if sent else logging.ERROR, "job %s: webhook %s", id,
                         "sent" if sent else "given up")
                return

    # --- looking ----------------------------------------------------------------------------------

    async def get(self, id: str, dialect: str | None = None) -> Job:
        """The job of an id. Raises Refusal (not_found)."""
        job = await self._ask(lambda: self._store.get(id)) if len(id) <= 64 and id.isalnum() else None
        if job is None or (dialect is not None and job.dialect != dialect):
            raise Refusal("not_found", "there is no such job: it was never accepted, or it was deleted")
        return job

    async def newest(self, limit: int) -> list[Job]:
        """The jobs that were accepted last."""
        return await self._ask(lambda: self._store.newest(limit))

    async def shown(self, job: Job) -> dict[str, Any]:
        """A job as its client sees it."""
        wanted = Wanted.of(job.wanted)
        base = f"/v1/jobs/{job.id}"
        told: dict[str, Any] = {
            "id": job.id, "state": job.state, "name": wanted.name, "created": round(job.created, 3),
            "finished": None if job.finished is None else round(job.finished, 3), "url": base,
            "events": f"{base}/events", "progress": self._progress(job), "report": job.report, "error": job.error,
            "outputs": self._outputs(job, wanted), "expires": self._expires(job),
            "kept": f"{self._options.keep_hours:g} hours after it has ended, and less where the jobs' files take more "
                    f"than {self._options.keep_gb:g} GB together"}
        if job.state == "queued":
            told["before"] = await self._ask(lambda: self._store.before(job.number))
        if job.state == "uploading":
            told["upload"] = {"url": f"{base}/upload", "offset": self.received(job.id), "size": job.size}
        return told

    def _progress(self, job: Job) -> dict[str, Any] | None:
        """frames, total, elapsed, fps, eta and previews (their times) of a film that is worked on."""
        changes = self._changes.get(job.id)
        return changes.progress if changes is not None and job.state == "running" else None

    def _outputs(self, job: Job, wanted: Wanted) -> list[dict[str, Any]]:
        if job.state != "done" or job.report is None:
            return []
        kinds = {item.name: item.kind for item in wanted.targets}
        return [{"name": made["name"], "kind": kinds.get(made["name"], "bundle"), "bytes": made["bytes"],
                 "url": f"/v1/jobs/{job.id}/outputs/{made['name']}"} for made in job.report["outputs"]]

    def _expires(self, job: Job) -> float | None:
        ended = job.finished if job.state in FINAL else job.changed if job.state == "uploading" else None
        return None if ended is None else round(ended + self._options.keep_hours * 3600, 3)

    def output(self, job: Job, name: str) -> Path:
        """The file of an output: one of the job's own names. Raises Refusal."""
        wanted = Wanted.of(job.wanted)
        if name not in wanted.names:
            raise Refusal("not_found", f"the job has no output of that name; it has {', '.join(wanted.names)}")
        if job.state != "done":
            raise Refusal("conflict", f"the job is {job.state}: it has no outputs")
        return self.folder(job.id) / OUTPUTS / wanted.names[wanted.names.index(name)]

    def preview(self, job: Job, number: int) -> Path:
        """The file of a small picture of a film that is being made. Raises Refusal."""
        path = preview_file(self.folder(job.id), number)
        if job.state != "running" or not path.is_file():
            raise Refusal("not_found", "there is no such preview: they are there while a film is made, and "
                          "progress.previews says which")
        return path

    async def events(self, id: str, quiet: float) -> AsyncIterator[dict[str, Any] | None]:
        """The job as it is, and again at each change, until it has ended; None after ``quiet`` seconds without."""
        event = asyncio.Event()
        changes = self._of(id)
        changes.waiting.add(event)
        try:
            while not self._closing:
                event.clear()
                try:
                    job = await self.get(id)
                except Refusal:
                    return
                yield await self.shown(job)
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

    def _of(self, id: str) -> _Changes:
        return self._changes.setdefault(id, _Changes())

    def _tell(self, id: str) -> None:
        if id in self._changes:
            self._changes[id].tell()

    async def _count(self) -> None:
        self.counts = await self._ask(self._store.counts)

    # --- deleting ---------------------------------------------------------------------------------

    async def delete(self, id: str) -> None:
        """Take a job out, whatever it is at, and its files."""
        await self._ask(lambda: self._store.forget(id))
        task = self._running.get(id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self.folder(id), True)
        self._tell(id)
        self._changes.pop(id, None)

    async def _sweep_for_ever(self) -> None:
        while True:
            await self._count()
            await self._sweep()
            await self.make_room(0, refuse=False)
            await asyncio.sleep(min(SWEEP, max(0.05, self._options.keep_hours * 3600 / 4)))

    async def _sweep(self) -> None:
        """Delete what has been kept long enough."""
        for job in await self._ask(lambda: self._store.of_states((*FINAL, "uploading"))):
            expires = self._expires(job)
            if expires is not None and expires < time.time() and job.id not in self._uploading:
                await self.delete(job.id)

    async def make_room(self, bytes: int, *, refuse: bool = True) -> None:
        """Delete the oldest finished jobs until ``bytes`` more fit. Raises Refusal (storage_full)."""
        most = self._options.keep_gb * 1e9
        used, free = await asyncio.to_thread(self._room)
        for job in await self._ask(lambda: self._store.of_states(FINAL)):
            if used + bytes <= most and free >= bytes + SPARE:
                return
            size = await asyncio.to_thread(_size, self.folder(job.id))
            await self.delete(job.id)
            used, free = used - size, free + size
        if refuse and (used + bytes > most or free < bytes + SPARE):
            raise Refusal("storage_full", "there is no room for the film: the jobs' files take as much as they may "
                          f"({self._options.keep_gb:g} GB), or the disk is full")

    def _room(self) -> tuple[int, int]:
        return _size(self.home), shutil.disk_usage(self.home).free


def _tidy(folder: Path) -> None:
    """Take away all but the outputs: the film, its background, and what a killed process left."""
    with contextlib.suppress(OSError):
        for item in list(folder.iterdir()):
            if item.is_dir() and item.name != OUTPUTS:
                shutil.rmtree(item, ignore_errors=True)
            elif not item.is_dir():
                item.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total
