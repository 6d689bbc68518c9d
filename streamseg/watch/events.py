"""The system's news of changed files. They are hints: what they do not tell, the next look at the folder does."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ..errors import MissingDependencyError

STEP = 0.3  # seconds that are waited at once, so that a signal is soon seen
_log = logging.getLogger("streamseg.watch")


class Events(Protocol):
    """Where news come from."""

    def wait(self) -> set[str]:
        """The paths that changed, after STEP seconds at most; of a folder that was moved in the folder alone."""


class NoEvents:
    """Where the system tells nothing."""

    def wait(self) -> set[str]:
        """Nothing, after a while."""
        time.sleep(STEP)
        return set()


class _FileEvents:
    def __init__(self, changes: Iterator[Any]) -> None:
        self._changes = changes

    def wait(self) -> set[str]:
        """As Events."""
        return {path for _, path in next(self._changes, set())}


@contextmanager
def events_of(folder: Path) -> Iterator[Events]:
    """The news of a folder and all below it; none, with a word in the log, where the system gives none.

    Raises MissingDependencyError without watchfiles.
    """
    try:
        from watchfiles import watch
    except ImportError as error:
        raise MissingDependencyError("watch needs watchfiles, which is not installed: pip install "
                                     "'streamseg[serve]'") from error
    changes = watch(folder, watch_filter=None, debounce=200, step=50, rust_timeout=round(STEP * 1000),
                    yield_on_timeout=True, raise_interrupt=True, recursive=True, ignore_permission_denied=True)
    try:
        next(changes)  # the watch begins with the first
    except (OSError, RuntimeError) as error:
        _log.warning("the system tells nothing of changes in %s (%s): the folder is looked through instead", folder,
                     error)
        yield NoEvents()
        return
    try:
        yield _FileEvents(changes)
    finally:
        changes.close()
