"""Who may call the server, and what answers carry: one ASGI layer round everything.

    Host      only names that the server goes by: a page elsewhere cannot reach a server on this machine by
              giving its own name the address 127.0.0.1
    Origin    only the server's own pages, and those that --allow-origin names: others could not read an answer,
              but they could send work
    token     as X-Api-Key, as Authorization: Bearer, or as the cookie that the page gets; compared in constant time
    answers   strict content policy, request id, no guessing of types
"""

from __future__ import annotations

import hmac
import logging
import re
import time
import uuid
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import refused
from .metrics import Metrics
from .options import ServeOptions
from .refusals import Refusal

OPEN = ("/healthz", "/readyz")  # what a load balancer asks, without a token
COOKIE = "streamseg_token"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
          "media-src 'self' blob:; connect-src 'self'; worker-src 'self' blob:; font-src 'self'; manifest-src 'self'; "
          "form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
HEADERS = {
    "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY"}
_log = logging.getLogger("streamseg.serve.access")
_NUMBER = re.compile(r"[0-9A-Za-z._-]{1,64}")


class Guard:
    """The layer. ``own``: the port that the server listens on, once it is known."""

    def __init__(self, app: ASGIApp, options: ServeOptions, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._token = options.secret_token()
        self._hosts, self._origins = options.hosts(), options.origins()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, hand it on, and note what became of it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        number = _request_id(headers)
        scope["streamseg.request_id"] = number
        answer = _Answer(send, number, self._allowed_origin(headers))
        began = time.perf_counter()
        try:
            early = self._early(scope, headers)
            if early is not None:
                await early(scope, receive, answer)
            else:
                await self._app(scope, receive, answer)
        finally:
            self._note(scope, answer.status, time.perf_counter() - began, number)

    def _early(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to a request that goes no further, None for one that does."""
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            if scope["type"] == "websocket":
                return Response(str(refusal), refusal.status)
            return refused(Request(scope), refusal)
        if scope["type"] == "http" and scope["method"] == "OPTIONS" and self._allowed_origin(headers):
            return Response(status_code=204, headers={
                "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH, PUT, DELETE",
                "Access-Control-Allow-Headers": headers.get("access-control-request-headers", "X-Api-Key"),
                "Access-Control-Max-Age": "600"})
        return _cookie_from_address(scope) if self._token is not None else None

    def _refusal(self, scope: Scope, headers: Headers) -> Refusal | None:
        host = headers.get("host", "").lower()
        name = re.sub(r":\d+\Z", "", host)
        if self._hosts and name not in self._hosts:
            return Refusal("forbidden", f"this server does not go by the name {name[:100]!r}: start it with "
                           "--allow-host NAME, or call it by localhost")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._origins and not _is_own(origin, host):
            return Refusal("forbidden", f"pages of {origin[:100]!r} may not call this server: start it with "
                           "--allow-origin ORIGIN")
        preflight = scope.get("method") == "OPTIONS" and origin is not None
        if self._token is None or scope["path"] in OPEN or preflight or self._knows_token(scope, headers):
            return None
        return Refusal("unauthorized", "the token is missing or wrong: send it as X-Api-Key, or open "
                       "/?token=TOKEN in a browser once")

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        assert self._token is not None
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        given = [headers.get("x-api-key", ""), bearer.strip() if kind.lower() == "bearer" else "",
                 _cookie(headers), _in_address(scope)]
        wanted = self._token.encode()
        return any(hmac.compare_digest(item.encode("utf-8", "replace"), wanted) for item in given)

    def _allowed_origin(self, headers: Headers) -> str | None:
        origin = headers.get("origin")
        return origin if origin is not None and origin.lower() in self._origins else None

    def _note(self, scope: Scope, status: int, seconds: float, number: str) -> None:
        route = _route(scope)
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        _log.info("%s %s %s %d %.0f ms", number, scope.get("method", "WEBSOCKET"), route, status, seconds * 1e3)


class _Answer:
    """``send`` that adds our headers and remembers the status; 499 until there is one."""

    def __init__(self, send: Send, number: str, origin: str | None) -> None:
        self._send, self._number, self._origin = send, number, origin
        self.status = 499

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-ID"] = self._number
            headers.setdefault("Cache-Control", "no-store")
            if self._origin is not None:
                headers["Access-Control-Allow-Origin"] = self._origin
                headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                headers["Access-Control-Expose-Headers"] = "*"
                headers.add_vary_header("Origin")
        await self._send(message)


def _request_id(headers: Headers) -> str:
    """The client's own number of the request, if it is a plain one, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _NUMBER.fullmatch(given) else uuid.uuid4().hex


def _route(scope: Scope) -> str:
    """The route's pattern, which are few, and not the path, of which there is no end."""
    route = scope.get("route")
    return str(route.path) if isinstance(route, Route) else "other"


def _is_own(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host}", f"https://{host}")


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _in_address(scope: Scope) -> str:
    """The token in the address of the page, as a person types it once: no other request may bring it so."""
    if scope.get("method") != "GET" or scope["path"] != "/":
        return ""
    query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
    return query.get("token", "")


def _cookie_from_address(scope: Scope) -> Response | None:
    """Of the page with a token in its address: the token as a cookie, and the page without it."""
    if not (token := _in_address(scope)):
        return None
    pairs = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != "token"]
    answer = Response(status_code=303, headers={"Location": "/" + ("?" + urlencode(pairs) if pairs else "")})
    answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86400)
    return answer
