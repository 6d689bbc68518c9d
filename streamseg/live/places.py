"""Where live pictures come from and where they go: the names on the command line, opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import OptionError, SourceError
from ..frames import VideoInfo
from ..options import Options
from ..sink import NullSink, Sink
from ..sink.network import BOXES, NetworkSink
from ..sink.recording import RecordingSink, Sound
from ..sink.virtual import VirtualSink
from ..source import Source, open_source
from ..source.camera import DeviceSource, OpenCvSource, camera_device, screen_device
from ..source.opening import LIVE, scheme
from ..source.realtime import Realtime
from .capture import FIRST_WAIT, LONGEST_WAIT
from .clock import Clock
from .devices import chosen_camera
from .figures import Output
from .options import LiveOptions, picture_size
from .persistent import Persistent
from .sound import Microphone
from .types import Tell

SIZE, RATE = (1280, 720), Fraction(30)  # what a camera is asked for
WINDOW, VIRTUAL, NULL, SCREEN = "window", "virtual", "null", "screen"


class Reader:
    """Opens the source that was named, and again when it is lost.

    again    opens it anew; None where it makes no sense, or was not asked for
    lasting  it never ends by itself: its end is a loss
    """

    def __init__(self, source: str | Source | None, options: Options, live: LiveOptions,
                 clock: Clock) -> None:
        self._source, self._live, self._clock = source, live, clock
        self._options = replace(options, audio=False)
        file = isinstance(source, str) and source != SCREEN and not source.startswith("/dev/") \
            and scheme(source) not in LIVE
        self.lasting = not file and (source is None or isinstance(source, str))
        if file and not live.realtime:
            raise OptionError(f"{source} is a file: --realtime plays it as if it were a camera; "
                              "`streamseg run` works through it as fast as it can")
        again = self.lasting and (live.reconnect or live.on_demand)
        self.again: Callable[[], Source] | None = self.open if again else None

    def first(self, tell: Tell) -> Source:
        """The source, opened for the first time; with ``live.reconnect`` it is waited for."""
        wait = FIRST_WAIT
        while True:
            try:
                return self.open()
            except SourceError as error:
                if not self._live.reconnect or self.again is None:
                    raise
                tell(f"{error}; next try in {wait:g} s")
            self._clock.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    def open(self) -> Source:
        """The source, open. Raises SourceError."""
        source, live = self._source, self._live
        if source is not None and not isinstance(source, str):
            return Realtime(source, self._clock) if live.realtime else source
        size = picture_size(live.size) if live.size else None
        if source == SCREEN:
            return DeviceSource(screen_device(size, live.rate or RATE), self._options.timeout)
        if source is None or source.startswith("/dev/"):
            return self._camera(source or live.camera, size or SIZE, live.rate or RATE)
        opened = open_source(source, self._options)
        return Realtime(opened, self._clock) if live.realtime else opened

    def _camera(self, wanted: str | None, size: tuple[int, int], rate: Fraction) -> Source:
        live = self._live
        if live.backend == "opencv":
            return OpenCvSource(wanted or "0", size, rate, live.format)
        camera = chosen_camera(wanted)
        return DeviceSource(camera_device(camera.device, size, rate, live.format), self._options.timeout)


class Opener:
    """Opens outputs by name: what --to may be, but for the window."""

    def __init__(self, info: VideoInfo, options: Options, sound: Microphone | None, clock: Clock, tell: Tell,
                 reconnect: bool) -> None:
        self._info, self._options, self._sound = info, options, sound
        self._clock, self._tell, self._reconnect = clock, tell, reconnect

    def __call__(self, target: str) -> Sink:
        """The sink of a --to. Raises OptionError, SinkError or MissingDependencyError."""
        name, _, device = target.partition(":")
        if target == NULL:
            return NullSink()
        if name == VIRTUAL:
            return VirtualSink(device or None, self._info)
        if "://" in target:
            if self._reconnect:
                return Persistent(shown(target), lambda: self._stream(target), self._clock, self._tell)
            return self._stream(target)
        if not Path(target).suffix:
            raise OptionError(f"--to is {target!r}; it must be virtual, window, null, an address "
                              f"({', '.join(BOXES)}) or a file .mkv or .mp4")
        return RecordingSink(target, self._info, self._options, sound=self._subscribed())

    def _stream(self, url: str) -> NetworkSink:
        return NetworkSink(url, self._info, self._options, sound=self._subscribed())

    def _subscribed(self) -> Sound | None:
        return None if self._sound is None else self._sound.subscribe()


def open_outputs(to: Sequence[str | Sink], open_one: Callable[[str], Sink], stack: ExitStack
                 ) -> list[Output]:
    """The outputs but for the window, open; ``stack`` takes back those there are if one fails."""
    if not to:
        raise OptionError("no output: give --to virtual, window, null, an address or a FILE")
    names = [target for target in to if isinstance(target, str)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"--to {twice[0]} is given twice")
    made = []
    for target in to:
        if target != WINDOW:
            sink = open_one(target) if isinstance(target, str) else target
            stack.callback(sink.abort)
            made.append(Output(shown(target) if isinstance(target, str) else type(sink).__name__, sink))
    return made


def shown(target: str) -> str:
    """A --to for messages and figures: without an address's path, which may be a secret key."""
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.hostname}" if "://" in target else target
