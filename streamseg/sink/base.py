"""What an output is: the protocol for anybody's object, and the class that streamseg's own derive from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from ..core.frames import Frame
from ..report import Output
from .commit import Placement, place


@runtime_checkable
class Sink(Protocol):
    """What takes the frames of one output, in order, from one thread: the least that an object must have.

    BaseSink declares what an output may offer beyond this.
    """

    def write(self, frame: Frame) -> None:
        """Take one frame. Raises SinkError."""

    def close(self) -> None:
        """Finish, verify and put into place. Raises SinkError, and then nothing is left behind."""

    def abort(self) -> None:
        """Leave nothing behind (or the partial file, if asked for). At any moment, any number of times."""


class BaseSink:
    """A Sink that is completed in two steps, so that several outputs appear together or not at all.

    ``finish`` writes and verifies everything under a temporary name; ``commit`` gives it its name. ``close``
    does both for this output alone.

    kind              composite, cutout, matte or foreground
    target            what the report and messages call it
    path              its final place; None where there is no file
    growing           the file that grows until it is whole; None for pictures, pipes and windows
    kept              what ``abort`` left of a failed run (keep_partial)
    size              bytes written, once finished
    lost              frames that were taken and could not be written
    waits_for_reader  ``write`` may wait for somebody else without limit (a pipe's reader), which is no stall
    notes             remarks for the user; complete after ``commit``
    """

    kind: str = "composite"
    target: str = ""
    path: Path | None = None
    growing: Path | None = None
    kept: Path | None = None
    size: int = 0
    lost: int = 0
    waits_for_reader: bool = False

    def __init__(self) -> None:
        self.notes: list[str] = []

    def write(self, frame: Frame) -> None:
        """Take one frame. Raises SinkError."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write what is held back and verify it; no frame follows. May be called twice.

        Raises SinkError, and then nothing is left behind.
        """

    def stop(self) -> None:
        """From another thread: the run ends, so ``finish`` may break off. Must not block."""

    def wanted(self) -> bool | None:
        """Whether somebody takes the pictures now; None where that is not known. From any thread."""
        return None

    def placements(self) -> Sequence[Placement]:
        """The finished files with the names that ``commit`` gives them."""
        return ()

    def commit(self) -> None:
        """Give what is finished its name. Raises SinkError, and then what was there before is untouched."""
        place(self.placements())
        self.settle()

    def settle(self) -> None:
        """All names are given: tidy up, complete ``notes``. Must not fail."""

    def close(self) -> None:
        """``finish`` and ``commit``. Raises SinkError, and then nothing is left behind."""
        try:
            self.finish()
            self.commit()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Leave nothing behind (or the partial file, if asked for). At any moment, any number of times;
        after ``commit`` it does nothing. Never raises."""

    def result(self) -> Output:
        """What the report says of it."""
        if self.path is None:  # a pipe, a window, nothing
            return Output(self.target or type(self).__name__, self.kind, None)
        return Output(str(self.path), self.kind, self.size)


@runtime_checkable
class _Noting(Protocol):
    notes: list[str]


@runtime_checkable
class _OfKind(Protocol):
    kind: str


@runtime_checkable
class _Named(Protocol):
    target: str


@runtime_checkable
class _Filed(Protocol):
    path: Path | None
    size: int


class ForeignSink(BaseSink):
    """Somebody's Sink as a BaseSink. Its ``notes``, ``kind``, ``target``, ``path`` and ``size`` are taken where
    it has them."""

    waits_for_reader = True  # nothing is known of what it waits for

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self.target = sink.target if isinstance(sink, _Named) else type(sink).__name__
        self.kind = sink.kind if isinstance(sink, _OfKind) else "composite"
        self._take_notes()

    def write(self, frame: Frame) -> None:
        """Hand the frame on."""
        self._sink.write(frame)

    def commit(self) -> None:
        """Close it: it knows no smaller steps."""
        self._sink.close()
        self.settle()

    def settle(self) -> None:
        """Take over what it says at the end."""
        self._take_notes()
        if isinstance(self._sink, _Filed):
            self.path, self.size = self._sink.path, self._sink.size

    def abort(self) -> None:
        """Hand it on."""
        self._sink.abort()

    def _take_notes(self) -> None:
        self.notes = self._sink.notes if isinstance(self._sink, _Noting) else []


def adapt_sink(sink: Sink | BaseSink) -> BaseSink:
    """``sink`` with everything that BaseSink declares: the one place that looks what an object offers."""
    return sink if isinstance(sink, BaseSink) else ForeignSink(sink)


def commit_together(sinks: Iterable[BaseSink]) -> None:
    """Commit all ``sinks``, or none: each is finished first, then all files are renamed.

    An object that only has ``close`` is closed in between: nothing has been renamed then. Raises SinkError;
    then no earlier file has changed. The caller aborts the sinks.
    """
    listed = list(sinks)
    for sink in listed:
        sink.finish()
    files = [sink for sink in listed if sink.placements()]
    for sink in listed:
        if sink not in files:
            sink.commit()
    place([placement for sink in files for placement in sink.placements()])
    for sink in listed:
        sink.settle()
