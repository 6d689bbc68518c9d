"""Reads ahead of who needs the items, in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

from . import threads
from .channels import Channel, EndOfChannel
from .threads import Worker

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Iterates over ``items``, of which up to ``capacity`` are made ahead, in a thread called ``name``.

    The thread begins with the first item that is asked for, and ends with the last item or with ``close``, which waits
    ``patience`` seconds for it (default: threads.JOIN_SECONDS). What ``items`` raises comes after the items before it.
    """

    def __init__(self, name: str, items: Iterator[T], capacity: int, patience: float | None = None) -> None:
        self._patience = patience
        self._channel = Channel[T](capacity)
        self._worker = Worker(name, items, self._channel)

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
        """End the thread; may be called twice. -> whether it has ended: one that hangs in a read is left behind, and
        what it reads from must not be freed under its feet"""
        self._channel.cancel()
        patience = threads.JOIN_SECONDS if self._patience is None else self._patience
        self._worker.join(time.monotonic() + patience)
        return not self._worker.thread.is_alive()
