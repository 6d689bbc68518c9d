"""Files of an evaluation: the numbers of each frame as CSV, and drawn over time."""

from __future__ import annotations

import csv
import fnmatch
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import MissingDependencyError, OptionError
from ...sink.commit import appearing, checked_target
from .scores import OF_THE_CLIP, Evaluation

PLOTS = (".png", ".svg", ".pdf")
_LABELS = {"iou": "IoU", "miou": "mIoU", "boundary_f": "boundary F", "boundary_iou": "boundary IoU",
           "mad": "MAD x 1e3", "mse": "MSE x 1e3", "sad": "SAD", "dtssd": "dtSSD x 1e2",
           "flicker": "flicker, ppm", "warping_error": "warping error"}


def check_outputs(table: str | None, plot: str | None, overwrite: bool, *, metrics: Sequence[str],
                  inputs: Sequence[str], only: str | None) -> None:
    """Raise before the work what would fail after it, or do harm: a target that may not be written or is
    read, metrics without a number a frame, no matplotlib."""
    given = [path for path in (table, plot) if path is not None]
    targets = [checked_target(path, overwrite) for path in given]
    if len(set(targets)) < len(targets):
        raise OptionError(f"{table} is to be both the CSV and the plot: give each its own name")
    for path, target in zip(given, targets, strict=True):
        for spec in inputs:
            if _is_read(target, spec, only):
                raise OptionError(f"{path} would replace what {spec} is read from: give it another name")
    if targets and metrics and set(metrics) <= set(OF_THE_CLIP):
        raise OptionError(f"{', '.join(OF_THE_CLIP)} has no number a frame, so there is nothing to write to "
                          f"{' or '.join(given)}: leave it out, or take more metrics")
    if plot is not None:
        if Path(plot).suffix.lower() not in PLOTS:
            raise OptionError(f"plot is {plot!r}; its extension must be one of {', '.join(PLOTS)}")
        _figure()


def _is_read(target: Path, spec: str, only: str | None) -> bool:
    """Whether a file is an input, or one of a folder's or a pattern's files."""
    read = Path(os.path.realpath(spec))
    if target.parent == read:
        return target.exists() and (only is None or fnmatch.fnmatch(target.name, only))
    numbered = re.sub(r"%0?\d*d", r"\\d+", re.escape(read.name))
    return target.parent == read.parent and re.fullmatch(numbered, target.name) is not None


def write_csv(result: Evaluation, target: str, overwrite: bool = False) -> None:
    """A line a frame: clip, frame, its time in seconds, then its metrics; empty where there is no number.

    Raises SinkError.
    """
    names = [name for name in result.metrics if any(name in clip.values for clip in result.clips)]

    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["clip", "frame", "time", *names])
            for clip in result.clips:
                columns = [clip.values.get(name) for name in names]
                for index, time in enumerate(clip.times):
                    numbers = [math.nan if column is None else column[index] for column in columns]
                    writer.writerow([clip.name, clip.frame_name(index), _cell(time), *map(_cell, numbers)])

    _put(write, target, overwrite)


def _cell(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def write_plot(result: Evaluation, target: str, overwrite: bool = False) -> None:
    """Draw each metric over time (pictures: over their number), a line a clip, one panel a metric.

    Raises SinkError, MissingDependencyError where matplotlib is not installed.
    """
    names = [name for name in result.metrics if any(name in clip.values for clip in result.clips)]
    figure = _figure()((9.0, 0.6 + 1.5 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    timed = all(np.isfinite(clip.times).all() for clip in result.clips)
    for panel, name in zip(panels, names, strict=True):
        for clip in result.clips:
            if name in clip.values:
                across = np.array(clip.times) if timed else np.arange(clip.frames)
                panel.plot(across, np.array(clip.values[name]), linewidth=1, label=Path(clip.name).name,
                           marker="." if clip.frames < 60 else None)
        panel.set_ylabel(_LABELS.get(name, name))
        panel.grid(alpha=0.3)
    panels[-1].set_xlabel("seconds" if timed else "frame")
    if len(result.clips) > 1:
        panels[0].legend(fontsize="small")
    _put(lambda path: figure.savefig(path, dpi=120), target, overwrite)


def _figure() -> Callable[..., Any]:
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no global state
    except ImportError as error:
        raise MissingDependencyError("a plot needs matplotlib, which is not installed: "
                                     "pip install 'streamseg[bench]'") from error
    return Figure


def _put(write: Callable[[Path], None], target: str, overwrite: bool) -> None:
    """Have ``write`` fill a temporary file, and give it its name."""
    with appearing(target, overwrite) as made:
        write(made)
