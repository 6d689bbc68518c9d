"""The jobs in SQLite. A job is accepted once its row is on the disk; files lie beside it in a folder of its id.

States, and what leads from one to the next:

    uploading --the last part is there--> queued --a runner is free--> running --> done | failed
    fetching  --the address was read----> queued

A server that was killed finds its jobs as they were: ``recover`` puts those that were running back into the queue.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.database import LaterVersionError, open_database
from ...core.process_lock import process_lock
from ...errors import SinkError

WAITING = ("uploading", "fetching", "queued", "running")
FINAL = ("done", "failed")
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, dialect TEXT NOT NULL, state TEXT NOT NULL,
    wanted TEXT NOT NULL, size INTEGER, created REAL NOT NULL, changed REAL NOT NULL, finished REAL,
    report TEXT, error TEXT, crashes INTEGER NOT NULL DEFAULT 0, webhook TEXT,
    webhook_tries INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, number);
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A row.

    wanted    what was asked for: options, outputs, names (see wanted.Wanted)
    size      bytes of the film that are to come, where they come in parts
    error     code and message of a failed one; ``report`` of a done one
    crashes   times that its process died by itself
    webhook   the address that is still to be told how it ended, None if none is
    """

    number: int
    id: str
    dialect: str
    state: str
    wanted: dict[str, Any]
    size: int | None
    created: float
    changed: float
    finished: float | None
    report: dict[str, Any] | None
    error: dict[str, Any] | None
    crashes: int
    webhook: str | None
    webhook_tries: int


class JobStore:
    """An open database. One server a folder: raises SinkError where another has it, or where it cannot be opened.

    Calls may come from several threads, one at a time.
    """

    def __init__(self, folder: Path) -> None:
        self._lock: sqlite3.Connection | None = None
        self._base: Any = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = process_lock(folder / "jobs.lock")
            if self._lock is None:
                raise SinkError(f"another server has the jobs in {folder}: give this one a --folder of its own")
            # accepted is accepted, even when the power goes
            self._base = open_database(folder / "jobs.sqlite", _SCHEMA, _VERSION, log=True, safe=True)
        except LaterVersionError as error:
            self.close()
            raise SinkError(f"the jobs in {folder} are of a later streamseg: give another --folder") from error
        except (sqlite3.Error, OSError) as error:
            self.close()
            if isinstance(error, SinkError):
                raise
            raise SinkError(f"the jobs' folder {folder} cannot be used ({error}): give another --folder") from error

    def close(self) -> None:
        """Close the database; may be called twice."""
        for held in (self._base, self._lock):
            if held is not None:
                held.close()
        self._base = self._lock = None

    def add(self, id: str, dialect: str, state: str, wanted: dict[str, Any], size: int | None = None,
            webhook: str | None = None) -> Job:
        """Accept a job: it is on the disk when this returns."""
        now = time.time()
        self._base.execute("INSERT INTO jobs (id, dialect, state, wanted, size, created, changed, webhook) "
                           "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                           (id, dialect, state, json.dumps(wanted), size, now, now, webhook))
        job = self.get(id)
        assert job is not None
        return job

    def get(self, id: str) -> Job | None:
        """The job of an id."""
        found = self._base.execute("SELECT * FROM jobs WHERE id = ?", (id,)).fetchone()
        return None if found is None else _job(found)

    def of_states(self, states: Sequence[str], limit: int = 1_000_000) -> list[Job]:
        """The jobs in some states, oldest first."""
        marks = ", ".join("?" * len(states))
        found = self._base.execute(f"SELECT * FROM jobs WHERE state IN ({marks}) ORDER BY number LIMIT ?",
                                   (*states, limit))
        return [_job(row) for row in found]

    def newest(self, limit: int) -> list[Job]:
        """The jobs that were accepted last, newest first."""
        return [_job(row) for row in self._base.execute("SELECT * FROM jobs ORDER BY number DESC LIMIT ?", (limit,))]

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        found = dict(self._base.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in (*WAITING, *FINAL)}

    def before(self, number: int) -> int:
        """How many jobs are queued before this one."""
        return int(self._base.execute("SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND number < ?",
                                      (number,)).fetchone()[0])

    def move(self, id: str, state: str, *, from_: str) -> bool:
        """From one state to another; False where it is in another state already, or gone."""
        return bool(self._base.execute("UPDATE jobs SET state = ?, changed = ? WHERE id = ? AND state = ?",
                                       (state, time.time(), id, from_)).rowcount)

    def touch(self, id: str) -> None:
        """Something happened to it: a part came."""
        self._base.execute("UPDATE jobs SET changed = ? WHERE id = ?", (time.time(), id))

    def finish(self, id: str, *, report: dict[str, Any] | None = None, error: dict[str, Any] | None = None) -> None:
        """It is done, or failed where there is an ``error``. One that has ended stays as it is."""
        now = time.time()
        self._base.execute("UPDATE jobs SET state = ?, changed = ?, finished = ?, report = ?, error = ? "
                           "WHERE id = ? AND state NOT IN ('done', 'failed')",
                           ("failed" if error else "done", now, now, json.dumps(report) if report else None,
                            json.dumps(error) if error else None, id))

    def crashed(self, id: str) -> int:
        """Its process died by itself: back into the queue. -> how often by now"""
        self._base.execute("UPDATE jobs SET state = 'queued', crashes = crashes + 1, changed = ? WHERE id = ?",
                           (time.time(), id))
        job = self.get(id)
        return 0 if job is None else job.crashes

    def recover(self) -> list[Job]:
        """The jobs that were running when the server ended; they are in the queue again, in their old places."""
        found = self.of_states(("running",))
        self._base.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        return found

    def to_tell(self) -> list[Job]:
        """The jobs that have ended and whose webhook was not sent."""
        return [job for job in self.of_states(FINAL) if job.webhook is not None]

    def told(self, id: str, *, give_up: bool = False, sent: bool = False) -> None:
        """A webhook was tried; it is over with it when it was ``sent`` or is given up."""
        self._base.execute("UPDATE jobs SET webhook_tries = webhook_tries + 1, webhook = CASE WHEN ? THEN NULL "
                           "ELSE webhook END WHERE id = ?", (give_up or sent, id))

    def forget(self, id: str) -> None:
        """Take a job out."""
        self._base.execute("DELETE FROM jobs WHERE id = ?", (id,))


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    for name in ("wanted", "report", "error"):
        values[name] = None if values[name] is None else json.loads(values[name])
    return Job(**values)
