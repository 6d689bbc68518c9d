"""Opens a container for reading, whatever it comes from, and says in plain words why it cannot.

Everything that can fail fails here, before any thread has started: a file that is missing, empty or no
picture, an address that does not answer, a pipe that gives nothing, hardware that is not there.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import av
import av.error
from av.codec.hwaccel import HWAccel, hwdevices_available

from ..errors import DamagedInputError, DeviceError, OptionError, SourceError, SourceTimeoutError
from ..options import InputOptions
from .integrity import cut_off
from .pipe_integrity import Flow

MAX_PIXELS = 1 << 27
LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srtp", "udp", "srt", "mms", "mmsh")
LONGEST_WAIT = 30.0
INDEX_LAST = ("An MP4 with its index at the end cannot be read from a pipe: give the file itself, or pipe "
              "Matroska, NUT or Y4M")
# What a damaged file can make PyAV raise besides FFmpeg's own errors: times and texts out of range.
FAILURES = (av.FFmpegError, OSError, ValueError, ArithmeticError, RuntimeError)


class InputPipe:
    """Standard input or a named pipe as a file object for PyAV; a read waits ``timeout`` seconds at most.

    ``poll`` rather than a blocking read, because nobody could take a thread back from that. Raises
    SourceTimeoutError from ``read``; PyAV hands it on as it is. ``flow``: what came so far.

    ``owned``: the descriptor is closed when the pipe has ended, else with the last that refers to this
    object: closing a container tells PyAV's file objects nothing.
    """

    def __init__(self, descriptor: int, name: str, timeout: float, *, owned: bool = False) -> None:
        self.name = name
        self.interrupted = False
        self.flow = Flow()
        self._descriptor = descriptor
        self._timeout = timeout
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows cannot poll a pipe
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLIN)
        self._closing = weakref.finalize(self, os.close, descriptor) if owned else None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Close the descriptor if it is owned; may be called twice. What is read then is the end."""
        if self._closing is not None:
            self._closing()

    def read(self, size: int = -1) -> bytes:
        if self._closing is not None and not self._closing.alive:
            return b""
        try:
            if self._poll is not None and not self._poll.poll(self._timeout * 1000):
                raise SourceTimeoutError(f"nothing came from {self.name} for {self._timeout:g} s: is the "
                                         "program before it still running? --timeout waits longer")
            data = os.read(self._descriptor, size)
            self.flow.feed(data)
            if not data and size:
                self.close()
            return data
        except KeyboardInterrupt:  # PyAV lets only Exceptions through from here; opened() raises it again
            self.interrupted = True
            raise OSError("interrupted") from None


def cut_pipe(container: Any) -> str | None:
    """What is missing of a pipe that has ended ("its last packet is not whole"), None if nothing is known to
    be, or if ``container`` reads no pipe."""
    source = getattr(container.file, "file", None)  # PyAV's wrapper, of file objects alone, and what is in it
    return source.flow.cut_off() if isinstance(source, InputPipe) else None


def scheme(spec: str) -> str | None:
    """'rtsp' of 'rtsp://...', None for what is no address."""
    found = re.match(r"([a-z][a-z0-9+.-]+)://", spec, re.IGNORECASE)
    return found[1].lower() if found and found[1].lower() != "file" else None


def opened(spec: str, options: InputOptions) -> Any:
    """An av InputContainer of a path, an address or '-'. The caller closes it.

    Raises SourceError, DamagedInputError, SourceTimeoutError, DeviceError or OptionError, with the remedy.
    """
    if spec == "-":
        return _from_standard_input(options)
    address = scheme(spec)
    if address is not None:
        return _from_network(spec, address, options)
    path = Path(spec.removeprefix("file://") if spec.startswith("file://") else spec)
    mode = mode_of(path)
    if stat.S_ISFIFO(mode):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a plain open waits for the writer
        return _piped(descriptor, str(path), options, owned=True)
    if path.stat().st_size == 0 and stat.S_ISREG(mode):
        raise SourceError(f"{path} is empty (0 bytes)")
    try:
        return _open(f"file:{path}", str(path), options)
    except DamagedInputError as error:
        missing = cut_off(path) if stat.S_ISREG(mode) else None
        if missing is None:
            raise
        raise DamagedInputError(f"{path} is cut off ({missing}), and what is there cannot be read without "
                                "its end: copy or download it again") from error


def first_bytes(path: Path, count: int) -> bytes:
    """What a file begins with; nothing where it cannot be read or is no file (a pipe would wait, and lose
    them): opening it will tell."""
    if not os.path.isfile(path):
        return b""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def mode_of(path: Path) -> int:
    """``st_mode`` of what may be read. Raises SourceError, which says why it may not."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise SourceError(f"{str(path)!r} cannot be opened: {getattr(error, 'strerror', error)}") from error
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path} cannot be read: permission denied")
    return mode


def _from_standard_input(options: InputOptions) -> Any:
    if sys.stdin is None or sys.stdin.closed:
        raise SourceError("- means standard input, which is closed: pipe a video into streamseg")
    if sys.stdin.isatty():
        raise SourceError("- means standard input, which is the terminal: pipe a video into streamseg, "
                          "as in: ffmpeg -i clip.mp4 -f nut - | streamseg run - -o out.mp4")
    try:
        descriptor = sys.stdin.fileno()
    except OSError as error:
        raise SourceError("- means standard input, and that of a notebook or another host is no pipe: "
                          "name a file or an address") from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return _open(open(descriptor, "rb", closefd=False), "standard input", options)
    return _piped(descriptor, "standard input", options)


def _piped(descriptor: int, name: str, options: InputOptions, *, owned: bool = False) -> Any:
    pipe = InputPipe(descriptor, name, options.timeout, owned=owned)
    try:
        return _open(pipe, name, options)
    except BaseException as error:
        pipe.close()
        if not isinstance(error, DamagedInputError):
            raise
        if not pipe.flow.received:
            raise SourceError(f"{name} is empty: what should write to it ended without a byte") from error
        raise DamagedInputError(f"{error}. {INDEX_LAST}") from error
    finally:
        if pipe.interrupted:
            raise KeyboardInterrupt


def _from_network(spec: str, address: str, options: InputOptions) -> Any:
    """Open an address, ``options.retry`` times again with waits of 1, 2, 4, ... seconds."""
    for attempt in range(options.retry + 1):
        try:
            return _open(spec, spec, options, timeout=options.timeout)
        except DamagedInputError:
            raise
        except SourceError:
            if attempt == options.retry:
                raise
            time.sleep(min(2.0 ** attempt, LONGEST_WAIT))
    raise AssertionError(address)


def _open(file: Any, name: str, options: InputOptions, timeout: float | None = None) -> Any:
    """av.open with its errors in words. Local files get no timeout: slow probing is no silence."""
    arguments: dict[str, Any] = {"metadata_errors": "replace", "options": {"max_pixels": str(MAX_PIXELS)}}
    if timeout is not None:
        arguments["timeout"] = (timeout, timeout)
    if options.hwaccel:
        return _accelerated(file, name, options, arguments)
    return _plain(file, name, options, arguments)


def _plain(file: Any, name: str, options: InputOptions, arguments: dict[str, Any]) -> Any:
    try:
        return av.open(file, "r", **arguments)
    except SourceError:
        raise
    except FAILURES as error:
        raise explained(error, name, options) from error


def _accelerated(file: Any, name: str, options: InputOptions, arguments: dict[str, Any]) -> Any:
    """Open with the device's decoder; without it where only the device fails, to blame the right one."""
    there = hwdevices_available()
    if options.hwaccel not in there:
        raise OptionError(f"hwaccel is {options.hwaccel!r}; this FFmpeg knows: {', '.join(there) or 'none'}")
    device = HWAccel(options.hwaccel, allow_software_fallback=False)
    try:
        return av.open(file, "r", hwaccel=device, **arguments)
    except FAILURES as error:
        if isinstance(file, str):
            _plain(file, name, options, arguments).close()
        raise DeviceError(f"{name} cannot be decoded on {options.hwaccel} ({reason(error)}): the device is "
                          "not there, its driver is missing or it does not know the codec. "
                          "Leave --hwaccel out") from error


def reason(error: BaseException) -> str:
    """What happened, without PyAV's numbers."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def explained(error: Exception, name: str, options: InputOptions) -> SourceError:
    """The SourceError that says what an error of av.open or of reading means."""
    if isinstance(error, (av.error.ExitError, TimeoutError)):
        return SourceTimeoutError(f"nothing came from {name} for {options.timeout:g} s: check the address "
                                  "and the network; --timeout waits longer, --retry tries again")
    if isinstance(error, av.error.InvalidDataError):
        return DamagedInputError(f"{name} is not a video or a picture, or it is damaged: {reason(error)}")
    if isinstance(error, av.error.ProtocolNotFoundError):
        return SourceError(f"{name}: {scheme(name)} is not an address that FFmpeg can read; known are "
                           "http, https, rtsp, rtmp, udp, srt and others of FFmpeg's protocols")
    return SourceError(f"{name} cannot be opened: {reason(error)}")
