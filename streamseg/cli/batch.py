"""`streamseg batch`."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from ..batch.options import BatchOptions
from ..batch.shards import Shard, array_task, shard_of
from ..core.folders import made_folder
from ..errors import OptionError, SourceError
from ..options import Options
from . import show
from .batch_view import tell_status, view
from .flags import Command, Flag, general_flags, given_options, option_flags
from .session import Session

if TYPE_CHECKING:
    from ..batch.inputs import Item, LeftOut
    from ..batch.ledger import Ledger
    from ..batch.plan import Planned
    from ..batch.runner import State

EXAMPLES = """
    streamseg batch photos/ clips/ -o out/
    streamseg batch 'archive/**/*.mov' -o out/ --background blur --report done.csv
    streamseg batch --from list.csv -o out/ --matte mattes/
    streamseg batch photos/ -o out/                    # again: only what is missing
    streamseg batch --status out/
    streamseg batch --from list.csv -o out/ --shard 0/8
"""
FOLDERS = ("matte", "cutout", "foreground")


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
    Options.of(options)
    if not inputs and told.from_ is None:
        raise OptionError("no input: give files, folders or globs, or a list with --from FILE")
    places = [*outputs, *(options[name] for name in FOLDERS if name in options)]
    _check_folders(places)
    return _batch(session, inputs, outputs, options, told, places)


def _check_folders(places: Sequence[str]) -> None:
    from ..batch.inputs import is_address
    from ..sink.containers import CONTAINERS, PICTURES, extension

    if not places:
        raise OptionError("no output: give -o FOLDER, --matte FOLDER, --cutout FOLDER or --foreground FOLDER")
    for place in places:
        if place == "-" or place == "" or (extension(place) in (*CONTAINERS, *PICTURES) and not os.path.isdir(place)
                                           and not place.endswith("/") and not is_address(place)):
            raise OptionError(f"output is {place!r}; a batch writes into folders: give a folder's name, as out/")


def _batch(session: Session, inputs: Sequence[str], outputs: Sequence[str], options: dict[str, Any],
           told: BatchOptions, places: Sequence[str]) -> int:
    from ..batch.inputs import LeftOut
    from ..batch.ledger import Ledger
    from ..batch.methods import Methods
    from ..batch.plan import Planner
    from ..batch.rehearsal import Rehearsal
    from ..batch.report import check_name, write

    if told.report is not None:
        check_name(told.report)
    shard, left_out = shard_of(told.shard), LeftOut()
    path = _ledger_path(told, places, shard)
    if told.on is not None:
        from ..batch.ray_runner import Crew
        Crew.of(told)  # what it refuses
    if told.dry_run and not os.path.exists(path):
        path = ":memory:"
    with ExitStack() as stack:
        if told.ledger is None and path != ":memory:":
            stack.enter_context(made_folder(os.path.dirname(path)))
        ledger = stack.enter_context(Ledger(path))
        methods = Methods()
        stack.callback(methods.close)
        methods.check(options)
        items = _items(inputs, told.from_, left_out, options.pop("only", None), places)
        planner = Planner(ledger, outputs, options, told, shard, Rehearsal().refusal)
        planned = planner.plan(items, keep=not told.dry_run)
        _tell_plan(session, planned, left_out, shard, told)
        state = None if told.dry_run else _done(session, ledger, methods, told)
        if state is not None and told.report is not None:
            write([ledger], told.report)
        return _end(session, ledger, planned, left_out, state)


def _ledger_path(told: BatchOptions, places: Sequence[str], shard: Shard) -> str:
    from ..batch.inputs import is_address
    from ..batch.ledger import NAME

    if told.ledger is not None:
        return told.ledger
    place = next((place for place in places if place != "null:" and not is_address(place)), None)
    if place is None:
        raise OptionError(f"output is {places[0]!r}, and a ledger is a local file: give --ledger PATH")
    return os.path.join(place, f"{NAME}{shard.label and '.' + shard.label}.sqlite")


def _items(inputs: Sequence[str], list_: str | None, left_out: LeftOut, only: str | None,
           places: Sequence[str]) -> Iterator[Item]:
    from ..batch.inputs import expand
    from ..batch.lists import rows

    if "-" in inputs:
        raise OptionError("'-' (standard input) is one film, and no batch: streamseg run - does it")
    named = expand(inputs, left_out, only=only, outputs=places)
    return itertools.chain(named, rows(list_)) if list_ is not None else named


def _tell_plan(session: Session, planned: Planned, left_out: LeftOut, shard: Shard, told: BatchOptions) -> None:
    if session.quiet or session.json:
        return
    parts = [f"{planned.waiting} to do"]
    parts += [f"{count} {words}" for count, words in (
        (planned.known, "done before"), (planned.failed, "failed before (--retry-failed tries them again)"),
        (planned.twice, "named twice"), (planned.others, f"of other shards than {shard.number}/{shard.count}"),
        (planned.made, "outputs of an earlier batch, which are no inputs")) if count]
    click.echo(f"streamseg: {', '.join(parts)}", err=True)
    for line in left_out.lines():
        click.echo(f"streamseg: {line}", err=True)
    task = array_task()
    if task is not None and told.shard is None:
        click.echo(f"streamseg: {task} is set, and all inputs are done here: --shard auto shares them with the "
                   "array's other tasks", err=True)


def _done(session: Session, ledger: Ledger, methods: Any, told: BatchOptions) -> State:
    try:
        with view(session) as watch:
            if told.on is not None:
                from ..batch.ray_runner import Crew, run_on_ray
                return run_on_ray(ledger, Crew.of(told), watch=watch)
            from ..batch.runner import run_all
            return run_all(ledger, watch=watch, methods=methods)
    except BaseException as error:
        counts = ledger.counts()
        error.add_note(f"{counts['done']} done, {counts['failed']} failed, {counts['waiting']} left: the same command "
                       "goes on with them")
        raise


def _end(session: Session, ledger: Ledger, planned: Planned, left_out: LeftOut, state: State | None) -> int:
    counts = ledger.counts()
    failed = 0 if state is None else counts["failed"]
    code = 1 if failed else 0
    if session.json:
        show.json_object({"exit_code": code, "ledger": ledger.path, "planned": planned.to_dict(), "counts": counts,
                          "left_out": left_out.to_dict(), **({} if state is None else state.to_dict())})
    elif state is not None:
        if not session.quiet and state.total:
            rate = state.frames / state.elapsed if state.elapsed else 0.0
            click.echo(f"streamseg: {state.done} done in {state.elapsed:.1f} s, {state.frames} frames, "
                       f"{rate:.1f} fps", err=True)
        if failed:
            click.echo(f"streamseg: {failed} of {sum(counts.values())} inputs failed", err=True)
    return code


def _status(session: Session, folder: str, told: BatchOptions) -> int:
    from ..batch.ledger import Ledger, at_work, ledgers_of
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
