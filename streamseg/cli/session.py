"""What the command that runs tells the code around it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import click


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
