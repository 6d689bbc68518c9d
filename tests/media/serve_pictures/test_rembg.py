"""The dialect of rembg's server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import clips, serve_tools
from tests.media.serve_pictures.tools import error_of, upload
from tests.serve_tools import Client, decoded


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
