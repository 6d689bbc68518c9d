"""The live tab: the camera's pictures to the server and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from tests import clips, stills
from tests.unit.virtual_fakes import FakeCamera, fake_pyvirtualcam

from .conftest import CAMERA_SIZE, Page

pytestmark = pytest.mark.slow

GREEN, RED = (0x2f, 0x6f, 0x5e), (0xc0, 0x20, 0x30)
SCREENS = {"webrtc": "#live-video", "socket": "#live-canvas"}


@pytest.fixture(params=["webrtc", "socket"])
def screen(request: pytest.FixtureRequest, page: Page) -> Iterator[str]:
    """The live tab with a colour chosen and the camera on. -> what shows it"""
    page.click("#tab-live")
    page.run("""const way = document.getElementById("live-way"); way.value = arguments[0];
                way.dispatchEvent(new Event("change", { bubbles: true }))""", request.param)
    page.click("[name=live-background][value=colour]")
    page.click("#live-start")
    page.until(lambda: page.find("#live-stop").is_enabled(), "the camera does not start")
    yield SCREENS[request.param]
    if page.find("#live-stop").is_enabled():
        page.click("#live-stop")
    page.until(lambda: len(page.cameras) == 0, "the server keeps the camera")


@pytest.fixture
def virtual(page: Page, monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    """The server's machine has two virtual cameras."""
    from streamseg.serve.live.virtual import Device, VirtualCameras

    there = [Device(f"video{number}", f"call {number}", f"/dev/video{number}") for number in (20, 21)]
    monkeypatch.setattr(page.cameras, "virtual", VirtualCameras(lambda: there))
    return fake_pyvirtualcam(monkeypatch)


def corner(page: Page, screen: str) -> np.ndarray:
    """The mean colour at the left border; while nothing is shown yet, none that a test waits for."""
    if page.run("const one = document.querySelector(arguments[0]); return one.videoWidth || one.width", screen) \
            != CAMERA_SIZE[0]:
        return np.full(3, -255.0)
    return page.canvas(screen)[40:200, 4:24, :3].astype(float).mean(axis=(0, 1))


def shows(page: Page, screen: str, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(corner(page, screen) - colour).max() <= 6)


def person_is_there(picture: np.ndarray) -> bool:
    person = np.abs(picture[..., :3].astype(int) - GREEN).max(axis=2) > 40
    return max(clips.iou(person, clips.truth(index, CAMERA_SIZE)) for index in range(30)) > 0.75


def test_the_camera_comes_back_with_another_background(page: Page, screen: str) -> None:
    page.until(lambda: shows(page, screen, GREEN), "the colour is not at the border")
    # the person is there (the first pictures show the background alone), and moves
    page.until(lambda: person_is_there(page.canvas(screen)), "the person is not there")
    first = page.canvas(screen)
    assert first.shape[:2] == (CAMERA_SIZE[1], CAMERA_SIZE[0])
    page.until(lambda: np.abs(page.canvas(screen).astype(int) - first).max() > 60, "the picture stands still")
    page.run("""const input = document.getElementById("live-colour"); input.value = "#c02030";
                input.dispatchEvent(new Event("input", { bubbles: true }))""")
    page.until(lambda: shows(page, screen, RED), "the other colour does not come")
    page.until(lambda: page.find("#live-figures").is_displayed() and page.text("#figure-latency") != "-")
    assert page.text("#figure-size") == f"{CAMERA_SIZE[0]} × {CAMERA_SIZE[1]}"
    assert float(page.text("#figure-fps")) > 0
    page.click("#live-stop")
    assert page.text("#live-state") == "Stopped."


def test_a_picture_is_put_behind_the_person(page: Page, screen: str, tmp_path: Path) -> None:
    behind = stills.image(tmp_path / "behind.png", size=(64, 48), code=False)
    page.until(lambda: shows(page, screen, GREEN))
    page.click("[name=live-background][value=picture]")
    page.find("#live-picture").send_keys(str(behind))
    page.until(lambda: shows(page, screen, clips.BACKGROUND), "the picture does not come")


def test_what_is_live_is_recorded(page: Page, screen: str) -> None:
    page.until(lambda: shows(page, screen, GREEN))
    page.click("#live-record")
    assert page.find("#live-record").get_attribute("aria-pressed") == "true"
    page.until(lambda: "B." in page.text("#live-state"), "nothing is recorded")
    page.click("#live-record")
    page.until(lambda: list(page.downloads.glob("streamseg-live.*[m4]")))
    saved, = page.downloads.glob("streamseg-live.*")
    assert clips.ffprobe(saved)["streams"][0]["codec_type"] == "video"


def test_what_is_live_is_a_camera_of_the_servers_machine_too(
        virtual: type[FakeCamera], page: Page, screen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page.until(lambda: shows(page, screen, GREEN))
    page.run("document.getElementById('live-virtual-device').value = 'video21'")
    page.click("#live-virtual")
    page.until(lambda: "On: choose “call 21”" in page.text("#live-virtual-state"), "the switch does nothing")
    made, = virtual.made
    assert (made.device, made.width, made.height) == ("/dev/video21", *CAMERA_SIZE)
    page.until(lambda: made.sent, "no picture comes")
    yuv = made.sent[-1].reshape(CAMERA_SIZE[1] * 3 // 2, CAMERA_SIZE[0])
    assert person_is_there(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420))
    page.click("#live-virtual")
    page.until(lambda: page.text("#live-virtual-state") == "Off.")
    assert made.closed == 1
    page.click("#live-virtual")
    page.until(lambda: len(virtual.made) == 2 and virtual.made[1].sent)
    monkeypatch.setattr(virtual, "breaks", RuntimeError("unplugged"))
    page.until(lambda: "unplugged" in page.text("#live-virtual-state"), "the page is not told")
    assert not page.find("#live-virtual").is_selected()
    monkeypatch.setattr(virtual, "fails", RuntimeError("no such device"))
    page.click("#live-virtual")
    page.until(lambda: "no such device" in page.text("#live-virtual-state"), "the page does not say why not")
    assert not page.find("#live-virtual").is_selected()
    assert all("409" in line for line in page.log())
    assert page.text("#live-state") == "Live."


def test_without_a_virtual_camera_there_is_no_switch(page: Page) -> None:
    page.click("#tab-live")
    page.until(lambda: "/v1/live" in page.server.requests)
    page.until(lambda: page.server.open == 0)
    assert not page.find("#live-virtual-row").is_displayed()


def test_a_camera_that_is_gone_is_told_of_and_the_focus_stays(page: Page) -> None:
    page.click("#tab-live")
    page.until(lambda: page.run("return document.getElementById('live-camera').options.length > 1"))
    page.run("""const camera = document.getElementById("live-camera");
                camera.append(new Option("unplugged", "0123456789abcdef")); camera.value = "0123456789abcdef";""")
    page.click("#live-start")
    page.until(lambda: "not there any more" in page.text("#live-state"), "nothing says what is wrong")
    assert page.run("return document.activeElement.id") == "live-start"
    page.run("""document.getElementById("live-camera").value = "";""")
    page.click("#live-start")
    page.until(lambda: page.run("return document.activeElement.id") == "live-stop")
    page.click("#live-stop")
    assert page.run("return document.activeElement.id") == "live-start"
    page.until(lambda: len(page.cameras) == 0)


def test_the_camera_is_let_go_when_the_page_goes(page: Page) -> None:
    page.click("#tab-live")
    page.click("#live-start")
    page.until(lambda: len(page.cameras) == 1)
    page.until(lambda: page.find("#live-stop").is_enabled())
    page.open()
    page.until(lambda: len(page.cameras) == 0, "the server keeps the camera of a page that is gone")
