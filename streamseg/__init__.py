"""streamseg: a streaming video background remover.

    import streamseg
    report = streamseg.run("in.mp4", "out.mp4", background="blur")
    for frame, matte in streamseg.mattes("in.mp4"):
        ...
    cutout = streamseg.remove("photo.jpg")          # uint8 (h, w, 4) RGBA
    with streamseg.load_model() as model:           # loaded once, for many runs and threads
        ...

The names below are the public interface; they load on first use, so that ``import streamseg`` costs
next to nothing and imports neither OpenCV nor scikit-learn nor TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .api import mattes, run
    from .core.frames import Frame, Matte, VideoInfo
    from .errors import StreamsegError
    from .options import Options
    from .pictures import remove
    from .report import Report
    from .segment import Segmenter
    from .segment.model import Model, load_model
    from .sink import Sink, open_sink
    from .source import Source, open_source

_HOME = {
    "Frame": "core.frames", "Matte": "core.frames", "VideoInfo": "core.frames", "Options": "options",
    "Report": "report", "Segmenter": "segment", "Sink": "sink", "Source": "source",
    "Model": "segment.model", "StreamsegError": "errors", "load_model": "segment.model", "mattes": "api",
    "open_sink": "sink", "open_source": "source", "remove": "pictures", "run": "api",
}

__all__ = [
    "Frame", "Matte", "Model", "Options", "Report", "Segmenter", "Sink", "Source", "StreamsegError", "VideoInfo",
    "__version__", "load_model", "mattes", "open_sink", "open_source", "remove", "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
