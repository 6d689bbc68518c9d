"""`streamseg methods`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from . import show
from .flags import Command, MethodName, general_flags
from .session import Session

if TYPE_CHECKING:
    from ..segment.catalogue import MethodInfo

EXAMPLES = """
    streamseg methods
    streamseg methods threshold
    streamseg methods my_package.my_module:MyMethod
"""


@click.command("methods", cls=Command, short_help="List the methods, or explain one.", examples=EXAMPLES)
@click.argument("name", required=False, type=MethodName())
@general_flags
@click.pass_obj
def methods(session: Session, name: str | None) -> None:
    """List the methods, or explain the one called NAME: what it is good and bad for, its parameters."""
    from ..segment import DEFAULT
    from ..segment.catalogue import CHOICES, describe, describe_all
    found = describe_all() if name is None else [describe(name)]
    if session.json:
        show.json_object({"default": DEFAULT, "methods": [asdict(item) for item in found],
                          "choices": [{"subject": subject, "take": take} for subject, take in CHOICES]})
    elif name is None:
        _print_list(found, DEFAULT, CHOICES)
    else:
        _print_one(found[0])


def _print_list(found: Sequence[MethodInfo], default: str, choices: Sequence[tuple[str, str]]) -> None:
    rows = [(item.name + (" (default)" if item.name == default else ""), item.summary,
             ", ".join(f"{parameter.name}={parameter.default}" for parameter in item.parameters))
            for item in found]
    screen = show.console(sys.stdout)
    screen.print(show.table(("method", "what it does", "parameters"), rows))
    screen.print("\nWhich to take:")
    screen.print(show.table(("what is to come out", "take"), choices))
    screen.print("\n`streamseg methods NAME` explains one; package.module:Class takes your own.")


def _print_one(method: MethodInfo) -> None:
    screen = show.console(sys.stdout)
    texts = (("", method.summary), ("good for", method.good_for), ("bad for", method.bad_for),
             ("source", method.source))
    screen.print(method.name)
    screen.print(show.table((), [row for row in texts if row[1]]))
    rows = [(item.name, str(item.default), item.allowed or item.type, item.help)
            for item in method.parameters]
    if rows:
        screen.print()
        screen.print(show.table(("--set", "default", "allowed", "what it is"), rows))
    else:
        screen.print("  It has no parameters.")
