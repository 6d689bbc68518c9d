"""Which of a model's files runs fastest on this processor: measured once, remembered in the user's cache folder.

8-bit kernels are twice as fast as 32-bit ones where the processor has instructions for them (VNNI, Arm's dot products)
and slower where not, so neither can be chosen without a measurement.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ...errors import OptionError
from ..model_spec import ModelSpec
from .litert import LiteRt

log = logging.getLogger(__name__)

REMEMBERED = "fastest.json"
RUNS = 5  # of each file, in turns; the best counts, so that other programs' work does not
# How much faster than the first a file must be to be taken in its place: what is gained must be worth the rounding.
GAIN = 0.85


def fastest(files: Mapping[str, Path], spec: ModelSpec, *,
            measure: Callable[[Mapping[str, Path], ModelSpec], Mapping[str, float]] | None = None) -> str:
    """The name of the file to take, of ``files`` of one model, the preferred one first.

    What was measured is kept under ``cache_folder()``, by processor, LiteRT's version and the files' contents. Where
    nothing can be kept it is measured each time.
    """
    preferred = next(iter(files))
    key = _key(files)
    place = cache_folder() / REMEMBERED
    known = _read(place)
    found = known.get(key)
    if found not in files:
        seconds = (measure or measured)(files, spec)
        best = min(seconds, key=lambda name: seconds[name])
        found = best if seconds[best] <= GAIN * seconds[preferred] else preferred
        log.debug("%s of %s", found, ", ".join(f"{name}: {1000 * took:.1f} ms" for name, took in seconds.items()))
        _write(place, known | {key: found})
    return str(found)


def measured(files: Mapping[str, Path], spec: ModelSpec) -> dict[str, float]:
    """Seconds of processor time for one picture, by name, on one thread, at the smallest size that all
    files have."""
    nets = {name: LiteRt(path, spec) for name, path in files.items()}
    try:
        shared = set.intersection(*(set(net.sizes) for net in nets.values()))
        size = min(shared, key=lambda size: (size[0] * size[1], size))
        picture = np.random.default_rng(0).uniform(0, 255, (1, *size, 3)).astype(np.float32)
        best = dict.fromkeys(files, float("inf"))
        for turn in range(RUNS + 1):
            for name, net in nets.items():
                start = time.thread_time()
                net.run([picture])
                if turn:  # the first run makes the graph ready
                    best[name] = min(best[name], time.thread_time() - start)
    finally:
        for net in nets.values():
            net.close()
    return best


def cache_folder() -> Path:
    """Where a user's programs keep what can be made again: STREAMSEG_CACHE, or the system's place for it."""
    home = os.path.expanduser("~")  # unlike Path.home it raises nothing where there is none
    if stated := os.environ.get("STREAMSEG_CACHE"):
        return Path(stated)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return Path(base) / "streamseg"


def _key(files: Mapping[str, Path]) -> str:
    told = [_processor()]
    with contextlib.suppress(ImportError):  # told when a file is opened, with the remedy
        import ai_edge_litert  # its own number: importlib.metadata takes 20 ms

        told.append(str(ai_edge_litert.__version__))
    for name, path in files.items():
        if not path.is_file():
            raise OptionError(f"model {str(path)!r} is not there: install streamseg again")
        content = path.read_bytes()
        told.append(f"{name} {len(content)} {zlib.crc32(content):08x}")
    whole = "\n".join(told).encode()
    # no hashlib: it loads OpenSSL, 4 MB, and the key only has to tell one installation from another
    return f"{zlib.crc32(whole):08x}{zlib.adler32(whole):08x}"


def _processor() -> str:
    """The processor's name, and on Linux what it can do: virtual machines often hide one or the other."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        told = {line.partition(":")[0].strip(): line for line in lines}
        return " ".join(told.get(name, "") for name in ("model name", "flags", "Features", "CPU part"))
    return f"{platform.machine()} {platform.processor()}"


def _read(place: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        content = json.loads(place.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}


def _write(place: Path, content: Mapping[str, str]) -> None:
    """Whole or not at all, for other processes may read or write it at this moment."""
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, suffix=".json")
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
        os.replace(name, place)
