"""Pictures of which several are under way at a time, so that one is read and another written while a network looks at
a third. Films are done one after the other: each uses all cores."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Generic, TypeVar

from ..core.opencv import opencv_threads
from ..core.thread_budget import Threads, cores
from ..engine import Lanes
from .addresses import is_address
from .methods import MAKING, shared_by_pictures
from .names import is_still

T = TypeVar("T")
R = TypeVar("R")
MOST = 4        # pictures under way at a time; each is held at its full size
PATIENCE = 60.0  # seconds that they get to end when all is broken off


def beside_others(source: str, sinks: Sequence[str], options: dict[str, Any]) -> str | None:
    """What pictures that may be under way together have in common; None for an item that is done alone: a film, what
    goes through an object store (fsspec's transactions are those of all files together), or one with a method of your
    own, of which only one thread at a time may know."""
    targets = (*sinks, *(value for value in options.values() if isinstance(value, str)))
    if not is_still(source) or not os.path.isfile(source) or any(map(is_address, (source, *targets))):
        return None
    if not shared_by_pictures(options):
        return None
    return json.dumps([options.get(name) for name in (*MAKING, "threads")], default=str)


class Beside(Generic[T, R]):
    """Does ``work`` on pictures, each in a thread of its own; ``ended`` is told of each, in the order of the starts
    and in the caller's thread."""

    def __init__(self, work: Callable[[T], R], ended: Callable[[T, R], None]) -> None:
        self._lanes: Lanes[T, R] = Lanes("picture", work)
        self._ended = ended
        self._settings = ExitStack()
        self.common: str | None = None  # of the pictures under way; None: there are none

    def __len__(self) -> int:
        return len(self._lanes)

    def __iter__(self) -> Iterator[T]:
        """The items under way, in their order."""
        return iter(self._lanes)

    def ready(self, source: str, sinks: Sequence[str], options: dict[str, Any]) -> bool:
        """Whether an item may be started now, as there is room. False: it is done alone, and nothing is under way."""
        common = beside_others(source, sinks, options)
        if common is None or common != self.common:
            self.land()
        if common is None:
            return False
        threads = options.get("threads")
        if self.common is None:
            self._settings.enter_context(opencv_threads(Threads.of(threads).opencv))
            self.common = common
        while len(self._lanes) >= min(MOST, 2 + (threads or cores())):
            self._take()
        return True

    def start(self, item: T) -> None:
        """Begin on an item."""
        self._lanes.start(item)

    def take_all(self) -> None:
        """Wait until nothing is under way."""
        while len(self._lanes):
            self._take()

    def land(self) -> None:
        """``take_all``, and what follows has nothing in common with it."""
        self.take_all()
        self.common = None
        self._settings.close()

    def close(self) -> None:
        """End, whatever is under way, of which nobody is told."""
        self._lanes.close(PATIENCE)
        self._settings.close()

    def _take(self) -> None:
        self._ended(*self._lanes.take())
