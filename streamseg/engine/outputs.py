"""The ends of the row: each output in a thread of its own, behind a queue of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from .channels import Cancelled, Channel, ChannelStats
from .policy import Link
from .threads import Worker

T = TypeVar("T")


class Counter:
    """What an output's thread puts its results into: they are counted, and never hold it up."""

    putting = False

    def __init__(self, changed: threading.Event) -> None:
        self.count = 0
        self.ended = False
        self.failure: BaseException | None = None
        self._changed, self._cancelled = changed, False

    def put(self, item: object) -> None:
        """Count one more. Raises Cancelled."""
        if self._cancelled:
            raise Cancelled
        self.count += 1
        self._changed.set()

    def end(self, failure: BaseException | None = None) -> None:
        """The output has ended; ``failure``: with what."""
        self.ended, self.failure = True, failure
        self._changed.set()

    def cancel(self) -> None:
        """Let the next ``put`` raise Cancelled."""
        self._cancelled = True


class OutputThread(Generic[T]):
    """One output: items put here go to ``stage`` in a thread of its own, which yields once for each.

    waits_for_reader  the stage may wait for somebody else without limit: that is no stall
    patience, stop    see Worker
    """

    def __init__(self, name: str, stage: Callable[[Iterator[T]], Iterator[Any]], link: Link, changed: threading.Event,
                 *, waits_for_reader: bool = False, patience: float | None = None,
                 stop: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.waits_for_reader = waits_for_reader
        self.inlet = Channel[T](link.capacity, newest=link.newest, handed=link.handed)
        self._counter = Counter(changed)
        self.worker = Worker[Any](name, stage(self.inlet.items()), self._counter, self.inlet, patience=patience,
                                  stop=stop)

    def put(self, item: T) -> None:
        """Hand over an item; after the stage's end, and after ``end``, it goes nowhere. Raises Cancelled."""
        if not (self.ended or self.inlet.ended):
            self.inlet.put(item)

    @property
    def written(self) -> int:
        """Items that the stage is through with."""
        return self._counter.count

    @property
    def ended(self) -> bool:
        """Whether the stage has ended, well or not."""
        return self._counter.ended

    @property
    def failure(self) -> BaseException | None:
        """What the stage ended with, None if it ended well or has not ended."""
        return self._counter.failure

    @property
    def dropped(self) -> int:
        """Items that gave way to newer ones."""
        return self.inlet.stats.dropped

    @property
    def may_take_long(self) -> bool:
        """Whether it does what has no limit of time: it waits for a reader, or finishes a large file."""
        return self.waits_for_reader or self.inlet.exhausted

    def end(self, timeout: float) -> bool:
        """No more items follow: let the stage finish. -> whether it did within ``timeout`` seconds"""
        self.inlet.end()
        return self.worker.finished.wait(timeout)


class FanOut(Generic[T]):
    """All outputs of a run as one target: an item goes to each.

    A failure of what comes before does not end the outputs: they go on with what they have (see ``drained``).
    """

    def __init__(self, changed: threading.Event) -> None:
        self.outputs: tuple[OutputThread[T], ...] = ()  # replaced as a whole: two threads may look at it
        self.count = 0
        self.ended = False
        self.failure: BaseException | None = None
        self._changed = changed

    def add(self, output: OutputThread[T]) -> None:
        """One more output, which gets what is put from now on."""
        self.outputs = (*self.outputs, output)

    def remove(self, output: OutputThread[T]) -> None:
        """Give ``output`` nothing any more."""
        self.outputs = tuple(item for item in self.outputs if item is not output)

    @property
    def putting(self) -> bool:
        """Whether the producer waits for an output now."""
        return any(output.inlet.putting for output in self.outputs)

    def put(self, item: T) -> None:
        """Hand ``item`` to every output that has not ended. Raises Cancelled."""
        for output in self.outputs:
            output.put(item)
        self.count += 1

    def end(self, failure: BaseException | None = None) -> None:
        """No more items follow; without a ``failure`` the outputs may finish."""
        self.ended, self.failure = True, failure
        if failure is None:
            for output in self.outputs:
                output.inlet.end()
        self._changed.set()

    def cancel(self) -> None:
        """Wake producer and outputs, with Cancelled."""
        for output in self.outputs:
            output.inlet.cancel()

    @property
    def drained(self) -> bool:
        """Whether every output is through with all that was put."""
        return all(output.written == self.count for output in self.outputs)

    @property
    def stats(self) -> ChannelStats:
        """Of the fullest of the outputs' queues, and all items that were dropped before any."""
        all_stats = [output.inlet.stats for output in self.outputs]
        return ChannelStats(max((stats.capacity for stats in all_stats), default=0),
                            max((stats.high_water for stats in all_stats), default=0),
                            sum(stats.dropped for stats in all_stats))
