"""What files are, for the ledger: a stamp that shows at a glance whether one has changed, and a digest that is sure."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from .ledger import Written

_CHUNK = 1 << 20


def stamp(path: str) -> str | None:
    """Size and time of a file, or of all files of a folder or a pattern; None where there is nothing."""
    try:
        found = [os.stat(file) for file in _files(path)]
    except OSError:
        return None
    if not found:
        return None
    count = "" if len(found) == 1 else f"{len(found)}:"
    return f"{count}{sum(item.st_size for item in found)}:{max(item.st_mtime_ns for item in found)}"


def digest(path: str) -> str | None:
    """SHA-256 of a file's bytes, or of all files of a folder or a pattern; None where there is nothing."""
    total = hashlib.sha256()
    try:
        files = _files(path)
        for file in files:
            with open(file, "rb") as stream:
                while data := stream.read(_CHUNK):
                    total.update(data)
    except OSError:
        return None
    return total.hexdigest() if files else None


def written(path: str, kind: str) -> Written:
    """An output as it lies there now."""
    return Written(path, kind, size(path), stamp(path), digest(path))


def size(path: str) -> int | None:
    """Bytes of a file, or of all files of a folder or a pattern; None where there is nothing."""
    try:
        return sum(os.path.getsize(file) for file in _files(path))
    except OSError:
        return None


def unchanged(made: Written) -> Written | None:
    """``made`` with its stamp of now if it is still what was written, None if not. Only what has another stamp is
    read."""
    now = stamp(made.path)
    if now is None or made.stamp is None:
        return None
    if now == made.stamp:
        return made
    if size(made.path) != made.bytes or digest(made.path) != made.digest:
        return None
    return Written(made.path, made.kind, made.bytes, now, made.digest)


def _files(path: str) -> list[str]:
    """The files that ``path`` names, in order. Raises OSError where it is missing."""
    local = path.removeprefix("file://")
    if os.path.isdir(local):
        return sorted(str(file) for file in _below(Path(local)))
    if not os.path.exists(local) and "%" in os.path.basename(local):
        from ..source.stills import pattern
        return [str(file) for file in pattern(Path(local))]
    return [local]


def _below(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
