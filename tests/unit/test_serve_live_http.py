"""The live tab's addresses on a started server, asked by clients that are no browser."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from streamseg.core.opencv import cv2
from tests import clips
from tests.serve_tools import Client, running, until

SIZE = (320, 240)
BLUE = (0x20, 0x40, 0x80)
FIRST = {"width": SIZE[0], "height": SIZE[1], "rate": 30, "background": "#204080"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


def socket(client: Client, **more: Any) -> Any:
    return connect(client.base.replace("http", "ws") + "/v1/live/socket", **more)


def jpeg(index: int) -> bytes:
    return cv2.imencode(".jpg", clips.picture(index, SIZE)[..., ::-1])[1].tobytes()


class Camera(VideoStreamTrack):
    """The drawn clip."""

    def __init__(self) -> None:
        super().__init__()
        self.index = 0

    async def recv(self) -> av.VideoFrame:
        pts, base = await self.next_timestamp()
        picture = av.VideoFrame.from_ndarray(clips.picture(self.index, SIZE), "rgb24").reformat(format="yuv420p")
        picture.pts, picture.time_base = pts, Fraction(base)
        self.index += 1
        return picture


class Caller:
    """Offers a camera and takes what comes back."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.peer.createDataChannel("control")
        self.told: list[dict[str, Any]] = []
        self.channel.on("message", lambda text: self.told.append(json.loads(text)))
        self.back: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.peer.on("track", self.back.set_result)

    async def open(self) -> str:
        self.peer.addTrack(Camera())
        await self.peer.setLocalDescription(await self.peer.createOffer())
        answer = await asyncio.to_thread(self.client.post, "/v1/live", json={
            **FIRST, "sdp": self.peer.localDescription.sdp, "type": "offer"})
        assert answer.status_code == 200, answer.text
        given = answer.json()
        await self.peer.setRemoteDescription(RTCSessionDescription(given["sdp"], given["type"]))
        return str(given["id"])

    async def border(self) -> np.ndarray:
        """RGB at the left border of the next picture, read as the limited BT.601 that browsers take it for."""
        picture = await (await self.back).recv()
        assert (picture.width, picture.height) == SIZE
        picture.colorspace, picture.color_range = 6, 1
        return picture.to_ndarray(format="rgb24")[150, 4].astype(int)


def call(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 120))


def test_a_camera_comes_back_by_webrtc_with_the_background_that_is_chosen_meanwhile(client: Client) -> None:
    async def work() -> None:
        caller = Caller(client)
        name = await caller.open()
        while np.abs(await caller.border() - BLUE).max() > 5:
            pass  # until the answer is there
        until_open = asyncio.Event()
        if caller.channel.readyState != "open":
            caller.channel.on("open", until_open.set)
            await until_open.wait()
        caller.channel.send(json.dumps({"background": "/etc/passwd"}))
        caller.channel.send(json.dumps({"background": "#d02020", "keyframe": True}))
        while np.abs(await caller.border() - (0xd0, 0x20, 0x20)).max() > 5:
            pass
        assert any("background" in item.get("note", "") for item in caller.told)
        assert await asyncio.to_thread(lambda: client.delete(f"/v1/live/{name}").status_code) == 204
        with pytest.raises(Exception):  # noqa: B017, PT011 - MediaStreamError: the track has ended
            while True:
                await caller.border()
        await caller.peer.close()

    call(work())
    until(lambda: len(client.app.state.cameras) == 0)


def test_cameras_that_come_and_go_leave_no_thread(client: Client) -> None:
    async def once() -> None:
        caller = Caller(client)
        await caller.open()
        await caller.border()
        await caller.peer.close()
        await asyncio.to_thread(until, lambda: len(client.app.state.cameras) == 0)

    def of_streams() -> list[str]:
        return [item.name for item in threading.enumerate() if not item.name.startswith(("serve-live", "asyncio"))]

    call(once())
    before = len(of_streams())
    for _ in range(3):
        call(once())
    until(lambda: len(of_streams()) <= before)


def test_a_camera_comes_back_by_a_socket(client: Client) -> None:
    with socket(client) as opened:
        opened.send(json.dumps(FIRST))
        assert set(json.loads(opened.recv())) == {"id"}
        index, seen = 0, None
        while seen is None or np.abs(seen - BLUE).max() > 5:
            opened.send(jpeg(index))
            index += 1
            message = opened.recv()
            if isinstance(message, bytes):
                seen = cv2.imdecode(np.frombuffer(message, np.uint8), cv2.IMREAD_COLOR)[150, 4, ::-1].astype(int)
        opened.send(b"no picture")
        opened.send(json.dumps({"blur": 7}))
        notes: list[str] = []
        while len(notes) < 2:
            message = opened.recv()
            if isinstance(message, str) and (note := json.loads(message).get("note")):
                notes.append(note)
        assert "cannot be read" in notes[0]
        assert "settings" in notes[1]
    until(lambda: len(client.app.state.cameras) == 0)


def test_pages_of_others_open_no_socket(client: Client) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        socket(client, origin="http://evil.example")
    with socket(client, origin=client.base):
        pass


@pytest.mark.parametrize("first", ["no JSON", "{}", "[]", json.dumps({**FIRST, "background": "/etc/passwd"}),
                                   json.dumps({**FIRST, "width": 0})])
def test_a_socket_that_says_nothing_of_use_is_told_so(client: Client, first: str) -> None:
    with socket(client) as opened:
        opened.send(first)
        assert "end" in json.loads(opened.recv())
        with pytest.raises(ConnectionClosed):
            opened.recv()
    assert len(client.app.state.cameras) == 0


@pytest.mark.parametrize("sdp", ["", "v=0", "nonsense", "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"])
def test_an_offer_that_is_none_is_refused_before_anything_is_loaded(client: Client, sdp: str) -> None:
    answer = client.post("/v1/live", json={**FIRST, "sdp": sdp, "type": "offer"})
    assert answer.status_code == 400
    assert "the offer" in answer.json()["error"]["message"]
    assert len(client.app.state.cameras) == 0


def test_what_is_no_camera_is_not_found(client: Client) -> None:
    assert client.put("/v1/live/nobody/background", data=b"x").status_code == 404
    assert client.delete("/v1/live/nobody").status_code == 204
