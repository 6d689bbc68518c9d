"""Whether an output has a consumer: which programs have the virtual camera open."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import OptionError
from ..sink.live.virtual_camera import VirtualSink
from .stats import LiveOutput


class Consumers:
    """Call it to learn whether another process has one of ``devices`` open, as a video call has.

    It reads /proc, which shows the user's own processes, on Linux. ``proc`` is for tests.
    """

    def __init__(self, devices: Sequence[str], proc: Path = Path("/proc")) -> None:
        self._devices = {os.path.realpath(device) for device in devices}
        self._proc = proc

    def __call__(self) -> bool:
        own = str(os.getpid())
        return any(self._has_open(process) for process in self._proc.iterdir()
                   if process.name.isdigit() and process.name != own)

    def _has_open(self, process: Path) -> bool:
        try:
            return any(os.path.realpath(entry) in self._devices for entry in (process / "fd").iterdir())
        except OSError:  # it has ended, or belongs to another user
            return False


def consumers_of(outputs: Sequence[LiveOutput], window: bool) -> Consumers:
    """The Consumers for --on-demand. Raises OptionError where consumers cannot be seen."""
    devices = [output.sink.device for output in outputs if isinstance(output.sink, VirtualSink)]
    if sys.platform != "linux" or window or len(devices) < len(outputs):
        raise OptionError("on_demand: only for a virtual camera on Linux is it known whether a program uses the "
                          "output: give --to virtual alone, or leave --on-demand out")
    return Consumers(devices)
