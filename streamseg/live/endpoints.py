"""Opens the sources and outputs that are named on the command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..core.clock import Clock
from ..core.frames import VideoInfo
from ..errors import OptionError, SourceError
from ..options import Options
from ..sink import NullSink, Sink
from ..sink.live.network import PROTOCOLS, WHIP, NetworkSink, shown
from ..sink.live.pipewire import DEFAULT_NAME, PipeWireSink, check_name
from ..sink.live.recording import RecordingSink, SoundFeed, check_extension
from ..sink.live.virtual_camera import VirtualSink
from ..source import BaseSource, Source, adapt_source, open_source
from ..source.camera import DeviceSource, OpenCvSource, camera_device, screen_device
from ..source.open import LIVE, scheme
from ..source.realtime import Realtime
from ..validation import default_of
from .capture import FIRST_WAIT, LONGEST_WAIT
from .config import FIELDS
from .devices import select_camera
from .microphone import Microphone
from .options import LiveOptions, picture_size
from .reconnecting import Reconnecting
from .stats import LiveOutput

LOG = logging.getLogger(__name__)

SIZE, RATE = (1280, 720), Fraction(30)  # requested of a camera
WINDOW, VIRTUAL, PIPEWIRE, NULL, SCREEN = "window", "virtual", "pipewire", "null", "screen"
NULLS = (NULL, "null:")  # run writes it with a colon
CAMERA_SETTINGS = ("camera", "size", "rate", "format", "backend")
# Settings without effect for a named source, by its kind (see kind_of)
IDLE = {
    "a camera": ("camera", "realtime", "start", "stream"),
    "the screen": ("camera", "format", "backend", "realtime", "start", "stream"),
    "an address": CAMERA_SETTINGS,
    "a file": (*CAMERA_SETTINGS, "on_demand", "reconnect"),
}


def kind_of(source: str | Source | None) -> str:
    """What a source is, in words: a camera, the screen, an address, a file, or an object."""
    if source is not None and not isinstance(source, str):
        return "an object"
    if source is None or source.startswith("/dev/"):
        return "a camera"
    if source == SCREEN:
        return "the screen"
    return "a file" if scheme(source) is None else "an address"


def unused_settings(values: Mapping[str, Any], source: str | Source | None, to: Sequence[str | Sink]) -> list[str]:
    """Which of the settings ``values`` have no effect, because of the source or of each other."""
    names = [] if source is None else list(IDLE.get(kind_of(source), ()))
    if any(isinstance(target, str) and ("://" in target or _is_pipewire(target)) for target in to):
        names = [name for name in names if name != "reconnect"]  # it applies to these outputs, too
    if not values.get("adapt", True):
        names.append("max_cpu")
    defaults = {name: default_of(FIELDS[name]) for name in names}
    return [name for name in names if values.get(name, defaults[name]) != defaults[name]]


def refuse_unused(values: Mapping[str, Any], source: str | Source | None, to: Sequence[str | Sink]) -> None:
    """Raise OptionError where one of ``values`` has no effect."""
    names = unused_settings(values, source, to)
    flags = [f"--{name.replace('_', '-')}" + (f" {values[name]}" if values[name] is not True else "")
             for name in names]
    beside = [flag for name, flag in zip(names, flags, strict=True) if name != "max_cpu"]
    if beside:
        raise OptionError(f"{', '.join(beside)}: no effect with the source {source}, which is "
                          f"{kind_of(source)}; leave that out, or the source")
    if flags:
        raise OptionError(f"{flags[0]} needs the adaptive quality, which --no-adapt switches off: leave one of "
                          "them out")


def refuse_same_files(read: Iterable[tuple[str, str | None]], written: Iterable[tuple[str, str | None]]
                      ) -> None:
    """Raise OptionError where a file would be read and written, or written twice.

    Both hold flags with their values; None and values that are no file names are ignored.
    """
    taken = {_file(text): f"{flag} {text}" for flag, text in read if text and os.path.isfile(_expanded(text))}
    for flag, text in written:
        if text is None or not _is_file_name(text):
            continue
        if _file(text) in taken:
            raise OptionError(f"{flag} {text} and {taken[_file(text)]} are the same file, "
                              f"{os.path.realpath(_expanded(text))}: give {flag} another name")
        taken[_file(text)] = f"{flag} {text}"


def _is_file_name(target: str) -> bool:
    """Whether an output is a file: no window, virtual camera, null, standard output or address."""
    cameras = VIRTUAL, PIPEWIRE
    return target not in (WINDOW, *NULLS, "-") and target.partition(":")[0] not in cameras and "://" not in target


def _is_pipewire(target: str) -> bool:
    return target.partition(":")[0] == PIPEWIRE


def _expanded(text: str) -> str:
    return os.path.expanduser(text.removeprefix("file://"))


def _file(text: str) -> object:
    """An identity of a file, the same for every spelling of its name and every link."""
    try:
        found = os.stat(_expanded(text))
    except (OSError, ValueError):  # it does not exist yet
        return os.path.realpath(_expanded(text))
    return found.st_dev, found.st_ino


class Reader:
    """Opens the named source, and opens it again when it is lost.

    again    opens it again; None where that makes no sense or was not requested
    lasting  it never ends by itself: its end is a loss
    """

    def __init__(self, source: str | Source | None, options: Options, live: LiveOptions,
                 clock: Clock) -> None:
        self._source, self._live, self._clock = source, live, clock
        self._options = replace(options, audio=False)
        kind = kind_of(source)
        if kind == "a file" and not live.realtime:
            raise OptionError(f"{source} is a file: --realtime plays it as if it were a camera; "
                              "`streamseg run` processes it as fast as possible")
        endless = kind in ("a camera", "the screen", "an address")
        # other addresses (http) may be a video with a normal end
        self.lasting = endless and (kind != "an address" or scheme(str(source)) in LIVE or live.reconnect)
        again = endless and (live.reconnect or live.on_demand)
        self.again: Callable[[], BaseSource] | None = self.open if again else None

    def first(self) -> BaseSource:
        """The source, opened for the first time; with ``live.reconnect`` it is waited for."""
        wait = FIRST_WAIT
        while True:
            try:
                return self.open()
            except SourceError as error:
                if not self._live.reconnect or self.again is None:
                    raise
                LOG.warning(f"{error}; next try in {wait:g} s")
            self._clock.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

    def open(self) -> BaseSource:
        """The source, open. Raises SourceError."""
        source, live = self._source, self._live
        if source is not None and not isinstance(source, str):
            return Realtime(source, self._clock) if live.realtime else adapt_source(source)
        size = picture_size(live.size) if live.size else None
        if source == SCREEN:
            return DeviceSource(screen_device(size, live.rate or RATE), self._options.timeout)
        if source is None or source.startswith("/dev/"):
            return self._camera(source or live.camera, size or SIZE, live.rate or RATE)
        opened = open_source(source, self._options)
        return Realtime(opened, self._clock) if live.realtime else opened

    def _camera(self, wanted: str | None, size: tuple[int, int], rate: Fraction) -> BaseSource:
        live = self._live
        if live.backend == "opencv":
            return OpenCvSource(wanted or "0", size, rate, live.format)
        camera = select_camera(wanted)
        return DeviceSource(camera_device(camera.device, size, rate, live.format), self._options.timeout)


class Opener:
    """Opens outputs by name: every value of --to except window."""

    def __init__(self, info: VideoInfo, options: Options, sound: Microphone | None, clock: Clock,
                 reconnect: bool, token: str | None = None) -> None:
        self._info, self._options, self._sound = info, options, sound
        self._clock, self._reconnect, self._token = clock, reconnect, token

    def __call__(self, target: str) -> Sink:
        """The sink of a --to. Raises OptionError, SinkError or MissingDependencyError."""
        refuse_bad_output(target)
        name, _, device = target.partition(":")
        if target in NULLS:
            return NullSink()
        if name == VIRTUAL:
            return VirtualSink(device or None, self._info)
        if "://" in target or name == PIPEWIRE:
            if self._reconnect:
                return Reconnecting(shown(target), lambda: self._stream(target), self._clock)
            return self._stream(target)
        return RecordingSink(target, self._info, self._options, sound=self._subscribed())

    def _stream(self, url: str) -> Sink:
        if _is_pipewire(url):
            return PipeWireSink(url.partition(":")[2] or None, self._info)
        if url.startswith(WHIP):
            from ..sink.live.whip import WhipSink  # here and below: it loads TLS and HTTP, 4 MB

            return WhipSink(url, shown(url), self._info, self._options, token=self._token,
                            timeout=self._options.timeout, sound=self._subscribed())
        return NetworkSink(url, self._info, self._options, sound=self._subscribed())

    def _subscribed(self) -> SoundFeed | None:
        return None if self._sound is None else self._sound.subscribe()


def open_outputs(to: Sequence[str | Sink], open_one: Callable[[str], Sink], stack: ExitStack
                 ) -> list[LiveOutput]:
    """The outputs except the window, open; ``stack`` closes them if one fails."""
    if not to:
        raise OptionError("no output: give --to virtual, window, pipewire, null, an address or a FILE")
    names = [target for target in to if isinstance(target, str)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"--to {twice[0]} is given twice")
    made = []
    for target in to:
        if target != WINDOW:
            sink = open_one(target) if isinstance(target, str) else target
            stack.callback(sink.abort)
            made.append(LiveOutput(shown(target) if isinstance(target, str) else type(sink).__name__, sink))
    return made


def refuse_bad_output(target: str) -> None:
    """Raise OptionError for a --to that names no output, as far as the name alone tells it."""
    if target.startswith(WHIP):
        from ..sink.live.whip_endpoint import check_url

        check_url(target.removeprefix(WHIP), shown(target))
    elif _is_pipewire(target):
        check_name(target.partition(":")[2] or DEFAULT_NAME)
    elif "://" in target:
        _refuse_bad_address(target)
    elif _is_file_name(target):
        if not Path(target).suffix:
            raise OptionError(f"--to is {target!r}; it must be virtual, window, pipewire, null, an address "
                              f"({', '.join(PROTOCOLS)}, whip:https) or a file .mkv or .mp4")
        check_extension(target)


def _refuse_bad_address(target: str) -> None:
    """Raise OptionError for an address that cannot be parsed."""
    try:
        urlsplit(target).port  # noqa: B018 - it is checked only when it is asked for
    except ValueError as error:
        raise OptionError(f"--to is {shown(target)}, which is not a valid address ({error}): write it as "
                          "rtmp://host/app/key or udp://[::1]:5000") from error
