"""training.prepare.download, against a server on this machine that can resume, break off and refuse."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from streamseg.errors import SourceError
from training.prepare.download import Remote, fetch, unpack

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT. ``breaks``: replies still to be broken off, each after ``most`` bytes; ``ranges``:
    whether it can resume; ``status``: an answer other than 200. ``asked``: the Range of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks, self.most, self.ranges, self.status = 0, 100_000, True, 200
        self.asked: list[str | None] = []

    @property
    def remote(self) -> Remote:
        return Remote(f"http://127.0.0.1:{self.server_address[1]}/file.zip", MD5)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        if self.server.status != 200 or start >= len(CONTENT):
            self.send_error(self.server.status if self.server.status != 200 else 416)
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: self.server.most]
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_file_is_loaded_once(server: Server, tmp_path: Path) -> None:
    assert fetch(server.remote, tmp_path).read_bytes() == CONTENT
    fetch(server.remote, tmp_path)
    assert server.asked == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["file.zip"]


def test_a_broken_connection_is_gone_on_from(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    assert fetch(server.remote, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"]


def test_a_later_call_goes_on_from_what_an_earlier_one_left(server: Server, tmp_path: Path) -> None:
    server.breaks = 1
    with pytest.raises(SourceError, match=r"in 1 tries.*goes on from there"):
        fetch(server.remote, tmp_path, tries=1)
    assert (tmp_path / "file.zip.part").read_bytes() == CONTENT[:100_000]
    assert fetch(server.remote, tmp_path).read_bytes() == CONTENT
    assert server.asked[1:] == ["bytes=100000-"]


def test_a_server_that_cannot_resume_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.breaks, server.ranges = 1, False
    assert fetch(server.remote, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_checked_and_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.zip.part").write_bytes(CONTENT)
    assert fetch(server.remote, tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_removes_the_file_and_the_next_call_starts_anew(
        server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.zip.part").write_bytes(b"x" * 1000)
    with pytest.raises(SourceError, match=f"not {MD5}"):
        fetch(server.remote, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert fetch(server.remote, tmp_path).read_bytes() == CONTENT


def test_a_refusal_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(SourceError, match="answers 404"):
        fetch(server.remote, tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_are_unpacked_once(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"set.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("train/a.txt", "inside")
    else:
        with tarfile.open(archive, "w:gz") as made:
            entry = tarfile.TarInfo("train/a.txt")
            entry.size = 6
            made.addfile(entry, io.BytesIO(b"inside"))
    unpack(archive, tmp_path / "out")
    found = tmp_path / "out" / "train" / "a.txt"
    assert found.read_text() == "inside"
    found.unlink()
    unpack(archive, tmp_path / "out")
    assert not found.exists()


def test_a_broken_archive_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(CONTENT)
    with pytest.raises(SourceError, match=r"set\.zip cannot be unpacked"):
        unpack(tmp_path / "set.zip", tmp_path / "out")
