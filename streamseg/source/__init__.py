"""Sources: everything frames can come from, behind one protocol.

``open_source`` takes a path, an address, '-' for standard input, a folder, a pattern as frame_%05d.png,
an iterable of arrays or Frames, or anybody's own Source.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import OptionError, SourceError
from ..options import InputOptions
from .api import BaseSource, Source, adapt_source
from .open import mode_of, opened, scheme

# What other packages import beside the names here
PUBLIC = ("arrays", "camera", "formats", "open", "realtime", "stills", "webp")
__all__ = ["PUBLIC", "BaseSource", "Source", "adapt_source", "open_source", "refuse_idle"]


def open_source(spec: str | os.PathLike[str] | Iterable[Any] | Source,
                options: InputOptions | None = None) -> BaseSource:
    """Open an input, as far as its first picture, so that what is wrong with it shows at once.

    ``spec`` is a path, an address, '-', a folder of pictures, a printf pattern, an iterable of arrays
    (uint8 or uint16; (h, w, 3) RGB, (h, w, 4) RGBA with straight alpha, (h, w) grey) or of Frames, or a
    Source, which is given back as it is, or adapted if it is no BaseSource.

    Raises SourceError, DamagedInputError, SourceTimeoutError, DeviceError or OptionError.
    """
    chosen = options or InputOptions()
    if isinstance(spec, (str, os.PathLike)):
        return _from_text(os.fspath(spec), chosen)
    if isinstance(spec, Source):
        return adapt_source(spec)
    if isinstance(spec, Iterable):
        from .arrays import ArraySource

        return ArraySource(spec, chosen)
    raise SourceError(f"input is {type(spec).__name__}; it must be a path, an address, '-', an iterable of "
                      "arrays or Frames, or a Source")


def refuse_idle(spec: Any, source: Source, options: InputOptions) -> None:
    """Raise OptionError for an option that says nothing of ``source``, which was opened of ``spec``."""
    from .video import VideoSource
    from .webp import AnimatedWebp

    if options.rate is not None and isinstance(source, (VideoSource, AnimatedWebp)):
        raise OptionError(f"rate is {options.rate}, but {source.info.name} is a film, which has its own "
                          "times: leave --rate out; --cfr gives the output another rate")
    folder = isinstance(spec, (str, os.PathLike)) and os.path.isdir(str(spec).removeprefix("file://"))
    if options.only is not None and not folder:
        raise OptionError(f"only is {options.only!r}, but {source.info.name} is no folder to take files of: "
                          "leave --only out, or give the folder")


def _from_text(spec: str, options: InputOptions) -> BaseSource:
    from .probe import is_picture
    from .stills import PictureSource, folder, pattern
    from .video import VideoSource
    from .webp import AnimatedWebp

    if not isinstance(spec, str) or not spec:
        raise SourceError(f"input is {spec!r}; it must be a path, an address or '-'")
    if spec == "-" or scheme(spec) is not None:
        return VideoSource(opened(spec, options), spec, options)
    path = Path(spec.removeprefix("file://"))
    if "%" in path.name and not os.path.exists(path):  # unlike Path's it raises nothing
        return PictureSource(pattern(path), spec, options, stills=False)
    if stat.S_ISDIR(mode_of(path)):
        return PictureSource(folder(path, options.only), spec, options, stills=True)
    if AnimatedWebp.recognises(path):
        return AnimatedWebp(path, options)
    container = opened(spec, options)
    if is_picture(container):
        container.close()
        return PictureSource([path], spec, options, stills=True)
    return VideoSource(container, spec, options)
