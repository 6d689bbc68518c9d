"""A virtual camera for video calls: v4l2loopback, OBS or UnityCapture, by pyvirtualcam."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from ...core.frames import Frame, VideoInfo
from ...core.matrices import kept
from ...errors import MissingDependencyError, SinkError
from ..base import BaseSink
from .limited import ToLimitedRange

DEFAULT_RATE = 30.0
LOOPBACK = Path("/sys/devices/virtual/video4linux")
FIXES = {
    "linux": "load v4l2loopback: sudo modprobe v4l2loopback exclusive_caps=1 card_label=streamseg "
             "(Debian, Ubuntu: apt install v4l2loopback-dkms); or --to pipewire, which needs no driver",
    "darwin": "install OBS (obsproject.com), start it, press 'Start Virtual Camera' once, stop it, and try "
              "again",
    "win32": "install OBS (obsproject.com), or UnityCapture",
}


class VirtualSink(BaseSink):
    """Sends each frame to the virtual camera ``device`` (None: the first there is), in I420, limited range.

    Raises MissingDependencyError without pyvirtualcam, SinkError with the remedy for this system where there
    is no device.
    """

    def __init__(self, device: str | None, info: VideoInfo, *, backend: str | None = None) -> None:
        super().__init__()
        self._size = width, height = info.width // 2 * 2, info.height // 2 * 2
        virtual = _pyvirtualcam()
        try:
            self._camera: Any = virtual.Camera(
                width, height, float(info.rate or DEFAULT_RATE), fmt=virtual.PixelFormat.I420, device=device,
                backend=backend)
        except (RuntimeError, OSError, ValueError) as error:
            named = f"virtual camera {device!r}" if device else "a virtual camera"
            fix = FIXES.get(sys.platform, FIXES["linux"])
            raise SinkError(f"{named} cannot be opened ({' '.join(str(error).split())}): {fix}. "
                            f"{_devices(device)}--to window shows the picture meanwhile") from error
        self.device = str(self._camera.device)
        self.notes.append(f"virtual camera: choose {self.device!r} in the call")
        self._buffer = np.empty(width * height * 3 // 2, np.uint8)
        self._converted = ToLimitedRange("yuv420p")

    def write(self, frame: Frame) -> None:
        """Send one frame. Raises SinkError if the device fails."""
        self._fill(self._limited(frame))
        try:
            self._camera.send(self._buffer)
        except (RuntimeError, OSError, ValueError) as error:
            raise SinkError(f"virtual camera {self.device} takes no more pictures: {error}") from error

    def finish(self) -> None:
        """Close the device."""
        self.abort()

    def abort(self) -> None:
        """Close the device; may be called twice."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def _limited(self, frame: Frame) -> Frame:
        """8-bit 4:2:0 of limited range: I420 has no tags, and that is what everybody takes it for."""
        if frame.format == "yuv420p" and not frame.full_range:
            return frame
        return Frame.from_av(self._converted(frame, **kept(frame.colour.matrix)), frame.index)

    def _fill(self, frame: Frame) -> None:
        """Copy the frame's planes into the buffer; an odd last row or column is dropped."""
        width, height = self._size
        start = 0
        for number, plane in enumerate(frame.planes):
            rows, columns = (height, width) if number == 0 else (height // 2, width // 2)
            part = self._buffer[start:start + rows * columns].reshape(rows, columns)
            np.copyto(part, plane[:rows, :columns])
            start += rows * columns


def _pyvirtualcam() -> Any:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise MissingDependencyError(
            "the virtual camera needs pyvirtualcam: pip install 'streamseg[camera]'; --to window shows the "
            "picture meanwhile") from error
    return pyvirtualcam


def is_installed() -> bool:
    """Whether pyvirtualcam is there. The first call imports it."""
    try:
        _pyvirtualcam()
    except MissingDependencyError:
        return False
    return True


def loopback_devices(folder: Path = LOOPBACK) -> list[tuple[str, str]]:
    """(device, its label) of each loopback device of Linux, in the order of their numbers; elsewhere none."""
    found = sorted(folder.glob("video*/name"), key=lambda place: (len(place.parent.name), place.parent.name))
    return [(f"/dev/{place.parent.name}", place.read_text(encoding="utf-8", errors="replace").strip())
            for place in found]


def _devices(requested: str | None) -> str:
    """On Linux, the loopback devices that are there, where another was asked for."""
    there = loopback_devices()
    if requested is None or not there:
        return ""
    return f"There are: {', '.join(f'{device} ({label})' for device, label in there)}. "
