"""Ctrl-C, SIGTERM and SIGHUP end a run in the same way: by an exception in the main thread."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class Signals:
    """While the block runs, the first signal raises KeyboardInterrupt; later ones are ignored, so that
    a second Ctrl-C does not interrupt the removal of the partial output.

    A signal that was ignored before (nohup, a shell's background job) stays ignored. Has no effect
    outside the main thread, where Python allows no handlers.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def code(self) -> int:
        """The exit code: 128 + the signal that came, by default Ctrl-C's."""
        return 128 + (self._number or signal.SIGINT)

    def __enter__(self) -> Signals:
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) is signal.SIG_IGN:
                continue
            try:
                self._before[number] = signal.signal(number, self._raise)
            except ValueError:  # not the main thread
                break
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            raise KeyboardInterrupt
