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
LINE = 1 << 20  # bytes that a line of JSON may have: a report of many notes


class ProcessRunner:
    """``seconds``: how long a film may take before its process is ended."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

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
        try:
            async with asyncio.timeout(seconds), _process() as process:
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
        raise Crash(f"the film's process ended with {code}")


@contextlib.asynccontextmanager
async def _process() -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker; it is ended with the block, if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streamseg.serve.jobs.worker", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, limit=LINE, start_new_session=True)  # Ctrl-C is the server's to handle
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
        assert process.stdin is not None
        process.stdin.close()
