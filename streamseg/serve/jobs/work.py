"""Does the films that are queued, so many at once, and tells how each ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..fetch import Fetcher
from ..metrics import Metrics
from . import webhook
from .records import JobRecords
from .room import tidy
from .shown import JobView
from .store import Job
from .tasks import Crash, Failure

Run = Callable[[Job, Callable[[dict[str, Any]], None]], Awaitable[dict[str, Any]]]
CRASHES = 2  # times that a film's process may die before the film is given up
_log = logging.getLogger("streamseg.serve")


class FilmWork:
    """``run``: does a job's film, and gives its report; ``films``: how many at once; ``secret``: signs webhooks."""

    def __init__(self, records: JobRecords, view: JobView, run: Run, films: int, fetcher: Fetcher, metrics: Metrics,
                 secret: str | None) -> None:
        self._records, self._view, self._run, self._films = records, view, run, films
        self._fetcher, self._metrics, self._secret = fetcher, metrics, secret
        self._running: dict[str, asyncio.Task[None]] = {}
        self._others: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something beside all else, until ``close``."""
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def close(self) -> None:
        """Stop all that is under way."""
        tasks = [*self._running.values(), *self._others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def stop(self, id: str) -> None:
        """Stop a job's film, if it is being made."""
        task = self._running.get(id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def next(self) -> None:
        """Begin what may begin."""
        while len(self._running) < self._films and not self._records.closing:
            found = await self._records.ask(lambda store: store.of_states(("queued",), self._films + 1))
            job = next((job for job in found if job.id not in self._running), None)
            if job is None or len(self._running) >= self._films:
                return
            task = asyncio.create_task(self._do(job))
            self._running[job.id] = task
            task.add_done_callback(lambda done, id=job.id: self._ended(id))  # type: ignore[misc]

    def _ended(self, id: str) -> None:
        self._running.pop(id, None)
        if not self._records.closing:
            self.spawn(self.next())

    async def _do(self, job: Job) -> None:
        if not await self._records.ask(lambda store: store.move(job.id, "running", from_="queued")):
            return  # it was deleted meanwhile
        self._records.tell(job.id)

        def progress(now: dict[str, Any]) -> None:
            self._records.of(job.id).progress = now
            self._records.tell(job.id)

        try:
            report = await self._run(job, progress)
        except Failure as failure:
            await self.finish(job.id, error={"code": failure.code, "message": failure.message})
        except Crash as crash:
            _log.error("job %s: %s", job.id, crash)
            if await self._records.ask(lambda store: store.crashed(job.id)) >= CRASHES:
                await self.finish(job.id, error={"code": "method_failed", "message": "the film's process died "
                                                 f"{CRASHES} times: the film, or what it needs of memory, ends it"})
        except Exception:
            _log.exception("job %s failed", job.id)
            await self.finish(job.id, error={"code": "internal_error", "message": "the server failed at this film, "
                                             "which is a defect of streamseg: its log says more"})
        else:
            await self.finish(job.id, report=report)

    async def finish(self, id: str, *, report: dict[str, Any] | None = None,
                     error: dict[str, Any] | None = None) -> None:
        """A job is done, or has failed where there is an ``error``."""
        await self._records.ask(lambda store: store.finish(id, report=report, error=error))
        await asyncio.to_thread(tidy, self._records.path(id))
        self._metrics.jobs.labels("failed" if error else "done").inc()
        _log.info("job %s: %s", id, f"failed: {error['code']}" if error else "done")
        self._records.tell(id)
        job = await self._records.ask(lambda store: store.get(id))
        if job is not None and job.webhook is not None:
            self.spawn(self.tell_webhook(id))

    async def tell_webhook(self, id: str) -> None:
        """Tell a job's webhook how it ended, again and again until it is taken."""
        while True:
            job = await self._records.ask(lambda store: store.get(id))
            if job is None or job.webhook is None or self._secret is None:
                return
            if job.webhook_tries:
                await asyncio.sleep(webhook.wait(job.webhook_tries))
            sent = await webhook.send(self._fetcher, self._secret, job.webhook, await self._view.shown(job))
            give_up = job.webhook_tries + 1 >= webhook.TRIES
            await self._records.ask(lambda store: store.told(id, sent=sent, give_up=give_up))  # noqa: B023
            if sent or give_up:
                _log.log(logging.INFO if sent else logging.ERROR, "job %s: webhook %s", id,
                         "sent" if sent else "given up")
                return
