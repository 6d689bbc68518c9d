"""A bounded, cancellable queue between two threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Target(Protocol[T_contra]):
    """What a stage's thread puts its items into: a Channel, or several at once."""

    @property
    def putting(self) -> bool:
        """Whether the producer waits for room now."""

    @property
    def ended(self) -> bool:
        """Whether the producer has ended, well or not."""

    def put(self, item: T_contra) -> None:
        """Hand over an item. Raises Cancelled."""

    def end(self, failure: BaseException | None = None) -> None:
        """No more items follow; ``failure``: why."""

    def cancel(self) -> None:
        """Wake whoever waits, with Cancelled."""


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
        self.exhausted = False  # the consumer knows that nothing follows
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
            self.exhausted = True
            if self._failure is not None:
                raise self._failure
            raise EndOfChannel

    def items(self) -> Iterator[T]:
        """All items, in order, as they come."""
        while True:
            try:
                item = self.get(None)
            except EndOfChannel:
                return
            yield item
