"""A PipeWire session of its own: its daemon, WirePlumber and a message bus, in a folder of their own; and GStreamer as
a program that takes pictures from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROGRAMS = ("pipewire", "wireplumber", "dbus-daemon", "pw-dump", "gst-launch-1.0", "gst-inspect-1.0")
PATIENCE = 20.0  # seconds that a test waits for another process before it fails
PACE = 0.03  # seconds between two looks at another process, and between two pictures


def skip_without_pipewire() -> None:
    """Skip with the reason where a session cannot be had."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: pipewire wireplumber dbus gstreamer1.0-tools)")
    for element, package in (("pipewiresrc", "pipewire"), ("videoconvert", "plugins-base")):
        # without --exists, which compares pipewiresrc's version, PipeWire's, with GStreamer's
        if subprocess.run(["gst-inspect-1.0", element], capture_output=True).returncode:
            pytest.skip(f"GStreamer has no {element} (Debian: gstreamer1.0-{package})")


class PipeWireSession:
    """``variables``: what the environment of its programs has beside this one's."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pw-"))  # short: a socket's path has 107 characters at most
        bus = f"unix:path={self._folder}/bus"
        self.variables = {"XDG_RUNTIME_DIR": str(self._folder), "PIPEWIRE_RUNTIME_DIR": str(self._folder),
                          "DBUS_SESSION_BUS_ADDRESS": bus,
                          **{f"XDG_{kind}_HOME": str(self._folder / kind) for kind in ("CONFIG", "STATE", "CACHE")}}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[subprocess.Popen[bytes]] = []
        try:
            self._start("dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={bus}")
            wait_until(lambda: (self._folder / "bus").exists(), "the message bus")
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """PipeWire and WirePlumber, which ``stop_pipewire`` ended."""
        self._start("pipewire")
        wait_until(lambda: (self._folder / "pipewire-0").exists(), "PipeWire")
        self._start("wireplumber")
        wait_until(lambda: any("WirePlumber" in str(item) for item in self.objects("Client")), "WirePlumber")

    def stop_pipewire(self) -> None:
        """PipeWire ends, as by an update; WirePlumber ends with it."""
        for name in ("pipewire", "wireplumber"):
            process = self._running.pop(name)
            process.terminate()
            process.wait()
        (self._folder / "pipewire-0").unlink(missing_ok=True)

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """What pw-dump tells of all objects of a kind: Node, Client, ..."""
        told = subprocess.run(["pw-dump"], env=self._environment(), capture_output=True, check=True).stdout
        return [item["info"] for item in json.loads(told or "[]") if item["type"].endswith(f":{kind}")]

    def camera(self, name: str) -> dict[str, Any]:
        """The camera of that name, waited for."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [item for item in self.objects("Node") if item["props"].get("node.name") == name]
            return bool(found)

        wait_until(there, f"the camera {name}")
        return found[0]

    def reader(self, camera: str, path: Path, count: int, format: str) -> subprocess.Popen[bytes]:
        """GStreamer takes ``count`` pictures and writes them to ``path``: YUY2 as they are, others converted."""
        words = f"""pipewiresrc target-object={camera} num-buffers={count} ! video/x-raw ! videoconvert dither=none
                    ! video/x-raw,format={format} ! filesink location={path}"""
        self._readers.append(subprocess.Popen(["gst-launch-1.0", "-q", *words.split()], env=self._environment()))
        return self._readers[-1]

    def close(self) -> None:
        """End all, and remove the folder."""
        for process in [*self._readers, *reversed(self._running.values())]:
            process.kill()
            process.wait()
        shutil.rmtree(self._folder)

    def _start(self, *words: str) -> None:
        self._running[words[0]] = subprocess.Popen(words, env=self._environment(), stdout=subprocess.DEVNULL,
                                                   stderr=subprocess.DEVNULL)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables}


def wait_until(there: Callable[[], bool], what: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait until ``there`` is true, at each look doing what is to be done ``meanwhile``."""
    end = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < end, f"{what} does not come"
        meanwhile()
        time.sleep(PACE)


def pictures(path: Path, height: int, width: int, channels: int) -> np.ndarray:
    """uint8 (n, height, width, channels) of a reader's file."""
    return np.fromfile(path, np.uint8).reshape(-1, height, width, channels)
