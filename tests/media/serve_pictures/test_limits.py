"""Limits of size and time, the queue, and what is given back."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from streamseg.errors import SegmentError
from tests import clips, serve_tools, stills
from tests.media.serve_pictures.tools import error_of, upload
from tests.serve_tools import Client, decoded, photo, until


def test_limits_are_413_and_named(tmp_path: Path, person: Path) -> None:
    with serve_tools.running(tmp_path / "home", max_pixels=0.2, max_upload=0.5, ready=False) as client:
        answer = client.post("/v1/pictures", files=upload(person))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_many_pixels")
        assert "0.2 MP" in answer.json()["error"]["message"]
        large = tmp_path / "large.jpg"
        large.write_bytes(person.read_bytes().ljust(600_000, b"\0"))
        answer = client.post("/v1/pictures", files=upload(large))
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        answer = client.post("/v1.0/removebg", files=upload(person, "image_file"))
        assert (answer.status_code, error_of(answer)["code"]) == (400, "resolution_too_high")


def test_a_body_that_is_too_large_is_refused_by_its_header(tmp_path: Path) -> None:
    with serve_tools.running(tmp_path / "home", max_upload=0.001, ready=False) as client:
        host, port = client.base.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as line:
            line.sendall(b"POST /v1/pictures HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                         b"Content-Length: 999999999\r\n\r\n{")
            answer = b"".join(iter(lambda: line.recv(65536), b"")).decode()
        assert answer.startswith("HTTP/1.1 413")
        assert "the limit here" in answer


def test_a_full_disk_is_507(client: Client, person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **settings: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("streamseg.serve.services.tempfile.mkdtemp", full)
    answer = client.post("/v1/pictures", files=upload(person))
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage_full")


def test_a_full_queue_is_503_with_a_time_to_try_again(tmp_path: Path, person: Path) -> None:
    with serve_tools.running(tmp_path / "home", queue=1) as client:
        services = client.app.state.services
        with services.engine.place():
            answer = client.post("/v1/pictures", files=upload(person))
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
            assert int(answer.headers["Retry-After"]) >= 1
            answer = client.post("/v1.0/removebg", files=upload(person, "image_file"))
            assert (answer.status_code, error_of(answer)["code"]) == (429, "rate_limit_exceeded")
            assert "Retry-After" in answer.headers
        assert client.post("/v1/pictures", files=upload(person)).status_code == 200


def test_a_request_that_takes_too_long_ends(tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_tools.running(tmp_path / "home", time_limit=0.5, threads=1) as client:
        engine = client.app.state.services.engine
        held = threading.Event()
        engine._method.submit(held.wait)  # the method's only thread does something else
        answer = client.post("/v1/pictures", files=upload(person))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "timeout")
        before = engine.pictures
        held.set()
        until(lambda: engine.under_way == 0)
        assert client.get("/healthz").status_code == 200
        assert engine.pictures == before  # it was taken out of the queue


def test_work_stops_when_the_client_goes(tmp_path: Path, person: Path) -> None:
    with serve_tools.running(tmp_path / "home", threads=1) as client:
        engine = client.app.state.services.engine
        held = threading.Event()
        engine._method.submit(held.wait)
        before = engine.pictures
        host, port = client.base.removeprefix("http://").split(":")
        data = json.dumps({"image_file_b64": base64.b64encode(person.read_bytes()).decode()}).encode()
        line = socket.create_connection((host, int(port)), timeout=30)
        line.sendall(b"POST /v1.0/removebg HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     + f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        until(lambda: len(engine._waiting) == 1)
        line.close()
        until(lambda: engine.under_way == 0)
        held.set()
        assert client.post("/v1/pictures", files=upload(person)).status_code == 200
        assert engine.pictures == before + 1  # the one that was given up was never computed
        assert os.listdir(client.app.state.services.scratch) == []


def test_sixteen_clients_get_each_their_own(client: Client, tmp_path: Path) -> None:
    """Pictures of different sizes, with a mark each: none lost, none mixed up."""
    sizes = [(200 + 8 * (number % 4), 160 + 2 * number) for number in range(32)]

    def ask(number: int) -> tuple[int, int]:
        path = stills.image(tmp_path / f"{number}.png", number, sizes[number])
        with Client(client.base, client.app) as own:
            answer = own.post("/v1/pictures", files=upload(path), data={"background": "original",
                                                                                "method": "threshold"})
        rgb = decoded(answer.content)
        assert rgb.shape[:2] == sizes[number][::-1]
        return number, clips.read_index(rgb)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(32))) == [(number, number) for number in range(32)]


def test_pictures_that_wait_are_handed_over_together(tmp_path: Path, person: Path) -> None:
    """Those of another method go later, and a picture that the method fails at takes no other with it."""
    others = [photo(tmp_path / f"{width}.png", (width, 120)) for width in (160, 161, 162)]
    with serve_tools.running(tmp_path / "home", threads=1) as client:
        engine = client.app.state.services.engine
        alone = {path: client.post("/v1/pictures", files=upload(path)).content for path in (person, *others)}
        held = threading.Event()
        engine._method.submit(held.wait)
        before, real = engine.groups, engine._loaded.mattes

        def fails_at(asked: list[Any]) -> list[Any]:
            if any(item.frame.width == 161 for item in asked):
                raise SegmentError("it cannot see 161")
            return list(real(asked))

        engine._loaded.mattes = fails_at
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asks = {path: pool.submit(client.post, "/v1/pictures", files=upload(path)) for path in others}
            until(lambda: len(engine._waiting) == 3)
            held.set()
            answers = {path: ask.result() for path, ask in asks.items()}
        assert [answer.status_code for answer in answers.values()] == [200, 422, 200]
        assert [answers[path].content == alone[path] for path in others] == [True, False, True]
        assert engine.groups == before + 4  # together, then each alone
        held.clear()
        engine._method.submit(held.wait)
        before = engine.groups
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            asks = {path: pool.submit(client.post, "/v1/pictures", files=upload(path), data=data)
                    for path, data in ((person, {}), (others[0], {"method": "threshold"}), (others[2], {}))}
            until(lambda: len(engine._waiting) == 3)
            held.set()
            assert asks[person].result().content == alone[person]
            assert asks[others[2]].result().content == alone[others[2]]
            assert asks[others[0]].result().status_code == 200
        assert engine.groups == before + 2


def test_two_pictures_are_looked_at_at_once(tmp_path: Path, person: Path) -> None:
    with serve_tools.running(tmp_path / "home", threads=2) as client:
        engine = client.app.state.services.engine
        together, real = threading.Barrier(2), engine._loaded.mattes

        def meets(asked: list[Any]) -> list[Any]:
            together.wait(20)  # in one thread it would break
            return list(real(asked))

        engine._loaded.mattes = meets
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            asks = [pool.submit(client.post, "/v1/pictures", files=upload(person)) for _ in range(2)]
            answers = [ask.result() for ask in asks]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].content == answers[1].content
        (copies,) = engine._loaded._open.values()
        assert len(copies._all) == 2


def test_the_method_is_let_go_and_comes_back(tmp_path: Path, person: Path) -> None:
    with serve_tools.running(tmp_path / "home", idle=0.3) as client:
        engine = client.app.state.services.engine
        until(lambda: not engine.is_loaded())
        assert client.get("/readyz").status_code == 200
        assert "streamseg_method_loaded 0.0" in client.get("/metrics").text
        assert client.post("/v1/pictures", files=upload(person)).status_code == 200


def test_working_memory_is_given_back_when_no_picture_comes(tmp_path: Path, person: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamseg.serve.engine.QUIET", 0.2)
    with serve_tools.running(tmp_path / "home") as client:
        engine = client.app.state.services.engine
        first = client.post("/v1/pictures", files=upload(person)).content
        (copies,) = engine._loaded._open.values()
        until(lambda: not any(net._ready for method in copies._all for net in method._nets._nets.values()))
        assert engine.is_loaded()
        assert client.post("/v1/pictures", files=upload(person)).content == first


def test_a_server_leaves_no_thread_and_no_file(tmp_path: Path, person: Path) -> None:
    before = threading.active_count()
    with serve_tools.running(tmp_path / "home") as client:
        client.post("/v1/pictures", files=upload(person))
        scratch = client.app.state.services.scratch
    assert not scratch.exists()
    until(lambda: threading.active_count() <= before)
