"""A server for tests: the real application in the real uvicorn, on a free port of this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from tests import clips

fastapi = pytest.importorskip("fastapi", reason="the extra [serve] is not installed")
requests = pytest.importorskip("requests", reason="the extra [test] is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the extra [serve] is not installed")
WAIT = 60  # seconds that a server may take to start or to end, before a test gives up


class Client(requests.Session):  # type: ignore[misc,name-defined]
    """A session whose addresses begin at the server's. ``app``: the application behind it."""

    def __init__(self, base: str, app: Any) -> None:
        super().__init__()
        self.base, self.app = base, app
        self.trust_env = False

    def request(self, method: str, url: str, **settings: Any) -> Any:
        """As requests', with a time limit."""
        settings.setdefault("timeout", WAIT)
        return super().request(method, self.base + url if url.startswith("/") else url, **settings)


class _Server(uvicorn.Server):  # type: ignore[misc,name-defined]
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextlib.contextmanager
def running(folder: Path, *, ready: bool = True, fetcher: Any = None, threads: int | None = None,
            **options: Any) -> Iterator[Client]:
    """A server with ServeOptions(**options), its files in ``folder``; ``ready``: once it has made a picture."""
    from streamseg.options import MethodOptions
    from streamseg.serve import ServeOptions, create_app

    app = create_app(ServeOptions(folder=str(folder), port=0, **options), method=MethodOptions(threads=threads),
                     fetcher=fetcher)
    config = uvicorn.Config(app, "127.0.0.1", 0, log_config=None, access_log=False, lifespan="on")
    server = _Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.listens.wait(WAIT)
        port = server.servers[0].sockets[0].getsockname()[1]
        with Client(f"http://127.0.0.1:{port}", app) as client:
            if ready:
                until(lambda: client.get("/readyz").status_code == 200)
            yield client
    finally:
        server.should_exit = True
        thread.join(WAIT)
        assert not thread.is_alive()


def until(true: Callable[[], object], seconds: float = WAIT) -> None:
    """Wait until ``true()`` is; fail after ``seconds``."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        pause.wait(0.05)
    raise AssertionError("it did not become true in time")


def astronaut() -> clips.Array:
    """uint8 (512, 512, 3) RGB: a photo of a person that comes with scikit-image."""
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut())


def photo(path: Path, size: tuple[int, int] = (512, 512)) -> Path:
    """The photo as a file, at a size (width, height)."""
    rgb = cv2.resize(astronaut(), size, interpolation=cv2.INTER_AREA)
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def decoded(data: bytes) -> clips.Array:
    """A picture file's samples, (h, w), (h, w, 3) RGB or (h, w, 4) RGBA."""
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    if found.ndim == 2:
        return found
    return found[..., [2, 1, 0, 3][:found.shape[2]]]
