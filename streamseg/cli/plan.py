"""What `streamseg run` is to do: which input goes into which outputs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import OptionError
from ..validation import named

NULL = "null:"  # the output that writes nothing
EXTRA = ("matte", "cutout", "foreground")  # fields of Options that name an output of their own


@dataclass(frozen=True, slots=True)
class Job:
    """One call of ``streamseg.run``."""

    source: str
    sinks: list[str]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Every path that the job writes."""
        return [*self.sinks, *(self.options[name] for name in EXTRA if name in self.options)]


def jobs(inputs: Sequence[str], outputs: Sequence[str], options: dict[str, Any]) -> list[Job]:
    """A job for each input. Several inputs go into folders, each under its own name.

    Raises OptionError where an output is no folder, or two inputs would be written to one path.
    """
    for target in outputs:
        named("-o", target)
    if len(inputs) == 1:
        return [Job(inputs[0], list(outputs), options)]
    if "-" in inputs:
        raise OptionError("'-' (standard input) stands alone: give it in a call of its own")
    extra = {name: options[name] for name in EXTRA if name in options}
    for flag, target in [("-o", target) for target in outputs] + [(f"--{kind}", path)
                                                                  for kind, path in extra.items()]:
        if target != NULL and not is_folder(target):
            raise OptionError(f"{flag} is {target!r}; {len(inputs)} inputs need a folder there: end its name "
                              f"with '/', as {target if target != '-' else 'out'}/")
    planned = [_job(source, outputs, extra, options) for source in inputs]
    _refuse_same_paths(planned)
    return planned


def is_folder(target: str) -> bool:
    """True for a folder that exists and for a name that ends like one."""
    return target != "-" and (target.endswith(("/", os.sep)) or os.path.isdir(target))


def _job(source: str, outputs: Sequence[str], extra: dict[str, str], options: dict[str, Any]) -> Job:
    transparent = options.get("background") == "none"
    sinks = [_within(folder, source, "cutout" if transparent else "composite") for folder in outputs]
    own = {kind: _within(folder, source, kind) for kind, folder in extra.items()}
    return Job(source, sinks, {**options, **own})


def _within(folder: str, source: str, kind: str) -> str:
    """``folder``/NAME.EXT for an input: its own extension if that can be written and hold the kind."""
    if folder == NULL:
        return NULL
    name = _name(source)
    if os.path.isdir(source):
        return os.path.join(folder, name, "")
    from ..sink.containers import ALPHA_PICTURES, CONTAINERS, PICTURES  # here: it loads PyAV
    stem, suffix = os.path.splitext(name)
    if _is_still(source, suffix.lower()):
        fit, other = set(ALPHA_PICTURES if kind == "cutout" else PICTURES), ".png"
    elif kind == "cutout":
        fit, other = {key for key, container in CONTAINERS.items() if container.alpha}, ".webm"
    else:
        fit, other = set(CONTAINERS), ".mkv" if kind == "matte" else ".mp4"
    keeps = suffix.lower() in fit and kind != "matte"
    return os.path.join(folder, stem + (suffix if keeps else other))


def _is_still(source: str, suffix: str) -> bool:
    """Whether ``source`` is a picture, as its extension says, and not a film: some formats are for both."""
    from ..source.stills import PICTURES, is_animated
    return suffix in PICTURES and not is_animated(Path(source.removeprefix("file://")))


def _name(source: str) -> str:
    """The last part of a path or of a URL's path."""
    if "://" in source:
        return PurePosixPath(unquote(urlsplit(source).path)).name or urlsplit(source).netloc
    return Path(os.path.abspath(source)).name


def _refuse_same_paths(planned: Sequence[Job]) -> None:
    writers = Counter(os.path.abspath(target) for job in planned for target in job.targets if target != NULL)
    for path, count in writers.items():
        if count > 1:
            sources = [job.source for job in planned if path in map(os.path.abspath, job.targets)]
            raise OptionError(f"{' and '.join(dict.fromkeys(sources))} would be written to {path}: rename "
                              "one, or use a folder for each call and each kind of output")
