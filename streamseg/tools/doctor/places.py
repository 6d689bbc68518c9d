"""The folders that are written."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path

from .finding import FAULT, OK, Finding

LEAST = 200_000_000  # bytes; a minute of 1080p takes 50 MB to 100 MB


def output_folder(folder: Path) -> list[Finding]:
    """Whether outputs can be written to ``folder``."""
    return [_place("output folder", folder, "give another FOLDER, or change who may write there")]


def temporary_folder(folder: Path) -> list[Finding]:
    """Whether temporary files can be written."""
    try:
        place = Path(tempfile.gettempdir())
    except OSError as error:
        return [Finding("temporary folder", FAULT, f"none can be written: {error.strerror}",
                        "set TMPDIR to a folder with room", True)]
    return [_place("temporary folder", place, "set TMPDIR to another folder")]


def _place(name: str, folder: Path, remedy: str) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".streamseg-doctor-") as file:
            file.write(b"\0" * 65536)
            file.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return Finding(name, FAULT, f"{folder} cannot be written: {error.strerror}", "make room there, or give another "
                       "folder" if full else remedy, True)
    told = f"{folder} can be written, {free / 1e9:.1f} GB are free"
    if free < LEAST:
        return Finding(name, FAULT, told, f"make room: {LEAST / 1e6:.0f} MB is little for a film", True)
    return Finding(name, OK, told, needed=True)
