"""The live tab's addresses.

    POST   /v1/live                    {sdp, type, width, height, rate, ...Settings} -> {id, sdp, type}
    PUT    /v1/live/{id}/background    a picture as the body
    PUT    /v1/live/{id}/virtual-camera   {device} -> {id, name}: shown as a camera of the server's machine too
    DELETE /v1/live/{id}/virtual-camera   no longer
    DELETE /v1/live/{id}               ends it
    GET    /v1/live                    -> {virtual_cameras: [{id, name, free}]}
    WS     /v1/live/socket             first text: {width, height, rate, ...Settings} -> {id};
                                       then JPEG pictures and settings in, JPEG pictures and figures out

Settings go through the data channel or the socket. The id is a secret that only its browser knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import StreamsegError
from ..refusals import Refusal, values_told
from .media import JpegDecoder, JpegEncoder, camera_info
from .sessions import PICTURE_BYTES, Camera, Cameras, CameraSettings, Settings

LOG = logging.getLogger(__name__)

FIRST_SECONDS = 10.0      # that a socket may take to say what it wants
JPEG_BYTES = 1_000_000    # of a picture that comes through a socket
SDP_CHARACTERS = 100_000
JSON_BYTES = 1 << 20  # of a body that FastAPI reads whole before anything is asked


class Offer(CameraSettings):
    """A browser's offer."""

    sdp: str
    type: Literal["offer"]


class VirtualChoice(BaseModel):
    """Which virtual camera: an ``id`` that GET /v1/live lists; by default the first that is free."""

    model_config = ConfigDict(extra="forbid")

    device: Annotated[str, Field(max_length=200)] | None = None


def live_router(cameras: Cameras) -> APIRouter:
    """The addresses above, which the application guards as its others. ``cameras`` are closed when it ends."""
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        await cameras.close()

    router = APIRouter(lifespan=lifespan, tags=["live"])

    @router.post("/v1/live", max_body_size=JSON_BYTES)
    async def offer(body: Offer) -> dict[str, str]:
        """Answer a browser's WebRTC offer: its camera in, the picture with a new background out."""
        from .peer import Peer  # aiortc is 20 MB in memory, and most servers have no camera

        if len(body.sdp) > SDP_CHARACTERS:
            raise Refusal("too_large", f"the offer has more than {SDP_CHARACTERS} characters")
        camera, sdp = await Peer(cameras).open(body, body.sdp)
        return {"id": camera.name, "sdp": sdp, "type": "answer"}

    @router.put("/v1/live/{name}/background", status_code=204)
    async def background(name: str, request: Request) -> None:
        """Put a picture behind the person."""
        camera = _found(cameras, name)
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > PICTURE_BYTES:
                raise Refusal("too_large", f"the background has more than {PICTURE_BYTES // 10 ** 6} MB")
        await camera.set_picture(bytes(data))

    @router.delete("/v1/live/{name}", status_code=204)
    async def end(name: str) -> None:
        """End a live camera; one that has ended already is no error, for its connection may have told first."""
        if name in cameras:
            cameras[name].end()

    @router.get("/v1/live")
    async def offered() -> dict[str, list[dict[str, Any]]]:
        """What a live camera can be given: the virtual cameras of the server's machine, often none."""
        return {"virtual_cameras": await cameras.virtual.listed()}

    @router.put("/v1/live/{name}/virtual-camera", max_body_size=JSON_BYTES)
    async def virtual_on(name: str, body: VirtualChoice) -> dict[str, str]:
        """Show the camera as a camera of the server's machine too. One live camera at a time may have each: 409."""
        device = await cameras.virtual.switch_on(_found(cameras, name), body.device)
        return {"id": device.name, "name": device.label}

    @router.delete("/v1/live/{name}/virtual-camera", status_code=204)
    async def virtual_off(name: str) -> None:
        """Let the virtual camera go; the camera stays live. No error where it has none."""
        if name in cameras:
            await cameras.virtual.switch_off(cameras[name])

    @router.websocket("/v1/live/socket")
    async def socket(socket: WebSocket) -> None:
        await SocketCamera(cameras, socket).serve()

    return router


def _found(cameras: Cameras, name: str) -> Camera:
    try:
        return cameras[name]
    except KeyError:
        raise Refusal("not_found", "no such camera is live") from None


class SocketCamera:
    """A camera through a WebSocket."""

    def __init__(self, cameras: Cameras, socket: WebSocket) -> None:
        self._cameras, self._socket = cameras, socket
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Work until one side ends it."""
        if not same_origin(self._socket):  # a WebSocket is not held back by the browser as other requests are
            await self._socket.close(1008)
            return
        await self._socket.accept()
        try:
            camera = await self._opened()
        except (StreamsegError, ValueError, TimeoutError) as error:
            await self._send({"end": str(error) or "The page said nothing."})
            await self._socket.close(1008)
            return
        except WebSocketDisconnect:
            return
        sending = asyncio.create_task(self._results(camera))
        try:
            await self._send({"id": camera.name})
            await self._pictures(camera)
        except (WebSocketDisconnect, RuntimeError):  # the page has gone, or _results has closed it
            pass
        finally:
            camera.end()
            await camera.ended.wait()
            await asyncio.gather(sending, return_exceptions=True)

    async def _opened(self) -> Camera:
        first = await asyncio.wait_for(self._socket.receive(), FIRST_SECONDS)
        if first["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(first["code"])
        if first.get("text") is None:
            raise Refusal("invalid_request", "the first message is no text: send width, height and rate as JSON")
        try:
            settings = CameraSettings.model_validate_json(first["text"])
        except ValidationError as error:
            raise Refusal("invalid_request", values_told(error.errors(), CameraSettings.model_fields)) from error
        info = camera_info(settings.width, settings.height, settings.rate, full_range=True)
        return await self._cameras.open(info, settings, JpegEncoder(info), self._tell)

    async def _pictures(self, camera: Camera) -> None:
        decoder = JpegDecoder()
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if data := message.get("bytes"):
                if len(data) > JPEG_BYTES:
                    raise WebSocketDisconnect(1009)
                try:
                    camera.source.put(await asyncio.to_thread(decoder.decode, data))
                except StreamsegError as error:
                    self._tell({"note": str(error)})
            elif text := message.get("text"):
                try:
                    camera.set(Settings.model_validate_json(text))
                except ValidationError as error:
                    self._tell({"note": "These settings cannot be used: "
                                f"{values_told(error.errors(), Settings.model_fields)}"})

    async def _results(self, camera: Camera) -> None:
        while (packet := await camera.packet()) is not None:
            async with self._sending:
                await self._socket.send_bytes(bytes(packet))

    def _tell(self, message: dict[str, Any]) -> None:
        self._cameras.keep(asyncio.ensure_future(self._told(message)))

    async def _told(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the page has gone
            await self._send(message)

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(json.dumps(message))


def same_origin(socket: WebSocket) -> bool:
    """Whether a socket was opened by a page of this server, or by a program that is no browser."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == socket.headers.get("host", "").lower()
