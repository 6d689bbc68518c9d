"""The ledger: an SQLite file that knows each item, its options, its outputs and how it ended.

One process writes it; another may read it (``--status``) at any time. A process that is killed loses at most the
item that it was at: each end is a transaction. Only rows are held, never the list.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.database import LaterVersionError, open_database
from ..errors import SinkError
from . import films
from .ledger_lock import lock_name, locked
from .records import Outcome, Row, Written

NAME = ".streamseg-batch"  # what ledgers are called in an output folder
STATES = ("waiting", "done", "failed")
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, real TEXT NOT NULL, target TEXT NOT NULL,
    job TEXT NOT NULL, options TEXT NOT NULL, round INTEGER NOT NULL, state TEXT NOT NULL, stamp TEXT, content TEXT,
    frames INTEGER, damaged INTEGER, fps REAL, seconds REAL, subject TEXT, reason TEXT, worker TEXT,
    attempts INTEGER NOT NULL DEFAULT 0, finished REAL);
CREATE INDEX IF NOT EXISTS items_waiting ON items (state, round, id);
CREATE INDEX IF NOT EXISTS items_real ON items (real);
CREATE INDEX IF NOT EXISTS items_content ON items (content, options) WHERE content IS NOT NULL;
CREATE TABLE IF NOT EXISTS outputs (
    path TEXT PRIMARY KEY, item INTEGER NOT NULL, kind TEXT NOT NULL, ours INTEGER NOT NULL, bytes INTEGER, stamp TEXT,
    digest TEXT)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outputs_item ON outputs (item);
CREATE TABLE IF NOT EXISTS writers (name TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Ledger:
    """An open ledger. ``path``: its file, or ':memory:'. ``owner``: this process writes it, and alone; a new file
    that no plan went into is gone at ``close``.

    Raises SinkError where it cannot be opened, is no ledger, or another process writes it.
    """

    def __init__(self, path: str | Path, *, owner: bool = True) -> None:
        self.path = str(path)
        self._lock: sqlite3.Connection | None = None
        self._base: Any = None  # a sqlite3.Connection, until ``close``
        self._new = owner and not os.path.exists(self.path)
        self.round = 0
        try:
            if owner and self.path != ":memory:":
                self._lock = locked(self.path)
            # whoever waits for Batch.events has opened it, and another thread does the work
            self._base = open_database(self.path, _SCHEMA + films.SCHEMA, _VERSION, read_only=not owner)
            self._base.execute("PRAGMA cache_size = -16384")
        except LaterVersionError as error:
            self.close()
            raise SinkError(f"the ledger {self.path} is of a later streamseg (form {error.version}, known is "
                            f"{error.known}); --ledger names another") from error
        except (sqlite3.Error, OSError) as error:
            self.close()
            if isinstance(error, SinkError):
                raise
            raise SinkError(f"the ledger {path} cannot be used: {error}; --ledger names another") from error
        except BaseException:
            self.close()
            raise
        self.round = self._one("SELECT COALESCE(MAX(round), 0) FROM items")
        self.films = films.Films(self._base)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *what: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let others write it; may be called twice."""
        base, self._base = self._base, None
        if base is not None:
            with contextlib.suppress(sqlite3.Error):
                if self._lock is not None:
                    base.execute("PRAGMA journal_mode = DELETE")  # takes the journal's file away
            base.close()
        if self._new and not self.round:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.unlink(lock_name(self.path))
            self._lock.close()
            self._lock = None

    def _one(self, query: str, *values: Any) -> Any:
        return self._base.execute(query, values).fetchone()[0]

    # --- writers: whose temporary files may lie about ------------------------------------------------

    def writers(self) -> list[str]:
        """The writers that an earlier process of this ledger has not signed off: they were killed."""
        return [row[0] for row in self._base.execute("SELECT name FROM writers ORDER BY name")]

    def sign_on(self, *names: str) -> None:
        """Processes with these writers' names (sink.commit.writer) begin to write outputs."""
        self._base.executemany("INSERT OR IGNORE INTO writers VALUES (?)", [(name,) for name in names])

    def sign_off(self, *names: str) -> None:
        """They have ended, and have left nothing."""
        self._base.executemany("DELETE FROM writers WHERE name = ?", [(name,) for name in names])

    # --- planning ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def planning(self, *, keep: bool = True) -> Iterator[None]:
        """A new round: what the block adds holds if it ends well and is to be kept, and none of it if it fails."""
        self._base.execute("BEGIN IMMEDIATE")
        self.round += 1
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            self.round -= 1
            raise
        if keep:
            self._base.execute("COMMIT")
        else:
            self._base.execute("ROLLBACK")
            self.round -= 1

    def of_target(self, path: str) -> Row | None:
        """The item that writes ``path``."""
        found = self._base.execute("SELECT items.* FROM outputs JOIN items ON items.id = outputs.item "
                                   "WHERE outputs.path = ?", (path,)).fetchone()
        return None if found is None else _row(found)

    def add(self, source: str, real: str, job: Mapping[str, Any], options: str, targets: Sequence[tuple[str, str]],
            *, ours: bool = False) -> int:
        """A new item. ``targets``: (path, kind) of each output; none of them is another item's. ``ours``: an earlier
        round planned them already."""
        cursor = self._base.execute(
            "INSERT INTO items (source, real, target, job, options, round, state) VALUES (?, ?, ?, ?, ?, ?, 'waiting')",
            (source, real, targets[0][0] if targets else f"null:{real}", json.dumps(job, default=str), options,
             self.round))
        item = int(cursor.lastrowid or 0)
        self._base.executemany("INSERT INTO outputs (path, item, kind, ours) VALUES (?, ?, ?, ?)",
                               [(path, item, kind, ours) for path, kind in targets])
        return item

    def forget(self, item: int) -> None:
        """Take an item out, with what is known of its outputs."""
        self._base.execute("DELETE FROM outputs WHERE item = ?", (item,))
        self._base.execute("DELETE FROM items WHERE id = ?", (item,))

    def keep(self, item: int, state: str) -> None:
        """An item that was there before belongs to this round, with ``state``."""
        self._base.execute("UPDATE items SET round = ?, state = ? WHERE id = ?", (self.round, state, item))

    def inputs_that_are_outputs(self, limit: int) -> list[tuple[str, str]]:
        """(input, output) of this round's pairs that are one file."""
        found = self._base.execute(
            "SELECT items.source, outputs.path FROM items JOIN outputs ON outputs.path = items.real "
            "JOIN items AS writer ON writer.id = outputs.item "
            "WHERE items.round = ?1 AND writer.round = ?1 LIMIT ?2", (self.round, limit)).fetchall()
        return [(row[0], row[1]) for row in found]

    def is_output(self, path: str) -> bool:
        """Whether an earlier round wrote ``path``."""
        return bool(self._one("SELECT COUNT(*) FROM outputs JOIN items ON items.id = outputs.item "
                              "WHERE path = ? AND (items.round < ? OR digest IS NOT NULL OR ours)", path, self.round))

    # --- doing ------------------------------------------------------------------------------------

    def waiting(self) -> Iterator[Row]:
        """This round's items that are to be done, in their order. The ledger may be written in between."""
        last = 0
        while True:
            found = self._base.execute("SELECT * FROM items WHERE state = 'waiting' AND round = ? AND id > ? "
                                       "ORDER BY id LIMIT 256", (self.round, last)).fetchall()
            if not found:
                return
            yield from map(_row, found)
            last = int(found[-1]["id"])

    def finish(self, item: int, outcome: Outcome) -> None:
        """How an item ended; on the disk when this returns."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            self._base.execute(
                "UPDATE items SET state = ?, stamp = ?, content = ?, frames = ?, damaged = ?, fps = ?, seconds = ?, "
                "subject = ?, reason = ?, worker = ?, attempts = attempts + 1, finished = ? WHERE id = ?",
                (outcome.state, outcome.stamp, outcome.content, outcome.frames, outcome.damaged, outcome.fps,
                 outcome.seconds, outcome.subject, outcome.reason, outcome.worker, time.time(), item))
            self._base.executemany("UPDATE outputs SET bytes = ?, stamp = ?, digest = ? WHERE path = ?",
                                   [(made.bytes, made.stamp, made.digest, made.path) for made in outcome.outputs])
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def restamp(self, item: int, stamp: str | None, outputs: Sequence[Written] = ()) -> None:
        """New stamps of what was looked at again and is the same."""
        self._base.execute("UPDATE items SET stamp = COALESCE(?, stamp) WHERE id = ?", (stamp, item))
        self._base.executemany("UPDATE outputs SET stamp = ? WHERE path = ?",
                               [(made.stamp, made.path) for made in outputs])

    def outputs(self, item: int) -> list[Written]:
        """An item's outputs as they were written."""
        found = self._base.execute("SELECT path, kind, bytes, stamp, digest FROM outputs WHERE item = ? ORDER BY path",
                                   (item,))
        return [Written(*row) for row in found]

    def of_content(self, content: str, options: str, other: int) -> Outcome | None:
        """How a done item of the same content and options, not ``other``, ended."""
        found = self._base.execute(
            "SELECT id, frames, damaged, subject FROM items WHERE content = ? AND options = ? AND state = 'done' "
            "AND id != ? LIMIT 1", (content, options, other)).fetchone()
        if found is None:
            return None
        return Outcome("done", frames=found["frames"], damaged=found["damaged"], subject=found["subject"],
                       outputs=self.outputs(found["id"]))

    # --- looking ----------------------------------------------------------------------------------

    def counts(self, *, whole: bool = False) -> dict[str, int]:
        """How many items there are in each of STATES, of this round or of the ``whole`` ledger."""
        found = dict(self._base.execute("SELECT state, COUNT(*) FROM items WHERE round = ? OR ? GROUP BY state",
                                        (self.round, whole)).fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def totals(self, *, whole: bool = False) -> dict[str, Any]:
        """Sums over what is done: ``frames``, ``seconds``, ``damaged``, and ``finished``, the last one's time."""
        found = self._base.execute("SELECT COALESCE(SUM(frames), 0) AS frames, COALESCE(SUM(seconds), 0) AS seconds, "
                                   "COALESCE(SUM(damaged), 0) AS damaged, MAX(finished) AS finished FROM items "
                                   "WHERE state = 'done' AND (round = ? OR ?)", (self.round, whole)).fetchone()
        return dict(found)

    def lines(self, *, whole: bool = False, state: str | None = None) -> Iterator[dict[str, Any]]:
        """What a report says of each item, in their order."""
        found = self._base.execute(
            "SELECT source, target, state, frames, damaged, fps, seconds, subject, reason, attempts, worker, content "
            "FROM items WHERE (round = ? OR ?) AND (? IS NULL OR state = ?) ORDER BY id",
            (self.round, whole, state, state))
        for row in found:
            yield dict(row)


def ledgers_of(folder: str | Path) -> list[Path]:
    """The ledgers in an output folder: one, or one a shard."""
    return sorted(Path(folder).glob(f"{NAME}*.sqlite"))


def _row(row: sqlite3.Row) -> Row:
    return Row(row["id"], row["source"], row["real"], row["target"], json.loads(row["job"]), row["options"],
               row["state"], row["round"], row["stamp"], row["content"], row["attempts"])
