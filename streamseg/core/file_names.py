"""What the names of files say: which are pictures, in which order people put them, and which path they mean."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

# Pictures that are read, by extension; what is written is in sink.containers
PICTURES = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".jp2", ".j2k", ".jxl",
            ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".exr", ".hdr", ".dds", ".tga", ".qoi", ".dpx", ".sgi",
            ".avif", ".heic", ".heif", ".ico")


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names by value."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower())
            for part in re.split(r"(\d+)", name) if part] + [(2, 0, name)]


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with ~ and ~user as home folders. A user who is not known is part of the name, as in a shell; Path's
    own method raises RuntimeError."""
    return Path(os.path.expanduser(path))


def resolved(path: str | os.PathLike[str]) -> Path:
    """The absolute path, links followed, ~ expanded; it need not exist. Raises OSError where links go round in a
    circle; Path's own method raises RuntimeError, or nothing, by Python's version."""
    found = expanded(path)
    try:
        found.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise
    except ValueError:  # no path can be so
        pass
    return Path(os.path.realpath(found))
