"""The state of a command: its general flags and how it reports its end."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Any

import click

from . import show
from .text import notes_of, one_line


@dataclass(slots=True)
class Session:
    """``verbose``, ``quiet``, ``json``: the flags of those names. ``streaming``: an output is standard
    output, so nothing else may be written there. ``done``: the part of the command's JSON object that is printed
    even after a failure or Ctrl-C."""

    verbose: bool = False
    quiet: bool = False
    json: bool = False
    streaming: bool = False
    done: dict[str, Any] = field(default_factory=dict)

    def print_end(self, code: int, error: BaseException, message: str | None = None) -> None:
        """With --json, print the object of a command that ended by ``error``, so that a script always finds one;
        not where standard output carries a stream."""
        if self.json and not self.streaming:
            show.json_object({"exit_code": code, **self.done, "error": described(error, message)})

    def trace(self, error: BaseException) -> None:
        """With --verbose, print where ``error`` came from and what caused it."""
        if self.verbose:
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)

    def print_error(self, error: BaseException, about: str = "") -> None:
        """Print an error (``about``: the input that failed, named once) and its notes on standard error."""
        self.trace(error)
        text = one_line(error)
        named = not about or text.startswith(about) or any(part in text for part in (
            repr(about), f" {about}:", f" {about} "))
        click.echo(f"streamseg: error: {text if named else f'{about}: {text}'}", err=True)
        print_notes(error)


def described(error: BaseException, message: str | None = None) -> dict[str, Any]:
    """An error for JSON: its ``type``, ``message`` (default: its own words) and ``notes``, if it has any."""
    notes = notes_of(error)
    return {"type": type(error).__name__, "message": message or str(error)} | (
        {"notes": notes} if notes else {})


def print_notes(error: BaseException) -> None:
    """A line on standard error for each note on ``error``: what --keep-partial kept."""
    for note in notes_of(error):
        click.echo(f"streamseg: {one_line(note)}", err=True)
