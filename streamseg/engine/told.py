"""What a function tells as it works, as an iterator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

from .channels import Channel, EndOfChannel
from .threads import Worker

T = TypeVar("T")


class Told(Generic[T]):
    """Iterates over what ``work`` tells by the callback that it is given. ``work`` runs in a thread called ``name``,
    which begins with the first item that is asked for and waits when ``capacity`` items are not yet taken.

    What ``work`` raises comes after the items before it. ``close`` ends it: the callback then
    raises Cancelled, and the thread gets ``patience`` seconds to end.
    """

    def __init__(self, name: str, work: Callable[[Callable[[T], None]], object], capacity: int,
                 patience: float) -> None:
        self._patience = patience
        self._channel = Channel[T](capacity)
        self._work = work
        self._worker = Worker(name, self._nothing(), self._channel)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if not self._worker.launched:
            self._worker.launch()
        try:
            return self._channel.get(None)
        except EndOfChannel:
            raise StopIteration from None

    def close(self) -> bool:
        """End the work and wait for its thread; may be called twice. -> whether it has ended"""
        self._channel.cancel()
        self._worker.join(time.monotonic() + self._patience)
        return not self._worker.thread.is_alive()

    def _nothing(self) -> Iterator[T]:
        self._work(self._channel.put)
        yield from ()
