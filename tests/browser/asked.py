"""The server as the page finds it, but for the method: one that finds the drawn person of ``clips`` quickly and
always in the same way."""

from __future__ import annotations

from typing import Any

METHOD: dict[str, Any] = {"method": "threshold", "set": {"polarity": "dark"}}


class WithMethod:
    """The application, asked as if the page had chosen METHOD: the page leaves the method to the server, and these
    tests want one that finds the drawn person."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        kind = dict(scope.get("headers", ())).get(b"content-type", b"")
        if not kind.startswith(b"multipart/form-data"):
            await self._app(scope, receive, send)
            return
        boundary = kind.partition(b"boundary=")[2]
        extra = b"".join(b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (boundary, name, value)
                         for name, value in ((b"method", b"threshold"), (b"set", b"polarity=dark")))
        headers = [(name, b"%d" % (int(value) + len(extra)) if name == b"content-length" else value)
                   for name, value in scope["headers"]]
        first = [extra]

        async def more() -> Any:
            message = await receive()
            if first and message["type"] == "http.request":
                message = {**message, "body": first.pop() + message.get("body", b"")}
            return message

        await self._app({**scope, "headers": headers}, more, send)
