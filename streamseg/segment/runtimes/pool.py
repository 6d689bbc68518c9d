"""The nets that several sessions of one model share: each file is opened once a process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ...errors import SegmentError
from ..model_spec import ModelSpec
from . import Net, open_net


class NetPool:
    """Opens model files for one runtime, device and number of threads, each at most once, and closes them together.

    May be used from several threads at once. In a process that was forked off, files are opened anew: a runtime's
    own threads are not there any more.
    """

    def __init__(self, runtime: str, device: str, threads: int) -> None:
        self._how = runtime, device, threads
        self._nets: dict[tuple[int, Path, ModelSpec], Net] = {}
        self._locks: dict[int, threading.Lock] = {}  # by process: what a lock was when it was forked is no use
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def open(self, path: Path, spec: ModelSpec) -> Net:
        """The net in a file. Raises as ``open_net``; SegmentError once the pool is closed."""
        process = os.getpid()
        with self._locks.setdefault(process, threading.Lock()):
            if self._closed:
                raise SegmentError("the model was closed: load it again")
            key = process, path, spec
            if key not in self._nets:
                self._nets[key] = open_net(path, spec, *self._how)
            return self._nets[key]

    def trim(self) -> None:
        """Free the nets' working memory, which the next frame takes again."""
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            for net in self._nets.values():
                net.trim()

    def close(self) -> None:
        """Free all nets; may be called twice. None of them may be at work."""
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            self._closed = True
            for net in self._nets.values():
                net.close()
            self._nets.clear()
