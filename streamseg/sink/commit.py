"""Outputs appear whole or not at all: temporary names beside the target, and what can go wrong there."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from ..core.file_names import expanded, resolved
from ..errors import SinkError, StreamsegError
from ..validation import named

_numbers = itertools.count()


@contextlib.contextmanager
def writing(target: object, folder: Path | None = None, remedy: Callable[[], str] = str) -> Iterator[None]:
    """Turn what the file system or FFmpeg raises into a SinkError that names target and remedy; ``remedy`` gives the
    end of the message where FFmpeg says no more than that something does not suit it."""
    try:
        yield
    except StreamsegError:  # the input's damage too
        raise
    except BrokenPipeError as error:
        raise SinkError(f"{target}: the reader of the pipe has closed it before the end") from error
    except (OSError, av.error.FFmpegError) as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT):
            free = f"{shutil.disk_usage(folder).free / 1e6:.0f} MB are free in {folder}" if folder else ""
            raise SinkError(f"{target}: no space left on the disk; {free or 'free some'}: make room or "
                            "write to another disk") from error
        end = remedy() if isinstance(error, av.error.ArgumentError) else ""
        raise SinkError(f"{target} cannot be written: {reason(error)}{end}") from error


def reason(error: BaseException) -> str:
    """What happened, without PyAV's numbers."""
    return str(getattr(error, "strerror", None) or error)


def checked_target(target: str, overwrite: bool) -> Path:
    """The file that ``target`` means, links followed, once it is sure that it may be made.

    Raises OptionError for an empty name; SinkError if the folder is missing, if something lies there and
    ``overwrite`` is not set, or if what lies there is no ordinary file.
    """
    named("output", target, "a file")
    refuse_address(target)
    with writing(target):  # a name may be too long
        path = resolved(target)
        refuse_no_folder(path.parent, target)
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise SinkError(f"{target} is no ordinary file and is left alone; - writes to standard output, "
                            "null: writes nothing")
        refuse_existing(path, target, overwrite)
    return path


def refuse_address(target: str) -> None:
    """Raise SinkError for an address, where a file or a folder is meant."""
    if target.startswith("file://"):
        raise SinkError(f"{target} is an address: give the path itself, {target.removeprefix('file://')}")
    if "://" in target:
        raise SinkError(f"{target} is an address, and this output is a file or a folder; `streamseg live --to` sends "
                        "to rtmp, rtsp, srt, udp and WHIP addresses")


def refuse_no_folder(folder: Path, target: object) -> None:
    """Raise SinkError unless ``target`` can be made in ``folder``."""
    if folder.is_dir():
        return
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if there.exists() and not there.is_dir():
        raise SinkError(f"{target}: {there} is a file, and no folder: give another name")
    raise SinkError(f"{target}: the folder {folder} does not exist; make it first: mkdir -p '{folder}'")


def refuse_existing(path: Path, shown: object, overwrite: bool) -> None:
    """Raise SinkError if ``path`` is there and may not be replaced."""
    if path.exists() and not overwrite:
        raise SinkError(f"{shown} exists; give another name, or --overwrite to replace it")


def refuse_input(target: str, source: str | os.PathLike[str], overwrite: bool, what: str = "the input itself") -> None:
    """Raise SinkError if ``target`` is the input itself, or ``what`` else is read, under whatever name; or its folder,
    with ``overwrite``."""
    if "-" in (target, os.fspath(source)) or target == "null:":
        return
    read, made = (expanded(str(name).removeprefix("file://")) for name in (source, target))
    try:
        same = resolved(read) == resolved(made) or (made.exists() and read.exists() and made.samefile(read))
        harmless = made.is_dir() and not overwrite
    except (OSError, ValueError):  # what cannot be looked at is told where it is opened
        return
    if same and not harmless:
        raise SinkError(f"{target} exists, and is {what}: give the output another name")


def temporary_name(path: Path) -> Path:
    """A hidden name beside ``path``, of this process alone, that ends with the same extension."""
    return path.with_name(f".{path.stem[:40]}.{writer()}-{next(_numbers)}.part{path.suffix}")


def writer() -> str:
    """What is in all temporary names of this process, and of no other: containers that share a disk may have
    the same process ids."""
    return _writer_of(os.getpid())


@functools.cache
def _writer_of(process: int) -> str:
    return f"{process}-{os.urandom(4).hex()}"


def remove_leftovers(folder: Path, writers: Collection[str]) -> int:
    """Remove from ``folder`` the temporary files of processes that were killed. How many there were."""
    count = 0
    with contextlib.suppress(OSError):
        for path in folder.glob(".*.part*"):
            if any(f".{name}-" in path.name for name in writers):
                count += 1
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
    return count


def temporary_file(path: Path) -> Path:
    """An empty file under ``temporary_name``: proof, before anything is computed, that one can write."""
    made = temporary_name(path)
    with writing(path, path.parent):
        made.touch(exist_ok=False)
    return made


def temporary_folder(path: Path, shown: object) -> Path:
    """As ``temporary_file``, a folder; ``shown`` in messages."""
    made = temporary_name(path)
    with writing(shown, path.parent):
        made.mkdir()
    return made


@contextlib.contextmanager
def appearing(target: str | Path, overwrite: bool) -> Iterator[Path]:
    """A temporary file for the block to fill: at its end it becomes ``target``, if it fails it is gone.

    Raises SinkError, also for what the file system or FFmpeg raises in the block.
    """
    path = checked_target(str(target), overwrite)
    made = temporary_file(path)
    try:
        with writing(target, path.parent):
            yield made
        into_place(made, path, target, overwrite)
    finally:
        made.unlink(missing_ok=True)


def partial_name(path: Path) -> Path:
    """NAME.partial.EXT, where a failed run's output goes with --keep-partial."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def into_place(made: Path, path: Path, shown: object, overwrite: bool) -> None:
    """Flush ``made`` to the disk and give it its name in one step. Raises SinkError."""
    place([Placement(made, path, shown, overwrite)])


@dataclass(frozen=True, slots=True)
class Placement:
    """A finished file ``made`` and the name ``path`` that it is to get; ``shown`` in messages."""

    made: Path
    path: Path
    shown: object
    overwrite: bool


def place(placements: Sequence[Placement]) -> None:
    """Flush every file to the disk, then give all their names, or none: where one fails, what was there
    before is there again, and the finished files lie where they were made. Folders that are missing are made.

    Raises SinkError.
    """
    for item in placements:
        refuse_existing(item.path, item.shown, item.overwrite)  # somebody may have put one there meanwhile
        with writing(item.shown, item.path.parent), item.made.open("rb") as stream:
            os.fsync(stream.fileno())
    spares: list[Path] = []
    with contextlib.ExitStack() as undo:
        for number, item in enumerate(placements, 1):
            with writing(item.shown, item.path.parent):
                _make_folder(item.path.parent, undo)
                if number < len(placements):  # after the last nothing can fail any more
                    spares += _spared(item.path, undo)
                item.made.replace(item.path)
                undo.callback(item.path.replace, item.made)
        undo.pop_all()
    for spare in spares:
        with contextlib.suppress(OSError):
            spare.unlink()


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    if not folder.exists():
        folder.mkdir(exist_ok=True)
        undo.callback(folder.rmdir)


def _spared(path: Path, undo: contextlib.ExitStack) -> list[Path]:
    """A second name for what lies at ``path``, under which it comes back if a later file fails."""
    if not path.exists():
        return []
    spare = temporary_name(path)
    try:
        os.link(path, spare)
    except OSError:  # no hard links on this file system, or not to somebody else's file
        path.replace(spare)
    undo.callback(spare.replace, path)
    return [spare]
