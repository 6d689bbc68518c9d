"""Reads what a request brings: fields and files of a multipart or form body, of JSON, or of the query.

Files are written as they come, under names of our own, into a folder that the caller gives: what a client
calls a file is kept as a text for messages and never becomes a path.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from .refusals import ClientGone, Refusal

MAX_FIELDS = 200
MAX_FIELD = 1 << 20
PIECE = 1 << 18  # bytes that are parsed and written at once, outside the event loop
PATIENCE = 30.0  # seconds that the next bytes of a body may be awaited
FORM, MULTIPART, JSON = "application/x-www-form-urlencoded", "multipart/form-data", "application/json"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request: where it was written, the name that the client gave it, and its bytes."""

    path: Path
    name: str
    size: int


@dataclass(slots=True)
class Submitted:
    """``values``: name -> text (forms, query) or any JSON value; a name given twice has a list. ``files``:
    name -> Upload."""

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)

    def add(self, name: str, value: str) -> None:
        """Note a value; the second of a name makes a list of both."""
        if name in self.values:
            before = self.values[name]
            self.values[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            self.values[name] = value

    def add_file(self, name: str, upload: Upload) -> None:
        """Note a file. Raises Refusal for the second of a name."""
        if name in self.files:
            raise Refusal("invalid_request", f"the file {name} comes twice: send one")
        self.files[name] = upload


async def body(request: Request, limit: int, patience: float = PATIENCE) -> AsyncIterator[bytes]:
    """The request's body, piece by piece.

    Raises Refusal (too_large) as soon as it is known to have more than ``limit`` bytes, from its header where
    that says so, Refusal (timeout) where nothing comes for ``patience`` seconds, and ClientGone.
    """
    too_large = Refusal("too_large", f"the request's body has more than {limit / 1e6:g} MB, the limit here")
    if (stated := content_length(request)) is not None and stated > limit:
        raise too_large
    received = 0
    while True:
        try:
            message = await asyncio.wait_for(request.receive(), patience)
        except TimeoutError:
            raise Refusal("timeout", f"nothing of the request's body came for {patience:g} s",
                          headers={"Connection": "close"}) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        received += len(piece)
        if received > limit:
            raise too_large
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


def content_length(request: Request) -> int | None:
    """The body's length as the request states it; None where it does not."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() else None


async def submitted(request: Request, folder: Path, limit: int, *, query: bool = False) -> Submitted:
    """What a request brings. Files go into ``folder``; ``query``: fields may be in the address too.

    Raises Refusal for a body of more than ``limit`` bytes, of a type that is none of the three, or that does
    not parse.
    """
    found = Submitted()
    if query:
        for name, value in request.query_params.multi_items():
            found.add(name, value)
    kind = request.headers.get("content-type", "")
    media, parameters = parse_options_header(kind)
    media_type = media.decode("latin-1").lower()
    if media_type == JSON:
        await _json(request, found, limit)
    elif media_type in (FORM, MULTIPART):
        await _form(request, found, folder, limit, media_type, parameters.get(b"boundary"))
    elif not media_type:
        async for _ in body(request, 0):
            pass  # more than nothing raises
    else:
        raise Refusal("unsupported_type", f"the body is {media_type!r}; allowed are {MULTIPART}, {FORM} and {JSON}")
    return found


async def _json(request: Request, found: Submitted, limit: int) -> None:
    data = b"".join([piece async for piece in body(request, limit)])
    try:
        given = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal("invalid_request", f"the body is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise Refusal("invalid_request", f"the body is a JSON {type(given).__name__}; it must be an object")
    found.values.update(given)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


async def _form(request: Request, found: Submitted, folder: Path, limit: int, kind: str,
                boundary: bytes | None) -> None:
    if kind == MULTIPART and not boundary:
        raise Refusal("invalid_request", "the multipart body names no boundary in its Content-Type")
    open_files: list[Any] = []
    ended: list[bool] = []
    names: list[tuple[str, str]] = []

    def count() -> None:
        if len(names) + len(open_files) > MAX_FIELDS:
            raise Refusal("invalid_request", f"the form has more than {MAX_FIELDS} fields")

    def on_field(item: Any) -> None:
        pair = _text(item.field_name), _text(item.value)
        names.append((unquote_plus(pair[0]), unquote_plus(pair[1])) if kind == FORM else pair)
        count()

    def on_file(item: Any) -> None:
        open_files.append(item)
        count()

    settings = {"UPLOAD_DIR": str(folder), "UPLOAD_DELETE_TMP": False, "MAX_MEMORY_FILE_SIZE": 0,
                "MAX_FIELDS": MAX_FIELDS, "MAX_FIELD_SIZE": max(MAX_FIELD, limit), "MAX_BODY_SIZE": limit}
    parser = FormParser(kind, on_field, on_file, on_end=lambda: ended.append(True), boundary=boundary,
                        config=settings)
    try:
        await _parsed(request, parser, limit)
        if kind == MULTIPART and not ended:
            raise Refusal("invalid_request", "the multipart body is cut off: its last boundary is missing")
        for name, value in names:
            found.add(name, value)
        for item in open_files:
            _keep(item, found)
    except FormParserError as error:
        raise Refusal("invalid_request", f"the form cannot be read: {error}") from error
    finally:
        parser.close()
        for item in open_files:
            item.close()


async def _parsed(request: Request, parser: Any, limit: int) -> None:
    """Feed the body to ``parser`` in pieces of some size: writing may wait for the disk."""
    waiting = bytearray()
    async for piece in body(request, limit):
        waiting += piece
        if len(waiting) >= PIECE:
            await asyncio.to_thread(parser.write, bytes(waiting))
            waiting.clear()
    parser.write(bytes(waiting))
    parser.finalize()


def _keep(item: Any, found: Submitted) -> None:
    """Note a file. A browser sends a file field that was left empty as a file of no name and no bytes."""
    client_name = _text(item.file_name)
    if not item.size and not client_name:
        return
    if item.in_memory:  # only an empty one is
        item.flush_to_disk()
    found.add_file(_text(item.field_name), Upload(Path(_text(item.actual_file_name)), client_name[:200], item.size))


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
