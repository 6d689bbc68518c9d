"""What a stroke is, and the JSON that states several:

    [{"kind": "keep", "time": 1.5, "radius": 0.02, "points": [[0.40, 0.55], [0.46, 0.61]], "edges": true}]

kind     keep ("this too") or drop ("not that")
points   where the pointer went: shares of the picture's width and height, from the upper left corner, 0 to 1
radius   of the brush, as a share of the picture's width
time     seconds from the film's first frame: the frame that is shown then; 0 if left out
edges    take only the colours that the pointer went over; false if left out
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..validation import format_value

KINDS = ("keep", "drop")
MOST, MOST_POINTS = 50, 5000  # strokes, and points of one
BYTES = 4_000_000             # of a file of strokes
_FIELDS = ("kind", "points", "radius", "time", "edges")
_EXAMPLE = '[{"kind": "keep", "time": 1.5, "radius": 0.02, "points": [[0.40, 0.55], [0.46, 0.61]]}]'


@dataclass(frozen=True, slots=True)
class Stroke:
    """One stroke. ``points`` are x, y; all lengths are shares, as above."""

    kind: str
    points: tuple[tuple[float, float], ...]
    radius: float
    time: float = 0.0
    edges: bool = False


def strokes_of(text: str) -> tuple[Stroke, ...]:
    """The strokes of a JSON text, which begins with [, or of the file whose path it is. Raises OptionError."""
    name = "strokes" if is_json(text) else f"strokes file {text!r}"
    given = text if is_json(text) else _read(text)
    try:
        found = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{name} is no JSON ({error}); it must be like {_EXAMPLE}") from error
    if not isinstance(found, list) or not 0 < len(found) <= MOST:
        raise OptionError(f"{name} must be a list of 1 to {MOST} strokes, like {_EXAMPLE}")
    return tuple(_stroke(item, f"{name}, number {number}") for number, item in enumerate(found, 1))


def is_json(text: str) -> bool:
    """Whether a text is JSON itself, and no path."""
    return text.lstrip().startswith("[")


def _read(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise OptionError(f"strokes is {path!r}, which cannot be read ({why}); it must be a JSON file, or JSON like "
                          f"{_EXAMPLE}") from error


def _stroke(values: Any, name: str) -> Stroke:
    if not isinstance(values, Mapping) or not {"kind", "points", "radius"} <= set(values) <= set(_FIELDS):
        raise OptionError(f"{name}, is {format_value(values)[:100]}; it must have kind, points and radius, may have "
                          f"time and edges, and nothing else: {_EXAMPLE}")
    if values["kind"] not in KINDS:
        raise OptionError(f"{name}: kind is {format_value(values['kind'])[:60]}; allowed are {' and '.join(KINDS)}")
    points = values["points"]
    if not isinstance(points, list) or not 0 < len(points) <= MOST_POINTS or not all(map(_is_point, points)):
        raise OptionError(f"{name}: points must be 1 to {MOST_POINTS} pairs [x, y] of 0 to 1")
    radius, time, edges = values["radius"], values.get("time", 0), values.get("edges", False)
    if not _is_number(radius) or not 0 < radius <= 0.5:
        raise OptionError(f"{name}: radius is {format_value(radius)[:60]}; it must be above 0, and at most 0.5 (of the "
                          "picture's width)")
    if not _is_number(time) or time < 0:
        raise OptionError(f"{name}: time is {format_value(time)[:60]}; it must be seconds, 0 or more")
    if not isinstance(edges, bool):
        raise OptionError(f"{name}: edges is {format_value(edges)[:60]}; it must be true or false")
    return Stroke(values["kind"], tuple((float(x), float(y)) for x, y in points), float(radius), float(time), edges)


def _is_point(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(_is_number(side) and 0 <= side <= 1 for side in point)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
