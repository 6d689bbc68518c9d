"""What a runner is told of a job, and what it gives back. Plain values: a task can travel to another machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

OUTPUTS, REPORT = "outputs", ".report.json"  # the folder of a finished job's outputs, and the file in it


@dataclass(frozen=True, slots=True)
class Target:
    """An output: its name, and which of run's outputs it is: result, matte, cutout or foreground."""

    name: str
    kind: str = "result"


@dataclass(frozen=True, slots=True)
class FilmLimits:
    """What a film may be: megapixels a frame, seconds, frames."""

    pixels: float
    seconds: float
    frames: int


@dataclass(frozen=True, slots=True)
class FilmTask:
    """``source`` is to become ``targets`` in the folder ``OUTPUTS`` of ``folder``, all at once or not at all.

    options   keyword arguments for ``streamseg.run``
    bundle    a zip of this name is made of the outputs, which go into it
    """

    id: str
    source: str
    folder: str
    targets: tuple[Target, ...]
    options: dict[str, Any]
    limits: FilmLimits
    bundle: str | None = None
    background: str | None = None
    names: dict[str, str] = field(default_factory=dict)  # path -> what messages call it

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> FilmTask:
        """From JSON."""
        targets = tuple(Target(**item) for item in values["targets"])
        return cls(**{**values, "targets": targets, "limits": FilmLimits(**values["limits"])})

    @property
    def outputs(self) -> Path:
        """The folder that appears when all are done."""
        return Path(self.folder) / OUTPUTS


class Failure(Exception):
    """A film that cannot be done. ``code``: one of refusals.STATUS."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Crash(Exception):
    """The process that worked on a film died by itself."""


class JobRunner(Protocol):
    """Does tasks. The embedded one starts a process for each; the one on Ray sends them to other machines."""

    async def open(self) -> None:
        """Be ready; the server's folder is there. Raises StreamsegError where no film could be done."""

    async def close(self) -> None:
        """Give back what it holds; no task is under way. May come without ``open``, and twice."""

    async def run(self, task: FilmTask, progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Do the task. -> the report. Cancelled, it stops at once and leaves no outputs.

        Raises Failure for a film that cannot be done, Crash where the process died.
        """

    async def probe(self, path: str, limits: FilmLimits, names: dict[str, str]) -> dict[str, Any]:
        """What the header of a film says: width, height, seconds, frames. Raises Failure, also beyond ``limits``."""
