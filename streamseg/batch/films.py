"""Long films that are done in parts, as the ledger has them: what is made and verified of one outlives the process."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS films (
    target TEXT PRIMARY KEY, key TEXT NOT NULL, stamp TEXT, seconds REAL NOT NULL, folder TEXT NOT NULL,
    spans TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    target TEXT NOT NULL, number INTEGER NOT NULL, told TEXT NOT NULL, PRIMARY KEY (target, number)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Begun:
    """A film of which parts are made. ``key``: what they depend on beside the input; ``stamp``: the input's;
    ``seconds``: about the length of a part; ``spans``: the parts, as text; ``parts``: what each that is made gave, as
    text."""

    key: str
    stamp: str | None
    seconds: float
    folder: str
    spans: str
    parts: dict[int, str]


class Films:
    """The tables of an open ledger. A film goes by its first output."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def begin(self, target: str, begun: Begun) -> None:
        """A film is split; nothing of it is made."""
        self._base.execute("INSERT OR REPLACE INTO films VALUES (?, ?, ?, ?, ?, ?)",
                           (target, begun.key, begun.stamp, begun.seconds, begun.folder, begun.spans))

    def made(self, target: str, number: int, told: str) -> None:
        """A part is made and verified; on the disk when this returns."""
        self._base.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (target, number, told))

    def of(self, target: str) -> Begun | None:
        """What is made of a film."""
        found = self._base.execute("SELECT key, stamp, seconds, folder, spans FROM films WHERE target = ?",
                                   (target,)).fetchone()
        if found is None:
            return None
        parts = self._base.execute("SELECT number, told FROM parts WHERE target = ? ORDER BY number", (target,))
        key, stamp, seconds, folder, spans = found
        return Begun(key, stamp, seconds, folder, spans, dict(parts.fetchall()))

    def forget(self, target: str) -> str | None:
        """Take a film out. The folder of its parts, which is the caller's to remove."""
        found = self._base.execute("SELECT folder FROM films WHERE target = ?", (target,)).fetchone()
        self._base.execute("DELETE FROM films WHERE target = ?", (target,))
        self._base.execute("DELETE FROM parts WHERE target = ?", (target,))
        return None if found is None else str(found[0])

    def remove(self, target: str) -> None:
        """Take a film out, and its parts off the disk."""
        folder = self.forget(target)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def parts_folder(target: str, key: str) -> str:
    """Where the parts of a film lie: a hidden folder beside its first output, the same in every process."""
    path = Path(target)
    return str(path.with_name(f".{path.stem[:40]}.{zlib.crc32(f'{path.name} {key}'.encode()):08x}.part"))
