"""One process writes a ledger: its lock, and whether somebody has it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from ..core.process_lock import process_lock
from ..errors import SinkError


def at_work(path: str | Path) -> bool:
    """Whether a process writes this ledger now."""
    name = lock_name(str(path))
    if not os.path.exists(name):
        return False
    try:
        with contextlib.closing(sqlite3.connect(name, timeout=0, isolation_level=None)) as base:
            base.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    return False


def lock_name(path: str) -> str:
    """The file beside a ledger that stands for its lock."""
    return f"{path}-writer"


def locked(path: str) -> sqlite3.Connection:
    """The process_lock of a ledger. Raises SinkError where another process has it."""
    name = lock_name(path)
    while True:
        with open(name, "ab"):
            before = os.stat(name)
        held = process_lock(Path(name))
        if held is None:
            raise SinkError(f"another streamseg batch is at work with the ledger {path}: wait for its end, or share "
                            "the inputs with --shard I/N, each with a ledger of its own")
        with contextlib.suppress(FileNotFoundError):  # its owner may just have removed it: then it locks nothing
            if os.path.samestat(before, os.stat(name)):
                return held
        held.close()
        held.close()  # of a file that its last owner took away meanwhile
