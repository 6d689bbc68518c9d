"""Bounded, cancellable hand-over between threads; the only module that starts threads.

A stage is a plain iterator. ``StageRunner.thread`` lets one run in a thread of its own and gives back an
iterator over what it makes:

    with StageRunner() as crew:
        frames = crew.thread("decode", iter(source), capacity=2)
        mattes = crew.thread("segment", segment(frames), capacity=1)
        for frame, matte in mattes:
            ...

An exception in a stage travels downstream in order, after the items before it, and comes out of the
last iterator. Leaving the ``with`` block, for whatever reason, cancels every channel and joins every
thread; each stage's generator is closed in its own thread.

Live, the row ends in several outputs at once: ``StageRunner.branch`` gives each a thread and a slot of its own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..errors import StallError

T = TypeVar("T")

JOIN_SECONDS = 5.0  # what the stages get to notice the end before they are left behind


class Cancelled(BaseException):
    """Raised inside a stage whose channel was cancelled; never seen outside the StageRunner's block.

    A BaseException, so that a stage's own ``except Exception`` does not swallow it.
    """


class EndOfChannel(Exception):
    """No more items follow."""


class WaitedTooLong(Exception):
    """Nothing came within the time allowed."""


@dataclass(slots=True)
class ChannelStats:
    """``high_water``: the most items that ever waited; ``dropped``: items replaced by newer ones."""

    capacity: int
    high_water: int = 0
    dropped: int = 0


class Channel(Generic[T]):
    """A queue of at most ``capacity`` items between one producer and one consumer.

    newest=False: ``put`` waits while it is full (files: nothing is lost).
    newest=True: ``put`` never waits, the oldest item gives way and is counted (live: no delay builds up).
    What must not go with it, ``merge(given_way, next)`` puts into the item that follows it.
    handed=True: ``put`` waits until the item is taken, so that its producer begins on nothing that would
    grow old in the meantime (live, too).
    """

    def __init__(self, capacity: int, *, newest: bool = False, handed: bool = False,
                 merge: Callable[[T, T], T] | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"a channel holds at least 1 item, not {capacity}")
        self.stats = ChannelStats(capacity)
        self.putting = self.getting = False  # who waits now: tells which stage is at work in a stall
        self._newest, self._handed, self._merge = newest, handed, merge
        self._items: deque[T] = deque()
        self._condition = threading.Condition()
        self.ended = False
        self._failure: BaseException | None = None
        self._cancelled = False

    def put(self, item: T) -> None:
        """Hand over an item. Raises Cancelled once the channel is cancelled."""
        with self._condition:
            if self._newest:
                while len(self._items) >= self.stats.capacity:
                    item = self._give_way(item)
            self.putting = True
            self._condition.wait_for(lambda: self._cancelled or len(self._items) < self.stats.capacity)
            self.putting = False
            if self._cancelled:
                raise Cancelled
            self._items.append(item)
            self.stats.high_water = max(self.stats.high_water, len(self._items))
            self._condition.notify_all()
            if self._handed:
                self.putting = True
                self._condition.wait_for(lambda: self._cancelled or not self._items)
                self.putting = False
                if self._cancelled:
                    raise Cancelled

    def _give_way(self, item: T) -> T:
        """Drop the oldest item for ``item``, which comes back with what it inherits."""
        oldest = self._items.popleft()
        self.stats.dropped += 1
        if self._merge is None:
            return item
        if not self._items:
            return self._merge(oldest, item)
        self._items[0] = self._merge(oldest, self._items[0])
        return item

    def end(self, failure: BaseException | None = None) -> None:
        """No more items follow; ``failure`` is raised at the consumer after the last one."""
        with self._condition:
            self.ended, self._failure = True, failure
            self._condition.notify_all()

    def cancel(self) -> None:
        """Wake both sides with Cancelled and let go of the items."""
        with self._condition:
            self._cancelled = True
            self._items.clear()
            self._condition.notify_all()

    @property
    def failure(self) -> BaseException | None:
        """What the producer ended with, None while it runs and where it ended well."""
        return self._failure

    def get(self, timeout: float | None) -> T:
        """The next item. Raises EndOfChannel at the end, the producer's exception if it failed,
        WaitedTooLong when nothing came for ``timeout`` seconds (None: waits on), Cancelled once cancelled."""
        with self._condition:
            self.getting = True
            moved = self._condition.wait_for(
                lambda: self._cancelled or self._items or self.ended, timeout)
            self.getting = not moved  # stays True after a timeout: the stall report reads it
            if self._cancelled:
                raise Cancelled
            if self._items:
                self._condition.notify_all()
                return self._items.popleft()
            if not moved:
                raise WaitedTooLong
            if self._failure is not None:
                raise self._failure
            raise EndOfChannel


class _Worker(Generic[T]):
    """One stage's thread: puts what ``items`` makes into ``channel``."""

    def __init__(self, name: str, items: Iterator[T], channel: Channel[T]) -> None:
        self.name = name
        self.channel = channel
        self.launched = False
        self.finished = threading.Event()
        self._items = items
        # a daemon, so that a stage which hangs for good cannot keep the process alive after StallError
        self.thread = threading.Thread(target=self._work, name=f"streamseg-{name}", daemon=True)

    def _work(self) -> None:
        failure = self._guarded(self._hand_over)
        failure = self._guarded(getattr(self._items, "close", lambda: None)) or failure
        self.channel.end(failure)
        self.finished.set()

    def launch(self) -> None:
        self.launched = True
        self.thread.start()

    def _hand_over(self) -> None:
        for item in self._items:
            self.channel.put(item)

    @staticmethod
    def _guarded(work: Callable[[], None]) -> BaseException | None:
        try:
            work()
        except Cancelled:
            return None
        except BaseException as error:
            return error
        return None


class FanOut(Generic[T]):
    """One of several ends of the row: items put here go to a stage in a thread of its own.

    The newest item waits in one slot and takes the place of an older one: a slow end never holds up who
    puts. Made by ``StageRunner.branch``.
    """

    def __init__(self, name: str, stage: Callable[[Iterator[T]], Iterator[Any]]) -> None:
        self.name = name
        self.inlet = Channel[T](1, newest=True)
        # what the stage yields is of no interest and must never hold it up
        self.worker = _Worker[Any](name, stage(self._items()), Channel[Any](1, newest=True))

    def _items(self) -> Iterator[T]:
        while True:
            try:
                item = self.inlet.get(None)
            except EndOfChannel:
                return
            yield item

    def put(self, item: T) -> None:
        """Hand over an item; after the stage's end it goes nowhere."""
        if not self.ended:
            self.inlet.put(item)

    @property
    def ended(self) -> bool:
        """Whether the stage has ended, well or not."""
        return self.worker.channel.ended

    @property
    def failure(self) -> BaseException | None:
        """What the stage ended with, None if it ended well or has not ended."""
        return self.worker.channel.failure

    @property
    def dropped(self) -> int:
        """Items that gave way to newer ones."""
        return self.inlet.stats.dropped

    def end(self, timeout: float) -> bool:
        """No more items follow: let the stage finish. -> whether it did within ``timeout`` seconds"""
        self.inlet.end()
        return self.worker.finished.wait(timeout)


class StageRunner:
    """The threads of one run, in a row. Use as a context manager; nothing outlives the block."""

    def __init__(self, *, stall_timeout: float | None) -> None:
        """``stall_timeout``: after so many seconds of waiting for a stage StallError is raised; None: live,
        where who looks at the pictures also looks at the time."""
        self._stall_timeout = stall_timeout
        self._workers: list[_Worker[Any]] = []
        self._branches: list[FanOut[Any]] = []

    def thread(self, name: str, items: Iterator[T], *, capacity: int, newest: bool = False,
               handed: bool = False, merge: Callable[[T, T], T] | None = None) -> Iterator[T]:
        """Run ``items`` in a thread called ``name``; the result iterates over what it makes.

        ``items`` may read from what the call before returned: stages stand in a row.
        """
        return self._receive(self.channel(name, items, capacity=capacity, newest=newest, handed=handed,
                                          merge=merge))

    def channel(self, name: str, items: Iterator[T], *, capacity: int, newest: bool = False,
                handed: bool = False, merge: Callable[[T, T], T] | None = None) -> Channel[T]:
        """As ``thread``, but gives the channel itself, for who has other things to do while he waits."""
        worker = _Worker(name, items, Channel[T](capacity, newest=newest, handed=handed, merge=merge))
        self._workers.append(worker)
        worker.launch()
        return worker.channel

    def branch(self, name: str, stage: Callable[[Iterator[T]], Iterator[Any]]) -> FanOut[T]:
        """Run ``stage`` over what is put into the result, in a thread called ``name``."""
        made = FanOut[T](name, stage)
        self._branches.append(made)
        made.worker.launch()
        return made

    def _receive(self, channel: Channel[T]) -> Iterator[T]:
        while True:
            try:
                item = channel.get(self._stall_timeout)
            except EndOfChannel:
                return
            except WaitedTooLong:
                raise self._stalled() from None
            yield item

    def _stalled(self) -> StallError:
        before = [None, *(worker.channel for worker in self._workers)]
        busy = [worker.name for worker, upstream in zip(self._workers, before, strict=False)
                if not (worker.channel.putting or worker.channel.ended or (upstream and upstream.getting))]
        return StallError(f"no frame came for {self._stall_timeout or 0:g} s while the stage "
                          f"{' and '.join(busy) or 'at the end'} was at work: it hangs, or it is slow and "
                          "needs a longer --stall-timeout")

    @property
    def stats(self) -> dict[str, ChannelStats]:
        """The numbers of the channel behind each stage, by the stage's name."""
        return {worker.name: worker.channel.stats for worker in self._workers}

    def unless_running(self, name: str, close: Callable[[], None]) -> None:
        """Call ``close`` unless the stage ``name`` still runs after the end of the block: what a thread
        hangs in (a read from a dead network, say) must not be freed under its feet."""
        if not any(worker.name == name and worker.thread.is_alive() for worker in self._all()):
            close()

    def _all(self) -> list[_Worker[Any]]:
        return [*self._workers, *(branch.worker for branch in self._branches)]

    def __enter__(self) -> StageRunner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for branch in self._branches:
            branch.inlet.cancel()
        for worker in self._all():
            worker.channel.cancel()
        deadline = time.monotonic() + JOIN_SECONDS
        for worker in self._all():
            # Ctrl-C may come while start() waits for the thread to run: join() would then raise
            if worker.launched and worker.finished.wait(max(0.0, deadline - time.monotonic())):
                worker.thread.join()
