"""What the command that runs tells the code around it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import click

from .text import notes_of, one_line


@dataclass(slots=True)
class Session:
    """``verbose``, ``quiet``, ``json``: the flags of those names. ``streaming``: an output is standard
    output, so nothing else may be written to it."""

    verbose: bool = False
    quiet: bool = False
    json: bool = False
    streaming: bool = False

    def trace(self, error: BaseException) -> None:
        """With --verbose, print where ``error`` came from and what caused it."""
        if self.verbose:
            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)

    def tell(self, error: BaseException, about: str = "") -> None:
        """Say on standard error what failed (and with what: ``about``), and the notes on it."""
        self.trace(error)
        click.echo(f"streamseg: error: {about}{one_line(error)}", err=True)
        tell_notes(error)


def tell_notes(error: BaseException) -> None:
    """A line on standard error for each note on ``error``: what --keep-partial kept."""
    for note in notes_of(error):
        click.echo(f"streamseg: {one_line(note)}", err=True)
