"""The microphone, timed by the same clock as the pictures, for recordings and streams."""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av

from ..core.clock import Clock
from ..core.native_stderr import native_lines_hidden
from ..errors import OptionError, SourceError
from ..sink.live.recording import SoundFeed
from ..source.camera import Device, explained
from ..source.open import FAILURES

FORMATS = {"linux": ("pulse", "alsa"), "darwin": ("avfoundation",), "win32": ("dshow",)}
HELD = 500        # blocks, about ten seconds: so long an output may hang without a gap in its sound
SLACK = 0.020     # seconds by which the count of samples may differ from the clock before it is corrected
WINDOW = 10       # blocks, of which the earliest counts: threads are late, never early


class Microphone:
    """Blocks of sound, each with the time at which it began.

    blocks   av.AudioFrames of one rate and layout, as they are recorded
    origin   the clock's time that is 0 in a recording, as it is for the pictures

    Samples are counted, because threads are late by some ms. Where the count differs from the clock by SLACK
    (devices have their own clock, and lose blocks), a gap is left or a block is dropped.
    """

    def __init__(self, blocks: Iterable[av.AudioFrame], rate: int, layout: str, clock: Clock,
                 origin: float) -> None:
        self.rate, self.layout = rate, layout
        self._blocks, self._clock, self._origin = blocks, clock, origin
        # weak references: a closed output frees its sound
        self._waiting: list[weakref.ref[deque[av.AudioFrame]]] = []
        self._start: float | None = None  # when sample 0 was heard
        self._samples = 0
        self._errors: deque[float] = deque(maxlen=WINDOW)

    def subscribe(self) -> SoundFeed:
        """The sound from now on, for one output."""
        mine: deque[av.AudioFrame] = deque(maxlen=HELD)
        self._waiting = [ref for ref in self._waiting if ref() is not None] + [weakref.ref(mine)]

        def take() -> list[Any]:
            return [mine.popleft() for _ in range(len(mine))]

        return SoundFeed(self.rate, self.layout, take)

    def listen(self) -> Iterator[None]:
        """Pass on the blocks as they come; for a thread of its own."""
        for block in self._blocks:
            start = self._start_of(block.samples / self.rate)
            if start is not None and start >= self._origin:
                for mine in [ref() for ref in self._waiting]:
                    if mine is not None:
                        mine.append(_timed(block, start - self._origin, self.rate))
            yield

    def close(self) -> None:
        """Close the device."""
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()

    def _start_of(self, seconds: float) -> float | None:
        """When a block that has just arrived began; None for one that is dropped."""
        measured = self._clock.now() - seconds
        if self._start is None:
            self._start = measured
        counted = self._start + self._samples / self.rate
        self._errors.append(measured - counted)
        error = min(self._errors)
        if error < -SLACK:  # more samples came than time passed
            self._errors.clear()
            return None
        if error > SLACK and len(self._errors) == WINDOW:  # fewer: some were lost
            self._start += error
            counted += error
            self._errors.clear()
        self._samples += round(seconds * self.rate)
        return counted


class DeviceBlocks:
    """The sound of an input device, block by block. Raises SourceError."""

    def __init__(self, device: Device) -> None:
        self._device = device
        try:
            with native_lines_hidden():  # ALSA says it in lines of its own, too
                self._container: Any = av.open(device.file, "r", format=device.format, options=device.options)
        except FAILURES as error:
            raise SourceError(f"microphone: {explained(error, device)}") from error
        if not self._container.streams.audio:
            self.close()
            raise SourceError(f"microphone {device.file!r} gives no sound")
        self._stream = self._container.streams.audio[0]
        self.rate: int = self._stream.rate
        self.layout: str = self._stream.layout.name

    def __iter__(self) -> Iterator[av.AudioFrame]:
        try:
            yield from self._container.decode(self._stream)
        except FAILURES as error:
            raise SourceError(f"microphone: {explained(error, self._device)}") from error

    def close(self) -> None:
        """Close the device; may be called twice."""
        container, self._container = self._container, None
        if container is not None:
            container.close()


def microphone_device(name: str) -> Device:
    """The Device of a microphone on this system. Raises OptionError where FFmpeg has no such devices."""
    formats = [item for item in FORMATS.get(sys.platform, FORMATS["linux"]) if item in av.formats_available]
    if not formats:
        raise OptionError(f"audio is {name!r}, but this FFmpeg has no sound devices")
    file = {"avfoundation": f":{'0' if name == 'default' else name}", "dshow": f"audio={name}"}
    return Device(formats[0], file.get(formats[0], name))


def open_microphone(name: str, clock: Clock, origin: float) -> Microphone:
    """The microphone of --audio. Raises SourceError or OptionError."""
    try:
        blocks = DeviceBlocks(microphone_device(name))
    except SourceError as error:
        raise SourceError(f"{error}. --audio NAME takes another; without --audio there is no sound; `streamseg doctor` "
                          "tries what there is") from error
    return Microphone(blocks, blocks.rate, blocks.layout, clock, origin)


def _timed(block: av.AudioFrame, seconds: float, rate: int) -> av.AudioFrame:
    """A copy of the block with its time: every output converts it in its own thread."""
    made = av.AudioFrame.from_ndarray(block.to_ndarray(), block.format.name, block.layout.name)
    made.sample_rate, made.time_base = rate, Fraction(1, rate)
    made.pts = round(seconds * rate)
    return made
