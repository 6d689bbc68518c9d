"""A WHIP server on loopback: HTTP by hand, WebRTC by aiortc, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Self

import pytest

aiortc = pytest.importorskip("aiortc", reason="the WHIP server is aiortc's")
MediaStreamError = aiortc.mediastreams.MediaStreamError
PATIENCE = 60.0  # seconds for what another thread or process does


class WhipServer:
    """A context manager. ``url``: its endpoint.

    status    what it answers instead of 201 Created
    token     the bearer token that it asks for
    location  what it says of the session, for redirects too

    ``requests``: (method, path, headers) of each; ``video`` and ``audio``: the frames that came; ``states``: those of
    the connection; ``deleted`` is set when a session was.
    """

    def __init__(self, status: int = 201, token: str | None = None, location: str = "/whip/session?of=1") -> None:
        self._status, self._token, self._location = status, token, location
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.offers: list[str] = []
        self.video: list[Any] = []
        self.audio: list[Any] = []
        self.states: list[str] = []
        self.deleted = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._peers: list[Any] = []
        self._reading: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="whip-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._soon(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/whip/secret-room"
        return self

    def __exit__(self, *failure: object) -> None:
        self._soon(self.hang_up())
        self._server.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def hang_up(self) -> None:
        """Close all connections, as a server does that is stopped."""
        for peer in self._peers:
            await peer.close()
        await asyncio.gather(*self._reading)

    def end_calls(self) -> None:
        """``hang_up``, from the test's thread."""
        self._soon(self.hang_up())

    def _soon(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _serve(self, given: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        head = (await given.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.rstrip().split("\r\n")
        method, path, _ = first.split()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        body = (await given.readexactly(int(headers.get("content-length", 0)))).decode()
        self.requests.append((method, path, headers))
        status, answer = await self._answered(method, headers, body)
        out.write(f"HTTP/1.1 {status} Words\r\nLocation: {self._location}\r\nContent-Type: application/sdp\r\n"
                  f"Content-Length: {len(answer)}\r\nConnection: close\r\n\r\n{answer}".encode())
        await out.drain()
        out.close()

    async def _answered(self, method: str, headers: dict[str, str], body: str) -> tuple[int, str]:
        if self._token is not None and headers.get("authorization") != f"Bearer {self._token}":
            return 401, "no"
        if method == "DELETE":
            self.deleted.set()
            await self.hang_up()
            return 200, ""
        if self._status != 201:
            return self._status, "<html>"
        self.offers.append(body)
        return 201, await self._accepted(body)

    async def _accepted(self, offer: str) -> str:
        peer = aiortc.RTCPeerConnection()
        self._peers.append(peer)

        @peer.on("track")
        def take(track: Any) -> None:
            self._reading.add(asyncio.ensure_future(self._read(track)))

        @peer.on("connectionstatechange")
        def note() -> None:
            self.states.append(peer.connectionState)

        await peer.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    async def _read(self, track: Any) -> None:
        kept = getattr(self, track.kind)
        try:
            while True:
                kept.append(await track.recv())
        except MediaStreamError:
            return
