"""Whether an output has a consumer: which programs have the virtual camera open, or what the output says itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
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


def consumers_of(outputs: Sequence[LiveOutput], window: bool) -> Callable[[], bool]:
    """What --on-demand asks whether a program looks. Raises OptionError where that cannot be seen."""
    sinks = [output.sink for output in outputs]
    devices = [sink.device for sink in sinks if isinstance(sink, VirtualSink)]
    telling = [sink for sink in sinks if sink.wanted() is not None]
    if sys.platform != "linux" or window or len(devices) + len(telling) < len(outputs):
        raise OptionError("on_demand: only for virtual cameras on Linux is it known whether a program uses the output: "
                          "give --to virtual or --to pipewire alone, or leave --on-demand out")
    consumers = Consumers(devices)
    return lambda: any(sink.wanted() for sink in telling) or bool(devices and consumers())
