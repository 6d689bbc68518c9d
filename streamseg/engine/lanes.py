"""Several items at a time, each in a thread of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .channels import Channel
from .threads import Worker

T = TypeVar("T")
R = TypeVar("R")


class Lanes(Generic[T, R]):
    """Does ``work`` on each item that is started; the results are taken in the order of the starts.

    There is no bound in here: whoever starts an item takes one first where as many as there may be are under way
    (``len``).
    """

    def __init__(self, name: str, work: Callable[[T], R]) -> None:
        self._name, self._work = name, work
        self._under_way: deque[tuple[T, Channel[R], Worker[R]]] = deque()

    def __len__(self) -> int:
        return len(self._under_way)

    def __iter__(self) -> Iterator[T]:
        """The items under way, in their order."""
        return (item for item, _, _ in self._under_way)

    def start(self, item: T) -> None:
        """Begin on an item, in a thread."""
        channel = Channel[R](1)
        worker = Worker(self._name, self._made(item), channel)
        self._under_way.append((item, channel, worker))
        worker.launch()

    def take(self) -> tuple[T, R]:
        """Wait for the item that was started first: (it, its result). Raises what its work raised; IndexError where
        none is under way."""
        item, channel, worker = self._under_way[0]
        result = channel.get(None)
        self._under_way.popleft()
        worker.join(time.monotonic() + 1)
        return item, result

    def close(self, patience: float) -> bool:
        """Wait for what is under way, ``patience`` seconds at most, and let go of the results; may be called twice.
        -> whether all threads have ended"""
        until = time.monotonic() + patience
        for _, channel, _ in self._under_way:
            channel.cancel()
        for _, _, worker in self._under_way:
            worker.join(until)
        return not any(worker.thread.is_alive() for _, _, worker in self._under_way)

    def _made(self, item: T) -> Iterator[R]:
        yield self._work(item)
