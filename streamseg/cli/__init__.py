"""The command line. ``cli`` is the entry: it parses, runs one command and returns the exit code.

    0    everything was done
    1    a run failed (StreamsegError), or standard output cannot be written: its reader has ended, its disk is full
    2    a flag or value that is not allowed
    130  Ctrl-C; 143 SIGTERM; 129 SIGHUP (128 + the signal), with the same clean-up as after a failure

PyAV, OpenCV, NumPy and rich are imported only when a command needs them, so that ``--help`` is fast.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import click

from ..errors import StreamsegError
from .group import group
from .session import Session, print_notes
from .signals import Signals
from .streams import ObservedOutput, detach, detached_errors, observed_output
from .text import one_line

__all__ = ["cli", "group"]


def cli(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (default: sys.argv) and return the exit code."""
    session = Session()
    with warnings.catch_warnings(), detached_errors(), observed_output() as out, Signals() as signals:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged EXIF, which is no concern of the picture
        try:
            return _ended(arguments, session, signals, out)
        except OSError as error:
            if out is None or out.failure is not error:
                raise
            session.trace(error)
            click.echo(f"streamseg: error: standard output cannot be written: {error.strerror}; make "
                       "room there, or send it elsewhere", err=True)
            detach(sys.stdout)
            return 1


def _ended(arguments: Sequence[str] | None, session: Session, signals: Signals, out: ObservedOutput | None) -> int:
    """Run the command line and report its errors. Raises the errors of standard output."""
    try:
        result = group.main(None if arguments is None else list(arguments), prog_name="streamseg",
                            standalone_mode=False, obj=session)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        # where parsing itself failed, no flag was seen yet
        session.json = session.json or "--json" in (sys.argv[1:] if arguments is None else arguments)
        session.print_end(error.exit_code, error, error.format_message())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        word = "interrupted" if signals.code == 130 else "terminated"
        click.echo(f"streamseg: {word}", err=True)
        print_notes(error)
        session.print_end(signals.code, error, word)
        return signals.code
    except StreamsegError as error:
        if session.streaming and reader_went_away(error):
            detach(sys.stdout)
            return 1
        session.print_error(error)
        session.print_end(error.exit_code, error)
        return error.exit_code
    except Exception as error:
        if out is not None and out.failure is error:
            raise
        session.trace(error)
        hint = "" if session.verbose else "; --verbose shows where"
        click.echo(f"streamseg: internal error: {type(error).__name__}: {one_line(error)} "
                   f"(a defect of streamseg: please report it{hint})", err=True)
        session.print_end(1, error)
        return 1


def reader_went_away(error: BaseException) -> bool:
    """True if the error, or what caused it, is a broken pipe."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BrokenPipeError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
