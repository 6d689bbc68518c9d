"""Lists the cameras: on Linux from the driver, with sizes and rates; elsewhere from FFmpeg."""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from glob import glob

from ..errors import OptionError, SourceError

# linux/videodev2.h; each is _IOWR('V', number, structure), QUERYCAP is _IOR
_QUERYCAP, _ENUM_FMT, _ENUM_SIZES, _ENUM_INTERVALS = 0x80685600, 0xC0405602, 0xC02C564A, 0xC034564B
_CAPTURE, _DISCRETE, _MOST = 1, 1, 100
FFMPEG = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
LINUX = ("linux",)
Ask = Callable[[int, int, bytearray], object]


@dataclass(frozen=True, slots=True)
class Mode:
    """A pixel format (the driver's four letters, as MJPG) in a size, with its frames a second."""

    format: str
    width: int
    height: int
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Camera:
    """``device`` opens it; ``modes`` is empty where they are unknown. ``opens``: False where it is known not to
    open; its name says why."""

    device: str
    name: str
    modes: tuple[Mode, ...] = ()
    opens: bool = True


def cameras() -> list[Camera]:
    """The cameras of this machine, in the order of their numbers."""
    if sys.platform in LINUX:
        found = (v4l2_camera(path) for path in sorted(glob("/dev/video*"), key=_number))
        return [camera for camera in found if camera is not None]
    import av
    names = av.device.enumerate_input_devices(FFMPEG.get(sys.platform, "dshow"))
    kinds = [item for item in names if "video" in str(getattr(item, "media_types", "video"))]
    return [Camera(item.name, item.description) for item in kinds]


def _number(path: str) -> int:
    return int(re.sub(r"\D", "", path) or 0)


def select_camera(requested: str | None, there: list[Camera] | None = None) -> Camera:
    """The camera of a number, device, name or part of a name, in this order; for None the first that opens.

    Raises SourceError, and OptionError for an empty name.
    """
    if requested is not None and not requested.strip():
        raise OptionError(f"camera is {requested!r}; it must be a number, a name or a device, as `streamseg "
                          "cameras` lists them, or left out for the first")
    if requested is not None and (os.sep in requested or requested.startswith("video=")):
        return Camera(requested, requested)
    there = cameras() if there is None else there
    if not there:
        raise SourceError("no camera was found: plug one in, or is this user or container not allowed to use it? "
                          "(Linux: is there a /dev/video0, and are you in the group 'video'?) "
                          "FILE --realtime plays a file instead")
    found = there if requested is None else _called(requested, there)
    if not found:
        raise SourceError(f"camera is {requested!r}; there are: "
                          + ", ".join(f"{camera.device} ({camera.name})" for camera in there))
    return next((camera for camera in found if camera.opens), found[0])


def _called(requested: str, there: list[Camera]) -> list[Camera]:
    """The cameras that ``requested`` may mean. A number does not match a part of a name: 1 is not the Webcam C910."""
    name, named = requested.lower(), [camera for camera in there if camera.opens]
    return [camera for number, camera in enumerate(there)
            if requested == str(_number(camera.device) if camera.device.startswith("/dev/") else number)] \
        or [camera for camera in named if name == camera.name.lower()] \
        or [camera for camera in named if name in camera.name.lower() and not requested.isdecimal()]


def v4l2_camera(path: str, ask: Ask | None = None) -> Camera | None:
    """The camera of a /dev/video*, as its driver describes it; None for nodes without pictures (metadata).

    ``ask``: fcntl.ioctl, or a replacement for tests.
    """
    if ask is None:
        import fcntl
        ask = fcntl.ioctl
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return Camera(path, f"cannot be opened: {error.strerror}", opens=False)
    try:
        answer = bytearray(104)
        ask(descriptor, _QUERYCAP, answer)
        card = bytes(answer[16:48]).split(b"\0")[0].decode(errors="replace")
        if not struct.unpack_from("I", answer, 88)[0] & _CAPTURE:
            return None
        return Camera(path, card, tuple(_modes(descriptor, ask)))
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _asked(descriptor: int, ask: Ask, request: int, size: int, *fixed: int) -> Iterator[bytearray]:
    """The answers to an enumeration: index 0, 1, 2, ... until the driver has no more."""
    for index in range(_MOST):
        answer = bytearray(size)
        struct.pack_into(f"{1 + len(fixed)}I", answer, 0, index, *fixed)
        try:
            ask(descriptor, request, answer)
        except OSError:
            return
        yield answer


def _modes(descriptor: int, ask: Ask) -> Iterator[Mode]:
    for answer in _asked(descriptor, ask, _ENUM_FMT, 64, _CAPTURE):
        pixel, = struct.unpack_from("I", answer, 44)
        name = struct.pack("I", pixel).decode("ascii", errors="replace").strip()
        for found in _asked(descriptor, ask, _ENUM_SIZES, 44, pixel):
            kind, width, height = struct.unpack_from("3I", found, 8)
            if kind == _DISCRETE:  # others are ranges of sizes, of screens and virtual cameras
                yield Mode(name, width, height, tuple(_rates(descriptor, ask, pixel, width, height)))


def _rates(descriptor: int, ask: Ask, pixel: int, width: int, height: int) -> Iterator[float]:
    for answer in _asked(descriptor, ask, _ENUM_INTERVALS, 52, pixel, width, height):
        kind, numerator, denominator = struct.unpack_from("3I", answer, 16)
        if kind == _DISCRETE and numerator:
            yield round(denominator / numerator, 3)
