"""Our own dialect of pictures: what is made, and what is refused."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.core.opencv import cv2
from tests import clips, stills
from tests.media.serve_pictures.tools import upload
from tests.serve_tools import Client, decoded


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
    ({"model": "medium", "edges": "bilinear", "feather": "2"}, ".png"),
    ({"invert": "true", "feather_out": "4"}, ".png"), ({"roi": "25%,0,50%,100%", "require_subject": "true"}, ".png"),
    ({"region": "-10%,10% +#ff8000", "method": "threshold"}, ".png")], ids=str)
def test_options_are_those_of_run(client: Client, person: Path, tmp_path: Path, data: dict[str, Any],
                                  suffix: str) -> None:
    answer = client.post("/v1/pictures", files=upload(person), data=data)
    assert answer.status_code == 200, answer.text
    options = {name: value for name, value in data.items() if name not in ("format", "kind")}
    for name, kind in (("blur", float), ("erode", float), ("feather", float), ("feather_out", float), ("quality", int),
                       ("show_matte", bool), ("invert", bool), ("require_subject", bool)):
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


def test_every_option_of_a_single_picture_is_a_parameter() -> None:
    from streamseg.pictures import OPTIONS
    from streamseg.serve.parameters import PictureOptions

    assert set(OPTIONS) <= set(PictureOptions.model_fields)


def test_nobody_is_an_error_where_somebody_is_required(client: Client, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    assert cv2.imwrite(str(empty), np.full((64, 64, 3), 128, np.uint8))
    answer = client.post("/v1/pictures", files=upload(empty), data={"require_subject": "true"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_foreground")


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
    ({"device": "gpu"}, "invalid_option"), ({"kind": "matte", "background": "blur"}, "invalid_option"),
    ({"roi": "500,0,100,100"}, "invalid_option"), ({"region": "+9000,1"}, "invalid_option"),
    ({"strokes": '[{"kind": "keep"}]'}, "invalid_option"),
    ({"background_url": "http://127.0.0.1/a"}, "urls_off")], ids=str)
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


def test_that_nobody_was_found_is_said(client: Client, person: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    assert cv2.imwrite(str(empty), np.full((64, 64, 3), 128, np.uint8))
    answer = client.post("/v1/pictures", files=upload(empty))
    assert answer.headers["X-Subject"] == "none"
    assert "no subject was found" in answer.headers["X-Notes"]
    told = client.post("/v1/pictures", files=upload(empty), headers={"Accept": "application/json"}).json()
    assert (told["subject"], "no subject was found" in told["notes"][-1]) == ("none", True)
    found = client.post("/v1/pictures", files=upload(person))
    assert (found.headers["X-Subject"], "X-Notes" in found.headers) == ("found", False)
