"""An output that is a file object in the caller's hands: an io.BytesIO, an open file, an upload."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..core.frames import Frame
from ..errors import OptionError
from ..report import Output
from .base import BaseSink
from .commit import writing
from .containers import CONTAINERS, PICTURES, extension

CHUNK = 1 << 20  # bytes that are copied at once


@runtime_checkable
class FileObject(Protocol):
    """What takes bytes, as an io.BytesIO or a file opened with mode 'wb' does."""

    def write(self, data: bytes, /) -> int | None:
        """Take bytes. -> how many were taken; None: all"""


@runtime_checkable
class _Named(Protocol):
    name: str


class FileObjectSink(BaseSink):
    """Writes into ``file`` at its present place, once everything is verified; the file stays open.

    Until then the output is a temporary file, so a container that must be gone back in (MP4) works into a
    stream, too, and a run that fails writes nothing. With keep_partial what was written until then is copied.

    opened  makes the sink that writes the temporary file, of its path
    format  mp4, mkv, png, ...; None: the extension of the file object's name

    Raises OptionError for another format, and for a file object that takes no bytes.
    """

    def __init__(self, file: FileObject, format: str | None, opened: Callable[[str], BaseSink]) -> None:
        super().__init__()
        self.target = f"a file object ({type(file).__name__})"
        self._file = file
        ext = extension_for(file, format)
        _prove_writable(file, self.target)
        self._folder = tempfile.TemporaryDirectory(prefix="streamseg-")
        try:
            self._sink = opened(str(Path(self._folder.name, "output" + ext)))
        except BaseException:
            self._folder.cleanup()
            raise
        self._sink.target = self.target
        self.notes, self.kind, self.growing = self._sink.notes, self._sink.kind, self._sink.growing
        self._done = False

    def write(self, frame: Frame) -> None:
        """Take one frame. Raises SinkError."""
        self._sink.write(frame)

    def finish(self) -> None:
        """Finish and verify the temporary file."""
        self._sink.finish()
        self.size = self._sink.size

    def stop(self) -> None:
        """Let ``finish`` break off."""
        self._sink.stop()

    def commit(self) -> None:
        """Copy it into the file object. Raises SinkError; what was copied is then taken back if it can be."""
        if self._done:
            return
        self._sink.commit()
        assert self._sink.path is not None
        self._copy(self._sink.path)
        self._done = True
        self._folder.cleanup()

    def abort(self) -> None:
        """Throw the temporary file away; with keep_partial copy it. Never raises."""
        if self._done:
            return
        self._done = True
        self._sink.abort()
        if self._sink.kept is not None and self._sink.kept.is_file():
            with contextlib.suppress(Exception):
                self._copy(self._sink.kept)
        self._folder.cleanup()

    def result(self) -> Output:
        """The file object's type, and the bytes that it was given."""
        return Output(self.target, self.kind, self.size)

    def _copy(self, path: Path) -> None:
        with contextlib.ExitStack() as undo, writing(self.target):
            _take_back_on_failure(self._file, undo)
            with path.open("rb") as made:
                while data := made.read(CHUNK):
                    while data:  # an unbuffered file may take a part only
                        taken = self._file.write(data)
                        data = b"" if taken is None else data[taken:]
            undo.pop_all()


@runtime_checkable
class _Seekable(Protocol):
    def seekable(self) -> bool: ...
    def tell(self) -> int: ...
    def seek(self, place: int, /) -> int: ...
    def truncate(self) -> int: ...


def _take_back_on_failure(file: FileObject, undo: contextlib.ExitStack) -> None:
    if isinstance(file, _Seekable) and file.seekable():
        undo.callback(file.truncate)
        undo.callback(file.seek, file.tell())


def extension_for(file: FileObject, format: str | None) -> str:
    """'.mkv' of the format mkv, MKV, .mkv or matroska; of None the extension of the file object's name.

    Raises OptionError.
    """
    if format is None:
        name = file.name if isinstance(file, _Named) and isinstance(file.name, str) else ""
        ext = extension(name)
        if ext in CONTAINERS or ext in PICTURES:
            return ext
        raise OptionError(f"the output is a file object ({type(file).__name__}) without a name that says what it "
                          "is to hold: give format, as format='mp4'")
    ext = "." + format.lower().removeprefix(".")
    if ext in CONTAINERS or ext in PICTURES:
        return ext
    for known, container in CONTAINERS.items():  # PyAV's own names
        if container.muxer == format.lower():
            return known
    known_names = " ".join(name.removeprefix(".") for name in (*CONTAINERS, *PICTURES))
    raise OptionError(f"format is {format!r}; allowed is: {known_names}")


def _prove_writable(file: FileObject, shown: str) -> None:
    """Raise OptionError now rather than at the end of the run."""
    try:
        file.write(b"")
    except (TypeError, ValueError, OSError) as error:  # text; closed; opened for reading
        raise OptionError(f"the output, {shown}, takes no bytes ({error}): open the file with mode 'wb', or give "
                          "an io.BytesIO") from error
