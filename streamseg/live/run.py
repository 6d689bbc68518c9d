"""Assembles a live run: source, model, scene, outputs."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import background, segment, smooth
from ..core.area import Area
from ..core.clock import Clock, SystemClock
from ..core.frames import VideoInfo
from ..core.thread_budget import cores
from ..errors import OptionError, StreamsegError
from ..options import Options
from ..segment.keyframes import interval_for
from ..segment.places import Places
from ..sink import Sink
from ..sink.live.preview import PreviewWindow
from ..source import Source
from .adaptive_quality import LADDER, AdaptiveQuality
from .capture import Capture
from .composite_stage import CompositeStage
from .config import FIELDS
from .consumers import consumers_of
from .controls import Accept, Controls, PreviewScreen, TerminalKeys, accept_all
from .endpoints import WINDOW, Opener, Reader, open_outputs, refuse_bad_output, refuse_same_files, refuse_unused
from .keymap import KEYS, backgrounds
from .microphone import open_microphone
from .options import LiveOptions, bearer_token, cpu_share
from .segment_stage import SegmentStage
from .session import LiveSession
from .stats import LiveOutput, LiveReport
from .types import Control, Scene, stand_in

LOG = logging.getLogger(__name__)

# Parameters of the model: in front of a camera people are not small, and the second pass at every eighth frame would
# decide how long the delay is.
QUICK = {"detail": "medium", "roi": False}
# Threads of the net, where there are so many cores: a second one makes the delay 3 ms shorter, at about
# the same CPU; a net takes half of the budget that it is given (Threads).
NET_THREADS = 2


def run(source: str | Source | None, to: Sequence[str | Sink], *, options: Options, live: LiveOptions,
        on_begin: Callable[[], None] = lambda: None,
        on_stats: Callable[[dict[str, Any]], None] = lambda line: None, accept: Accept = accept_all,
        clock: Clock | None = None) -> LiveReport:
    """Run live until the source ends, ``live.duration`` is over, or the user ends it.

    source    None (a camera), 'screen', a device, an address, with ``live.realtime`` a file, or a Source
    to        'window', 'virtual' or 'virtual:DEVICE', 'pipewire' or 'pipewire:NAME', 'null', addresses,
              files .mkv and .mp4, or Sinks; the figures are about the first
    on_begin  is called once all is open and nothing runs yet; what it raises ends the run
    on_stats  takes the line of figures of each second
    accept    takes the settings of ``live.config`` when they have changed, and the names of those that have;
              raises OptionError for what a start would refuse

    Raises StreamsegError; nothing is left open then.
    """
    check_settings(source, to, options, live)
    clock = clock or SystemClock()
    with TerminalKeys() as keys:
        try:
            with ExitStack() as opening:
                engine = _assembled(source, to, options, live, on_stats, accept, clock, keys, opening)
                on_begin()
                opening.pop_all()  # from here on the engine closes what it was given
        except KeyboardInterrupt:  # as in the engine; a source may be waited for without an end
            return LiveReport.of_nothing()
        return engine.run()


def check_settings(source: str | Source | None, to: Sequence[str | Sink], options: Options, live: LiveOptions, *,
                   save_config: str | None = None) -> None:
    """Refuse what cannot be, as far as the values alone tell it. Raises OptionError.

    save_config  the settings file that is to be written; ``live.config`` may be the same
    """
    scene_of(options, live)
    _smoother(options)
    values = {name: getattr(live if hasattr(live, name) else options, name) for name in FIELDS}
    refuse_unused(values, source, to)
    for target in to:
        if isinstance(target, str):
            refuse_bad_output(target)
    listed = () if live.backgrounds is None else backgrounds(None, live.backgrounds)
    for name in listed:
        check_background(name)
    read = [("the source", source if isinstance(source, str) else None), ("--background", options.background),
            *(("--backgrounds", name) for name in listed), ("--model", options.model),
            ("--model-spec", options.model_spec), ("--config", None if save_config else live.config)]
    refuse_same_files(read, [*(("--to", target) for target in to if isinstance(target, str)),
                             ("--json-stats", live.json_stats), ("--save-config", save_config)])


def _assembled(source: str | Source | None, to: Sequence[str | Sink], options: Options, live: LiveOptions,
               on_stats: Callable[[dict[str, Any]], None], accept: Accept, clock: Clock,
               keys: TerminalKeys, opening: ExitStack) -> LiveSession:
    """The engine with all that belongs to it, open; ``opening`` closes what there is if a part fails."""
    control = Control(LADDER[0], scene_of(options, live))
    reader = Reader(source, options, live, clock)
    model = model_of(options)
    opening.callback(model.close)
    opened = reader.first()
    opening.callback(opened.close)
    info = replace(opened.info, live=True)
    finisher = CompositeStage(info, options, control)
    opening.callback(finisher.close)
    matting = SegmentStage(_with_places(model, options, info), control, smoother=_smoother(options, model),
                           skip_still=live.rest, area=_area(options, info), every=_every(options, model))
    matting.warm_up(stand_in(info))
    capture = Capture(opened, clock, control, reopen=reader.again, lasting=reader.lasting,
                      reconnect=live.reconnect, release=live.on_demand)
    sound = None if live.audio is None else open_microphone(live.audio, clock, capture.began)
    if sound is not None:
        opening.callback(sound.close)
    screen = PreviewScreen(PreviewWindow(), live.hud) if WINDOW in to else None
    if screen is not None:
        opening.callback(screen.close)

    def opener(given: Options) -> Opener:
        return Opener(info, given, sound, clock, live.reconnect, bearer_token(live.whip_token))

    outputs = open_outputs(to, opener(options), opening)
    consumers = consumers_of(outputs, screen is not None) if live.on_demand else None
    if consumers is not None:  # else the camera would be on until the first scene, though nobody wants it
        control.has_consumers = consumers()
    controls = Controls(control, clock, keys=[keys] if screen is None else [keys, screen.key],
                        choices=backgrounds(control.scene.background, live.backgrounds), settings=live.config,
                        accept=accept, consumers=consumers)
    engine = LiveSession(
        capture, matting, finisher, outputs, clock=clock, control=control,
        adaptive=AdaptiveQuality(cpu_share(live.max_cpu)) if live.adapt else None, screen=screen, sound=sound,
        commands=controls, on_stats=on_stats, cores=cores(), duration=live.duration, timeout=options.timeout)
    own = replace(options, overwrite=False)  # it was given for the outputs of the command line
    controls.on_key("r", Recorder(engine, opener(own)))
    if screen is not None:
        controls.on_key("s", screen.toggle_stats)
    for note in [*opened.notes, *(note for output in outputs for note in output.sink.notes)]:
        LOG.info(note)
    if keys.there or screen is not None:
        LOG.info("keys: " + ", ".join(f"{key} {what}" for key, what in KEYS.items()))
    return engine


def model_of(options: Options) -> segment.BaseSegmenter:
    """The method, as a live run wants it. Raises as ``segment.create_segmenter``."""
    accepted = (segment.parameters(segment.method_class(options.method)) if isinstance(options.method, str)
                else {})
    settings = {name: value for name, value in QUICK.items() if name in accepted} | dict(options.set)
    return segment.create_segmenter(options.method, settings,
                                    threads=options.threads or 2 * min(NET_THREADS, cores()),
                                    device=options.device, runtime=options.runtime, model=options.model,
                                    model_spec=options.model_spec, classes=options.classes)


def _smoother(options: Options, model: segment.Segmenter | None = None) -> smooth.Smoother:
    """What follows the model; without one only the options are checked."""
    network = model is not None and segment.adapt(model).capabilities.expensive
    if options.smooth == "lookahead":
        raise OptionError("smooth is 'lookahead', which holds frames back: live it is auto, none, ema, "
                          "adaptive or flow")
    return smooth.create_smoother(options.smooth, strength=options.smooth_strength, hysteresis=options.hysteresis,
                                  live=True, persistence=smooth.frames_to_last(options, network=network))


def _every(options: Options, model: segment.Segmenter) -> int | None:
    """Which frames the model sees, as SegmentStage takes it. Raises OptionError."""
    return interval_for(model, options.every)


def _area(options: Options, info: VideoInfo) -> Area | None:
    """The part of the picture that the model sees. Raises OptionError where it does not lie in it."""
    if options.roi is None:
        return None
    area = Area(options.roi)
    area.box(info.width, info.height)
    return area


def _with_places(model: segment.Segmenter, options: Options, info: VideoInfo) -> segment.Segmenter:
    """``model``, with what options.region adds to its mattes and takes from them."""
    if options.region is None:
        return model
    area, size = _area(options, info), (info.width, info.height)
    box = None if area is None else area.box(*size)
    return Places(segment.adapt(model, owned=True), options.region, size=size, box=box)


def scene_of(options: Options, live: LiveOptions) -> Scene:
    """What the options say of the outgoing picture. Raises OptionError for transparency."""
    behind = "blur" if options.background is None else options.background
    refuse_transparency(behind)
    return Scene(behind, options.fit, options.blur, live.mirror, live.follow)


def check_background(name: str) -> None:
    """Refuse, before the call, what a key could not put behind the speaker in it. Raises OptionError."""
    try:
        refuse_transparency(name)
        background.check_background(name)
    except OptionError as error:
        raise OptionError(f"--backgrounds: {error}") from error


def refuse_transparency(name: str) -> None:
    """Raise OptionError for the background none."""
    if name.strip().lower() == "none":
        raise OptionError("background none leaves transparency, which no call shows: choose blur, a colour, "
                          "a picture or a video")


class Recorder:
    """Starts a recording in the current folder when called, and ends it at the next call; the engine tells
    of one that fails."""

    def __init__(self, engine: LiveSession, open_one: Callable[[str], Sink]) -> None:
        self._engine, self._open_one = engine, open_one
        self._output: LiveOutput | None = None

    def __call__(self) -> None:
        if self._output is not None and not self._output.ended:
            self._engine.remove(self._output, partial(self._tell_end, self._output.name))
            self._output = None
            return
        name = _free_name()
        try:
            self._output = LiveOutput(name, self._open_one(name))
        except StreamsegError as error:
            LOG.warning(f"no recording: {error}")
            return
        self._engine.add(self._output)
        LOG.info(f"recording to {name}")

    def _tell_end(self, name: str) -> None:
        there = Path(name).exists()
        LOG.info(f"recorded: {name}" if there else f"no recording: no picture came for {name}")


def _free_name() -> str:
    """A recording's name: date and time, and a number where several begin in one second."""
    first = Path(time.strftime("streamseg-%Y%m%d-%H%M%S.mkv"))
    later = (first.with_stem(f"{first.stem}-{number}") for number in itertools.count(2))
    return str(next(path for path in itertools.chain([first], later) if not path.exists()))
