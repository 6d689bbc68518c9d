"""`streamseg doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import show
from .flags import Command, general_flags
from .info import gather, page
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from ..tools.doctor import Finding

EXAMPLES = """
    streamseg doctor
    streamseg doctor outputs/
    streamseg doctor --json
"""


@click.command("doctor", cls=Command, short_help="Try camera, codecs, folders and one frame; tell remedies.",
               examples=EXAMPLES)
@click.argument("folder", required=False, default=".", metavar="[FOLDER]", type=click.Path())
@general_flags
@click.pass_obj
def doctor(session: Session, folder: str) -> int:
    """Try what can be wrong on a machine: cameras, microphone, GPU, runtimes, codecs, the room in FOLDER (default:
    this one) and one picture through everything. Each fault comes with its remedy.

    A camera and the microphone are opened for a moment. The text is a report to paste into an issue. The exit code is
    0 where nothing that a plain `run` needs is wrong, else 1.
    """
    from ..tools.doctor import examine, exit_code
    known = gather()
    findings = list(examine(Path(folder)))
    code = exit_code(findings)
    if session.json:
        show.json_object({"exit_code": code, **known, "checks": [asdict(item) for item in findings]})
    else:
        _print(known, findings, code, session.quiet)
    return code


def _print(known: dict[str, dict[str, object]], findings: Sequence[Finding], code: int, quiet: bool) -> None:
    """The whole report; with --quiet what is wrong only."""
    from ..tools.doctor import FAULT, LACKING, OK
    screen = show.console(sys.stdout)
    if not quiet:
        page(screen, known)
    for heading, state in (("works", OK), ("optional, and not there", LACKING), ("faults", FAULT)):
        rows = [(item.name, one_line(item.told + (f". Remedy: {item.remedy}" if item.remedy else "")))
                for item in findings if item.state == state]
        if rows and (state == FAULT or not quiet):
            screen.print(heading)
            screen.print(show.table((), rows))
    if code:
        screen.print("Something that every run needs is wrong.")
    elif not quiet:
        screen.print("All that a plain `streamseg run` needs works.")
