"""A lock between processes that ends with its owner, however that ends."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def process_lock(path: Path) -> sqlite3.Connection | None:
    """The lock that a file stands for, held until it is closed or this process ends; None if another process has it.

    SQLite's own lock: it knows each system's way. Raises sqlite3.Error or OSError where the file cannot be made.
    """
    held = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        held.execute("PRAGMA journal_mode = MEMORY")
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        held.close()
        if "locked" in str(error):
            return None
        raise
    return held
