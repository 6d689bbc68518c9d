"""What a source is: the three members that anybody's own must have, and what the built-in ones declare beside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from ..core.frames import Frame, VideoInfo


@runtime_checkable
class Source(Protocol):
    """Where frames come from. Iterate it once, from one thread, then close it.

    info  what is known before the first frame
    """

    info: VideoInfo

    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order of presentation. Raises SourceError."""

    def close(self) -> None:
        """Free what is held; may be called twice."""


class BaseSource(ABC):
    """A Source with all that may be asked of one. Derive from it, or hand any Source to ``adapt_source``."""

    info: VideoInfo

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._damaged = 0

    @property
    def notes(self) -> list[str]:
        """Remarks for the user; complete when the iteration has ended."""
        return self._notes

    @property
    def damaged(self) -> int:
        """Damaged parts of the input so far, where they are skipped."""
        return self._damaged

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames, in order of presentation. Raises SourceError."""

    def close(self) -> None:  # noqa: B027 - many sources hold nothing
        """Free what is held; may be called twice."""


@runtime_checkable
class _HasNotes(Protocol):
    notes: list[str]


@runtime_checkable
class _HasDamage(Protocol):
    damaged: int


class _Adapted(BaseSource):
    """Somebody's Source, with the defaults for what it does not declare."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.info = source.info
        self._source = source

    @property
    def notes(self) -> list[str]:
        return self._source.notes if isinstance(self._source, _HasNotes) else self._notes

    @property
    def damaged(self) -> int:
        return self._source.damaged if isinstance(self._source, _HasDamage) else self._damaged

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._source)

    def close(self) -> None:
        self._source.close()


def adapt_source(source: Source) -> BaseSource:
    """``source`` as a BaseSource: itself if it is one, else with ``notes`` and ``damaged`` of its own where it
    has them. Nothing else asks a source for more than ``info``, its frames and ``close``."""
    return source if isinstance(source, BaseSource) else _Adapted(source)
