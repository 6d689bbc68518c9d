"""Inputs that PyAV reads through Python: standard input, named pipes and file objects."""

from __future__ import annotations

import os
import select
import weakref
from typing import Any, Protocol, runtime_checkable

from ..errors import SourceError, SourceTimeoutError
from .integrity import StreamCheck


@runtime_checkable
class ReadableFile(Protocol):
    """A binary file object. One that also has ``seek`` and ``tell`` is read from its beginning."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; empty at the end."""


class ByteInput:
    """What PyAV reads from. Once read, it says what is missing at the end of the stream.

    name         for messages
    interrupted  a KeyboardInterrupt came during a read. PyAV passes only Exceptions on, so it arrives as an
                 OSError; ``open_container`` raises KeyboardInterrupt again
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.interrupted = False
        self.check = StreamCheck()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def missing(self) -> str | None:
        """What is missing at the end ("its last packet is not whole"), None if nothing is known to be."""
        return self.check.missing()

    def close(self) -> None:
        """Free what is owned; may be called twice."""

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes; empty at the end. Raises SourceError, which PyAV passes on unchanged."""
        try:
            data = self._read(size)
        except KeyboardInterrupt:
            self.interrupted = True
            raise OSError("interrupted") from None
        self.check.feed(data)
        return data

    def _read(self, size: int) -> bytes:
        raise NotImplementedError


class InputPipe(ByteInput):
    """Standard input or a named pipe. A read waits at most ``timeout`` seconds: ``poll`` is used because a
    blocking read cannot be cancelled. Raises SourceTimeoutError.

    ``owned``: the descriptor is closed at the end of the stream, or with the last reference to this object:
    PyAV does not tell a file object that its container was closed.
    """

    def __init__(self, descriptor: int, name: str, timeout: float, *, owned: bool = False) -> None:
        super().__init__(name)
        self._descriptor = descriptor
        self._timeout = timeout
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows cannot poll a pipe
        if self._poll is not None:
            self._poll.register(descriptor, select.POLLIN)
        self._closing = weakref.finalize(self, os.close, descriptor) if owned else None

    def close(self) -> None:
        """Close the descriptor if it is owned; later reads return the end of the stream."""
        if self._closing is not None:
            self._closing()

    def _read(self, size: int) -> bytes:
        if self._closing is not None and not self._closing.alive:
            return b""
        if self._poll is not None and not self._poll.poll(self._timeout * 1000):
            raise SourceTimeoutError(f"nothing came from {self.name} for {self._timeout:g} s: is the "
                                     "program before it still running? --timeout waits longer")
        data = os.read(self._descriptor, size)
        if not data and size:
            self.close()
        return data


class InputFile(ByteInput):
    """A file object of the caller, which is never closed here. Its errors become SourceErrors."""

    def __init__(self, file: ReadableFile, name: str) -> None:
        super().__init__(name)
        self._file: Any = file  # seek and tell are optional
        self._seekable = _is_seekable(file)
        if self._seekable:
            self.seek(0)

    def seekable(self) -> bool:
        return self._seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file object. Raises SourceError."""
        try:
            return int(self._file.seek(offset, whence))
        except Exception as error:
            raise SourceError(f"{self.name} cannot be read: {error}") from error

    def tell(self) -> int:
        """As of a file object."""
        return int(self._file.tell())

    def missing(self) -> str | None:
        """As ByteInput's; unknown of a file that is read in any order: ``missing_in`` looks at that."""
        return None if self._seekable else super().missing()

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except Exception as error:
            raise SourceError(f"{self.name} cannot be read: {type(error).__name__}: {error}") from error
        if not isinstance(data, (bytes, bytearray, memoryview)):
            what = "text" if isinstance(data, str) else type(data).__name__
            raise SourceError(f"{self.name} gives {what}, not bytes: open the file in binary mode, as "
                              "open(path, 'rb')")
        return bytes(data)


def _is_seekable(file: Any) -> bool:
    """Whether a file object says that it can be read in any order."""
    try:
        return bool(file.seekable()) and callable(file.seek) and callable(file.tell)
    except Exception:  # it has none of these, or is closed: reading it reports why
        return False


def file_name(file: ReadableFile) -> str:
    """What messages call a file object: its ``name``, if that is text."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) and name else "the file object"
