"""The settings file: TOML, one key a flag (blur = 0.7), read again whenever it changes."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import OptionError, SinkError
from ..options import Options
from ..validation import check_value, choice, worded
from .options import SHARED, LiveOptions

FIELDS: dict[str, Field[Any]] = {item.name: item for item in fields(Options) if item.name in SHARED} | {
    item.name: item for item in fields(LiveOptions) if item.name != "config"}
NAMES = (*FIELDS, "to", "source")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings of a file. Raises OptionError that names the line or the key that is wrong."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"settings {str(path)!r} cannot be read: {error.strerror}; --save-config FILE "
                          "writes some to begin with") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"settings {str(path)!r} are no TOML: {error}") from error
    values = {name.replace("-", "_"): value for name, value in values.items()}
    for name in values:
        choice(f"setting of {Path(path).name}", name, NAMES)
    try:
        return {name: checked(name, value) for name, value in values.items()}
    except OptionError as error:
        raise OptionError(f"{Path(path).name}: {error}") from error


def checked(name: str, value: Any) -> Any:
    """A setting's value as its field takes it. Raises OptionError for another type, choice or range."""
    if name == "to":
        targets = [value] if isinstance(value, str) else value
        if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
            raise OptionError(f'to is {value!r}; it must be text as "virtual", or a list of such')
        return targets
    item = FIELDS.get(name)  # source is text and no field
    kind, rules = ("str", {}) if item is None else (str(item.type), item.metadata)
    value = worded(name, value)
    check_value(name, value, rules, kind)
    return value


def text(values: Mapping[str, Any]) -> str:
    """The settings as TOML; those that are None are left out."""
    lines = ["# streamseg live --config THIS_FILE; read again whenever it changes"]
    for name, value in values.items():
        if isinstance(value, Mapping):
            pairs = ", ".join(f"{json.dumps(str(key))} = {_value(item)}" for key, item in value.items())
            lines.append(f"{name} = {{{pairs}}}")
        elif value is not None:
            lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Fraction):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)  # TOML's strings, numbers and bools are JSON's


def save(path: str, values: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write the settings. Raises SinkError."""
    place = Path(path)
    if place.exists() and not overwrite:
        raise SinkError(f"{path} exists; give another name, or --overwrite to replace it")
    try:
        place.write_text(text(values), encoding="utf-8")
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror}") from error


class Watch:
    """Watches a file. ``changed`` is True once after each change."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._seen = self._state()

    def changed(self) -> bool:
        """Whether the file exists and has changed since the last call."""
        now = self._state()
        different = now is not None and now != self._seen
        self._seen = now or self._seen  # an editor may remove it for a moment
        return different

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
