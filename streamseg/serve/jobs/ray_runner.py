"""Films on Ray: a worker is an actor that does one film at a time, where the server's folder is seen too.

A worker that is killed, alone or with its machine, takes nothing with it: its film begins anew on another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...batch.options import BatchOptions
from ...batch.ray_cluster import Crew, connected, hear_sigterm, lost
from ...errors import DeviceError
from ...sink.commit import remove_leftovers, writer
from ..options import ServeOptions
from .process import ProcessRunner
from .ray_worker import FilmWorker, Hello
from .tasks import Crash, Failure, FilmLimits, FilmTask
from .worker import tidy_work

SIGNS = "ray-workers"  # a file in the server's folder: the names in temporary files of the server and its workers
EVERY = 0.25           # seconds between two looks at how far a film is
TRIES = 5              # workers that may die over one film before it is told as a crash
PATIENCE = 300.0       # seconds to wait for a worker
DYING = 10.0           # seconds that a worker gets to be dead
_log = logging.getLogger("streamseg.serve")


@dataclass(frozen=True, slots=True)
class Hand:
    """A worker as the server knows it."""

    actor: Any
    hello: Hello


class RayRunner:
    """As JobRunner. There are as many workers as films are worked on at once; each stays for the next film."""

    def __init__(self, options: ServeOptions) -> None:
        self._crew = Crew.of(BatchOptions(on=options.on, workers=options.films, split=0.0,
                                          cpus_per_worker=options.cpus_per_worker,
                                          gpus_per_worker=options.gpus_per_worker))
        self._seconds = options.film_time_limit
        self._signs = options.home().absolute() / SIGNS
        self._here = ProcessRunner(options.film_time_limit)
        self._stack = ExitStack()
        self._idle: list[Hand] = []
        self._ray: Any = None
        self._actor: Any = None

    # --- start and end ----------------------------------------------------------------------------

    async def open(self) -> None:
        """As JobRunner: connect, and start a worker."""
        await asyncio.to_thread(self._sweep)
        hears = signal.getsignal(signal.SIGTERM)
        self._ray = await asyncio.to_thread(self._stack.enter_context, connected(self._crew))
        hear_sigterm(hears)  # the event loop's may be the main thread
        self._actor = self._ray.remote(FilmWorker).options(
            num_cpus=self._crew.cpus, num_gpus=self._crew.gpus, max_restarts=0, max_task_retries=0, max_concurrency=2)
        try:
            self._idle.append(await self._hired())
        except Failure as failure:
            raise DeviceError(failure.message) from failure
        except lost(self._ray) as error:
            raise DeviceError(f"a worker on Ray does not start: {_first_line(error)}") from error

    async def close(self) -> None:
        """As JobRunner."""
        for hand in self._idle:
            self._ray.kill(hand.actor)
        self._idle.clear()
        await asyncio.to_thread(self._stack.close)

    def _sweep(self) -> None:
        """Remove what a server that was killed and its workers left in this machine's temporary folder, and sign."""
        with contextlib.suppress(FileNotFoundError):
            remove_leftovers(Path(tempfile.gettempdir()), set(self._signs.read_text().split()) - {writer()})
        self._signs.write_text(f"{writer()}\n")

    # --- films ------------------------------------------------------------------------------------

    async def probe(self, path: str, limits: FilmLimits, names: dict[str, str]) -> dict[str, Any]:
        """As JobRunner: in a process of this machine, where the film has just come in."""
        return await self._here.probe(path, limits, names)

    async def run(self, task: FilmTask, progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """As JobRunner."""
        began = time.monotonic()
        reason = ""
        for _ in range(TRIES):
            try:
                hand = self._idle.pop() if self._idle else await self._hired()
                found = await self._done(hand, task, progress, began + self._seconds - time.monotonic())
            except lost(self._ray) as error:
                reason = _first_line(error)
                _log.error("job %s: its worker died and it begins anew: %s", task.id, reason)
            else:
                self._idle.append(hand)
                if "failure" in found:
                    raise Failure(**found["failure"])
                return found["report"]
        raise Crash(f"{TRIES} workers died over the film, the last by: {reason}")

    async def _done(self, hand: Hand, task: FilmTask, progress: Callable[[dict[str, Any]], None],
                    seconds: float) -> dict[str, dict[str, Any]]:
        """What a worker answers. Whatever else happens, it is ended."""
        answer = _awaited(hand.actor.run.remote(task.to_dict()))
        try:
            async with asyncio.timeout(seconds):
                while not (await asyncio.wait((answer,), timeout=EVERY))[0]:
                    now = await _awaited(hand.actor.progress.remote(task.id))
                    if now is not None:
                        progress(now)
                found: dict[str, dict[str, Any]] = answer.result()
                return found
        except TimeoutError:
            await self._ended(hand, answer, task)
            raise Failure("timeout", f"the film was not done within {self._seconds:g} s, the limit here") from None
        except BaseException:
            await asyncio.shield(self._ended(hand, answer, task))
            raise

    # --- workers ----------------------------------------------------------------------------------

    async def _hired(self) -> Hand:
        """A new worker. Raises Failure where none comes, or where it does not see the server's folder."""
        actor = self._actor.remote(self._crew.cpus)
        try:
            async with asyncio.timeout(PATIENCE):
                hello: Hello = await _awaited(actor.hello.remote(str(self._signs), writer()))
            if not hello.sees:
                raise Failure("internal_error", f"the worker on {hello.node} does not see the folder of the server's "
                              "jobs: --folder must be one that all machines of the cluster see under the same path "
                              "and that its workers may read and write")
        except TimeoutError:
            self._ray.kill(actor)
            raise Failure("timeout", f"no worker came for {PATIENCE:g} s: the cluster has not {self._crew.cpus} CPUs "
                          f"and {self._crew.gpus:g} GPUs free for one") from None
        except BaseException:
            self._ray.kill(actor)
            raise
        with self._signs.open("a") as signs:
            signs.write(f"{hello.writer}\n")
        return Hand(actor, hello)

    async def _ended(self, hand: Hand, answer: asyncio.Future[Any], task: FilmTask) -> None:
        """End a worker, and remove what it had begun."""
        self._ray.kill(hand.actor)
        await asyncio.wait((answer,), timeout=DYING)
        if answer.done() and not answer.cancelled():
            answer.exception()  # it is heard
        await asyncio.to_thread(tidy_work, Path(task.folder))
        await asyncio.to_thread(remove_leftovers, Path(tempfile.gettempdir()), [hand.hello.writer])


def _awaited(answer: Any) -> asyncio.Future[Any]:
    """Ray's promise as asyncio's."""
    return asyncio.wrap_future(answer.future())


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
