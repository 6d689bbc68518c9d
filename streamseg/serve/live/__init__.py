"""The browser's camera through the live engine and back: WebRTC by aiortc, or JPEG through a WebSocket.

    router     addresses: offer and answer, settings, the background's picture, the WebSocket
    sessions   one camera each: the engine in a thread, its settings, its end
    peer       WebRTC: tracks and the data channel
    low_delay  two parts of aiortc that hold pictures back, replaced
    virtual    the virtual cameras of the server's machine, which may show what is live too
    media      from received pictures to Frames, from finished Frames to VP8 and JPEG

Importing this loads nothing; ``live_router`` and ``Cameras`` load FastAPI and aiortc when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .router import live_router
    from .sessions import Cameras

__all__ = ["Cameras", "live_router"]
_HOME = {"Cameras": "sessions", "live_router": "router"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
