"""The ledger: an SQLite file that knows each file of the watched folder and how it stands with it.

    waiting   it was seen, and stands still or not yet
    placing   its outputs are made and are being renamed into their places
    done      they are there
    failed    with the reason

One process writes it; another may read it (``--status``) at any time. A process that is killed loses at most the
work on the file that it was at.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.database import LaterVersionError, open_database
from ..core.process_lock import process_lock
from ..errors import SinkError, SourceError
from .settling import Stamp

NAME = ".streamseg-watch.sqlite"
STATES = ("waiting", "done", "failed")
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT,
    moves TEXT, frames INTEGER, seconds REAL, seen REAL NOT NULL, finished REAL, attempts INTEGER NOT NULL DEFAULT 0)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outputs (path TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_state ON files (state);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A file. ``moves``: (made, place) of each output, while they are being renamed."""

    name: str
    stamp: Stamp
    state: str
    reason: str | None
    moves: tuple[tuple[str, str], ...]


class Ledger:
    """An open ledger in the output ``folder``; ``owner``: this process writes it, and alone.

    Raises SinkError where it cannot be opened or another process writes it, SourceError where there is none to read.
    """

    def __init__(self, folder: Path, *, owner: bool = True) -> None:
        self.path = folder / NAME
        self._lock: sqlite3.Connection | None = None
        self._base: Any = None
        if not owner and not self.path.is_file():
            raise SourceError(f"{folder}: no watch has written there: there is no ledger")
        try:
            if owner:
                self._lock = process_lock(Path(f"{self.path}-writer"))
                if self._lock is None:
                    raise SinkError(f"another streamseg watch writes into {folder}: give another output folder")
            self._base = open_database(self.path, _SCHEMA, _VERSION, read_only=not owner)
        except LaterVersionError as error:
            self.close()
            raise SinkError(f"the ledger {self.path} is of a later streamseg: give another output folder") from error
        except (sqlite3.Error, OSError) as error:
            self.close()
            if isinstance(error, SinkError):
                raise
            raise SinkError(f"the ledger {self.path} cannot be used: {error}") from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *what: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it and let others write it; may be called twice."""
        if self._base is not None:
            self._base.close()
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.unlink(f"{self.path}-writer")
            self._lock.close()
        self._base = self._lock = None

    def get(self, name: str) -> Row | None:
        """The row of a file."""
        found = self._base.execute("SELECT name, size, changed, state, reason, moves FROM files WHERE name = ?",
                                   (name,)).fetchone()
        return None if found is None else _row(found)

    def of_state(self, state: str) -> list[Row]:
        """The files in a state, by name."""
        return [_row(found) for found in self._base.execute(
            "SELECT name, size, changed, state, reason, moves FROM files WHERE state = ? ORDER BY name", (state,))]

    def wait(self, name: str, stamp: Stamp, reason: str | None = None) -> None:
        """A file was seen that is to be done, or cannot be done yet for a reason."""
        self._base.execute(
            "INSERT INTO files (name, size, changed, state, reason, seen) VALUES (?, ?, ?, 'waiting', ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET size = excluded.size, changed = excluded.changed, state = 'waiting', "
            "reason = excluded.reason, moves = NULL", (name, *stamp, reason, time.time()))

    def placing(self, name: str, moves: Sequence[tuple[str, str]]) -> None:
        """Its outputs are made, and are now renamed: should this process die, the next one goes on with that."""
        self._base.execute("BEGIN IMMEDIATE")
        self._base.execute("UPDATE files SET state = 'placing', moves = ? WHERE name = ?", (json.dumps(moves), name))
        self._base.execute("DELETE FROM outputs WHERE name = ?", (name,))
        self._base.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?)", [(place, name) for _, place in moves])
        self._base.execute("COMMIT")

    def done(self, name: str, frames: int | None = None, seconds: float | None = None) -> None:
        """Its outputs are in their places."""
        self._base.execute("UPDATE files SET state = 'done', reason = NULL, moves = NULL, frames = ?, seconds = ?, "
                           "finished = ?, attempts = attempts + 1 WHERE name = ?", (frames, seconds, time.time(), name))

    def fail(self, name: str, reason: str) -> None:
        """It cannot be done."""
        self._base.execute("UPDATE files SET state = 'failed', reason = ?, moves = NULL, finished = ?, "
                           "attempts = attempts + 1 WHERE name = ?", (reason, time.time(), name))

    def forget(self, name: str) -> None:
        """It went before it was done."""
        self._base.execute("DELETE FROM files WHERE name = ? AND state = 'waiting'", (name,))

    def owner_of(self, output: str) -> str | None:
        """The file whose output a path is."""
        found = self._base.execute("SELECT name FROM outputs WHERE path = ?", (output,)).fetchone()
        return None if found is None else str(found[0])

    def counts(self) -> dict[str, int]:
        """How many files there are in each of STATES."""
        found = dict(self._base.execute("SELECT state, COUNT(*) FROM files GROUP BY state").fetchall())
        return {"waiting": found.get("waiting", 0) + found.get("placing", 0), "done": found.get("done", 0),
                "failed": found.get("failed", 0)}

    def status(self) -> dict[str, Any]:
        """For --status: the counts, what waits and why, what failed and why."""
        return {"counts": self.counts(),
                "waiting": [{"name": row.name, "reason": row.reason} for state in ("waiting", "placing")
                            for row in self.of_state(state)],
                "failed": [{"name": row.name, "reason": row.reason} for row in self.of_state("failed")]}


def _row(found: Any) -> Row:
    moves = tuple((made, place) for made, place in json.loads(found[5])) if found[5] else ()
    return Row(found[0], (found[1], found[2]), found[3], found[4], moves)
