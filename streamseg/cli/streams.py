"""Standard error that may go away in mid-run, as a closed terminal does; standard output that may fail."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, TextIO, cast

from ..errors import SinkError


def let_go(stream: TextIO) -> None:
    """Point ``stream`` nowhere: at its exit Python writes what still waits, and complains where it cannot."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def refuse_closed_output(asked: str = "-") -> None:
    """Raise SinkError where there is no standard output for what was ``asked`` for."""
    if sys.stdout is None or sys.stdout.closed:
        raise SinkError(f"{asked} means standard output, which is closed: pipe it into a program, or name a "
                        "file")


class DetachedStream:
    """A text stream that never fails: what cannot be written is lost, for nobody is there to read it, and so
    is all after it. A run that only tells of itself is not to end by that; the terminal's SIGHUP ends it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As the stream's."""
        try:
            return self._stream.write(text)
        except OSError:
            let_go(self._stream)
            return len(text)

    def flush(self) -> None:
        """As the stream's."""
        try:
            self._stream.flush()
        except OSError:
            let_go(self._stream)


@contextmanager
def unheard_errors() -> Iterator[None]:
    """While the block runs, standard error never fails."""
    if sys.stderr is None:  # Windows, without a console
        yield
        return
    with redirect_stderr(cast(TextIO, DetachedStream(sys.stderr))):
        yield


class ObservedOutput:
    """A text stream that remembers in ``failure`` what it last failed with: nothing else tells whether an
    OSError was standard output's or a file's."""

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
def watched_output() -> Iterator[ObservedOutput | None]:
    """Standard output as ObservedOutput for the block; None where there is none."""
    if sys.stdout is None:
        yield None
        return
    watched = ObservedOutput(sys.stdout)
    with redirect_stdout(cast(TextIO, watched)):
        yield watched
