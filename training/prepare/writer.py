"""Writes a picture set: shrinks, saves, counts what is bad, and writes the index last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.core import geometry
from streamseg.core.opencv import cv2
from streamseg.errors import OptionError, SinkError, SourceError
from training.data import IGNORE, INDEX, Row, write_index

# Long side of the pictures kept, in pixels: half as much again as the net's input has.
SIDE = 352
# Share of the files that may be bad before something must be wrong with the whole of them.
BAD_SHARE = 0.02
_QUALITY = 90


class SetWriter:
    """A picture set in the making.

    ``with writer.item(name):`` around all that is done for one picture names and counts it as bad if it
    cannot be read; ``finish`` writes the index, unless more than ``bad_share`` of all items were bad.
    ``side``: pictures are shrunk so that their long side is at most this many pixels.
    """

    def __init__(self, out: Path, side: int = SIDE, bad_share: float = BAD_SHARE) -> None:
        if (out / INDEX).exists():
            raise OptionError(f"{out} holds a picture set already: give another --out, or remove that one")
        self.out, self.side, self.bad_share = out, side, bad_share
        self.rows: list[Row] = []
        self.bad: list[str] = []
        self._stems: set[str] = set()
        out.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def item(self, name: str) -> Iterator[None]:
        """Turns a SourceError about ``name`` into a line on the terminal and a count."""
        try:
            yield
        except SourceError as error:
            self.bad.append(name)
            print(f"skipped {name}: {error}", flush=True)

    def add(
        self, name: str, source: str, split: str, picture: NDArray[np.uint8],
        matte: NDArray[np.uint8] | None = None, *, classes: bool = False, kind: str = "", truth_by: str = "",
    ) -> None:  # fmt: skip
        """Saves one picture, uint8 ``(h, w, 3)`` RGB, and its truth, uint8 ``(h, w)``: alpha with 128 for
        unknown, or numbers of ``classes``; None if nobody is in the picture.

        Raises SourceError if the two differ in size, SinkError if they cannot be written.
        """
        if matte is not None and matte.shape != picture.shape[:2]:
            raise SourceError(f"the truth is {matte.shape[1]} x {matte.shape[0]}, the picture "
                              f"{picture.shape[1]} x {picture.shape[0]}")
        size = self._size(picture.shape)
        stem = self._stem(f"{source}/{name}")
        image, truth = f"{stem}.webp", f"{stem}.png" if matte is not None else ""
        self._save(image, cv2.cvtColor(geometry.resize(picture, size), cv2.COLOR_RGB2BGR))
        if matte is not None:
            self._save(truth, shrink_classes(matte, size) if classes else shrink_matte(matte, size))
        self.rows.append(Row(image, truth, source, split, kind, truth_by if truth else "", size[1], size[0]))

    def finish(self) -> None:
        """Writes the index and says what came of it. Raises SourceError if too many items were bad."""
        total = len(self.rows) + len(self.bad)
        if not self.rows or len(self.bad) > self.bad_share * total:
            raise SourceError(f"{len(self.bad)} of {total} pictures were bad, {self.bad_share:.1%} may be: "
                              f"{self.out} gets no index; see the lines above, mend the source or raise "
                              "--bad-share")
        write_index(self.out, self.rows)
        for split in sorted({row.split for row in self.rows}):
            print(f"{split}: {sum(row.split == split for row in self.rows)} pictures")
        print(f"{len(self.bad)} bad pictures skipped; wrote {self.out / INDEX}", flush=True)

    def _stem(self, wanted: str) -> str:
        """``wanted``, or if a picture is called so already, that and the first number that makes another."""
        stem, count = wanted, 1
        while stem in self._stems:
            count += 1
            stem = f"{wanted}-{count}"
        if count > 1:  # a/x.png and a/x.jpg were two pictures
            print(f"{wanted} is there already: another picture of that name becomes {stem}", flush=True)
        self._stems.add(stem)
        return stem

    def _size(self, shape: tuple[int, ...]) -> geometry.Size:
        scale = min(1.0, self.side / max(shape[:2]))
        return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))

    def _save(self, name: str, array: NDArray[Any]) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        options = [cv2.IMWRITE_WEBP_QUALITY, _QUALITY] if path.suffix == ".webp" else []
        if not cv2.imwrite(str(path), array, options):
            raise SinkError(f"{path} cannot be written: is the disk full?")


def shrink_matte(matte: NDArray[Any], size: geometry.Size) -> NDArray[Any]:
    """A matte, uint8 ``(h, w)`` with 128 for unknown, at another size: alpha is averaged; a pixel with a part
    in something unknown is unknown; a known alpha that happens to be 128 becomes 127."""
    unknown = matte == IGNORE
    alpha = geometry.resize(np.where(unknown, np.uint8(0), matte), size)
    # by area: bilinear may give a pixel's neighbours next to no weight
    mixed = cv2.resize(unknown.astype(np.uint8) * np.uint8(255), size[::-1], interpolation=cv2.INTER_AREA) > 2
    return np.where(mixed, np.uint8(IGNORE), np.where(alpha == IGNORE, np.uint8(IGNORE - 1), alpha))


def shrink_classes(labels: NDArray[Any], size: geometry.Size) -> NDArray[Any]:
    """Class numbers, uint8 ``(h, w)``, at another size: the nearest pixel's, for numbers have no mean."""
    if labels.shape == size:
        return labels
    return cv2.resize(labels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
