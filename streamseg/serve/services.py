"""What the routes share: options, engine, fetcher, metrics, and the folder for what requests bring."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request

from .engine import PictureEngine
from .fetch import Fetcher
from .forms import Submitted, Upload, submitted
from .limits import PictureLimits
from .metrics import Metrics
from .options import ServeOptions
from .refusals import ClientGone, Refusal

T = TypeVar("T")
BASE64 = 4 / 3  # a file as text takes so much more


@dataclass(slots=True)
class Services:
    """Made once by ``create_app``. ``scratch``: the folder for the files of requests under way."""

    options: ServeOptions
    engine: PictureEngine
    fetcher: Fetcher
    metrics: Metrics
    scratch: Path

    @property
    def limits(self) -> PictureLimits:
        """What a picture may be."""
        return PictureLimits(round(self.options.max_upload * 1e6), round(self.options.max_pixels * 1e6))

    @contextlib.asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """A folder for one request's files, gone afterwards."""
        path = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self.scratch, prefix="request-"))
        try:
            yield path
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, path, True))

    async def read(self, request: Request, folder: Path, *, files: int = 2, query: bool = False) -> Submitted:
        """What a request for a picture brings, of at most ``files`` files and some room for its fields, read
        within the time limit. Raises Refusal, ClientGone."""
        limit = round(self.limits.bytes * max(files, BASE64)) + (1 << 20)
        try:
            async with asyncio.timeout(self.options.time_limit):
                return await submitted(request, folder, limit, query=query)
        except TimeoutError as error:
            raise Refusal("timeout", f"the request did not come within {self.options.time_limit:g} s, the limit here",
                          headers={"Connection": "close"}) from error

    async def fetched(self, url: Any, folder: Path, name: str) -> Upload:
        """The file of an address that a request names. Raises Refusal."""
        if not isinstance(url, str):
            raise Refusal("invalid_option", f"{name} must be an address, as https://example.org/photo.jpg")
        path = folder / f"fetched-{name}"
        size = await self.fetcher.to_file(url.strip(), path, self.limits.bytes)
        return Upload(path, "the address's file", size)

    async def within_limits(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` gives; the request's body was read before.

        Cancelled when it takes longer than the time limit (Refusal timeout) and when the client goes
        (ClientGone).
        """
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait((task, gone), timeout=self.options.time_limit, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if gone.done():
                raise ClientGone
            raise Refusal("timeout", f"the picture was not done within {self.options.time_limit:g} s, the limit here",
                          headers={"Retry-After": str(round(self.engine.wait()))})
        finally:
            for item in (task, gone):
                item.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
