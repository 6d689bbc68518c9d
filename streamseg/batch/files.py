"""What files are, for the ledger: a stamp that shows at a glance whether one has changed, and a digest that is sure."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..sink.commit import writer
from ..source.stills import pattern
from . import remote
from .addresses import is_address, is_remote
from .records import Written

_CHUNK = 1 << 20


@contextlib.contextmanager
def scratch() -> Iterator[str]:
    """A temporary folder whose name says whose it is: that of a process that was killed is found by it."""
    made = tempfile.mkdtemp(prefix=f".streamseg.{writer()}-", suffix=".part")
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def stamp(path: str) -> str | None:
    """Size and time of a file, or of all files of a folder or a pattern; of an object its ETag or the like; None
    where there is nothing."""
    if is_address(path):
        return remote.stamp(path) if is_remote(path) else None
    try:
        found = [os.stat(file) for file in _files(path)]
    except OSError:
        return None
    if not found:
        return None
    count = "" if len(found) == 1 else f"{len(found)}:"
    return f"{count}{sum(item.st_size for item in found)}:{max(item.st_mtime_ns for item in found)}"


def digest(path: str) -> str | None:
    """SHA-256 of a file's bytes, or of all files of a folder or a pattern; of an object its stamp; None where there
    is nothing."""
    if is_address(path):
        return stamp(path)
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
    if is_address(path):
        return remote.size(path) if is_remote(path) else None
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
        return [str(file) for file in pattern(Path(local))]
    return [local]


def _below(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
