"""A batch as a program uses it: planned when it is opened, done by ``run`` or followed by ``events``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self

from ..core.folders import made_folder
from ..engine import Told
from ..errors import OptionError
from ..options import Options
from .addresses import is_address
from .beside import PATIENCE
from .events import Event, State, Watch
from .inputs import Item, LeftOut, expand
from .job import EXTRA, NULL
from .ledger import NAME, Ledger
from .lists import rows
from .methods import Methods
from .names import check_folder
from .options import BatchOptions
from .plan import Planned, Planner
from .ray_cluster import Crew
from .ray_runner import run_on_ray
from .rehearsal import Rehearsal
from .report import check_name, write
from .runner import run_all
from .shards import Shard, shard_of

WAITING = 64  # events that may wait to be taken; then the batch waits


class Batch:
    """Many inputs, each once. Use as a context manager: the plan is made when the block is entered, and refuses then
    what cannot work; the ledger is closed at its end.

        with Batch(["clips/"], ["out/"], {"background": "blur"}, BatchOptions(on="ray")) as batch:
            for event in batch.events():
                send(event.sse())

    inputs   files, folders, globs, addresses; may be empty where ``told.from_`` names a list
    outputs  folders; may be empty where ``options`` has one of matte, cutout and foreground, which are folders, too
    options  fields of Options
    told     what only a batch may be told

    Entering raises StreamsegError where something stands against the batch; then nothing is done, and nothing is
    changed. ``planned`` and ``left_out`` say what the plan came to, ``state`` how far it is.
    """

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str], options: Mapping[str, Any] | None = None,
                 told: BatchOptions | None = None) -> None:
        self.told = told or BatchOptions()
        self.shard: Shard = shard_of(self.told.shard)
        self.planned, self.left_out = Planned(), LeftOut()
        self.state: State | None = None
        self._inputs, self._outputs, self._options = list(inputs), list(outputs), dict(options or {})
        Options.of(self._options)
        if not self._inputs and self.told.from_ is None:
            raise OptionError("no input: give files, folders or globs, or a list with --from FILE")
        self._places = [*outputs, *(self._options[name] for name in EXTRA if name in self._options)]
        _check_folders(self._places)
        if self.told.report is not None:
            check_name(self.told.report)
        self._crew = None if self.told.on is None else Crew.of(self.told)
        self._methods = Methods()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            path = _ledger_path(self.told, self._places, self.shard)
            if self.told.dry_run and not os.path.exists(path):
                path = ":memory:"
            if self.told.ledger is None and path != ":memory:":
                stack.enter_context(made_folder(os.path.dirname(path)))
            self.ledger = stack.enter_context(Ledger(path))
            stack.callback(self._methods.close)
            self._plan()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *what: object) -> None:
        self._stack.__exit__(*what)  # type: ignore[arg-type]

    def _plan(self) -> None:
        options = dict(self._options)
        self._methods.check(options)
        items = _items(self._inputs, self.told.from_, self.left_out, options.pop("only", None), self._places)
        planner = Planner(self.ledger, self._outputs, options, self.told, self.shard, Rehearsal().refusal)
        self.planned = planner.plan(items, keep=not self.told.dry_run)

    def run(self, watch: Watch | None = None) -> State | None:
        """Do what the plan has, and write the report that was asked for. None where it is a dry run.

        ``watch`` is called with each Event in this thread; what it raises breaks the batch off. An item that fails
        fails alone. What else is raised (Ctrl-C, a cluster that does not answer) carries a note of what is left.
        """
        if self.told.dry_run:
            return None
        try:
            if self._crew is not None:
                self.state = run_on_ray(self.ledger, self._crew, watch=watch)
            else:
                self.state = run_all(self.ledger, watch=watch, methods=self._methods)
        except BaseException as error:
            counts = self.ledger.counts()
            error.add_note(f"{counts['done']} done, {counts['failed']} failed, {counts['waiting']} left: the same "
                           "command goes on with them")
            raise
        if self.told.report is not None:
            write([self.ledger], self.told.report)
        return self.state

    def events(self) -> Iterator[Event]:
        """``run``, in a thread of its own: each Event as it comes, the last of kind "finished". Whoever does not take
        them holds the batch up when WAITING wait. Closing the iterator, or leaving the block, breaks the batch off; the
        same batch, opened again, goes on. Raises what ``run`` raises."""
        told = Told[Event]("batch", self.run, WAITING, PATIENCE)
        self._stack.callback(told.close)
        try:
            yield from told
        finally:
            told.close()


def _check_folders(places: Sequence[str]) -> None:
    if not places:
        raise OptionError("no output: give -o FOLDER, --matte FOLDER, --cutout FOLDER or --foreground FOLDER")
    for place in places:
        check_folder(place, "a batch")


def _ledger_path(told: BatchOptions, places: Sequence[str], shard: Shard) -> str:
    if told.ledger is not None:
        return told.ledger
    place = next((place for place in places if place != NULL and not is_address(place)), None)
    if place is None:
        raise OptionError(f"output is {places[0]!r}, and a ledger is a local file: give --ledger PATH")
    return os.path.join(place, f"{NAME}{shard.label and '.' + shard.label}.sqlite")


def _items(inputs: Sequence[str], list_: str | None, left_out: LeftOut, only: str | None,
           places: Sequence[str]) -> Iterator[Item]:
    if "-" in inputs:
        raise OptionError("'-' (standard input) is one film, and no batch: streamseg run - does it")
    named = expand(inputs, left_out, only=only, outputs=places)
    return itertools.chain(named, rows(list_)) if list_ is not None else named
