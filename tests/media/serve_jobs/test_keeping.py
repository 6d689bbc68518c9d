"""How long jobs are kept."""

from __future__ import annotations

import os
from pathlib import Path

from tests import serve_tools
from tests.media.serve_jobs.tools import FAST, ended, hand_in
from tests.serve_tools import until


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
