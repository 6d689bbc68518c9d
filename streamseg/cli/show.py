"""What a run shows to a person, all on standard error: progress and the table of the Report.

rich is imported only when something is shown. Standard output carries streams and JSON only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from ..core.words import counted
from .streams import TrimmedLines
from .text import clock, one_line, shortened, size

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from ..report import Progress, Report

PLAIN_SECONDS = 5.0  # between two lines in a pipe, so that the log of a long run stays readable
REDRAW_SECONDS = 0.1
_WIDE = 400  # columns in a pipe, so that paths are not wrapped


def is_terminal(stream: TextIO) -> bool:
    """True where a line can be drawn over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def console(stream: TextIO | None = None) -> Console:
    """A rich console on ``stream`` (default: standard error) that takes text literally, without markup."""
    from rich.console import Console
    stream = stream or sys.stderr
    wide = not is_terminal(stream)
    return Console(file=cast(TextIO, TrimmedLines(stream)) if wide else stream, markup=False, highlight=False,
                   emoji=False, soft_wrap=False, width=_WIDE if wide else None)


@contextmanager
def progress(name: str) -> Iterator[Callable[[Progress], None]]:
    """A callback for ``run``: draws a bar on a terminal, writes a line every few seconds elsewhere."""
    if is_terminal(sys.stderr):
        with _bar(name) as update:
            yield update
    else:
        yield _plain_lines(name)


def _plain_lines(name: str) -> Callable[[Progress], None]:
    due = PLAIN_SECONDS

    def update(now: Progress) -> None:
        nonlocal due
        if not now.frames:
            print(f"streamseg: {one_line(name)}: runs on {now.runs_on}", file=sys.stderr, flush=True)
        elif now.elapsed >= due:
            due = now.elapsed + PLAIN_SECONDS
            print(f"streamseg: {one_line(name)}: {progress_line(now)}", file=sys.stderr, flush=True)

    return update


def progress_line(now: Progress) -> str:
    """'120/300 frames, 31.2 fps, 0:06 left, about 12.4 MB'."""
    done = f"{now.frames}/{now.total} frames" if now.total else counted(now.frames, "frame")
    left = "" if now.eta is None else f", {clock(now.eta)} left"
    expected = "" if now.expected_bytes is None else f", about {size(now.expected_bytes)}"
    return f"{done}, {now.fps:.1f} fps{left}{expected}"


@contextmanager
def _bar(name: str) -> Iterator[Callable[[Progress], None]]:
    """rich's bar, redrawn from here: its own refresh needs a thread."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar
    screen = console()
    # the figures are read while it runs: they take 40 columns
    label = shortened(one_line(os.path.basename(name.rstrip("/")) or name), max(12, min(40, screen.width - 44)))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(),
               TextColumn("{task.fields[state]}", markup=False))
    with Bar(*columns, console=screen, auto_refresh=False, transient=True) as bar:
        task = bar.add_task(label, total=None, state="opening")
        bar.refresh()
        drawn = 0.0

        def update(now: Progress) -> None:
            nonlocal drawn
            if not now.frames:
                bar.console.print(f"{label}: runs on {now.runs_on}", markup=False, highlight=False)
            bar.update(task, completed=now.frames, total=now.total, state=progress_line(now))
            if now.elapsed - drawn >= REDRAW_SECONDS:
                drawn = now.elapsed
                bar.refresh()

        yield update


def report(result: Report, *, verbose: bool = False) -> None:
    """Print what a run did: a line, a table of its outputs, notes; with ``verbose`` stages and queues."""
    screen = console()
    first = "" if result.first_frame_s is None else f", first frame after {result.first_frame_s:.2f} s"
    screen.print(f"{one_line(result.input)}: {counted(result.frames, 'frame')} in {result.elapsed:.1f} s, "
                 f"{result.fps:.1f} fps, method {result.method} on {result.runs_on}"
                 f"{first if verbose else ''}")
    screen.print(_outputs(result))
    for count, what, then in ((result.damaged, "damaged frame", "skipped"), (result.dropped, "frame", "dropped")):
        if count:
            screen.print(f"  {counted(count, what)} {then}")
    for note in result.notes:
        screen.print(f"  note: {one_line(note)}")
    if verbose:
        screen.print(_stages(result))
        screen.print(_queues(result))
        if result.mattes:
            counts = ", ".join(f"{number} {what}" for what, number in result.mattes.items())
            screen.print(f"  mattes {counts}")
        if result.peak_rss_mib is not None:
            screen.print(f"  peak memory {result.peak_rss_mib:.0f} MiB")


def _outputs(result: Report) -> RenderableType:
    rows = [(output.kind, one_line(output.path), size(output.bytes)) for output in result.outputs]
    return table((), rows, right=(2,))


def _stages(result: Report) -> RenderableType:
    rows = [(name, f"{stage.p50_ms:.2f}", f"{stage.p95_ms:.2f}", f"{stage.total_s:.2f}")
            for name, stage in result.stages.items()]
    return table(("stage", "p50 ms", "p95 ms", "total s"), rows, right=(1, 2, 3))


def _queues(result: Report) -> RenderableType:
    rows = [(name, str(queue.capacity), str(queue.high_water), str(queue.dropped))
            for name, queue in result.queues.items()]
    return table(("queue after", "holds", "most waiting", "dropped"), rows, right=(1, 2, 3))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> Table:
    """A table without lines, indented by two; columns ``right`` are set flush right. Long text folds."""
    from rich.table import Table
    from rich.text import Text
    made = Table(box=None, show_header=bool(head), pad_edge=True, padding=(0, 1, 0, 2), header_style="bold")
    for number in range(len(rows[0]) if rows else len(head)):
        made.add_column(head[number] if head else "", justify="right" if number in right else "left",
                        overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def json_object(value: dict[str, Any]) -> None:
    """Print one JSON object, the only thing on standard output."""
    import json
    print(json.dumps(value, default=str, allow_nan=False, indent=2), flush=True)
