"""`streamseg cameras`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from . import show
from .flags import Command, general_flags
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from ..live.devices import Camera

EXAMPLES = """
    streamseg cameras
    streamseg cameras --json
"""


@click.command("cameras", cls=Command, short_help="List the cameras, with sizes and rates.",
               examples=EXAMPLES)
@general_flags
@click.pass_obj
def cameras(session: Session) -> None:
    """List the cameras with what they can give, for --camera, --size, --rate and --format of `live`."""
    from ..live.devices import cameras as there
    found = there()
    if session.json:
        show.json_object({"cameras": [asdict(camera) for camera in found]})
    elif not found:
        click.echo("no camera was found; FILE --realtime plays a file instead")
    else:
        _print(found)


def _print(found: Sequence[Camera]) -> None:
    screen = show.console(sys.stdout)
    for camera in found:
        screen.print(f"{one_line(camera.device)}  {one_line(camera.name)}")
        rows = [(mode.format, f"{mode.width}x{mode.height}", ", ".join(f"{rate:g}" for rate in mode.rates))
                for mode in camera.modes]
        if rows:
            screen.print(show.table(("format", "size", "frames a second"), rows))
