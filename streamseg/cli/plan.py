"""The jobs of `streamseg run`: which input goes into which outputs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..batch.addresses import base_name, is_address
from ..batch.inputs import Item, LeftOut, expand
from ..batch.job import EXTRA, NULL, Job
from ..batch.names import is_folder, job
from ..batch.options import NamingOptions
from ..errors import OptionError, SinkError
from ..source import stills
from ..validation import named

SHOWN = 3  # paths that a refusal names


def jobs(inputs: Sequence[str], outputs: Sequence[str], options: dict[str, Any], *,
         naming: NamingOptions | None = None, left_out: LeftOut | None = None) -> list[Job]:
    """A job for each input; of a folder, for each picture and film in it and in its subfolders.

    An output that is a folder takes files under their inputs' names. What a folder holds and is not taken goes into
    ``left_out``. Raises OptionError where an output is no folder and must be, or two inputs would be written to one
    path; SourceError for a folder with nothing in it.
    """
    naming = naming or NamingOptions()
    for target in outputs:
        named("-o", target)
    folders = [source for source in inputs if _is_directory(source)]
    extra = {name: options[name] for name in EXTRA if name in options}
    outputs, options = list(outputs), dict(options)
    if folders:
        outputs = [_slashed(target) for target in outputs]
        options |= {name: _slashed(target) for name, target in extra.items()}
        extra = {name: options[name] for name in extra}
    if len(inputs) == 1 and (not folders or _as_one(inputs[0], [*outputs, *extra.values()])):
        _refuse_unused(naming, [*outputs, *extra.values()])
        if folders and left_out is not None:
            _note_left_out(inputs[0], options.get("only"), left_out)
        return [_single(inputs[0], outputs, options, naming)]
    if "-" in inputs:
        raise OptionError("'-' (standard input) stands alone: give it in a call of its own")
    for flag, target in [("-o", target) for target in outputs] + [(f"--{kind}", path)
                                                                  for kind, path in extra.items()]:
        if target != NULL and not is_folder(target):
            missing = [source for source in inputs if not is_address(source) and not os.path.lexists(source)]
            spaces = f" ({missing[0]} does not exist: a name with spaces needs quotes)" if missing else ""
            raise OptionError(f"{flag} is {target!r}; {len(inputs)} inputs need a folder there: end its name "
                              f"with '/', as {target if target != '-' else 'out'}/{spaces}")
    only = options.pop("only", None) if folders else None
    items = expand(inputs, left_out or LeftOut(), only=only, outputs=[*outputs, *extra.values()])
    planned = [job(item, outputs, options, naming) for item in items]
    _refuse_same_paths(planned)
    return planned


def refuse_at_once(planned: Sequence[Job]) -> None:
    """Raise SinkError, before anything is done, if an output of several jobs exists and may not be replaced, or is
    an input of any."""
    inputs = {os.path.realpath(job.source.removeprefix("file://")) for job in planned if not is_address(job.source)}
    targets = [(job, target) for job in planned for target in job.targets if target not in (NULL, "-")]
    own = [target for _, target in targets if os.path.realpath(target) in inputs]
    if own:
        raise SinkError(f"nothing was done: {_few(own)} would be written over an input: write to another folder")
    there = [target for job, target in targets if not job.options.get("overwrite") and os.path.isfile(target)]
    if there:
        raise SinkError(f"nothing was done: {len(there)} of {len(targets)} outputs exist ({_few(there)}): give another "
                        "folder, or --overwrite to replace them")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _is_directory(source: str) -> bool:
    return os.path.isdir(source.removeprefix("file://"))


def _slashed(target: str) -> str:
    """Beside a folder as input, a name without an extension is a folder's."""
    plain = target not in ("-", NULL) and not is_folder(target) and not os.path.splitext(target)[1]
    return target + "/" if plain else target


def _as_one(folder: str, targets: Sequence[str]) -> bool:
    """Whether a folder's pictures are the frames of one run: a film or numbered pictures are made of them."""
    single = [target for target in targets if target != NULL and not is_folder(target)]
    both = [target for target in targets if target != NULL and is_folder(target)]
    if single and both:
        raise OptionError(f"{folder} is a folder: {both[0]} takes each of its files under its own name, "
                          f"{single[0]} all pictures as one; do that in two calls")
    return bool(single)


def _refuse_unused(naming: NamingOptions, targets: Sequence[str]) -> None:
    """Raise OptionError where no output is a folder, and something is said of how files are called in one."""
    if any(map(is_folder, targets)):
        return
    for flag, value in (("--frames", naming.frames), (f"--format {naming.format}", naming.format)):
        if value:
            raise OptionError(f"{flag} says how files in an output folder are written, and {targets[0]} is none: end "
                              f"its name with '/', or leave {flag} out")


def _note_left_out(folder: str, only: str | None, left_out: LeftOut) -> None:
    """Of a folder whose own pictures become one film, note what else is in it. Raises SourceError."""
    place = Path(folder.removeprefix("file://"))
    taken = set(stills.folder(place, only))
    for item in sorted(set(place.iterdir()) - taken):
        if not item.name.startswith("."):
            left_out.add("no picture of the folder itself, of which one film is made", str(item))


def _single(source: str, outputs: Sequence[str], options: dict[str, Any], naming: NamingOptions) -> Job:
    """The only input's job: outputs as they stand, but that a folder takes a file of the input's name."""
    def stands(target: str) -> bool:
        return target == NULL or not is_folder(target) or (naming.frames and naming.format is None)

    if source == "-" and not all(map(stands, [*outputs, *(options[name] for name in EXTRA if name in options)])):
        raise OptionError("- (standard input) has no name, so in a folder its output has none: name a file, or give "
                          "--frames for numbered pictures")
    item, shared = Item(source, base_name(source)), {name: value for name, value in options.items()
                                                     if name not in EXTRA}
    made = [target if stands(target) else job(item, [target], shared, naming).sinks[0] for target in outputs]
    own = {name: options[name] if stands(options[name]) else
           job(item, [], {**shared, name: options[name]}, naming).options[name] for name in EXTRA if name in options}
    return Job(source, made, {**options, **own})


def _refuse_same_paths(planned: Sequence[Job]) -> None:
    writers = Counter(os.path.abspath(target) for job in planned for target in job.targets if target != NULL)
    for path, count in writers.items():
        if count > 1:
            sources = [job.source for job in planned if path in map(os.path.abspath, job.targets)]
            raise OptionError(f"{' and '.join(dict.fromkeys(sources))} would be written to {path}: rename "
                              "one, or use a folder for each call and each kind of output")
