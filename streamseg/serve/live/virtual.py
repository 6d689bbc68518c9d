"""The virtual cameras of the server's machine: which there are, and which live camera has one.

A page names one by the server's own list, never by a path. Each belongs to one live camera at a time. A device that
fails is given up, and its camera stays live.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...core.frames import Frame, VideoInfo
from ...errors import SinkError, StreamsegError
from ...live.devices import cameras
from ...live.stats import LiveOutput
from ...sink import BaseSink, Sink
from ...sink.live.virtual_camera import VirtualSink, is_installed, loopback_devices
from ..refusals import Refusal

LOG = logging.getLogger(__name__)

# What pyvirtualcam opens beside Linux's loopback devices, as the system lists them among its cameras
PROGRAMS = ("OBS Virtual Camera", "Unity Video Capture")
CLOSE_SECONDS = 10.0  # that a device may take to be let go


@dataclass(frozen=True, slots=True)
class Device:
    """A virtual camera. ``name``: what a page chooses it by; ``label``: what calls show; ``place``: what opens it."""

    name: str
    label: str
    place: str


def devices() -> list[Device]:
    """The virtual cameras that this process could open; none without pyvirtualcam."""
    if sys.platform in ("darwin", "win32"):
        found = [Device(camera.name, camera.name, camera.name) for camera in cameras() if camera.name in PROGRAMS]
    else:
        found = [Device(Path(place).name, label, place) for place, label in loopback_devices()
                 if os.access(place, os.R_OK | os.W_OK)]  # a container sees all of /sys, and not /dev
    return found if found and is_installed() else []


class Receiver(Protocol):
    """The live camera that a virtual camera is of."""

    name: str
    info: VideoInfo
    switching: asyncio.Lock

    def add(self, name: str, sink: Sink) -> LiveOutput:
        """Write to one more sink."""

    def remove(self, output: LiveOutput) -> None:
        """Let it finish."""

    def tell(self, message: dict[str, Any], /) -> None:
        """Tell the page."""


@dataclass(slots=True, eq=False)
class _Held:
    """A device in the hands of a camera. ``closed``: it is let go."""

    device: Device
    camera: Receiver
    output: LiveOutput | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class VirtualCameras:
    """All of one server. ``find`` lists the devices, and may block. Everything is called in the event loop."""

    def __init__(self, find: Callable[[], list[Device]] = devices) -> None:
        self._find = find
        self._held: dict[str, _Held] = {}  # by the device's name

    async def listed(self) -> list[dict[str, Any]]:
        """What a page may choose from."""
        return [{"id": device.name, "name": device.label, "free": device.name not in self._held}
                for device in await asyncio.to_thread(self._find)]

    async def switch_on(self, camera: Receiver, wanted: str | None) -> Device:
        """Show what ``camera`` shows on a virtual camera too; ``wanted`` None: on the first that is free.

        Raises Refusal: unsupported (there is none), not_found (not that one), conflict (another camera has it, or it
        cannot be opened).
        """
        async with camera.switching:
            there = await asyncio.to_thread(self._find)
            mine = self._of(camera)
            if mine is not None and wanted in (None, mine.device.name):
                return mine.device
            if mine is not None:
                raise Refusal("conflict", f"this camera is shown as {mine.device.label!r} already: switch that off "
                              "first")
            held = _Held(self._chosen(there, wanted), camera)
            self._held[held.device.name] = held  # before the next wait, so that no other gets it
            try:
                sink = await asyncio.to_thread(_opened, held.device, camera.info)
            except BaseException:
                self._let_go(held)
                raise
            held.output = camera.add(f"virtual camera {held.device.label}", _Switched(sink, self._ending(held)))
            await asyncio.sleep(0)  # a camera that has ended meanwhile lets it go at once
            if held.closed.is_set():
                raise Refusal("conflict", f"the virtual camera {held.device.label!r} was let go at once: has the "
                              "camera ended?")
            return held.device

    async def switch_off(self, camera: Receiver) -> None:
        """Let the device of ``camera`` go; it may have none. Raises Refusal (timeout) where the device hangs."""
        async with camera.switching:
            held = self._of(camera)
            if held is None or held.output is None:
                return
            camera.remove(held.output)
            try:
                await asyncio.wait_for(held.closed.wait(), CLOSE_SECONDS)
            except TimeoutError:
                raise Refusal("timeout", f"the virtual camera {held.device.label!r} does not close") from None

    def _of(self, camera: Receiver) -> _Held | None:
        return next((held for held in self._held.values() if held.camera is camera), None)

    def _chosen(self, there: list[Device], wanted: str | None) -> Device:
        if not there:
            raise Refusal("unsupported", "the machine of this server has no virtual camera: install "
                          "streamseg[camera] and, on Linux, load v4l2loopback; elsewhere install OBS")
        able = [device for device in there if wanted in (None, device.name)]
        if not able:
            raise Refusal("not_found", "there is no such virtual camera; there are: "
                          + ", ".join(device.name for device in there))
        free = [device for device in able if device.name not in self._held]
        if not free:
            raise Refusal("conflict", f"the virtual camera {able[0].label!r} shows another camera that is live: "
                          "switch it off there first")
        return free[0]

    def _ending(self, held: _Held) -> Callable[[str | None], None]:
        """What the sink calls, in a thread of its own, when it has let the device go."""
        loop = asyncio.get_running_loop()

        def ended(why: str | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_end, held, why)

        return ended

    def _on_end(self, held: _Held, why: str | None) -> None:
        self._let_go(held)
        if why is not None and held.output is not None:
            held.camera.remove(held.output)
            held.camera.tell({"virtual_camera": {"end": why}})

    def _let_go(self, held: _Held) -> None:
        if self._held.get(held.device.name) is held:
            del self._held[held.device.name]
        held.closed.set()


def _opened(device: Device, info: VideoInfo) -> BaseSink:
    """Raises Refusal (conflict, unsupported)."""
    try:
        return VirtualSink(device.place, info)
    except SinkError as error:  # whose remedies are those of the command line
        LOG.warning(str(error))
        cause = " ".join(str(error.__cause__ or error).split())
        raise Refusal("conflict", f"the virtual camera {device.label!r} cannot be opened: {cause}. Is another "
                      "program writing to it?") from error


class _Switched(BaseSink):
    """A virtual camera that may fail: then it takes no more, and the run goes on.

    ``ended`` is called once, when the device has been let go, with the reason where it was a failure.
    """

    def __init__(self, sink: BaseSink, ended: Callable[[str | None], None]) -> None:
        super().__init__()
        self._sink: BaseSink | None = sink
        self._ended = ended

    def write(self, frame: Frame) -> None:
        """Hand the frame on. Never raises."""
        if self._sink is None:
            return
        try:
            self._sink.write(frame)
        except StreamsegError as error:
            self._end(str(error))
        except Exception:
            LOG.exception("the virtual camera failed")
            self._end("the server failed at it; its log says why")

    def finish(self) -> None:
        """Let the device go."""
        self._end(None)

    def abort(self) -> None:
        """Let the device go."""
        self._end(None)

    def _end(self, why: str | None) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            sink.abort()
        except (RuntimeError, OSError) as error:
            LOG.warning(f"a virtual camera does not close in order: {error}")
        self._ended(why)
