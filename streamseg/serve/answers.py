"""Answers: JSON that any text survives, and a Refusal in the form of each dialect."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .refusals import Refusal

# remove.bg's names of what is refused, and the statuses that its clients expect: bad pictures are all 400
_REMOVEBG = {
    "invalid_request": (400, "invalid_request"), "invalid_option": (400, "invalid_parameter"),
    "unsupported": (400, "unsupported_parameter"), "failed_to_read": (400, "failed_to_read_image"),
    "failed_download": (400, "failed_image_download"), "urls_off": (400, "failed_image_download"),
    "invalid_region": (400, "invalid_roi"), "too_large": (400, "file_too_large"),
    "too_many_pixels": (400, "resolution_too_high"), "unsupported_type": (400, "invalid_file_type"),
    "unauthorized": (403, "auth_failed"), "busy": (429, "rate_limit_exceeded")}


class Json(Response):
    """A JSON object in ASCII: lone surrogates, which clients can send, have no UTF-8."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes of ``content``."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False, default=str).encode()


def refused(request: Request, refusal: Refusal) -> Response:
    """The answer to a request that is not done, as the dialect of its path has it."""
    path, number = request.url.path, str(request.scope.get("streamseg.request_id", ""))
    status, headers = refusal.status, dict(refusal.headers)
    content: dict[str, Any]
    if path.startswith("/v1.0/"):
        status, code = _REMOVEBG.get(refusal.code, (refusal.status, refusal.code))
        title, *detail = re.split("[:;] ", str(refusal), maxsplit=1)
        content = {"errors": [{"title": title, "code": code, "detail": detail[0] if detail else title}]}
    elif path.startswith("/api/"):
        content = {"detail": str(refusal)}
    else:
        content = {"error": {"code": refusal.code, "message": str(refusal), "request_id": number}}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Json(content, status, headers)


def wants_json(request: Request) -> bool:
    """Whether the Accept header asks for JSON first."""
    first = request.headers.get("accept", "").split(",")[0].split(";")[0].strip().lower()
    return first == "application/json"


def header_text(text: str) -> str:
    """A text for a header: one line of printable ASCII."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:1000]
