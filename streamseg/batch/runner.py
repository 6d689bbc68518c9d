"""The embedded default: a ledger's items in this process, in their order, with networks loaded once."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass

from ..sink.commit import writer
from . import files
from .beside import Beside
from .events import HERE, State, Telling, Watch
from .item import Like, Seen, do
from .ledger import Ledger
from .methods import Methods
from .records import Outcome, Row

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
            stack.callback(items.beside.close)
            for row in ledger.waiting():
                items.do(row)
            items.beside.land()
    finally:
        methods.close()
        ledger.sign_off(writer())
    return telling.finished()


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
        self.beside = Beside(self._picture, lambda picture, outcome: self._finish(picture.row, outcome))
        self._ends: deque[tuple[float, int]] = deque(maxlen=_SPAN)

    def do(self, row: Row) -> None:
        """Do an item, or begin on it where it is a picture."""
        common = self.beside.common
        beside = self.beside.ready(row.job["source"], row.job["sinks"], row.job["options"])
        if self.beside.common != common:
            self._ends.clear()
        if beside:
            self._begin(row)
            return
        self._telling.began(row)
        self._finish(row, do(row.job, self._methods, like=_like(self._ledger, row),
                             progress=lambda progress: self._telling.frames(row, progress)))

    def _begin(self, row: Row) -> None:
        if not self._ends:
            self._ends.append((time.perf_counter(), 0))
        seen = Seen.of(row.job["source"])
        if any((other.seen.content, other.row.options) == (seen.content, row.options) for other in self.beside):
            self.beside.take_all()  # the same content is computed once
        self._telling.began(row)
        like = _like(self._ledger, row)
        self.beside.start(_Picture(row, seen, like(seen.content) if seen.content is not None else None))

    def _picture(self, picture: _Picture) -> Outcome:
        """In a thread of the picture's own."""
        return do(picture.row.job, self._methods, like=lambda content: picture.other, seen=picture.seen, alone=False)

    def _finish(self, row: Row, outcome: Outcome) -> None:
        self._ledger.finish(row.id, outcome)
        rates = None
        if self.beside.common is not None:  # their seconds overlap: the clock tells
            self._ends.append((time.perf_counter(), outcome.frames or 0))
            spent = self._ends[-1][0] - self._ends[0][0]
            rates = {HERE: sum(frames for _, frames in list(self._ends)[1:]) / max(spent, 1e-6)}
        if not len(self.beside):
            self._telling.idle()
        self._telling.ended(row, outcome, rates)


def _like(ledger: Ledger, row: Row) -> Like:
    """Finds an item of the same content and options whose outputs are as they were written."""
    def found(content: str) -> Outcome | None:
        other = ledger.of_content(content, row.options, row.id)
        return other if other is not None and all(map(files.unchanged, other.outputs)) else None
    return found
