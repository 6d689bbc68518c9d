"""Packed alpha in a real Chromium: the page that `python -m streamseg.sink.packed` prints plays it transparent."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.options import Options
from streamseg.sink import open_sink
from tests.media.sink_tools import about, made, write

from .conftest import PATIENCE, decoded

pytestmark = pytest.mark.slow

SHOT = """
const done = arguments[arguments.length - 1];
const shot = () => { draw(); done(document.getElementById("packed").toDataURL("image/png")); };
video.onerror = () => done("error: " + video.error.message);
video.readyState >= 2 ? shot() : video.addEventListener("loadeddata", shot);
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where ``tmp_path`` is served on loopback: a page on a file may not read its video's pixels."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("layout", ["stacked", "side-by-side"])
def test_the_page_shows_the_subject_before_nothing(driver: Any, address: str, tmp_path: Path, layout: str) -> None:
    frames = made("yuv420p", 5, (160, 120), alpha=True)
    write(open_sink(tmp_path / "out.mp4", about(frames), kind="cutout", options=Options(packed=layout, quality=90)),
          frames)
    page = subprocess.run([sys.executable, "-m", "streamseg.sink.packed"], capture_output=True, check=True).stdout
    (tmp_path / "player.html").write_bytes(page)
    driver.set_script_timeout(PATIENCE)
    driver.get(f"{address}player.html?src=out.mp4&layout={layout}&still")
    shot = driver.execute_async_script(SHOT)
    assert shot.startswith("data:image/png;base64,"), shot
    seen = decoded(base64.b64decode(shot.split(",")[1])).astype(int)
    assert seen.shape == (120, 160, 4)
    first = frames[0]
    assert first.alpha is not None
    inner = np.ones((120, 160), bool)
    inner[:, 36:44] = inner[56:64] = inner[:, 76:84] = False  # where alpha changes the encoder rings
    inner[:4] = inner[-4:] = inner[:, :4] = inner[:, -4:] = False
    assert np.abs(seen[..., 3] - first.alpha)[inner].max() <= 6
    opaque = inner & (first.alpha > 0)
    assert np.abs(seen[..., :3] - first.rgb().astype(int))[opaque].mean() < 6
