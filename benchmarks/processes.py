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

from benchmarks.launcher import ordinary
from streamseg.errors import StreamsegError

LAUNCHER = Path(__file__).with_name("launcher.py")
BUSY = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
GROUPS = Path("/sys/fs/cgroup")
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
          group: Path | None = None, cwd: Path | None = None) -> Spent:
    """Run a program to its end. ``env`` is added to this process's; ``on``: the cores that it may use; ``group``: the
    control group that it runs in.

    Raises ProcessFailed with the last line that it wrote where it ends with an error, or is not done after LONGEST.
    """
    return finish(start(words, env=env, on=on, group=group, cwd=cwd))


def start(words: Sequence[str | Path], *, env: Mapping[str, str] | None = None, on: Sequence[int] | None = None,
          group: Path | None = None, cwd: Path | None = None) -> Started:
    """Start a program, as ``spend`` does."""
    folder, told = Path(tempfile.mkdtemp()), [str(word) for word in words]
    head = [folder / "report", "-" if on is None else ",".join(map(str, on)), group or "-", folder / "out",
            folder / "err"]
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
    """Half of each core is taken. ``how`` in words; ``group``: where a process to be held must run, None if anywhere;
    ``left``: the share of the cores' time that the twins did not take, known at the end."""

    how: str
    group: Path | None
    left: list[float] = field(default_factory=list)


_SAME_PRIORITY = "a busy process of the same priority on each core; control groups cannot be used here"


@contextmanager
def half_speed(on: Sequence[int]) -> Iterator[Held]:
    """A busy process on each of the cores meanwhile. Where control groups can be made, the busy ones and the one that
    is measured are in two of equal weight: then several threads have no more than half of a core either. Without them
    a thread has half of its core, several threads on one core more."""
    groups = [group for name in ("twins", "held") if (group := _new_group(f"streamseg-{os.getpid()}-{name}"))]
    held = Held("a busy process on each core, in a control group of the same weight", groups[1]) \
        if len(groups) == 2 else \
        Held(_SAME_PRIORITY, None)
    begin, twins = time.perf_counter(), [subprocess.Popen([sys.executable, "-S", "-E", "-c", BUSY, str(core)],
                                                          start_new_session=True) for core in on]
    for twin in twins:
        ordinary(twin.pid)
    try:
        if held.group is not None:
            try:
                for twin in twins:
                    (groups[0] / "cgroup.procs").write_text(str(twin.pid))
            except OSError:  # groups can be made here, but take no process
                held.how, held.group = _SAME_PRIORITY, None
        yield held
    finally:
        taken = 0.0
        for twin in twins:
            twin.kill()
            _, status, usage = os.wait4(twin.pid, 0)
            twin.returncode, taken = os.waitstatus_to_exitcode(status), taken + usage.ru_utime + usage.ru_stime
        held.left.append(round(1 - taken / ((time.perf_counter() - begin) * len(on)), 3))
        for group in groups:
            with suppress(OSError):
                group.rmdir()


def _new_group(name: str) -> Path | None:
    """A control group with a weight for processor time, below this process's own; None where none can be made."""
    own = Path("/proc/self/cgroup")
    for line in own.read_text().splitlines() if own.exists() else ():
        number, controllers, path = line.split(":", 2)
        if number != "0" and "cpu" not in controllers.split(","):
            continue
        group = (GROUPS / "cpu" if number != "0" else GROUPS) / path.lstrip("/") / name
        try:
            group.mkdir()
        except OSError:
            continue
        if any((group / weight).exists() for weight in ("cpu.shares", "cpu.weight")):
            return group
        group.rmdir()
    return None
