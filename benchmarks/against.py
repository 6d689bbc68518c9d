"""Today's build beside another: python -m benchmarks.against COMMIT [--only ROW ...] [--keep DIR] [--quick]

A git work tree of COMMIT ("old") and this one ("new") are installed into an environment each, as pip does it, and run
as processes on the same inputs, in turns; which of them is first changes with the turn. A ratio is new / old within a
turn. Both wall time and processor time (user and system) are told: other programs on the machine change the second
least. --keep DIR leaves the environments there and finds them again (this tree is installed anew each time);
--no-install takes this interpreter and its packages for both, and only the trees' own files differ.

Rows, and groups of rows, for --only; a later call adds its rows to the result of an earlier one of the same commits:

    film      solid, picture, blur, matte, three (composite, matte and cutout together)
    start     first frame, help, memory
    pictures  photos (files of a folder, in one process)
    live      live 720p30 with blur
    slow      slow (the same, each core held to half its speed)
    parallel  threads (two on two cores against one on one), files (4 at once against one after the other)
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from benchmarks import environments
from benchmarks.common import (
    FULL_HD,
    RESULTS,
    TINY,
    Bench,
    Must,
    Table,
    make_clip,
    ratios,
    shown,
    start,
    summary,
)
from benchmarks.environments import Environment
from benchmarks.live import HD
from benchmarks.memory import lengthen
from benchmarks.portraits import write_files
from benchmarks.processes import ProcessFailed, Spent, cores, finish, half_speed, spend
from benchmarks.processes import start as started
from streamseg.tools.compare import write_picture
from streamseg.tools.demo import painted

OLD, NEW = "old", "new"
FILES = 4
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """``measure`` gives a build's figures of one turn; ``musts``: what is wanted of them."""

    name: str
    group: str
    what: str
    measure: Callable[[Stand, Build], Figures]
    musts: Sequence[Must] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """streamseg of one commit in an environment."""

    name: str
    environment: Environment

    def run(self, *words: str | Path, on: Sequence[int] | None = None) -> Spent:
        """`streamseg WORDS` to its end; ``on`` as of processes.spend."""
        return spend(self.words(*words), env=self.environment.env, on=on)

    def words(self, *words: str | Path) -> list[str | Path]:
        """The command line of `streamseg WORDS`."""
        return [self.environment.python, "-P", "-m", "streamseg", *words]


@dataclass(frozen=True)
class Size:
    """How much is measured: seconds of the film, of the one for many runs, and of a live run; photos."""

    film: float = 6.0
    short: float = 3.0
    live: float = 20.0
    photos: int = 24
    quick: bool = False


class Stand:
    """The inputs, made when they are first needed, and the rows' measurements."""

    def __init__(self, work: Path, size: Size) -> None:
        self._work, self.size, self._made = work, size, dict[str, Path]()
        self.held: dict[str, Any] = {}

    # --- inputs -------------------------------------------------------------------------------

    def clip(self, seconds: float, size: tuple[int, int] = FULL_HD) -> Path:
        """A made clip at 30 frames a second."""
        name = f"{size[1]}p{seconds:g}"
        return self._once(name, lambda: make_clip(self._work / f"{name}.mp4", seconds=seconds,
                                                  size=TINY if self.size.quick else size))

    def paced(self) -> Path:
        """A clip of 720p30 that is longer than a live run."""
        def make() -> Path:
            piece = self.clip(min(10.0, self.size.live), HD)
            return lengthen(piece, self._work / "paced.mp4", 2 + int(self.size.live / 10))

        return self._once("paced", make)

    def picture(self) -> Path:
        """A background picture."""
        def make() -> Path:
            path = self._work / "background.png"
            write_picture(painted(TINY), path, overwrite=True)
            return path

        return self._once("picture", make)

    def photos(self) -> list[Path]:
        """JPEG files of people and of heads with hair, 1920 x 1080."""
        def make() -> Path:
            write_files(self._work / "photos", self.size.photos, TINY if self.size.quick else None)
            return self._work / "photos"

        return sorted(self._once("photos", make).iterdir())

    def _once(self, name: str, make: Callable[[], Path]) -> Path:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def _target(self, build: Build, name: str) -> Path:
        return self._work / build.name / name

    # --- rows ---------------------------------------------------------------------------------

    def film(self, build: Build, *options: str | Path, clip: Path | None = None, target: str = "out.mp4",
             on: Sequence[int] | None = None) -> Figures:
        """`streamseg run` of a 1080p30 clip, start-up and all."""
        out: list[str | Path] = ["-o", self._target(build, target)] if target else []
        spent = build.run("run", clip or self.clip(self.size.film), *out, *options, "--overwrite", "--json", on=on)
        report = _report(spent)
        return {"fps": report["frames"] / spent.wall_s, "wall_s": spent.wall_s, "cpu_s": spent.cpu_s,
                "rss_mib": spent.rss_mib}

    def matte(self, build: Build) -> Figures:
        """The matte alone, as FFV1."""
        return self.film(build, "--matte", self._target(build, "matte.mkv"), target="")

    def three(self, build: Build) -> Figures:
        """Composite, matte and a cutout with alpha in one pass."""
        return self.film(build, "--background", "green", "--matte", self._target(build, "matte.mkv"), "--cutout",
                         self._target(build, "cutout.mov"))

    def photos_row(self, build: Build) -> Figures:
        """A folder's files as cutouts, in one process."""
        files = self.photos()
        spent = build.run("run", *files, "-o", f"{self._target(build, 'photos')}/", "--background", "none",
                          "--overwrite", "--quiet")
        return {"pictures_a_second": len(files) / spent.wall_s, "wall_s": spent.wall_s, "cpu_s": spent.cpu_s,
                "rss_mib": spent.rss_mib}

    def first_frame(self, build: Build) -> Figures:
        """Seconds from the process's start to the first frame written (and its end: some milliseconds)."""
        spent = build.run("run", self.clip(self.size.film), "-o", self._target(build, "first.mp4"), "--background",
                          "green", "--duration", "0.5", "--overwrite", "--json")
        report = _report(spent)
        return {"first_frame_s": spent.wall_s - report["elapsed"] + report["first_frame_s"],
                "wall_s": spent.wall_s, "cpu_s": spent.cpu_s}

    def help(self, build: Build) -> Figures:
        """`streamseg --help`: the mean of five."""
        found = [build.run("--help") for _ in range(5)]
        return {"wall_s": sum(item.wall_s for item in found) / 5, "cpu_s": sum(item.cpu_s for item in found) / 5}

    def memory(self, build: Build) -> Figures:
        """Peak RSS of a run."""
        return {"rss_mib": self.film(build, "--background", "green")["rss_mib"]}

    def live(self, build: Build) -> Figures:
        """`streamseg live` of a file at its own pace, to nothing; without the processor time that decoding it took."""
        seconds = self.size.live
        spent = build.run("live", self.paced(), "--realtime", "--to", "null", "--background", "blur", "--duration",
                          f"{seconds:g}", "--json")
        report = json.loads(spent.out)
        pictures = report["frames"] + report["dropped"]
        decoding = 100 * self._decoding() * pictures / report["seconds"]
        return {"fps": report["fps"], "p95_ms": report["latency_ms"]["p95"],
                "cpu_percent": report["cpu_percent"] - decoding, "rss_mib": report["rss_mib"],
                "dropped_percent": 100 * report["dropped"] / max(1, pictures), "cpu_s": spent.cpu_s}

    def _decoding(self) -> float:
        """Processor seconds a frame of decoding the paced clip in one thread."""
        if "decoding" not in self.held:
            begin = time.thread_time()
            with av.open(str(self.paced())) as source:
                source.streams.video[0].thread_count = 1
                count = sum(1 for _ in zip(range(150), source.decode(video=0), strict=False))
            self.held["decoding"] = (time.thread_time() - begin) / count
        return float(self.held["decoding"])

    def slow(self, build: Build) -> Figures:
        """The same beside a busy process on each core."""
        with half_speed(cores()) as half:
            found = self.live(build)
        self.held["half"] = half.how
        return {**found, "share_of_the_cores": half.left[0]}

    def threads(self, build: Build) -> Figures:
        """Two threads on two cores against one thread on one core."""
        clip, mine = self.clip(self.size.short), cores()
        found = {count: self.film(build, "--background", "green", "--threads", str(count), clip=clip, on=mine[:count])
                 for count in (1, 2)}
        return {"one_fps": found[1]["fps"], "two_fps": found[2]["fps"],
                "times": found[2]["fps"] / found[1]["fps"], "one_cpu_s": found[1]["cpu_s"],
                "two_cpu_s": found[2]["cpu_s"]}

    def files(self, build: Build) -> Figures:
        """FILES runs, a process each, at once and one after the other, on two cores."""
        clip, on = self.clip(self.size.short), cores()[:2]
        begin = time.perf_counter()
        after = [self.film(build, "--background", "green", clip=clip, on=on) for _ in range(FILES)]
        middle = time.perf_counter()
        running = [started(build.words("run", clip, "-o", self._target(build, f"{number}.mp4"), "--background",
                                       "green", "--overwrite", "--json"), env=build.environment.env, on=on)
                   for number in range(FILES)]
        at_once = [finish(item) for item in running]
        end = time.perf_counter()
        return {"after_s": middle - begin, "at_once_s": end - middle, "times": (middle - begin) / (end - middle),
                "after_cpu_s": sum(item["cpu_s"] for item in after),
                "at_once_cpu_s": sum(item.cpu_s for item in at_once),
                "rss_mib_together": sum(item.rss_mib for item in at_once)}


def _report(spent: Spent) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(spent.out)["runs"][0]
    if "error" in run:
        raise ProcessFailed(run["error"]["message"])
    return run


ROWS = (
    Row("solid", "film", "1080p30, solid background", lambda stand, build: stand.film(build, "--background", "green")),
    Row("picture", "film", "1080p30, picture background",
        lambda stand, build: stand.film(build, "--background", stand.picture())),
    Row("blur", "film", "1080p30, blur", lambda stand, build: stand.film(build, "--background", "blur")),
    Row("matte", "film", "1080p30, matte alone, FFV1", Stand.matte),
    Row("three", "film", "1080p30, composite + matte + cutout (.mov)", Stand.three),
    Row("photos", "pictures", "photos, 1920 x 1080, cutouts", Stand.photos_row,
        [Must("pictures_a_second", ">=", 4.0, "old")]),
    Row("first frame", "start", "first frame of `run`", Stand.first_frame, [Must("first_frame_s", "<=", 0.6, "old")]),
    Row("help", "start", "`--help`", Stand.help, [Must("wall_s", "<=", 0.8, "old")]),
    Row("memory", "start", "peak RSS of `run`, 1080p", Stand.memory, [Must("rss_mib", "<=", 0.7, "old")]),
    Row("live", "live", "live, 720p30, blur", Stand.live,
        [Must("cpu_percent", "<=", 0.65, "old"), Must("p95_ms", "<=", 0.8, "old"), Must("rss_mib", "<=", 0.7, "old")]),
    Row("slow", "slow", "live, 720p30, blur, half of each core", Stand.slow,
        [Must("fps", ">=", 29.85), Must("dropped_percent", "<=", 0.5), Must("p95_ms", "<=", 0.5, "old")]),
    Row("threads", "parallel", "two threads on two cores, one on one", Stand.threads, [Must("times", ">=", 1.7)]),
    Row("files", "parallel", f"{FILES} files at once, one after the other", Stand.files, [Must("times", ">=", 1.0)]),
)
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))


def measure(stand: Stand, builds: Sequence[Build], rows: Sequence[Row], repeats: int) -> dict[str, Any]:
    """By row: the figures of each build, their ratios, and what was wanted of them."""
    turns: dict[str, dict[str, list[Figures]]] = {row.name: {OLD: [], NEW: []} for row in rows}
    for turn in range(repeats):
        for row in rows:
            for build in builds if turn % 2 == 0 else reversed(builds):
                found = row.measure(stand, build)
                turns[row.name][build.name].append(found)
                line = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
                print(f"  {turn + 1}/{repeats} {row.name}, {build.name}: {line}", file=sys.stderr, flush=True)
    return {row.name: told(row, turns[row.name]) for row in rows}


def told(row: Row, turns: Mapping[str, Sequence[Figures]]) -> dict[str, Any]:
    """A row of the result. A ratio is left out where an old figure is 0, as of frames dropped."""
    values = {build: {name: [turn[name] for turn in found] for name in found[0]} for build, found in turns.items()}
    made: dict[str, Any] = {"what": row.what, **{build: {name: summary(item) for name, item in figures.items()}
                                                 for build, figures in values.items()}}
    made["ratio"] = {name: ratios(values[NEW][name], old) for name, old in values[OLD].items() if min(old) > 0}
    return made


def met(row: Mapping[str, Any], must: Must) -> bool | None:
    """Whether a row of the result is what was wanted; None where there is no ratio."""
    found = row["ratio" if must.of else NEW].get(must.figure)
    return None if found is None else must.met(found["median"])


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's table: ``against``."""
    lines = []
    musts = {row.name: row.musts for row in ROWS}
    for name, row in result["rows"].items():
        for figure in row[NEW]:
            own = [must for must in musts[name] if must.figure == figure]
            wanted = ", ".join(str(must) for must in own)
            mark = "" if not own else " yes" if all(met(row, must) for must in own) else " no"
            lines.append((row["what"], figure, *(f"{row[build][figure]['median']:.2f}" for build in (OLD, NEW)),
                          shown(row["ratio"][figure]) if figure in row["ratio"] else "", wanted + mark))
    return {"against": Table(("", "figure", f"old ({result['against']})", "new", "new / old (min to max)", "wanted"),
                             lines)}


@contextmanager
def builds(commit: str, keep: Path | None, *, install: bool) -> Iterator[list[Build]]:
    """The old build and the new one."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tree = stack.enter_context(environments.worktree(commit, work / "tree"))
        if not install:
            here = Path(sys.executable)
            yield [Build(name, Environment(here, {"PYTHONPATH": str(path)}))
                   for name, path in ((OLD, tree), (NEW, environments.ROOT))]
            return
        folder = keep or work
        folder.mkdir(parents=True, exist_ok=True)
        old = environments.installed(folder / f"at-{commit}", [str(tree)], tree / "constraints.txt")
        root = environments.ROOT
        new = environments.installed(folder / "new", [str(root)], root / "constraints.txt", again=[str(root)])
        yield [Build(OLD, old), Build(NEW, new)]


def chosen_rows(words: Sequence[str] | None) -> list[Row]:
    """The rows named by themselves or by their group. Raises ValueError for another name."""
    known = {*GROUPS, *(row.name for row in ROWS)}
    if unknown := [word for word in words or () if word not in known]:
        raise ValueError(f"--only names {unknown[0]!r}; rows are {', '.join(row.name for row in ROWS)}, groups "
                         f"{', '.join(GROUPS)}")
    return [row for row in ROWS if not words or row.name in words or row.group in words]


def earlier(path: Path, commit: str | None, against: str) -> dict[str, Any]:
    """Rows of a result of the same two commits, and how they were made; else none."""
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if (found.get("commit"), found.get("against")) == (commit, against) and "dirty" not in str(commit):
            return {"rows": found["rows"], "commands": found["commands"]}
    return {"rows": {}, "commands": []}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("against", __doc__)
    add = bench.parser.add_argument
    add("against", metavar="COMMIT", help="the old build, as 5659d4a")
    add("--only", nargs="+", metavar="ROW", help="rows or groups, default all")
    add("--keep", type=Path, metavar="DIR", help="where the environments stay, default nowhere")
    add("--no-install", action="store_true", help="run the trees' files with this interpreter")
    add("--photos", type=int, default=Size.photos, help="files in the folder, default %(default)s")
    add("--live-seconds", type=float, default=Size.live, help="of a live run, default %(default)g")
    chosen = bench.parse(words)
    try:
        rows = chosen_rows(chosen.only)
    except ValueError as error:
        bench.parser.error(str(error))
    commit = environments.commit_of(chosen.against)
    size = Size(0.5, 0.3, 2.0, 2, quick=True) if chosen.quick else Size(photos=chosen.photos, live=chosen.live_seconds)
    with tempfile.TemporaryDirectory() as folder, \
            builds(commit, chosen.keep, install=not chosen.no_install) as made:
        stand = Stand(Path(folder), size)
        for build in made:
            (Path(folder) / build.name).mkdir()
        found = measure(stand, made, rows, chosen.repeats)
    before = earlier((chosen.out or RESULTS) / "against.json", bench.commit(), commit)
    result = {"against": commit, "installed": not chosen.no_install, "half_speed": stand.held.get("half"),
              "photos": size.photos, "live_seconds": size.live,
              "commands": [*before["commands"], bench.command()], "rows": {**before["rows"], **found}}
    print(tables(result)["against"].markdown())
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
