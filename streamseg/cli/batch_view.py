"""What a person sees of a batch, on standard error: a table that is drawn anew, or a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from . import show
from .session import Session
from .text import clock, one_line

if TYPE_CHECKING:
    from rich.table import Table

    from ..batch.ledger import Outcome, Row
    from ..batch.runner import State, Watch


@contextmanager
def view(session: Session) -> Iterator[Watch]:
    """A callback for the runner. Each failure is a line of its own, whatever else is drawn."""
    if session.quiet or session.json:
        yield _failures(sys.stderr)
    elif show.is_terminal(sys.stderr):
        with _table() as watch:
            yield watch
    else:
        yield _plain(sys.stderr)


def _failures(stream: TextIO) -> Watch:
    def watch(state: State, row: Row | None, outcome: Outcome | None) -> None:
        if row is not None and outcome is not None and outcome.state == "failed":
            print(failure_line(row, outcome), file=stream, flush=True)
    return watch


def failure_line(row: Row, outcome: Outcome) -> str:
    """'streamseg: error: a.mp4: DamagedInputError: ...'."""
    return f"streamseg: error: {one_line(row.source)}: {one_line(outcome.reason)}"


def _plain(stream: TextIO) -> Watch:
    tell, due = _failures(stream), time.monotonic() + show.PLAIN_SECONDS

    def watch(state: State, row: Row | None, outcome: Outcome | None) -> None:
        nonlocal due
        tell(state, row, outcome)
        if time.monotonic() >= due:
            due = time.monotonic() + show.PLAIN_SECONDS
            print(f"streamseg: {state_line(state)}", file=stream, flush=True)
    return watch


def state_line(state: State) -> str:
    """'12/300 files, 1 failed, 31.2 fps, 0:06 left'."""
    failed = f", {state.failed} failed" if state.failed else ""
    left = "" if state.eta is None else f", {clock(state.eta)} left"
    return f"{state.ended}/{state.total} files{failed}, {sum(state.workers.values()):.1f} fps{left}"


@contextmanager
def _table() -> Iterator[Watch]:
    from rich.live import Live

    with Live(console=show.console(), auto_refresh=False, transient=True) as live:
        drawn = 0.0

        def watch(state: State, row: Row | None, outcome: Outcome | None) -> None:
            nonlocal drawn
            if row is not None and outcome is not None and outcome.state == "failed":
                live.console.print(failure_line(row, outcome), markup=False, highlight=False)
            if time.monotonic() - drawn >= show.REDRAW_SECONDS:
                drawn = time.monotonic()
                live.update(state_table(state), refresh=True)
        yield watch


def state_table(state: State) -> Table:
    """Files, workers with their frames a second, what is left and the last failures."""
    rows = [("files", f"{state.ended}/{state.total}" + (f", {state.failed} failed" if state.failed else "")),
            ("left", "" if state.eta is None else clock(state.eta)), ("now", one_line(state.current)[-60:])]
    rows += [(f"worker {name}", f"{fps:.1f} fps") for name, fps in sorted(state.workers.items())]
    rows += [("failed", f"{one_line(source)[-40:]}: {one_line(reason)[:60]}") for source, reason in state.failures]
    return show.table((), rows)


def tell_status(found: dict[str, Any], stream: TextIO) -> None:
    """Print what ``--status`` found."""
    screen = show.console(stream)
    last = found["last_finished"]
    when = "" if last is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last))
    rows = [("items", str(found["items"])), *((state, str(found[state])) for state in ("done", "failed", "waiting")),
            ("frames", str(found["frames"])), ("seconds of work", f"{found['seconds']:.1f}"), ("last finished", when),
            ("at work now", "yes" if found["at_work"] else "no"), ("ledgers", str(len(found["ledgers"])))]
    screen.print(show.table((), rows, right=()))
    for failure in found["failures"]:
        screen.print(f"  failed: {one_line(failure['input'])}: {one_line(failure['reason'])}")
    more = found["failed"] - len(found["failures"])
    if more > 0:
        screen.print(f"  and {more} more: --report PATH lists all")
