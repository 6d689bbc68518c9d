"""`streamseg run`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..batch.addresses import is_remote
from ..batch.job import EXTRA, Job
from ..batch.options import NamingOptions
from ..core.folders import made_folder
from ..core.thread_budget import Threads
from ..core.words import counted
from ..errors import OptionError, SinkError, StreamsegError
from ..options import Options
from . import show
from .flags import Command, Flag, general_flags, given_options, option_flags
from .session import Session, described
from .streams import refuse_closed_output
from .text import one_line

if TYPE_CHECKING:
    from ..batch.methods import Methods
    from ..report import Progress, Report

EXAMPLES = """
    streamseg run in.mp4 -o out.mp4 --background blur
    streamseg run in.mp4 -o out.mp4 --background beach.jpg --quality 80
    streamseg run in.mp4 -o cutout.webm                       # transparent
    streamseg run in.mp4 -o out.mp4 -o cutout.mov --matte matte.mkv
    streamseg run photo.jpg -o photo.png
    streamseg run photos/ -o cutouts/ --only '*.jpg'
    streamseg run in.mp4 -o pictures/ --frames                # numbered pictures
    streamseg run a.mp4 b.mov -o done/ --background '#204060'
    streamseg run in.mp4 -o out.mov --greenscreen
    streamseg run in.mp4 -o out.mp4 --method chroma --set key=blue
    streamseg run in.mp4 -o - | ffplay -
"""


@click.command("run", cls=Command, short_help="Remove the background of files.", examples=EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", "outputs", multiple=True, metavar="PATH", type=click.Path(), cls=Flag,
              group="Output", help="Where the result goes: a video, a picture, a folder, or - for standard "
              "output. The extension decides the format. May be given several times.")
@option_flags()
@option_flags(of=NamingOptions)
@general_flags
@click.pass_obj
def run(session: Session, inputs: tuple[str, ...], outputs: tuple[str, ...], **flags: Any) -> int:
    """Remove the background of each INPUT.

    INPUT is a video, a picture, a folder with its subfolders, a pattern such as frame_%05d.png, a URL, or - for
    standard input. All outputs of an input are made in one pass. Several inputs, and the files of a folder, are
    done one after the other; their output is a folder, where each keeps its own name. One that fails does not stop
    the others.
    """
    from ..batch.inputs import LeftOut  # here: they load PyAV
    from .plan import jobs, refuse_at_once

    names = {item.name for item in fields(NamingOptions)}
    naming = NamingOptions.of(given_options({name: value for name, value in flags.items() if name in names}))
    options = given_options({name: value for name, value in flags.items() if name not in names})
    Options.of(options)
    if not outputs and not any(name in options for name in ("matte", "cutout", "foreground")):
        raise OptionError("no output: give -o PATH, --matte PATH, --cutout PATH or --foreground PATH")
    left_out = LeftOut()
    planned = jobs(inputs, outputs, options, naming=naming, left_out=left_out)
    if len(planned) > 1 or len(inputs) > 1:
        refuse_at_once(planned)
    if len(planned) > 1 and "matte_in" in options:
        raise OptionError(f"matte_in holds the mattes of one input, and here are {len(planned)}: give each a call")
    session.streaming = any("-" in job.targets for job in planned)
    if session.streaming and session.json:
        raise OptionError("--json and '-' as an output both want standard output: choose one")
    if session.streaming:
        _check_standard_output()
    if left_out.counts:
        session.done["left_out"] = left_out.to_dict()
        for line in () if session.quiet or session.json else left_out.lines():
            click.echo(f"streamseg: {one_line(line)}", err=True)
    given = {*outputs, *(options[name] for name in EXTRA if name in options)}
    return _run_all(planned, session, given, brief=any(os.path.isdir(source) for source in inputs))


def _check_standard_output() -> None:
    refuse_closed_output()
    if sys.stdout.isatty():
        raise SinkError("- means standard output, which is the terminal: pipe it into a program, as in: "
                        "streamseg run clip.mp4 -o - | ffplay -")


def _run_all(planned: list[Job], session: Session, given: Collection[str], *, brief: bool) -> int:
    """Run the jobs, pictures side by side. Of several a failed one does not stop the others: 2, which says that
    nothing was run, is the code only if each was refused for its values."""
    several = len(planned) > 1
    with ExitStack() as stack:
        remote = any(is_remote(name) for job in planned for name in (job.source, *job.targets))
        methods = _methods(stack) if several or remote else None
        runs = _Runs(session, given, methods, brief=brief and several, alone=not several)
        session.done["runs"] = runs.results
        if several and methods is not None:
            runs.side_by_side(planned, methods, stack)
        else:
            runs.one(planned[0])
    codes = runs.codes
    if codes and several:
        click.echo(f"streamseg: {len(codes)} of {len(planned)} inputs failed", err=True)
    refused = len(codes) == len(planned) and set(codes) == {OptionError.exit_code}
    code = OptionError.exit_code if refused else min(len(codes), 1)
    if session.json:
        show.json_object({"exit_code": code, **session.done})
    return code


class _Runs:
    """Runs of a call, and what is told of them. Of outputs that are not ``given`` the folder was, and is made."""

    def __init__(self, session: Session, given: Collection[str], methods: Methods | None, *, brief: bool,
                 alone: bool) -> None:
        self.results: list[dict[str, Any]] = []
        self.codes: list[int] = []
        self._session, self._given, self._methods = session, given, methods
        self._brief, self._alone = brief, alone
        self._told = not (session.quiet or session.json)
        self._notes: set[str] = set()

    def side_by_side(self, planned: list[Job], methods: Methods, stack: ExitStack) -> None:
        """Run them all: films one after the other, of pictures several at a time; told of in their order."""
        from ..batch.beside import Beside  # here: one input needs it not

        beside = Beside(self._picture, partial(self._ended, brief=True))
        stack.callback(beside.close)
        for job in planned:
            if beside.ready(job.source, job.sinks, job.options):
                if not len(beside):
                    with suppress(StreamsegError):  # the run raises it again
                        # while there is one thread, for what a runtime writes itself is hidden then only
                        methods.get(job.options, job.source, stills=True)
                beside.start(job)
            else:
                self.one(job)
        beside.land()

    def one(self, job: Job) -> None:
        """Run a job while nothing else is under way."""
        with show.progress(job.source) if self._told and not self._brief else nullcontext() as update:
            result = self._result(job, update)
        self._ended(job, result, brief=self._brief)

    def _picture(self, job: Job) -> Report | StreamsegError:
        """In a thread of the picture's own."""
        return self._result(job, None, beside=True)

    def _result(self, job: Job, update: Callable[[Progress], None] | None, *,
                beside: bool = False) -> Report | StreamsegError:
        try:
            if self._methods is None:
                return _run_one(job, self._given, update)
            from ..batch.item import run_one  # here: with the ledger and its database, which one input needs not

            return run_one(job.source, job.sinks, job.options, self._methods, progress=update, given=self._given,
                           alone=not beside)[0]
        except StreamsegError as error:
            if self._alone and not self._session.json:  # cli() tells of it
                raise
            return error

    def _ended(self, job: Job, result: Report | StreamsegError, *, brief: bool) -> None:
        if isinstance(result, StreamsegError):
            self._session.print_error(result, about="" if self._alone else one_line(job.source))
            self.results.append({"input": job.source, "error": described(result)})
            self.codes.append(result.exit_code)
            return
        self.results.append(result.to_dict())
        if self._told and brief:
            self._tell_briefly(result)
        elif self._told:
            show.report(result, verbose=self._session.verbose)

    def _tell_briefly(self, result: Report) -> None:
        """A line for one of many, and its notes: in full the first time."""
        outputs = ", ".join(one_line(output.path) for output in result.outputs)
        click.echo(f"{one_line(result.input)}: {counted(result.frames, 'frame')} in {result.elapsed:.2f} s, {outputs}",
                   err=True)
        for note in result.notes:
            click.echo(f"  note: {one_line(note.partition('. ')[0] if note in self._notes else note)}", err=True)
            self._notes.add(note)


def _run_one(job: Job, given: Collection[str], update: Callable[[Progress], None] | None) -> Report:
    """A run that has the process to itself."""
    from .. import api
    from ..core.opencv import opencv_threads

    with ExitStack() as stack:
        for target in job.targets:
            if target not in given:
                stack.enter_context(made_folder(os.path.dirname(target.rstrip("/"))))
        # every stage has a thread already: a call gets more only where the budget has more than the stages need
        stack.enter_context(opencv_threads(Threads.of(job.options.get("threads")).opencv))
        return api.run(job.source, job.sinks, progress=update, **job.options)


def _methods(stack: ExitStack) -> Methods:
    """What several runs share: networks are loaded once."""
    from ..batch.methods import Methods

    made = Methods()
    stack.callback(made.close)
    return made
