"""What the tests of live runs share: a run of a file in this process, and one in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from streamseg.live.options import LiveOptions
from streamseg.live.run import run
from streamseg.live.stats import LiveReport
from streamseg.options import Options

ROOT = Path(__file__).parents[2]
METHOD: dict[str, Any] = {"method": "threshold", "set": {"polarity": "dark"}, "background": "#ff0000"}
FLAGS = ("--json-stats", "-", "--method", "threshold", "--set", "polarity=dark", "--background", "#ff0000")


def live(source: Any, *to: Any, **options: Any) -> LiveReport:
    """Runs the file ``source`` in this process, at its own speed."""
    own = {name: options.pop(name) for name in ("smooth", "duration", "mirror") if name in options}
    return run(str(source), to, options=Options(**{**METHOD, **options}),
               live=LiveOptions(realtime=True, **own))


def started(*words: str, **environment: str) -> subprocess.Popen[str]:
    """`streamseg live` as a process of its own, whose lines of figures come on standard output."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "streamseg", "live", *words, *FLAGS], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=variables, stdin=subprocess.DEVNULL)


def lines_of(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    """The next ``count`` lines of figures."""
    assert process.stdout is not None
    found = []
    for _ in range(count):
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        found.append(json.loads(line))
    return found
