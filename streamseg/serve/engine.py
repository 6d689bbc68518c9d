"""From a picture's file to its matte and finished pictures: all that the server asks of the other packages.

    reading, finishing, encoding    a few worker threads, a picture each
    the method                      one thread, which loads, calls and closes it; pictures that wait together and
                                    agree in size are handed to it together

``places`` bounds what is under way: more is refused at once, with the time after which to try again. The method
is let go after a while without a picture, and loaded again for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .. import segment as methods
from ..composite import Compositor
from ..core.frames import Frame, Matte, VideoInfo
from ..core.pixel_formats import Colour
from ..core.thread_budget import cores
from ..errors import SegmentError, StreamsegError
from ..options import CompositeOptions, InputOptions, MethodOptions, Options
from ..segment import Segmenter
from ..sink.stills import encode_picture
from ..source.arrays import ArraySource
from ..source.stills import PictureSource
from .refusals import busy

T = TypeVar("T")
TOGETHER = 8  # pictures that are handed to the method at once
LOADED = 3    # methods that are kept loaded: the default, and those that requests asked for last
_log = logging.getLogger("streamseg.serve")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture that was read: its frame, what is known of it, and remarks for the client."""

    frame: Frame
    info: VideoInfo
    notes: tuple[str, ...] = ()


def read(path: Path, name: str) -> Decoded:
    """The first picture of a file, upright. ``name``: what messages call it. Raises SourceError."""
    source = PictureSource([path], name, InputOptions(), stills=True)
    try:
        frame = next(iter(source))
        notes = tuple(note.replace(path.name, name) for note in source.notes)
        return Decoded(frame, source.info, notes)
    finally:
        source.close()


def of_array(array: Any, like: Decoded) -> Decoded:
    """uint8 (h, w, 3 or 4) RGB(A) as a picture, with the colour profile and remarks of ``like``."""
    source = ArraySource([array], InputOptions())
    frame = replace(next(iter(source)), profile=like.frame.profile)
    return Decoded(frame, replace(source.info, stills=True, frames=1), like.notes)


def of_grey(alpha: Any, like: Decoded) -> Decoded:
    """uint8 (h, w), full range, as a grey picture without a colour profile."""
    plane = np.ascontiguousarray(alpha)
    frame = Frame((plane,), "gray", like.frame.time_base, 0, 0, Colour(range=2))
    return Decoded(frame, replace(like.info, width=frame.width, height=frame.height, format="gray"), like.notes)


def finish(picture: Decoded, matte: Matte, kinds: Sequence[str],
           options: CompositeOptions) -> tuple[dict[str, Frame], list[str]]:
    """kind -> finished picture, and remarks. Raises StreamsegError."""
    compositor = Compositor(picture.info, sorted(kinds), options)
    try:
        made = compositor.finish(picture.frame, matte)
        return made, compositor.notes
    finally:
        compositor.close()


def encode(frame: Frame, extension: str, kind: str, quality: int | None = None) -> bytes:
    """The bytes of a picture file. Raises SinkError."""
    return encode_picture(frame, extension, kind, quality)


@dataclass(slots=True)
class _Asked:
    """A matte that somebody waits for."""

    frame: Frame
    key: str
    options: MethodOptions
    answer: Future[Matte] = field(default_factory=Future)


class _Loaded:
    """The methods that are loaded, by their options; threads, device and runtime are ``own``, the server's. All
    calls come from one thread."""

    def __init__(self, own: MethodOptions) -> None:
        self._own = own
        self._open: OrderedDict[str, Segmenter] = OrderedDict()

    def mattes(self, asked: Sequence[_Asked]) -> list[Matte]:
        """A matte of each frame; all ask for the same method."""
        method = self._method(asked[0])
        made = []
        for item in asked:
            method.reset()  # pictures have nothing to do with each other
            made += method.segment([item.frame])
        return made

    def _method(self, asked: _Asked) -> Segmenter:
        if asked.key in self._open:
            self._open.move_to_end(asked.key)
            return self._open[asked.key]
        options, own = asked.options, self._own
        method = methods.create_segmenter(options.method, options.set, threads=own.threads, device=own.device,
                                runtime=own.runtime, model=options.model, classes=options.classes, stills=True)
        self._open[asked.key] = method
        while len(self._open) > LOADED:
            self._open.popitem(last=False)[1].close()
        return method

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._open.popitem()[1].close()


class PictureEngine:
    """Made and used in one event loop: ``start``, then ``matte`` and ``work`` within a ``place``, then ``close``.

    own         threads, device and runtime of the method
    places      pictures that may be under way at once
    idle        seconds without a picture after which the method is let go; 0: never
    """

    def __init__(self, own: MethodOptions | None = None, *, places: int = 64, idle: float = 300.0) -> None:
        self.places, self.under_way, self.refused = places, 0, 0
        self.ready = False
        self.failure: str | None = None
        self.groups = 0   # times that the method was called, and
        self.pictures = 0  # of how many pictures
        self._idle = idle
        own = own or MethodOptions()
        self._loaded = _Loaded(own)
        self._method = ThreadPoolExecutor(1, "serve-method")
        self._workers = ThreadPoolExecutor(own.threads or cores(), "serve-picture")
        self._decoded = asyncio.Semaphore((own.threads or cores()) + 2)
        self._waiting: deque[_Asked] = deque()
        self._seconds = 0.5  # of one picture in the method, about
        self._release: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Load the default method and make a picture with it: what does not run is known before a request."""
        try:
            await self.matte(_first_picture(), Options())
            self.ready = True
        except StreamsegError as error:
            self.failure = str(error)
            _log.error("the method does not run: %s", error)

    async def close(self) -> None:
        """End the threads, once what they are doing is done."""
        if self._release is not None:
            self._release.cancel()
        await asyncio.wrap_future(self._method.submit(self._loaded.close))
        self._method.shutdown(cancel_futures=True)
        self._workers.shutdown(cancel_futures=True)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place among the pictures under way. Raises Refusal (busy) where there is none."""
        if self.under_way >= self.places:
            self.refused += 1
            raise busy(f"{self.places} pictures are under way, as many as this server takes: try again",
                       self.wait())
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    def wait(self) -> float:
        """Seconds until half of what is under way will be done, about."""
        return max(1.0, self.under_way * self._seconds / 2)

    async def picture(self, read: Callable[[], Decoded], options: MethodOptions,
                      finish: Callable[[Decoded, Matte], T]) -> T:
        """``finish`` of what ``read`` gives and its matte; both run in a worker's thread. Only so many pictures
        are held decoded as can be worked on."""
        async with self._decoded:
            picture = await self.work(read)
            matte = await self.matte(picture.frame, options)
            return await self.work(lambda: finish(picture, matte))

    async def work(self, what: Callable[[], T]) -> T:
        """What ``what`` gives, from a worker's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, what)

    async def matte(self, frame: Frame, options: MethodOptions) -> Matte:
        """The frame's matte. Raises StreamsegError. Cancelled before its turn, it is never computed."""
        asked = _Asked(frame, _key(options), options)
        self._waiting.append(asked)
        self._method.submit(self._next)
        try:
            return await asyncio.wrap_future(asked.answer)
        finally:
            self._stay_loaded()

    def is_loaded(self) -> bool:
        """Whether a method is in memory."""
        return len(self._loaded) > 0

    def _next(self) -> None:
        """In the method's thread: the first that waits, with those of its method and size behind it."""
        group = self._group()
        if not group:
            return  # it went with an earlier one
        began = time.perf_counter()
        try:
            made = self._loaded.mattes(group)
        except StreamsegError as error:
            _fail(group, error)
        except Exception as error:
            _log.exception("the method failed")
            _fail(group, SegmentError(f"the method failed: {type(error).__name__}: {error}"))
        else:
            self.groups, self.pictures = self.groups + 1, self.pictures + len(group)
            self._seconds += 0.2 * ((time.perf_counter() - began) / len(group) - self._seconds)
            for item, matte in zip(group, made, strict=True):
                item.answer.set_result(matte)

    def _group(self) -> list[_Asked]:
        group: list[_Asked] = []
        while self._waiting and len(group) < TOGETHER:
            item = self._waiting[0]
            if group and (item.key != group[0].key or _size(item) != _size(group[0])):
                break
            self._waiting.popleft()
            if item.answer.set_running_or_notify_cancel():
                group.append(item)
        return group

    def _stay_loaded(self) -> None:
        if self._release is not None:
            self._release.cancel()
        if self._idle:
            self._release = asyncio.get_running_loop().call_later(self._idle, self._method.submit, self._let_go)

    def _let_go(self) -> None:
        if not self._waiting:
            self._loaded.close()
            gc.collect()
            _give_memory_back()
            _log.info("no picture for %g s: the method is let go", self._idle)


def _give_memory_back() -> None:
    """Hand what was freed back to the system. glibc keeps it for itself: 530 of the 600 MB that two sizes of the
    default method take stayed, and 180 after this. Elsewhere nothing."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # musl has no such call
            ctypes.CDLL(None).malloc_trim(0)


def _fail(group: Sequence[_Asked], error: StreamsegError) -> None:
    for item in group:
        item.answer.set_exception(error)


def _size(asked: _Asked) -> tuple[int, int]:
    return asked.frame.width, asked.frame.height


def _key(options: MethodOptions) -> str:
    return repr((options.method, sorted(options.set.items()), options.model, options.classes))


def _first_picture() -> Frame:
    noise = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    return next(iter(ArraySource([noise], InputOptions())))

