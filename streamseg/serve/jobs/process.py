"""The embedded runner: a process for each film, so that whatever a film does to it, the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from .tasks import Crash, Failure, FilmLimits, FilmTask

PROBE_SECONDS = 30.0
KEPT = 4000     # bytes of the end of a process's standard error, for the log where it dies
LINE = 1 << 20  # bytes that a line of JSON may have: a report of many notes


class ProcessRunner:
    """``seconds``: how long a film may take before its process is ended."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def open(self) -> None:
        """As JobRunner: nothing is held."""

    async def close(self) -> None:
        """As JobRunner."""

    async def run(self, task: FilmTask, progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """As JobRunner."""
        told = {"do": "run", "task": task.to_dict(), "names": task.names}
        return await self._done(told, "report", self._seconds, progress)

    async def probe(self, path: str, limits: FilmLimits, names: dict[str, str]) -> dict[str, Any]:
        """As JobRunner."""
        told = {"do": "probe", "path": path, "names": names,
                "limits": {"pixels": limits.pixels, "seconds": limits.seconds, "frames": limits.frames}}
        return await self._done(told, "probe", PROBE_SECONDS, lambda now: None)

    async def _done(self, told: dict[str, Any], wanted: str, seconds: float,
                    progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        said_last = bytearray()
        try:
            async with asyncio.timeout(seconds), _process(said_last) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(told).encode() + b"\n")
                await process.stdin.drain()
                async for line in process.stdout:
                    if not line.startswith(b"{"):
                        continue  # a library's
                    said = json.loads(line)
                    if "progress" in said:
                        progress(said["progress"])
                    elif "failure" in said:
                        raise Failure(**said["failure"])
                    elif wanted in said:
                        found: dict[str, Any] = said[wanted]
                        return found
                code = await process.wait()
        except TimeoutError:
            raise Failure("timeout", f"the film was not done within {seconds:g} s, the limit here") from None
        except (ValueError, ConnectionError) as error:
            raise Crash(f"the film's process said what is no JSON ({error})") from error
        raise Crash(f"the film's process ended with {code}" + f": {said_last.decode(errors='replace').strip()}"[:KEPT])


async def _listen(errors: asyncio.StreamReader, said_last: bytearray) -> None:
    """Read what a process and its libraries write on standard error, and keep the end of it."""
    while piece := await errors.read(1 << 16):
        said_last += piece
        del said_last[:-KEPT]


@contextlib.asynccontextmanager
async def _process(said_last: bytearray) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker; it is ended with the block, if it has not ended by itself. ``said_last``: the end of what it wrote on
    standard error, which is not the server's to show."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streamseg.serve.jobs.worker", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=LINE,
        start_new_session=True)  # Ctrl-C is the server's to handle
    assert process.stderr is not None
    listening = asyncio.create_task(_listen(process.stderr, said_last))
    try:
        yield process
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)  # it ends by itself
        await asyncio.wait((listening,), timeout=1)
    finally:
        # ``kill`` of a process that has ended takes its exit code from under asyncio, which then warns of it
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await asyncio.shield(process.wait())
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert process.stdin is not None
        process.stdin.close()
