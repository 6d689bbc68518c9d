"""Films over HTTP: jobs that outlive the server."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import hmac
import io
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import streamseg
from tests import clips, serve_tools, stills
from tests.serve_tools import Client, decoded, until

ROOT = Path(streamseg.__file__).parents[1]
FAST = {"method": "threshold"}  # no net to load: the jobs are what is looked at


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serve_tools.running(tmp_path_factory.mktemp("serve"), ready=False) as client:
        yield client


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("films") / "film.mp4", frames=12)


def hand_in(client: Client, film: Path, **data: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", files={"file": (film.name, film.read_bytes())}, data={**FAST, **data})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def ended(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    until(lambda: client.get(job["url"]).json()["state"] in ("done", "failed"))
    return dict(client.get(job["url"]).json())


# --- what is made ------------------------------------------------------------------------------

def test_outputs_are_what_run_makes(client: Client, film: Path, tmp_path: Path) -> None:
    job = hand_in(client, film, background="#204060", output=["out.mp4", "matte:alpha.mkv", "cutout:cut.webm"])
    assert (job["state"], job["name"], job["outputs"]) in (("queued", "film.mp4", []), ("running", "film.mp4", []))
    told = ended(client, job)
    assert told["state"] == "done", told
    assert told["report"]["frames"] == 12
    assert told["expires"] > told["finished"]
    assert "GB" in told["kept"]
    assert [(made["name"], made["kind"]) for made in told["outputs"]] == [
        ("out.mp4", "result"), ("alpha.mkv", "matte"), ("cut.webm", "cutout")]
    streamseg.run(film, tmp_path / "out.mp4", matte=tmp_path / "alpha.mkv", background="#204060", method="threshold")
    for made in told["outputs"]:
        data = client.get(made["url"]).content
        assert len(data) == made["bytes"]
        (tmp_path / f"got-{made['name']}").write_bytes(data)
    for name in ("out.mp4", "alpha.mkv"):
        own, ours = ([stream["nb_read_packets"] for stream in clips.ffprobe(
            path, "-count_packets", "-show_entries", "stream=nb_read_packets")["streams"]]
            for path in (tmp_path / name, tmp_path / f"got-{name}"))
        assert own == ours
    assert str(client.app.state.services.options.folder) not in json.dumps(told)


@pytest.mark.parametrize("as_text", [False, True])
def test_strokes_come_with_a_job(client: Client, tmp_path: Path, as_text: bool) -> None:
    """As a part of a JSON request, or as a text in a form. A path is never taken."""
    strokes = [{"kind": "drop", "time": 0.1, "radius": 0.5, "points": [[0.1, 0.1], [0.9, 0.9]]}]
    film = clips.video(tmp_path / "film.mp4", frames=8, audio=True)
    wanted = {**FAST, "output": ["matte:alpha.mkv", "out.mp4"], "background": "red"}
    if as_text:
        job = hand_in(client, film, **wanted, strokes=json.dumps(strokes))
    else:
        answer = client.post("/v1/jobs", json={**wanted, "strokes": strokes, "size": film.stat().st_size})
        assert answer.status_code == 201, answer.text
        job = answer.json()
        client.patch(job["upload"]["url"], data=film.read_bytes(), headers={"Upload-Offset": "0"})
    told = ended(client, job)
    assert told["state"] == "done", told
    out = tmp_path / "alpha.mkv"
    out.write_bytes(client.get(told["outputs"][0]["url"]).content)
    mattes = [frame.luma() for frame in streamseg.open_source(out)]
    assert len(mattes) == 8
    out.write_bytes(client.get(told["outputs"][1]["url"]).content)
    assert "audio" in [stream["codec_type"] for stream in clips.ffprobe(out)["streams"]]
    assert all(matte[30:90, 40:120].max() < 16 for matte in mattes)  # the object is there, and was taken away
    for text in ("/etc/passwd", "[]", '[{"kind": "keep"}]'):
        answer = client.post("/v1/jobs", files={"file": ("a.mp4", film.read_bytes())}, data={**FAST, "strokes": text})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_option")
        assert "root" not in answer.text


def test_a_background_is_uploaded(client: Client, film: Path, tmp_path: Path) -> None:
    back = stills.image(tmp_path / "back.png", size=(160, 120))
    answer = client.post("/v1/jobs", files={"file": ("a.mp4", film.read_bytes()),
                                            "background_file": ("b.png", back.read_bytes())}, data=FAST)
    assert ended(client, answer.json())["state"] == "done"
    for name, data in (("../../x", b"#EXTM3U\n/etc/passwd"), ("x", b"")):
        answer = client.post("/v1/jobs", files={"file": ("a.mp4", film.read_bytes()), "background_file": (name, data)},
                             data=FAST)
        assert answer.status_code == 415


def test_progress_comes_as_events_until_the_end(client: Client, tmp_path: Path) -> None:
    long = clips.video(tmp_path / "long.mp4", frames=60)
    job = hand_in(client, long, method="kmeans")
    seen: list[dict[str, Any]] = []
    with client.get(job["events"], stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        seen += [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith(b"data: ")]
    assert seen[-1]["state"] == "done"
    frames = [now["progress"]["frames"] for now in seen if now["progress"]]
    assert frames == sorted(frames)
    assert all(now["progress"]["total"] == 60 for now in seen if now["progress"])
    with client.get(job["events"], stream=True) as answer:  # of one that has ended: once
        assert len([line for line in answer.iter_lines() if line]) == 1


def test_small_pictures_come_while_a_film_is_made(client: Client, tmp_path: Path) -> None:
    """Of what is made, with its transparency; gone once it is whole."""
    long = clips.video(tmp_path / "long.mp4", frames=100, size=(640, 480))
    job = hand_in(client, long, method="kmeans", output="cut.webm", background="none")
    until(lambda: len((client.get(job["url"]).json()["progress"] or {}).get("previews", [])) > 1)
    times = client.get(job["url"]).json()["progress"]["previews"]
    assert times[0] == 0
    assert all(later - earlier >= 0.5 for earlier, later in itertools.pairwise(times))
    answer = client.get(f"{job['url']}/previews/0")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/webp")
    picture = decoded(answer.content)
    assert picture.shape == (360, 480, 4)
    assert picture[..., 3].min() == 0
    assert picture[..., 3].max() == 255
    assert client.get(f"{job['url']}/previews/9999").status_code == 404
    for number in ("-1", "x", "10000"):
        assert client.get(f"{job['url']}/previews/{number}").status_code in (400, 422)
    told = ended(client, job)
    assert client.get(f"{job['url']}/previews/0").status_code == 404
    assert [made["name"] for made in told["outputs"]] == ["cut.webm"]
    assert [path.name for path in (client.app.state.jobs.home / job["id"]).iterdir()] == ["outputs"]


def test_nobody_waits_for_events_that_nobody_reads(client: Client, film: Path) -> None:
    job = hand_in(client, film)
    keeper = client.app.state.jobs
    host, port = client.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(f"GET {job['events']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b"200 OK" in line.recv(1000)
    until(lambda: not any(changes.waiting for changes in keeper.records.changes.values()))


# --- download ----------------------------------------------------------------------------------

def test_outputs_come_in_parts(client: Client, film: Path) -> None:
    (made,) = ended(client, hand_in(client, film))["outputs"]
    whole = client.get(made["url"])
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Content-Type"] == "video/mp4"
    data, etag = whole.content, whole.headers["ETag"]

    def part(range_: str, **headers: str) -> Any:
        return client.get(made["url"], headers={"Range": range_, **headers})

    middle = part("bytes=10-19")
    assert (middle.status_code, middle.content) == (206, data[10:20])
    assert middle.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    assert part("bytes=-7").content == data[-7:]
    assert part("bytes=5-").content == data[5:]
    assert part(f"bytes=3-{len(data) * 2}").content == data[3:]
    beyond = part(f"bytes={len(data)}-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
    assert part("bytes=0-3", **{"If-Range": etag}).status_code == 206
    assert part("bytes=0-3", **{"If-Range": '"another"'}).content == data
    for range_ in ("bytes=", "bytes=a-b", "lines=1-2", "bytes=5-3-1", "bytes=0-1,9999999-"):
        assert (part(range_).status_code, part(range_).content) == (200, data)
    assert client.get(made["url"], headers={"If-None-Match": etag}).status_code == 304
    head = client.head(made["url"])
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(data)), b"")


def test_only_a_jobs_own_outputs_are_found(client: Client, film: Path) -> None:
    job = ended(client, hand_in(client, film))
    for name in ("other.mp4", "..", "../source", "%2e%2e/source", "..%2fsource", ".report.json", "out.mp4/", ""):
        answer = client.get(f"{job['url']}/outputs/{name}", allow_redirects=False)
        assert answer.status_code in (404, 307), name
    for id in ("nothing", "../x", "a" * 500, "%00"):
        assert client.get(f"/v1/jobs/{id}").status_code == 404
        assert client.delete(f"/v1/jobs/{id}").status_code in (404, 405)


# --- handing in --------------------------------------------------------------------------------

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
    ({"webhook": "http://127.0.0.1/a"}, "urls_off", 400), ({"background": "/etc/passwd"}, "invalid_option", 400)],
    ids=str)
def test_what_no_film_may_ask_for_is_refused(client: Client, film: Path, data: dict[str, str], code: str,
                                             status: int) -> None:
    before = set(os.listdir(client.app.state.jobs.home))
    answer = client.post("/v1/jobs", files={"file": ("a.mp4", film.read_bytes())}, data=data)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(os.listdir(client.app.state.jobs.home)) <= before


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


def test_a_film_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    long = clips.video(tmp_path / "long.mp4", frames=2000, size=(320, 240))
    with serve_tools.running(tmp_path / "home", ready=False, film_time_limit=3) as client:
        told = ended(client, hand_in(client, long, method="kmeans"))
        assert (told["state"], told["error"]["code"]) == ("failed", "timeout")
        assert not [name for _, _, names in os.walk(client.app.state.jobs.home) for name in names
                    if name.endswith(".mp4")]


def workers() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "streamseg.serve.jobs.worker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_a_job_is_deleted_while_it_runs(tmp_path: Path) -> None:
    long = clips.video(tmp_path / "long.mp4", frames=2000, size=(320, 240))
    with serve_tools.running(tmp_path / "home", ready=False) as client:
        job = hand_in(client, long, method="kmeans")
        until(lambda: client.get(job["url"]).json()["progress"])
        assert client.delete(job["url"]).status_code == 204
        assert client.get(job["url"]).status_code == 404
        assert workers() == []
        assert os.listdir(client.app.state.jobs.home) == []


def test_a_process_that_dies_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    long = clips.video(tmp_path / "long.mp4", frames=2000, size=(320, 240))
    with serve_tools.running(tmp_path / "home", ready=False) as client:
        job = hand_in(client, long, method="kmeans")
        for _ in range(2):
            until(lambda: client.get(job["url"]).json()["progress"] and workers())
            for process in workers():
                process.kill()
            client.app.state.jobs.records.of(job["id"]).progress = None
        told = ended(client, job)
        assert (told["state"], told["error"]["code"]) == ("failed", "method_failed")
        assert "died" in told["error"]["message"]
        assert client.get("/healthz").status_code == 200


# --- keeping -----------------------------------------------------------------------------------

def test_jobs_are_deleted_by_age(tmp_path: Path, film: Path) -> None:
    with serve_tools.running(tmp_path / "home", ready=False, keep_hours=0.001) as client:
        job = hand_in(client, film)
        until(lambda: client.get(job["url"]).status_code == 404)
        assert os.listdir(client.app.state.jobs.home) == []


def test_the_oldest_give_way_where_the_disk_is_limited(tmp_path: Path, film: Path) -> None:
    size = film.stat().st_size
    with serve_tools.running(tmp_path / "home", ready=False, keep_gb=max(size * 2.9 / 1e9, 0.001)) as client:
        keeper = client.app.state.jobs
        jobs = []
        for _ in range(2):
            jobs.append(ended(client, hand_in(client, film)))
            (keeper.folder(jobs[-1]["id"]) / "outputs" / "out.mp4").write_bytes(b"\0" * 400_000)
        third = client.post("/v1/jobs", files={"file": ("a.mp4", film.read_bytes().ljust(300_000, b"\0"))}, data=FAST)
        assert third.status_code == 201
        assert client.get(jobs[0]["url"]).status_code == 404
        assert client.get(jobs[1]["url"]).status_code == 200
        ended(client, third.json())
        answer = client.post("/v1/jobs", files={"file": ("a.mp4", b"\0" * 1_100_000)}, data=FAST)
        assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")


# --- unscreen ----------------------------------------------------------------------------------

def test_unscreens_dialect(client: Client, film: Path) -> None:
    answer = client.post("/v1.0/videos", files={"video_file": ("a.mp4", film.read_bytes())},
                         data={"format": "pro_bundle"}, headers={"X-Api-Key": "any"})
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert (data["type"], data["attributes"]["status"]) in (("video", "queued"), ("video", "processing"))
    own = data["links"]["self"]
    assert own.startswith(client.base)
    until(lambda: client.get(own).json()["data"]["attributes"]["status"] == "done")
    attributes = client.get(own).json()["data"]["attributes"]
    assert attributes["frames"] == 12
    with zipfile.ZipFile(io.BytesIO(client.get(attributes["result_url"]).content)) as archive:
        assert sorted(archive.namelist()) == ["alpha.mp4", "color.mp4"]
        for name in archive.namelist():
            assert archive.read(name)[4:8] == b"ftyp"
    assert client.get(f"/v1.0/videos/{hand_in(client, film)['id']}").status_code == 404


@pytest.mark.parametrize(("data", "code"), [({"format": "avi"}, "invalid_parameter"), ({"x": "1"}, "invalid_parameter"),
                                            ({"background_color": "nothing"}, "invalid_parameter"),
                                            ({"video_url": "http://a.example/"}, "multiple_sources")], ids=str)
def test_unscreens_errors(client: Client, film: Path, data: dict[str, str], code: str) -> None:
    answer = client.post("/v1.0/videos", files={"video_file": ("a.mp4", film.read_bytes())}, data=data)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == code


# --- kill -9 -----------------------------------------------------------------------------------

class Served:
    """`streamseg serve` as a process of its own, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Client:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "streamseg", "serve", "--json", "--port", "0", "--folder", str(self._folder),
                   "--quiet"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment,
                                        stderr=subprocess.DEVNULL)
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            with contextlib.suppress(ValueError):
                return Client(json.loads(text)["address"].rstrip("/"), None)
        raise AssertionError(f"the server ended with {self.process.wait()}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def test_kill_9_at_any_moment_loses_no_accepted_film(tmp_path: Path) -> None:
    """Five moments, drawn with a seed; benchmarks/serve.py has twenty with ten films."""
    numbers = random.Random(9)
    films = [clips.video(tmp_path / f"{number}.mp4", frames=6 + number) for number in range(5)]
    served = Served(tmp_path / "home")
    accepted: dict[str, int] = {}
    try:
        client = served.start()
        waiting = list(range(len(films)))
        for _ in range(5):
            moment = threading.Timer(numbers.uniform(0.2, 2.5), served.kill)
            moment.start()
            with contextlib.suppress(serve_tools.requests.RequestException):
                while waiting:
                    accepted[hand_in(client, films[waiting[0]], output="out.mkv")["id"]] = waiting[0]
                    waiting.pop(0)
            moment.join()
            client = served.start()
        for number in waiting:
            accepted[hand_in(client, films[number], output="out.mkv")["id"]] = number
        until(lambda: all(job["state"] in ("done", "failed") for job in client.get("/v1/jobs").json()["jobs"]), 120)
        jobs = {job["id"]: job for job in client.get("/v1/jobs").json()["jobs"]}
        assert set(accepted) <= set(jobs)
        for id, number in accepted.items():
            assert jobs[id]["state"] == "done", jobs[id]
            assert jobs[id]["report"]["frames"] == 6 + number
            out = tmp_path / "got.mkv"
            out.write_bytes(client.get(jobs[id]["outputs"][0]["url"]).content)
            assert len(clips.probed_pts(out)) == 6 + number
        home = tmp_path / "home" / "jobs"
        assert {path.name for path in home.iterdir()} == set(jobs)
        for id in jobs:
            assert [path.name for path in (home / id).iterdir()] == ["outputs"]
    finally:
        served.kill()


def test_a_killed_server_leaves_no_process(tmp_path: Path) -> None:
    long = clips.video(tmp_path / "long.mp4", frames=2000, size=(320, 240))
    served = Served(tmp_path / "home")
    client = served.start()
    try:
        job = hand_in(client, long, method="kmeans")
        until(lambda: client.get(job["url"]).json()["progress"])
        found = workers()
        assert found
    finally:
        served.kill()
    until(lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in found))


def test_the_server_ends_at_sigterm(tmp_path: Path, film: Path) -> None:
    served = Served(tmp_path / "home")
    client = served.start()
    hand_in(client, film)
    assert served.process is not None
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 143
    assert served.process.stdout is not None
    served.process.stdout.close()
    assert not (tmp_path / "home" / "requests").exists()


def test_standard_error_has_our_lines_alone(tmp_path: Path, film: Path) -> None:
    """Not LiteRT's, neither of the server nor of a film's process."""
    command = [sys.executable, "-m", "streamseg", "serve", "--json", "--port", "0", "--folder", str(tmp_path / "home")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout is not None
        text = ""
        while "}" not in text:
            text += process.stdout.readline()
        client = Client(json.loads(text)["address"].rstrip("/"), None)
        assert ended(client, hand_in(client, film, method="default"))["state"] == "done"
        until(lambda: client.get("/readyz").status_code == 200)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    lines = errors.splitlines()
    assert any("POST /v1/jobs 201" in line for line in lines)
    assert [line for line in lines if not line.startswith("streamseg: ")] == [""]  # before the last: terminated


def test_films_side_by_side_are_not_mixed_up(tmp_path: Path) -> None:
    films = [clips.video(tmp_path / f"{number}.mp4", frames=4 + number) for number in range(4)]
    with serve_tools.running(tmp_path / "home", ready=False, films=2) as client:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = list(pool.map(lambda film: hand_in(client, film), films))
        assert [ended(client, job)["report"]["frames"] for job in jobs] == [4, 5, 6, 7]


def test_a_server_that_stops_begins_its_film_anew(tmp_path: Path) -> None:
    long = clips.video(tmp_path / "long.mp4", frames=150, size=(320, 240))
    with serve_tools.running(tmp_path / "home", ready=False) as client:
        job = hand_in(client, long, method="kmeans")
        until(lambda: client.get(job["url"]).json()["progress"])
    assert workers() == []
    began = time.time()
    with serve_tools.running(tmp_path / "home", ready=False) as client:
        told = ended(client, job)
        assert told["state"] == "done"
        assert told["finished"] > began
