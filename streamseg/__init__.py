"""streamseg: a streaming video background remover.

    import streamseg
    report = streamseg.run("in.mp4", "out.mp4", background="blur")
    for frame, matte in streamseg.mattes("in.mp4"):
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
    from .report import Report
    from .segment import Segmenter
    from .sink import Sink, open_sink
    from .source import Source, open_source

_HOME = {
    "Frame": "core.frames", "Matte": "core.frames", "VideoInfo": "core.frames", "Options": "options",
    "Report": "report", "Segmenter": "segment", "Sink": "sink", "Source": "source",
    "StreamsegError": "errors", "mattes": "api", "open_sink": "sink", "open_source": "source",
    "run": "api",
}

__all__ = [
    "Frame", "Matte", "Options", "Report", "Segmenter", "Sink", "Source", "StreamsegError", "VideoInfo",
    "__version__", "mattes", "open_sink", "open_source", "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
