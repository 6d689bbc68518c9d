"""Runs stages in threads of their own; the only package that starts threads.

A stage is a plain iterator. ``StageRunner.thread`` lets one run in a thread and gives back an iterator over
what it makes:

    with StageRunner(stall_timeout=60) as runner:
        frames = runner.thread("decode", iter(source), capacity=2)
        mattes = runner.thread("segment", segment(frames), capacity=1)
        for frame, matte in mattes:
            ...

An exception in a stage travels downstream in order, after the items before it, and comes out of the
last iterator. Leaving the ``with`` block, for whatever reason, cancels every channel and joins every
thread; each stage's generator is closed in its own thread.

A program may end while a run is under way: an iterator that was never closed, or a run in a daemon thread. FFmpeg and
the runtimes abort the process when their threads outlive the interpreter, so runs are ended at exit.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from ..errors import StallError
from .channels import Cancelled, Channel, ChannelStats, EndOfChannel, Target, WaitedTooLong
from .policy import Link

T = TypeVar("T")

JOIN_SECONDS = 5.0  # what the stages get to notice the end before they are left behind
_RUNNING: weakref.WeakSet[Any] = weakref.WeakSet()  # what is to be ended when the program ends


class Worker(Generic[T]):
    """One stage's thread: puts what ``items`` makes into ``target``.

    upstream   the channel that the stage reads from
    patience   seconds that it gets to notice the end; None: JOIN_SECONDS
    stop       called when the run is to end early, from another thread: what takes long may break off
    """

    def __init__(self, name: str, items: Iterator[T], target: Target[T], upstream: Channel[Any] | None = None, *,
                 patience: float | None = None, stop: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.target, self.upstream = target, upstream
        self.patience, self.stop = patience, stop
        self.launched = False
        self.finished = threading.Event()
        self._items = items
        # a daemon, so that a stage which hangs for good cannot keep the process alive after StallError
        self.thread = threading.Thread(target=self._work, name=f"streamseg-{name}", daemon=True)

    @property
    def busy(self) -> bool:
        """Whether it is at work: it has not ended and waits for no other stage."""
        return not (self.target.putting or self.target.ended or (self.upstream is not None and self.upstream.getting))

    def launch(self) -> None:
        """Start the thread."""
        self.launched = True
        self.thread.start()

    def join(self, until: float) -> None:
        """Wait for the thread's end, to the time ``until`` of the monotonic clock at most."""
        # Ctrl-C may come while start() waits for the thread to run: join() would then raise
        if self.launched and self.finished.wait(max(0.0, until - time.monotonic())):
            self.thread.join()

    def _work(self) -> None:
        failure = self._guarded(self._hand_over)
        failure = self._guarded(getattr(self._items, "close", lambda: None)) or failure
        self.target.end(failure)
        self.finished.set()

    def _hand_over(self) -> None:
        for item in self._items:
            self.target.put(item)

    @staticmethod
    def _guarded(work: Callable[[], None]) -> BaseException | None:
        try:
            work()
        except Cancelled:
            return None
        except BaseException as error:
            return error
        return None


@dataclass(frozen=True, slots=True)
class Late(Generic[T]):
    """What takes the place of an item that a stage is late with. While the stage behind waits, ``instead`` is asked
    every ``seconds``, in that stage's thread: an item, or None to wait on."""

    seconds: float
    instead: Callable[[], T | None]


class StageRunner:
    """The threads of one run, in a row. Use as a context manager; nothing outlives the block."""

    def __init__(self, *, stall_timeout: float | None) -> None:
        """``stall_timeout``: after so many seconds of waiting for a stage StallError is raised; None: live,
        where who looks at the pictures also looks at the time."""
        self._stall_timeout = stall_timeout
        self._workers: list[Worker[Any]] = []
        self._owner = threading.current_thread()
        self.channels: dict[str, Channel[Any]] = {}  # behind each stage of the row, by the stage's name

    def thread(self, name: str, items: Iterator[T], *, capacity: int = 1, newest: bool = False,
               handed: bool = False, merge: Callable[[T, T], T] | None = None,
               late: Late[T] | None = None) -> Iterator[T]:
        """Run ``items`` in a thread called ``name``; the result iterates over what it makes.

        ``items`` may read from what the call before returned: stages stand in a row.
        """
        return self._receive(self.channel(name, items, capacity=capacity, newest=newest, handed=handed,
                                          merge=merge), late)

    def channel(self, name: str, items: Iterator[T], *, capacity: int = 1, newest: bool = False,
                handed: bool = False, merge: Callable[[T, T], T] | None = None) -> Channel[T]:
        """As ``thread``, but gives the channel itself, to a caller that has other things to do while it waits."""
        made = Channel[T](capacity, newest=newest, handed=handed, merge=merge)
        self.start(Worker(name, items, made, self.last))
        self.channels[name] = made
        return made

    @property
    def last(self) -> Channel[Any] | None:
        """The channel behind the last stage of the row."""
        return next(reversed(self.channels.values()), None)

    def aside(self, name: str, items: Iterator[T]) -> Channel[T]:
        """Run ``items`` in a thread beside the row; of what it makes only the newest is kept."""
        made = Channel[T](1, newest=True)
        self.start(Worker(name, items, made))
        return made

    def linked(self, name: str, items: Iterator[T], link: Link,
               merge: Callable[[T, T], T] | None = None, late: Late[T] | None = None) -> Iterator[T]:
        """As ``thread``, with a policy's link."""
        return self.thread(name, items, capacity=link.capacity, newest=link.newest, handed=link.handed, merge=merge,
                           late=late)

    def start(self, worker: Worker[Any]) -> None:
        """Let a worker's thread run; it ends with the block."""
        if not self._workers:
            _end_at_exit(self)
        self._workers.append(worker)
        worker.launch()

    def _receive(self, channel: Channel[T], late: Late[T] | None = None) -> Iterator[T]:
        while True:
            try:
                item: T | None = channel.get(self._stall_timeout if late is None else late.seconds)
            except EndOfChannel:
                return
            except WaitedTooLong:
                if late is None:
                    raise self.stalled() from None
                item = late.instead()
            if item is not None:
                yield item

    def busy(self) -> list[Worker[Any]]:
        """The workers that are at work now."""
        return [worker for worker in self._workers if worker.busy]

    def stalled(self, free: Collection[str] = ()) -> StallError:
        """The error that names the stages which are at work now, and for too long; not those called ``free``."""
        names = " and ".join(worker.name for worker in self.busy() if worker.name not in free)
        return StallError(f"no frame came for {self._stall_timeout or 0:g} s while the stage "
                          f"{names or 'at the end'} was at work: it hangs, or it is slow and "
                          "needs a longer --stall-timeout")

    @property
    def stats(self) -> dict[str, ChannelStats]:
        """The numbers of the channel behind each stage, by the stage's name."""
        return {name: channel.stats for name, channel in self.channels.items()}

    def unless_running(self, name: str, close: Callable[[], None]) -> None:
        """Call ``close`` unless the stage ``name`` still runs after the end of the block: what a thread
        hangs in (a read from a dead network, say) must not be freed under its feet."""
        if not self.running(name):
            close()

    def running(self, name: str) -> bool:
        """Whether the stage's thread is alive."""
        return any(worker.name == name and worker.thread.is_alive() for worker in self._workers)

    def __enter__(self) -> StageRunner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.end(stuck=isinstance(error, StallError))
        _RUNNING.discard(self)

    def end(self, *, stuck: bool = False) -> None:
        """Cancel every stage and wait for the threads; ``stuck``: no longer than JOIN_SECONDS."""
        self.cancel()
        begin = time.monotonic()
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            patience = JOIN_SECONDS if stuck or worker.patience is None else worker.patience
            worker.join(begin + patience)

    def end_at_exit(self) -> None:
        """End the run because the program ends; where it runs in a thread of its own that one removes what it wrote."""
        self.end(stuck=True)
        if self._owner is not threading.current_thread() and self._owner.is_alive():
            self._owner.join(JOIN_SECONDS)

    def cancel(self) -> None:
        """Wake every stage that waits, with Cancelled."""
        _cancel(worker.upstream for worker in self._workers if worker.upstream is not None)
        _cancel(worker.target for worker in self._workers)


def _cancel(targets: Iterable[Target[Any] | Channel[Any]]) -> None:
    for target in targets:
        target.cancel()


def _end_at_exit(runner: StageRunner) -> None:
    if not _RUNNING:
        atexit.unregister(_end_all)
        atexit.register(_end_all)
    _RUNNING.add(runner)


def _end_all() -> None:
    for runner in list(_RUNNING):
        runner.end_at_exit()
