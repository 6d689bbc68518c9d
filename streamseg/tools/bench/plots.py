"""Pictures of a benchmark: frames a second, and where the time goes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import MissingDependencyError
from .machine import hardware_line
from .measure import LIMIT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("bench-fps.png", "bench-stages.png")


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, of no window system. Raises MissingDependencyError."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("plots need matplotlib, which is not installed: "
                                     "pip install 'streamseg[bench]'") from error
    return Figure((width, height), dpi=120, layout="constrained")


def png(drawn: Figure) -> bytes:
    """The figure as a PNG file's bytes."""
    held = io.BytesIO()
    drawn.savefig(held, format="png")
    return held.getvalue()


def draw(result: Mapping[str, Any]) -> dict[str, bytes]:
    """name -> PNG of a result of ``bench``."""
    rows = [row for row in result["rows"] if "error" not in row]
    return dict(zip(NAMES, (_speeds(rows, result), _stages(rows, result)), strict=True))


def _speeds(rows: list[dict[str, Any]], result: Mapping[str, Any]) -> bytes:
    drawn = figure(8, 1.2 + 0.4 * len(rows))
    axes = drawn.add_subplot()
    names = [row["name"] for row in rows]
    middle = [row["fps"]["median"] for row in rows]
    reach = [[row["fps"]["median"] - row["fps"]["min"] for row in rows],
             [row["fps"]["max"] - row["fps"]["median"] for row in rows]]
    bars = axes.barh(names, middle, xerr=reach, color=["0.7" if name == LIMIT else "C0" for name in names])
    axes.bar_label(bars, fmt=" %.1f", padding=4)
    axes.axvline(result["clip"]["rate"], color="C3", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("frames a second, end to end: median, min and max; red: the clip's own rate")
    axes.set_title(_title(result), fontsize=8)
    return png(drawn)


def _stages(rows: list[dict[str, Any]], result: Mapping[str, Any]) -> bytes:
    rows = [row for row in rows if "alone_ms" in row]
    drawn = figure(8, 1.8 + 0.4 * len(rows))
    axes = drawn.add_subplot()
    stages = list(dict.fromkeys(stage for row in rows for stage in row["alone_ms"]))
    left = [0.0] * len(rows)
    for stage in stages:
        wide = [row["alone_ms"].get(stage, 0.0) for row in rows]
        axes.barh([row["name"] for row in rows], wide, left=left, label=stage)
        left = [start + more for start, more in zip(left, wide, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds a frame, each stage alone (a run overlaps them)")
    if stages:
        drawn.legend(fontsize=7, ncols=7, loc="outside lower center")
    axes.set_title(_title(result), fontsize=8)
    return png(drawn)


def _title(result: Mapping[str, Any]) -> str:
    clip = result["clip"]
    return (f"{clip['width']} x {clip['height']}, {clip['rate']:g} fps, {result['repeats']} repeats\n"
            f"{hardware_line(result['hardware'])}")
