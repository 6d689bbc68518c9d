"""The dialect of unscreen."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from tests.media.serve_jobs.tools import hand_in
from tests.serve_tools import Client, until


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
