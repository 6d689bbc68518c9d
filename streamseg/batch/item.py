"""One item of a batch: what is made of it, or why nothing is."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from .. import api
from ..core.folders import made_folder
from ..core.opencv import opencv_threads
from ..core.thread_budget import Threads
from ..errors import SinkError, StreamsegError
from ..report import Progress, Report
from ..sink.commit import appearing
from . import files, remote
from .addresses import is_address, is_remote
from .events import HERE
from .job import EXTRA, NULL
from .judge import whole
from .methods import Methods
from .plan import targets_of
from .records import Outcome, Written

Like = Callable[[str], Outcome | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """An input as it lay there before it was read: its stamp, and the digest of what is in it."""

    stamp: str | None
    content: str | None

    @classmethod
    def of(cls, source: str) -> Seen:
        """Look at an input."""
        return cls(files.stamp(source), files.digest(source))


def do(job: Mapping[str, Any], methods: Methods, *, worker: str = HERE, like: Like | None = None,
       seen: Seen | None = None, alone: bool = True,
       progress: Callable[[Progress], None] | None = None) -> Outcome:
    """Do one item, and say how it ended. Only what is no StreamsegError is raised.

    job   source, sinks, options, as Job; ``judge``: what lies at the output may be it; ``replace``: and if it is not,
          it may be replaced
    like  finds how an item of the same content ended
    seen  the input as it was looked at, where somebody has done so
    alone nothing else is done in this process meanwhile, so that OpenCV's threads, which are the process's, may be set
    """
    began = time.perf_counter()
    source, targets = job["source"], targets_of(job["sinks"], job["options"])
    seen = seen or Seen.of(source)
    facts: dict[str, Any] = {"stamp": seen.stamp, "content": seen.content, "worker": worker}
    try:
        told = _spared(job, targets, seen.content, None if is_address(source) else like)
        told = told or _run(job, methods, progress, alone)
        if seen.stamp is not None and files.stamp(source) != seen.stamp:
            raise StreamsegError(f"{source} was changed while it was read: do it again when it is whole")
        return Outcome("done", seconds=round(time.perf_counter() - began, 3), **facts, **told,
                       outputs=[files.written(path, kind) for path, kind in targets])
    except StreamsegError as error:
        return Outcome("failed", seconds=round(time.perf_counter() - began, 3),
                       reason=f"{type(error).__name__}: {error}", **facts)


def _spared(job: Mapping[str, Any], targets: list[tuple[str, str]], content: str | None,
            like: Like | None) -> dict[str, Any] | None:
    """What is said of an item whose outputs are there already, or can be copied; None if it is to be made."""
    if job.get("judge"):
        lacking = [reason for path, kind in targets if (reason := whole(job["source"], path, kind, job["options"]))]
        if not lacking:
            return {"reason": "was there already, whole"}
        if not job.get("replace"):
            raise SinkError(f"{lacking[0]}; --overwrite makes it anew")
    other = like(content) if like is not None and content is not None else None
    pairs = list(zip(sorted(targets), other.outputs, strict=False)) if other is not None else []
    if other is None or not pairs or len(targets) != len(other.outputs) or not all(map(_copies, pairs)):
        return None
    for (path, _), made in pairs:
        with made_folder(os.path.dirname(path)), appearing(path, bool(job.get("replace"))) as place:
            shutil.copyfile(made.path, place)
    return {"reason": f"the same content as {pairs[0][1].path}: copied", "frames": other.frames,
            "damaged": other.damaged, "subject": other.subject}


def _copies(pair: tuple[tuple[str, str], Written]) -> bool:
    """Whether an output may be a copy of another: one file, of the same kind and format."""
    (path, kind), made = pair
    return kind == made.kind and os.path.splitext(path)[1] == os.path.splitext(made.path)[1] and \
        os.path.isfile(made.path)


def _run(job: Mapping[str, Any], methods: Methods, progress: Callable[[Progress], None] | None,
         alone: bool) -> dict[str, Any]:
    options = {**job["options"], "overwrite": bool(job.get("replace"))}
    report, subject = run_one(job["source"], job["sinks"], options, methods, progress=progress, alone=alone)
    return {"frames": report.frames, "damaged": report.damaged, "fps": report.fps,
            "reason": "; ".join(report.notes) or None, "subject": subject}


def run_one(source: str, sinks: Sequence[str], options: Mapping[str, Any], methods: Methods, *,
            progress: Callable[[Progress], None] | None = None,
            given: Collection[str] = (), alone: bool = True) -> tuple[Report, str]:
    """``streamseg.run`` with a method out of ``methods``: the report, and whether a subject was found (found, none
    or grey). Folders for the outputs are made, but for those that are ``given``, and go again if nothing comes into
    them. ``alone``: as in ``do``. Raises what ``run`` raises."""
    with ExitStack() as stack:
        for target in (*sinks, *(options[name] for name in EXTRA if name in options)):
            if target != NULL and not is_address(target) and target not in given:
                stack.enter_context(made_folder(os.path.dirname(target.rstrip("/"))))
        opened: Any = source
        scratch = ""
        if any(map(is_remote, (source, *sinks, *(options[name] for name in EXTRA if name in options)))):
            scratch = stack.enter_context(files.scratch())
        made = remote.Outputs(scratch, sinks, options)
        if is_remote(source):
            opened = stack.enter_context(remote.opened(source, scratch))
        # every stage has a thread already: a call gets more only where the budget has more than the stages need
        if alone:
            stack.enter_context(opencv_threads(Threads.of(options.get("threads")).opencv))
        report = api.run(opened, made.sinks, progress=progress, **methods.lent(options, source) | made.extra)
        made.publish(replace=bool(options.get("overwrite")))
        return made.told(replace(report, input=source)), "none" if report.subject is None else report.subject.state
