"""Mattes from files, for scoring: which files belong together, and the alpha in each picture."""

from __future__ import annotations

import fnmatch
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.file_names import natural
from ...core.frames import Frame
from ...core.words import counted
from ...errors import OptionError, SourceError
from ...options import Options
from ...source import open_source
from ...source.mattes import alpha_of
from ...source.stills import LISTED, still_frame

__all__ = ["MatteClip", "Pair", "alpha_of", "paired", "together"]


@dataclass(frozen=True, slots=True)
class Pair:
    """What belongs together. ``name``: for tables; ``truth`` and ``guide`` are None where not given."""

    name: str
    predicted: str
    truth: str | None
    guide: str | None

    @property
    def paths(self) -> list[str]:
        return [path for path in (self.predicted, self.truth, self.guide) if path is not None]


def paired(predicted: str, truth: str | None, guide: str | None, only: str | None, allow_missing: bool,
           notes: list[str]) -> list[Pair]:
    """The inputs themselves as one pair, or the files of folders that have the same stem.

    What is in one folder only is an error that names it, or goes into ``notes`` with ``allow_missing``;
    a guide may have more. Raises SourceError, and OptionError where a folder is to be compared with a file.
    """
    given = [spec for spec in (predicted, truth, guide) if spec is not None]
    folders = [os.path.isdir(spec) for spec in given]  # unlike Path's it raises nothing
    if not any(folders):
        return [Pair(predicted, predicted, truth, guide)]
    if not all(folders):
        one, other = given[folders.index(True)], given[folders.index(False)]
        raise OptionError(f"{one} is a folder and {other} is none: give folders on both sides; a folder that "
                          f"holds the frames of a film is given as {Path(one) / '%05d.png'}")
    sides = [_stems(Path(spec), only) for spec in given]
    if truth is not None:
        _no_loners(predicted, sides[0], truth, sides[1], allow_missing, notes)
        _no_loners(truth, sides[1], predicted, sides[0], allow_missing, notes)
    common = [stem for stem in sides[0] if truth is None or stem in sides[1]]
    if not common:
        raise SourceError(f"no file in {predicted} has a partner of the same stem in {truth}")
    if guide is not None:
        _no_loners(predicted, {stem: sides[0][stem] for stem in common}, guide, sides[-1], False, notes)
    return [Pair(stem, str(sides[0][stem]), None if truth is None else str(sides[1][stem]),
                 None if guide is None else str(sides[-1][stem])) for stem in common]


def _no_loners(place: str, files: dict[str, Path], other: str, partners: dict[str, Path], allowed: bool,
               notes: list[str]) -> None:
    """Tell of the files that have no partner in ``other``, by an error or a note."""
    alone = [path.name for stem, path in files.items() if stem not in partners]
    if alone:
        _missing(f"{len(alone)} of {len(files)} files in {place} have no partner of the same stem in "
                 f"{other}: {_listed(alone)}", allowed, notes)


def _stems(folder: Path, only: str | None) -> dict[str, Path]:
    """stem -> file, in natural order. Raises SourceError where there is none or a stem comes twice."""
    files = sorted((item for item in folder.iterdir() if item.is_file() and not item.name.startswith(".")
                    and (only is None or fnmatch.fnmatch(item.name, only))),
                   key=lambda item: natural(item.name))
    if not files:
        raise SourceError(f"{folder} has no file" + (f" that matches {only!r}" if only else ""))
    found: dict[str, Path] = {}
    for item in files:
        if item.stem in found:
            raise SourceError(f"{folder} has both {found[item.stem].name} and {item.name}, and files are "
                              "matched by stem: --only '*.EXT' takes one kind")
        found[item.stem] = item
    return found


def _missing(message: str, allowed: bool, notes: list[str]) -> None:
    if not allowed:
        raise SourceError(f"{message}; --allow-missing scores the others")
    notes.append(message)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


class MatteClip:
    """The frames of a file, pattern or address, one at a time. ``still``: it is a single picture.

    A picture is read past ``open_source``, which leaves an opaque alpha out: of a cut-out that fills its
    picture, that alpha is the matte.
    """

    def __init__(self, spec: str, options: Options) -> None:
        self.spec = spec
        self.still = False
        self._source: Any = None
        frame = still_frame(Path(spec), options)
        if frame is not None:
            self.still, self.frames = True, 1
            self._frames = iter([frame])
            return
        self._source = open_source(spec, options)
        self.frames = self._source.info.frames
        self._frames = iter(self._source)

    def remarks(self, *, matte: bool) -> list[str]:
        """What the user should know, once the film has been read; ``matte``: it was read for its matte."""
        if self._source is None:
            return []
        info, found = self._source.info, list(self._source.notes)
        if matte and info.format.startswith("yuv") and not info.has_alpha:
            found.append("it is YUV: unless its codec is lossless, the scores count the encoder's errors too")
        return [f"{self.spec}: {note}" for note in found]

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def close(self) -> None:
        """Close the file."""
        if self._source is not None:
            self._source.close()


def together(films: Sequence[MatteClip], allow_missing: bool, notes: list[str]) -> Iterator[tuple[Frame, ...]]:
    """The films' frames of the same number, as far as all go. One that ends before the others is a
    SourceError, or a note with ``allow_missing``."""
    for count, frames in enumerate(itertools.zip_longest(*films)):
        ended = [film.spec for film, frame in zip(films, frames, strict=True) if frame is None]
        if ended:
            longer = [film.spec for film, frame in zip(films, frames, strict=True) if frame is not None]
            _missing(f"{' and '.join(ended)} ends after {counted(count, 'frame')}, {' and '.join(longer)} goes on",
                     allow_missing, notes)
            return
        yield frames
