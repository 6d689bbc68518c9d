"""One measurement: `streamseg run` in a process of its own, so that memory, processor time and start-up are
the run's and nobody else's."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...core.frames import Frame, Matte
from ...errors import StreamsegError
from ...options import Options
from ...segment import is_network
from ...validation import default_of
from .machine import watch_gpu

LIMIT = "no work"  # the variant that only decodes and encodes
# what LIMIT must not be given of the others' options: an edge, say, is reshaped under any background;
# threads are the decoder's and the encoder's too
_IDLE = {item.name: default_of(item) for item in fields(Options)
         if item.metadata["group"] in ("Method", "Matte", "Background") and item.name != "threads"}


@dataclass(frozen=True, slots=True)
class Variant:
    """What is compared: a method on a device, with so many frames at once."""

    method: str
    device: str = "auto"
    batch: int = 1

    @property
    def name(self) -> str:
        """'person', 'person on gpu, batch 8'."""
        device = "" if self.device == "auto" else f" on {self.device}"
        return f"{self.method}{device}" + ("" if self.batch == 1 else f", batch {self.batch}")

    @property
    def options(self) -> dict[str, Any]:
        """The fields of Options that make a run this variant."""
        if self.method == LIMIT:
            return {**_IDLE, "method": f"{__name__}:NoWork", "background": "original", "smooth": "none",
                    "every": "1"}
        own = {"method": self.method, "device": self.device, "batch": self.batch}
        return own if is_network(self.method) else {**own, "runtime": "auto"}


class NoWork:
    """A method that does nothing: with background 'original' a run is decode and encode alone."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """A matte of one pixel a frame."""
        import numpy as np
        return [Matte(np.ones((1, 1), np.float32)) for _ in frames]

    def reset(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to free."""


@dataclass(slots=True)
class Run:
    """One run's figures. ``start_s``: from the process's start to the first frame written (its end counts
    too: some milliseconds); ``cpu_percent``: of one core; None: the system does not tell."""

    runs_on: str
    fps: float
    frames: int
    start_s: float | None
    cpu_percent: float | None
    peak_rss_mib: float | None
    gpu_percent: float | None
    gpu_memory_mib: float | None
    stages: dict[str, dict[str, float]] = field(default_factory=dict)


def flags(options: Mapping[str, Any]) -> list[str]:
    """The command line's words for fields of Options; None is what a flag that is not there means."""
    words: list[str] = []
    for item in fields(Options):
        value = options.get(item.name)
        if value is None:
            continue
        spelling = (item.metadata["flag"] or f"--{item.name.replace('_', '-')}").split("/")
        if isinstance(value, bool):
            words += [spelling[0]] if value else spelling[1:]
        elif isinstance(value, Mapping):
            words += [word for key, part in value.items() for word in (spelling[0], f"{key}={part}")]
        else:
            words += [spelling[0], str(value)]
    return words


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m WORDS``. The child finds the modules that this process finds, this streamseg and
    anybody's methods, and no others: without -P it would take a click.py of the current folder for click."""
    return subprocess.run([sys.executable, "-P", "-m", *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def run_once(clip: str | Path, target: str | Path, options: Mapping[str, Any]) -> Run:
    """`streamseg run CLIP -o TARGET` with ``options``, in a fresh process. Raises StreamsegError with what
    the run said where it failed."""
    words = ["run", str(clip), "-o", str(target), "--json", *flags({**options, "overwrite": True})]
    with watch_gpu() as gpu:
        before, began = os.times(), time.perf_counter()
        done = python("streamseg", *words)
        wall, after = time.perf_counter() - began, os.times()
    report = _report(done)
    busy = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    first = report["first_frame_s"]
    return Run(
        runs_on=report["runs_on"], fps=report["fps"], frames=report["frames"],
        start_s=None if first is None else round(wall - report["elapsed"] + first, 3),
        cpu_percent=round(100 * busy / wall, 1) if busy else None,
        peak_rss_mib=report["peak_rss_mib"] and round(report["peak_rss_mib"], 1),
        gpu_percent=gpu.percent, gpu_memory_mib=gpu.memory_mib,
        stages={name: {"p50_ms": stage["p50_ms"], "p95_ms": stage["p95_ms"]}
                for name, stage in report["stages"].items()})


def _report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The run's Report as a dict. Raises StreamsegError."""
    try:
        result: dict[str, Any] = json.loads(done.stdout)["runs"][0]
    except (ValueError, LookupError):
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise StreamsegError(said.removeprefix("streamseg: error: ")) from None
    if "error" in result:
        raise StreamsegError(result["error"]["message"])
    return result


def summary(values: Sequence[float]) -> dict[str, float]:
    """min, median, max and spread ((max - min) / median) of some repeats."""
    middle = statistics.median(values)
    return {"min": round(min(values), 3), "median": round(middle, 3), "max": round(max(values), 3),
            "spread": round((max(values) - min(values)) / middle, 3) if middle else 0.0}


def summarised(runs: Sequence[Run]) -> dict[str, Any]:
    """All runs of a variant: a summary of each figure, None where the system does not tell it."""
    names = [item.name for item in fields(Run) if item.name not in ("stages", "frames", "runs_on")]
    found: dict[str, Any] = {"frames": runs[0].frames, "runs_on": runs[0].runs_on}
    for name in names:
        values = [getattr(run, name) for run in runs]
        found[name] = None if None in values else summary(values)
    found["stages"] = {stage: {part: summary([run.stages[stage][part] for run in runs if stage in run.stages])
                               for part in ("p50_ms", "p95_ms")} for stage in runs[0].stages}
    return found
