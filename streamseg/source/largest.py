"""The largest size that the pictures of a film have, found before it is read."""

from __future__ import annotations

import os
from dataclasses import replace

from ..errors import OptionError
from ..options import InputOptions
from .byte_input import ReadableFile
from .open import FAILURES, open_container, scheme
from .probe import select_stream


def largest_size(spec: str | ReadableFile, options: InputOptions) -> tuple[int, int] | None:
    """Width and height, as stored, of the key frame with the most pixels; None where none decodes. A size changes only
    at a key frame.

    Raises OptionError for an input that can be read only once, and what opening it raises.
    """
    if not isinstance(spec, str) or spec == "-" or scheme(spec) or not os.path.isfile(spec.removeprefix("file://")):
        raise OptionError("on_resize is 'largest', but this input is read only once, so the largest size is not known "
                          "at its beginning: give a file, or leave --on-resize out, which fits later pictures into "
                          "the first one's size")
    sizes = set()
    with open_container(spec, replace(options, hwaccel=None)) as container:
        stream = select_stream(container, spec, options.stream, options.max_pixels)
        context = stream.codec_context
        context.skip_frame = "NONKEY"
        for packet in container.demux(stream):
            try:
                sizes |= {(picture.width, picture.height) for picture in context.decode(packet)}
            except FAILURES:  # reading the film reports it
                continue
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
