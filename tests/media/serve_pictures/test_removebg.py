"""The dialect of remove.bg."""

from __future__ import annotations

import base64
import io
import logging
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.opencv import cv2
from tests import clips, stills
from tests.media.serve_pictures.tools import error_of, upload
from tests.serve_tools import Client, decoded, photo


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


def test_an_errors_title_is_what_is_wrong_and_its_detail_the_remedy(client: Client, person: Path) -> None:
    error, = removebg(client, person, size="huge").json()["errors"]
    assert error["title"] == "size is 'huge'"
    assert error["detail"].startswith("allowed are: preview, ")


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
