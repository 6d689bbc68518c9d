"""Opens the container of an input: a path, an address, standard input, a pipe or a file object.

What can fail fails here, before any thread is started: a file that is missing, empty or not a video, an address
that does not answer, a pipe that gives nothing, hardware that is not there. The error says why.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import av.error
from av.codec.hwaccel import HWAccel, hwdevices_available

from ..errors import DamagedInputError, DeviceError, OptionError, SourceError, SourceTimeoutError
from ..options import InputOptions
from .byte_input import ByteInput, InputFile, InputPipe, ReadableFile, file_name
from .integrity import missing_in, missing_in_file
from .metadata import JPEG_MARK

LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srtp", "udp", "srt", "mms", "mmsh")
LONGEST_WAIT = 30.0
INDEX_LAST = ("An MP4 with its index at the end cannot be read from a pipe: give the file itself, or pipe "
              "Matroska, NUT or Y4M")
# Besides FFmpeg's errors, PyAV raises these for damaged files: times and texts out of range.
FAILURES = (av.FFmpegError, OSError, ValueError, ArithmeticError, RuntimeError)


def byte_input(container: Any) -> ByteInput | None:
    """What ``container`` reads through Python; None for a file or an address, which FFmpeg reads itself."""
    source = getattr(container.file, "file", None)  # PyAV's wrapper around file objects
    return source if isinstance(source, ByteInput) else None


def too_large(name: str, width: int, height: int, limit: int) -> SourceError:
    """The error for a picture of more than ``limit`` pixels."""
    return SourceError(f"{name} is {width} x {height}, {width * height:,} pixels; at most "
                       f"{limit:,} are read: --max-pixels {width * height} raises the limit")


def decoder_limit(options: InputOptions) -> str:
    """FFmpeg's own limit: it counts sides that are rounded up to its blocks, so a small picture may count twice."""
    return str(2 * options.max_pixels + (1 << 20))


def missing_in_stream(container: Any) -> str | None:
    """What is missing of a pipe that has ended ("its last packet is not whole"), None if nothing is known to
    be, or if ``container`` reads no pipe."""
    source = byte_input(container)
    return None if source is None else source.missing()


def scheme(spec: str) -> str | None:
    """'rtsp' of 'rtsp://...', None if ``spec`` is not an address."""
    found = re.match(r"([a-z][a-z0-9+.-]+)://", spec, re.IGNORECASE)
    return found[1].lower() if found and found[1].lower() != "file" else None


def open_container(spec: str | ReadableFile, options: InputOptions, format: str | None = None) -> Any:
    """An av InputContainer of a path, an address, '-' or a file object. The caller closes it. ``format``:
    FFmpeg's demuxer for a file, where its content does not tell.

    Raises SourceError, DamagedInputError, SourceTimeoutError, DeviceError or OptionError, with the remedy.
    """
    if not isinstance(spec, str):
        return _from_file_object(spec, options)
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
        return _open(f"file:{path}", str(path), options, format=format)
    except DamagedInputError as error:
        missing = missing_in_file(path) if stat.S_ISREG(mode) else None
        if missing is None:
            raise
        raise DamagedInputError(f"{path} is cut off ({missing}), and what is there cannot be read without "
                                "its end: copy or download it again") from error


def missing_in_input(spec: str | ReadableFile) -> str | None:
    """What is missing at the end of a local file, of a file object that can seek, or of a file that is standard
    input (as Linux shows it). None if nothing is known to be missing. To be called before the container is
    opened: the position in a file object is lost."""
    if not isinstance(spec, str):
        source = InputFile(spec, file_name(spec))
        return missing_in(cast(BinaryIO, source)) if source.seekable() else None
    if scheme(spec) is not None:
        return None
    path = Path(f"/proc/self/fd/{sys.stdin.fileno()}" if spec == "-" else spec.removeprefix("file://"))
    return missing_in_file(path) if path.is_file() else None


def first_bytes(path: Path, count: int) -> bytes:
    """The first ``count`` bytes of a file. Empty where it cannot be read (opening it reports why) and for pipes,
    where reading would wait and lose the bytes."""
    if not os.path.isfile(path):
        return b""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def mode_of(path: Path) -> int:
    """``st_mode`` of a readable path. Raises SourceError that says why it cannot be read."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise SourceError(f"{str(path)!r} cannot be opened: {getattr(error, 'strerror', error)}") from error
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path} cannot be read: permission denied")
    return mode


def _from_file_object(file: ReadableFile, options: InputOptions) -> Any:
    source = InputFile(file, file_name(file))
    try:
        return _open(source, source.name, options)
    except DamagedInputError as error:
        if not source.check.received:
            raise SourceError(f"{source.name} is empty: it gave no byte") from error
        if not source.seekable():
            raise DamagedInputError(f"{error}. {INDEX_LAST}") from error
        raise
    finally:
        if source.interrupted:
            raise KeyboardInterrupt


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
        if not pipe.check.received:
            raise SourceError(f"{name} is empty: what should write to it ended without a byte") from error
        raise DamagedInputError(f"{error}. {INDEX_LAST}") from error
    finally:
        if pipe.interrupted:
            raise KeyboardInterrupt


def _from_network(spec: str, address: str, options: InputOptions) -> Any:
    """Open an address, ``options.retry`` times again with waits of 1, 2, 4, ... seconds."""
    for attempt in range(options.retry + 1):
        try:
            if address in ("http", "https"):
                return _from_http(spec, options)
            return _open(spec, spec, options, timeout=options.timeout)
        except DamagedInputError:
            raise
        except SourceError:
            if attempt == options.retry:
                raise
            time.sleep(min(2.0 ** attempt, LONGEST_WAIT))
    raise AssertionError(address)


def _from_http(spec: str, options: InputOptions) -> Any:
    from .http_input import HttpInput

    source = HttpInput(spec, options.timeout, options.retry)
    try:
        if source.is_playlist():
            source.close()
            return _open(spec, spec, options, timeout=options.timeout)
        if source.has_late_index() and not source.seekable():
            return _open(source.fetched(), spec, options)
        return _open(source, spec, options)
    except BaseException as error:
        source.close()
        missing = source.missing()
        if isinstance(error, DamagedInputError) and missing:
            raise DamagedInputError(f"{spec} did not come whole: {missing}") from error
        raise
    finally:
        if source.interrupted:
            raise KeyboardInterrupt


def _open(file: Any, name: str, options: InputOptions, timeout: float | None = None,
          format: str | None = None) -> Any:
    """av.open, its errors as SourceErrors. Local files get no timeout: probing them may be slow."""
    arguments: dict[str, Any] = {"metadata_errors": "replace", "format": format,
                                 "options": {"max_pixels": decoder_limit(options)}}
    if timeout is not None:
        arguments["timeout"] = (timeout, timeout)
    if options.hwaccel:
        return _accelerated(file, name, options, arguments)
    return _plain(file, name, options, arguments)


def _plain(file: Any, name: str, options: InputOptions, arguments: dict[str, Any]) -> Any:
    try:
        container = av.open(file, "r", **arguments)
    except SourceError:
        raise
    except FAILURES as error:
        raise explained(error, name, options) from error
    head = _head(file) if container.format.name == "mjpeg" else b""
    if head and not head.startswith(JPEG_MARK):  # FFmpeg takes anything with a JPEG in it for raw MJPEG
        container.close()
        raise SourceError(f"{name} is not a video or a picture: it has a JPEG somewhere inside, as documents, archives "
                          "and cameras' raw files do. Save that as a picture of its own first")
    return container


def _head(file: Any) -> bytes:
    """The first bytes of what av.open has opened; empty where nobody kept them."""
    if isinstance(file, str):
        return first_bytes(Path(file.removeprefix("file:")), len(JPEG_MARK)) if file.startswith("file:") else b""
    if isinstance(file, ByteInput):
        return file.check.head
    at = file.tell()  # a file that is standard input; Windows has no os.pread
    file.seek(0)
    head: bytes = file.read(len(JPEG_MARK))
    file.seek(at)
    return head


def _accelerated(file: Any, name: str, options: InputOptions, arguments: dict[str, Any]) -> Any:
    """Open with the device's decoder. If that fails, open without it, to find out which of the two is at fault."""
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
    """The text of an error, without PyAV's numbers."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def explained(error: Exception, name: str, options: InputOptions) -> SourceError:
    """The SourceError for an error of av.open or of reading."""
    if isinstance(error, (av.error.ExitError, TimeoutError)):
        return SourceTimeoutError(f"nothing came from {name} for {options.timeout:g} s: check the address "
                                  "and the network; --timeout waits longer, --retry (live: --reconnect) "
                                  "tries again")
    if isinstance(error, av.error.InvalidDataError):
        return DamagedInputError(f"{name} is not a video or a picture, or it is damaged: {reason(error)}")
    if isinstance(error, av.error.ProtocolNotFoundError):
        return SourceError(f"{name}: {scheme(name)} is not an address that FFmpeg can read; known are "
                           "http, https, rtsp, rtmp, udp, srt and others of FFmpeg's protocols")
    return SourceError(f"{name} cannot be opened: {reason(error)}")
