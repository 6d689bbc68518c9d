"""What a run measured."""

from __future__ import annotations

import math
import re
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Stopwatch:
    """Collects how long each stage took a frame. A stage is timed by one thread only."""

    def __init__(self) -> None:
        self._seconds: dict[str, array[float]] = {}

    @contextmanager
    def measure(self, stage: str, frames: int = 1) -> Iterator[None]:
        """Count the block's time to ``stage``, shared out over ``frames``."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.count(stage, time.perf_counter() - begin, frames)

    def count(self, stage: str, seconds: float, frames: int = 1) -> None:
        """Count ``seconds`` to ``stage``, shared out over ``frames``."""
        self._seconds.setdefault(stage, array("f")).extend([seconds / max(frames, 1)] * frames)

    def timed(self, stage: str, items: Iterator[T]) -> Iterator[T]:
        """``items``, with the time that each takes to come counted to ``stage``."""
        while True:
            try:
                with self.measure(stage):
                    item = next(items)
            except StopIteration:
                self._seconds[stage].pop()  # the wait for the end is no frame's time
                return
            yield item

    def stages(self) -> dict[str, Stage]:
        """Median and 95th percentile of each stage, in the order in which they were first entered."""
        found = {}
        for name, seconds in self._seconds.items():
            if len(seconds):
                ordered = sorted(seconds)
                p50, p95 = (round(_quantile(ordered, share) * 1e3, 3) for share in (0.5, 0.95))
                found[name] = Stage(p50, p95, round(math.fsum(seconds), 3))
        return found


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Of sorted numbers, as np.quantile, whose first call loads numpy.ma and takes 15 ms."""
    below, part = divmod(share * (len(ordered) - 1), 1)
    low, high = ordered[int(below)], ordered[min(int(below) + 1, len(ordered) - 1)]
    return low + (high - low) * part


@dataclass(frozen=True, slots=True)
class Stage:
    """Milliseconds a frame (median, 95th percentile) and seconds in all."""

    p50_ms: float
    p95_ms: float
    total_s: float


@dataclass(frozen=True, slots=True)
class Queue:
    """A hand-over between two threads: what it holds, the most that waited in it, what was dropped."""

    capacity: int
    high_water: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Output:
    """A file that was written; ``bytes`` is None where there is no size (pipes, windows)."""

    path: str
    kind: str
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Subject:
    """Whether a subject was found.

    state     'found'; 'grey': all that was found is half transparent all over, which says nothing; or 'none'
    frames    share of the frames in which there was one, 0..1
    largest   of these the largest share of the picture that it covered (alpha above one half), 0..1
    """

    state: str
    frames: float
    largest: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did and how fast. Times in seconds unless the name says ms; ``runs_on`` names the device
    of the method, and the runtime where it has one."""

    input: str
    method: str
    runs_on: str
    frames: int
    elapsed: float
    fps: float
    first_frame_s: float | None
    stages: dict[str, Stage] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    damaged: int = 0
    dropped: int = 0
    peak_rss_mib: float | None = None
    mattes: dict[str, int] = field(default_factory=dict)
    """How many were computed, carried along with the picture (--every), kept (--skip-still); empty where
    every frame had its own."""
    notes: list[str] = field(default_factory=list)
    subject: Subject | None = None
    """None where no mattes were looked at."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, numbers and strings, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: frames written, the total if it is known, seconds since it began, and what the
    method runs on. The first is of 0 frames, when everything is open and loaded.

    ``expected_bytes`` is about what the outputs will have together at the end; None where no film is written
    to a file (a pipe, pictures), where the total is not known, and until enough has been written to tell.
    """

    frames: int
    total: int | None
    elapsed: float
    runs_on: str = "the CPU"
    expected_bytes: int | None = None

    @property
    def fps(self) -> float:
        return self.frames / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds to go, None while unknown."""
        if not self.total or not self.frames:
            return None
        return max(0, self.total - self.frames) / self.fps


class Forecast:
    """What films will take on the disk at the end, told from how the ``files`` grow that they are written to.

    An encoder holds some frames back all the time, and a muxer writes in gulps: 256 KB, Matroska up to 5 s of
    film. So a file's bytes a frame are counted from one gulp to a later one: what is held back is the same at
    both, and falls out.
    """

    EVERY = 8          # frames between two looks at the files: a gulp is seen about when it comes
    SECONDS = 3.0      # of film, and
    BYTES = 1_000_000  # between the two gulps: with less the last gulp's size decides
    HEAD = 65_536      # bytes that may be the file's head alone, written long before the first frame

    def __init__(self, files: Sequence[Path], total: int | None, rate: Fraction | None) -> None:
        self._files, self._total = files if total else (), total or 0
        self._least_frames = self.SECONDS * float(rate or 25)
        self._gulps: dict[Path, list[tuple[int, int]]] = {}  # (frames, bytes) at the first and the last

    def at(self, frames: int) -> int | None:
        """The bytes that all files will have together, after so many frames; None if that cannot be told."""
        if frames % self.EVERY == 0:
            for file in self._files:
                self._look(file, frames)
        sizes = [self._expected(file) for file in self._files]
        return sum(size for size in sizes if size is not None) if sizes and None not in sizes else None

    def _look(self, file: Path, frames: int) -> None:
        try:
            size = file.stat().st_size
        except OSError:  # no reason to end a run
            return
        gulps = self._gulps.setdefault(file, [])
        if size > (gulps[-1][1] if gulps else self.HEAD):
            self._gulps[file] = [*gulps[:1], (frames, size)]

    def _expected(self, file: Path) -> int | None:
        gulps = self._gulps.get(file, [])
        if len(gulps) < 2:
            return None
        (first, before), (last, size) = gulps
        if last - first < self._least_frames or size - before < self.BYTES:
            return None
        return max(size, round((size - before) / (last - first) * self._total))


def peak_rss_mib() -> float | None:
    """The process's largest resident set so far in MiB, None where the system does not tell."""
    # On Linux getrusage counts in what the program that started this one held: exec hands it on.
    status = Path("/proc/self/status")
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE) if status.exists() else None
    if found is not None:
        return int(found[1]) / 2 ** 10
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2 ** 20 if sys.platform == "darwin" else 2 ** 10)
