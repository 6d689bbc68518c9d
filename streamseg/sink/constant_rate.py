"""Constant frame rates: which outputs require one, the check that frames have it, and the conversion to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from ..core.frames import Frame, VideoInfo
from ..errors import OptionError, SinkError
from ..options import OutputOptions
from .containers import ContainerFormat

TOGETHER = Fraction(6, 100)  # seconds that sound may be late unnoticed (EBU R37); its priming is 20 to 50 ms
MPEG4_TICKS = 65535  # a second: ISO 14496-2, vop_time_increment_resolution
COUNTING = ("mpeg1video", "mpeg2video")  # frames, at a rate that stands in the stream


@dataclass(frozen=True, slots=True)
class RequiredRate:
    """The constant rate that an output requires: ``reason`` for it, and the ``remedy`` beside --cfr."""

    rate: Fraction
    reason: str
    remedy: str


def required_rate(target: str, called: str, container_format: ContainerFormat, info: VideoInfo, kind: str,
                  options: OutputOptions) -> RequiredRate | None:
    """The rate that ``options.cfr``, the container or the encoder requires; None: each frame keeps its time.

    Raises OptionError where one is required and the input has no constant rate.
    """
    reason, remedy = _reason(called, container_format, info, options.codec if kind != "matte" else None)
    if options.cfr:
        return RequiredRate(options.cfr, reason, remedy)
    if not reason:
        return None
    if info.variable_rate:
        raise OptionError(f"{target}: {reason} and the input has a variable frame rate; give --cfr RATE, or "
                          + remedy)
    if info.rate is None:
        raise OptionError(f"{target}: {reason} and the input has no frame rate; give --cfr RATE, or {remedy}")
    return RequiredRate(info.rate, reason, remedy)


def _reason(called: str, container_format: ContainerFormat, info: VideoInfo, codec: str | None) -> tuple[str, str]:
    """(why a constant rate is required, the remedy); two empty texts where none is."""
    if not container_format.timed:
        return f"{called} stores no times", "write .mkv or .mp4, which keep variable rates"
    ticks = info.time_base.denominator
    if codec == "mpeg4" and ticks > MPEG4_TICKS:
        return (f"MPEG-4 counts at most {MPEG4_TICKS} moments a second, not the input's {ticks}",
                "another --codec")
    return ("MPEG-1 and MPEG-2 count frames, not time,", "another --codec") if codec in COUNTING else ("", "")


class ConstantRate:
    """Repeats or leaves out frames so that frame n of ``rate`` is the one nearest to n / rate.

    Of two frames nearest to the same n the later stays; a gap repeats the frame before it. Counts:
    ``repeated``, ``left_out``.
    """

    def __init__(self, rate: Fraction) -> None:
        self.rate = rate
        self._first: Fraction | None = None
        self.repeated = 0
        self.left_out = 0
        self._held: Frame | None = None
        self._tick = 0

    def place(self, frame: Frame) -> list[Frame]:
        """The frames that are decided once ``frame`` is known; pts in units of 1 / rate."""
        assert frame.time is not None
        self._first = frame.time if self._first is None else self._first
        tick = round(position(frame.time, self.rate, self._first))
        decided: list[Frame] = []
        if self._held is None:
            self._tick = tick
        elif tick <= self._tick:
            self.left_out += 1
        else:
            decided = self._until(tick)
        self._held = frame
        return decided

    def rest(self) -> list[Frame]:
        """The last frame, repeated for its duration."""
        if self._held is None:
            return []
        ticks = round((self._held.duration or 0) * self._held.time_base * self.rate)
        last = self._until(self._tick + max(ticks, 1))
        self._held = None
        return last

    def _until(self, tick: int) -> list[Frame]:
        assert self._held is not None
        frames = [replace(self._held, pts=number, time_base=1 / self.rate, duration=1, packets=())
                  for number in range(self._tick, tick)]
        self.repeated += len(frames) - 1
        self._tick = tick
        return frames


def position(time: Fraction, rate: Fraction, first: Fraction) -> Fraction:
    """``time`` counted in frames of ``rate``. The ``first`` frame's time is rounded to a whole number: a constant
    rate may begin at any moment, and half a frame off every rounding could go either way."""
    return round(first * rate) + (time - first) * rate


def at_required_rate(frame: Frame, required: RequiredRate, first: Fraction = Fraction(0)) -> Frame:
    """``frame`` with its pts as a whole number of frames of the required rate.

    ``first``: the first frame's time, where counting begins. A fifth of a frame off is tolerated: Matroska
    rounds to milliseconds, which is 0.06 frames at 120 a second. Raises SinkError for more.
    """
    assert frame.time is not None
    exact = position(frame.time, required.rate, first)
    tick = round(exact)
    if abs(exact - tick) > Fraction(1, 5):
        raise SinkError(f"frame {frame.index} at {float(frame.time):.3f} s falls between the frames of "
                        f"{float(required.rate):g} a second, and {required.reason}: give --cfr RATE for a constant "
                        f"rate, or {required.remedy}")
    return replace(frame, pts=tick, time_base=1 / required.rate, duration=1)


def lead(seconds: Fraction, rate: Fraction) -> int:
    """The number of frames of ``rate`` by which the picture begins after the sound; 0 if nobody notices it."""
    return round(seconds * rate) if seconds > TOGETHER else 0
