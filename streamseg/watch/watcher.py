"""The loop: what comes into a folder is done once, each file when it is whole."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..api import run
from ..batch.inputs import FILMS, UNFINISHED, Item
from ..batch.job import EXTRA, Job
from ..batch.methods import MAKING, Methods, OnDemand
from ..batch.names import job
from ..batch.options import NamingOptions
from ..core.file_names import PICTURES
from ..core.folders import made_folder
from ..errors import SinkError, SourceError, StreamsegError
from ..options import Options
from ..report import Report
from ..source import open_source
from .events import Events, events_of
from .ledger import Ledger
from .options import WatchOptions
from .settling import Settling, Stamp

WORK = ".streamseg-watch"   # the folder in the output's for what is being made
REASON = ".failed.txt"      # the file beside an output's place that says why there is none
_log = logging.getLogger("streamseg.watch")


@dataclass(frozen=True, slots=True)
class Paths:
    """The watched folder, and where outputs go: ``output`` and, for options of EXTRA, folders of their own."""

    folder: Path
    output: Path
    extra: Mapping[str, str]

    def all_outputs(self) -> list[Path]:
        """Every folder that is written into."""
        return [self.output, *(Path(path) for path in self.extra.values())]


class Watcher:
    """``options`` are keyword arguments of ``run``; those of EXTRA are folders. ``stop``: whether to end, once the
    file in hand is done. ``clock``: seconds.

    Raises SinkError where the output cannot be written or another process watches into it, SourceError where
    there is no folder to watch.
    """

    def __init__(self, folder: str | Path, output: str | Path, options: Mapping[str, Any] | None = None, *,
                 told: WatchOptions | None = None, naming: NamingOptions | None = None,
                 stop: Callable[[], bool] = lambda: False, clock: Callable[[], float] = time.monotonic) -> None:
        given = dict(options or {})
        self._only: str | None = given.pop("only", None)
        self._paths = Paths(Path(folder).resolve(), Path(output).resolve(),
                            {name: str(Path(given.pop(name)).resolve()) for name in EXTRA if name in given})
        Options.of(given)
        self._options, self._told, self._naming = given, told or WatchOptions(), naming or NamingOptions()
        self._stop, self._clock = stop, clock
        self._settling = Settling(self._told.settle)
        self._methods = Methods()
        if not self._paths.folder.is_dir():
            raise SourceError(f"{folder} is no folder: give the folder that files come into")

    def watch(self, events: Events | None = None) -> dict[str, int]:
        """Watch until told to stop (or, with ``once``, until nothing waits). -> the ledger's counts"""
        with contextlib.ExitStack() as stack:
            for place in self._paths.all_outputs():
                stack.enter_context(made_folder(place))
            self._ledger = stack.enter_context(Ledger(self._paths.output))
            stack.callback(self._methods.close)
            stack.callback(self._clear_work)
            self._recover()
            self._methods.check(self._options)
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
        inside = path.is_relative_to(self._paths.folder) and not any(
            path.is_relative_to(place) for place in self._paths.all_outputs() if place != self._paths.folder)
        if not inside or any(part.startswith(".") for part in path.relative_to(self._paths.folder).parts):
            return
        if path.is_dir():
            self._scan(path)
        elif not self._look(path):
            self._drop(self._name(path))

    def _look(self, path: Path) -> bool:
        """Note a file that is to be done. -> whether it is there and of those that are taken"""
        if not self._takes(path.name):
            return False
        stamp = _stamp(path)
        if stamp is None:
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
        now = _stamp(path)
        if now != stamp:
            self._look(path) if now is not None else self._drop(name)
            return
        planned = self._job(name)
        try:
            self._refuse_others(name, planned)
            open_source(str(path), Options.of(self._options)).close()
            report, moves = self._made(name, planned)
        except SourceError as error:
            self._clear_work()
            if _stamp(path) != stamp:
                self._look(path)  # it was still being written
            elif self._settling.not_whole(name, self._clock()) >= self._told.patience:
                self._fail(name, planned, error)
            else:
                self._ledger.wait(name, stamp, f"not whole: {error}")
            return
        except StreamsegError as error:
            self._clear_work()
            self._fail(name, planned, error)
            return
        if _stamp(path) != stamp:  # it was written on while it was read: the outputs may be cut off
            self._clear_work()
            self._look(path)
            return
        self._ledger.placing(name, moves)
        try:
            _place(moves)
        except OSError as error:
            self._clear_work()
            self._fail(name, planned, SinkError(f"the output cannot be put into its place: {error}"))
            return
        self._ledger.done(name, report.frames, report.elapsed)
        self._settling.gone(name)
        self._reason_file(planned).unlink(missing_ok=True)
        self._clear_work()
        _log.info("%s: done, %d frame%s in %.1f s", name, report.frames, "s" * (report.frames != 1), report.elapsed)

    def _job(self, name: str) -> Job:
        item = Item(str(self._paths.folder / name), name)
        return job(item, [str(self._paths.output)], {**self._options, **self._paths.extra}, self._naming)

    def _refuse_others(self, name: str, planned: Job) -> None:
        """Raise SinkError where an output's place is another file's, or holds what is none of ours."""
        for target in map(_whole, planned.targets):
            owner = self._ledger.owner_of(target)
            if owner is not None and owner != name:
                raise SinkError(f"{target} is the output of {owner}: rename one of the two")
            if owner is None and os.path.exists(target) and not self._options.get("overwrite"):
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
        whole = _whole(target)
        made = folder / os.path.basename(whole)
        moves.append((str(made), whole))
        return str(made) + target[len(whole):] if target != whole else str(made)

    def _fail(self, name: str, planned: Job, error: StreamsegError) -> None:
        reason = str(error)
        self._settling.gone(name)
        self._ledger.fail(name, reason)
        note = self._reason_file(planned)
        with contextlib.suppress(OSError):  # the ledger knows it too
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"{name}: {reason}\n", encoding="utf-8")
        _log.error("%s: failed: %s", name, reason)

    def _reason_file(self, planned: Job) -> Path:
        return self._paths.output / (os.path.relpath(planned.source, self._paths.folder) + REASON)

    # --- start and end ----------------------------------------------------------------------------

    def _recover(self) -> None:
        """Go on where an earlier process was killed: what it had made is renamed."""
        for row in self._ledger.of_state("placing"):
            _place([move for move in row.moves if os.path.exists(move[0])])
            if all(os.path.exists(place) for _, place in row.moves):
                self._ledger.done(row.name)
            else:
                self._ledger.wait(row.name, row.stamp)
        self._clear_work()
        for row in self._ledger.of_state("failed") if self._told.retry_failed else ():
            self._ledger.wait(row.name, row.stamp)
        for row in self._ledger.of_state("waiting"):
            if _stamp(self._paths.folder / row.name) is None:
                self._ledger.forget(row.name)

    def _clear_work(self) -> None:
        for place in self._paths.all_outputs():
            shutil.rmtree(place / WORK, ignore_errors=True)


def _stamp(path: Path) -> Stamp | None:
    """Size and time of a file; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _whole(target: str) -> str:
    """The file, or of numbered pictures the folder, that is renamed as one."""
    if target.endswith(("/", os.sep)):
        return target.rstrip("/" + os.sep)
    return os.path.dirname(target) if "%" in os.path.basename(target) and not os.path.exists(target) else target


def _place(moves: list[tuple[str, str]]) -> None:
    for made, place in moves:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.isdir(place):
            shutil.rmtree(place)
        os.replace(made, place)
