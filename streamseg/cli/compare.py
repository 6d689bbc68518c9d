"""`streamseg compare`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from ..core.thread_budget import Threads
from ..errors import OptionError
from ..options import Options
from . import show
from .flags import Command, Flag, MethodName, general_flags, given_options, option_flags
from .session import Session
from .text import one_line

EXAMPLES = """
    streamseg compare in.mp4 --methods threshold,kmeans,grabcut -o sheet.png
    streamseg compare in.mp4 --methods mog2,knn --rows 6 --duration 10 -o sheet.png
"""
FLAGS = ("start", "duration", "stream", "rate", "only", "deinterlace", "timeout", "on_error", "device",
         "runtime", "threads", "batch", "background", "fit", "blur", "show_matte", "overwrite")


@click.command("compare", cls=Command, short_help="Draw methods side by side.", examples=EXAMPLES)
@click.argument("source", metavar="INPUT", type=click.Path())
@click.option("--methods", required=True, metavar="A,B,C", type=MethodName(), cls=Flag, group="Method",
              help="The methods to compare, with commas between them.")
@click.option("-o", "--output", "sheet", required=True, metavar="FILE", type=click.Path(), cls=Flag,
              group="Output", help="The contact sheet: .png, .jpg or .webp.")
@click.option("--rows", default=4, type=click.IntRange(1, 100), metavar="N", cls=Flag, group="Output",
              help="How many moments of the clip. [default: 4]")
@click.option("--cell", default=360, type=click.IntRange(80, 4096), metavar="PIXELS", cls=Flag,
              group="Output", help="A picture's width in the sheet. [default: 360]")
@option_flags(FLAGS)
@general_flags
@click.pass_obj
def compare(session: Session, source: str, methods: str, sheet: str, rows: int, cell: int,
            **flags: Any) -> None:
    """Lay methods side by side: a sheet of moments (rows) by methods (columns), with each one's speed.

    Each method runs over the whole clip, as some learn over time; --duration makes it shorter.
    """
    names = [name.strip() for name in methods.split(",") if name.strip()]
    if len(set(names)) != len(names) or not names:
        raise OptionError(f"--methods is {methods!r}; name each method once, with commas between them")
    options = given_options(flags)
    Options.of(options)
    silent = session.quiet or session.json
    say = None if silent else lambda name: click.echo(f"streamseg: {one_line(name)} ...", err=True)
    from ..core.opencv import opencv_threads
    from ..tools.compare import compare as make_sheet
    from ..tools.compare import rounded
    with opencv_threads(Threads.of(options.get("threads")).opencv):
        columns = make_sheet(source, sheet, names, rows=rows, cell=cell, progress=say, **options)
    if session.json:
        kept = ("method", "fps", "frames", "error")
        show.json_object({"sheet": sheet, "columns": [{name: asdict(column)[name] for name in kept}
                                                      for column in columns]})
    elif not silent:
        rows_ = [(column.method, rounded(column.fps) if column.fps else "", one_line(column.error or ""))
                 for column in columns]
        show.console().print(show.table(("method", "fps of the method alone", ""), rows_, right=(1,)))
        click.echo(f"  {one_line(sheet)}", err=True)
