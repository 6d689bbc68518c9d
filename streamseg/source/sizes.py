"""The sizes that the pictures of a film have, found before it is read."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..errors import OptionError, SourceError
from ..options import InputOptions
from .byte_input import ReadableFile
from .clip_reader import DEFAULT_RATE
from .open import FAILURES, open_container, scheme
from .probe import beginning, frame_rate, has_times, select_stream


def largest_size(spec: str | ReadableFile, options: InputOptions) -> tuple[int, int] | None:
    """Width and height, as stored, of the key frame with the most pixels; None where none decodes. A size changes only
    at a key frame.

    Raises OptionError for an input that can be read only once, and what opening it raises.
    """
    path = _file(spec, "largest", "so the largest size is not known at its beginning")
    sizes = set()
    with open_container(path, replace(options, hwaccel=None)) as container:
        stream = select_stream(container, path, options.stream, options.max_pixels)
        context = stream.codec_context
        context.skip_frame = "NONKEY"
        for packet in container.demux(stream):
            try:
                sizes |= {(picture.width, picture.height) for picture in context.decode(packet)}
            except FAILURES:  # reading the film reports it
                continue
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


@dataclass(frozen=True, slots=True)
class Section:
    """Pictures of one size, one after another: ``first`` is the first one's time in seconds, ``begin`` the same as
    InputOptions.start counts; ``width`` and ``height`` as stored, and how many there are."""

    first: Fraction
    begin: Fraction
    width: int
    height: int
    frames: int


def sections_of(spec: Any, options: InputOptions) -> list[Section]:
    """The sections of the part of a film that ``options`` request; every picture is decoded (VP9 and AV1 change their
    size at any). Empty where none decodes. Raises OptionError for an input that can be read only once."""
    path = _file(spec, "split", "so where it changes its size is not known; a batch too reads its films once")
    lengths = [length for length in (options.duration, options.preview) if length is not None]
    start, limit = Fraction(str(options.start)), Fraction(str(min(lengths))) if lengths else None
    made: list[Section] = []
    with open_container(path, replace(options, hwaccel=None)) as container:
        stream = select_stream(container, path, options.stream, options.max_pixels)
        rate, timed = frame_rate(stream, container, options.rate) or DEFAULT_RATE, has_times(container)
        zero = beginning(stream, container) if timed else Fraction(0)
        index = 0
        for packet in container.demux(stream):
            try:
                pictures = stream.codec_context.decode(packet)
            except FAILURES:  # reading the film reports it
                continue
            for picture in pictures:
                time = picture.pts * picture.time_base if timed and picture.pts is not None else index / rate
                index += 1
                if time - zero < start:
                    continue
                if limit is not None and made and time - made[0].first >= limit:
                    return made
                last = made[-1] if made else None
                if last is not None and time < last.first:
                    raise SourceError(f"{path}: the pictures' times step back to {float(time):.3f} s, so on_resize "
                                      "'split' finds no parts in it: give fit or largest")
                if last is None or (last.width, last.height) != (picture.width, picture.height):
                    made.append(Section(time, time - zero, picture.width, picture.height, 1))
                else:
                    made[-1] = replace(last, frames=last.frames + 1)
    return made


def _file(spec: object, chosen: str, why: str) -> str:
    """``spec``, if it is a file. Raises OptionError for what can be read only once."""
    if not isinstance(spec, str) or spec == "-" or scheme(spec) or not os.path.isfile(spec.removeprefix("file://")):
        raise OptionError(f"on_resize is {chosen!r}, but this input is read only once, {why}: give a file, or leave "
                          "--on-resize out, which fits later pictures into the first one's size")
    return spec
