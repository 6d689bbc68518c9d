"""Background removal over HTTP: `streamseg serve`. See README.md beside this module.

    app           the application: routes, errors, start and end
    engine        decoded pictures, the method, finished pictures; a bounded queue
    loaded        the methods in memory
    pictures      the core of the three dialects: v1, removebg, rembg
    parameters    requests' parameters, from the fields of Options; what none may say
    forms limits fetch security     what comes in, and what is refused
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .options import ServeOptions
    from .server import serve

PUBLIC = ("options", "answers", "refusals", "services", "forms", "security")
_HOME = {"ServeOptions": "options", "create_app": "app", "serve": "server"}

__all__ = ["PUBLIC", "ServeOptions", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    """The public names load on first use: the command line reads the options without FastAPI."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
