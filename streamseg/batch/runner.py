"""The embedded default: a ledger's items in this process, in their order, with networks loaded once.

Films are done one after the other; each uses all cores. Of pictures several are under way at a time, so that one is
read and another written while the network looks at a third.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ..core.opencv import opencv_threads
from ..core.thread_budget import Threads, cores
from ..engine import Lanes
from ..sink.commit import writer
from . import files
from .addresses import is_address
from .events import HERE, State, Telling, Watch
from .item import Like, Seen, do
from .ledger import Ledger
from .methods import MAKING, Methods, shared_by_pictures
from .names import is_still
from .records import Outcome, Row

MOST = 4        # pictures under way at a time; each is held at its full size
PATIENCE = 60.0  # seconds that they get to end when the batch is broken off
_SPAN = 30      # pictures over which their rate is told


def run_all(ledger: Ledger, *, watch: Watch | None = None, methods: Methods | None = None) -> State:
    """Do what waits in ``ledger``, this round's, and write down how each item ended, in the items' order.

    ``watch`` is called with each Event, in this thread. An item that fails fails alone. What else is raised (Ctrl-C, a
    defect) ends the batch; what is done is done.
    """
    methods = methods or Methods()
    telling = Telling(ledger.counts()["waiting"], watch)
    telling.started()
    ledger.sign_on(writer())
    try:
        with ExitStack() as stack:
            items = _Items(ledger, methods, telling)
            stack.callback(items.close)
            for row in ledger.waiting():
                items.do(row)
            items.land()
    finally:
        methods.close()
        ledger.sign_off(writer())
    return telling.finished()


def beside_others(job: Mapping[str, Any]) -> str | None:
    """What pictures that may be under way together have in common; None for an item that is done alone: a film, what
    goes through an object store (fsspec's transactions are those of all files together), or one with a method of your
    own, of which only one thread at a time may know."""
    source, options = job["source"], job["options"]
    targets = (*job["sinks"], *(value for value in options.values() if isinstance(value, str)))
    if not is_still(source) or not os.path.isfile(source) or any(map(is_address, (source, *targets))):
        return None
    if not shared_by_pictures(options):
        return None
    return json.dumps([options.get(name) for name in (*MAKING, "threads")], default=str)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture under way, and an item that it may be a copy of."""

    row: Row
    seen: Seen
    other: Outcome | None


class _Items:
    """Does items in their order, pictures overlapping."""

    def __init__(self, ledger: Ledger, methods: Methods, telling: Telling) -> None:
        self._ledger, self._methods, self._telling = ledger, methods, telling
        self._lanes: Lanes[_Picture, Outcome] = Lanes("picture", self._picture)
        self._common: str | None = None
        self._settings = ExitStack()
        self._ends: deque[tuple[float, int]] = deque(maxlen=_SPAN)

    def do(self, row: Row) -> None:
        """Do an item, or begin on it where it is a picture."""
        common = beside_others(row.job)
        if common is None or common != self._common:
            self.land()
        if common is None:
            self._telling.began(row)
            self._finish(row, do(row.job, self._methods, like=_like(self._ledger, row),
                                 progress=lambda progress: self._telling.frames(row, progress)))
            return
        threads = row.job["options"].get("threads")
        if self._common is None:
            self._settings.enter_context(opencv_threads(Threads.of(threads).opencv))
            self._common = common
            self._ends.append((time.perf_counter(), 0))
        self._begin(row, min(MOST, 1 + (threads or cores())))

    def _begin(self, row: Row, most: int) -> None:
        seen = Seen.of(row.job["source"])
        if any((other.seen.content, other.row.options) == (seen.content, row.options) for other in self._lanes):
            self._take_all()  # the same content is computed once
        while len(self._lanes) >= most:
            self._take()
        self._telling.began(row)
        like = _like(self._ledger, row)
        self._lanes.start(_Picture(row, seen, like(seen.content) if seen.content is not None else None))

    def land(self) -> None:
        """Wait until no picture is under way."""
        self._take_all()
        self._common = None
        self._settings.close()
        self._ends.clear()

    def close(self) -> None:
        """End, whatever is under way; what is made of it, the next batch finds."""
        self._lanes.close(PATIENCE)
        self._settings.close()

    def _take_all(self) -> None:
        while len(self._lanes):
            self._take()

    def _take(self) -> None:
        picture, outcome = self._lanes.take()
        self._finish(picture.row, outcome)

    def _picture(self, picture: _Picture) -> Outcome:
        """In a thread of the picture's own."""
        return do(picture.row.job, self._methods, like=lambda content: picture.other, seen=picture.seen, alone=False)

    def _finish(self, row: Row, outcome: Outcome) -> None:
        self._ledger.finish(row.id, outcome)
        rates = None
        if self._common is not None:  # their seconds overlap: the clock tells
            self._ends.append((time.perf_counter(), outcome.frames or 0))
            spent = self._ends[-1][0] - self._ends[0][0]
            rates = {HERE: sum(frames for _, frames in list(self._ends)[1:]) / max(spent, 1e-6)}
        if not len(self._lanes):
            self._telling.idle()
        self._telling.ended(row, outcome, rates)


def _like(ledger: Ledger, row: Row) -> Like:
    """Finds an item of the same content and options whose outputs are as they were written."""
    def found(content: str) -> Outcome | None:
        other = ledger.of_content(content, row.options, row.id)
        return other if other is not None and all(map(files.unchanged, other.outputs)) else None
    return found
