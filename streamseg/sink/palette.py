"""RGBA to 256 colours for GIF, with a palette for each picture, by FFmpeg's palettegen and paletteuse."""

from __future__ import annotations

import av
from av.filter import Graph


class Palette:
    """Turns RGBA pictures into pal8 pictures. Alpha becomes 1 bit: below half is transparent.

    A palette of its own for each picture needs no second pass, so memory does not grow with length.
    """

    def __init__(self, like: av.VideoFrame, alpha: bool) -> None:
        graph = Graph()
        source = graph.add_buffer(width=like.width, height=like.height, format=like.format,
                                  time_base=like.time_base)
        split = graph.add("split")
        # with a reserved entry even an opaque picture would lose one of its 256 colours
        generate = graph.add("palettegen", f"stats_mode=single:reserve_transparent={int(alpha)}")
        use = graph.add("paletteuse", "new=1:dither=sierra2_4a:alpha_threshold=128")
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(generate, 0, 0)
        split.link_to(use, 1, 0)
        generate.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph = graph

    def put(self, picture: av.VideoFrame | None) -> list[av.VideoFrame]:
        """The pictures that are ready after this one; None ends the stream."""
        self._graph.vpush(picture)
        ready: list[av.VideoFrame] = []
        while True:
            try:
                ready.append(self._graph.vpull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return ready
