"""What is to be given to workers on Ray: items of the ledger, and the parts of films that are begun.

Parts that an earlier process has made and verified are taken over, if the input, the options and the program are
the same.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import av

from .. import __version__
from ..core.folders import made_folder
from . import files
from .films import Begun, parts_folder
from .ledger import Ledger
from .plan import targets_of
from .ray_worker import absolute
from .records import Row
from .spans import Span
from .split import PartDone, may_be_split

TRIES = 25  # workers that may die over one task before it counts as the task's fault


@dataclass(slots=True)
class Film:
    """A film in parts: what is done of it. ``kept``: how many parts an earlier process had made."""

    row: Row
    target: str
    parts: list[Span]
    folder: str
    stamp: str | None
    done: dict[int, PartDone] = field(default_factory=dict)
    kept: int = 0


@dataclass(slots=True)
class Task:
    """``kind``: whole, survey, part or join. ``tries``: workers that died over it."""

    kind: str
    row: Row
    film: Film | None = None
    span: Span | None = None
    tries: int = 0

    @property
    def part(self) -> str | None:
        """'3 of 8', of a part; 'joining', of the last step."""
        if self.film is None:
            return None
        return "joining" if self.span is None else f"{self.span.number + 1} of {len(self.film.parts)}"


class Tasks:
    """The tasks in their order. ``split``: seconds of a part; None: films are not split."""

    def __init__(self, ledger: Ledger, split: float | None) -> None:
        self._ledger, self._split = ledger, split
        self._rows = ledger.waiting()
        self._again: deque[Task] = deque()  # what lost its worker, and parts and joins of films that are begun
        self._given_up: set[int] = set()    # films of which a part has failed
        self._begun: dict[str, Film] = {}

    def __bool__(self) -> bool:
        """Whether one is left. Takes one row ahead to know."""
        if not self._again:
            row = next(self._rows, None)
            if row is not None:
                self._first(row)
        return bool(self._again)

    def take(self) -> Task:
        """The next."""
        return self._again.popleft()

    def again(self, task: Task) -> bool:
        """Its worker has died: it is given out again. False where too many have died over it."""
        task.tries += 1
        # it may have died between the output's last step and its answer
        task.row.job.update(judge=any(os.path.lexists(path) for path, _ in _targets(task.row)), replace=True)
        if task.tries >= TRIES:
            return False
        self._again.appendleft(task)
        return True

    def _first(self, row: Row) -> None:
        row.job.update(absolute(row.job))
        if self._split is None or not may_be_split(row.job):
            self._again.append(Task("whole", row))
        elif not self._taken_over(row, self._split):
            self._again.append(Task("survey", row))

    # --- films in parts -----------------------------------------------------------------------------

    def begin(self, row: Row, parts: list[Span]) -> None:
        """Parts before new items: films that are begun come to their end, and their parts off the disk."""
        assert self._split is not None
        target, key = _targets(row)[0][0], _key(row)
        folder, stamp = parts_folder(target, key), files.stamp(row.real)
        with made_folder(os.path.dirname(target)):
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
        self._ledger.films.begin(target, Begun(key, stamp, self._split, folder, _text(parts), {}))
        self._queue(Film(row, target, parts, folder, stamp))

    def whole(self, row: Row) -> None:
        """A film is done in one piece."""
        self._again.appendleft(Task("whole", row))

    def made(self, film: Film, span: Span, done: PartDone) -> None:
        """A part is made."""
        self._ledger.films.made(film.target, span.number, done.text())
        film.done[span.number] = done
        if len(film.done) == len(film.parts):
            self._again.appendleft(Task("join", film.row, film))

    def given_up(self, film: Film) -> bool:
        """Whether another part of it has failed."""
        return film.row.id in self._given_up

    def drop(self, film: Film) -> None:
        """Forget a film's parts: it is done, or one of them has failed."""
        self._given_up.add(film.row.id)
        self._again = deque(other for other in self._again if other.film is not film)
        self._begun.pop(film.target, None)
        self._ledger.films.remove(film.target)

    def leave(self) -> None:
        """The batch is broken off: of films that are begun, what is made stays for the next time."""
        for film in [film for film in self._begun.values() if not film.done]:
            self.drop(film)

    def _queue(self, film: Film) -> None:
        self._begun[film.target] = film
        # the longest first: the workers are then done at about the same time
        lacking = sorted((span for span in film.parts if span.number not in film.done), key=lambda span: -span.count)
        self._again.extendleft(Task("part", film.row, film, span) for span in reversed(lacking))
        if not lacking:
            self._again.appendleft(Task("join", film.row, film))

    def _taken_over(self, row: Row, split: float) -> bool:
        """Whether an earlier process has begun this film; then what is lacking is queued."""
        target = _targets(row)[0][0]
        begun = self._ledger.films.of(target)
        if begun is None:
            return False
        stamp = files.stamp(row.real)
        if (begun.key, begun.stamp, begun.seconds) != (_key(row), stamp, split) or not os.path.isdir(begun.folder):
            self._ledger.films.remove(target)
            return False
        done = {number: part for number, text in begun.parts.items() if (part := PartDone.of(text)).is_there()}
        _keep_only(begun.folder, {os.path.basename(file.path) for part in done.values() for file in part.files})
        parts = [Span.of(told) for told in json.loads(begun.spans)]
        self._queue(Film(row, target, parts, begun.folder, stamp, done, len(done)))
        return True


def _targets(row: Row) -> list[tuple[str, str]]:
    return targets_of(row.job["sinks"], row.job["options"])


def _key(row: Row) -> str:
    """What parts depend on beside the input: other programs may encode so that they cannot be joined."""
    return f"{row.options} streamseg {__version__} av {av.__version__}"


def _text(parts: list[Span]) -> str:
    return json.dumps([span.to_list() for span in parts])


def _keep_only(folder: str, names: set[str]) -> None:
    """Remove from a folder of parts what a killed process has left beside them."""
    for path in Path(folder).iterdir():
        if path.name not in names:
            path.unlink(missing_ok=True)
