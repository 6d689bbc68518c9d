"""A live camera of the studio as a camera of the server's machine too, against a fake of pyvirtualcam."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from streamseg.options import MethodOptions
from streamseg.serve.live import Cameras
from streamseg.serve.live.media import JpegDecoder, JpegEncoder, camera_info
from streamseg.serve.live.sessions import Camera, Settings
from streamseg.serve.live.virtual import Device, VirtualCameras, devices
from streamseg.serve.refusals import Refusal
from streamseg.sink.live.virtual_camera import loopback_devices
from tests import clips
from tests.unit.virtual_fakes import FakeCamera, fake_pyvirtualcam

SIZE = (160, 120)
METHOD = MethodOptions(method="threshold", set={"polarity": "dark"})
BLUE, RED = "#204080", "#d02020"
COLOURS = {BLUE: (0x20, 0x40, 0x80), RED: (0xd0, 0x20, 0x20)}
FIRST, SECOND = (Device(f"video{number}", f"call {number}", f"/dev/video{number}") for number in (20, 21))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    return fake_pyvirtualcam(monkeypatch)


class Server:
    """Cameras with the virtual cameras FIRST and, where there are ``two``, SECOND; what the pages are told."""

    def __init__(self, *there: Device) -> None:
        self.cameras = Cameras(METHOD, 3)
        self.virtual = self.cameras.virtual = VirtualCameras(lambda: list(there))
        self.told: list[dict[str, Any]] = []

    async def camera(self) -> Camera:
        info = camera_info(*SIZE, 30, full_range=True)
        return await self.cameras.open(info, Settings(background=BLUE), JpegEncoder(info), self.told.append)


def run(work: Coroutine[Any, Any, Any]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


async def through(camera: Camera, index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """One more picture through the engine. -> RGB at the page's left border"""
    shown = cv2.imencode(".jpg", clips.picture(index, size, code=False)[..., ::-1])[1].tobytes()
    camera.source.put(JpegDecoder().decode(shown))
    packet = await camera.packet()
    assert packet is not None
    return cv2.imdecode(np.frombuffer(bytes(packet), np.uint8), cv2.IMREAD_COLOR)[60, 3, ::-1].astype(int)


def rgb_of(sent: np.ndarray) -> np.ndarray:
    """int (h, w, 3): what a virtual camera was sent, read as limited BT.601."""
    return cv2.cvtColor(sent.reshape(SIZE[1] * 3 // 2, SIZE[0]), cv2.COLOR_YUV2RGB_I420).astype(int)


def bordered(rgb: np.ndarray, colour: str) -> bool:
    return bool(np.abs(rgb[:, :3] - COLOURS[colour]).max() <= 6)


async def shown(camera: Camera, made: FakeCamera, right: Callable[[np.ndarray], bool],
                size: tuple[int, int] = SIZE) -> None:
    """Send pictures until the virtual camera shows one that is ``right``."""
    before, index = len(made.sent), 0
    while not any(right(rgb_of(sent)) for sent in made.sent[before:]):
        before = len(made.sent)
        await through(camera, index % 30, size)
        index += 1


def blue(rgb: np.ndarray) -> bool:
    return bordered(rgb, BLUE)


def red(rgb: np.ndarray) -> bool:
    return bordered(rgb, RED)


def person_before_blue(rgb: np.ndarray) -> bool:
    person = np.abs(rgb - COLOURS[BLUE]).max(axis=2) > 40
    return blue(rgb) and max(clips.iou(person, clips.truth(index, SIZE)) for index in range(30)) > 0.75


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.01)


def test_it_comes_and_goes_while_the_camera_stays_live(fake: type[FakeCamera]) -> None:
    async def work() -> None:
        server = Server(FIRST)
        camera = await server.camera()
        assert await server.virtual.listed() == [{"id": "video20", "name": "call 20", "free": True}]
        assert await server.virtual.switch_on(camera, None) == FIRST
        assert await server.virtual.switch_on(camera, "video20") == FIRST   # it has it already
        made, = fake.made
        assert (made.width, made.height, made.fps, made.device) == (*SIZE, 30.0, "/dev/video20")
        await shown(camera, made, person_before_blue)
        camera.set(Settings(background=RED))
        await shown(camera, made, red)
        assert [item["free"] for item in await server.virtual.listed()] == [False]
        await server.virtual.switch_off(camera)
        await server.virtual.switch_off(camera)
        assert made.closed == 1
        sent = len(made.sent)
        for index in range(3):
            assert np.abs(await through(camera, index) - (0xd0, 0x20, 0x20)).max() <= 4   # the page's goes on
        assert len(made.sent) == sent
        await server.virtual.switch_on(camera, None)
        await shown(camera, fake.made[1], red)
        await server.cameras.close()
        assert fake.made[1].closed == 1
        assert not [message for message in server.told if "virtual_camera" in message]

    run(work())


def test_one_camera_at_a_time_has_it_and_its_end_frees_it(fake: type[FakeCamera]) -> None:
    async def work() -> None:
        server = Server(FIRST)
        one, other = await server.camera(), await server.camera()
        await server.virtual.switch_on(one, None)
        for wanted in (None, "video20"):
            with pytest.raises(Refusal, match="'call 20' shows another camera that is live") as refused:
                await server.virtual.switch_on(other, wanted)
            assert refused.value.status == 409
        await server.virtual.switch_off(other)      # which has none, and takes none away
        assert fake.made[0].closed == 0
        one.end()
        await one.ended.wait()
        await until(lambda: fake.made[0].closed)
        await server.virtual.switch_on(other, None)
        await shown(other, fake.made[1], blue)
        await server.cameras.close()

    run(work())


def test_of_two_at_once_one_gets_it(fake: type[FakeCamera]) -> None:
    async def work() -> None:
        server = Server(FIRST)
        cameras = [await server.camera(), await server.camera()]
        got = await asyncio.gather(*(server.virtual.switch_on(camera, None) for camera in cameras),
                                   return_exceptions=True)
        assert sorted(type(item).__name__ for item in got) == ["Device", "Refusal"]
        assert len(fake.made) == 1
        await server.cameras.close()

    run(work())


def test_of_two_devices_each_camera_has_one(fake: type[FakeCamera]) -> None:
    async def work() -> None:
        server = Server(FIRST, SECOND)
        one, other = await server.camera(), await server.camera()
        assert await server.virtual.switch_on(one, "video21") == SECOND
        assert await server.virtual.switch_on(other, None) == FIRST
        with pytest.raises(Refusal, match="shown as 'call 21' already") as refused:
            await server.virtual.switch_on(one, "video20")
        assert refused.value.status == 409
        await server.cameras.close()

    run(work())


@pytest.mark.parametrize(("broken", "words"), [
    (RuntimeError("error writing"), "takes no more pictures: error writing"),
    (ZeroDivisionError(), "its log says why")])
def test_a_device_that_fails_is_given_up_and_the_camera_stays_live(
        fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch, broken: Exception, words: str) -> None:
    async def work() -> None:
        server = Server(FIRST)
        camera = await server.camera()
        await server.virtual.switch_on(camera, None)
        await shown(camera, fake.made[0], blue)
        monkeypatch.setattr(fake, "breaks", broken)
        index = 0
        while not any("virtual_camera" in message for message in server.told):
            await through(camera, index)
            index += 1
        why, = (message["virtual_camera"]["end"] for message in server.told if "virtual_camera" in message)
        assert words in why
        assert fake.made[0].closed == 1
        monkeypatch.setattr(fake, "breaks", None)
        await server.virtual.switch_on(camera, None)
        await shown(camera, fake.made[1], blue)
        camera.end()
        await camera.ended.wait()
        assert server.told[-1] == {"end": "The camera has ended."}
        await server.cameras.close()

    run(work())


def test_a_device_that_does_not_open_is_refused_with_its_reason_and_is_free_again(
        fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        server = Server(FIRST)
        camera = await server.camera()
        monkeypatch.setattr(fake, "fails", RuntimeError("'v4l2loopback' backend:\n  busy"))
        with pytest.raises(Refusal, match="'call 20' cannot be opened: 'v4l2loopback' backend: busy") as refused:
            await server.virtual.switch_on(camera, None)
        assert refused.value.status == 409
        assert "--to" not in str(refused.value)     # the command line's remedy
        monkeypatch.setattr(fake, "fails", None)
        await server.virtual.switch_on(camera, None)
        await server.cameras.close()

    run(work())


@pytest.mark.parametrize("wanted", ["/dev/video20", "video99", "../video20", "call 20", ""])
def test_a_page_names_a_device_by_the_servers_list_alone(fake: type[FakeCamera], wanted: str) -> None:
    async def work() -> None:
        server = Server(FIRST)
        camera = await server.camera()
        with pytest.raises(Refusal, match="no such virtual camera; there are: video20") as refused:
            await server.virtual.switch_on(camera, wanted)
        assert refused.value.status == 404
        assert fake.made == []
        await server.cameras.close()

    run(work())


def test_without_one_it_is_said_how_to_get_it() -> None:
    async def work() -> None:
        server = Server()
        camera = await server.camera()
        assert await server.virtual.listed() == []
        with pytest.raises(Refusal, match="v4l2loopback") as refused:
            await server.virtual.switch_on(camera, None)
        assert refused.value.status == 400
        await server.cameras.close()

    run(work())


def test_a_browser_that_turns_its_camera_changes_nothing_of_the_size(fake: type[FakeCamera]) -> None:
    async def work() -> None:
        server = Server(FIRST)
        camera = await server.camera()
        await server.virtual.switch_on(camera, None)
        made, = fake.made
        await shown(camera, made, person_before_blue)
        turned, before = (120, 160), len(made.sent)
        await shown(camera, made, lambda rgb: len(made.sent) > before + 3, turned)
        for size in ((320, 240), (80, 60)):   # of the first one's shape: the same picture
            await shown(camera, made, person_before_blue, size)
        assert fake.made == [made]            # which refuses pictures of another size than its own
        assert [message for message in server.told if "virtual_camera" in message] == []
        await server.cameras.close()

    run(work())


def test_a_camera_that_has_ended_lets_it_go_at_once(fake: type[FakeCamera]) -> None:
    async def work() -> None:
        server = Server(FIRST)
        camera = await server.camera()
        camera.end()
        await camera.ended.wait()
        with pytest.raises(Refusal, match="has the camera ended") as refused:
            await server.virtual.switch_on(camera, None)
        assert refused.value.status == 409
        assert fake.made[0].closed == 1
        assert [item["free"] for item in await server.virtual.listed()] == [True]
        await server.cameras.close()

    run(work())


def test_loopback_devices_are_listed_with_their_labels(tmp_path: Path) -> None:
    for number, label in ((10, "streamseg\n"), (2, "OBS Cam\n")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(label)
    assert loopback_devices(tmp_path) == [("/dev/video2", "OBS Cam"), ("/dev/video10", "streamseg")]
    assert loopback_devices(tmp_path / "none") == []


def test_only_what_this_process_can_open_is_listed(fake: type[FakeCamera], tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    node = tmp_path / "video20"
    node.touch()
    home = "streamseg.serve.live.virtual"
    monkeypatch.setattr(f"{home}.loopback_devices", lambda: [(str(node), "call 20"), (str(tmp_path / "no"), "gone")])
    assert devices() == [Device("video20", "call 20", str(node))]
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    assert devices() == []
