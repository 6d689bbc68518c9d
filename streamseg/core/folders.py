"""Folders for outputs: made where they are missing, and gone again if nothing comes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import SinkError
from ..validation import named


@contextlib.contextmanager
def made_folder(folder: str | Path) -> Iterator[Path]:
    """Make ``folder``, and those that it lies in, for the block.

    If the block fails, the folders that were not there before go again, unless something lies in them.
    Raises OptionError for an empty name, SinkError where no folder can be made.
    """
    named("the output's folder", folder, "a folder's name")
    path = Path(folder).expanduser()
    new: list[Path] = []
    try:
        try:
            new += [place for place in (path, *path.parents) if not place.exists()]
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"{folder}: no folder can be made there ({error.strerror}); give another "
                            "name") from error
        yield path
    except BaseException:
        for place in new:
            with contextlib.suppress(OSError):
                place.rmdir()
        raise
