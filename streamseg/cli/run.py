"""`streamseg run`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Any

import click

from ..core.folders import made_folder
from ..core.thread_budget import Threads
from ..errors import OptionError, SinkError, StreamsegError
from ..options import Options
from . import show
from .flags import Command, Flag, chosen, general_flags, option_flags
from .plan import Job, jobs
from .session import Session, described
from .streams import refuse_closed_output
from .text import one_line

EXAMPLES = """
    streamseg run in.mp4 -o out.mp4 --background blur
    streamseg run in.mp4 -o out.mp4 --background beach.jpg --quality 80
    streamseg run in.mp4 -o cutout.webm                       # transparent
    streamseg run in.mp4 -o out.mp4 -o cutout.mov --matte matte.mkv
    streamseg run photo.jpg -o photo.png
    streamseg run photos/ -o cutouts/ --only '*.jpg'
    streamseg run a.mp4 b.mov -o done/ --background '#204060'
    streamseg run in.mp4 -o out.mp4 --method chroma --set key=green
    streamseg run in.mp4 -o - | ffplay -
"""


@click.command("run", cls=Command, short_help="Take the background out of files.", examples=EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", "outputs", multiple=True, metavar="PATH", type=click.Path(), cls=Flag,
              group="Output", help="Where the result goes: a video, a picture, a folder, or - for standard "
              "output. The extension decides the format. May be given several times.")
@option_flags()
@general_flags
@click.pass_obj
def run(session: Session, inputs: tuple[str, ...], outputs: tuple[str, ...], **flags: Any) -> int:
    """Take the background out of each INPUT.

    INPUT is a video, a picture, a folder of pictures, a pattern such as frame_%05d.png, a URL, or - for
    standard input. All outputs of an input are made in one pass. Several inputs are done one after the
    other; their output must be a folder, where each keeps its own name.
    """
    options = chosen(flags)
    Options.of(options)
    if not outputs and not any(name in options for name in ("matte", "cutout", "foreground")):
        raise OptionError("no output: give -o PATH, --matte PATH, --cutout PATH or --foreground PATH")
    planned = jobs(inputs, outputs, options)
    session.streaming = any("-" in job.targets for job in planned)
    if session.streaming and session.json:
        raise OptionError("--json and '-' as an output both want standard output: choose one")
    if session.streaming:
        _check_standard_output()
    return _run_all(planned, session)


def _check_standard_output() -> None:
    refuse_closed_output()
    if sys.stdout.isatty():
        raise SinkError("- means standard output, which is the terminal: pipe it into a program, as in: "
                        "streamseg run clip.mp4 -o - | ffplay -")


def _run_all(planned: list[Job], session: Session) -> int:
    """Run the jobs in turn. Of several a failed one does not stop the others: 2, which says that nothing was
    run, is the code only if each was refused for its values."""
    results: list[dict[str, Any]] = []
    session.done["runs"] = results
    codes: list[int] = []
    for job in planned:
        try:
            results.append(_run_one(job, session, several=len(planned) > 1))
        except StreamsegError as error:
            if len(planned) == 1 and not session.json:  # cli() tells of it
                raise
            session.tell(error, about=f"{one_line(job.source)}: " if len(planned) > 1 else "")
            results.append({"input": job.source, "error": described(error)})
            codes.append(error.exit_code)
    if codes and len(planned) > 1:
        click.echo(f"streamseg: {len(codes)} of {len(planned)} inputs failed", err=True)
    refused = len(codes) == len(planned) and set(codes) == {OptionError.exit_code}
    code = OptionError.exit_code if refused else min(len(codes), 1)
    if session.json:
        show.json_object({"exit_code": code, "runs": results})
    return code


def _run_one(job: Job, session: Session, *, several: bool) -> dict[str, Any]:
    from ..api import run as run_pipeline
    from ..core.opencv import opencv_threads
    with ExitStack() as stack:
        # every stage has a thread already: a call gets more only where the budget has more than the stages need
        stack.enter_context(opencv_threads(Threads.of(job.options.get("threads")).opencv))
        for target in job.targets if several else ():  # 'folder/' is ours to make: NAME.ext goes into it
            stack.enter_context(made_folder(os.path.dirname(target.rstrip("/"))))
        update = None if session.quiet or session.json else stack.enter_context(show.progress(job.source))
        result = run_pipeline(job.source, job.sinks, progress=update, **job.options)
    if not (session.quiet or session.json):
        show.report(result, verbose=session.verbose)
    return result.to_dict()
