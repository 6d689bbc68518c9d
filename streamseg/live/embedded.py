"""A live run inside another program: one source, one sink, both objects, and settings that come from code.

It touches neither the terminal nor any global setting, and may run in any thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from ..core.clock import Clock, SystemClock
from ..core.thread_budget import cores
from ..options import Options
from ..sink import Sink
from ..source import BaseSource
from .adaptive_quality import LADDER, AdaptiveQuality
from .capture import Capture
from .composite_stage import CompositeStage
from .options import LiveOptions, cpu_share
from .run import _area, _every, _smoother, _with_places, model_of, refuse_transparency, scene_of
from .segment_stage import SegmentStage
from .session import LiveSession
from .shared_model import SharedModel
from .stats import LiveOutput, LiveReport
from .types import Control, stand_in

CHANGEABLE = ("background", "fit", "blur", "mirror", "follow")


class EmbeddedSession:
    """Opens the model; ``run`` works until the source ends or ``end`` was called.

    source    gives frames at their own pace; all are brought to its ``info``. It ends for good when it ends
    sink      takes the finished pictures, the newest first: a slow one holds up nothing
    on_stats  takes the line of figures of each second, in the thread that ``run`` was called in
    shared    the model that other sessions use, too; None: one of its own

    Raises StreamsegError; nothing is left open then, but for ``source`` and ``sink``, which are the caller's
    until ``run`` is called.
    """

    def __init__(self, source: BaseSource, sink: Sink, *, options: Options, live: LiveOptions,
                 on_stats: Callable[[dict[str, Any]], None] = lambda line: None,
                 clock: Clock | None = None, shared: SharedModel | None = None) -> None:
        clock = clock or SystemClock()
        self._control = Control(LADDER[0], scene_of(options, live))
        self._ended = self._over = False
        self._changes: deque[tuple[LiveOutput, bool]] = deque()  # outputs that come (True) and go, not yet done
        self._added: set[LiveOutput] = set()
        with ExitStack() as opening:
            model = model_of(options) if shared is None else shared.session()
            opening.callback(model.close)
            info = replace(source.info, live=True)
            finisher = CompositeStage(info, options, self._control)
            opening.callback(finisher.close)
            matting = SegmentStage(_with_places(model, options, info), self._control,
                                   smoother=_smoother(options, model), skip_still=live.rest,
                                   area=_area(options, info), every=_every(options, model))
            matting.warm_up(stand_in(info))
            opening.pop_all()
        capture = Capture(source, clock, self._control, reconnect=False)
        self.began = capture.began  # the clock at the frames' time 0
        governor = AdaptiveQuality(cpu_share(live.max_cpu)) if live.adapt else None
        self._session = LiveSession(
            capture, matting, finisher, [LiveOutput(info.name, sink)], clock=clock, control=self._control,
            adaptive=governor, commands=self._commands, on_stats=on_stats, cores=cores(),
            duration=live.duration, timeout=options.timeout)

    def run(self) -> LiveReport:
        """Work until the end; closes source, model and sink. Raises StreamsegError."""
        try:
            return self._session.run()
        finally:
            self._over = True
            self._refuse_late()

    def end(self) -> None:
        """End the run soon; from any thread. The source should end as well: its thread may wait for a frame."""
        self._ended = True

    def add(self, name: str, sink: Sink) -> LiveOutput:
        """Write the finished pictures to one more sink too, in a thread of its own; from any thread.

        The sink is closed when the output is removed or the run ends, and aborted where the run is over. What it
        raises ends this output alone.
        """
        output = LiveOutput(name, sink)
        self._changes.append((output, True))
        if self._over:  # after the append: either the end of ``run`` sees it, or it is seen here
            self._refuse_late()
        return output

    def remove(self, output: LiveOutput) -> None:
        """Let an output that was added finish soon; from any thread. The others go on."""
        self._changes.append((output, False))

    def _commands(self) -> bool:
        """In the engine's main thread: outputs that come and go. -> whether the run is to end"""
        for output, comes in self._waiting():
            if comes:
                self._added.add(output)
                self._session.add(output)
            elif output in self._added:
                self._added.remove(output)
                self._session.remove(output)
        return self._ended

    def _refuse_late(self) -> None:
        for output, comes in self._waiting():
            if comes:
                output.sink.abort()

    def _waiting(self) -> Iterator[tuple[LiveOutput, bool]]:
        """The changes that are not done yet, each given once."""
        while True:
            try:
                yield self._changes.popleft()
            except IndexError:
                return

    def show(self, **changes: Any) -> None:
        """Change how the picture is made, from the next frame on; from any thread.

        ``changes``: of CHANGEABLE. A background that cannot be read leaves the one before (and is logged).
        Raises OptionError for the background none, TypeError for another name.
        """
        for name in changes:
            if name not in CHANGEABLE:
                raise TypeError(f"{name} cannot be changed; what can: {', '.join(CHANGEABLE)}")
        if "background" in changes:
            refuse_transparency(changes["background"])
        scene = self._control.scene
        # a file's name may be the same and its content new
        self._control.scene = replace(scene, **changes, version=scene.version + 1)
