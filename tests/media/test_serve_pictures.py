"""Pictures over HTTP: a started server, and the clients that people have."""

from __future__ import annotations

import base64
import concurrent.futures
import io
import json
import logging
import os
import random
import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import streamseg
from streamseg.core.opencv import cv2
from streamseg.errors import SegmentError
from tests import clips, serve_tools, stills
from tests.serve_tools import Client, decoded, photo, until


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serve_tools.running(tmp_path_factory.mktemp("serve")) as client:
        yield client


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo(tmp_path_factory.mktemp("photos") / "person.jpg")


@pytest.fixture(scope="module")
def truth(person: Path, tmp_path_factory: pytest.TempPathFactory) -> clips.Array:
    """What `run` makes of the photo: RGBA."""
    out = tmp_path_factory.mktemp("truth") / "cutout.png"
    streamseg.run(person, out)
    return decoded(out.read_bytes())


def upload(path: Path, name: str = "file") -> dict[str, Any]:
    return {name: (path.name, path.read_bytes())}


def error_of(answer: Any) -> dict[str, Any]:
    """remove.bg's error."""
    (found,) = answer.json()["errors"]
    assert set(found) == {"title", "code", "detail"}
    return dict(found)


# --- our own -----------------------------------------------------------------------------------

def test_a_cutout_is_what_run_makes(client: Client, person: Path, truth: clips.Array) -> None:
    answer = client.post("/v1/pictures", files=upload(person))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/png"
    assert (answer.headers["X-Width"], answer.headers["X-Height"]) == ("512", "512")
    assert np.array_equal(decoded(answer.content), truth)


@pytest.mark.parametrize(("data", "suffix"), [
    ({"background": "#204060"}, ".png"), ({"background": "blur", "blur": "0.9", "format": "jpg"}, ".jpg"),
    ({"kind": "matte", "erode": "3"}, ".png"), ({"show_matte": "true"}, ".png"),
    ({"method": "threshold", "set": ["blur=3", "type=binary"]}, ".png"), ({"format": "webp", "quality": "70"}, ".webp"),
    ({"model": "medium", "edges": "bilinear", "feather": "2"}, ".png")], ids=str)
def test_options_are_those_of_run(client: Client, person: Path, tmp_path: Path, data: dict[str, Any],
                                  suffix: str) -> None:
    answer = client.post("/v1/pictures", files=upload(person), data=data)
    assert answer.status_code == 200, answer.text
    options = {name: value for name, value in data.items() if name not in ("format", "kind")}
    for name, kind in (("blur", float), ("erode", float), ("feather", float), ("quality", int), ("show_matte", bool)):
        if name in options:
            options[name] = kind(options[name])
    if "set" in options:
        options["set"] = dict(item.split("=") for item in options["set"])
    out = tmp_path / f"out{suffix}"
    if data.get("kind") == "matte":
        streamseg.run(person, matte=out, **options)
    else:
        streamseg.run(person, out, **options)
    assert answer.content == out.read_bytes()


def test_a_background_is_uploaded(client: Client, person: Path, tmp_path: Path) -> None:
    back = stills.image(tmp_path / "back.png", size=(300, 200))
    answer = client.post("/v1/pictures", files={**upload(person), **upload(back, "background_file")})
    out = tmp_path / "out.png"
    streamseg.run(person, out, background=back)
    assert answer.content == out.read_bytes()


def test_json_is_answered_where_it_is_asked_for(client: Client, person: Path, truth: clips.Array) -> None:
    answer = client.post("/v1/pictures", files=upload(person), headers={"Accept": "application/json"}).json()
    assert (answer["width"], answer["height"], answer["media_type"]) == (512, 512, "image/png")
    assert np.array_equal(decoded(base64.b64decode(answer["picture_b64"])), truth)


@pytest.mark.parametrize(("data", "code"), [
    ({"nothing": "1"}, "invalid_option"), ({"erode": "x"}, "invalid_option"), ({"threads": "2"}, "invalid_option"),
    ({"background": "/etc/passwd"}, "invalid_option"), ({"smooth": "ema"}, "invalid_option"),
    ({"format": "jpg", "kind": "cutout"}, "invalid_option"), ({"url": "http://127.0.0.1/a"}, "multiple_sources"),
    ({"device": "gpu"}, "invalid_option"), ({"background_url": "http://127.0.0.1/a"}, "urls_off")], ids=str)
def test_what_cannot_be_done_is_refused_by_name(client: Client, person: Path, data: dict[str, str], code: str) -> None:
    answer = client.post("/v1/pictures", files=upload(person), data=data)
    assert answer.status_code in (400, 422)
    error = answer.json()["error"]
    assert error["code"] == code
    assert next(iter(data)) in error["message"] or code == "urls_off"
    assert error["request_id"] == answer.headers["X-Request-ID"]


def test_nothing_sent_is_refused(client: Client) -> None:
    assert client.post("/v1/pictures").json()["error"]["code"] == "missing_source"
    assert client.post("/v1/pictures", data=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.post("/v1/pictures", data=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert client.post("/v1/pictures", json=[1]).status_code == 400


def test_no_answer_names_a_path_of_the_server(client: Client, person: Path, tmp_path: Path) -> None:
    whole = person.read_bytes()
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole[:len(whole) // 2])
    home = str(client.app.state.services.options.folder)
    for name in ("../../../etc/cron.d/x", "/etc/passwd", "a\0b", "x" * 1000, "..\\..\\x", "%s%n"):
        answer = client.post("/v1/pictures", files={"file": (name, cut.read_bytes())})
        assert answer.status_code == 400
        assert "the picture is cut off" in answer.json()["error"]["message"]
        assert home not in answer.text
        assert "/tmp" not in answer.text
    assert os.listdir(client.app.state.services.scratch) == []


# --- limits and queue --------------------------------------------------------------------------

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
    with serve_tools.running(tmp_path / "home", time_limit=0.5) as client:
        engine = client.app.state.services.engine
        held = threading.Event()
        engine._method.submit(held.wait)  # the method's thread does something else
        answer = client.post("/v1/pictures", files=upload(person))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "timeout")
        before = engine.pictures
        held.set()
        until(lambda: engine.under_way == 0)
        assert client.get("/healthz").status_code == 200
        assert engine.pictures == before  # it was taken out of the queue


def test_work_stops_when_the_client_goes(tmp_path: Path, person: Path) -> None:
    with serve_tools.running(tmp_path / "home") as client:
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
    with serve_tools.running(tmp_path / "home") as client:
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
        (method,) = engine._loaded._open.values()
        until(lambda: not any(net._ready for net in method._nets._nets.values()))
        assert engine.is_loaded()
        assert client.post("/v1/pictures", files=upload(person)).content == first


def test_a_server_leaves_no_thread_and_no_file(tmp_path: Path, person: Path) -> None:
    before = threading.active_count()
    with serve_tools.running(tmp_path / "home") as client:
        client.post("/v1/pictures", files=upload(person))
        scratch = client.app.state.services.scratch
    assert not scratch.exists()
    until(lambda: threading.active_count() <= before)


# --- remove.bg ---------------------------------------------------------------------------------

def test_pypis_client_works_unchanged_but_for_the_address(client: Client, person: Path, tmp_path: Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("removebg.removebg", reason="the extra [test] is not installed")
    monkeypatch.setattr(module, "API_ENDPOINT", f"{client.base}/v1.0/removebg")
    log = tmp_path / "log"
    handlers = logging.root.handlers[:]
    removebg = module.RemoveBg("some-key", str(log))
    try:
        copy = tmp_path / "person.jpg"
        copy.write_bytes(person.read_bytes())
        removebg.remove_background_from_img_file(str(copy), size="full")
        made = decoded((tmp_path / "person.jpg_no_bg.png").read_bytes())
        assert made.shape == (512, 512, 4)
        out = tmp_path / "b64.png"
        removebg.remove_background_from_base64_img(base64.b64encode(person.read_bytes()), size="full",
                                                   new_file_name=str(out), bg_color="ff0000")
        over = decoded(out.read_bytes())
        assert over.shape == (512, 512, 3)
        outside = cv2.dilate(made[..., 3], np.ones((33, 33))) == 0  # JPEG's blocks mix what is within 16 pixels
        assert np.abs(over[outside].astype(int) - (255, 0, 0)).max() <= 8
        with pytest.raises(Exception, match="400"):
            removebg.remove_background_from_img_url("http://127.0.0.1/a.png", new_file_name=str(out))
    finally:
        logging.root.handlers[:] = handlers


def test_its_headers_say_size_and_place(client: Client, person: Path, truth: clips.Array) -> None:
    answer = client.post("/v1.0/removebg", files=upload(person, "image_file"), data={"size": "full"},
                         headers={"X-Api-Key": "any"})
    assert answer.headers["Content-Type"] == "image/png"
    made = decoded(answer.content)
    assert np.array_equal(made[..., 3], truth[..., 3])
    rows, columns = np.nonzero((truth[..., 3] >= 13).any(axis=1))[0], np.nonzero((truth[..., 3] >= 13).any(axis=0))[0]
    wanted = {"X-Width": 512, "X-Height": 512, "X-Credits-Charged": 0, "X-Max-Width": 512, "X-Max-Height": 512,
              "X-Foreground-Top": rows[0], "X-Foreground-Left": columns[0],
              "X-Foreground-Height": rows[-1] - rows[0] + 1, "X-Foreground-Width": columns[-1] - columns[0] + 1}
    assert {name: int(answer.headers[name]) for name in wanted} == wanted
    assert answer.headers["X-Type"] == "person"
    assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= {
        name for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset") if name in answer.headers}


@pytest.mark.parametrize(("size", "most"), [("preview", 250_000), ("small", 250_000), ("regular", 250_000),
                                            ("medium", 1_500_000), ("auto", 2_000_000), ("full", 2_000_000)])
def test_sizes_are_megapixels(client: Client, tmp_path: Path, size: str, most: int) -> None:
    path = photo(tmp_path / "large.jpg", (1600, 1200))
    answer = client.post("/v1.0/removebg", files=upload(path, "image_file"), data={"size": size})
    made = decoded(answer.content)
    assert made.shape[0] * made.shape[1] <= most
    assert made.shape[0] * made.shape[1] > 0.98 * min(most, 1600 * 1200)
    assert made.shape[1] / made.shape[0] == pytest.approx(4 / 3, rel=0.01)
    assert (answer.headers["X-Max-Width"], answer.headers["X-Max-Height"]) == ("1600", "1200")


def removebg(client: Client, person: Path, **data: str) -> Any:
    return client.post("/v1.0/removebg", files=upload(person, "image_file"), data={"size": "full", **data})


def test_crop_scale_position_and_alpha(client: Client, person: Path, truth: clips.Array) -> None:
    cropped = removebg(client, person, crop="true", crop_margin="10px 20px")
    made = decoded(cropped.content)
    height, width = int(cropped.headers["X-Foreground-Height"]), int(cropped.headers["X-Foreground-Width"])
    assert made.shape == (height + 20, width + 40, 4)
    half = removebg(client, person, scale="50%", position="0% 100%")
    assert int(half.headers["X-Foreground-Height"]) == 256 or int(half.headers["X-Foreground-Width"]) == 256
    assert int(half.headers["X-Foreground-Left"]) == 0
    assert decoded(half.content).shape == (512, 512, 4)
    alpha = decoded(removebg(client, person, channels="alpha").content)
    assert np.array_equal(alpha, truth[..., 3])


def test_only_the_region_is_looked_at(client: Client, person: Path, truth: clips.Array) -> None:
    made = decoded(removebg(client, person, roi="0% 0% 50% 100%").content)
    assert np.array_equal(made[:, :256, 3], truth[:, :256, 3])
    assert not made[:, 256:, 3].any()


def test_formats(client: Client, person: Path, tmp_path: Path) -> None:
    assert removebg(client, person, format="auto").headers["Content-Type"] == "image/png"
    assert removebg(client, person, format="auto", bg_color="fff").headers["Content-Type"] == "image/jpeg"
    assert removebg(client, person, format="jpg").headers["Content-Type"] == "image/jpeg"
    assert decoded(removebg(client, person, format="webp").content).shape == (512, 512, 4)
    half = decoded(removebg(client, person, format="png", bg_color="00ff0080").content)
    assert half[0, -1].tolist() == [0, 255, 0, 128]
    with zipfile.ZipFile(io.BytesIO(removebg(client, person, format="zip").content)) as archive:
        assert sorted(archive.namelist()) == ["alpha.png", "color.jpg"]
        assert decoded(archive.read("alpha.png")).shape == (512, 512)
        assert decoded(archive.read("color.jpg")).shape == (512, 512, 3)
    back = stills.image(tmp_path / "back.png", size=(512, 512))
    made = client.post("/v1.0/removebg", files={**upload(person, "image_file"), **upload(back, "bg_image_file")},
                       data={"size": "full", "format": "png"})
    corner = decoded(made.content)[:20, -20:]
    assert np.array_equal(corner, decoded(back.read_bytes())[:20, -20:])


def test_json_under_accept(client: Client, person: Path) -> None:
    answer = client.post("/v1.0/removebg", json={"image_file_b64": base64.b64encode(person.read_bytes()).decode(),
                                                 "size": "preview", "crop": True},
                         headers={"Accept": "application/json"})
    data = answer.json()["data"]
    assert decoded(base64.b64decode(data["result_b64"])).shape == (data["foreground_height"],
                                                                  data["foreground_width"], 4)
    assert (data["foreground_top"], data["foreground_left"]) == (0, 0)


@pytest.mark.parametrize(("data", "code"), [
    ({"image_url": "https://example.org/a.png"}, "multiple_sources"), ({"size": "huge"}, "invalid_size"),
    ({"roi": "1 2 3"}, "invalid_roi"), ({"roi": "90% 0% 100% 3%"}, "unknown_foreground"),
    ({"type": "car"}, "invalid_parameter"), ({"add_shadow": "true"}, "unsupported_parameter"),
    ({"bg_color": "nocolour"}, "invalid_parameter"), ({"scale": "500%"}, "invalid_parameter"),
    ({"anything": "1"}, "invalid_parameter"), ({"format": "bmp"}, "invalid_parameter"),
    ({"bg_color": "fff", "bg_image_url": "http://a.example/"}, "invalid_parameter"),
    ({"channels": "alpha", "format": "zip"}, "invalid_parameter")], ids=str)
def test_its_error_codes(client: Client, person: Path, data: dict[str, str], code: str) -> None:
    answer = client.post("/v1.0/removebg", files=upload(person, "image_file"), data=data)
    assert answer.status_code == 400
    assert error_of(answer)["code"] == code


def test_its_error_codes_of_pictures(client: Client, tmp_path: Path) -> None:
    def code(**settings: Any) -> str:
        answer = client.post("/v1.0/removebg", **settings)
        assert answer.status_code == 400
        return str(error_of(answer)["code"])

    assert code() == "missing_source"
    assert code(files={"image_file": ("a.jpg", b"no picture")}) == "invalid_file_type"
    assert code(files={"image_file": ("a.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 100)}) == "failed_to_read_image"
    assert code(data={"image_file_b64": "@@@"}) == "failed_to_read_image"
    assert code(data={"image_url": "http://127.0.0.1/a"}) == "failed_image_download"
    plain = tmp_path / "plain.png"
    assert cv2.imwrite(str(plain), np.full((64, 64, 3), 90, np.uint8))
    assert code(files=upload(plain, "image_file")) == "unknown_foreground"


def test_the_account_has_its_form(client: Client) -> None:
    found = client.get("/v1.0/account", headers={"X-Api-Key": "any"}).json()["data"]["attributes"]
    assert set(found["credits"]) == {"total", "subscription", "payg", "enterprise"}
    assert set(found["api"]) == {"free_calls", "sizes"}


# --- rembg -------------------------------------------------------------------------------------

def test_rembgs_curl_lines(client: Client, person: Path, truth: clips.Array, tmp_path: Path) -> None:
    """curl -s -F file=@/path/to/input.jpg "http://localhost:7000/api/remove" -o output.png"""
    answer = client.post("/api/remove", files=upload(person))
    assert answer.headers["Content-Type"] == "image/png"
    assert np.array_equal(decoded(answer.content), truth)
    matte = decoded(client.post("/api/remove?om=true&dc=true&a=true", files=upload(person)).content)
    assert np.array_equal(matte, truth[..., 3])
    hard = decoded(client.post("/api/remove", files=upload(person), data={"ppm": "true", "om": "true"}).content)
    assert np.mean((hard > 8) & (hard < 247)) < np.mean((matte > 8) & (matte < 247)) / 2
    red = decoded(client.post("/api/remove", files=upload(person), data={"bgc": "255,0,0,255"}).content)
    assert red[truth[..., 3] == 0][:, :3].tolist() == [[255, 0, 0]] * int((truth[..., 3] == 0).sum())
    wide = client.post("/api/remove", files=upload(person), data={"extras": '{"erode": -6}', "om": "true"})
    assert decoded(wide.content).mean() > matte.mean()


@pytest.mark.parametrize("query", ["vm=true", "af=200", "model=isnet-anime", "bgc=red", "bgc=1,2,3,999", "extras={",
                                   "extras=[1]", "extras={\"model_path\":\"/etc/passwd\"}", "x=1"])
def test_what_rembg_could_and_we_cannot_is_refused(client: Client, person: Path, query: str) -> None:
    answer = client.post(f"/api/remove?{query}", files=upload(person))
    assert answer.status_code == 400
    assert query.partition("=")[0].partition("{")[0][:5] in answer.json()["detail"] or "model_path" in query


def test_rembgs_address_is_refused_where_none_is_read(client: Client) -> None:
    answer = client.get("/api/remove", params={"url": "http://input.png"})
    assert answer.status_code == 400
    assert "--urls" in answer.json()["detail"]
    assert client.get("/api/remove").status_code == 400


def test_addresses_are_read_where_the_server_may(tmp_path: Path, person: Path) -> None:
    from streamseg.serve.fetch import Fetcher
    from tests.unit.test_serve_fetch import send, site

    with site(lambda handler: send(handler, person.read_bytes())) as address:
        reading = Fetcher(on=True, allowed=lambda found: found == "127.0.0.1")
        with serve_tools.running(tmp_path / "home", fetcher=reading) as client:
            assert decoded(client.get("/api/remove", params={"url": f"{address}/a.jpg"}).content).shape[2] == 4
            assert client.post("/v1.0/removebg", data={"image_url": address}).status_code == 200
            assert client.post("/v1/pictures", json={"url": address}).status_code == 200
        with serve_tools.running(tmp_path / "home2", urls=True, ready=False) as client:
            answer = client.post("/v1.0/removebg", data={"image_url": address})
            assert error_of(answer)["code"] == "failed_image_download"
            assert "private network" in error_of(answer)["title"]


# --- who may call, and what answers carry ------------------------------------------------------

def test_a_token_is_asked_for(tmp_path: Path) -> None:
    with serve_tools.running(tmp_path / "home", token="secret-token", ready=False) as client:
        assert client.get("/healthz").status_code == 200
        for headers in ({}, {"X-Api-Key": "wrong"}, {"Authorization": "Bearer wrong"}, {"X-Api-Key": "secret-toke"},
                        {"Authorization": "Basic secret-token"}, {"Cookie": "streamseg_token=wrong"},
                        {"X-Api-Key": "ü".encode()}):
            for path in ("/metrics", "/docs", "/openapi.json", "/nothing"):
                assert client.get(path, headers=headers).status_code == 401
            answer = client.get("/v1.0/account", headers=headers)
            assert (answer.status_code, error_of(answer)["code"]) == (403, "auth_failed")
        for headers in ({"X-Api-Key": "secret-token"}, {"Authorization": "Bearer secret-token"},
                        {"Cookie": "streamseg_token=secret-token"}):
            assert client.get("/v1.0/account", headers=headers).status_code == 200
        assert client.get("/metrics?token=secret-token").status_code == 401  # it would be in every log
        answer = client.get("/?token=secret-token&a=b", allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/?a=b")
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert "samesite=strict" in answer.headers["Set-Cookie"].lower()
        assert client.get("/metrics").status_code == 200  # by the cookie


def test_other_names_and_other_pages_are_refused(client: Client) -> None:
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 403
    assert client.get("/healthz", headers={"Host": "127.0.0.1.evil.example"}).status_code == 403
    assert client.post("/v1/pictures", headers={"Origin": "http://evil.example"}).status_code == 403
    assert client.post("/v1/pictures", headers={"Origin": "null"}).status_code == 403
    assert client.get("/healthz", headers={"Origin": client.base}).status_code == 200
    assert not any(name.lower().startswith("access-control") for name in client.get("/healthz").headers)


def test_pages_that_are_named_may_call(tmp_path: Path) -> None:
    with serve_tools.running(tmp_path / "home", allow_origin="https://a.example", ready=False) as client:
        answer = client.get("/healthz", headers={"Origin": "https://a.example"})
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        answer = client.options("/v1/pictures", headers={"Origin": "https://a.example",
                                                         "Access-Control-Request-Method": "POST"})
        assert answer.status_code == 204
        assert client.get("/healthz", headers={"Origin": "https://b.example"}).status_code == 403


def test_answers_carry_a_strict_policy_and_a_number(client: Client) -> None:
    for path in ("/healthz", "/docs", "/nothing"):
        answer = client.get(path, headers={"X-Request-ID": "my-number-1"})
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Request-ID"] == "my-number-1"
    assert client.get("/healthz", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"] != "a b"


def test_the_page_of_the_api_loads_nothing(client: Client) -> None:
    page = client.get("/docs").text
    assert "src=" not in page
    assert "http" not in page
    assert "/v1.0/removebg" in page
    assert set(client.get("/openapi.json").json()["paths"]) >= {"/v1/pictures", "/v1.0/removebg", "/api/remove"}


def test_metrics_count(client: Client) -> None:
    client.get("/v1.0/account")
    text = client.get("/metrics").text
    assert 'streamseg_requests_total{route="/v1.0/account",status="200"}' in text
    assert "streamseg_pictures_under_way 0.0" in text


# --- broken uploads ----------------------------------------------------------------------------

def mutated(data: bytes, random_numbers: random.Random) -> bytes:
    """The data with some bytes changed, cut off, doubled or taken out."""
    made = bytearray(data)
    for _ in range(random_numbers.randint(1, 12)):
        at = random_numbers.randrange(min(max(1, len(made)), random_numbers.choice((64, 1024, max(1, len(made))))))
        match random_numbers.randrange(4):
            case 0:
                made[at:at + 1] = bytes([random_numbers.randrange(256)])
            case 1:
                made = made[:max(at, 8)]
            case 2:
                made[at:at] = made[at:at + 50]
            case _:
                del made[at:at + random_numbers.randint(1, 40)]
    return bytes(made)


def test_broken_uploads_never_make_a_500(client: Client, tmp_path: Path) -> None:
    """A few here; benchmarks/serve.py sends 2,000."""
    numbers = random.Random(22)
    whole = [stills.image(tmp_path / f"a{suffix}", size=(48, 40)).read_bytes()
             for suffix in (".jpg", ".png", ".webp", ".gif", ".tiff", ".bmp")]
    seen = set()
    for _ in range(60):
        data = mutated(numbers.choice(whole), numbers)
        seen.add(client.post("/v1/pictures", files={"file": ("a", data)}, data={"method": "threshold"}).status_code)
    assert seen <= {200, 400, 413, 415, 422}
    assert 200 in seen
    assert len(seen) > 1


def test_broken_forms_never_make_a_500(client: Client) -> None:
    kind = "multipart/form-data; boundary=x"
    for body in (b"", b"--x", b"--x--", b"--x\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
                 b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc', b"\0" * 100,
                 b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\na\r\n--x--\r\n',
                 b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
                 b"@@@\r\n--x--\r\n"):
        for path in ("/v1/pictures", "/v1.0/removebg", "/api/remove"):
            assert client.post(path, data=body, headers={"Content-Type": kind}).status_code == 400
    for body in (b'{"erode": 1e999}', b'{"file": "a"}', b'{"erode": NaN}', b'{"\\ud800": "\\ud800"}', b"[" * 100_000,
                 b'{"erode": {"a": []}}', b'{"set": {"a": null}}', b'{"url": ["a"]}', b"null", b'{"url": "\\ud800"}'):
        for path in ("/v1/pictures", "/v1.0/removebg"):
            assert client.post(path, data=body, headers={"Content-Type": "application/json"}).status_code == 400


def test_memory_is_given_back(client: Client, tmp_path: Path) -> None:
    """A tenth of the requests broken; the files that are open stay as many. benchmarks/serve.py sends 10,000."""
    path = stills.image(tmp_path / "a.png", size=(48, 40))
    process = psutil.Process()

    def send(count: int) -> None:
        for number in range(count):
            data = path.read_bytes()[:None if number % 10 else 60]
            client.post("/v1/pictures", files={"file": ("a", data)}, data={"method": "threshold"})

    send(30)
    files, threads = process.num_fds(), process.num_threads()
    send(60)
    assert process.num_fds() <= files + 2
    assert process.num_threads() <= threads + 1


def test_tiny_and_long_pictures(client: Client, tmp_path: Path) -> None:
    for size in ((1, 1), (2, 1), (1, 300), (1200, 2)):
        path = tmp_path / "a.png"
        assert cv2.imwrite(str(path), np.full((size[1], size[0], 3), 90, np.uint8))
        made = decoded(client.post("/v1/pictures", files=upload(path)).content)
        assert made.shape == (size[1], size[0], 4)
        assert error_of(client.post("/v1.0/removebg", files=upload(path, "image_file")))["code"] == "unknown_foreground"
