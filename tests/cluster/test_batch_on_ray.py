"""A batch on a real Ray cluster of two nodes (two raylets on this machine), with workers and a node taken away."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from benchmarks.losses import SLOW, Slow
from streamseg import api
from streamseg.batch.batch import Batch
from streamseg.batch.events import Event
from streamseg.batch.inputs import Item, LeftOut, expand
from streamseg.batch.ledger import Ledger
from streamseg.batch.options import BatchOptions
from streamseg.batch.plan import Planner
from streamseg.batch.ray_cluster import Crew
from streamseg.batch.ray_runner import Driver
from streamseg.cli import cli
from streamseg.core.frames import Frame, Matte
from tests import clips, stills

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'streamseg[cluster]'")
ROOT = Path(__file__).parents[2]
os.environ["PYTHONPATH"] = str(ROOT)  # what raylets started from here hand on to their workers
MARK = "STREAMSEG_TEST_CLUSTER"  # in the environment of the cluster's workers: the address of its server for ray://
pytestmark = pytest.mark.timeout(600)


class Marked(Slow):
    """All of a picture is the person on the test's cluster, and nothing is elsewhere."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        return [Matte(np.full((4, 4), MARK in os.environ, np.float32)) for _ in frames]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node of one CPU, with a server for ray:// addresses. Starting it is the slow part, so all tests share it."""
    from ray.cluster_utils import Cluster
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ[MARK] = f"ray://127.0.0.1:{port}"
    told = {"num_cpus": 1, "object_store_memory": 80 * 2 ** 20, "include_dashboard": False}
    made = None
    for attempt in range(4):  # Ray gives a node 30 s to start, which a busy machine may not have
        try:
            made = Cluster(initialize_head=True, head_node_args={
                **told, "ray_client_server_port": port, "_system_config": {"agent_register_timeout_ms": 120_000}})
            break
        except Exception:
            if attempt == 3:
                raise
    assert made is not None
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    del os.environ[MARK]
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(40):
        stills.image(tmp_path / "in" / f"{number:02}.png", number, size=(64, 48))
    return tmp_path


def planned(ledger: Ledger, place: Path, inputs: Sequence[str] = ("in",), **options: Any) -> None:
    items = expand([str(place / name) for name in inputs], LeftOut())
    Planner(ledger, [str(place / "out")], options).plan(items)


def crew(workers: int = 2, split: float | None = None) -> Crew:
    return Crew(None, workers, 1, 0.0, split)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_files_are_done_once_and_a_broken_one_fails_alone(cluster: Any, place: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    (place / "in" / "07.png").write_bytes(b"broken")
    arguments = ["batch", "in", "-o", "out", "--method", "threshold", "--on", "ray", "--workers", "1", "--json",
                 "--report", "r.json"]
    assert cli(arguments) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"waiting": 0, "done": 39, "failed": 1}
    assert len(names(place / "out")) == 39 + 1
    lines = json.loads((place / "r.json").read_text())
    assert [line["attempts"] for line in lines] == 40 * [1]
    assert cli(arguments) == 1
    assert json.loads(capsys.readouterr().out)["planned"]["known"] == 39


def test_a_batch_goes_to_the_cluster_of_an_address(cluster: Any, place: Path) -> None:
    """From a process that is on no cluster, as on a workstation."""
    outside = {name: value for name, value in os.environ.items() if name != MARK}
    done = subprocess.run([sys.executable, "-m", "streamseg", "batch", "in", "-o", "out", "--method",
                           f"{__name__}:Marked", "--on", os.environ[MARK], "--workers", "1", "--json"], cwd=place,
                          env=outside, timeout=300, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"] == {"waiting": 0, "done": 40, "failed": 0}
    with Image.open(place / "out" / "39.png") as picture:
        assert picture.getchannel("A").getextrema() == (255, 255)


def test_workers_killed_twenty_times_leave_every_item_done_once(cluster: Any, place: Path) -> None:
    chance, killed, writers = random.Random(5), set[int](), set[str]()
    finished: list[str] = []

    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place, method=SLOW)

        def watch(event: Event) -> None:
            if event.row is not None and event.outcome is not None:
                finished.append(event.row.source)
            writers.update(hand.writer for hand in driver._hands.values() if hand.writer is not None)
            living = [process for process in driver.busy if process not in killed]
            if len(killed) < 20 and living and chance.random() < 0.7:
                process = chance.choice(living)
                killed.add(process)
                os.kill(process, signal.SIGKILL)

        driver = Driver(ray, ledger, crew(1), watch)
        state = driver.run()
        assert (state.done, state.failed) == (40, 0), list(state.failures)
        assert len(killed) == driver.deaths == 20
        assert sorted(finished) == sorted(set(finished))
        assert [line["attempts"] for line in ledger.lines()] == 40 * [1]
        assert ledger.writers() == []
    assert names(place / "out") == [f"{number:02}.png" for number in range(40)]
    assert not [name for name in os.listdir(place / "out") if name.startswith(".")]
    assert len(writers) >= 20
    assert not [name for name in os.listdir(tempfile.gettempdir()) for writer in writers if writer in name]


def test_a_node_that_goes_away_takes_nothing_with_it(cluster: Any, place: Path) -> None:
    node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2 ** 20)
    cluster.wait_for_nodes()
    gone = []
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place, method=SLOW)

        def watch(event: Event) -> None:
            if not gone and event.state.done >= 6 and len(driver.busy) == 2:
                gone.append(event.state.done)
                cluster.remove_node(node, allow_graceful=False)

        driver = Driver(ray, ledger, crew(2), watch)
        state = driver.run()
        assert gone
        assert (state.done, state.failed) == (40, 0), list(state.failures)
        assert [line["attempts"] for line in ledger.lines()] == 40 * [1]
    assert names(place / "out") == [f"{number:02}.png" for number in range(40)]


@pytest.mark.parametrize("kill", [False, True])
def test_a_film_in_parts_is_the_film_in_one_piece(cluster: Any, tmp_path: Path, kill: bool) -> None:
    clips.video(tmp_path / "in.mp4", frames=150, audio=True, code=False)
    killed = []
    with Ledger(tmp_path / "l.sqlite") as ledger:
        Planner(ledger, [str(tmp_path / "out")], {"matte": str(tmp_path / "m"), "background": "blue"}).plan(
            [Item(str(tmp_path / "in.mp4"), "in.mp4")])

        def watch(event: Event) -> None:
            if kill and not killed and driver.busy and list((tmp_path / "out").glob(".*.part/*")):
                killed.append(driver.busy[0])
                os.kill(driver.busy[0], signal.SIGKILL)

        driver = Driver(ray, ledger, crew(1, split=2.0), watch)
        state = driver.run()
        line, = ledger.lines()
        assert (state.done, line["frames"], line["attempts"]) == (1, 150, 1), line
        assert "in 3 parts" in str(line["reason"])
    assert bool(killed) == kill
    assert os.listdir(tmp_path / "out") == ["in.mp4"]
    assert os.listdir(tmp_path / "m") == ["in.mkv"]
    api.run(str(tmp_path / "in.mp4"), str(tmp_path / "whole.mp4"), matte=str(tmp_path / "whole.mkv"), background="blue")
    differences = [float(np.abs(one - other).mean()) / 255 for one, other in zip(
        mattes(tmp_path / "m" / "in.mkv"), mattes(tmp_path / "whole.mkv"), strict=True)]
    assert len(differences) == 150
    assert max(differences) <= 1e-3
    for kind in ("v", "a"):
        assert times(tmp_path / "out" / "in.mp4", kind) == times(tmp_path / "whole.mp4", kind)


def mattes(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]


def times(path: Path, kind: str) -> list[str]:
    done = subprocess.run(["ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", "packet=pts", "-of",
                           "csv=p=0", str(path)], capture_output=True, text=True, check=True)
    return sorted(done.stdout.split())


def test_a_driver_that_is_killed_is_taken_up_where_it_was(cluster: Any, place: Path) -> None:
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from streamseg.batch import ray_runner
class Killed(ray_runner.Driver):
    def _finish(self, row, outcome):
        super()._finish(row, outcome)
        if self._telling.state.done == 11:
            os.kill(os.getpid(), signal.SIGKILL)
ray_runner.Driver = Killed
from streamseg.cli import cli
cli(["batch", "in", "-o", "out", "--method", {SLOW!r}, "--on", "ray", "--workers", "1", "-q"])
"""
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    first = subprocess.run([sys.executable, "-c", code], cwd=place, env=environment, timeout=300, capture_output=True)
    assert first.returncode == -signal.SIGKILL, first.stderr
    with Ledger(place / "out" / ".streamseg-batch.sqlite", owner=False) as ledger:
        assert ledger.counts() == {"waiting": 29, "done": 11, "failed": 0}
    before = {path: path.stat().st_mtime_ns for path in (place / "out").glob("*.png")}
    done = {name for name in before if name.name <= "10.png"}
    again = subprocess.run([sys.executable, "-m", "streamseg", "batch", "in", "-o", "out", "--method", SLOW, "--on",
                            "ray", "--workers", "1", "--json"], cwd=place, env=environment, timeout=300,
                           capture_output=True)
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert (found["planned"]["known"], found["planned"]["waiting"], found["done"]) == (11, 29, 29)
    assert all(path.stat().st_mtime_ns == before[path] for path in done)
    assert len(done) == 11
    assert names(place / "out") == [".streamseg-batch.sqlite", *(f"{number:02}.png" for number in range(40))]


def test_a_driver_killed_in_a_film_makes_only_the_parts_that_are_missing(cluster: Any, tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clips.video(tmp_path / "in.mp4", frames=150, audio=True, code=False)
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from streamseg.batch import ray_runner
class Killed(ray_runner.Driver):
    def _took(self, task, found):
        super()._took(task, found)
        if task.film is not None and len(task.film.done) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
ray_runner.Driver = Killed
from streamseg.cli import cli
cli(["batch", "in.mp4", "-o", "out", "--matte", "m", "--on", "ray", "--workers", "1", "--split", "2", "-q"])
"""
    first = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=300, capture_output=True,
                           env={**os.environ, "RAY_ADDRESS": cluster.address})
    assert first.returncode == -signal.SIGKILL, first.stderr
    parts, = (tmp_path / "out").glob(".in.*.part")
    before = {path.name: path.stat().st_mtime_ns for path in parts.iterdir() if not path.name.startswith(".")}
    assert len(before) >= 4  # of two parts, the film's and the matte's
    seen: dict[str, int] = {}

    def watch(event: Event) -> None:
        if parts.is_dir():
            seen.update({path.name: path.stat().st_mtime_ns for path in parts.iterdir()})
        began.extend(at.part for at in event.state.at.values() if event.kind == "began")

    began: list[str | None] = []
    with Batch(["in.mp4"], ["out"], {"matte": "m"}, BatchOptions(on="ray", workers=1, split=2.0)) as batch:
        batch.run(watch)
        line, = batch.ledger.lines()
    assert began == ["3 of 3", "joining"]
    assert {name: seen[name] for name in before if name < "00002"} == {
        name: made for name, made in before.items() if name < "00002"}
    assert (line["state"], line["frames"], line["attempts"]) == ("done", 150, 1)
    assert "in 3 parts, 2 of them made before" in str(line["reason"])
    assert len(times(tmp_path / "out" / "in.mp4", "v")) == len(mattes(tmp_path / "m" / "in.mkv")) == 150
    assert sorted(os.listdir(tmp_path / "out")) == [".streamseg-batch.sqlite", "in.mp4"]
    assert os.listdir(tmp_path / "m") == ["in.mkv"]
