"""Files as answers: whole, in part (Range, If-Range), or not at all where the client has them (If-None-Match)."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

MEDIA_TYPES = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska",
               ".webm": "video/webm", ".avi": "video/x-msvideo", ".ts": "video/mp2t", ".gif": "image/gif",
               ".apng": "image/apng", ".webp": "image/webp", ".zip": "application/zip",
               ".nut": "application/octet-stream"}
# Several ranges in one answer are nobody's wish here, and of them a bad one would spoil all: such a header is left
# out, as RFC 9110, 14.2 allows, and the whole file is sent.
_ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")


def download(request: Request, path: Path, name: str) -> Response:
    """The answer that sends ``path`` as ``name``."""
    stat = path.stat()
    etag = f'"{stat.st_ino:x}-{stat.st_size:x}-{stat.st_mtime_ns:x}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = [item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    if not _ONE_RANGE.fullmatch(request.headers.get("range", "").replace(" ", "")):
        request.scope["headers"] = [item for item in request.scope["headers"] if item[0].lower() != b"range"]
    media = MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream")
    return FileResponse(path, headers=headers, media_type=media, filename=name, stat_result=stat)
