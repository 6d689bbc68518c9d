"""Does a film. As a process of its own it reads a task on standard input and writes lines of JSON on standard output.

    {"progress": {...}}   every now and then
    {"report": {...}}     done: the outputs are in their folder
    {"failure": {...}}    code and message
    {"probe": {...}}      what a header says

The process ends by itself when standard input is closed: its server has died, and another will do the film anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import OptionError, StreamsegError
from ...report import Progress, Report
from ..refusals import code_of, refusal_of, without_paths
from .tasks import REPORT, Failure, FilmLimits, FilmTask, Target
from .wanted import Wanted

if TYPE_CHECKING:
    from ...batch.methods import Methods
    from ...options import Options
    from .previews import Previews

EVERY = 0.25  # seconds between two lines of progress
NICE = 5      # pictures, which somebody waits for, come first
WORK = "work-"  # how the folder in a job's begins that outputs are made in


def main() -> None:
    """Do what the first line of standard input says."""
    told = json.loads(sys.stdin.readline())
    watcher = ThreadPoolExecutor(1)
    watcher.submit(_end_with_the_server)
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICE)
    if told["do"] == "probe":
        answer = answered("probe", lambda: probe(told["path"], FilmLimits(**told["limits"])), told["names"])
    else:
        answer = answered("report", lambda: done(FilmTask.of(told["task"]), partial(_tell, "progress")), told["names"])
    for what, values in answer.items():
        _tell(what, values)
    sys.stdout.flush()
    os._exit(0)  # the watcher still reads


def answered(what: str, work: Callable[[], dict[str, Any]], names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """{what: the values that ``work`` gives}, or {"failure": code and message}. ``names``: as FilmTask's."""
    hidden = {Path(path): name for path, name in names.items()}
    try:
        return {what: work()}
    except Failure as failure:
        return {"failure": {"code": failure.code, "message": without_paths(failure.message, hidden)}}
    except StreamsegError as error:
        return {"failure": {"code": code_of(error), "message": without_paths(str(error), hidden)}}


def _end_with_the_server() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(3)


def _tell(what: str, values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({what: values}) + "\n")
    sys.stdout.flush()


def probe(path: str, limits: FilmLimits) -> dict[str, Any]:
    """Width, height, seconds and frames of a film as its header states them. Raises Failure, StreamsegError."""
    from ...options import InputOptions
    from ...source import open_source

    source = open_source(path, InputOptions(audio=False))
    try:
        info = source.info
        found = {"width": info.width, "height": info.height, "seconds": info.duration, "frames": info.expected_frames,
                 "rate": None if info.rate is None else float(info.rate)}
    finally:
        source.close()
    check(found, limits)
    return found


def check(found: dict[str, Any], limits: FilmLimits) -> None:
    """Raise Failure for a film beyond the limits; what the header does not say is counted as the film runs."""
    pixels = found["width"] * found["height"] / 1e6
    if pixels > limits.pixels:
        raise Failure("too_many_pixels", f"the film has {found['width']} x {found['height']} pixels, {pixels:.1f} MP, "
                      f"more than the {limits.pixels:g} MP that are the limit here")
    if (found["seconds"] or 0) > limits.seconds:
        raise Failure("too_long", f"the film lasts {found['seconds']:.1f} s, longer than the {limits.seconds:g} s that "
                      "are the limit here")
    if (found["frames"] or 0) > limits.frames:
        raise Failure("too_many_frames", f"the film has {found['frames']} frames, more than the {limits.frames} that "
                      "are the limit here")


def done(task: FilmTask, tell: Callable[[dict[str, Any]], None], methods: Methods | None = None) -> dict[str, Any]:
    """Do the task: all outputs appear in their folder, or none. -> the report. Raises Failure, StreamsegError.

    tell     is told now and then how far the film is
    methods  those of this process, which lend theirs; default: one of the film's own
    """
    from ...api import run
    from ...options import Options
    from ...sink import open_sink
    from ...source import open_source
    from .previews import Previews

    folder = Path(task.folder)
    tidy_work(folder)
    if (made := _made(task)) is not None:
        return made
    work = folder / f"{WORK}{os.getpid()}-{secrets.token_hex(4)}"  # machines that share it have the same process ids
    work.mkdir()
    try:
        told_options = task.options | ({"background": task.background} if task.background else {})
        options = Options.of(told_options)
        source = open_source(task.source, options)  # ``run`` closes it, and what it opens of the outputs
        info = source.info
        try:
            sinks = [open_sink(work / item.name, info, kind=_kind(item, options), options=options)
                     for item in task.targets]
        except BaseException:
            source.close()
            raise
        lengths = [float(length) for length in (info.duration, options.duration) if length is not None]
        previews = Previews(folder, _kind(task.targets[0], options), min(lengths, default=None))
        report = run(source, [*sinks, previews], progress=_Progress(task.limits, previews, tell),
                     **told_options if methods is None else methods.lent(told_options, task.source))
        if task.bundle is not None:
            _bundle(work, task)
        told = _told(report, task, work)
        (work / REPORT).write_text(json.dumps(told))
        os.replace(work, task.outputs)
        return told
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_outputs(wanted: Wanted) -> None:
    """Raise Refusal for outputs that no film could become: a codec, an encoder's option or transparency that is not to
    be had. Hardware is the worker's to answer for."""
    from ...core.frames import VideoInfo
    from ...options import Options
    from ...sink import open_sink

    told = wanted.options | ({"background": "black"} if wanted.background else {})
    options = Options.of(told)
    # a size that every encoder takes, and every layout of packed alpha
    info = VideoInfo(512, 256, "yuv420p", Fraction(1, 25), rate=Fraction(25), name="the film")
    with tempfile.TemporaryDirectory() as folder:
        for item in wanted.targets:
            try:
                open_sink(Path(folder) / item.name, info, kind=_kind(item, options), options=options).abort()
            except OptionError as error:
                raise refusal_of(error, {Path(folder) / item.name: item.name}) from error
            except StreamsegError:
                pass


def tidy_work(folder: Path) -> None:
    """Remove from a job's folder what a process that was killed had begun."""
    for left in folder.glob(f"{WORK}*"):
        shutil.rmtree(left, ignore_errors=True)


def _made(task: FilmTask) -> dict[str, Any] | None:
    """The report of outputs that are there: whoever made them was killed before the answer."""
    with contextlib.suppress(FileNotFoundError):
        found: dict[str, Any] = json.loads((task.outputs / REPORT).read_text())
        return found
    return None


def _kind(target: Target, options: Options) -> str:
    """Which of a compositor's pictures an output is; of a result ``run`` decides so."""
    from ...outputs import kind_of

    return target.kind if target.kind != "result" else kind_of(target.name, options)


class _Progress:
    """Tells now and then how far the film is. Raises Failure for more frames than are allowed."""

    def __init__(self, limits: FilmLimits, previews: Previews, tell: Callable[[dict[str, Any]], None]) -> None:
        self._limits, self._previews, self._tell, self._due = limits, previews, tell, 0.0

    def __call__(self, now: Progress) -> None:
        if now.frames > self._limits.frames:
            raise Failure("too_many_frames", f"the film has more than the {self._limits.frames} frames that are the "
                          "limit here")
        if time.monotonic() < self._due and now.frames != now.total:
            return
        self._due = time.monotonic() + EVERY
        self._tell({"frames": now.frames, "total": now.total, "elapsed": round(now.elapsed, 3),
                    "fps": round(now.fps, 2), "eta": None if now.eta is None else round(now.eta, 1),
                    "previews": list(self._previews.times)})


def _bundle(work: Path, task: FilmTask) -> None:
    assert task.bundle is not None
    with zipfile.ZipFile(work / task.bundle, "w", zipfile.ZIP_STORED) as archive:
        for item in task.targets:
            archive.write(work / item.name, item.name)
    for item in task.targets:
        (work / item.name).unlink()


def _told(report: Report, task: FilmTask, work: Path) -> dict[str, Any]:
    """The report without the server's paths."""
    told = asdict(report)
    told["input"] = task.names.get(task.source, "the film")
    names = [item.name for item in task.targets] if task.bundle is None else [task.bundle]
    told["outputs"] = [{"name": name, "bytes": (work / name).stat().st_size} for name in names]
    hidden = {Path(path): name for path, name in task.names.items()}
    told["notes"] = [without_paths(note, {**hidden, work / "x": "x"}) for note in told["notes"]]
    return json.loads(json.dumps(told, default=str))


if __name__ == "__main__":
    main()
