"""Lists of inputs: a CSV file, JSON lines, or a path a line. Read row by row."""

from __future__ import annotations

import csv
import difflib
import itertools
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import Field, fields
from typing import Any, TextIO

from ..errors import OptionError, SourceError
from ..options import Options
from ..validation import default_of
from .addresses import base_name
from .inputs import Item

INPUT, OUTPUT = "input", "output"
_BETWEEN = (",", ";", "\t")  # what programs that write CSV put between fields, as their country has it
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KNOWN = {item.name: item for item in fields(Options) if item.name not in ("matte", "cutout", "foreground")}


def rows(path: str) -> Iterator[Item]:
    """An Item for each row of the list ``path``; '-' is standard input.

    .jsonl   an object a line: "input", perhaps "output" (a name below the output folder), and options
    .csv     a first line with the names, of which one is input; commas, semicolons or tabs between; an empty field
             says nothing
    else     as the first line looks; without a heading, a path a line. ``#`` begins a comment there.

    Raises SourceError where the list cannot be read, OptionError for a row that says what is not known, with its
    line.
    """
    with _opened(path) as stream:
        first = next(stream, "")
        lines = itertools.chain([first], stream)
        ending = os.path.splitext(path)[1].lower()
        if ending in (".jsonl", ".ndjson") or (ending != ".csv" and first.lstrip().startswith("{")):
            yield from _json_lines(lines, path)
        elif (between := _between(first)) is not None:
            yield from _table(lines, path, between)
        elif ending == ".csv" and any(mark in first for mark in _BETWEEN):
            raise OptionError(f"{path}: the first line must name the columns, and one of them must be {INPUT}; "
                              f"it is {first.strip()!r}")
        else:
            yield from _plain(lines)


@contextmanager
def _opened(path: str) -> Iterator[Iterator[str]]:
    if path == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise SourceError("--from - is standard input, which is closed: pipe a list into streamseg")
        yield _readable(sys.stdin, "standard input")
        return
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            yield _readable(stream, path)
    except OSError as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"the list {path} cannot be read: {error.strerror or error}") from error


def _readable(stream: TextIO, name: str) -> Iterator[str]:
    try:
        yield from stream
    except UnicodeDecodeError as error:
        raise SourceError(f"the list {name} is not UTF-8 text: {error}") from error


def _plain(lines: Iterator[str]) -> Iterator[Item]:
    for line in lines:
        text = line.strip()
        if text and not text.startswith("#"):
            yield Item(text, base_name(text))


def _between(heading: str) -> str | None:
    """What stands between the names of a CSV file's first line, one of which is input; None if there are no names."""
    return next((mark for mark in _BETWEEN
                 if INPUT in (cell.strip() for cell in next(csv.reader([heading], delimiter=mark), []))), None)


def _table(lines: Iterator[str], path: str, between: str) -> Iterator[Item]:
    reader = csv.DictReader(lines, skipinitialspace=True, delimiter=between)
    for row in reader:
        about = f"{path}, line {reader.line_num}"
        if None in row:
            raise OptionError(f"{about}: more fields than the first line names; put text with a {between!r} "
                              "into quotes")
        cells = {name.strip(): (value or "").strip() for name, value in row.items()}
        _check_names(filter(None, cells), about)  # also of columns in which nothing stands
        yield _item({name: value for name, value in cells.items() if value}, about, _from_text)


def _json_lines(lines: Iterator[str], path: str) -> Iterator[Item]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        about = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise OptionError(f"{about}: no JSON: {error}") from error
        if not isinstance(row, dict):
            raise OptionError(f"{about}: {line.strip()!r} is no object; it must be as "
                              '{"input": "a.mp4", "background": "blur"}')
        yield _item(row, about, lambda field, value: value)


def _item(row: dict[str, Any], about: str, read: Callable[[Field[Any], Any], Any]) -> Item:
    source, output = row.pop(INPUT, None), row.pop(OUTPUT, None)
    if not isinstance(source, str) or not source:
        raise OptionError(f"{about}: no {INPUT}")
    if output is not None:
        output = _below(output, about)
    _check_names(row, about)
    try:
        options = {name: read(_KNOWN[name], value) for name, value in row.items()}
    except OptionError as error:
        raise OptionError(f"{about}: {error}") from error
    return Item(source, base_name(source), options, output, about)


def _check_names(names: Iterable[str], about: str) -> None:
    allowed = (INPUT, OUTPUT, *_KNOWN)
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise OptionError(f"{about}: option is {name!r}; allowed are: {', '.join(allowed)}{meant}")


def _below(output: Any, about: str) -> str:
    """A row's output: a path that stays below the output folder."""
    text = os.path.normpath(output) if isinstance(output, str) and output else ""
    if not text or os.path.isabs(text) or text.split(os.sep)[0] == "..":
        raise OptionError(f"{about}: output is {output!r}; it must be a name below the output folder, as day1/a.png")
    return text


def _from_text(item: Field[Any], text: str) -> Any:
    """A CSV field as the option takes it."""
    kind, default = str(item.type).partition(" | ")[0], default_of(item)
    if isinstance(default, dict):
        pairs = [part.partition("=") for part in shlex.split(text)]
        if not all(name and equals for name, equals, _ in pairs):
            raise OptionError(f"{item.name} is {text!r}; it must be NAME=VALUE NAME=VALUE")
        return {name: value for name, _, value in pairs}
    if kind == "bool":
        if text.lower() not in _WORDS:
            raise OptionError(f"{item.name} is {text!r}; it must be true or false")
        return _WORDS[text.lower()]
    number = {"int": int, "float": float}.get(kind)
    try:
        return number(text) if number else text
    except ValueError:
        raise OptionError(f"{item.name} is {text!r}; it must be a number") from None
