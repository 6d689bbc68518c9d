"""Sources: where frames come from, behind one protocol.

``open_source`` takes a path, an address, '-' for standard input, a binary file object, a folder, a pattern such as
frame_%05d.png, an iterable of arrays or Frames, or a Source of your own.

A video goes through these modules in this order:
    open, byte_input     its container
    probe                which stream; what the container says
    decode, timeline, leaps     pictures, and increasing times
    packet_sync          the packets of the other tracks
    clip_reader          these three, for the part that is requested
    deinterlace, normalise, orientation     the pictures upright, in a working format
    frames, video        Frames; the Source
``tiff`` decodes the TIFFs that FFmpeg does not, ``jpeg2000`` says in which colours, ``integrity`` says whether the
input is complete, ``series`` whether pictures in one file are a film. ``stills``, ``webp``, ``arrays`` and
``camera`` are the other sources, ``realtime`` plays one at its own speed.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import OptionError, SourceError
from ..options import InputOptions
from .api import BaseSource, Source, adapt_source
from .byte_input import ReadableFile, file_name
from .open import missing_in_input, mode_of, open_container, scheme

# What other packages import beside the names here
PUBLIC = ("arrays", "camera", "mattes", "normalise", "open", "orientation", "probe", "realtime", "sizes", "stills")
__all__ = ["PUBLIC", "BaseSource", "Source", "adapt_source", "open_source", "refuse_unused"]


def open_source(spec: str | os.PathLike[str] | bytes | ReadableFile | Iterable[Any] | Source,
                options: InputOptions | None = None) -> BaseSource:
    """Open an input up to its first picture, so that what is wrong with it shows at once.

    ``spec`` is one of
        a path, an address, '-' (standard input), a folder of pictures, or a printf pattern
        a binary file object; one that can seek is read from its beginning. It is never closed here
        bytes: a whole file in memory
        an iterable of arrays (uint8 or uint16; (h, w, 3) RGB, (h, w, 4) RGBA with straight alpha, (h, w) grey)
        or of Frames
        a Source, which is given back as it is, or adapted if it is no BaseSource

    Raises SourceError, DamagedInputError, SourceTimeoutError, DeviceError or OptionError.
    """
    options = options or InputOptions()
    if isinstance(spec, (str, os.PathLike)):
        return _from_text(os.fspath(spec), options)
    if isinstance(spec, Source):
        return adapt_source(spec)
    if isinstance(spec, (bytes, bytearray, memoryview)):
        spec = io.BytesIO(spec)
    if isinstance(spec, ReadableFile):
        return _video(spec, options)
    if isinstance(spec, Iterable):
        from .arrays import ArraySource

        return ArraySource(spec, options)
    raise SourceError(f"input is {type(spec).__name__}; it must be a path, an address, '-', a binary file object, an "
                      "iterable of arrays or Frames, or a Source")


def refuse_unused(spec: Any, source: Source, options: InputOptions) -> None:
    """Raise OptionError for an option that has no effect on ``source``, which was opened from ``spec``."""
    from .video import VideoSource
    from .webp import AnimatedWebp

    timed = source.has_times if isinstance(source, VideoSource) else isinstance(source, AnimatedWebp)
    if options.rate is not None and timed:
        raise OptionError(f"rate is {options.rate}, but {source.info.name} is a video, which has its own "
                          "times: leave --rate out; --cfr gives the output another rate")
    folder = isinstance(spec, (str, os.PathLike)) and os.path.isdir(str(spec).removeprefix("file://"))
    if options.only is not None and not folder:
        raise OptionError(f"only is {options.only!r}, but {source.info.name} is no folder to take files of: "
                          "leave --only out, or give the folder")


def _video(spec: str | ReadableFile, options: InputOptions) -> BaseSource:
    """What FFmpeg reads as one stream: anything but picture files, folders and patterns."""
    from .video import VideoSource

    if isinstance(spec, str):
        container = open_container(spec, options)
        return VideoSource(container, spec, spec, options, truncated=missing_in_input(spec))
    truncated = missing_in_input(spec)  # before the container is there, whose place in the file this changes
    return VideoSource(open_container(spec, options), spec, file_name(spec), options, truncated=truncated)


def _from_text(spec: str, options: InputOptions) -> BaseSource:
    from .probe import is_picture
    from .series import film_format
    from .stills import PictureSource, folder, pattern
    from .tiled import is_tiled
    from .video import VideoSource
    from .webp import AnimatedWebp

    if not isinstance(spec, str) or not spec:
        raise SourceError(f"input is {spec!r}; it must be a path, an address or '-'")
    if spec == "-" or scheme(spec) is not None:
        return _video(spec, options)
    path = Path(spec.removeprefix("file://"))
    if "%" in path.name and not os.path.exists(path):  # unlike Path's it raises nothing
        return PictureSource(pattern(path), spec, options, stills=False)
    if stat.S_ISDIR(mode_of(path)):
        return PictureSource(folder(path, options.only), spec, options, stills=True)
    if AnimatedWebp.recognises(path):
        return AnimatedWebp(path, options)
    container = open_container(spec, options)
    if is_picture(container) or is_tiled(container):
        film = film_format(path, container)
        container.close()
        if film is None:
            return PictureSource([path], spec, options, stills=True)
        container = open_container(spec, options, format=film)
    return VideoSource(container, spec, spec, options, truncated=missing_in_input(spec))
