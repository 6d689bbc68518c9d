"""The methods that the server holds in memory, and the pictures that wait for one of them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from .. import segment as methods
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
    """The methods that are loaded, by their options; threads, device and runtime are ``own``, the server's. All
    calls come from one thread."""

    def __init__(self, own: MethodOptions) -> None:
        self._own = own
        self._open: OrderedDict[str, BaseSegmenter] = OrderedDict()

    def mattes(self, asked: Sequence[Asked]) -> list[Matte]:
        """A matte of each frame; all ask for the same method."""
        return self._method(asked[0]).separate([item.frame for item in asked])

    def trim(self) -> None:
        """Give the methods' working memory back."""
        for method in self._open.values():
            method.trim()

    def _method(self, asked: Asked) -> BaseSegmenter:
        if asked.key in self._open:
            self._open.move_to_end(asked.key)
            return self._open[asked.key]
        options, own = asked.options, self._own
        method = adapt(methods.create_segmenter(
            options.method, options.set, threads=own.threads, device=own.device, runtime=own.runtime,
            model=options.model, classes=options.classes, stills=True), owned=True)
        self._open[asked.key] = method
        while len(self._open) > LOADED:
            self._open.popitem(last=False)[1].close()
        return method

    def __len__(self) -> int:
        return len(self._open)

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._open.popitem()[1].close()


def give_memory_back() -> None:
    """Hand what was freed back to the system. glibc keeps it for itself: 530 of the 600 MB that two sizes of the
    default method take stayed, and 180 after this. Elsewhere nothing."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # musl has no such call
            ctypes.CDLL(None).malloc_trim(0)
