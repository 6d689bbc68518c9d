"""`streamseg demo`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click

from ..core.thread_budget import Threads
from ..options import Options
from . import show
from .flags import Command, Flag, general_flags, given_options, option_flags
from .session import Session
from .text import one_line

EXAMPLES = """
    streamseg demo
    streamseg demo my-clip.mp4
    streamseg demo my-clip.mp4 --background blur --out try/
"""
FLAGS = ("start", "duration", "method", "set", "device", "runtime", "threads", "background", "fit", "blur",
         "overwrite")


@click.command("demo", cls=Command, short_help="Show what it does, with no file of yours.", examples=EXAMPLES)
@click.argument("clip", required=False, type=click.Path())
@click.option("--out", default="streamseg-demo", metavar="FOLDER", type=click.Path(), cls=Flag,
              group="Output", help="Where the files go. [default: streamseg-demo]")
@option_flags(FLAGS)
@general_flags
@click.pass_obj
def demo(session: Session, clip: str | None, out: str, **flags: Any) -> None:
    """Show what streamseg does, on CLIP or on a clip made of a photo that comes with matplotlib.

    Writes the result with a new background, the matte, the subject with transparency, and a picture of
    all three to look at. Needs no network and no file of yours.
    """
    options = given_options(flags)
    Options.of(options)
    silent = session.quiet or session.json
    shown = nullcontext() if silent else show.progress(clip or "demo")
    from ..core.opencv import opencv_threads
    from ..tools.demo import demo as make_demo
    with opencv_threads(Threads.of(options.get("threads")).opencv), shown as update:
        made = make_demo(out, clip, progress=update, **options)
    files = {what: str(path) for what, path in made.files.items()}
    if session.json:
        show.json_object({"files": files, "report": made.report.to_dict()})
    elif not silent:
        show.report(made.report, verbose=session.verbose)
        screen = show.console()
        screen.print("\nLook at:")
        screen.print(show.table((), [(what, one_line(path)) for what, path in files.items()]))
