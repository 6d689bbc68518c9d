"""Puts the stages of a run together, for files and for live: decode -> segment -> finish -> the outputs.

    thread         does                                     its results wait
    decode         the source                               for the method: 2B frames, or the newest
    segment        batches of B, the method, smoothing      for compositing
    finish         refining, compositing                    for each output: 4, or the newest
    one an output  encoding, writing, verifying             (they are counted)
    main           progress, Ctrl-C, the commit of all outputs; live: hands out the pictures, shows the window

The policy (LOSSLESS, NEWEST) says how. A failure anywhere ends all: every frame that was whole before it still
reaches the outputs, then every channel is cancelled, every thread joined, and main raises it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from .channels import Channel, ChannelStats
from .outputs import FanOut, OutputThread
from .policy import Policy
from .threads import Late, StageRunner, Worker


class Replacing(Protocol):
    """What travels from the source to the method: where it takes an older one's place it keeps what must not
    be lost of that."""

    def replacing(self, dropped: Any) -> Self:
        """This item, with what must not be lost of ``dropped``, which gave way to it."""


F = TypeVar("F", bound=Replacing)  # what the source gives
M = TypeVar("M")                   # a frame with its matte
P = TypeVar("P")                   # a finished picture, or one for each output


class Graph(Generic[F, M, P]):
    """One run's threads. Use as a context manager; nothing outlives the block.

    Outputs are added first, then ``start`` lets the row run. Live, outputs may come and go meanwhile.
    """

    def __init__(self, policy: Policy, *, stall_timeout: float | None) -> None:
        """``stall_timeout``: see StageRunner."""
        self._policy, self._stall_timeout = policy, stall_timeout
        self._changed = threading.Event()
        self.runner = StageRunner(stall_timeout=stall_timeout)
        self.outputs = FanOut[P](self._changed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.runner.__exit__(kind, error, trace)

    def output(self, name: str, stage: Callable[[Iterator[P]], Iterator[Any]], *, waits_for_reader: bool = False,
               stop: Callable[[], None] = lambda: None) -> OutputThread[P]:
        """One more output, in a thread of its own: ``stage`` yields once for each picture that it has written.

        waits_for_reader  it may wait for somebody else without limit (a pipe's reader): that is no stall
        stop              called when the run is to end early, while the output may be finishing a large file
        """
        # a file that is being finished is not to be left half done: it gets longer than others to end
        patience = None if waits_for_reader else self._stall_timeout
        made = OutputThread(name, stage, self._policy.output, self._changed, waits_for_reader=waits_for_reader,
                            patience=patience, stop=stop)
        self.outputs.add(made)
        self.runner.start(made.worker)
        return made

    def pairs(self, frames: Iterator[F], segment: Callable[[Iterator[F]], Iterator[M]],
              late: Late[M] | None = None) -> Iterator[M]:
        """The first two stages alone: frames with their mattes. ``late``: what stands for a matte that takes long."""
        decoded = self.runner.linked("decode", frames, self._policy.decode, _replaced)
        return self.runner.linked("segment", segment(decoded), self._policy.segment, late=late)

    def start(self, frames: Iterator[F], segment: Callable[[Iterator[F]], Iterator[M]],
              finish: Callable[[Iterator[M]], Iterator[P]], late: Late[M] | None = None) -> Channel[P] | None:
        """Let all stages run. -> the channel of the finished pictures, where the policy lets the main thread hand
        them out (``outputs.put``); else None"""
        finished = finish(self.pairs(frames, segment, late))
        link = self._policy.finish
        if link is not None:
            return self.runner.channel("finish", finished, capacity=link.capacity, newest=link.newest,
                                       handed=link.handed)
        self.runner.start(Worker("finish", finished, self.outputs, self.runner.last))
        return None

    def written(self) -> Iterator[int]:
        """1, 2, 3, ...: one more picture has been written by every output. Ends when all have finished.

        Raises what an output failed with, at once; what a stage before failed with, when the outputs have
        written all that came before; StallError when nothing moves, unless that is an output's to do.
        """
        told, moved = 0, True
        before: tuple[int, ...] = ()
        while True:
            self._changed.clear()
            done, state = self._done(), self._state()
            while told < min((output.written for output in self.outputs.outputs), default=0):
                told += 1
                yield told
            if done:
                return
            if not moved and state == before:
                self._refuse_stall()
            before = state
            moved = self._changed.wait(self._stall_timeout)

    def _done(self) -> bool:
        """Whether all is written and finished. Raises what ended the run."""
        outputs = self.outputs.outputs
        for output in outputs:
            if output.failure is not None:
                raise output.failure
        if self.outputs.failure is not None and self.outputs.drained:
            raise self.outputs.failure
        return self.outputs.ended and all(output.ended for output in outputs)

    def _state(self) -> tuple[int, ...]:
        return (self.outputs.count, *(output.written + output.ended for output in self.outputs.outputs))

    def _refuse_stall(self) -> None:
        """Raise StallError unless only such outputs are at work as may take any time."""
        free = {output.worker.name for output in self.outputs.outputs if output.may_take_long}
        busy = {worker.name for worker in self.runner.busy()}
        if not busy or busy - free:
            raise self.runner.stalled(free)

    def queues(self) -> dict[str, ChannelStats]:
        """The numbers of the queue behind each stage; behind finish: of the fullest of the outputs' queues."""
        return {**self.runner.stats, "finish": self.outputs.stats}


def _replaced(dropped: F, item: F) -> F:
    return item.replacing(dropped)
