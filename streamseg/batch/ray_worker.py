"""What runs in an actor on Ray: a file, or a part of a long film. Every worker decodes where it segments; what goes to
and fro are names and figures.
"""

from __future__ import annotations

import os
import time
from typing import Any

from ..errors import StreamsegError
from ..report import Subject
from ..segment import method_name
from ..sink.commit import writer
from ..subject import remarks, require
from . import files
from .item import do
from .job import EXTRA, NULL
from .methods import Methods
from .plan import FILES, targets_of
from .records import Outcome
from .spans import Span, spans
from .split import PartDone, do_part, join_all


class Worker:
    """What runs in an actor: one task at a time."""

    def __init__(self, threads: int) -> None:
        self._methods, self._threads = Methods(), threads

    def hello(self) -> tuple[str, int]:
        """(the name in this process's temporary files, its process id)."""
        return writer(), os.getpid()

    def whole(self, job: dict[str, Any], name: str) -> Outcome:
        """Do an item."""
        return do(self._told(job), self._methods, worker=name)

    def survey(self, job: dict[str, Any], seconds: float, name: str) -> Outcome | list[Span]:
        """The parts of a film; of one that is too short for that, how it ended: it is done at once."""
        try:
            found = spans(self._told(job), seconds)
        except StreamsegError:
            found = None  # doing it says what is wrong with it
        return self.whole(job, name) if found is None else found

    def part(self, job: dict[str, Any], span: Span, folder: str) -> PartDone | StreamsegError:
        """A part of a film. An error comes back as a value: Ray would wrap it."""
        try:
            return do_part(self._told(job), span, folder, self._methods)
        except StreamsegError as error:
            return _plain(error)

    def join(self, job: dict[str, Any], parts: list[Span], done: list[PartDone], name: str, stamp: str | None,
             kept: int) -> Outcome:
        """Put a film together. ``stamp``: the input's when it was split; ``kept``: parts of an earlier process."""
        began = time.perf_counter()
        facts: dict[str, Any] = {"stamp": files.stamp(job["source"]), "content": files.digest(job["source"]),
                                 "worker": name}
        worked = sum(part.seconds for part in done)
        frames = sum(part.count for part in parts)
        subjects = {part.subject for part in done}
        found = Subject(next((seen for seen in ("found", "grey") if seen in subjects), "none"), 0, 0)
        method = method_name(job["options"].get("method", "default"))
        try:
            if facts["stamp"] != stamp:
                raise StreamsegError(f"{job['source']} was changed while it was read: do it again when it is whole")
            if job["options"].get("require_subject"):
                require(found, frames, method)
            notes = [*join_all(job, parts, done), *remarks(found, frames, method)]
        except StreamsegError as error:
            return Outcome("failed", reason=f"{type(error).__name__}: {error}", **facts)
        seconds = worked + time.perf_counter() - began
        told = f"in {len(parts)} parts" + (f", {kept} of them made before" if kept else "")
        notes = list(dict.fromkeys([*(note for part in done for note in part.notes), *notes, told]))
        return Outcome("done", frames=frames, damaged=sum(part.damaged for part in done), seconds=round(seconds, 3),
                       fps=round(frames / max(seconds, 1e-6), 2), reason="; ".join(notes),
                       subject=found.state, **facts,
                       outputs=[files.written(*target) for target in targets_of(job["sinks"], job["options"])])

    def _told(self, job: dict[str, Any]) -> dict[str, Any]:
        return {**job, "options": {"threads": self._threads, **job["options"]}}


def _plain(error: StreamsegError) -> StreamsegError:
    """An error that pickles: without causes and traces."""
    return type(error)(str(error))


def absolute(job: dict[str, Any]) -> dict[str, Any]:
    """A job for a worker, which runs in another folder: paths from the root."""
    def path(name: Any, *, there: bool) -> Any:
        local = isinstance(name, str) and name != NULL and "://" not in name
        if not local or (there and not os.path.exists(name)):
            return name
        return os.path.abspath(name) + ("/" if name.endswith("/") else "")

    options = {name: path(value, there=name not in EXTRA) if name in (*EXTRA, *FILES) else value
               for name, value in job["options"].items()}
    return {"source": path(job["source"], there=False), "sinks": [path(sink, there=False) for sink in job["sinks"]],
            "options": options}
