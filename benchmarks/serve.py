"""Does the server keep up, and lose nothing: python -m benchmarks.serve [--only one,many,...] [--quick]

A server is a process of its own (`streamseg serve`), and so is a watch. Parts, each with its own figures:

    one      a picture at a time: the request's time beside that of the same work in this process
    many     16 clients at once: throughput beside `run` of a folder with the same pictures; p50 and p95
    soak     --requests small pictures, a tenth of them broken: RSS, threads and open files over time
    idle     memory and CPU of a server that does nothing, once the method is let go
    kill     10 films, the server killed (SIGKILL) at --moments moments: which were done, which twice
    watch    --files pictures copied in pieces and by renames into a watched folder, killed in between
    fuzz     --uploads mutated uploads: which statuses they get
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import psutil

from benchmarks.common import Bench, Must, Table, make_clip, start
from streamseg import segment
from streamseg.cli import cli
from streamseg.core.opencv import cv2
from streamseg.options import Options
from streamseg.serve import engine
from streamseg.watch.ledger import Ledger

PARTS = ("one", "many", "soak", "idle", "kill", "watch", "fuzz")
CLIENTS, FILMS, SEED = 16, 10, 22
FAST = {"method": "threshold"}


class Server:
    """`streamseg serve` as a process."""

    def __init__(self, folder: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "streamseg", "serve", "--json", "--quiet", "--port", "0", "--folder",
                   str(folder), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            with suppress(ValueError):
                self.port = int(json.loads(text)["address"].rstrip("/").rpartition(":")[2])
                return
        raise RuntimeError(f"the server ended with {self.process.wait()}")

    def ready(self) -> Server:
        """Wait until it has made a picture."""
        while self.get("/readyz")[0] != 200:
            time.sleep(0.2)
        return self

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, *,
            line: http.client.HTTPConnection | None = None) -> tuple[int, bytes]:
        """(status, body) of a request."""
        connection = line or http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        found = answer.status, answer.read()
        if line is None:
            connection.close()
        return found

    def get(self, path: str) -> tuple[int, bytes]:
        """(status, body)."""
        return self.ask("GET", path)

    def post(self, path: str, data: bytes, fields: Mapping[str, str] | None = None, *,
             line: http.client.HTTPConnection | None = None) -> tuple[int, bytes]:
        """A file as a form."""
        parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
            name.encode(), value.encode()) for name, value in (fields or {}).items())
        parts += b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + data + b"\r\n--b--\r\n"
        return self.ask("POST", path, parts, {"Content-Type": "multipart/form-data; boundary=b"}, line=line)

    def end(self, *, kill: bool = False) -> None:
        """Stop it."""
        self.process.kill() if kill else self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def served(work: Path, *flags: str) -> Iterator[Server]:
    """A server with a folder of its own."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        server = Server(Path(folder), *flags)
        try:
            yield server.ready()
        finally:
            server.end()


def pictures(work: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """JPEGs of a moving person."""
    folder = work / "pictures"
    folder.mkdir()
    clip = make_clip(work / "people.mp4", size=size, seconds=max(1.0, count / 25))
    made = []
    with av.open(str(clip)) as source:
        for number, frame in zip(range(count), source.decode(video=0), strict=False):
            made.append(folder / f"{number:04d}.jpg")
            cv2.imwrite(str(made[-1]), frame.to_ndarray(format="bgr24"))
    return made


def one(work: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """The request's time beside that of the same steps in this process."""
    paths = pictures(work, 4 if chosen.quick else 20, chosen.size)
    own, method = [], segment.create_segmenter("default", {}, stills=True)

    def alone(path: Path) -> float:
        began = time.perf_counter()
        picture = engine.read(path, "the picture")
        method.reset()
        frames, _ = engine.finish(picture, method.segment([picture.frame])[0], ["cutout"], Options())
        engine.encode(frames["cutout"], ".png", "cutout")
        return time.perf_counter() - began

    with served(work) as server:
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        times = []
        for turn, path in enumerate([paths[0], *paths]):
            own.append(alone(path))
            began = time.perf_counter()
            status, _ = server.post("/v1/pictures", path.read_bytes(), line=line)
            times.append(time.perf_counter() - began)
            if status != 200:
                raise RuntimeError(f"picture {turn} was answered {status}")
    method.close()
    own, times = own[1:], times[1:]  # the first loads
    more = [there - here for there, here in zip(times, own, strict=True)]
    return {"pictures": len(paths), "own_ms": _ms(own), "request_ms": _ms(times), "more_ms": _ms(more)}


def many(work: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """16 clients beside `run` of the folder, in turns."""
    paths = pictures(work, 8 if chosen.quick else chosen.pictures, chosen.size)
    turns = []
    with served(work) as server:
        for turn in range(chosen.repeats):
            with tempfile.TemporaryDirectory(dir=work) as out:
                began = time.perf_counter()
                if cli(["run", str(paths[0].parent), "-o", f"{out}/out/", "--background", "none", "--quiet"]):
                    raise RuntimeError("the folder was not done")
                folder = len(paths) / (time.perf_counter() - began)
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                began = time.perf_counter()
                answers = list(pool.map(lambda path: _timed(server, path), paths))
                rate = len(paths) / (time.perf_counter() - began)
            lost = sum(status != 200 for status, _ in answers)
            turns.append({"folder_pictures_s": folder, "server_pictures_s": rate, "ratio": rate / folder, "lost": lost,
                          "ms": _ms([seconds for _, seconds in answers])})
            print(f"  {turn + 1}: {rate:.2f} of {folder:.2f} pictures a second", file=sys.stderr)
    return {"clients": CLIENTS, "pictures": len(paths), "turns": turns,
            "ratio": float(np.median([turn["ratio"] for turn in turns]))}


def _timed(server: Server, path: Path) -> tuple[int, float]:
    began = time.perf_counter()
    status, _ = server.post("/v1/pictures", path.read_bytes())
    return status, time.perf_counter() - began


def soak(work: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """RSS, threads and files of a server over many requests."""
    count = 60 if chosen.quick else chosen.requests
    (path,) = pictures(work, 1, (96, 64))
    data, rows, statuses = path.read_bytes(), [], Counter[int]()
    with served(work) as server:
        process = psutil.Process(server.process.pid)
        line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        for number in range(count):
            broken = number % 10 == 9
            status, _ = server.post("/v1/pictures", data[:len(data) // 2] if broken else data, line=line)
            statuses[status] += 1
            if number % max(1, count // 50) == 0:
                rows.append((number, process.memory_info().rss / 2 ** 20, process.num_threads(), process.num_fds()))
    late = np.array([row for row in rows if row[0] >= count / 10])
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) * 1000
    return {"requests": count, "statuses": {str(code): number for code, number in statuses.items()},
            "rss_mib_first": rows[0][1], "rss_mib_last": rows[-1][1], "rss_mib_a_thousand_after_a_tenth": slope,
            "threads": [int(late[0, 2]), int(late[-1, 2])], "files": [int(late[0, 3]), int(late[-1, 3])]}


def idle(work: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """A server that made some pictures and then does nothing."""
    paths, seconds = pictures(work, 2, chosen.size), 5 if chosen.quick else 60
    with served(work, "--idle", "1") as server:
        process = psutil.Process(server.process.pid)
        for path in paths:
            server.post("/v1/pictures", path.read_bytes())
        busy = process.memory_info().rss / 2 ** 20
        while b"\nstreamseg_method_loaded 1" in server.get("/metrics")[1]:
            time.sleep(0.2)
        time.sleep(2)
        before = process.cpu_times()
        time.sleep(seconds)
        after = process.cpu_times()
        return {"busy_rss_mib": busy, "rss_mib": process.memory_info().rss / 2 ** 20, "seconds": seconds,
                "cores": (after.user + after.system - before.user - before.system) / seconds}


def kill(work: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Films that are handed in to a server that is killed again and again."""
    moments, count = (2, 2) if chosen.quick else (chosen.moments, FILMS)
    numbers, home, accepted = random.Random(SEED), work / "home", list[str]()
    films = [make_clip(work / f"{number}.mp4", size=(160, 90), seconds=0.4 + number / 10).read_bytes()
             for number in range(count)]
    server = Server(home)
    for _ in range(moments):
        moment = threading.Timer(numbers.uniform(0.1, 4.0), server.process.kill)
        moment.start()
        with suppress(OSError, http.client.HTTPException):
            while len(accepted) < count:
                status, body = server.post("/v1/jobs", films[len(accepted)], {"output": "out.mkv", **FAST})
                if status == 201:
                    accepted.append(json.loads(body)["id"])
        moment.join()
        server.end(kill=True)
        server = Server(home)
    for film in films[len(accepted):]:
        accepted.append(json.loads(server.post("/v1/jobs", film, {"output": "out.mkv", **FAST})[1])["id"])
    while any(job["state"] not in ("done", "failed") for job in _jobs(server)):
        time.sleep(0.2)
    jobs = {job["id"]: job for job in _jobs(server)}
    whole = sum(jobs[id]["state"] == "done" for id in accepted if id in jobs)
    left = [path.name for id in jobs for path in (home / "jobs" / id).iterdir() if path.name != "outputs"]
    server.end()
    return {"moments": moments, "films": count, "accepted": len(accepted), "lost": len(set(accepted) - set(jobs)),
            "whole": whole, "failed": sum(job["state"] == "failed" for job in jobs.values()), "left": len(left)}


def _jobs(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.get("/v1/jobs")[1])["jobs"]
    return found


def watch(work: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Pictures that come slowly into a watched folder; the watch is killed in between."""
    count, inbox, out = (20 if chosen.quick else chosen.files), work / "in", work / "out"
    inbox.mkdir()
    (path,) = pictures(work, 1, (96, 64))
    data, numbers = path.read_bytes(), random.Random(SEED)
    command = [sys.executable, "-m", "streamseg", "watch", str(inbox), str(out), "--method", "threshold", "--settle",
               "1", "--rescan", "2", "--quiet"]
    coming = threading.Thread(target=_come, args=(inbox, data, count, numbers))
    coming.start()
    kills = 0
    while coming.is_alive():
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(numbers.uniform(2.0, 8.0))
        process.kill()
        process.wait()
        kills += 1
    subprocess.run([*command, "--once"], check=True)
    made = [item for item in out.rglob("*.png")
            if not any(part.startswith(".") for part in item.relative_to(out).parts)]
    cut = sum(cv2.imread(str(item), cv2.IMREAD_UNCHANGED) is None for item in made)
    with Ledger(out, owner=False) as ledger:
        return {"files": count, "outputs": len(made), "cut": cut, "kills": kills, **ledger.counts()}


def _come(inbox: Path, data: bytes, count: int, numbers: random.Random) -> None:
    for number in range(count):
        place = inbox / str(number % 10) / f"{number}.jpg"
        place.parent.mkdir(exist_ok=True)
        writing = place if number % 2 else place.with_name(place.name + ".part")
        with writing.open("wb") as file:
            middle = numbers.randrange(len(data))
            for piece in (data[:middle], data[middle:]):
                file.write(piece)
                file.flush()
                time.sleep(0.02)
        if writing != place:
            writing.rename(place)


def fuzz(work: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Mutated pictures to all dialects, and mutated films."""
    count, numbers, statuses = (40 if chosen.quick else chosen.uploads), random.Random(SEED), Counter[str]()
    (path,) = pictures(work, 1, (96, 64))
    rgb: Any = cv2.imread(str(path))
    whole = [cv2.imencode(ending, rgb)[1].tobytes() for ending in (".jpg", ".png", ".webp", ".tiff", ".bmp")]
    film = (work / "people.mp4").read_bytes()
    with served(work) as server:
        for number in range(count):
            if number % 40 == 0:
                status, _ = server.post("/v1/jobs", mutated(film, numbers), FAST)
            else:
                status, _ = server.post("/v1/pictures", mutated(numbers.choice(whole), numbers), FAST)
            statuses[str(status)] += 1
        alive = server.get("/healthz")[0] == 200
    return {"uploads": count, "statuses": dict(sorted(statuses.items())), "alive": alive}


def mutated(data: bytes, numbers: random.Random) -> bytes:
    """The data with some bytes changed, cut off, doubled or taken out."""
    made = bytearray(data)
    for _ in range(numbers.randint(1, 12)):
        length = max(1, len(made))
        at = numbers.randrange(min(length, numbers.choice((64, 1024, length))))
        match numbers.randrange(4):
            case 0:
                made[at:at + 1] = bytes([numbers.randrange(256)])
            case 1:
                made = made[:max(at, 8)]
            case 2:
                made[at:at] = made[at:at + 50]
            case _:
                del made[at:at + numbers.randint(1, 40)]
    return bytes(made)


def _ms(seconds: Sequence[float]) -> dict[str, float]:
    p50, p95 = (float(value) for value in np.percentile(np.array(seconds) * 1000, (50, 95)))
    return {"p50": round(p50, 1), "p95": round(p95, 1)}


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's tables: ``serve``."""
    rows: list[tuple[str, str, str]] = []

    def add(what: str, found: float, sign: Literal[">=", "<="], limit: float, form: str = "{:.0f}") -> None:
        must = Must("", sign, limit)
        rows.append((what, form.format(found), f"{must} {'yes' if must.met(found) else 'no'}"))

    if one := result.get("one"):
        add("1 client: more than the picture's own time, p95, ms", one["more_ms"]["p95"], "<=", 30)
    if many := result.get("many"):
        add(f"{CLIENTS} clients: throughput over `run FOLDER`", many["ratio"], ">=", 0.9, "{:.2f}")
    if soak := result.get("soak"):
        add(f"{soak['requests']:,} requests: RSS a thousand, after the first tenth, MiB",
            soak["rss_mib_a_thousand_after_a_tenth"], "<=", 0, "{:+.2f}")
    if idle := result.get("idle"):
        add("idle: MiB", idle["rss_mib"], "<=", 300)
        add("idle: % of a core", 100 * idle["cores"], "<=", 1, "{:.1f}")
    if kill := result.get("kill"):
        add(f"killed at {kill['moments']} moments, {kill['films']} films: not whole", kill["films"] - kill["whole"],
            "<=", 0)
    if watch := result.get("watch"):
        add(f"watch, {watch['files']:,} files, killed {watch['kills']} times: outputs missing or cut",
            watch["files"] - watch["outputs"] + watch["cut"], "<=", 0)
    if fuzz := result.get("fuzz"):
        add(f"{fuzz['uploads']:,} mutated uploads: answered 500",
            sum(number for code, number in fuzz["statuses"].items() if code.startswith("50")), "<=", 0)
    return {"serve": Table(("", "measured", "wanted"), rows)}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("serve", __doc__)
    add = bench.parser.add_argument
    add("--only", default=",".join(PARTS), help="parts, default all: %(default)s")
    add("--size", type=int, nargs=2, default=(1280, 720), metavar=("WIDTH", "HEIGHT"))
    add("--pictures", type=int, default=64, help="pictures of part many, default %(default)s")
    add("--requests", type=int, default=10_000, help="requests of part soak, default %(default)s")
    add("--moments", type=int, default=20, help="kills of part kill, default %(default)s")
    add("--files", type=int, default=1000, help="files of part watch, default %(default)s")
    add("--uploads", type=int, default=2000, help="uploads of part fuzz, default %(default)s")
    chosen = bench.parse(words)
    chosen.size = (160, 90) if chosen.quick else tuple(chosen.size)
    result: dict[str, Any] = {"size": chosen.size}
    parts = {"one": one, "many": many, "soak": soak, "idle": idle, "kill": kill, "watch": watch, "fuzz": fuzz}
    for name in chosen.only.split(","):
        work = Path(tempfile.mkdtemp())
        try:
            result[name] = parts[name](work, chosen)
            print(f"{name}: {json.dumps(result[name])}", file=sys.stderr, flush=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    bench.save(result, chosen.out)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))
    start(main)
