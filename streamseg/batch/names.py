"""Which output an input gets in a folder: its own name, and an extension that can hold what is written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.file_names import PICTURES
from ..errors import OptionError
from ..sink import containers
from ..sink.containers import extension
from ..source.stills import is_animated
from .addresses import is_address
from .inputs import Item
from .job import EXTRA, NULL, Job
from .options import NamingOptions

_NUMBERED = "frame_%05d"


def job(item: Item, outputs: Sequence[str], options: Mapping[str, Any],
        naming: NamingOptions | None = None) -> Job:
    """The job of an input among several. ``outputs``, and of ``options`` those of EXTRA, are folders.

    Raises OptionError where the format asked for cannot hold what is written.
    """
    naming = naming or NamingOptions()
    given = {**options, **item.options}
    kind = "cutout" if _transparent(item, given) else "composite"
    sinks = [_within(folder, item, kind, given, naming) for folder in outputs]
    extra = {name: _within(given[name], item, name, given, naming) for name in EXTRA if name in given}
    return Job(item.source, sinks, {**given, **extra})


def is_folder(target: str) -> bool:
    """True for a folder that exists and for a name that ends like one."""
    return target != "-" and (target.endswith(("/", os.sep)) or os.path.isdir(target))


def check_folder(target: str, what: str) -> None:
    """Raise OptionError for an output that is no folder's name. ``what`` writes it: 'a batch'."""
    named_as_file = extension(target) in (*containers.CONTAINERS, *containers.PICTURES) and not is_folder(target)
    if target in ("-", "") or (named_as_file and not is_address(target)):
        raise OptionError(f"output is {target!r}; {what} writes into folders: give a folder's name, as out/")


def is_still(source: str) -> bool:
    """Whether ``source`` is a picture, as its extension says, and not a film: some formats are for both."""
    suffix = os.path.splitext(source)[1].lower()
    return suffix in PICTURES and not is_animated(Path(source.removeprefix("file://")))


def _transparent(item: Item, options: Mapping[str, Any]) -> bool:
    """Whether -o gets a cutout: no background was asked for, and pictures have none if nothing is said."""
    if options.get("background") == "none":
        return True
    return options.get("background") is None and not options.get("show_matte") and is_still(item.source)


def _within(folder: str, item: Item, kind: str, options: Mapping[str, Any], naming: NamingOptions) -> str:
    """``folder``/NAME.EXT for an input: its own extension if that can be written and hold the kind."""
    if folder == NULL:
        return NULL
    if item.output is not None and kind in ("composite", "cutout") and options.get("cutout") != folder:
        return os.path.join(folder, item.output)
    name = item.output or item.name
    if os.path.isdir(item.source):
        return os.path.join(folder, name, "")
    stem, suffix = os.path.splitext(name)
    still = is_still(item.source)
    if naming.frames and not still:
        ending = "" if naming.format is None else f"{_NUMBERED}.{naming.format}"
        return os.path.join(folder, stem, ending)
    return os.path.join(folder, stem + _ending(suffix, kind, still, naming.format))


def _ending(suffix: str, kind: str, still: bool, format: str | None) -> str:
    if still:
        fit = set(containers.ALPHA_PICTURES if kind == "cutout" else containers.PICTURES)
        if format is not None and kind != "matte":
            if f".{format}" not in fit:
                raise OptionError(f"format is {format!r}, which holds no transparency: give --background, or "
                                  "--format png, webp or tiff")
            return f".{format}"
        other = ".png"
    elif kind == "cutout":
        fit, other = {key for key, container in containers.CONTAINERS.items() if container.alpha}, ".webm"
    else:
        fit, other = set(containers.CONTAINERS), ".mkv" if kind == "matte" else ".mp4"
    keeps = suffix.lower() in fit and kind != "matte"
    return suffix if keeps else other
