"""From a picture's file to its matte and finished pictures: all that the server asks of the other packages.

    reading, finishing, encoding    a few worker threads, a picture each
    the method                      as many threads as keep the cores busy, each with a copy of it; pictures that wait
                                    for the same method are handed to it together

``places`` bounds what is under way: more is refused at once, with the time after which to try again. The method's
working memory is given back QUIET seconds after the last picture; the method is let go after a longer while without
one, and loaded again for the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..batch.methods import side_by_side
from ..composite import Compositor
from ..core.area import Area
from ..core.frames import Frame, Matte, VideoInfo
from ..core.pixel_formats import Colour
from ..core.thread_budget import cores
from ..errors import SegmentError, StreamsegError
from ..options import CompositeOptions, InputOptions, MethodOptions, Options
from ..segment.places import with_places
from ..sink.picture_file import encode_picture
from ..source.arrays import ArraySource
from ..source.stills import PictureSource
from .loaded import Asked, LoadedMethods, give_memory_back
from .refusals import busy

T = TypeVar("T")
TOGETHER = 8  # pictures that are handed to the method at once
QUIET = 5.0   # seconds without a picture after which working memory is given back. The next picture pays some .1 s
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
        self._loaded = LoadedMethods(own)
        # A device takes many pictures at once better than a few twice.
        self._at_once = 1 if own.device == "gpu" else side_by_side(own.threads)
        self._method = ThreadPoolExecutor(self._at_once, "serve-method")
        self._taking = threading.Lock()
        self._workers = ThreadPoolExecutor(own.threads or cores(), "serve-picture")
        self._decoded = asyncio.Semaphore((own.threads or cores()) + 2)
        self._waiting: deque[Asked] = deque()
        self._seconds = 0.5  # of one picture in the method, about
        self._rest: list[asyncio.TimerHandle] = []  # what is done when no picture comes

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
        self._cancel_rest()
        await asyncio.to_thread(self._method.shutdown, cancel_futures=True)
        self._loaded.close()
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
        return max(1.0, self.under_way * self._seconds / (2 * self._at_once))

    async def picture(self, read: Callable[[], Decoded], options: Options,
                      finish: Callable[[Decoded, Matte], T]) -> T:
        """``finish`` of what ``read`` gives and its matte; both run in a worker's thread. Only so many pictures
        are held decoded as can be worked on. The method sees the options' roi alone."""
        async with self._decoded:
            picture = await self.work(read)
            frame = picture.frame
            part = frame if options.roi is None else Area(options.roi).cut(frame)
            found = await self.matte(part, options)
            return await self.work(lambda: finish(picture, _whole(found, part, frame, options)))

    async def work(self, what: Callable[[], T]) -> T:
        """What ``what`` gives, from a worker's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, what)

    async def matte(self, frame: Frame, options: MethodOptions) -> Matte:
        """The frame's matte. Raises StreamsegError. Cancelled before its turn, it is never computed."""
        asked = Asked(frame, options)
        self._waiting.append(asked)
        self._method.submit(self._next)
        try:
            return await asyncio.wrap_future(asked.answer)
        finally:
            self._rest_later()

    def is_loaded(self) -> bool:
        """Whether a method is in memory."""
        return len(self._loaded) > 0

    def _next(self) -> None:
        """In a thread of the method's: the first that waits, with others that wait for its method."""
        with self._taking:
            group = self._group()
        if not group:
            return  # it went with an earlier one
        began = time.perf_counter()
        self._answer(group)
        self._seconds += 0.2 * ((time.perf_counter() - began) / len(group) - self._seconds)

    def _answer(self, group: Sequence[Asked]) -> None:
        """Give each its matte, or the reason why there is none. A picture that the method fails at takes none of
        those with it: each is tried alone then."""
        self.groups, self.pictures = self.groups + 1, self.pictures + len(group)
        try:
            made = self._loaded.mattes(group)
            if len(made) != len(group):
                raise SegmentError(f"the method gave {len(made)} mattes for {len(group)} pictures")
        except Exception as error:
            if len(group) > 1:
                for item in group:
                    self._answer([item])
            elif isinstance(error, StreamsegError):
                group[0].answer.set_exception(error)
            else:
                _log.exception("the method failed")
                group[0].answer.set_exception(SegmentError(f"the method failed: {type(error).__name__}: {error}"))
        else:
            for item, matte in zip(group, made, strict=True):
                item.answer.set_result(matte)

    def _group(self) -> list[Asked]:
        """The first that waits, and others of its method: this thread's share, TOGETHER at most; the rest stays in
        its order."""
        group: list[Asked] = []
        others: list[Asked] = []
        most = min(TOGETHER, -(-len(self._waiting) // self._at_once))
        for _ in range(len(self._waiting)):
            item = self._waiting.popleft()
            if group and (item.key != group[0].key or len(group) == most):
                others.append(item)
            elif item.answer.set_running_or_notify_cancel():
                group.append(item)
        self._waiting.extendleft(reversed(others))
        return group

    def _rest_later(self) -> None:
        self._cancel_rest()
        later = asyncio.get_running_loop().call_later
        self._rest.append(later(QUIET, self._method.submit, self._trim))
        if self._idle:
            self._rest.append(later(self._idle, self._method.submit, self._let_go))

    def _cancel_rest(self) -> None:
        while self._rest:
            self._rest.pop().cancel()

    def _trim(self) -> None:
        if not self._waiting:
            self._loaded.trim()
            give_memory_back()

    def _let_go(self) -> None:
        if not self._waiting:  # what another thread uses stays, and its picture asks for this again
            self._loaded.close()
            give_memory_back()
            _log.info("no picture for %g s: the method is let go", self._idle)


def _whole(matte: Matte, part: Frame, frame: Frame, options: CompositeOptions) -> Matte:
    """The matte of ``part``, which is what the roi leaves of ``frame``, as the frame's, with the region's places."""
    area = None if options.roi is None else Area(options.roi)
    size = frame.width, frame.height
    if options.region is not None:
        matte = with_places(part, matte, options.region, size, None if area is None else area.box(*size))
    return matte if area is None else area.placed(matte, frame)


def _first_picture() -> Frame:
    noise = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    return next(iter(ArraySource([noise], InputOptions())))

