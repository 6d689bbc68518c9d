"""`streamseg watch`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from ..batch.options import NamingOptions
from ..options import Options
from ..watch.options import WatchOptions
from . import show
from .flags import Command, Flag, general_flags, given_options, option_flags
from .messages import messages_shown
from .session import Session
from .text import one_line

EXAMPLES = """
    streamseg watch inbox/ done/
    streamseg watch inbox/ done/ --background blur --only '*.mp4'
    streamseg watch /mnt/share/in /mnt/share/out --settle 10 --rescan 30
    streamseg watch inbox/ done/ --status
"""


@click.command("watch", cls=Command, short_help="Work on what comes into a folder, each once.", examples=EXAMPLES)
@click.argument("folder", metavar="IN", type=click.Path())
@click.argument("output", metavar="OUT", type=click.Path())
@click.option("--status", is_flag=True, cls=Flag, group="Watch",
              help="Say what is done, what failed and what waits, and do nothing.")
@option_flags()
@option_flags(of=NamingOptions)
@option_flags(of=WatchOptions)
@general_flags
@click.pass_obj
def watch(session: Session, folder: str, output: str, status: bool, **flags: Any) -> int:
    """Take the background out of every picture and film that comes into the folder IN, and write it into OUT.

    A file is taken when its size and time have stood still and it opens; hidden files, .part, .tmp and ~ never are.
    Subfolders and names stay. A ledger in OUT knows what is done, also after a restart. Why a file failed stands in
    NAME.failed.txt. Ctrl-C and SIGTERM end it after the file in hand; a second Ctrl-C at once. With --once the exit
    code is 1 if a file failed.
    """
    if status:
        return _status(session, output)
    own = {item.name for item in fields(WatchOptions)}
    names = {item.name for item in fields(NamingOptions)}
    told = WatchOptions.of(given_options({key: value for key, value in flags.items() if key in own}))
    naming = NamingOptions.of(given_options({key: value for key, value in flags.items() if key in names}))
    options = given_options({key: value for key, value in flags.items() if key not in own | names})
    Options.of(options)
    from ..watch.watcher import Watcher

    with _stopped_softly() as stop, nullcontext() if session.quiet else messages_shown():
        watcher = Watcher(folder, output, options, told=told, naming=naming, stop=stop)
        counts = watcher.watch()
    code = 1 if told.once and watcher.failed else 0
    if session.json:
        show.json_object({"exit_code": code, "counts": counts})
    elif not session.quiet:
        click.echo(f"streamseg: {_summary(counts)}", err=True)
    return code


def _summary(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in ("done", "failed", "waiting"))


def _status(session: Session, output: str) -> int:
    from ..watch.ledger import Ledger

    with Ledger(Path(output), owner=False) as ledger:
        found = ledger.status()
    if session.json:
        show.json_object({"exit_code": 0, **found})
        return 0
    click.echo(_summary(found["counts"]))
    for state in ("waiting", "failed"):
        for item in found[state]:
            reason = f": {one_line(item['reason'])}" if item["reason"] else ""
            click.echo(f"{state}: {one_line(item['name'])}{reason}")
    return 0


@contextmanager
def _stopped_softly() -> Iterator[Any]:
    """A function that says whether a first Ctrl-C or SIGTERM has come; a second one interrupts as usual."""
    came: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: Any) -> None:
        came.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread, where Python lets nobody set handlers
        pass
    try:
        yield lambda: bool(came)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
