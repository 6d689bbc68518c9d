"""What a source leaves in memory when it is closed."""

from __future__ import annotations

import gc
import itertools
from pathlib import Path

import av
import pytest

from streamseg.source import open_source
from tests import clips


def held(size: tuple[int, int]) -> list[bool]:
    """Of each decoded picture there is, whether it is of this size."""
    return [(item.width, item.height) == size for item in gc.get_objects() if isinstance(item, av.VideoFrame)]


@pytest.mark.parametrize("read", [3, 12], ids=["in part", "to its end"])
def test_a_film_that_was_closed_leaves_no_pictures_in_memory(tmp_path: Path, read: int) -> None:
    """Whenever the garbage collector comes: a live run, a service and a folder of films open many."""
    path = clips.video(tmp_path / "in.mp4", frames=12)
    gc.collect()
    gc.disable()
    try:
        source = open_source(path)
        frames = list(itertools.islice(source, read))
        size = source.info.width, source.info.height
        assert any(held(size))
        source.close()
        del source, frames
        assert not any(held(size))
    finally:
        gc.enable()
