"""What all benchmarks share: a clip, interleaved repeats, the hardware line, the JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamseg.opencv import cv2

RESULTS = Path(__file__).parent / "results"


def make_clip(path: Path, *, size: tuple[int, int] = (1920, 1080), seconds: float = 6.0,
              rate: int = 30) -> Path:
    """An H.264 clip with AAC sound: a bright figure that sways before a dark textured room, camera noise.

    The content is made, not filmed, but costs the encoder about what a webcam's picture does: texture,
    motion in a quarter of the picture, and noise (sigma 2) everywhere. The same arguments give the same
    pictures.
    """
    width, height = size
    random = np.random.default_rng(7)
    room = cv2.GaussianBlur(random.integers(20, 110, (height // 8, width // 8, 3), np.uint8), (0, 0), 2)
    room = cv2.resize(room, size, interpolation=cv2.INTER_CUBIC)
    shirt = cv2.GaussianBlur(random.integers(120, 255, (height, width, 3), np.uint8), (0, 0), 3)
    shirt = cv2.addWeighted(shirt, 0.4, np.full_like(shirt, 220), 0.6, 0)
    noise = [random.normal(0, 2, (height, width, 1)).astype(np.int8).repeat(3, 2) for _ in range(4)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=48000)
        for index in range(round(seconds * rate)):
            mask = _figure(size, index / rate)
            picture = np.where(mask[..., None] > 0, shirt, room)
            picture = cv2.add(picture, noise[index % 4], dtype=cv2.CV_8U)
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(video.encode(frame))
        tone = (np.sin(np.arange(round(seconds * 48000)) * 2 * np.pi * 440 / 48000) * 0.2).astype(np.float32)
        for start in range(0, len(tone) - 1023, 1024):
            block = av.AudioFrame.from_ndarray(tone[None, start:start + 1024], "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = 48000, start, Fraction(1, 48000)
            container.mux(sound.encode(block))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def _figure(size: tuple[int, int], seconds: float) -> np.ndarray:
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    x = int(width * (0.5 + 0.08 * np.sin(seconds * 2)))
    cv2.ellipse(mask, (x, int(height * 0.36)), (width // 13, height // 6), 0, 0, 360, 255, -1)
    cv2.ellipse(mask, (x, int(height * 1.02)), (width // 6, height // 2 - height // 20), 0, 180, 360, 255, -1)
    return mask


def interleaved(tasks: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Run every task in turn, ``repeats`` times: a drift of the machine hits all alike. -> values by name"""
    values: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(repeats):
        for name, task in tasks.items():
            values[name].append(task())
            print(f"  {turn + 1}/{repeats} {name}: {values[name][-1]:.1f}", file=sys.stderr, flush=True)
    return values


def seconds_of(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def summary(values: list[float]) -> dict[str, float]:
    """min, median, max and spread ((max - min) / median) of some repeats."""
    middle = statistics.median(values)
    return {"min": round(min(values), 3), "median": round(middle, 3), "max": round(max(values), 3),
            "spread": round((max(values) - min(values)) / middle, 3) if middle else 0.0}


def hardware() -> dict[str, Any]:
    """The line that every result carries: processor, cores, system and the versions that matter."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines()
                 if line.startswith("model name")]
        model = names[0] if names else model
    return {"processor": model, "cores": os.cpu_count(), "system": platform.system(),
            "python": platform.python_version(), "av": av.__version__, "opencv": cv2.__version__,
            "numpy": np.__version__}


def save(name: str, result: dict[str, Any], out: Path | None = None) -> Path:
    """Write results/NAME.json with the command, the commit and the hardware."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            cwd=Path(__file__).parent, check=False).stdout.strip() or None
    path = (out or RESULTS) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    command = f"python -m benchmarks.{name}"
    path.write_text(json.dumps({"command": command, "commit": commit, "hardware": hardware(), **result},
                               indent=1) + "\n")
    return path
