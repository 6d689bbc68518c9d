"""A started server, and a real Chromium before it. Without one of them the tests skip and say why."""

from __future__ import annotations

import base64
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streamseg.core.opencv import cv2
from tests import clips

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
         "--allow-loopback-in-peer-connection")
PATIENCE = 60  # seconds that anything may take on a busy machine
CAMERA_SIZE = (320, 240)


class Server:
    """The application under a real uvicorn, in a thread. ``requests``: the paths that it was asked for so far;
    ``open``: how many are being answered."""

    def __init__(self, app: Any) -> None:
        import uvicorn

        self.requests: list[str] = []
        self.open = 0
        listens = self._listens = threading.Event()

        class Told(uvicorn.Server):
            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets)
                listens.set()

        self._server = Told(uvicorn.Config(self._counted(app), port=0, log_level="warning", lifespan="on"))
        self._thread = threading.Thread(target=self._server.run)

    def _counted(self, app: Any) -> Any:
        async def counted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await app(scope, receive, send)
                return
            self.requests.append(scope["path"])
            self.open += 1
            try:
                await app(scope, receive, send)
            finally:
                self.open -= 1
        return counted

    def start(self) -> str:
        """-> its address"""
        self._thread.start()
        assert self._listens.wait(PATIENCE)
        assert self._server.started
        host, port = self._server.servers[0].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}/"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


class Page:
    """The studio in the browser, with what tests do again and again."""

    def __init__(self, driver: Any, address: str, server: Server, cameras: Any, downloads: Path) -> None:
        self.driver, self.address, self.server, self.cameras = driver, address, server, cameras
        self.downloads = downloads

    def open(self) -> None:
        self.driver.get(self.address)

    def run(self, code: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self.driver.execute_script(code, *arguments)

    def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Wait until ``condition`` gives something true, which is returned."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05).until(
            lambda driver: condition(), what or "the page did not get there")

    def find(self, css: str) -> Any:
        return self.driver.find_element("css selector", css)

    def all(self, css: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", css))

    def text(self, css: str) -> str:
        return str(self.find(css).text)

    def click(self, css: str) -> None:
        """As the mouse does; a radio button's input lies under its label."""
        element = self.find(css)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        if element.get_attribute("type") == "radio":
            element = self.run("return arguments[0].closest('label')", element)
        element.click()

    def choose(self, *files: Path) -> None:
        self.find("#files").send_keys("\n".join(str(file) for file in files))

    def shown(self, name: str) -> None:
        """Wait until the stage shows the cut-out of ``name``."""
        self.until(lambda: self.text("#stage-title") == name and self.all("#frame.ready")
                   and not self.find("#busy").is_displayed(), f"{name} is not shown")

    def canvas(self, css: str) -> npt.NDArray[np.uint8]:
        """uint8 (h, w, 4) RGBA of a canvas or video, as it is now."""
        self.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        url = self.run("""
            const from = document.querySelector(arguments[0]);
            const to = document.createElement("canvas");
            to.width = from.videoWidth || from.width;
            to.height = from.videoHeight || from.height;
            to.getContext("2d").drawImage(from, 0, 0);
            return to.toDataURL("image/png");""", css)
        return decoded(base64.b64decode(url.partition(",")[2]))

    def matte(self) -> npt.NDArray[np.uint8]:
        """uint8 (h, w): the matte as the page shows it."""
        self.click("[name=view][value=matte]")
        return self.canvas("#after")[..., 0]

    def downloaded(self, name: str) -> bytes:
        """A file that the browser has saved, whole."""
        path = self.downloads / name
        self.until(path.exists, f"{name} was not saved")
        data = path.read_bytes()
        path.unlink()
        return data

    def log(self) -> list[str]:
        """What the console has said since the last time, but for the tests' own reading of canvases."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if "willReadFrequently" not in entry["message"]]


def decoded(data: bytes) -> npt.NDArray[np.uint8]:
    """uint8 (h, w, 4) RGBA of a picture's file."""
    picture: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA)


def camera_file(path: Path) -> Path:
    """What Chromium's fake camera plays: the drawn person, 8-bit C420, in limited BT.601 as it takes it."""
    width, height = CAMERA_SIZE
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420\n".encode())
        for index in range(30):
            rgb = clips.picture(index, CAMERA_SIZE, code=False)
            file.write(b"FRAME\n" + cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server, Any]]:
    """(address, server, cameras)"""
    for module in ("fastapi", "uvicorn", "python_multipart", "aiortc"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'streamseg[serve]'")
    from streamseg.options import MethodOptions
    from streamseg.serve import ServeOptions, create_app

    from .asked import METHOD, WithMethod

    app = create_app(ServeOptions(folder=str(tmp_path_factory.mktemp("server"))), method=MethodOptions(**METHOD))
    cameras = app.state.cameras
    server = Server(WithMethod(app))
    yield server.start(), server, cameras
    server.stop()


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's Chromium, with a camera that plays ``camera_file``."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("Chromium or its driver is missing: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install '.[test]'")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    camera = camera_file(tmp_path_factory.mktemp("camera") / "camera.y4m")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
                 f"--use-file-for-fake-video-capture={camera}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield made
    made.quit()


@pytest.fixture
def page(driver: Any, serving: tuple[str, Server, Any], tmp_path: Path) -> Iterator[Page]:
    """The studio, open and empty. Fails afterwards if the console told of an error or of the content policy."""
    address, server, cameras = serving
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    resize(driver, 1440, 1000)
    made = Page(driver, address, server, cameras, downloads)
    made.log()
    made.open()
    yield made
    told = made.log()
    driver.get("about:blank")
    assert told == []


def resize(driver: Any, width: int, height: int) -> None:
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which npm brings."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is missing, which brings axe-core")
    folder = tmp_path_factory.mktemp("axe")
    try:
        subprocess.run([npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts",
                        "--no-save", "axe-core@4"], check=True, capture_output=True, timeout=60)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"axe-core cannot be had from npm here: {error}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def answer(address: str, file: Path, headers: dict[str, str] | None = None) -> bytes:
    """What the API itself answers to a picture, asked without the page."""
    boundary = "studio-test"
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in (("background", "none"), ("format", "png"))]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'.encode()
                 + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode())
    request = urllib.request.Request(address + "v1/pictures", b"".join(parts),
                                     {"Content-Type": f"multipart/form-data; boundary={boundary}", **(headers or {})})
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return bytes(reply.read())
