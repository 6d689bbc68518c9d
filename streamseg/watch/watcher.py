"""The loop: what comes into a folder is done once, each file when it is whole."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..api import run
from ..batch.inputs import FILMS, UNFINISHED, Item
from ..batch.job import EXTRA, Job
from ..batch.methods import MAKING, Methods, OnDemand
from ..batch.names import check_folder, job
from ..batch.options import NamingOptions
from ..batch.rehearsal import Rehearsal
from ..core.file_names import PICTURES, resolved
from ..core.folders import made_folder
from ..core.words import counted
from ..errors import SinkError, SourceError, StreamsegError
from ..options import Options
from ..report import Report
from ..source import open_source
from .events import Events, events_of
from .ledger import Ledger
from .options import WatchOptions
from .paths import WORK, Paths, put_in_place, stamp_of, whole_target
from .settling import Settling, Stamp

REASON = ".failed.txt"  # the file beside an output's place that says why there is none
_log = logging.getLogger("streamseg.watch")


class Watcher:
    """``options`` are keyword arguments of ``run``; those of EXTRA are folders. ``stop``: whether to end, once the
    file in hand is done. ``clock``: seconds.

    Raises SinkError where the output cannot be written or another process watches into it, SourceError where
    there is no folder to watch, OptionError where the options suit neither pictures nor films.
    """

    def __init__(self, folder: str | Path, output: str | Path, options: Mapping[str, Any] | None = None, *,
                 told: WatchOptions | None = None, naming: NamingOptions | None = None,
                 stop: Callable[[], bool] = lambda: False, clock: Callable[[], float] = time.monotonic) -> None:
        given = dict(options or {})
        self._only: str | None = given.pop("only", None)
        self._paths = Paths(_resolved(folder, SourceError), _resolved(output, SinkError),
                            {name: str(_resolved(given.pop(name), SinkError)) for name in EXTRA if name in given})
        Options.of(given)
        self._options, self._told, self._naming = given, told or WatchOptions(), naming or NamingOptions()
        self._stop, self._clock = stop, clock
        self._settling = Settling(self._told.settle)
        self._methods = Methods()
        self.failed = 0  # files, since this watch began
        if not self._paths.folder.is_dir():
            raise SourceError(f"{folder} is no folder: give the folder that files come into")
        for place in (output, *((options or {})[name] for name in self._paths.extra)):
            check_folder(str(place), "watch")

    def watch(self, events: Events | None = None) -> dict[str, int]:
        """Watch until told to stop (or, with ``once``, until nothing waits). -> the ledger's counts"""
        with contextlib.ExitStack() as stack:
            stack.callback(self._methods.close)
            self._methods.check(self._options)
            self._rehearse()
            for place in self._paths.all_outputs():
                stack.enter_context(made_folder(place))
            self._ledger = stack.enter_context(Ledger(self._paths.output))
            stack.callback(self._clear_work)
            self._recover()
            news = events or stack.enter_context(events_of(self._paths.folder))
            self._loop(news)
            return self._ledger.counts()

    def _loop(self, news: Events) -> None:
        self._scan(self._paths.folder)
        scanned = self._clock()
        while not self._stop():
            ready = self._settling.ready(self._clock())
            if ready is not None:
                self._take(*ready)
            elif self._told.once and not len(self._settling):
                return
            else:
                for path in news.wait():
                    self._changed(Path(path))
            if self._clock() - scanned >= self._told.rescan:
                self._scan(self._paths.folder)
                scanned = self._clock()

    # --- looking ----------------------------------------------------------------------------------

    def _scan(self, folder: Path) -> None:
        """Look at everything in a folder; of the whole one also at what has gone."""
        seen: set[str] = set()
        closed = {str(path) for path in self._paths.all_outputs()}
        for place, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith(".")
                                and os.path.join(place, name) not in closed)
            for name in sorted(files):
                path = Path(place) / name
                if self._look(path):
                    seen.add(self._name(path))
        if folder == self._paths.folder:
            for name in set(self._settling.names()) - seen:
                self._drop(name)

    def _changed(self, path: Path) -> None:
        """What the system told of: a file, or a folder that was moved in, of whose files it says nothing."""
        if not self._paths.watches(path):
            return
        if path.is_dir():
            self._scan(path)
        elif not self._look(path):
            self._drop(self._name(path))

    def _look(self, path: Path) -> bool:
        """Note a file that is to be done. -> whether it is there and of those that are taken"""
        if not self._takes(path.name):
            return False
        stamp = stamp_of(path)
        if stamp is None or self._ledger.owner_of(str(path)) is not None:  # of our own making
            return False
        name = self._name(path)
        known = self._ledger.get(name)
        if known is not None and known.stamp == stamp and known.state in ("done", "failed"):
            self._settling.gone(name)
            return True
        if self._settling.seen(name, stamp, self._clock()):
            self._ledger.wait(name, stamp)
        return True

    def _takes(self, name: str) -> bool:
        if name.startswith(".") or name.lower().endswith(UNFINISHED):
            return False
        if self._only is not None:
            return fnmatch(name, self._only)
        return os.path.splitext(name)[1].lower() in (*PICTURES, *FILMS)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._paths.folder).as_posix()

    def _drop(self, name: str) -> None:
        if name in self._settling:
            self._settling.gone(name)
            self._ledger.forget(name)

    # --- doing ------------------------------------------------------------------------------------

    def _take(self, name: str, stamp: Stamp) -> None:
        """Do a file that has stood still."""
        path = self._paths.folder / name
        now = stamp_of(path)
        if now != stamp:
            self._look(path) if now is not None else self._drop(name)
            return
        try:
            planned = self._job(name)
            self._refuse_others(name, planned)
            open_source(str(path), Options.of(self._options)).close()
            report, moves = self._made(name, planned)
        except SourceError as error:
            self._clear_work()
            if stamp_of(path) != stamp:
                self._look(path)  # it was still being written
            elif self._settling.not_whole(name, self._clock()) >= self._told.patience:
                self._fail(name, error)
            else:
                self._ledger.wait(name, stamp, f"not whole: {self._said(name, error)}")
            return
        except StreamsegError as error:
            self._clear_work()
            self._fail(name, error)
            return
        if stamp_of(path) != stamp:  # it was written on while it was read: the outputs may be cut off
            self._clear_work()
            self._look(path)
            return
        self._ledger.placing(name, moves)
        try:
            put_in_place(moves)
        except OSError as error:
            self._clear_work()
            self._fail(name, SinkError(f"the output cannot be put into its place: {error}"))
            return
        self._ledger.done(name, report.frames, report.elapsed)
        self._settling.gone(name)
        self._reason_file(name).unlink(missing_ok=True)
        self._clear_work()
        _log.info("%s: done, %s in %.1f s", name, counted(report.frames, "frame"), report.elapsed)

    def _job(self, name: str) -> Job:
        item = Item(str(self._paths.folder / name), name)
        return job(item, [str(self._paths.output)], {**self._options, **self._paths.extra}, self._naming)

    def _refuse_others(self, name: str, planned: Job) -> None:
        """Raise SinkError where an output's place is another file's, or holds what is none of ours."""
        for target in map(whole_target, planned.targets):
            owner = self._ledger.owner_of(target)
            if owner is not None and owner != name:
                raise SinkError(f"{target} is the output of {owner}: rename one of the two")
            if owner is not None or not os.path.exists(target):
                continue
            if self._takes(os.path.basename(target)) and self._paths.watches(Path(target)):
                raise SinkError(f"{target} came into the watched folder, and the output would replace it: give another "
                                "output folder")
            if not self._options.get("overwrite"):
                raise SinkError(f"{target} exists and was not made by this watch: move it away, or give --overwrite")

    def _made(self, name: str, planned: Job) -> tuple[Report, list[tuple[str, str]]]:
        """Make the outputs beside their places. -> the report, and what is to be renamed"""
        moves: list[tuple[str, str]] = []
        aside = {target: self._aside(target, number, moves) for number, target in enumerate(planned.targets)}
        method = OnDemand(self._methods, self._options, planned.source)
        options = {key: value for key, value in self._options.items() if key not in MAKING} | {
            key: aside[planned.options[key]] for key in EXTRA if key in planned.options}
        report = run(planned.source, [aside[target] for target in planned.sinks], method=method,
                     **{**options, "overwrite": True})
        return report, moves

    def _aside(self, target: str, number: int, moves: list[tuple[str, str]]) -> str:
        """Where an output is made before it is renamed: on its own disk."""
        root = next(place for place in self._paths.all_outputs() if Path(target).is_relative_to(place))
        folder = root / WORK / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        whole = whole_target(target)
        made = folder / os.path.basename(whole)
        moves.append((str(made), whole))
        return str(made) + target[len(whole):] if target != whole else str(made)

    def _fail(self, name: str, error: StreamsegError) -> None:
        reason = self._said(name, error)
        self._settling.gone(name)
        self._ledger.fail(name, reason)
        self.failed += 1
        note = self._reason_file(name)
        with contextlib.suppress(OSError):  # the ledger knows it too
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"{name}: {reason}\n", encoding="utf-8")
        _log.error("%s: failed: %s", name, reason)

    def _said(self, name: str, error: StreamsegError) -> str:
        """What an error says of a file, whose name stands beside it."""
        return str(error).removeprefix(f"{self._paths.folder / name} ")

    def _reason_file(self, name: str) -> Path:
        return self._paths.output / (name + REASON)

    # --- start and end ----------------------------------------------------------------------------

    def _rehearse(self) -> None:
        """Raise what stands against pictures and films alike, so that it is known now and not at the first file."""
        names = [next((f"a{ending}" for ending in endings if self._takes(f"a{ending}")), None)
                 for endings in ((".png", *PICTURES), (".mp4", *FILMS))]
        against = [self._refusal(name) for name in names if name is not None]
        if against and all(against):
            raise next(error for error in reversed(against) if error is not None)

    def _refusal(self, name: str) -> StreamsegError | None:
        try:
            return Rehearsal().refusal(self._job(name), name)
        except StreamsegError as error:  # of the output's name
            return error

    def _recover(self) -> None:
        """Go on where an earlier process was killed: what it had made is renamed."""
        for row in self._ledger.of_state("placing"):
            put_in_place([move for move in row.moves if os.path.exists(move[0])])
            if all(os.path.exists(place) for _, place in row.moves):
                self._ledger.done(row.name)
            else:
                self._ledger.wait(row.name, row.stamp)
        self._clear_work()
        for row in self._ledger.of_state("failed") if self._told.retry_failed else ():
            self._ledger.wait(row.name, row.stamp)
        for row in self._ledger.of_state("waiting"):
            if stamp_of(self._paths.folder / row.name) is None:
                self._ledger.forget(row.name)

    def _clear_work(self) -> None:
        for place in self._paths.all_outputs():
            shutil.rmtree(place / WORK, ignore_errors=True)


def _resolved(folder: str | Path, failure: type[StreamsegError]) -> Path:
    """The folder's absolute path, links followed. Raises ``failure``."""
    try:
        return resolved(folder)
    except OSError as error:
        raise failure(f"{folder} cannot be a folder: {error.strerror}") from error
