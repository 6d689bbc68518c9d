"""How the system schedules threads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """No thread of this process is a real-time one after the block that was none before it, or was not there (Linux).

    SVT-AV1 makes the thread that opens it, and its own, real-time ones (FIFO, priority 99) in a program of root's, as
    in containers. What the thread starts later inherits that, and would not share a core with anything else; where
    the kernel limits real-time threads by control group, such a thread can wait for a core for ever.
    """
    before = real_time_threads()
    try:
        yield
    finally:
        for thread in real_time_threads() - before:
            with suppress(ProcessLookupError):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def real_time_threads() -> set[int]:
    """The system's numbers of this process's threads that have a real-time policy; none where it is not Linux."""
    found: set[int] = set()
    if not sys.platform.startswith("linux"):
        return found
    for name in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it has ended meanwhile
            if os.sched_getscheduler(int(name)) & ~os.SCHED_RESET_ON_FORK in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(int(name))
    return found
