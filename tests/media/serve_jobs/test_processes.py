"""The processes of jobs: ended, killed, begun anew."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

import streamseg
from tests import clips, serve_tools
from tests.media.serve_jobs.tools import ended, hand_in
from tests.serve_tools import Client, until

ROOT = Path(streamseg.__file__).parents[1]


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


def test_who_follows_a_film_does_not_hold_up_a_server_that_stops(tmp_path: Path) -> None:
    served = Served(tmp_path / "home")
    try:
        client = served.start()
        job = hand_in(client, clips.video(tmp_path / "slow.mp4", frames=150, size=(320, 240)), method="grabcut")
        with serve_tools.requests.get(client.base + job["events"], stream=True, timeout=60) as answer:
            lines = (json.loads(line[5:]) for line in answer.iter_lines() if line.startswith(b"data:"))
            assert next(told for told in lines if told["state"] == "running")
            assert served.process is not None
            served.process.send_signal(signal.SIGTERM)
            assert {told["state"] for told in lines} <= {"running"}   # it raises where the answer is cut off
        assert served.process.wait(60) == 143
    finally:
        served.kill()


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
