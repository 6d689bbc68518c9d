"""What benchmarks.cluster counts where something is lost: workers killed, a node taken away, the driver killed,
pictures broken. Nothing here is a speed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.batches import noise
from benchmarks.common import TINY
from streamseg.batch.events import Event
from streamseg.batch.inputs import LeftOut, expand
from streamseg.batch.ledger import NAME, STATES, Ledger
from streamseg.batch.plan import Planner
from streamseg.batch.ray_cluster import Crew
from streamseg.batch.ray_runner import Driver
from streamseg.core.frames import Frame, Matte
from streamseg.errors import StreamsegError

SLOW = f"{__name__}:Slow"
KILLS = 20
PATIENCE = 240.0  # seconds for a batch to get as far as it is to be killed at
BROKEN = 0.05


class Slow:
    """A method that computes for a while, so that there is something to kill."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        for _ in range(60):
            np.linalg.svd(np.ones((60, 60)))
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Losses:
    """Counts, each by its name. ``data``: a folder of pictures in place of made ones."""

    def __init__(self, work: Path, *, quick: bool, seed: int, data: Path | None) -> None:
        self._work, self._quick, self._data = work, quick, data
        self._chance = random.Random(seed)
        self._writers: set[str] = set()
        self.rows = {"kills": self.kills, "driver": self.driver, "broken": self.broken}

    # --- on Ray -----------------------------------------------------------------------------------

    def kills(self) -> dict[str, Any]:
        """Workers killed at random on two nodes, of which one is taken away halfway."""
        kills, items = (2, 24) if self._quick else (KILLS, 40)
        self._pictures(items)
        killed, finished, taken = list[int](), Counter[str](), list[int]()
        with _two_nodes() as (ray, node), Ledger(self._work / "ledger.sqlite") as ledger:
            Planner(ledger, [str(self._work / "out")], {"method": SLOW}).plan(
                expand([str(self._work / "in")], LeftOut()))

            def watch(event: Event) -> None:
                if event.row is not None and event.outcome is not None:
                    finished[event.row.source] += 1
                self._writers.update(hand.writer for hand in driver._hands.values() if hand.writer is not None)
                living = [process for process in driver.busy if process not in killed]
                if len(killed) < kills and living and self._chance.random() < 0.7:
                    killed.append(self._chance.choice(living))
                    os.kill(killed[-1], signal.SIGKILL)
                if not taken and len(killed) >= kills // 2 and len(driver.busy) == 2:
                    taken.append(event.state.done)
                    node()

            driver = Driver(ray, ledger, Crew(None, 2, 1, 0.0, None), watch)
            state = driver.run()
            attempts = [line["attempts"] for line in ledger.lines()]
        return {"items": items, "killed": len(killed), "nodes_taken": len(taken), "deaths": driver.deaths,
                "done": state.done, "failed": state.failed,
                "not_once": sum(finished[str(path)] != 1 for path in (self._work / "in").iterdir())
                + sum(count != 1 for count in attempts) + abs(self._outputs() - items), "left": self._left()}

    def driver(self) -> dict[str, Any]:
        """The driver on a Ray of its own killed, and started again."""
        items = 8 if self._quick else 40
        self._pictures(items)
        words = ["in", "-o", "out", "--method", SLOW, "--on", "ray", "--workers", "2"]
        return {"items": items, **self._resumed(words, items, 0)}

    # --- on this machine --------------------------------------------------------------------------

    def broken(self) -> dict[str, Any]:
        """A batch with broken pictures, killed halfway and started again, and what ``--status`` says each time."""
        items = 20 if self._quick else 100
        self._pictures(items)
        paths = sorted((self._work / "in").iterdir())
        broken = self._chance.sample(paths, max(1, round(BROKEN * items)))
        for number, path in enumerate(broken):
            data = path.read_bytes()
            path.write_bytes((b"", data[:len(data) // 2], b"no picture" * (number + 1))[number % 3])
        return {"items": items, "broken": len(broken), **self._resumed(["in", "-o", "out"], items, len(broken))}

    # --- both -------------------------------------------------------------------------------------

    def _resumed(self, words: Sequence[str], items: int, broken: int) -> dict[str, Any]:
        """A batch killed by -9 once a third is done, and started again with the same words."""
        with subprocess.Popen(_command("batch", *words, "-q"), cwd=self._work, stderr=subprocess.DEVNULL) as process:
            try:
                _until(lambda: self._ended() >= items // 3 or process.poll() is not None)
            finally:
                process.kill()
        first = self._status()
        with self._ledger() as ledger:
            self._writers.update(ledger.writers())
            before = {line["target"]: os.stat(self._work / line["target"]).st_mtime_ns
                      for line in ledger.lines(state="done")}
        again = subprocess.run(_command("batch", *words, "--json"), cwd=self._work, capture_output=True, check=False)
        told = json.loads(again.stdout)
        last = self._status()
        return {"killed_at": first, "known": told["planned"]["known"] + told["planned"]["failed"],
                "counts": last, "exit_code": again.returncode,
                "done_again": sum(os.stat(self._work / path).st_mtime_ns != time for path, time in before.items()),
                "not_as_wanted": abs(last["done"] - (items - broken)) + last["waiting"]
                + abs(last["failed"] - broken) + abs(self._outputs() - (items - broken)),
                "left": self._left()}

    def _ended(self) -> int:
        """How many items have ended; 0 where there is no ledger yet."""
        with contextlib.suppress(StreamsegError, sqlite3.Error), self._ledger() as ledger:
            counts = ledger.counts()
            return counts["done"] + counts["failed"]
        return 0

    def _ledger(self) -> Ledger:
        return Ledger(self._work / "out" / f"{NAME}.sqlite", owner=False)

    def _status(self) -> dict[str, int]:
        """The counts of `streamseg batch --status out --json`."""
        done = subprocess.run(_command("batch", "--status", "out", "--json"), cwd=self._work, capture_output=True,
                              check=False)
        found = json.loads(done.stdout)
        return {state: int(found[state]) for state in STATES}

    def _pictures(self, count: int) -> None:
        """``in``: so many pictures, of ``data`` where that is given."""
        place = self._work / "in"
        if self._data is None:
            noise(place, count, TINY)
            return
        place.mkdir()
        found = sorted(path for path in self._data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for path in self._chance.sample(found, count):
            (place / f"{len(list(place.iterdir())):04}{path.suffix.lower()}").write_bytes(path.read_bytes())

    def _outputs(self) -> int:
        return sum(not path.name.startswith(".") for path in (self._work / "out").iterdir())

    def _left(self) -> int:
        """Partial files beside the outputs, and files of the batch's processes in the folder for temporary files."""
        beside = [path for path in (self._work / "out").iterdir()
                  if path.name.startswith(".") and not path.name.startswith(NAME)]
        return len(beside) + sum(any(writer in name for writer in self._writers)
                                 for name in os.listdir(tempfile.gettempdir()))


@contextlib.contextmanager
def _two_nodes() -> Iterator[tuple[Any, Callable[[], None]]]:
    """(Ray, connected to two raylets of one CPU each; a call that takes the second away)."""
    import ray
    from ray.cluster_utils import Cluster
    told = {"num_cpus": 1, "object_store_memory": 80 * 2 ** 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={
        **told, "_system_config": {"agent_register_timeout_ms": 120_000}})
    try:
        node = cluster.add_node(num_cpus=1, object_store_memory=told["object_store_memory"])
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        yield ray, lambda: cluster.remove_node(node, allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "streamseg", *words]


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"the batch did not get to a third of its items within {PATIENCE:g} s")
        time.sleep(0.05)
