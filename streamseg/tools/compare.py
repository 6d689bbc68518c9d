"""A contact sheet: moments of a clip (rows) by methods (columns), the first column the original.

Each method runs over the whole clip as it would in ``run``, because some learn over time, but makes a
matte for every frame (``every``), so that its speed is its own; only the pictures of the rows are kept, at
the cell's size, so memory does not grow with the clip.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..api import run
from ..composite import Compositor
from ..core.frames import Frame, VideoInfo
from ..core.opencv import cv2
from ..core.pixel_formats import Colour
from ..errors import OptionError, SegmentError, StreamsegError
from ..options import Options
from ..segment import is_network, method_class
from ..sink import open_sink
from ..sink.commit import checked_target, temporary_file
from ..sink.containers import PICTURES, extension, numbered
from ..source import open_source, refuse_unused

Picture = npt.NDArray[Any]  # uint8 (h, w, 3) RGB

BAND = 44  # rows of the sheet's head line
FOOT = 24
GAP = 4
_INK, _FAINT, _PAPER, _GREY = (20, 20, 20), (110, 110, 110), (255, 255, 255), (232, 232, 232)
FOOTNOTE = "fps: frames a second of the method alone (its segment stage), as measured in this run"


@dataclass(frozen=True, slots=True)
class Column:
    """A method's part of the sheet. ``fps``: frames a second of its segment stage; ``error``: why it
    has none."""

    method: str
    fps: float | None = None
    frames: int = 0
    error: str | None = None
    cells: dict[int, Picture] = field(default_factory=dict, repr=False)


def compare(source: str | Path, sheet: str | Path, methods: Sequence[str], *, rows: int = 4,
            cell: int = 360, overwrite: bool = False, progress: Callable[[str], None] | None = None,
            **options: Any) -> list[Column]:
    """Write the contact sheet ``sheet`` (a picture by its extension) and give back its columns.

    rows      how many moments, spread evenly over the clip
    cell      a picture's width in pixels
    progress  called with each method's name before it runs
    options   fields of Options, save ``method`` and outputs

    A method that fails gets its error in its column; SegmentError is raised only if all fail. OptionError
    for values that no method can run with, and SinkError for a sheet that cannot be written, come before
    any method runs.
    """
    if str(source) == "-":
        raise OptionError("compare reads its input once for each method, which '-' does not allow: "
                          "give a file")
    if not methods or rows < 1 or cell < 80:
        raise OptionError("compare needs at least one method, one row, and cells at least 80 pixels wide")
    chosen = Options.of(options)
    for method in methods:
        method_class(method)
    _check_sheet(str(sheet), overwrite)
    original, times = _originals(source, chosen, rows, cell)
    columns: list[Column] = []
    failures: list[StreamsegError] = []
    for method in methods:
        if progress is not None:
            progress(method)
        try:
            columns.append(_column(source, method, set(original), cell, options))
        except StreamsegError as error:
            failures.append(error)
            columns.append(Column(method, error=str(error)))
    if len(failures) == len(methods):
        raise _none_left(columns, failures)
    picture = draw([Column("original", cells=original), *columns], times)
    write_picture(picture, sheet, overwrite=overwrite)
    return columns


def _check_sheet(sheet: str, overwrite: bool) -> None:
    """Refuse, before any method runs, a sheet that could not be written after it."""
    if extension(sheet) not in PICTURES or numbered(sheet):
        raise OptionError(f"the sheet is {sheet!r}; it must be one picture: {' '.join(PICTURES)}")
    temporary_file(checked_target(sheet, overwrite)).unlink()


def _none_left(columns: Sequence[Column], failures: Sequence[StreamsegError]) -> StreamsegError:
    """What to raise when every method failed: values that none of them takes are the caller's mistake."""
    kind = OptionError if all(isinstance(error, OptionError) for error in failures) else SegmentError
    return kind("no method gave a result: " + "; ".join(f"{column.method}: {column.error}"
                                                        for column in columns))


def check_values(info: VideoInfo, options: Options) -> None:
    """Raise OptionError, or SourceError for a background, for what every method's run would fail with."""
    Compositor(info, ["composite"], options).close()


def _originals(source: str | Path, options: Options, rows: int,
               cell: int) -> tuple[dict[int, Picture], dict[int, Fraction | None]]:
    """The frames of the rows by index, and their times. Counts by decoding: containers may be wrong."""
    opened = open_source(source, options)
    try:
        refuse_unused(source, opened, options)
        check_values(opened.info, options)
        count = sum(1 for _ in opened)
    finally:
        opened.close()
    wanted = {round((number + 0.5) * count / rows - 0.5) for number in range(rows)}
    kept: dict[int, Picture] = {}
    times: dict[int, Fraction | None] = {}
    opened = open_source(source, options)
    try:
        for frame in opened:
            if frame.index in wanted:
                kept[frame.index] = frame.rgb(_fitted(frame, cell))
                times[frame.index] = frame.time
    finally:
        opened.close()
    return kept, times


def _fitted(frame: Frame, cell: int) -> tuple[int, int]:
    return cell, max(1, round(frame.height * cell / frame.width))


class Gallery:
    """A Sink that keeps the pictures of some frames, ``cell`` pixels wide."""

    kind = "composite"

    def __init__(self, wanted: set[int], cell: int) -> None:
        self.notes: list[str] = []
        self.kept: dict[int, Picture] = {}
        self._wanted, self._cell = wanted, cell

    def write(self, frame: Frame) -> None:
        """Keep the frame's picture if it is one of the wanted."""
        if frame.index in self._wanted:
            self.kept[frame.index] = frame.rgb(_fitted(frame, self._cell))

    def close(self) -> None:
        """Nothing to finish."""

    def abort(self) -> None:
        """Nothing to undo."""


def _column(source: str | Path, method: str, wanted: set[int], cell: int, options: dict[str, Any]) -> Column:
    gallery = Gallery(wanted, cell)
    if not is_network(method):  # it has no GPU to run on, and is shown all the same
        options = {name: value for name, value in options.items() if name not in ("device", "runtime")}
    report = run(source, gallery, method=method, **{"every": "1", **options})
    seconds = report.stages["segment"].total_s
    return Column(method, report.frames / seconds if seconds else None, report.frames, cells=gallery.kept)


def draw(columns: Sequence[Column], times: dict[int, Fraction | None]) -> Picture:
    """The sheet as uint8 (h, w, 3) RGB: a row for each frame in ``times``, a column for each method."""
    first = columns[0].cells
    heights = {index: first[index].shape[0] for index in sorted(times)}
    width = next(iter(first.values())).shape[1]
    total = BAND + sum(heights.values()) + GAP * len(heights) + FOOT
    sheet = np.full((total, len(columns) * (width + GAP) + GAP, 3), _PAPER, np.uint8)
    for number, column in enumerate(columns):
        left = GAP + number * (width + GAP)
        _text(sheet, column.method, (left + 2, 18), 0.5, _INK, width)
        if column.fps is not None:
            _text(sheet, f"{rounded(column.fps)} fps", (left + 2, 36), 0.42, _FAINT, width)
        top = BAND
        for index, height in heights.items():
            cell = sheet[top:top + height, left:left + width]
            cell[:] = column.cells.get(index, np.full((1, 1, 3), _GREY, np.uint8))
            if column.error:
                _paragraph(cell, column.error)
            elif number == 0:
                _label(cell, _moment(index, times[index]))
            top += height + GAP
    _text(sheet, FOOTNOTE, (GAP + 2, total - 8), 0.4, _FAINT, sheet.shape[1])
    return sheet


def rounded(fps: float) -> str:
    """'8.3' or '412': three digits are what a measurement is worth."""
    return f"{fps:.1f}" if fps < 100 else f"{fps:.0f}"


def _moment(index: int, time: Fraction | None) -> str:
    return f"frame {index}" if time is None else f"{float(time):.2f} s"


def _text(area: Picture, text: str, at: tuple[int, int], scale: float, ink: tuple[int, int, int],
          room: int) -> None:
    """One line of text, made smaller if it is wider than ``room`` pixels. OpenCV's font has ASCII only."""
    text = text.encode("ascii", "replace").decode()
    wide = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]
    scale *= min(1.0, (room - 4) / max(wide, 1))
    cv2.putText(area, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)


def _label(cell: Picture, text: str) -> None:
    """Text on a white patch in the lower left corner."""
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
    cell[-high - 8:, :wide + 8] = _PAPER
    _text(cell, text, (4, cell.shape[0] - 5), 0.42, _INK, cell.shape[1])


def _paragraph(cell: Picture, text: str) -> None:
    lines = textwrap.wrap(text, max(10, cell.shape[1] // 8))
    for number, line in enumerate(lines[:max(1, (cell.shape[0] - 8) // 16)]):
        _text(cell, line, (6, 20 + 16 * number), 0.4, (150, 20, 20), cell.shape[1] - 8)


def write_picture(picture: Picture, target: str | Path, *, overwrite: bool = False) -> None:
    """Write uint8 (h, w, 3) RGB through the same door as every output: temporary file, check, rename."""
    height, width = picture.shape[:2]
    colour = Colour(0, 2)
    planes = tuple(np.ascontiguousarray(picture[:, :, channel]) for channel in (1, 2, 0))
    base = Fraction(1, 25)
    info = VideoInfo(width, height, "gbrp", base, frames=1, colour=colour, stills=True,
                     name=Path(target).name)
    sink = open_sink(str(target), info, options=Options(overwrite=overwrite))
    try:
        sink.write(Frame(planes, "gbrp", base, 0, 0, colour, 1, name=Path(target).name))
        sink.close()
    finally:
        sink.abort()
