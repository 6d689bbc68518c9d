"""Films at an http address: what was announced and what came, servers that stall or break off, indexes at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from streamseg.errors import DamagedInputError, SourceError, SourceTimeoutError
from streamseg.source import http_input
from tests import clips
from tests.media.source_tools import indices, read

FRAMES = 30


class Server(ThreadingHTTPServer):
    """Serves ``data``. ``how``: plain, unknown (no length), chunked, ranges; ``cut``: bytes after which the connection
    breaks, each time; ``stall``: bytes after which nothing comes. ``asked``: the Range of each request."""

    daemon_threads = True

    def __init__(self, data: bytes, how: str, cut: int | None = None, stall: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.how, self.cut, self.stall = data, how, cut, stall
        self.asked: list[str | None] = []
        self.over = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        self.protocol_version = "HTTP/1.1"
        start = int(wanted.split("=")[1].rstrip("-")) if wanted and server.how == "ranges" else 0
        body = server.data[start:]
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(206 if start else 200)
        self.send_header("Connection", "close")
        if server.how == "ranges":
            self.send_header("Accept-Ranges", "bytes")
        if server.how in ("plain", "ranges"):
            self.send_header("Content-Length", str(len(body)))
        if server.how == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        self._send(body, start)

    def _send(self, body: bytes, start: int) -> None:
        limit = min(self.server.cut or len(body), self.server.stall or len(body))
        for place in range(0, min(limit, len(body)), 4096):
            part = body[place:min(place + 4096, limit)]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if self.server.how == "chunked" else part)
        if self.server.stall is not None:
            self.wfile.flush()
            self.server.over.wait(30)
        elif self.server.cut is None and self.server.how == "chunked":
            self.wfile.write(b"0\r\n\r\n")


@contextmanager
def served(data: bytes, how: str = "plain", *, name: str = "film", cut: int | None = None, stall: int | None = None
           ) -> Iterator[tuple[str, Server]]:
    with Server(data, how, cut, stall) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/{name}", server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a film of some ten thousand bytes is more than its head."""
    monkeypatch.setattr(http_input, "HEAD", 4096)
    monkeypatch.setattr(http_input, "NEAR", 2048)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("films")
    return {name: clips.video(folder / name, frames=FRAMES, audio=True).read_bytes()
            for name in ("a.mp4", "a.mkv", "a.ts")}


@pytest.mark.parametrize("how", ["plain", "unknown", "chunked", "ranges"])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_all_of_it_is_read_however_it_is_announced(how: str, name: str, films: dict[str, bytes]):
    data = films[name]
    with served(data, how, name=name) as (address, _):
        source, frames = read(address, timeout=5)
    assert indices(frames) == list(range(FRAMES))
    assert source.notes == []
    assert source.damaged == 0


@pytest.mark.parametrize("how", ["plain", "chunked", "ranges"])
@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_an_answer_that_breaks_off_is_damage_that_says_so(how: str, name: str, films: dict[str, bytes]):
    data = films[name]
    cut = len(data) // 188 // 2 * 188  # between two packets of MPEG-TS, where nothing else shows it
    with served(data, how, name=name, cut=cut) as (address, _), \
            pytest.raises(DamagedInputError, match=r"the connection broke off after \d+"):
        read(address, timeout=5)
    with served(data, how, name=name, cut=cut) as (address, _):
        source, frames = read(address, timeout=5, on_error="skip")
    assert 5 < len(frames) < FRAMES
    assert indices(frames) == list(range(len(frames)))
    assert source.damaged > 0


def test_a_connection_that_breaks_is_taken_up_again_where_it_broke(films: dict[str, bytes]):
    data = films["a.mkv"]
    with served(data, "ranges", cut=len(data) // 2 + 1) as (address, server):
        _, frames = read(address, timeout=5, retry=3)
    assert indices(frames) == list(range(FRAMES))
    assert f"bytes={len(data) // 2 + 1}-" in server.asked


@pytest.mark.parametrize("how", ["plain", "unknown", "chunked"])
def test_an_index_at_the_end_is_fetched_first(how: str, films: dict[str, bytes], monkeypatch: pytest.MonkeyPatch):
    data = films["a.mp4"]
    assert data.index(b"moov") > data.index(b"mdat")
    with served(data, how) as (address, _):
        assert indices(read(address, timeout=5)[1]) == list(range(FRAMES))
        monkeypatch.setattr(http_input, "FETCHED", len(data) - 1)
        with pytest.raises(SourceError, match=r"index is at its end.*download it"):
            read(address, timeout=5)


def test_with_ranges_the_index_at_the_end_is_asked_for(films: dict[str, bytes]):
    data = films["a.mp4"]
    place = data.index(b"moov") - 4
    data = data[:place] + (300_000).to_bytes(4, "big") + b"free" + bytes(299_992) + data[place:]
    with served(data, "ranges") as (address, server):
        assert indices(read(address, timeout=5)[1]) == list(range(FRAMES))
    asked = [int(item.removeprefix("bytes=").rstrip("-")) for item in server.asked if item is not None]
    assert any(place + 200_000 < item <= data.index(b"moov") for item in asked)


def test_start_seeks_by_ranges(tmp_path: Path):
    data = clips.video(tmp_path / "a.mp4", frames=FRAMES, gop=5).read_bytes()
    with served(data, "ranges") as (address, _):
        _, frames = read(address, timeout=5, start=0.8)
    assert indices(frames) == list(range(20, FRAMES))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("how", ["plain", "chunked", "ranges"])
def test_a_server_that_stalls_ends_in_a_time_limit_that_names_it(
        name: str, how: str, share: float, films: dict[str, bytes]):
    data = films[name]
    with served(data, how, stall=int(share * len(data)) or 1) as (address, _), \
            pytest.raises(SourceTimeoutError, match=f"nothing came from {address} for 0.3 s"):
        read(address, timeout=0.3, on_error="skip")


def test_what_the_server_refuses_is_said():
    with served(b"x") as (address, _):
        with pytest.raises(SourceError, match="cannot be opened: HTTP 404 Not Found"):
            read(address.replace("film", "missing"), timeout=5)
        with pytest.raises(SourceError):
            read(address, timeout=5)
    with pytest.raises(SourceError, match="cannot be opened"):
        read(address, timeout=5)  # the server is gone


def test_an_empty_answer_is_an_error():
    with served(b"") as (address, _), pytest.raises(SourceError):
        read(address, timeout=5)


def test_a_playlist_is_left_to_ffmpeg():
    listed = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\nfilm.ts\n#EXT-X-ENDLIST\n"
    with served(listed, name="list.m3u8") as (address, _):
        assert http_input.HttpInput(address, 5).is_playlist()


def test_names_and_passwords_go_into_the_header():
    request = http_input._request("http://ann:s%40x@host/a b/ü.mp4?x=1#part", 5)
    assert request.full_url == "http://host/a%20b/%C3%BC.mp4?x=1"
    assert request.get_header("Authorization") == "Basic YW5uOnNAeA=="
    assert request.get_header("Range") == "bytes=5-"
