"""SQLite files that a program of ours keeps: opened in one way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

WAIT = 60.0  # seconds for another process that writes just now


class LaterVersionError(Exception):
    """A file of a later streamseg: of ``version``, where at most ``known`` is."""

    def __init__(self, version: int, known: int) -> None:
        super().__init__(f"it is of a later streamseg (form {version}, known is {known})")
        self.version, self.known = version, known


def open_database(path: str | Path, schema: str, version: int, *, read_only: bool = False, log: bool = False,
                  safe: bool = False) -> sqlite3.Connection:
    """An SQLite file, each statement a transaction of its own; rows are sqlite3.Row. Threads may share it, one at a
    time.

    schema     statements that make what is not there yet; ``version``: of the form that they give it
    read_only  the file is there, and stays as it is
    log        with a write-ahead log. It wants shared memory, which network file systems have not
    safe       what was written is on the disk when a statement returns, even when the power goes

    Raises LaterVersionError, sqlite3.Error or OSError; the file is closed then.
    """
    place = f"{Path(path).absolute().as_uri()}?mode=ro" if read_only else str(path)
    base = sqlite3.connect(place, timeout=WAIT, isolation_level=None, uri=read_only, check_same_thread=False)
    try:
        base.row_factory = sqlite3.Row
        found = int(base.execute("PRAGMA user_version").fetchone()[0])
        if found > version:
            raise LaterVersionError(found, version)
        if not read_only:
            base.execute(f"PRAGMA journal_mode = {'WAL' if log else 'TRUNCATE'}")
            base.execute(f"PRAGMA synchronous = {'FULL' if safe else 'NORMAL'}")
            base.executescript(schema)
            base.execute(f"PRAGMA user_version = {version}")
    except BaseException:
        base.close()
        raise
    return base
