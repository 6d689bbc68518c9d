"""Inputs as they are named become Items, one at a time: files, folders, patterns and addresses.

Nothing is opened here, and no list is built: a hundred thousand files take no memory.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.file_names import PICTURES, natural
from ..errors import SourceError
from .addresses import base_name, is_address, is_remote
from .remote import listing

# Films by their extension; pictures: core.file_names.PICTURES. What else FFmpeg reads is taken where it is
# named itself or --only asks for it.
FILMS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".flv",
         ".f4v", ".wmv", ".asf", ".3gp", ".3g2", ".mxf", ".ogv", ".nut", ".y4m", ".gif", ".apng", ".ivf", ".dv",
         ".h264", ".hevc", ".av1", ".rm", ".rmvb")
UNFINISHED = (".part", ".tmp", ".crdownload", ".partial", "~")  # how files are called that are still being written
NAMED = 5  # names that a message lists


@dataclass(frozen=True, slots=True)
class Item:
    """One input. ``name``: where its output goes, as a path below the output folder, with the input's own
    extension. ``options``: what a list's row says beside the command's options. ``output``: a name that was given
    for the output, extension and all. ``about``: the list and the line that it comes from."""

    source: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    output: str | None = None
    about: str = field(default="", compare=False)


@dataclass(slots=True)
class LeftOut:
    """What was not taken, by reason: how many, and the first names."""

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Count ``name`` as left out for ``reason``."""
        self.counts[reason] += 1
        known = self.names.setdefault(reason, [])
        if len(known) < NAMED:
            known.append(name)

    def lines(self) -> list[str]:
        """A sentence a reason, as '3 left out, no picture and no film: a.txt, b.pdf, c.zip'."""
        found = []
        for reason, count in self.counts.items():
            names = self.names[reason]
            more = ", ..." if count > len(names) else ""
            found.append(f"{count} left out, {reason}: {', '.join(names)}{more}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {reason: {"count": count, "names": self.names[reason]} for reason, count in self.counts.items()}


def expand(inputs: Sequence[str], left_out: LeftOut, *, only: str | None = None,
           outputs: Iterable[str] = ()) -> Iterator[Item]:
    """An Item for each file that ``inputs`` name.

    inputs    a file, an address, a pattern of pictures (frame_%05d.png), a folder (with its subfolders, whose
              names stay), or a glob (``clips/**/*.mov``) that the shell did not expand
    left_out  takes what a folder holds and is not taken
    only      a glob: of folders take what matches, whatever its extension
    outputs   folders that are not looked into: what a run before this one wrote

    A single folder's files go straight into the output folder; of several folders each keeps its own name there.
    Raises SourceError for a folder that cannot be read or has nothing in it, or a glob that matches nothing.
    """
    closed = {os.path.realpath(folder) for folder in outputs if folder and "://" not in folder}
    several = len(inputs) > 1
    for spec in inputs:
        path = spec.removeprefix("file://")
        if is_address(spec):
            yield from _address(spec, base_name(spec.rstrip("/")) if several else "", left_out, only)
        elif os.path.isdir(path):
            yield from _folder(path, base_name(path) if several else "", left_out, only, closed)
        elif glob.has_magic(path) and not os.path.lexists(path):
            yield from _matches(path, left_out, only, closed)
        else:
            yield Item(spec, base_name(path))


def _address(spec: str, below: str, left_out: LeftOut, only: str | None) -> Iterator[Item]:
    """An address; what lies below it, where it is a folder or a glob of an object store."""
    found = listing(spec) if is_remote(spec) else None
    if found is None:
        yield Item(spec, base_name(spec))
        return
    taken = 0
    for address, name in found:
        hidden = any(part.startswith(".") for part in name.split("/"))
        reason = None if "*" in spec and only is None else _refused(name.rpartition("/")[2], only)
        if reason is not None and not hidden:
            left_out.add(reason, address)
        elif not hidden:
            taken += 1
            yield Item(address, os.path.join(below, name))
    if not taken:
        raise SourceError(f"{spec}: nothing there is a picture or a film" + (f" that {only!r} matches" if only else ""))


def _folder(path: str, below: str, left_out: LeftOut, only: str | None, closed: set[str]) -> Iterator[Item]:
    count = 0
    for item in _walk(path, below, left_out, only, closed):
        count += 1
        yield item
    if not count:
        wanted = f"matches {only!r}" if only is not None else "is a picture or a film; --only '*.EXT' takes others"
        raise SourceError(f"nothing in the folder {path} {wanted}")


def _walk(path: str, below: str, left_out: LeftOut, only: str | None, closed: set[str]) -> Iterator[Item]:
    try:
        with os.scandir(path) as entries:
            found = sorted(entries, key=lambda entry: natural(entry.name))
    except OSError as error:
        raise SourceError(f"the folder {path} cannot be read: {error.strerror or error}") from error
    folders = []
    for entry in found:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if entry.is_symlink():  # it may lead back to where we are
                left_out.add("a link to a folder", entry.path)
            elif os.path.realpath(entry.path) in closed:
                left_out.add("the output folder itself", entry.path)
            else:
                folders.append(entry)
        elif (reason := _refused(entry.name, only)) is not None:
            left_out.add(reason, entry.path)
        elif not entry.is_file():
            left_out.add("no file, or a link to nothing", entry.path)
        else:
            yield Item(entry.path, os.path.join(below, entry.name))
    for entry in folders:
        yield from _walk(entry.path, os.path.join(below, entry.name), left_out, only, closed)


def _refused(name: str, only: str | None) -> str | None:
    """Why a file of a folder is not taken, None if it is."""
    if name.lower().endswith(UNFINISHED):
        return "still being written, as the name says"
    if only is not None:
        return None if fnmatch.fnmatch(name, only) else f"{only} does not match"
    suffix = os.path.splitext(name)[1].lower()
    return None if suffix in PICTURES or suffix in FILMS else "no picture and no film"


def _matches(pattern: str, left_out: LeftOut, only: str | None, closed: set[str]) -> Iterator[Item]:
    """What a glob matches. A name keeps what stands below the part without wildcards."""
    parts = Path(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    root = str(Path(*parts[:fixed])) if fixed else "."
    count = 0
    for path in sorted(glob.iglob(pattern, recursive=True), key=natural):
        below = os.path.relpath(path, root)
        if not os.path.isdir(path):
            count += 1
            yield Item(path, below)
        elif "**" not in parts and os.path.realpath(path) not in closed:  # with ** its files are matched themselves
            for item in _walk(path, below, left_out, only, closed):
                count += 1
                yield item
    if not count:
        raise SourceError(f"{pattern} does not exist, and as a pattern it matches no file")
