"""Standard error that may disappear during a run (a closed terminal), and standard output that may fail."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, cast

from ..errors import SinkError


def detach(stream: TextIO) -> None:
    """Redirect ``stream`` to the null device: at exit Python flushes it, and would print an error."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def refuse_closed_output(asked: str = "-") -> None:
    """Raise SinkError if there is no standard output for the output ``asked``."""
    if sys.stdout is None or sys.stdout.closed:
        raise SinkError(f"{asked} means standard output, which is closed: pipe it into a program, or name a "
                        "file")


class DetachedStream:
    """A text stream that never fails: what cannot be written is dropped, because nobody can read it. Messages must
    not end a run; the terminal's SIGHUP does."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's."""
        try:
            return self._stream.write(text)
        except OSError:
            detach(self._stream)
            return len(text)

    def flush(self) -> None:
        """As the stream's."""
        try:
            self._stream.flush()
        except OSError:
            detach(self._stream)


@contextmanager
def detached_errors() -> Iterator[None]:
    """While the block runs, standard error never fails."""
    if sys.stderr is None:  # closed before the start (2>&-), or Windows without a console
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
            yield
        return
    with redirect_stderr(cast(TextIO, DetachedStream(sys.stderr))):
        yield


class TrimmedLines:
    """A text stream that leaves out the spaces at the ends of lines, with which rich fills its tables up."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's; whole lines are expected."""
        self._stream.write(re.sub(r" +$", "", text, flags=re.MULTILINE))
        return len(text)


class ObservedOutput:
    """A text stream that keeps its last error in ``failure``: nothing else tells whether an OSError came from
    standard output or from a file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's."""
        with self._watched():
            return self._stream.write(text)

    def flush(self) -> None:
        """As the stream's."""
        with self._watched():
            self._stream.flush()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error
            raise


@contextmanager
def observed_output() -> Iterator[ObservedOutput | None]:
    """Standard output as ObservedOutput for the block; None where there is none."""
    if sys.stdout is None:
        yield None
        return
    watched = ObservedOutput(sys.stdout)
    with redirect_stdout(cast(TextIO, watched)):
        yield watched
