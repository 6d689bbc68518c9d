"""The watched folder and the folders of outputs, and how what was made comes into them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .settling import Stamp

WORK = ".streamseg-watch"  # the folder in the output's for what is being made


@dataclass(frozen=True, slots=True)
class Paths:
    """The watched folder, and where outputs go: ``output`` and, for options of EXTRA, folders of their own."""

    folder: Path
    output: Path
    extra: Mapping[str, str]

    def all_outputs(self) -> list[Path]:
        """Every folder that is written into."""
        return [self.output, *(Path(path) for path in self.extra.values())]

    def watches(self, path: Path) -> bool:
        """Whether a path lies where files are taken from: no hidden one, and in no folder of outputs within."""
        closed = (place for place in self.all_outputs() if place != self.folder and place.is_relative_to(self.folder))
        return (path.is_relative_to(self.folder) and not any(path.is_relative_to(place) for place in closed)
                and not any(part.startswith(".") for part in path.relative_to(self.folder).parts))


def stamp_of(path: Path) -> Stamp | None:
    """Size and time of a file; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def whole_target(target: str) -> str:
    """The file, or of numbered pictures the folder, that is renamed as one."""
    if target.endswith(("/", os.sep)):
        return target.rstrip("/" + os.sep)
    return os.path.dirname(target) if "%" in os.path.basename(target) and not os.path.exists(target) else target


def put_in_place(moves: list[tuple[str, str]]) -> None:
    """Rename what was made, as (made, place); a folder in the way is of an earlier output. Raises OSError."""
    for made, place in moves:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if os.path.isdir(place):
            shutil.rmtree(place)
        os.replace(made, place)
