"""How a picture is sent, and what an error is."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def upload(path: Path, name: str = "file") -> dict[str, Any]:
    return {name: (path.name, path.read_bytes())}


def error_of(answer: Any) -> dict[str, Any]:
    """remove.bg's error."""
    (found,) = answer.json()["errors"]
    assert set(found) == {"title", "code", "detail"}
    return dict(found)
