"""The studio on a server as it is started: with a token, and with the net that it has by default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import serve_tools

from .conftest import Page, answer, resize

pytestmark = pytest.mark.slow
TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serve_tools.Client]:
    with serve_tools.running(tmp_path_factory.mktemp("server"), ready=False, token=TOKEN) as made:
        yield made


@pytest.fixture
def page(driver: Any, client: serve_tools.Client, tmp_path: Path) -> Iterator[Page]:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    resize(driver, 1440, 1000)
    made = Page(driver, client.base + "/", None, client.app.state.cameras, downloads)  # type: ignore[arg-type]
    made.log()
    yield made
    driver.delete_all_cookies()
    driver.get("about:blank")


def test_without_the_token_there_is_no_page(page: Page) -> None:
    page.open()
    assert page.all("#choose") == []
    assert "token" in page.text("body")


def test_a_photo_is_cut_out_with_a_token_and_the_default_net(page: Page, tmp_path: Path) -> None:
    photo = serve_tools.photo(tmp_path / "astronaut.png", (256, 256))
    page.driver.get(f"{page.address}?token={TOKEN}")
    assert page.driver.current_url == page.address   # the token is not left in the address
    page.choose(photo)
    page.shown("astronaut.png")
    matte = page.matte()
    assert matte[40:70, 100:125].mean() > 230        # the face
    assert matte[120:200, 225:250].mean() < 25       # the room beside the arm
    page.click("#download")
    assert page.downloaded("astronaut.png") == answer(page.address, photo, {"X-Api-Key": TOKEN})
    assert page.log() == []


def test_the_camera_is_live_with_a_token(page: Page) -> None:
    page.driver.get(f"{page.address}?token={TOKEN}")
    for way, screen in (("webrtc", "#live-video"), ("socket", "#live-canvas")):
        page.click("#tab-live")
        page.run("document.getElementById('live-way').value = arguments[0]", way)
        page.click("[name=live-background][value=colour]")
        page.click("#live-start")
        page.until(lambda: page.find("#live-stop").is_enabled(), f"{way} does not start")
        page.until(lambda s=screen: page.run("const one = document.querySelector(arguments[0]);"  # type: ignore[misc]
                                             "return (one.videoWidth || one.width) === 320", s))
        page.until(lambda s=screen: np.abs(  # type: ignore[misc]
            page.canvas(s)[40:200, 4:24, :3].astype(float).mean(axis=(0, 1)) - (0x2f, 0x6f, 0x5e)).max() <= 6, way)
        page.click("#live-stop")
        page.until(lambda: len(page.cameras) == 0)
