"""Why a request is not done: the HTTP status, a code for programs and a sentence for people.

Each dialect writes a Refusal in its own form. StreamsegErrors become Refusals here, in one place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import (
    DeviceError,
    MissingDependencyError,
    NoSubjectError,
    OptionError,
    SourceError,
    StreamsegError,
)

# The status of each code, so that one code never comes with two.
STATUS: dict[str, int] = {
    "invalid_request": 400, "invalid_option": 400, "unsupported": 400, "missing_source": 400,
    "multiple_sources": 400, "failed_to_read": 400, "failed_download": 400, "urls_off": 400,
    "invalid_region": 400, "invalid_size": 400, "unknown_foreground": 400, "unauthorized": 401,
    "forbidden": 403, "not_found": 404, "method_not_allowed": 405, "not_acceptable": 406,
    "conflict": 409, "gone": 410, "length_required": 411,
    "too_large": 413, "too_many_pixels": 413, "too_long": 413, "too_many_frames": 413,
    "unsupported_type": 415, "range": 416, "method_failed": 422, "internal_error": 500, "busy": 503,
    "timeout": 503, "storage_full": 507,
}

MOST_TOLD = 5  # values that an answer names at once
_PLACES = (("body",), ("path",), ("query",), ("header",))  # where FastAPI found a value


class Refusal(StreamsegError):
    """A request that is not done. ``code`` is one of STATUS; ``headers`` go with the answer."""

    def __init__(self, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.status, self.headers = code, STATUS[code], dict(headers or {})


class ClientGone(Exception):
    """The client closed the connection: nobody waits for an answer."""


def values_told(found: Sequence[Any], allowed: Iterable[str] = ()) -> str:
    """What pydantic ``found`` wrong in a request's values, in words: its own text names the server's files.

    allowed   the names that there are, for one that is unknown
    """
    return "; ".join(_value_told(item, allowed) for item in found[:MOST_TOLD])


def _value_told(item: Any, allowed: Iterable[str]) -> str:
    place = item["loc"][1:] if item["loc"][:1] in _PLACES else item["loc"]
    name = str(place[0]) if place else "the request"
    if item["type"] == "json_invalid":
        return f"the body is no JSON: {item.get('ctx', {}).get('error', item['msg'])}"
    if not place and item["type"].startswith(("model_", "dict_")):
        return "the body is no JSON object"
    if item["type"] == "missing":
        return f"{name} is missing"
    if item["type"] == "extra_forbidden":
        return f"{name} is no parameter here" + (f"; allowed are: {', '.join(allowed)}" if allowed else "")
    return f"{name} is {repr(item.get('input'))[:100]}: {item['msg'][0].lower()}{item['msg'][1:]}"


def refusal_of(error: StreamsegError, hidden: Mapping[Path, str] | None = None) -> Refusal:
    """The Refusal that says what ``error`` says.

    hidden   the server's own paths and what the client calls them: no answer names a path
    """
    if isinstance(error, Refusal):
        return error
    return Refusal(code_of(error), without_paths(str(error), hidden or {}))


def code_of(error: StreamsegError) -> str:
    """The code, one of STATUS, of an error of streamseg's."""
    if isinstance(error, OptionError):
        return "invalid_option"
    if isinstance(error, SourceError):
        return "failed_to_read"
    if isinstance(error, NoSubjectError):
        return "unknown_foreground"
    return "unsupported" if isinstance(error, (DeviceError, MissingDependencyError)) else "method_failed"


def without_paths(text: str, hidden: Mapping[Path, str]) -> str:
    """``text`` with the server's own paths replaced by what the client calls them, and those beside and below them by
    their last part."""
    for path, name in hidden.items():
        text = text.replace(str(path), name)
    for folder in {str(path.parent) for path in hidden}:
        text = re.sub(rf"{re.escape(folder + os.sep)}(?:[^\s/\\]+[/\\])*", "", text).replace(folder, "the upload")
    return text


def busy(message: str, seconds: float) -> Refusal:
    """503: try again in ``seconds``."""
    return Refusal("busy", message, headers={"Retry-After": str(max(1, min(3600, round(seconds))))})
