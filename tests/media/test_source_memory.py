"""What a source leaves in memory when it is closed."""

from __future__ import annotations

import gc
import itertools
from pathlib import Path

import av
import pytest

from streamseg.source import open_source
from tests import clips


def held(size: tuple[int, int]) -> set[int]:
    """The decoded pictures of this size that there are, by their identity."""
    return {id(item) for item in gc.get_objects() if isinstance(item, av.VideoFrame)
            and (item.width, item.height) == size}


@pytest.mark.parametrize("read", [3, 12], ids=["in part", "to its end"])
def test_a_film_that_was_closed_leaves_no_pictures_in_memory(tmp_path: Path, read: int) -> None:
    """Whenever the garbage collector comes: a live run, a service and a folder of films open many."""
    path = clips.video(tmp_path / "in.mp4", frames=12)
    gc.collect()
    before = held(clips.SIZE)  # other tests' pictures
    gc.disable()
    try:
        source = open_source(path)
        frames = list(itertools.islice(source, read))
        size = source.info.width, source.info.height
        assert size == clips.SIZE
        assert held(size) - before
        source.close()
        del source, frames
        assert not held(size) - before
    finally:
        gc.enable()
