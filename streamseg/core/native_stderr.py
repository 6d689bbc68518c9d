"""Lines that native libraries write to standard error by themselves, kept off it where that harms nobody.

LiteRT writes "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." once a process, when the first model is made
ready, and version 2.3 has no switch for it (github.com/google-ai-edge/LiteRT/issues/7420). Python's sys.stderr knows
nothing of it: only the file descriptor could be exchanged, and that is the whole process's. So it is left alone,
except in the program ``streamseg`` itself, while it has a single thread.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_OWN_PROGRAM: ContextVar[bool] = ContextVar("streamseg_own_program", default=False)


def this_is_the_program() -> None:
    """Said once by the entry of the program ``streamseg``, whose process nobody else uses."""
    _OWN_PROGRAM.set(True)


def occupy_standard_descriptors() -> None:
    """Open the null device where the descriptors 0 to 2 are closed: the next file opened would be standard error, and
    get the lines that native libraries write there. Python's sys.stdin, stdout and stderr stay None."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


@contextmanager
def native_lines_hidden() -> Iterator[None]:
    """Discards what is written to file descriptor 2 meanwhile: in the program streamseg, with no thread beside this
    one. Everywhere else it does nothing. Errors must come as exceptions."""
    if not _OWN_PROGRAM.get() or threading.active_count() > 1:
        yield
        return
    try:
        number = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # stderr is no file: nothing is written to it
        yield
        return
    kept, nowhere = os.dup(number), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, number)
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(nowhere)
