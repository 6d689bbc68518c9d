"""What benchmarks.cluster measures of batches: speeds, rates, and the driver's memory."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import streamseg
from benchmarks.common import TINY, make_clip, summary
from benchmarks.timed_driver import Spent, TimedDriver
from streamseg.batch.batch import Batch
from streamseg.batch.inputs import Item
from streamseg.batch.job import Job
from streamseg.batch.ledger import Ledger
from streamseg.batch.options import BatchOptions
from streamseg.batch.plan import Planner
from streamseg.batch.ray_cluster import Crew, connected
from streamseg.batch.records import Outcome
from streamseg.core.thread_budget import cores
from streamseg.report import peak_rss_mib

ROWS = 100_000
PART = 75.0  # seconds: 10 minutes in 8 parts


class Speeds:
    """What is measured, each row by its name. ``quick``: a tiny form; ``pictures`` of loop and inside, ``film`` seconds
    of split."""

    def __init__(self, work: Path, *, quick: bool, repeats: int, pictures: int, film: float) -> None:
        self._work, self._quick, self._repeats = work, quick, repeats
        self._pictures, self._film = pictures, film
        self.rows = {"loop": self.loop, "inside": self.inside, "workers": self.workers, "split": self.split,
                     "ledger": self.ledger, "messages": self.messages, "memory": self.memory}

    def loop(self) -> dict[str, Any]:
        """Seconds of `batch` and of `run` for each picture."""
        count = 3 if self._quick else self._pictures
        folder = self._work / "pictures"
        noise(folder, count)
        batch, each = [], []
        for turn in range(self._repeats):
            batch.append(_seconds(partial(_streamseg, "batch", folder, "-o", self._work / f"batch{turn}")))
            alone = self._work / f"alone{turn}"
            alone.mkdir()
            each.append(sum(_seconds(partial(_streamseg, "run", path, "-o", alone / f"{path.stem}.png"))
                            for path in sorted(folder.iterdir())))
        return {"pictures": count, "batch_s": summary(batch), "run_s": summary(each),
                "times_as_fast": summary([slow / fast for slow, fast in zip(each, batch, strict=True)])}

    def inside(self) -> dict[str, Any]:
        """The same within one process, the model loaded once: what overlapping gives."""
        count = 3 if self._quick else self._pictures
        folder = self._work / "pictures"
        noise(folder, count)
        batch, loop = [], []
        for turn in range(self._repeats):
            batch.append(_seconds(partial(_batch, folder, self._work / f"batch{turn}")))
            loop.append(_seconds(partial(_loop, folder, self._work / f"loop{turn}")))
        return {"pictures": count, "batch_s": summary(batch), "run_s": summary(loop),
                "times_as_fast": summary([slow / fast for slow, fast in zip(loop, batch, strict=True)])}

    def workers(self) -> dict[str, Any]:
        """Seconds of 16 clips by the number of workers: each held to a core of its own, and, once, as they are, when
        a worker that is alone uses what the others leave idle."""
        count, most = (2, 2) if self._quick else (16, max(2, cores()))
        size, seconds = (TINY, 0.4) if self._quick else ((640, 360), 2.0)
        paths = [str(make_clip(self._work / f"clip{number}.mp4", size=size, seconds=seconds))
                 for number in range(count)]
        counts = sorted({1, 2, *(2 ** power for power in range(most.bit_length()) if 2 ** power <= most)})
        held: dict[int, list[Spent]] = {workers: [] for workers in counts}
        with connected(Crew(None, most, 1, 0.0, None)):
            for turn in range(self._repeats):
                for workers in counts:
                    held[workers].append(self._on_ray(paths, f"held{turn}-{workers}", workers, None))
            free = {workers: self._on_ray(paths, f"free{workers}", workers, None, held=False) for workers in counts}
        points = [{"workers": workers, "seconds": summary([spent.work for spent in turns]),
                   "speed_up": summary([one.work / spent.work for one, spent in zip(held[1], turns, strict=True)]),
                   "start_s": summary([spent.start for spent in turns]),
                   "cores": summary([spent.cores for spent in turns]),
                   "free_s": round(free[workers].work, 3), "free_cores": round(free[workers].cores, 3)}
                  for workers, turns in held.items()]
        return {"clips": count, "seconds": seconds, "two": points[1]["speed_up"],
                "alone_uses": points[0]["free_cores"], "free_two": summary([free[1].work / free[2].work]),
                "points": points}

    def split(self) -> dict[str, Any]:
        """Seconds of a film in one piece and in parts on 2 workers, each held to a core of its own."""
        size, seconds = (TINY, 4.0) if self._quick else ((480, 270), self._film)
        parts = 8 if self._quick else max(2, round(seconds / PART))
        film = [str(make_clip(self._work / "film.mp4", size=size, seconds=seconds))]
        whole, split = [], []
        with connected(Crew(None, 2, 1, 0.0, None)):
            for turn in range(self._repeats):
                whole.append(self._on_ray(film, f"whole{turn}", 1, None))
                split.append(self._on_ray(film, f"parts{turn}", 2, seconds / parts))
        return {"seconds": seconds, "parts": split[-1].parts, "twice": round(split[-1].twice / seconds, 4),
                "whole_s": summary([spent.work for spent in whole]),
                "parts_s": summary([spent.work for spent in split]),
                "survey_s": summary([spent.survey for spent in split]),
                "speed_up": summary([one.work / two.work for one, two in zip(whole, split, strict=True)]),
                "joining_share": summary([spent.join / spent.work for spent in split])}

    def ledger(self) -> dict[str, Any]:
        """Rows planned and ends written a second."""
        return {name: value for name, value in self._ledger().items() if name != "peak_rss_mib"}

    def memory(self) -> dict[str, Any]:
        """The peak of a driver that plans the rows of a list and writes ends."""
        return {name: value for name, value in self._ledger().items() if name in ("rows", "peak_rss_mib")}

    def _ledger(self) -> dict[str, Any]:
        rows = 2000 if self._quick else ROWS
        code = (f"from benchmarks.batches import ledger_figures; import json; "
                f"print(json.dumps(ledger_figures({str(self._work)!r}, {rows})))")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def messages(self) -> dict[str, Any]:
        """Empty tasks a second through one driver."""
        count = 50 if self._quick else 3000
        with connected(Crew(None, 1, 1, 0.0, None)) as ray:
            actor = ray.remote(_Echo).remote()
            job = {"source": "/archive/2024/05/camera-7/clip-000123.mp4", "sinks": ["/done/camera-7/clip-000123.mp4"],
                   "options": {"background": "blur"}}
            ray.get(actor.answer.remote(job))
            began, waiting = time.perf_counter(), [actor.answer.remote(job) for _ in range(8)]
            for _ in range(count):
                done, waiting = ray.wait(waiting, num_returns=1)
                ray.get(done[0])
                waiting.append(actor.answer.remote(job))
            rate = count / (time.perf_counter() - began)
        return {"tasks_a_second": round(rate, 1), "bytes_of_a_task": len(pickle.dumps(job)),
                "bytes_of_an_answer": len(pickle.dumps(_Echo().answer(job)))}

    def _on_ray(self, paths: list[str], name: str, workers: int, split: float | None, *, held: bool = True) -> Spent:
        """What workers took for so many files; Ray has been started."""
        out = self._work / name
        crew = Crew(None, workers, 1, 0.0, split)
        with Ledger(":memory:") as ledger, connected(crew) as ray:
            Planner(ledger, [str(out)], {"background": "blur"}).plan(
                Item(path, os.path.basename(path)) for path in paths)
            driver = TimedDriver(ray, ledger, crew, held=held)
            state = driver.run()
        if state.failed:
            raise SystemExit(f"{state.failures[0][0]}: {state.failures[0][1]}")
        return driver.spent()


class _Echo:
    """An actor that answers at once, with what a worker answers."""

    def answer(self, job: Mapping[str, Any]) -> Outcome:
        return Outcome("done", "1234567:1700000000000000000", "0" * 64, 250, 0, 31.5, 7.9, "found", None, "17")


def ledger_figures(work: str, rows: int) -> dict[str, Any]:
    """Plan ``rows`` rows of a list, and end 2,000 of them. Run in a process of its own: its memory is a figure."""
    path = os.path.join(work, "list.csv")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("input,output\n")
        stream.writelines(f"/archive/camera-{number % 97}/clip-{number:07}.mp4,{number:07}.mp4\n"
                          for number in range(rows))
    from streamseg.batch.lists import rows as read
    with Ledger(os.path.join(work, "ledger.sqlite")) as ledger:
        planner = Planner(ledger, [os.path.join(work, "out")], {"background": "blur"}, BatchOptions())
        spent = _seconds(lambda: planner.plan(read(path)))
        ends = min(rows, 2000)
        waiting = ledger.waiting()
        outcome = _Echo().answer(Job("", []).options)

        def finish() -> None:
            for _ in range(ends):
                ledger.finish(next(waiting).id, outcome)

        ending = _seconds(finish)
        size = os.path.getsize(os.path.join(work, "ledger.sqlite"))
    return {"rows": rows, "planned_a_second": round(rows / spent, 1), "ended_a_second": round(ends / ending, 1),
            "bytes_a_row": round(size / rows, 1), "peak_rss_mib": peak_rss_mib()}


def noise(folder: Path, count: int, size: tuple[int, int] = (1280, 720)) -> None:
    """So many JPEG files of soft noise in ``folder``, which is made; each another, or a batch would do them once."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        picture = cv2.resize(rng.integers(0, 255, (9, 16, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number:03}.jpg"), picture)


def _batch(folder: Path, out: Path) -> None:
    with Batch([str(folder)], [str(out)]) as batch:
        state = batch.run()
    assert state is not None
    if state.failed:
        raise SystemExit(f"{state.failures[0][0]}: {state.failures[0][1]}")


def _loop(folder: Path, out: Path) -> None:
    """As the batch, but a picture after the other."""
    out.mkdir()
    with closing(streamseg.load_model()) as model:
        for path in sorted(folder.iterdir()):
            streamseg.run(path, out / f"{path.stem}.png", method=model)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _streamseg(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "streamseg", *map(str, arguments), "-q"], check=True, capture_output=True)
