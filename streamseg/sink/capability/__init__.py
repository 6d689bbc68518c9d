"""What encoders and containers keep of a picture: its range, its matrix, its alpha.

``table.json`` was made by writing and reading back each combination (trial.py), because no library says it: an
encoder opens with a range that it does not write, a container takes a stream whose alpha it drops. A test makes each
cell again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...core.pixel_formats import FULL, LIMITED, Colour

TABLE = Path(__file__).with_name("table.json")
MATRICES = (1, 5, 6, 9)  # that are tried: BT.709, BT.601 (625 and 525 lines), BT.2020

ALPHAS = ("", "near", "exact")  # near: within a hundredth, beside an edge


@dataclass(frozen=True, slots=True)
class Cell:
    """What comes back of a picture.

    limited, full   the range that is read back of limited and of full samples: FULL, LIMITED, or 0 where the file
                    does not say; None: the encoder does not open with it
    matrices        those of MATRICES that are read back as written
    fixed           the matrix that is read back of all of them (2: none is told); None where ``matrices`` are kept
    alpha           one of ALPHAS: how alpha comes back where it was 0 or full; "" if it does not
    """

    limited: int | None
    full: int | None
    matrices: tuple[int, ...]
    fixed: int | None
    alpha: str

    @property
    def opens(self) -> bool:
        """Whether pictures are taken, and come back."""
        return self.limited is not None or self.full is not None

    def range_for(self, colour: Colour) -> int:
        """The range in which samples of ``colour`` are to be written, so that readers take them for what they are.
        What is not tagged counts as limited, in files as in pictures."""
        if colour.full_range:
            return FULL if self.full == FULL else LIMITED
        return colour.range if self.limited in (0, LIMITED) else FULL

    def keeps_matrix(self, matrix: int) -> bool:
        """Whether readers are told ``matrix``. Those that were not tried are told like the others."""
        return matrix in self.matrices if matrix in MATRICES else self.fixed is None


@cache
def _table() -> Mapping[tuple[str, str], dict[str, Cell]]:
    cells: dict[tuple[str, str], dict[str, Cell]] = {}
    for row in json.loads(TABLE.read_text(encoding="utf-8"))["rows"]:
        alike = dict.fromkeys(row["pixels"].split(), _cell(row))
        cells.setdefault((row["container"], row["codec"]), {}).update(alike)
    return cells


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(row["limited"], row["full"], tuple(row["matrices"]), row["fixed"], row["alpha"])


def capability(muxer: str, codec: str, pix_fmt: str) -> Cell | None:
    """What ``muxer`` (FFmpeg's name) keeps of pictures in ``pix_fmt`` that ``codec`` encodes; None: never tried."""
    return _table().get((muxer, codec), {}).get(pix_fmt)


def coming_back(muxer: str, codec: str, formats: Iterable[str], alpha: bool) -> list[str]:
    """Those of ``formats`` in which pictures come back, with their ``alpha``. All of them of an encoder that was never
    tried in that container."""
    cells = _table().get((muxer, codec))
    if cells is None:
        return list(formats)
    return [name for name in formats if name in cells and cells[name].opens and (cells[name].alpha or not alpha)]


def keeps_alpha(muxer: str, codec: str) -> bool:
    """Whether alpha that ``codec`` encodes comes back from ``muxer`` in some pixel format."""
    return any(cell.alpha for cell in _table().get((muxer, codec), {}).values())


def combinations() -> list[tuple[str, str, str]]:
    """(container, codec, pixel format) of each cell."""
    return [(*pair, name) for pair, cells in _table().items() for name in cells]
