"""What jobs make: outputs, progress, small pictures, and the download."""

from __future__ import annotations

import itertools
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from tests import clips, stills
from tests.media.serve_jobs.tools import FAST, ended, hand_in
from tests.serve_tools import Client, decoded, until


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


def test_a_film_is_packed_as_in_run(client: Client, film: Path, tmp_path: Path) -> None:
    # Without loss: with other numbers of threads x264 codes the same pictures a little differently.
    told = ended(client, hand_in(client, film, packed="stacked", output="out.mkv", codec="ffv1"))
    assert told["state"] == "done", told
    (tmp_path / "got.mkv").write_bytes(client.get(told["outputs"][0]["url"]).content)
    streamseg.run(film, tmp_path / "own.mkv", packed="stacked", codec="ffv1", method="threshold")
    got, own = ([frame.luma() for frame in streamseg.open_source(tmp_path / name)] for name in ("got.mkv", "own.mkv"))
    height = next(iter(streamseg.open_source(film))).height
    assert {plane.shape[0] for plane in got} == {2 * height}
    assert all(np.array_equal(*pair) for pair in zip(got, own, strict=True))


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
