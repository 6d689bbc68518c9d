"""Is what lies at an output's place the whole output? Judged by what is in it, not by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import StreamsegError
from ..options import InputOptions
from ..source import open_source

_PARTIAL = ("start", "duration", "preview", "cfr", "rate", "stream")  # options with which lengths need not agree


def whole(source: str, path: str, kind: str, options: Mapping[str, Any]) -> str | None:
    """None if ``path`` decodes to its end and has the size and the number of frames of ``source``, with
    transparency where ``kind`` asks for it; else what is lacking, in words."""
    try:
        frames, size, alpha = _decoded(path)
    except StreamsegError as error:
        return f"{path} is there, but {error}"
    if kind == "cutout" and not alpha:
        return f"{path} is there, but has no transparency"
    try:
        wanted, form, _ = _decoded(source)
    except StreamsegError:
        return f"{path} is there, but {source}, of which it should be made, cannot be read"
    if size != form:
        return f"{path} is there, but is {size[0]} x {size[1]}, and {source} is {form[0]} x {form[1]}"
    if frames != wanted and not any(options.get(name) for name in _PARTIAL):
        return f"{path} is there, but has {frames} of {wanted} frames"
    return None


def _decoded(path: str) -> tuple[int, tuple[int, int], bool]:
    """(frames, (width, height), transparent) of a file that is decoded to its end. Raises StreamsegError."""
    opened = open_source(path, InputOptions(audio=False))
    try:
        count = sum(1 for _ in opened)
        return count, (opened.info.width, opened.info.height), opened.info.has_alpha
    finally:
        opened.close()
