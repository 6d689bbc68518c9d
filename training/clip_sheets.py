"""``python -m training.clip_sheets CLIPS FOLDER [--frames 24] [--model PATH] [--only NAME ...]``

Films as contact sheets to look at: ``FOLDER/NAME.png`` for each film of the folder ``CLIPS``, with frames at equal
distances, each as picture, the matte that `streamseg run` finds (steadied over time), and, where ``NAME.matte.mkv``
lies beside the film, the matte there. Every frame is computed; only those shown are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import streamseg
from streamseg.errors import OptionError
from training import sheets
from training.commands import at_least, command
from training.predict import Picture

FILMS = (".mp4", ".mkv", ".mov", ".webm")
MATTE = ".matte.mkv"
COLUMNS = 3
SEEN = 0.5  # alpha from which on a pixel is counted as a person's


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    own = argparse.ArgumentParser(prog="python -m training.clip_sheets", description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("clips", type=Path, metavar="CLIPS", help="folder with films")
    own.add_argument("folder", type=Path, metavar="FOLDER", help="where the sheets go")
    own.add_argument("--frames", type=at_least(1), default=24, help="frames on a sheet")
    own.add_argument("--model", help="as for `streamseg run`")
    own.add_argument("--only", nargs="+", metavar="NAME", help="films by name, without the ending")
    return own


def films(folder: Path, only: list[str] | None = None) -> list[Path]:
    """The films of a folder by name, mattes left out. Raises OptionError where one is missing."""
    found = {path.stem: path for path in sorted(folder.glob("*"))
             if path.suffix in FILMS and not path.name.endswith(MATTE)}
    missing = [name for name in only or [] if name not in found]
    if missing or not found:
        raise OptionError(f"CLIPS is {folder}, which holds no film {' or '.join(missing) or 'at all'}; films end in "
                          f"{', '.join(FILMS)}")
    return [path for name, path in found.items() if not only or name in only]


def chosen(count: int, wanted: int) -> list[int]:
    """``wanted`` frames of ``count`` at equal distances, the first and the last among them."""
    return sorted(set(np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist()))


def frames_of(path: Path) -> int:
    """How many frames a film has, counted."""
    return sum(1 for _ in streamseg.open_source(str(path)))


def sheet(path: Path, wanted: int, model: str | None) -> Picture:
    """One film's sheet."""
    numbers = set(chosen(frames_of(path), wanted))
    other = path.with_name(path.stem + MATTE)
    beside: Iterator[streamseg.Frame] | None = iter(streamseg.open_source(str(other))) if other.is_file() else None
    groups = []
    for number, (frame, matte) in enumerate(streamseg.mattes(str(path), model=model)):
        theirs = next(beside, None) if beside is not None else None
        if number not in numbers:
            continue
        picture = frame.rgb()
        cells = [picture, sheets.matte_cell(matte.alpha, picture.shape)]
        cells += [] if theirs is None else [theirs.rgb()]
        groups.append((f"{number}: {100 * float((matte.alpha >= SEEN).mean()):.2f} %", cells))
    return sheets.layout(groups, COLUMNS)


@command
def main(arguments: list[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    args.folder.mkdir(parents=True, exist_ok=True)
    for path in films(args.clips, args.only):
        sheets.write(args.folder / f"{path.stem}.png", sheet(path, args.frames, args.model))
        print(f"wrote {args.folder / path.stem}.png", flush=True)


if __name__ == "__main__":
    main()
