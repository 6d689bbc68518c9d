"""The live tab's addresses on a started server, asked by clients that are no browser."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from streamseg.core.opencv import cv2
from streamseg.serve.live.media import BrowserSource
from streamseg.serve.live.router import JSON_BYTES
from streamseg.serve.live.virtual import Device, VirtualCameras
from tests import clips
from tests.serve_tools import Client, running, until
from tests.unit.virtual_fakes import FakeCamera, fake_pyvirtualcam

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


class OnePicture(Camera):
    """The first picture of the drawn clip, and nothing more."""

    async def recv(self) -> av.VideoFrame:
        if self.index:
            await asyncio.Event().wait()
        return await super().recv()


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

    async def open(self, camera: type[Camera] = Camera) -> str:
        self.peer.addTrack(camera())
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


def test_a_picture_of_a_camera_waits_for_no_other(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[av.VideoFrame] = []
    monkeypatch.setattr(BrowserSource, "put", lambda source, picture: came.append(picture))

    async def work() -> None:
        caller = Caller(client)
        await caller.open(OnePicture)
        await asyncio.to_thread(until, lambda: came)
        await caller.peer.close()

    call(work())
    assert (came[0].width, came[0].height) == SIZE
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
        assert "Errno" not in notes[0]
        assert "settings" in notes[1]
        assert "blur is 7" in notes[1]
    until(lambda: len(client.app.state.cameras) == 0)


def test_pages_of_others_open_no_socket(client: Client) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        socket(client, origin="http://evil.example")
    with socket(client, origin=client.base):
        pass


@pytest.mark.parametrize("first", ["no JSON", "{}", "[]", json.dumps({**FIRST, "background": "/etc/passwd"}),
                                   json.dumps({**FIRST, "width": 0}), b"no text"])
def test_a_socket_that_says_nothing_of_use_is_told_so(client: Client, first: str | bytes) -> None:
    with socket(client) as opened:
        opened.send(first)
        told = json.loads(opened.recv())["end"]
        assert not re.search(r"pydantic|\n|type=", told), told   # for people, in one line
        with pytest.raises(ConnectionClosed):
            opened.recv()
    assert len(client.app.state.cameras) == 0


@pytest.mark.parametrize("sdp", ["", "v=0", "nonsense", "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"])
def test_an_offer_that_is_none_is_refused_before_anything_is_loaded(client: Client, sdp: str) -> None:
    answer = client.post("/v1/live", json={**FIRST, "sdp": sdp, "type": "offer"})
    assert answer.status_code == 400
    assert "the offer" in answer.json()["error"]["message"]
    assert len(client.app.state.cameras) == 0


@pytest.mark.parametrize(("method", "path", "body", "wanted"), [
    ("POST", "/v1/live", "{}", "sdp is missing"), ("POST", "/v1/live", "null", "no JSON object"),
    ("POST", "/v1/live", "[1]", "no JSON object"), ("POST", "/v1/live", "{bad", "no JSON: "),
    ("POST", "/v1/live", '{"width": -1}', "width is -1: input should be greater"),
    ("PUT", "/v1/live/nobody/virtual-camera", '{"foo": 1}', "foo is no parameter here"),
    ("GET", "/v1/jobs/nobody/previews/xyz", "", "number is 'xyz': input should be a valid integer")])
def test_wrong_values_are_told_in_words_and_no_file_of_the_server_is_named(client: Client, method: str, path: str,
                                                                          body: str, wanted: str) -> None:
    answer = client.request(method, path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert wanted in message
    assert not re.search(r"\.py|\n|'loc'", message), message


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/live"), ("PUT", "/v1/live/nobody/virtual-camera")])
@pytest.mark.parametrize("stated", [True, False])
def test_a_body_of_json_has_a_limit(client: Client, method: str, path: str, stated: bool) -> None:
    data = b'{"sdp": "' + b"x" * JSON_BYTES + b'"}'
    body: Any = data if stated else (data[at:at + 65536] for at in range(0, len(data), 65536))
    answer = client.request(method, path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_what_is_no_camera_is_not_found(client: Client) -> None:
    assert client.put("/v1/live/nobody/background", data=b"x").status_code == 404
    assert client.delete("/v1/live/nobody").status_code == 204


@pytest.fixture
def virtual(client: Client, monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    """The server's machine has one virtual camera."""
    there = [Device("video20", "in calls", "/dev/video20")]
    monkeypatch.setattr(client.app.state.cameras, "virtual", VirtualCameras(lambda: there))
    return fake_pyvirtualcam(monkeypatch)


def shows_blue(made: FakeCamera) -> bool:
    """Whether the virtual camera's newest picture has BLUE at its border, in limited BT.601."""
    if not made.sent:
        return False
    yuv = made.sent[-1].reshape(SIZE[1] * 3 // 2, SIZE[0])
    return bool(np.abs(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420)[150, 4].astype(int) - BLUE).max() <= 5)


def test_a_camera_by_webrtc_is_shown_as_a_virtual_camera_and_told_when_that_fails(
        client: Client, virtual: type[FakeCamera], monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        caller = Caller(client)
        address = f"/v1/live/{await caller.open()}/virtual-camera"
        assert client.get("/v1/live").json() == {
            "virtual_cameras": [{"id": "video20", "name": "in calls", "free": True}]}
        answer = await asyncio.to_thread(client.put, address, json={"device": "video20"})
        assert (answer.status_code, answer.json()) == (200, {"id": "video20", "name": "in calls"})
        while not shows_blue(virtual.made[0]):
            await caller.border()
        monkeypatch.setattr(virtual, "breaks", RuntimeError("unplugged"))
        while not any("virtual_camera" in item for item in caller.told):
            await caller.border()
        assert "unplugged" in caller.told[-1].get("virtual_camera", {"end": "unplugged"})["end"]
        await caller.border()   # the camera stays live
        await caller.peer.close()

    call(work())
    until(lambda: len(client.app.state.cameras) == 0)
    assert virtual.made[0].closed == 1


def test_a_camera_by_a_socket_is_shown_as_a_virtual_camera_and_a_second_is_refused(
        client: Client, virtual: type[FakeCamera]) -> None:
    with socket(client) as opened, socket(client) as other:
        addresses = []
        for one in (opened, other):
            one.send(json.dumps(FIRST))
            addresses.append(f"/v1/live/{json.loads(one.recv())['id']}/virtual-camera")
        assert client.put(addresses[0], json={}).status_code == 200
        refused = client.put(addresses[1], json={"device": "video20"})
        assert refused.status_code == 409
        assert "another camera that is live" in refused.json()["error"]["message"]
        index = 0
        while not shows_blue(virtual.made[0]):
            opened.send(jpeg(index))
            opened.recv()
            index += 1
        assert client.delete(addresses[0]).status_code == 204
        assert virtual.made[0].closed == 1
        opened.send(jpeg(index))
        while not isinstance(opened.recv(), bytes):
            pass    # the camera stays live
        assert client.put(addresses[1], json={"device": "video20"}).status_code == 200
    until(lambda: len(client.app.state.cameras) == 0)
    assert virtual.made[1].closed == 1


@pytest.mark.parametrize(("body", "status"), [
    ({"device": "/dev/video20"}, 404), ({"device": 20}, 400), ({"place": "/dev/video20"}, 400), ([], 400)])
def test_a_request_names_no_device_but_by_the_servers_list(client: Client, virtual: type[FakeCamera], body: Any,
                                                           status: int) -> None:
    with socket(client) as opened:
        opened.send(json.dumps(FIRST))
        address = f"/v1/live/{json.loads(opened.recv())['id']}/virtual-camera"
        assert client.put(address, json=body).status_code == status
    assert virtual.made == []


def test_what_is_no_camera_gets_no_virtual_camera(client: Client, virtual: type[FakeCamera]) -> None:
    assert client.put("/v1/live/nobody/virtual-camera", json={}).status_code == 404
    assert client.delete("/v1/live/nobody/virtual-camera").status_code == 204
    assert virtual.made == []


def test_with_a_token_nothing_is_told_or_switched_without_it(tmp_path: Path) -> None:
    with running(tmp_path, ready=False, token="abc") as guarded:
        for answer in (guarded.get("/v1/live"), guarded.put("/v1/live/any/virtual-camera", json={}),
                       guarded.delete("/v1/live/any/virtual-camera")):
            assert answer.status_code == 401
        assert guarded.get("/v1/live", headers={"X-Api-Key": "abc"}).status_code == 200
