"""What a measurement was made on, and what its GPU did meanwhile."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import av
import numpy as np

from ... import __version__
from ...core.opencv import cv2

_FORMAT = "--format=csv,noheader,nounits"


def hardware() -> dict[str, Any]:
    """Processor, cores, GPUs ('none' without nvidia-smi), system, and the versions that matter."""
    return {"processor": _processor(), "cores": os.cpu_count(), "gpu": _gpus() or "none",
            "system": platform.system(), "python": platform.python_version(), "streamseg": __version__,
            "av": av.__version__, "opencv": cv2.__version__, "numpy": np.__version__,
            **{name: _version(name) for name in ("ai-edge-litert", "tensorflow", "onnxruntime")}}


def hardware_line(found: dict[str, Any]) -> str:
    """'AMD EPYC, 2 cores, GPU none, Linux, Python 3.11.7, streamseg 0.1.0, PyAV 18.1.0, OpenCV 5.0.0'."""
    versions = ", ".join(f"{shown} {found[name]}" for name, shown in (
        ("python", "Python"), ("streamseg", "streamseg"), ("av", "PyAV"), ("opencv", "OpenCV")))
    return f"{found['processor']}, {found['cores']} cores, GPU {found['gpu']}, {found['system']}, {versions}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _gpus() -> str:
    """Names of the NVIDIA GPUs, '' where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    asked = subprocess.run([program, "--query-gpu=name", _FORMAT], capture_output=True, text=True,
                           check=False)
    return ", ".join(asked.stdout.splitlines()) if asked.returncode == 0 else ""


class GpuUse:
    """``percent`` (mean) and ``memory_mib`` (peak) of the GPUs while they were watched; None where there
    is none."""

    def __init__(self) -> None:
        self.percent: float | None = None
        self.memory_mib: float | None = None

    def read(self, text: str) -> None:
        """Take in nvidia-smi's lines, as '37, 1024'."""
        rows = [line.split(",") for line in text.splitlines() if line.count(",") == 1]
        known = [(float(use), float(memory)) for use, memory in rows
                 if use.strip().isdigit() and memory.strip().isdigit()]
        if known:
            self.percent = round(sum(use for use, _ in known) / len(known), 1)
            self.memory_mib = max(memory for _, memory in known)


@contextmanager
def watch_gpu() -> Iterator[GpuUse]:
    """Ask nvidia-smi five times a second while the block runs; the answer is filled in at its end."""
    use, program = GpuUse(), shutil.which("nvidia-smi")
    if program is None:
        yield use
        return
    with tempfile.TemporaryFile("w+") as answers:
        query = [program, "--query-gpu=utilization.gpu,memory.used", _FORMAT, "-lms", "200"]
        watcher = subprocess.Popen(query, stdout=answers, stderr=subprocess.DEVNULL)
        try:
            yield use
        finally:
            watcher.terminate()
            watcher.wait()
            answers.seek(0)
            use.read(answers.read())
