"""The methods that the server holds in memory, and the pictures that wait for one of them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from .. import segment as methods
from ..batch.methods import Copies, side_by_side
from ..core.frames import Frame, Matte
from ..options import MethodOptions
from ..segment import BaseSegmenter, adapt

LOADED = 3  # methods that are kept loaded: the default, and those that requests asked for last


@dataclass(slots=True)
class Asked:
    """A matte that somebody waits for."""

    frame: Frame
    options: MethodOptions
    answer: Future[Matte] = field(default_factory=Future)

    @property
    def key(self) -> str:
        """The same for all that ask for the same method."""
        options = self.options
        return repr((options.method, sorted(options.set.items()), options.model, options.classes))


class LoadedMethods:
    """The methods that are loaded, by their options; threads, device and runtime are ``own``, the server's.
    ``mattes`` may be at work in several threads."""

    def __init__(self, own: MethodOptions) -> None:
        self._own = own
        self._open: OrderedDict[str, Copies] = OrderedDict()
        self._used: Counter[str] = Counter()  # by how many threads each is used
        self._lock = threading.Lock()

    def mattes(self, asked: Sequence[Asked]) -> list[Matte]:
        """A matte of each frame; all ask for the same method."""
        key = asked[0].key
        with self._lock:
            copies = self._method(key, asked[0].options)
            self._used[key] += 1
        try:
            with copies.lent(object()) as method:  # not ``asked``, whose pictures would be kept
                return method.separate([item.frame for item in asked])
        finally:
            with self._lock:
                self._used[key] -= 1
                self._let_go(LOADED)

    def trim(self) -> None:
        """Give the methods' working memory back."""
        with self._lock:
            for copies in self._open.values():
                copies.trim()

    def _method(self, key: str, options: MethodOptions) -> Copies:
        if key not in self._open:
            first = self._created(options)
            self._open[key] = Copies(first, lambda: self._created(options), side_by_side(self._own.threads, first))
        self._open.move_to_end(key)
        return self._open[key]

    def _created(self, options: MethodOptions) -> BaseSegmenter:
        own = self._own
        return adapt(methods.create_segmenter(
            options.method, options.set, threads=own.threads, device=own.device, runtime=own.runtime,
            model=options.model, classes=options.classes, stills=True), owned=True)

    def _let_go(self, most: int) -> None:
        """Close those that nobody uses, the oldest first, until no more than ``most`` are left."""
        for key in [key for key in self._open if not self._used[key]][:max(0, len(self._open) - most)]:
            self._open.pop(key).close()

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """Close all that nobody uses."""
        with self._lock:
            self._let_go(0)


def give_memory_back() -> None:
    """Hand what was freed back to the system. glibc keeps it for itself: 530 of the 600 MB that two sizes of the
    default method take stayed, and 180 after this. Elsewhere nothing."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # musl has no such call
            ctypes.CDLL(None).malloc_trim(0)
