"""Inputs and outputs in object stores: a real S3 server (moto's) and fsspec's memory."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from streamseg.batch import remote
from streamseg.cli import cli
from streamseg.core.opencv import cv2
from streamseg.errors import OptionError, SinkError, SourceError
from tests import clips, stills

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'streamseg[cloud]'")
FAST = ("--method", "threshold", "-q")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed: pip install 'moto[s3]' flask")
    running = moto.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    for name, value in {"AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                        "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    import s3fs
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("films")
    yield system
    system.rm("films", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


def filled(system: Any, root: str, tmp_path: Path) -> None:
    clips.video(tmp_path / "clip.mp4", frames=8, audio=True, code=False)
    stills.image(tmp_path / "p.jpg", code=False)
    for name, source in (("in/clip.mp4", "clip.mp4"), ("in/sub/p.jpg", "p.jpg"), ("in/readme.txt", "p.jpg")):
        system.pipe(f"{root}{name}", (tmp_path / source).read_bytes())


def test_a_batch_from_a_bucket_into_a_bucket(bucket: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(bucket, "films/", tmp_path)
    arguments = ["batch", "s3://films/in/", "-o", "s3://films/out", "--ledger", "l.sqlite", "--method", "threshold"]
    assert cli(arguments) == 0
    assert "1 left out, no picture and no film: s3://films/in/readme.txt" in capsys.readouterr().err
    assert sorted(bucket.find("films/out")) == ["films/out/clip.mp4", "films/out/sub/p.png"]
    bucket.get("films/out/clip.mp4", str(tmp_path / "made.mp4"))
    found = clips.ffprobe(tmp_path / "made.mp4")["streams"]
    assert [stream["codec_type"] for stream in found] == ["video", "audio"]
    picture = cv2.imdecode(__import__("numpy").frombuffer(bucket.cat("films/out/sub/p.png"), "u1"), -1)
    assert clips.iou(picture[..., 3] > 127, clips.truth(0)) > 0.9
    before = bucket.info("films/out/clip.mp4")["LastModified"]
    assert cli([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["planned"]["known"] == 2
    bucket.rm("films/out/sub/p.png")
    bucket.pipe("films/in/clip.mp4", (tmp_path / "clip.mp4").read_bytes() + b"\0")
    import s3fs
    s3fs.S3FileSystem.clear_instance_cache()
    assert cli([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["planned"]["waiting"] == 2
    assert s3fs.S3FileSystem().info("films/out/clip.mp4")["LastModified"] >= before


def test_run_takes_an_address_too(bucket: Any, tmp_path: Path) -> None:
    filled(bucket, "films/", tmp_path)
    assert cli(["run", "s3://films/in/clip.mp4", "-o", "out.mp4", "--matte", "s3://films/m.mkv", *FAST]) == 0
    assert bucket.exists("films/m.mkv")
    assert clips.ffprobe(tmp_path / "out.mp4")["format"]["nb_streams"] == 2


def test_an_output_that_exists_is_refused_before_anything_is_done(memory: Any, tmp_path: Path,
                                                                  capsys: pytest.CaptureFixture[str]) -> None:
    filled(memory, "/", tmp_path)
    memory.pipe("/out/clip.mp4", b"mine")
    arguments = ["batch", "memory://in/", "-o", "memory://out", "--ledger", "l.sqlite", *FAST]
    assert cli(arguments) == 1
    assert "outputs exist" in capsys.readouterr().err
    assert memory.cat("/out/clip.mp4") == b"mine"
    assert not Path("l.sqlite").exists()
    assert cli([*arguments, "--overwrite"]) == 0
    assert memory.cat("/out/clip.mp4") != b"mine"


def test_an_address_wants_a_ledger_of_its_own(memory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["batch", "memory://in/", "-o", "memory://out"]) == 2
    assert "a ledger is a local file: give --ledger PATH" in capsys.readouterr().err


@pytest.mark.parametrize("store", ["memory", "s3"])
def test_a_copy_that_breaks_off_leaves_what_was_there(store: str, request: pytest.FixtureRequest, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    system = request.getfixturevalue("memory" if store == "memory" else "bucket")
    address = "memory://films/a.bin" if store == "memory" else "s3://films/a.bin"
    system.pipe("films/a.bin", b"the good one")
    (tmp_path / "new.bin").write_bytes(os.urandom(12 * 2 ** 20))

    def broken(source: Any, target: Any, length: int) -> None:
        for _ in range(7):  # past the first part of an upload in parts
            target.write(source.read(length))
        raise OSError("the network went away")

    monkeypatch.setattr(remote.shutil, "copyfileobj", broken)
    with pytest.raises(SinkError, match="the network went away"):
        remote.upload(str(tmp_path / "new.bin"), address)
    monkeypatch.undo()
    if store == "s3":
        request.getfixturevalue("bucket")
    system.invalidate_cache()
    assert system.cat("films/a.bin") == b"the good one"


def test_of_two_outputs_none_stays_if_one_cannot_be_written(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    made = remote.Outputs(str(tmp_path / "x"), [], {})
    made._pairs = [(str(tmp_path / "0" / "a"), "memory://o/a"), (str(tmp_path / "1" / "b"), "memory://o/b")]
    for local, _ in made._pairs:
        Path(local).write_bytes(b"data")
    memory.pipe("/o/b", b"mine")
    with pytest.raises(SinkError, match="memory://o/b exists"):
        made.publish(replace=False)
    assert memory.find("/o") == ["/o/b"]


class Counted(SimpleHTTPRequestHandler):
    """Serves ranges of one file and counts the bytes."""

    sent: int = 0

    def log_message(self, *arguments: Any) -> None: ...

    def do_HEAD(self) -> None:
        self._head(200, os.path.getsize(self.translate_path(self.path)), "")

    def _head(self, code: int, length: int, span: str) -> None:
        self.send_response(code)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(length))
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
        first, last = int(wanted[0]), min(int(wanted[1] or len(data) - 1), len(data) - 1)
        self._head(206, last - first + 1, f"bytes {first}-{last}/{len(data)}")
        Counted.sent += last - first + 1
        self.wfile.write(data[first:last + 1])


def test_a_film_is_read_in_blocks_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    import av
    clips.video(tmp_path / "long.mkv", frames=40)
    with (tmp_path / "long.mkv").open("ab") as stream:
        stream.write(bytes(30 * 2 ** 20))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counted, directory=str(tmp_path)))
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        Counted.sent = 0
        with remote.opened(f"http://127.0.0.1:{httpd.server_port}/long.mkv", "") as stream, av.open(stream) as film:
            next(film.decode(video=0))
        assert 0 < Counted.sent <= 5 * remote.BLOCK
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def test_what_is_not_there_or_not_known_is_said(memory: Any) -> None:
    with pytest.raises(SourceError, match="memory://nothing does not exist"), remote.opened("memory://nothing", ""):
        pass
    with pytest.raises(OptionError, match="nonsense"):
        remote.exists("nonsense://a/b")


def test_globs_and_folders_of_a_store(memory: Any) -> None:
    for name in ("a/1.mp4", "a/b/2.mp4", "a/b/3.txt"):
        memory.pipe(f"/{name}", b"x")
    assert list(remote.listing("memory://a/**/*.mp4") or ()) == [("memory://a/1.mp4", "1.mp4"),
                                                              ("memory://a/b/2.mp4", "b/2.mp4")]
    assert [name for _, name in remote.listing("memory://a") or ()] == ["1.mp4", "b/2.mp4", "b/3.txt"]
    assert remote.listing("memory://a/1.mp4") is None
