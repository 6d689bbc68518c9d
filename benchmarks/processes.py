"""Programs as processes, measured from outside: wall time, processor time, memory. A process can be held to some
cores, or to half of each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from streamseg.errors import StreamsegError

LAUNCHER = Path(__file__).with_name("launcher.py")
AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")
LONGEST = 900.0  # seconds that a program may take


class ProcessFailed(StreamsegError):
    """A program that was measured ended with an error, or not in time."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process and those that it waited for took: seconds; user and system time together; the memory in MiB of
    the largest of them; what it wrote to standard output."""

    wall_s: float
    cpu_s: float
    rss_mib: float
    out: str


@dataclass(frozen=True, slots=True)
class Started:
    """A program that runs under the launcher; ``folder`` has what it writes."""

    words: Sequence[str]
    process: subprocess.Popen[bytes]
    folder: Path


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def spend(words: Sequence[str | Path], *, env: Mapping[str, str] | None = None, on: Sequence[int] | None = None,
          cwd: Path | None = None) -> Spent:
    """Run a program to its end. ``env`` is added to this process's; ``on``: the cores that it may use.

    Raises ProcessFailed with the last line that it wrote where it ends with an error, or is not done after LONGEST.
    """
    return finish(start(words, env=env, on=on, cwd=cwd))


def start(words: Sequence[str | Path], *, env: Mapping[str, str] | None = None, on: Sequence[int] | None = None,
          cwd: Path | None = None) -> Started:
    """Start a program, as ``spend`` does."""
    folder, told = Path(tempfile.mkdtemp()), [str(word) for word in words]
    head = [folder / "report", "-" if on is None else ",".join(map(str, on)), folder / "out", folder / "err"]
    process = subprocess.Popen([sys.executable, "-S", "-E", str(LAUNCHER), *map(str, head), *told],
                               stdin=subprocess.DEVNULL, cwd=cwd, env={**os.environ, **(env or {})},
                               start_new_session=True)
    return Started(told, process, folder)


def finish(started: Started) -> Spent:
    """Wait for a program. Raises as ``spend``."""
    name = " ".join(Path(word).name for word in started.words[:6])
    try:
        with _removed(started.folder):
            try:
                started.process.wait(LONGEST)
            finally:
                if started.process.poll() is None:  # a session of its own: nobody else's processes
                    with suppress(ProcessLookupError):
                        os.killpg(started.process.pid, signal.SIGKILL)
                    started.process.wait()
            found = json.loads((started.folder / "report").read_text())
            out, err = ((started.folder / part).read_text("utf-8", "replace") for part in ("out", "err"))
    except subprocess.TimeoutExpired:
        raise ProcessFailed(f"{name} took more than {LONGEST:g} s") from None
    if code := found["code"]:
        said = (err.strip() or out.strip() or "nothing").splitlines()[-1]
        raise ProcessFailed(f"{name} ended with code {code}: {said}")
    return Spent(round(found["wall_s"], 4), round(found["cpu_s"], 4), round(found["rss_mib"], 1), out)


@contextmanager
def _removed(folder: Path) -> Iterator[None]:
    """Remove a folder of plain files at the end."""
    try:
        yield
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


# --- half of each core ------------------------------------------------------------------------

@dataclass(slots=True)
class Held:
    """Half of each core is taken. ``how`` in words; ``left``: the share of the cores' time that the busy processes did
    not take, known at the end."""

    how: str
    left: list[float] = field(default_factory=list)


@contextmanager
def half_speed(on: Sequence[int]) -> Iterator[Held]:
    """A busy process of the same priority on each of the cores meanwhile. Where Linux groups by session (autogroup),
    all threads of a program together get half of a core; elsewhere each thread gets as much as the busy process."""
    by_session = AUTOGROUP.exists() and AUTOGROUP.read_text().strip() == "1"
    held = Held(f"a busy process on each core; {'sessions' if by_session else 'threads'} share a core evenly")
    busy, begin = [sys.executable, "-S", "-E", str(LAUNCHER), "busy"], time.perf_counter()
    twins = [subprocess.Popen([*busy, str(core)], start_new_session=True) for core in on]
    try:
        yield held
    finally:
        taken = 0.0
        for twin in twins:
            twin.kill()
            _, status, usage = os.wait4(twin.pid, 0)
            twin.returncode, taken = os.waitstatus_to_exitcode(status), taken + usage.ru_utime + usage.ru_stime
        held.left.append(round(1 - taken / ((time.perf_counter() - begin) * len(on)), 3))
