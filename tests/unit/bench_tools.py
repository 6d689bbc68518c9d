"""A result of `streamseg bench`, made of given figures."""

from __future__ import annotations

from typing import Any

from streamseg.tools.bench import LIMIT
from streamseg.tools.bench.measure import summary

Result = dict[str, Any]
MACHINE = {"processor": "a", "cores": 2, "gpu": "none", "system": "Linux", "python": "3", "streamseg": "1",
           "av": "1", "opencv": "1"}


def a_row(name: str, fps: tuple[float, ...] = (50.0, 52.0), segment: tuple[float, ...] = (5.0, 5.2),
          **more: Any) -> Result:
    """A result's row, from the values of its repeats."""
    return {"name": name, "method": name, "device": "auto", "batch": 1, "frames": 90, "runs_on": "the CPU",
            "fps": summary(fps), "start_s": summary([0.5]), "cpu_percent": summary([150.0]),
            "peak_rss_mib": summary([120.0]), "gpu_percent": None, "gpu_memory_mib": None,
            "stages": {"segment": {"p50_ms": summary(segment), "p95_ms": summary(segment)}}, **more}


def a_result(*rows: Result, **more: Any) -> Result:
    return {"clip": {"name": "made", "seconds": 5.0, "width": 1920, "height": 1080, "rate": 30.0,
                     "format": "yuv420p"},
            "options": {}, "repeats": 2, "hardware": MACHINE, "warnings": [],
            "rows": [a_row(LIMIT, (80.0, 81.0)), *rows], **more}
