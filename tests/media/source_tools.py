"""What the source tests share."""

from __future__ import annotations

from typing import Any

from streamseg.core.frames import Frame
from streamseg.options import Options
from streamseg.source import Source, open_source
from tests import clips


def read(spec: Any, **options: Any) -> tuple[Source, list[Frame]]:
    """A closed source with all its frames; frames outlive their source."""
    source = open_source(spec, Options(**options))
    try:
        return source, list(source)
    finally:
        source.close()
        source.close()


def indices(frames: list[Frame]) -> list[int]:
    return [clips.read_index(frame.rgb()) for frame in frames]
