"""The studio: the page at ``/``. Plain HTML, CSS and ES modules in ``static/``, served as they are committed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.types import Scope

STATIC = Path(__file__).parent / "static"

# Nothing but the server's own files is loaded, run or asked for. blob: is what the browser itself holds: the
# user's files and what was made of them. Trusted types: no text ever becomes markup or code.
POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob:",
    "media-src 'self' blob:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'",
    "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"))
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked for again with its ETag: an updated package shows at once
}


def mount_studio(app: Starlette) -> None:
    """Serve the page at ``/`` of ``app`` and its files under ``/studio/``; every answer carries HEADERS.

    The page asks for nothing but the API of the same server, at addresses relative to its own.
    """
    from starlette.responses import FileResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    class Files(StaticFiles):
        """The files, with the page's headers."""

        async def get_response(self, path: str, scope: Scope) -> Response:
            answer = await super().get_response(path, scope)
            answer.headers.update(HEADERS)
            return answer

    async def page(request: Any) -> FileResponse:
        return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8", headers=HEADERS)

    app.router.routes += [Route("/", page, methods=["GET"], include_in_schema=False),
                          Mount("/studio", Files(directory=STATIC), name="studio")]
