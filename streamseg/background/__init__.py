"""The new background: blur, a colour, a picture, a video, or the original."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ..core.frames import Frame, VideoInfo
from ..errors import OptionError, SourceError
from ..options import BackgroundOptions
from ..refine import AlphaTiles, fill
from ..source import open_source
from . import colours, light
from .blur import Blur
from .media import Picture, VideoBackground, reading, seen_through
from .planes import blend, enlarge, from_rgb, sample_values, small_planes, to_rgb, whole_numbers

# Modules that other packages import, beside the names here
PUBLIC = ("colours",)

__all__ = [
    "PUBLIC",
    "Background",
    "Blur",
    "Picture",
    "Solid",
    "VideoBackground",
    "blend",
    "enlarge",
    "fill",
    "from_rgb",
    "open_background",
    "sample_values",
    "small_planes",
    "to_rgb",
    "whole_numbers",
]

_WORDS = ("blur", "none", "original")


class Background(Protocol):
    """A background. Called for the frames in their order. ``notes``: remarks for the user.

    ``sees_the_subject``: whether what it paints depends on where the subject is; else any cover will do.
    """

    sees_the_subject: bool

    @property
    def notes(self) -> Sequence[str]:
        """Remarks, complete after the last frame."""

    def paint(self, target: Frame, frame: Frame, cover: AlphaTiles) -> None:
        """Fill all planes of ``target``, which is like ``frame``, with the background at its time."""

    def close(self) -> None:
        """Free what is held."""


class Solid:
    """One colour, RGB 0..255."""

    notes: tuple[str, ...] = ()
    sees_the_subject = False

    def __init__(self, rgb: colours.RGB) -> None:
        self.rgb = rgb

    def paint(self, target: Frame, frame: Frame, cover: AlphaTiles) -> None:
        """Fill ``target`` with the colour in its own matrix, range and depth."""
        for plane, value in zip(target.planes, sample_values(self.rgb, target), strict=True):
            plane.fill(value)

    def close(self) -> None:
        """Nothing is held."""


def open_background(options: BackgroundOptions, info: VideoInfo) -> Background | None:
    """The background that ``options`` asks for; the green of green screens if it asks for none, None for the
    original.

    Raises OptionError for what is neither a word, a colour nor a file that exists, SourceError for a
    file that cannot be read.
    """
    wanted = "green" if options.background is None else options.background
    word = wanted.strip().lower()
    if word == "blur":
        return Blur(options.blur)
    if word == "original":
        return None
    colour = colours.parse(wanted)
    if colour is not None:
        return Solid(colour)
    check_background(wanted)
    source = open_source(wanted, reading(options))
    try:
        notes = light.remarks(wanted, source.info.colour, info.colour)
        if not source.info.stills:
            return VideoBackground(wanted, options, info, notes)
        picture, aspect = next(iter(source), None), source.info.sample_aspect
    finally:
        source.close()
    if picture is None:
        raise SourceError(f"background {wanted!r} holds no picture; give another file")
    return Picture(picture, options.fit, aspect / info.sample_aspect, [*notes, *seen_through(wanted, picture)])


def check_background(wanted: str) -> None:
    """Raise OptionError unless ``wanted`` is a word, a colour, a file that is there, a URL or a pattern."""
    if wanted.strip().lower() in _WORDS or colours.parse(wanted) is not None:
        return
    # os.path's questions answer no where Path's raise OSError: too long a name, a folder that is closed
    if "://" in wanted or "%" in wanted or os.path.isfile(wanted):
        return
    if os.path.isdir(wanted):
        raise OptionError(f"background {wanted!r} is a folder; give one picture or video of it")
    files: list[str] = []
    with suppress(OSError, ValueError):  # the names are for the hint only
        files = [str(item) for item in Path(wanted).parent.iterdir() if str(item) != str(Path(wanted))]
    near = difflib.get_close_matches(wanted.lower(), [*_WORDS, *colours.NAMES], 3)
    near += difflib.get_close_matches(str(Path(wanted)), files, 2, 0.8)
    meant = f"; did you mean {', '.join(near)}?" if near else ""
    raise OptionError(f"background {wanted!r} is neither blur, none, original, a colour name, #rgb, #rrggbb "
                      f"nor a file that exists{meant}")
