"""Frames onto a constant rate, who wants one, and the check that they already are on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from ..core.frames import Frame, VideoInfo
from ..errors import OptionError, SinkError
from ..options import OutputOptions
from .containers import Container

TOGETHER = Fraction(6, 100)  # seconds that sound may be late unnoticed (EBU R37); its priming is 20 to 50 ms
MPEG4_TICKS = 65535  # a second: ISO 14496-2, vop_time_increment_resolution
COUNTING = ("mpeg1video", "mpeg2video")  # frames, at a rate that stands in the stream


@dataclass(frozen=True, slots=True)
class Grid:
    """The constant rate that an output wants: ``why`` it does, and the ``remedy`` beside --cfr."""

    rate: Fraction
    why: str
    remedy: str


def grid_for(target: str, called: str, box: Container, info: VideoInfo, kind: str, options: OutputOptions
             ) -> Grid | None:
    """The grid that ``options.cfr``, the container or the encoder asks for; None: each frame keeps its time.

    Raises OptionError where one is wanted, and the input has no constant rate.
    """
    why, remedy = _wish(called, box, info, options.codec if kind != "matte" else None)
    if options.cfr:
        return Grid(options.cfr, why, remedy)
    if not why:
        return None
    if info.variable_rate:
        raise OptionError(f"{target}: {why} and the input has a variable frame rate; give --cfr RATE, or "
                          + remedy)
    if info.rate is None:
        raise OptionError(f"{target}: {why} and the input has no frame rate; give --cfr RATE, or {remedy}")
    return Grid(info.rate, why, remedy)


def _wish(called: str, box: Container, info: VideoInfo, codec: str | None) -> tuple[str, str]:
    if not box.timed:
        return f"{called} stores no times", "write .mkv or .mp4, which keep variable rates"
    ticks = info.time_base.denominator
    if codec == "mpeg4" and ticks > MPEG4_TICKS:
        return (f"MPEG-4 counts at most {MPEG4_TICKS} moments a second, not the input's {ticks}",
                "another --codec")
    return ("MPEG-1 and MPEG-2 count frames, not time,", "another --codec") if codec in COUNTING else ("", "")


class ConstantRate:
    """Repeats or leaves out frames so that tick n of ``rate`` shows the frame nearest to n / rate.

    A frame's tick is its ``position``, rounded; of two on one tick the later stays; a gap repeats
    the frame before it. Counts: ``repeated``, ``left_out``.
    """

    def __init__(self, rate: Fraction) -> None:
        self.rate = rate
        self._first: Fraction | None = None
        self.repeated = 0
        self.left_out = 0
        self._held: Frame | None = None
        self._tick = 0

    def place(self, frame: Frame) -> list[Frame]:
        """The frames that are settled now that ``frame`` is known; pts in units of 1 / rate."""
        assert frame.time is not None
        self._first = frame.time if self._first is None else self._first
        tick = round(position(frame.time, self.rate, self._first))
        settled: list[Frame] = []
        if self._held is None:
            self._tick = tick
        elif tick <= self._tick:
            self.left_out += 1
        else:
            settled = self._until(tick)
        self._held = frame
        return settled

    def rest(self) -> list[Frame]:
        """The last frame, shown for its duration."""
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
    """Where ``time`` lies on the grid of ``rate``, onto which the ``first`` frame's time is moved.

    A constant rate is one from whatever moment on; of frames half a one off the grid every rounding could
    fall either way.
    """
    return round(first * rate) + (time - first) * rate


def on_grid(frame: Frame, grid: Grid, first: Fraction = Fraction(0)) -> Frame:
    """``frame`` with its pts as whole frames of the grid's rate.

    ``first``: the first frame's time, where the grid begins. Within a fifth of a frame of the grid counts
    as on it: Matroska rounds to milliseconds, which is 0.06 frames at 120 a second. Raises SinkError for
    others.
    """
    assert frame.time is not None
    exact = position(frame.time, grid.rate, first)
    tick = round(exact)
    if abs(exact - tick) > Fraction(1, 5):
        raise SinkError(f"frame {frame.index} at {float(frame.time):.3f} s falls between the frames of "
                        f"{float(grid.rate):g} a second, and {grid.why}: give --cfr RATE for a constant "
                        f"rate, or {grid.remedy}")
    return replace(frame, pts=tick, time_base=1 / grid.rate, duration=1)


def lead(seconds: Fraction, rate: Fraction) -> int:
    """The frames of ``rate`` by which a picture begins after the sound; 0 where that is not noticed."""
    return round(seconds * rate) if seconds > TOGETHER else 0
