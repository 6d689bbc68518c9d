"""`streamseg serve`."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields
from typing import Any

import click

from ..errors import MissingDependencyError
from ..options import MethodOptions
from ..serve.options import SHARED, ServeOptions
from . import show
from .flags import Command, general_flags, given_options, option_flags
from .messages import messages_shown
from .session import Session

EXAMPLES = """
    streamseg serve    # then: curl -s -F file=@photo.jpg http://127.0.0.1:7000/v1/pictures -o cutout.png
    streamseg serve --port 8080 --folder /srv/streamseg
    streamseg serve --host 0.0.0.0 --token-file /etc/streamseg.token
"""


@click.command("serve", cls=Command, short_help="Serve background removal over HTTP.", examples=EXAMPLES)
@option_flags(of=ServeOptions)
@option_flags(SHARED)
@general_flags
@click.pass_obj
def serve(session: Session, **flags: Any) -> None:
    """Serve background removal over HTTP: for programs that speak remove.bg's, rembg's or our own API.

    Listens on this machine alone unless --host names another address, which asks for a token. Stops at Ctrl-C
    and SIGTERM, once what is under way is done. /docs lists the API.
    """
    own = {item.name for item in fields(ServeOptions)}
    mine = {name: value for name, value in flags.items() if name in own}
    options = ServeOptions(**given_options(mine, of=ServeOptions))
    shared = MethodOptions.of(given_options({name: value for name, value in flags.items() if name not in own}))
    try:
        from ..serve import serve as run_server
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"serve needs {error.name}, which is not installed: pip install "
                                     "'streamseg[serve]'") from error

    def listening(address: str) -> None:
        if session.json:
            show.json_object({"address": address})
        elif not session.quiet:
            click.echo(f"streamseg: serving on {address}", err=True)

    with nullcontext() if session.quiet else messages_shown():
        run_server(options, method=shared, listening=listening)
