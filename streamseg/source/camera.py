"""Cameras and the screen as Sources: by FFmpeg's devices, or by OpenCV where those fail."""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import av.error
from av.video.reformatter import VideoReformatter

from ..core.frames import Frame, VideoInfo
from ..core.matrices import kept
from ..core.opencv import cv2
from ..core.pixel_formats import FULL, LIMITED, Colour
from ..errors import OptionError, SourceError, SourceTimeoutError
from .api import BaseSource
from .normalise import Normaliser, layout, of_eight_bits
from .open import FAILURES, reason
from .orientation import Turn
from .screen import ScreenCapture

MICROSECONDS = Fraction(1, 1_000_000)
BT601 = 6
MJPEG_FROM = 720  # lines: 720p30 in raw 4:2:2 is 442 Mbit/s, more than USB 2 carries


@dataclass(frozen=True, slots=True)
class Device:
    """What FFmpeg is given: an input device's ``format`` (v4l2, x11grab, ...), its ``file`` and options."""

    format: str
    file: str
    options: dict[str, str] = field(default_factory=dict)


def camera_device(device: str, size: tuple[int, int], rate: Fraction, format: str | None) -> Device:
    """The Device of a camera on this system; MJPEG from 720 lines on unless ``format`` says otherwise."""
    mode = format or ("mjpeg" if size[1] >= MJPEG_FROM else None)
    options = {"video_size": f"{size[0]}x{size[1]}", "framerate": str(rate)}
    if sys.platform == "darwin":
        pixels = {"pixel_format": format} if format else {}
        return Device("avfoundation", f"{device}:none", options | pixels)
    if sys.platform == "win32":
        named = device if device.startswith("video=") else f"video={device}"
        key = "vcodec" if mode == "mjpeg" else "pixel_format"
        return Device("dshow", named, options | ({key: mode} if mode else {}))
    return Device("v4l2", device, options | ({"input_format": mode} if mode else {}))


def screen_device(size: tuple[int, int] | None, rate: Fraction) -> Device:
    """The Device of the screen, from its top left corner. Raises SourceError where there is none."""
    options = {"framerate": str(rate)} | ({"video_size": f"{size[0]}x{size[1]}"} if size else {})
    if sys.platform == "darwin":
        return Device("avfoundation", "Capture screen 0:none", {"framerate": str(rate)})
    if sys.platform == "win32":
        return Device("gdigrab", "desktop", options)
    display = os.environ.get("DISPLAY")
    if not display:
        raise SourceError("the screen cannot be captured: DISPLAY is not set; only X11 (or XWayland's "
                          "windows) can be captured here")
    return Device("x11grab", display, options)


class DeviceSource(BaseSource):
    """Frames of a Device as they arrive, in 4:2:0, with their number as time: the live capture sets the time.

    Raises SourceError when it cannot be opened or is lost, SourceTimeoutError when nothing comes.
    """

    def __init__(self, device: Device, timeout: float) -> None:
        super().__init__()
        self._device, self._timeout = device, timeout
        self._screen: ScreenCapture | None = None
        self._container: Any = None
        try:
            if device.format == "x11grab":
                self._screen = ScreenCapture(device.file, device.options, timeout)
                self._container = self._screen.container
            else:
                self._container = av.open(device.file, "r", format=device.format, options=device.options)
        except SourceError:
            raise
        except FAILURES as error:
            raise explained(error, device) from error
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self._stream = self._container.streams.video[0]
        context = self._stream.codec_context
        context.thread_count = 1  # frame threads would hold frames back
        self._poll = _poll(self._device.file) if self._screen is None else self._screen.poll
        self._reformatter = VideoReformatter()
        self._normaliser = Normaliser(Turn(), fixed=True)
        self._frames = self._read()
        self._first: Frame | None = next(self._frames, None)
        if self._first is None:
            raise SourceError(f"{self._device.file} opens, but gives no picture")
        self.info = VideoInfo(self._first.width, self._first.height, self._first.format, MICROSECONDS,
                              self._stream.average_rate, colour=self._first.colour, live=True,
                              name=self._device.file)
        asked = self._device.options.get("video_size")
        if asked not in (None, f"{self.info.width}x{self.info.height}"):
            self.notes.append(f"asked for {asked}, the camera gives {self.info.width}x{self.info.height}; "
                              "`streamseg cameras` lists what it can")

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the device is lost, which is an error, or ends, which a camera never does."""
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._frames

    def close(self) -> None:
        """Close the device; may be called twice."""
        container, self._container = self._container, None
        if container is not None:
            container.close()
        if self._screen is not None:
            self._screen.close()

    def _read(self) -> Iterator[Frame]:
        packets = self._container.demux(self._stream)
        index = 0
        while True:
            self._wait()
            try:
                packet = next(packets, None)
            except FAILURES as error:
                raise explained(error, self._device) from error
            if packet is None:
                return
            for picture in self._decoded(packet):
                yield self._frame(picture, index)
                index += 1

    def _wait(self) -> None:
        """Wait until there is something to read: a blocking read cannot be cancelled."""
        if self._poll is not None and not self._poll.poll(self._timeout * 1000):
            raise SourceTimeoutError(f"nothing came from {self._device.file} for {self._timeout:g} s: it "
                                     "hangs; plug it in again, or --timeout waits longer")

    def _decoded(self, packet: Any) -> list[av.VideoFrame]:
        try:
            pictures: list[av.VideoFrame] = packet.decode()
        except av.error.EOFError:
            return []
        except FAILURES:  # an incomplete MJPEG picture, as cameras give at the start
            self._damaged += 1
            return []
        return pictures

    def _frame(self, picture: av.VideoFrame, index: int) -> Frame:
        small = subsampled(picture, self._reformatter)
        return self._normaliser.frame(small, index, index, MICROSECONDS, None)


def subsampled(picture: av.VideoFrame, reformatter: VideoReformatter) -> av.VideoFrame:
    """The picture in 8-bit 4:2:0: what calls and virtual cameras use, at half of 4:2:2's chroma."""
    if picture.format.name in ("yuv420p", "yuvj420p", "nv12"):
        return picture
    picture = of_eight_bits(picture)
    known = layout(picture.format.name)
    rgb = known.format.startswith("gbrp")
    full = known.full or int(picture.color_range) == FULL
    made = reformatter.reformat(
        picture, format="yuv420p", threads=1, src_color_range=FULL if full else LIMITED,
        dst_color_range=LIMITED if rgb or not full else FULL, **kept(int(picture.colorspace)))
    made.color_range = LIMITED if rgb or not full else FULL
    if rgb:
        made.colorspace = BT601  # swscale's own for RGB
    return made


class OpenCvSource(BaseSource):
    """A camera through OpenCV, by number or device."""

    def __init__(self, device: str, size: tuple[int, int], rate: Fraction, format: str | None) -> None:
        super().__init__()
        self._name = device
        number = device.removeprefix("/dev/video")
        with _silent_opencv():
            self._capture = cv2.VideoCapture(int(number) if number.isdigit() else device)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(f"camera {device} does not open through OpenCV: is it in use, or unplugged? "
                              "`streamseg cameras` lists those there are")
        if format or size[1] >= MJPEG_FROM:
            letters = "MJPG" if format in (None, "mjpeg") else str(format)[:4].upper()
            if len(letters) != 4:
                self.close()
                raise OptionError(f"format is {format!r}; OpenCV wants four letters, as MJPG or YUYV")
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*letters))
        for key, value in ((cv2.CAP_PROP_FRAME_WIDTH, size[0]), (cv2.CAP_PROP_FRAME_HEIGHT, size[1]),
                           (cv2.CAP_PROP_FPS, float(rate)), (cv2.CAP_PROP_BUFFERSIZE, 1)):
            self._capture.set(key, value)
        self._first: Frame | None = self._next(0)
        if self._first is None:
            self.close()
            raise SourceError(f"camera {device} opens through OpenCV, but gives no picture")
        self.info = VideoInfo(self._first.width, self._first.height, "yuv420p", MICROSECONDS, rate,
                              colour=self._first.colour, live=True, name=device)

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the camera is lost, which is a SourceError."""
        index = 0
        frame, self._first = self._first, None
        while frame is not None:
            yield replace(frame, index=index)
            index += 1
            frame = self._next(index)
        raise SourceError(f"camera {self._name} gives no more pictures: was it unplugged?")

    def close(self) -> None:
        """Close the camera; may be called twice."""
        self._capture.release()

    def _next(self, index: int) -> Frame | None:
        there, picture = self._capture.read()
        if not there:
            return None
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        planes: Any = cv2.cvtColor(picture[:height, :width], cv2.COLOR_BGR2YUV_I420)
        flat = planes.reshape(-1)
        luma, chroma = width * height, width * height // 4
        shape = height // 2, width // 2
        return Frame((flat[:luma].reshape(height, width), flat[luma:luma + chroma].reshape(shape),
                      flat[luma + chroma:].reshape(shape)), "yuv420p", MICROSECONDS, index, index,
                     Colour(matrix=BT601, range=LIMITED))


@contextmanager
def _silent_opencv() -> Iterator[None]:
    """Keep OpenCV from writing to stderr what the exception says."""
    logging: Any = cv2.utils.logging  # the stubs do not know it
    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


def _poll(file: str) -> Any:
    """A poll object on a device file that this process has just opened; None where there is no such file."""
    if not (file.startswith("/dev/") and os.path.isdir("/proc/self/fd")):
        return None
    for entry in os.listdir("/proc/self/fd"):
        try:
            if os.path.realpath(f"/proc/self/fd/{entry}") == os.path.realpath(file):
                poll = select.poll()
                poll.register(int(entry), select.POLLIN)
                return poll
        except OSError:
            continue
    return None


def explained(error: Exception, device: Device) -> SourceError:
    """The SourceError for an error of a device, with the remedy."""
    number, name = getattr(error, "errno", None), device.file
    if number == errno.EBUSY:
        return SourceError(f"{name} is in use by another program: close the call or browser tab that has it"
                           + (f"; `fuser -v {name}` tells which" if name.startswith("/dev/") else ""))
    if number in (errno.ENODEV, errno.ENXIO):
        return SourceError(f"{name} was unplugged or is no camera; `streamseg cameras` lists those there are")
    if number == errno.ENOENT:
        return SourceError(f"{name} is not there: plug it in; `streamseg cameras` lists those there are")
    if number in (errno.EACCES, errno.EPERM):
        return SourceError(f"{name}: permission denied; Linux: sudo usermod -aG video $USER and log in again; "
                           "macOS: System Settings, Privacy, Camera; Windows: Settings, Privacy, Camera")
    if number == errno.EINVAL:
        asked = " ".join(f"{key}={value}" for key, value in device.options.items())
        return SourceError(f"{name} does not give {asked or 'pictures'}; `streamseg cameras` lists what it "
                           "can: choose with --size, --rate and --format")
    return SourceError(f"{name} cannot be read: {reason(error)}")
