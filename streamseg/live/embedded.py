"""A live run inside another program: one source, one sink, both objects, and settings that come from code.

It touches neither the terminal nor any global setting, and may run in any thread.
"""

from __future__ import annotations

from collections.abc import Callable
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
from .run import _area, _model, _smoother, _with_places, refuse_transparency, scene_of
from .segment_stage import SegmentStage
from .session import LiveSession
from .stats import LiveOutput, LiveReport
from .types import Control, stand_in

CHANGEABLE = ("background", "fit", "blur", "mirror", "follow")


class EmbeddedSession:
    """Opens the model; ``run`` works until the source ends or ``end`` was called.

    source    gives frames at their own pace; all are brought to its ``info``. It ends for good when it ends
    sink      takes the finished pictures, the newest first: a slow one holds up nothing
    on_stats  takes the line of figures of each second, in the thread that ``run`` was called in

    Raises StreamsegError; nothing is left open then, but for ``source`` and ``sink``, which are the caller's
    until ``run`` is called.
    """

    def __init__(self, source: BaseSource, sink: Sink, *, options: Options, live: LiveOptions,
                 on_stats: Callable[[dict[str, Any]], None] = lambda line: None,
                 clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._control = Control(LADDER[0], scene_of(options, live))
        self._ended = False
        with ExitStack() as opening:
            model = _model(options)
            opening.callback(model.close)
            info = replace(source.info, live=True)
            finisher = CompositeStage(info, options, self._control)
            opening.callback(finisher.close)
            matting = SegmentStage(_with_places(model, options, info), self._control,
                                   smoother=_smoother(options, model), skip_still=live.rest,
                                   area=_area(options, info))
            matting.warm_up(stand_in(info))
            opening.pop_all()
        capture = Capture(source, clock, self._control, reconnect=False)
        self.began = capture.began  # the clock at the frames' time 0
        governor = AdaptiveQuality(cpu_share(live.max_cpu)) if live.adapt else None
        self._session = LiveSession(
            capture, matting, finisher, [LiveOutput(info.name, sink)], clock=clock, control=self._control,
            adaptive=governor, commands=lambda: self._ended, on_stats=on_stats, cores=cores(),
            duration=live.duration, timeout=options.timeout)

    def run(self) -> LiveReport:
        """Work until the end; closes source, model and sink. Raises StreamsegError."""
        return self._session.run()

    def end(self) -> None:
        """End the run soon; from any thread. The source should end as well: its thread may wait for a frame."""
        self._ended = True

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
