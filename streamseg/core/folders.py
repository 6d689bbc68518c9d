"""Folders for outputs: made where they are missing, and gone again if nothing comes of it."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import SinkError
from ..validation import named
from .file_names import expanded

_lock = threading.Lock()
_wanted: Counter[Path] = Counter()  # folders that were made here and are in use -> by how many blocks


@contextlib.contextmanager
def made_folder(folder: str | Path) -> Iterator[Path]:
    """Make ``folder``, and those that it lies in, for the block.

    If the block fails, the folders that were not there before go again, unless something lies in them or another
    block of this process, in whatever thread, has asked for them: then they go with the last, if it fails too.
    Raises OptionError for an empty name, SinkError where no folder can be made.
    """
    named("the output's folder", folder, "a folder's name")
    path = expanded(folder)
    new: list[Path] = []
    try:
        with _lock:
            try:
                new += [place for place in (path, *path.parents) if place in _wanted or not place.exists()]
                _wanted.update(new)
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SinkError(f"{folder}: no folder can be made there ({error.strerror}); give another "
                                "name") from error
        yield path
    except BaseException:
        _given_up(new, remove=True)
        raise
    _given_up(new, remove=False)


def _given_up(places: Iterable[Path], *, remove: bool) -> None:
    with _lock:
        for place in places:
            _wanted[place] -= 1
            if not _wanted[place]:
                del _wanted[place]
                if remove:
                    with contextlib.suppress(OSError):
                        place.rmdir()
