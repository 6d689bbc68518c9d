"""What the jobs' files take, and what is deleted when."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ..options import ServeOptions
from ..refusals import Refusal
from .records import JobRecords
from .shown import JobView
from .store import FINAL
from .tasks import OUTPUTS

SPARE = 200e6  # bytes that stay free on the disk
SWEEP = 60.0   # seconds between two looks at what is to be deleted


class Room:
    """Deletes by age and by the limit on the disk. ``delete``: takes a job out; ``busy``: those that may not go, for a
    part of their film is being received."""

    def __init__(self, records: JobRecords, view: JobView, options: ServeOptions,
                 delete: Callable[[str], Awaitable[None]], busy: set[str]) -> None:
        self._records, self._view, self._options, self._delete, self._busy = records, view, options, delete, busy

    async def sweep_for_ever(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._records.count()
            await self._sweep()
            await self.make(0, refuse=False)
            await asyncio.sleep(min(SWEEP, max(0.05, self._options.keep_hours * 3600 / 4)))

    async def _sweep(self) -> None:
        """Delete what has been kept long enough."""
        for job in await self._records.ask(lambda store: store.of_states((*FINAL, "uploading"))):
            expires = self._view.expires(job)
            if expires is not None and expires < time.time() and job.id not in self._busy:
                await self._delete(job.id)

    async def make(self, bytes: int, *, refuse: bool = True) -> None:
        """Delete the oldest finished jobs until ``bytes`` more fit. Raises Refusal (storage_full)."""
        most = self._options.keep_gb * 1e9
        used, free = await asyncio.to_thread(self._measured)
        for job in await self._records.ask(lambda store: store.of_states(FINAL)):
            if used + bytes <= most and free >= bytes + SPARE:
                return
            size = await asyncio.to_thread(_size, self._records.path(job.id))
            await self._delete(job.id)
            used, free = used - size, free + size
        if refuse and (used + bytes > most or free < bytes + SPARE):
            raise Refusal("storage_full", "there is no room for the film: the jobs' files take as much as they may "
                          f"({self._options.keep_gb:g} GB), or the disk is full")

    def _measured(self) -> tuple[int, int]:
        return _size(self._records.home), shutil.disk_usage(self._records.home).free


def tidy(folder: Path) -> None:
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
