"""The live run: capture, model, finish, outputs, each in a thread of its own, the newest frame first.

    decode --newest--> segment --handed--> finish --handed--> main --newest--> output 1
                                                                   --newest--> output 2 ...

One slot lies between camera and model: when the model is busy the newest frame takes the older one's place,
so that no delay builds up. Behind the model a frame is handed on: its stage takes a newer one only when the
next stage has taken this one, so that at most one frame a stage is under way.
Each output has a slot of its own: a slow one holds up neither the others nor the camera. The main thread
hands out pictures, shows the window (which must be the main thread's), and once a second looks at what was
measured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from ..core.clock import Clock
from ..engine import NEWEST, Channel, EndOfChannel, Graph, Late, WaitedTooLong
from ..errors import SourceTimeoutError
from .adaptive_quality import AdaptiveQuality
from .capture import Capture
from .composite_stage import CompositeStage
from .concealing import LOOK_SECONDS, Concealing
from .microphone import Microphone
from .segment_stage import SegmentStage
from .stats import LiveOutput, LiveReport, Stats
from .types import Control, Finished, Matted, Shot

LOG = logging.getLogger(__name__)

POLL = 0.02           # seconds that the main thread waits for a picture before it looks at the keys
JUMP = 2.0            # seconds between two rounds of the main thread, which take POLL
GRACE = 1.0           # seconds more than the source's own timeout, which knows better what went wrong
FINISH_SECONDS = 5.0  # what an output gets to finish in


class Screen(Protocol):
    """What shows pictures in the main thread."""

    def show(self, finished: Finished) -> None:
        """Show a picture."""

    def show_stats(self, line: Mapping[str, Any]) -> None:
        """Take the figures of a second."""

    def close(self) -> None:
        """Take the window away; may be called twice."""


class LiveSession:
    """One live run. ``run`` returns when it has ended, and everything given to it is closed then.

    adaptive  chooses the step of quality; None: it stays as it is
    commands  called in the main thread again and again: reads keys and files, changes ``control``;
              True ends the run
    on_stats  takes the line of figures of each second
    sound     the microphone that outputs have subscribed to
    cores     of the machine: the AdaptiveQuality's CPU shares are of all of them
    timeout   seconds without any picture after which the camera counts as hanging
    """

    def __init__(self, capture: Capture, matting: SegmentStage, finisher: CompositeStage, outputs: Sequence[LiveOutput],
                 *, clock: Clock, control: Control, adaptive: AdaptiveQuality | None = None,
                 screen: Screen | None = None, sound: Microphone | None = None,
                 commands: Callable[[], bool] = lambda: False,
                 on_stats: Callable[[dict[str, Any]], None] = lambda line: None,
                 cores: int = 1, duration: float | None = None, timeout: float = 15.0) -> None:
        self._capture, self._matting, self._finisher = capture, matting, finisher
        self._outputs, self._screen = list(outputs), screen
        self._clock, self._control, self._adaptive = clock, control, adaptive
        self._commands, self._on_stats, self._sound = commands, on_stats, sound
        self._duration, self._timeout = duration, timeout
        self._stats = Stats(clock, control, self._outputs, cores)
        self._graph = Graph[Shot, Matted, Finished](NEWEST, stall_timeout=None)
        self._told: set[LiveOutput | Microphone] = set()
        self._leaving: dict[LiveOutput, Callable[[], None]] = {}  # what is to be called when it has finished
        self._heard: Channel[None] | None = None

    def run(self) -> LiveReport:
        """Run until the source, the time, the user (KeyboardInterrupt too) or the last output ends it.

        Raises the source's error, or the first output's if no output is left.
        """
        runner = self._graph.runner
        with ExitStack() as stack:
            stack.callback(runner.unless_running, "decode", self._capture.close)
            stack.callback(runner.unless_running, "segment", self._matting.close)
            stack.callback(runner.unless_running, "finish", self._finisher.close)
            if self._sound is not None:
                stack.callback(runner.unless_running, "sound", self._sound.close)
            stack.enter_context(self._graph)
            try:
                self._main(self._stages())
            except KeyboardInterrupt:
                pass  # how a live run is usually ended
            finally:
                self._end()
        if self._outputs and all(output.failure for output in self._outputs) and self._screen is None:
            raise self._outputs[0].failure  # type: ignore[misc]
        matting = self._matting
        return self._stats.report(self._overtaken(), matting.inferred, matting.carried, matting.still,
                                  self._capture.damaged)

    def add(self, output: LiveOutput) -> None:
        """Begin to write to one more output, while the engine runs; for its main thread."""
        self._begin(output)
        self._outputs.append(output)

    def remove(self, output: LiveOutput, finished: Callable[[], None] = lambda: None) -> None:
        """Let an output that was added finish, while the others go on. ``finished`` is called in the main
        thread when it has; where it fails that is told of instead, and stays in the report."""
        self._outputs.remove(output)
        self._leaving[output] = finished
        if output.branch is not None:
            self._graph.outputs.remove(output.branch)
            output.branch.inlet.end()

    # --- the row of stages ---

    def _stages(self) -> Channel[Finished]:
        for output in self._outputs:
            self._begin(output)
        if self._sound is not None:  # what it yields is of no interest: it hands out the sound itself
            self._heard = self._graph.runner.aside("sound", self._sound.listen())
        concealing = Concealing(self._matting, self._control, self._clock, self._capture.began)
        finished = self._graph.start(iter(self._capture), self._matting, self._finisher, Late(LOOK_SECONDS, concealing))
        assert finished is not None  # NEWEST has it so
        return finished

    def _begin(self, output: LiveOutput) -> None:
        output.branch = self._graph.output(f"output {output.name}", self._writer(output))

    def _writer(self, output: LiveOutput) -> Callable[[Iterator[Finished]], Iterator[None]]:
        def written(items: Iterator[Finished]) -> Iterator[None]:
            """Write what comes and finish in order; where that fails leave what is whole."""
            try:
                for item in items:
                    lost = output.lost
                    output.sink.write(item.picture)
                    if output.lost == lost:
                        output.latencies.add(self._clock.now() - item.at)
                    yield
                output.sink.close()
            finally:
                output.sink.abort()
        return written

    def _end(self) -> None:
        """Let each output finish in order; tell of those that do not."""
        for output in [*self._outputs, *self._leaving]:
            if output.branch is None:  # it ended before the output's thread began
                output.sink.abort()
            elif not output.branch.end(FINISH_SECONDS):
                LOG.warning(f"{output.name} does not end in time and is abandoned")
        self._see_off()
        self._tell_failures()
        if self._screen is not None:
            self._screen.close()

    # --- the main thread's round ---

    def _main(self, finished: Channel[Finished]) -> None:
        moved = looked = self._clock.now()
        while not self._over():
            before, looked = looked, self._clock.now()
            # the machine slept, or nothing is expected of the camera: it does not hang
            if looked - before > JUMP or self._capture.waiting:
                moved = looked
            try:
                item = finished.get(POLL)
            except WaitedTooLong:
                if self._clock.now() - moved > self._timeout + GRACE:
                    raise SourceTimeoutError(
                        f"no picture came from {self._capture.info.name} for {self._timeout:g} s: it hangs, "
                        "or it is unplugged; --timeout waits longer") from None
                continue
            except EndOfChannel:
                return
            moved = self._clock.now()
            self._graph.outputs.put(item)
            if self._screen is not None:
                self._screen.show(item)
                self._stats.window.add(self._clock.now() - item.at)

    def _over(self) -> bool:
        """The main thread's other work. -> whether the run is to end"""
        self._see_off()
        if self._stats.due:
            self._every_second()
        if self._duration is not None and self._stats.elapsed >= self._duration:
            return True
        nowhere = bool(self._outputs) and all(output.ended for output in self._outputs)
        return self._commands() or (nowhere and self._screen is None)

    def _every_second(self) -> None:
        line, load = self._stats.second(self._capture.arrived, self._overtaken())
        if self._adaptive is not None:
            step = self._adaptive.observe(load)
            if step is not self._control.step:
                self._control.step = step
                self._stats.steps.append(step.name)
                LOG.info(f"quality: {step.name}")
            if advice := self._adaptive.advice():
                LOG.warning(advice)
        self._tell_failures()
        if self._screen is not None:
            self._screen.show_stats(line)
        self._on_stats(line)

    def _overtaken(self) -> int:
        """Frames that a newer one took the place of, between camera and model."""
        stats = self._graph.runner.stats.get("decode")
        return 0 if stats is None else stats.dropped

    def _see_off(self) -> None:
        """Look which of the outputs that were removed have finished."""
        for output in [output for output in self._leaving if output.ended]:
            finished = self._leaving.pop(output)
            if output.failure is None:
                finished()
            else:
                self._outputs.append(output)

    def _tell_failures(self) -> None:
        for output in self._outputs:
            if output.failure is not None and output not in self._told:
                self._told.add(output)
                rest = [other.name for other in self._outputs if not other.ended]
                LOG.warning(f"{output.name} has failed: {output.failure}"
                           + (f"; {', '.join(rest)} continues" if rest else ""))
        if self._sound is not None and self._heard is not None and self._heard.ended \
                and self._sound not in self._told:
            self._told.add(self._sound)
            LOG.warning(f"{self._heard.failure or 'the microphone ended'}; continuing without sound")
