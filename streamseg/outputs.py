"""The outputs of a run: which pictures each is made of, opened, and refused where two of them, or an input, collide."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from .core.frames import VideoInfo
from .engine import Graph
from .errors import OptionError
from .options import Options
from .sink import (
    BaseSink,
    PictureSink,
    Sink,
    Target,
    adapt_sink,
    alpha_by_default,
    check_packed,
    check_target,
    extension_for,
    layered,
    open_sink,
    path_text,
)
from .sink.commit import refuse_input


@dataclass(frozen=True, slots=True)
class RunOutput:
    """One output of a run: the ``name`` of its thread, its ``stage`` in the report, and the ``kind`` of its pictures,
    one of composite.KINDS."""

    name: str
    stage: str
    kind: str
    sink: BaseSink


def open_outputs(sink: Target | Sequence[Target] | None, format: str | None, info: VideoInfo, options: Options,
                 graph: Graph[Any, Any, Any], stack: ExitStack) -> list[RunOutput]:
    """Every output of a run, the main ones first, opened; ``stack`` aborts those that are not committed at its end.

    sink     as for ``run``; options.matte, cutout and foreground come behind it
    format   what a file object is to hold, as an extension
    graph    the run's, which knows whether an output's thread hangs: such a one is left behind

    Raises OptionError where there is none, or two are the same file, and what ``open_sink`` raises.
    """
    targets: list[tuple[str, Target]] = [(kind_of(target, options, info, format), target)
                                         for target in _listed(sink)]
    also = {"matte": options.matte, "cutout": options.cutout, "foreground": options.foreground}
    targets += [(kind, path) for kind, path in also.items() if path is not None]
    if not targets:
        raise OptionError("no output: give -o PATH, --matte PATH, --cutout PATH or --foreground PATH")
    _refuse_twice([path_text(target) for _, target in targets if isinstance(target, (str, PathLike))])
    opened: list[RunOutput] = []
    for number, (kind, target) in enumerate(targets, 1):
        item = adapt_sink(open_sink(target, info, kind=kind, format=format, options=options))
        if kind == "cutout" and isinstance(target, (str, PathLike)) and layered(path_text(target), options.codec_set):
            kind = "layers"
        name = f"output {number} ({item.target})"
        stack.push(partial(_abort, item, graph, name))
        opened.append(RunOutput(name, f"encode {number}" if len(targets) > 1 else "encode", kind, item))
    return opened


def _refuse_twice(paths: Sequence[str]) -> None:
    """Raise OptionError where two outputs are the same file."""
    names = ["standard output" if path == "-" else os.path.abspath(path)
             for path in paths if not path.startswith("null:")]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise OptionError(f"{', '.join(sorted(twice))} is named as an output twice: give each its own path")


def refuse_own_input(source: Any, sink: Target | Sequence[Target] | None, options: Options) -> None:
    """Raise SinkError where an output of a run would replace the input, or a file that an option names to be read."""
    read = {"matte_in": options.matte_in, "background": options.background, "strokes": options.strokes,
            "model": options.model, "model_spec": options.model_spec, "plate": options.set.get("plate")}
    for target in (*_listed(sink), options.matte, options.cutout, options.foreground):
        if not isinstance(target, (str, PathLike)):
            continue
        if isinstance(source, (str, PathLike)):
            refuse_input(path_text(target), source, options.overwrite)
        for name, path in read.items():
            if isinstance(path, (str, PathLike)) and (name in ("matte_in", "plate") or _is_file(path)):
                refuse_input(path_text(target), path, options.overwrite, f"what {name} is read from")


def _is_file(path: str | PathLike[str]) -> bool:
    """Whether a file has this name; else it may be a word, as green and medium."""
    return os.path.isfile(os.path.expanduser(path))


def _abort(sink: BaseSink, graph: Graph[Any, Any, Any], name: str, kind: object, error: BaseException | None,
           trace: object) -> None:
    """Abort ``sink``, which does nothing to a committed one, and note on the error what it kept, and where."""
    graph.runner.unless_running(name, sink.abort)
    if error is not None and sink.kept is not None:
        error.add_note(f"what was written until then is kept as {sink.kept}")


def _listed(sink: Target | Sequence[Target] | None) -> list[Target]:
    if sink is None:
        return []
    return list(sink) if isinstance(sink, (list, tuple)) else [sink]  # type: ignore[list-item]


def kind_of(target: Target, options: Options, info: VideoInfo | None = None, format: str | None = None) -> str:
    """Which pictures an output is made of: a Sink's own kind; 'cutout' where transparency was asked for, or nothing was
    and the output is one for it; else 'composite'.

    info     of the source; None: a film's
    format   what a file object is to hold, as an extension

    Raises OptionError for what is no output, and for a packed one with a background.
    """
    check_target(target)
    if isinstance(target, Sink):
        return adapt_sink(target).kind
    name = path_text(target) if isinstance(target, (str, PathLike)) else "output" + extension_for(target, format)
    if options.show_matte or options.show_stages:
        return "composite"
    check_packed(options, options.background)
    wanted = (options.packed is not None or options.background == "none" or layered(name, options.codec_set)
              or (options.background is None and alpha_by_default(name, info)))
    return "cutout" if wanted else "composite"


def growing_files(sinks: Sequence[BaseSink]) -> list[Path]:
    """The files that films are being written to; none beside pictures, whose sizes come one by one."""
    if any(isinstance(sink, PictureSink) for sink in sinks):
        return []
    return [sink.growing for sink in sinks if sink.growing is not None]
