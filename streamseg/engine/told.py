"""What a function tells as it works, as an iterator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from .prefetch import Prefetch

T = TypeVar("T")


class Told(Prefetch[T]):
    """Iterates over what ``work`` tells by the callback that it is given. ``work`` runs in a thread called ``name``,
    which begins with the first item that is asked for and waits when ``capacity`` items are not yet taken.

    What ``work`` raises comes after the items before it. ``close`` ends it: the callback then
    raises Cancelled, and the thread gets ``patience`` seconds to end.
    """

    def __init__(self, name: str, work: Callable[[Callable[[T], None]], object], capacity: int,
                 patience: float) -> None:
        super().__init__(name, self._nothing(work), capacity, patience)

    def _nothing(self, work: Callable[[Callable[[T], None]], object]) -> Iterator[T]:
        work(self._channel.put)
        yield from ()
