"""How the system schedules a thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Give the calling thread back its scheduling policy after the block, where the block changed it (Linux).

    SVT-AV1 makes the thread that opens it, and its own, real-time ones (FIFO, priority 99) in a program of root's, as
    in containers: what the thread starts later would inherit that, and would not share a core with anything else.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before, priority = os.sched_getscheduler(0), os.sched_getparam(0)  # 0: the calling thread
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != before:
            os.sched_setscheduler(0, before, priority)
