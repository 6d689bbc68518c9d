"""`streamseg batch`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from ..batch.options import BatchOptions
from ..batch.shards import array_task
from ..core.words import counted
from ..errors import SourceError
from . import show
from .batch_view import tell_status, view
from .flags import Command, Flag, general_flags, given_options, option_flags
from .session import Session

if TYPE_CHECKING:
    from ..batch.batch import Batch

EXAMPLES = """
    streamseg batch photos/ clips/ -o out/
    streamseg batch 'archive/**/*.mov' -o out/ --background blur --report done.csv
    streamseg batch --from list.csv -o out/ --matte mattes/
    streamseg batch photos/ -o out/                    # again: only what is missing
    streamseg batch --status out/
    streamseg batch --from list.csv -o out/ --shard 0/8
"""


@click.command("batch", cls=Command, short_help="Take the background out of many files; resumes.",
               examples=EXAMPLES)
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@click.option("-o", "--output", "outputs", multiple=True, metavar="FOLDER", type=click.Path(), cls=Flag,
              group="Output", help="The folder that the results go into, each under its input's name.")
@click.option("--status", metavar="FOLDER", type=click.Path(), cls=Flag, group="Batch",
              help="Say what is done of the batch that writes into FOLDER, and do nothing.")
@option_flags()
@option_flags(of=BatchOptions)
@general_flags
@click.pass_obj
def batch(session: Session, inputs: tuple[str, ...], outputs: tuple[str, ...], status: str | None,
          **flags: Any) -> int:
    """Take the background out of many inputs, each once, and know the next time what is done.

    INPUT is a file, a folder with all its subfolders, a glob in quotes, or an address. What cannot work is refused
    before the first frame. A broken input fails alone. A ledger in the output folder keeps what is done: the same
    command goes on where it was interrupted. The exit code is 1 if an input failed.
    """
    names = {item.name for item in fields(BatchOptions)}
    told = BatchOptions.of(given_options({name: value for name, value in flags.items() if name in names}))
    if status is not None:
        return _status(session, status, told)
    options = given_options({name: value for name, value in flags.items() if name not in names})
    return _batch(session, inputs, outputs, options, told)


def _batch(session: Session, inputs: Sequence[str], outputs: Sequence[str], options: dict[str, Any],
           told: BatchOptions) -> int:
    from ..batch.batch import Batch

    with Batch(inputs, outputs, options, told) as batch:
        _tell_plan(session, batch)
        with ExitStack() as stack:
            batch.run(None if told.dry_run else stack.enter_context(view(session)))
        return _end(session, batch)


def _tell_plan(session: Session, batch: Batch) -> None:
    if session.quiet or session.json:
        return
    planned, shard = batch.planned, batch.shard
    parts = [f"{planned.waiting} to do"]
    parts += [f"{count} {words}" for count, words in (
        (planned.known, "done before"), (planned.failed, "failed before (--retry-failed tries them again)"),
        (planned.twice, "named twice"), (planned.others, f"of other shards than {shard.number}/{shard.count}"),
        (planned.made, "outputs of an earlier batch, which are no inputs")) if count]
    click.echo(f"streamseg: {', '.join(parts)}", err=True)
    for line in batch.left_out.lines():
        click.echo(f"streamseg: {line}", err=True)
    task = array_task()
    if task is not None and batch.told.shard is None:
        click.echo(f"streamseg: {task} is set, and all inputs are done here: --shard auto shares them with the "
                   "array's other tasks", err=True)


def _end(session: Session, batch: Batch) -> int:
    counts, state = batch.ledger.counts(), batch.state
    failed = 0 if state is None else counts["failed"]
    code = 1 if failed else 0
    if session.json:
        show.json_object({"exit_code": code, "ledger": batch.ledger.path, "planned": batch.planned.to_dict(),
                          "counts": counts, "left_out": batch.left_out.to_dict(),
                          **({} if state is None else state.to_dict())})
    elif state is not None:
        if not session.quiet and state.total:
            rate = state.frames / state.elapsed if state.elapsed else 0.0
            click.echo(f"streamseg: {state.done} done in {state.elapsed:.1f} s, {counted(state.frames, 'frame')}, "
                       f"{rate:.1f} fps", err=True)
        if failed:
            click.echo(f"streamseg: {failed} of {sum(counts.values())} inputs failed", err=True)
    return code


def _status(session: Session, folder: str, told: BatchOptions) -> int:
    from ..batch.ledger import Ledger, ledgers_of
    from ..batch.ledger_lock import at_work
    from ..batch.report import status, write

    paths = [told.ledger] if told.ledger is not None else [str(path) for path in ledgers_of(folder)]
    if not paths or not all(os.path.isfile(path) for path in paths):
        raise SourceError(f"{folder}: no batch has written there: there is no ledger; --ledger PATH names one that "
                          "lies elsewhere")
    with ExitStack() as stack:
        ledgers = [stack.enter_context(Ledger(path, owner=False)) for path in paths]
        found = {**status(ledgers), "at_work": sum(map(at_work, paths)), "ledgers": paths}
        if told.report is not None:
            write(ledgers, told.report, whole=True)
    if session.json:
        show.json_object({"exit_code": 0, **found})
    else:
        tell_status(found, sys.stdout)
    return 0
