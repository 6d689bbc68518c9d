"""Handing in films: in parts, from addresses, within limits."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests import clips, serve_tools
from tests.media.serve_jobs.tools import FAST, ended, hand_in
from tests.serve_tools import Client, until


def test_a_film_comes_in_parts_and_goes_on_after_a_break(client: Client, film: Path) -> None:
    data = film.read_bytes()
    job = client.post("/v1/jobs", json={**FAST, "size": len(data), "name": "parts.mp4"}).json()
    assert (job["state"], job["upload"]["offset"], job["upload"]["size"]) == ("uploading", 0, len(data))
    upload = job["upload"]["url"]

    def send(offset: int, part: bytes) -> Any:
        return client.patch(upload, data=part, headers={"Upload-Offset": str(offset),
                                                        "Content-Type": "application/offset+octet-stream"})

    first = send(0, data[:1000])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "1000")
    twice = send(0, data[:1000])
    assert (twice.status_code, twice.headers["Upload-Offset"]) == (409, "1000")
    assert send(5000, data[5000:]).status_code == 409
    host, port = client.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:  # breaks off in the middle
        head = f"PATCH {upload} HTTP/1.1\r\nHost: localhost\r\nUpload-Offset: 1000\r\n"
        line.sendall(head.encode() + f"Content-Length: {len(data) - 1000}\r\n\r\n".encode() + data[1000:3000])
        until(lambda: client.head(upload).headers["Upload-Offset"] == "3000")
    until(lambda: not client.app.state.jobs._uploading)
    assert send(3000, data[3000:] + b"more").status_code == 413
    assert client.head(upload).headers["Upload-Offset"] == "3000"
    assert send(3000, data[3000:]).status_code == 204
    assert client.get(job["url"]).json()["state"] in ("queued", "running", "done")
    assert send(len(data), b"").status_code == 409
    assert ended(client, job)["state"] == "done"


def test_parts_of_what_is_no_film_fail(client: Client) -> None:
    job = client.post("/v1/jobs", json={**FAST, "size": 20}).json()
    answer = client.patch(job["upload"]["url"], data=b"#EXTM3U\n/etc/passwd\n", headers={"Upload-Offset": "0"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_type")
    told = client.get(job["url"]).json()
    assert (told["state"], told["error"]["code"]) == ("failed", "unsupported_type")


def test_a_film_comes_from_an_address_and_somebody_is_told(tmp_path: Path, film: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.serve.fetch import Fetcher
    from tests.unit.test_serve_fetch import send, site

    monkeypatch.setenv("STREAMSEG_WEBHOOK_SECRET", "key")
    told: list[tuple[dict[str, str], bytes]] = []

    def answer(handler: Any) -> None:
        if handler.command == "GET":
            send(handler, film.read_bytes())
            return
        told.append((dict(handler.headers), handler.rfile.read(int(handler.headers["Content-Length"]))))
        send(handler, b"", 500 if len(told) == 1 else 200)  # the first time it does not work

    monkeypatch.setattr("streamseg.serve.jobs.webhook.FIRST_WAIT", 0.05)
    with site(answer) as address:
        fetcher = Fetcher(on=True, allowed=lambda found: found == "127.0.0.1")
        with serve_tools.running(tmp_path / "home", ready=False, fetcher=fetcher) as client:
            job = client.post("/v1/jobs", json={**FAST, "url": f"{address}/a.mp4", "webhook": f"{address}/hook"}).json()
            assert ended(client, job)["state"] == "done"
            until(lambda: len(told) == 2)
    headers, body = told[1]
    assert json.loads(body)["state"] == "done"
    assert headers["X-Streamseg-Event"] == "job.done"
    parts = dict(part.split("=") for part in headers["X-Streamseg-Signature"].split(","))
    wanted = hmac.new(b"key", f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
    assert parts["v1"] == wanted


@pytest.mark.parametrize(("data", "code", "status"), [
    ({"output": "../out.mp4"}, "invalid_option", 400), ({"output": "out.exe"}, "invalid_option", 400),
    ({"threads": "3"}, "invalid_option", 400), ({"erode": "x"}, "invalid_option", 400),
    ({"url": "http://127.0.0.1/a"}, "multiple_sources", 400), ({"codec_set": "stats=/tmp/x"}, "invalid_option", 400),
    ({"webhook": "http://127.0.0.1/a"}, "urls_off", 400), ({"codec": "nonsense"}, "invalid_option", 400),
    ({"output": "cutout:c.mp4"}, "invalid_option", 400), ({"background": "none"}, "invalid_option", 400),
    ({"codec_set": "crf=nonsense"}, "invalid_option", 400), ({"background": "/etc/passwd"}, "invalid_option", 400)],
    ids=str)
def test_what_no_film_may_ask_for_is_refused(client: Client, film: Path, data: dict[str, str], code: str,
                                             status: int) -> None:
    before = set(os.listdir(client.app.state.jobs.home))
    answer = client.post("/v1/jobs", files={"file": ("a.mp4", film.read_bytes())}, data=data)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "/tmp" not in answer.text
    assert set(os.listdir(client.app.state.jobs.home)) <= before


def test_why_a_film_failed_is_said_without_the_servers_folders(client: Client, film: Path) -> None:
    """The film's height is odd for the layout: known only when the film is opened."""
    job = hand_in(client, film, output="out.mp4", background="none", packed="deovr")
    told = ended(client, job)
    assert (told["state"], told["error"]["code"]) == ("failed", "invalid_option")
    assert "work-" not in told["error"]["message"]
    assert "the upload" not in told["error"]["message"]


@pytest.mark.parametrize(("text", "wanted"), [
    ("/srv/jobs/A/source is damaged", "a.mp4 is damaged"), ("/srv/jobs/A/work-1-a/c.mp4: no room", "c.mp4: no room"),
    ("cannot write '/srv/jobs/A/work-1-a/deep/c.mp4'", "cannot write 'c.mp4'"),
    ("the folder /srv/jobs/A is gone", "the folder the upload is gone"), ("1/2 of a/b", "1/2 of a/b")])
def test_messages_name_no_folder(text: str, wanted: str) -> None:
    from streamseg.serve.refusals import without_paths

    assert without_paths(text, {Path("/srv/jobs/A/source"): "a.mp4", Path("/srv/jobs/A/background"): "b"}) == wanted


def test_what_is_no_film_is_refused(client: Client, film: Path) -> None:
    for data, status in ((b"", 400), (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415),
                         (b"ffconcat version 1.0\n", 415), (b"\x1a\x45\xdf\xa3" + b"\0" * 100, 400),
                         (film.read_bytes()[:2000], 400)):
        answer = client.post("/v1/jobs", files={"file": ("a.mp4", data)}, data=FAST)
        assert answer.status_code == status, answer.text
        assert "/serve" not in answer.text
    assert client.post("/v1/jobs", json={}).json()["error"]["code"] == "missing_source"


def test_limits_are_413_and_named(tmp_path: Path, film: Path) -> None:
    def refused(**options: float) -> tuple[int, str]:
        with serve_tools.running(tmp_path / "-".join(options), ready=False, **options) as client:
            answer = client.post("/v1/jobs", files={"file": ("a.mp4", film.read_bytes())}, data=FAST)
            assert "limit" in answer.json()["error"]["message"]
            assert os.listdir(client.app.state.jobs.home) == []
            return answer.status_code, answer.json()["error"]["code"]

    assert refused(max_film_pixels=0.01) == (413, "too_many_pixels")
    assert refused(max_seconds=0.2) == (413, "too_long")
    assert refused(max_frames=11) == (413, "too_many_frames")
    with serve_tools.running(tmp_path / "bytes", ready=False, max_film=0.001, max_upload=0.001) as client:
        large = client.post("/v1/jobs", files={"file": ("a.mp4", film.read_bytes() * 200)}, data=FAST)
        assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")
        assert client.post("/v1/jobs", json={**FAST, "size": 2000}).status_code == 413


def test_frames_that_no_header_tells_are_counted(tmp_path: Path) -> None:
    piped = tmp_path / "a.mkv"
    clips.video(piped, frames=30)
    data = piped.read_bytes()
    with serve_tools.running(tmp_path / "home", ready=False, max_frames=40) as client:
        keeper = client.app.state.jobs
        keeper.limits = type(keeper.limits)(9.0, 100.0, 20)  # as if the header had said nothing
        keeper._runner = _Unprobed(keeper._runner)
        answer = client.post("/v1/jobs", files={"file": ("a.mkv", data)}, data=FAST)
        told = ended(client, answer.json())
        assert (told["state"], told["error"]["code"]) == ("failed", "too_many_frames")


class _Unprobed:
    """A runner whose probe knows nothing."""

    def __init__(self, runner: Any) -> None:
        self.run = runner.run

    async def probe(self, path: str, limits: Any, names: dict[str, str]) -> dict[str, Any]:
        return {}


def test_a_film_in_parts_needs_room_too(tmp_path: Path) -> None:
    with serve_tools.running(tmp_path / "home", ready=False, keep_gb=0.001) as client:
        answer = client.post("/v1/jobs", json={**FAST, "size": 2_000_000})
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")


def test_a_part_of_a_deleted_film_is_404(client: Client) -> None:
    job = client.post("/v1/jobs", json={**FAST, "size": 1000}).json()
    assert client.delete(job["url"]).status_code == 204
    assert client.patch(job["upload"]["url"], data=b"x", headers={"Upload-Offset": "0"}).status_code == 404


def test_many_films_are_503(tmp_path: Path) -> None:
    with serve_tools.running(tmp_path / "home", ready=False, max_jobs=2) as client:
        for _ in range(2):
            assert client.post("/v1/jobs", json={**FAST, "size": 1000}).status_code == 201
        answer = client.post("/v1/jobs", json={**FAST, "size": 1000})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
        assert int(answer.headers["Retry-After"]) > 0
