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

    from ..batch.events import Event, State, Watch
    from ..batch.records import Outcome, Row


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
    def watch(event: Event) -> None:
        if event.row is not None and event.outcome is not None and event.failed:
            print(failure_line(event.row, event.outcome), file=stream, flush=True)
    return watch


def failure_line(row: Row, outcome: Outcome) -> str:
    """'streamseg: error: a.mp4: OSError: ...'; 'streamseg: error: a.mp4 is damaged ...' where the reason names it."""
    kind, _, message = one_line(outcome.reason).partition(": ")
    source = one_line(row.source)
    told = message if kind.isidentifier() and message.startswith(source) else f"{source}: {one_line(outcome.reason)}"
    return f"streamseg: error: {told}"


def _plain(stream: TextIO) -> Watch:
    tell, due = _failures(stream), time.monotonic() + show.PLAIN_SECONDS

    def watch(event: Event) -> None:
        nonlocal due
        tell(event)
        if time.monotonic() >= due:
            due = time.monotonic() + show.PLAIN_SECONDS
            print(f"streamseg: {state_line(event.state)}", file=stream, flush=True)
    return watch


def state_line(state: State) -> str:
    """'12/300 files, 1 failed, 31.2 fps, 0:06 left'."""
    failed = f", {state.failed} failed" if state.failed else ""
    left = "" if state.eta is None else f", {clock(state.eta)} left"
    return f"{state.ended}/{state.total} files{failed}, {_fps(sum(state.workers.values()))}{left}"


@contextmanager
def _table() -> Iterator[Watch]:
    from rich.live import Live

    with Live(console=show.console(), auto_refresh=False, transient=True) as live:
        drawn = 0.0

        def watch(event: Event) -> None:
            nonlocal drawn
            if event.row is not None and event.outcome is not None and event.failed:
                live.console.print(failure_line(event.row, event.outcome), markup=False, highlight=False)
            if time.monotonic() - drawn >= show.REDRAW_SECONDS:
                drawn = time.monotonic()
                live.update(state_table(event.state), refresh=True)
        yield watch


def state_table(state: State) -> Table:
    """Files, workers with their frames a second, what is left and the last failures."""
    rows = [("files", f"{state.ended}/{state.total}" + (f", {state.failed} failed" if state.failed else "")),
            ("left", "" if state.eta is None else clock(state.eta)), ("now", one_line(state.current)[-60:])]
    rows += [(f"worker {name}", _worker(state, name)) for name in sorted({*state.workers, *state.at})]
    rows += [("failed", f"{one_line(source)[-40:]}: {one_line(reason)[:60]}") for source, reason in state.failures]
    return show.table((), rows)


def _fps(rate: float) -> str:
    """'31.2 fps'; of large pictures, of which one takes seconds, '0.15 fps'."""
    return f"{rate:.1f} fps" if rate >= 1 else f"{rate:.2f} fps"


def _worker(state: State, name: str) -> str:
    """'31.2 fps, 120/300 frames of part 3 of 8 of film.mp4'."""
    told = [_fps(state.workers[name])] if name in state.workers else []
    at = state.at.get(name)
    if at is not None:
        frames = "" if at.frames is None else f"{at.frames}/{'?' if at.expected is None else at.expected} frames of "
        part = "" if at.part is None else f"{at.part}: " if at.part == "joining" else f"part {at.part} of "
        told.append(f"{frames}{part}{one_line(at.input)[-40:]}")
    return ", ".join(told)


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
    if found["waiting"] and not found["at_work"]:
        screen.print(f"  {found['waiting']} not done: the command that named them goes on with them")
    more = found["failed"] - len(found["failures"])
    if more > 0:
        screen.print(f"  and {more} more: --report PATH lists all")
