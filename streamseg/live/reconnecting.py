"""An output that is opened again, with growing waits, when it fails: for network streams and PipeWire."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..core.clock import Clock
from ..core.frames import Frame
from ..errors import SinkError
from ..sink import BaseSink, Sink, adapt_sink
from .capture import FIRST_WAIT, LONGEST_WAIT

LOG = logging.getLogger(__name__)


class Reconnecting(BaseSink):
    """A Sink around the one that ``reopen`` returns. ``lost``: frames that came while none was open.

    Opening happens in ``write``, in the output's own thread, so it delays no other output.
    """

    def __init__(self, name: str, reopen: Callable[[], Sink], clock: Clock) -> None:
        super().__init__()
        self._name, self._reopen, self._clock = name, reopen, clock
        self._sink: BaseSink | None = adapt_sink(reopen())  # an address that cannot work is refused at once
        self.notes = list(self._sink.notes)
        self._while_lost = None if self._sink.wanted() is None else False
        self._wait, self._next = FIRST_WAIT, 0.0

    def write(self, frame: Frame) -> None:
        """Write the frame, or count it as lost."""
        if self._sink is None and self._clock.now() >= self._next:
            self._try_again()
        if self._sink is None:
            self.lost += 1
            return
        try:
            self._sink.write(frame)
        except SinkError as error:
            self.lost += 1
            self._drop(error)

    def wanted(self) -> bool | None:
        """What the open output says; while there is none, nobody takes pictures of one that knows."""
        sink = self._sink
        return self._while_lost if sink is None else sink.wanted()

    def finish(self) -> None:
        """Finish the open output."""
        if self._sink is not None:
            self._sink.close()

    def abort(self) -> None:
        """Abort the open output; may be called twice."""
        if self._sink is not None:
            self._sink.abort()

    def _drop(self, error: SinkError) -> None:
        if self._sink is not None:
            self._sink.abort()
        self._sink = None
        self._next = self._clock.now() + self._wait
        LOG.warning(f"{error}; {self._name} is tried again in {self._wait:g} s")
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _try_again(self) -> None:
        try:
            self._sink = adapt_sink(self._reopen())
        except SinkError as error:
            self._drop(error)
        else:
            self._wait = FIRST_WAIT
            LOG.info(f"{self._name} is back")
