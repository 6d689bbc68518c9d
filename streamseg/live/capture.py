"""Frames of a camera as Shots, across losses, reconnections and pauses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import av
from av.video.reformatter import VideoReformatter

from ..core.clock import Clock
from ..core.frames import Frame, VideoInfo
from ..core.matrices import swscale_matrix
from ..core.pixel_formats import FORMATS, FULL, LIMITED, Colour
from ..errors import SourceError
from ..source import BaseSource, Source, adapt_source
from .types import TICKS, Control, Shot, stand_in

LOG = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds before the first new attempt, and at most
IDLE = 1.0                            # seconds between two placeholders
DARK_LEVEL = 4                        # luma above black: a covered lens shows noise, a lit room shows more
DARK_SECONDS, DARK_EVERY = 3.0, 10    # every Nth frame is checked
PACE_FRAMES, PACE = 100, 0.7          # a camera is slow below this share of its rate, over so many frames
_SMALL = (32, 18)


class Capture:
    """Iterates Shots. The first is a placeholder: the background is shown before the camera gives frames.

    source     an open source; frames of a camera that is opened later are converted to its ``info``
    reopen     opens the source again; None where that makes no sense
    lasting    the source never ends by itself: its end is a loss
    reconnect  a lost source is opened again, with growing waits; otherwise its loss ends the run with its error
    release    True: the camera is closed while ``control.has_consumers`` is False

    A frame's time is that of its arrival, in microseconds since ``began``. ``waiting``: no camera is open on
    purpose, so a long wait for the next shot is no hang. ``damaged``: skipped parts of the sources that are
    closed.
    """

    def __init__(self, source: Source, clock: Clock, control: Control, *,
                 reopen: Callable[[], Source] | None = None, lasting: bool = False,
                 reconnect: bool = True, release: bool = False) -> None:
        self.info: VideoInfo = source.info
        self._source: BaseSource | None = adapt_source(source)
        self._clock, self._control = clock, control
        self._reopen, self._lasting = reopen, lasting
        self._reconnect, self._release = reconnect, release
        self._black = stand_in(source.info)
        self.began = clock.now()
        self._index, self._last = 0, -1
        self.arrived = self.thinned = self.damaged = 0
        self.waiting = False
        self._given = self._taken = 0  # frames of the camera that is open now
        self._dark_since: float | None = None
        self._slow_told = False
        self._pace_from: float | None = None  # when the frame came from which the pace is counted

    def __iter__(self) -> Iterator[Shot]:
        yield self._stand_in()
        while True:
            if self._idle():
                yield from self._release_camera()
                continue
            lost: SourceError | None = None
            try:
                yield from self._shots()
            except SourceError as error:
                lost = error
            if self._idle():
                continue
            if self._reopen is None or not self._reconnect or (lost is None and not self._lasting):
                if lost is not None:
                    raise lost
                return
            LOG.warning(f"{lost or self.info.name + ' ended'}; trying again, only the background is shown")
            yield from self._reopen_camera()

    def close(self) -> None:
        """Close the source; may be called twice."""
        source, self._source = self._source, None
        if source is not None:
            self.damaged += source.damaged
            source.close()

    def _idle(self) -> bool:
        return self._release and not self._control.has_consumers and self._reopen is not None

    def _shots(self) -> Iterator[Shot]:
        """The frames of the open source, until it ends or is to be released."""
        assert self._source is not None
        fitter, cut = Fitter(self.info), True
        self.waiting = False
        self._given = self._taken = 0
        self._pace_from = None
        for frame in self._source:
            if self._idle():
                return
            at = self._clock.now()
            self.arrived += 1
            self._given += 1
            self._watch_pace(at)
            if self.arrived % self._control.step.divisor:
                self.thinned += 1
                continue
            if self._control.paused:
                yield self._stand_in()
                cut = True
                continue
            if cut:  # earlier darkness does not count
                self._dark_since = None
            self._watch_light(frame, at)
            yield Shot(self._stamped(fitter(frame), at), at, cut=cut)
            cut = False

    def _reopen_camera(self) -> Iterator[Shot]:
        """Placeholders until the source opens again."""
        assert self._reopen is not None
        self.waiting = True
        self.close()
        wait = FIRST_WAIT
        while True:
            until = self._clock.now() + wait
            while self._clock.now() < until:
                yield self._stand_in()
                self._clock.sleep(min(IDLE, until - self._clock.now()))
            try:
                self._source = adapt_source(self._reopen())
            except SourceError as error:
                wait = min(2 * wait, LONGEST_WAIT)
                LOG.warning(f"{error}; next try in {wait:g} s")
                continue
            LOG.info(f"{self.info.name} is back")
            return

    def _release_camera(self) -> Iterator[Shot]:
        """Placeholders, one a second, until an output has a consumer again."""
        assert self._reopen is not None
        self.waiting = True
        self.close()
        LOG.info("no program uses the virtual camera: the camera is released")
        while not self._control.has_consumers:
            yield self._stand_in()
            self._clock.sleep(IDLE)
        try:
            self._source = adapt_source(self._reopen())
        except SourceError as error:
            LOG.warning(f"{error}; trying again")
            yield from self._reopen_camera()

    def _stand_in(self) -> Shot:
        at = self._clock.now()
        return Shot(self._stamped(self._black, at), at, seen=False, cut=True)

    def _stamped(self, frame: Frame, at: float) -> Frame:
        pts = max(self._last + 1, round((at - self.began) / TICKS))
        self._last = pts
        self._index += 1
        shared = frame is self._black  # the same picture is used many times, each with its own time
        return replace(frame, pts=pts, time_base=TICKS, index=self._index - 1, duration=None, packets=(),
                       owner=None if shared else frame.owner)

    def _watch_pace(self, at: float) -> None:
        """Report a slow camera once: most are slow in the dark, and users blame the program."""
        if not self._lasting or self.info.rate is None or self._given % PACE_FRAMES:
            return
        before, self._pace_from = self._pace_from, at
        if before is None or at <= before or self._slow_told:
            return
        rate = PACE_FRAMES / (at - before)
        if rate < PACE * self.info.rate:
            self._slow_told = True
            LOG.warning(f"the camera gives {rate:.0f} pictures a second of {float(self.info.rate):g}: in "
                       "little light many do; more light, or a smaller --size, makes them faster")

    def _watch_light(self, frame: Frame, at: float) -> None:
        """Report once that the pictures are black for a while: a closed shutter looks like a defect."""
        self._taken += 1
        if self._taken % DARK_EVERY != 1:
            return
        black = 0 if frame.full_range else 16
        if int(frame.luma(_SMALL).max()) > black + DARK_LEVEL:
            self._dark_since = None
        elif self._dark_since is None:
            self._dark_since = at
        elif at - self._dark_since > DARK_SECONDS:
            self._dark_since = float("inf")  # reported; light resets it
            LOG.warning("the camera's pictures are black: is its shutter closed, or does another program "
                       "use it?")


class Fitter:
    """Converts frames to the size, format and colours of the first source."""

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._made_for = info.width, info.height, info.format, info.colour
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Frame) -> Frame:
        """The frame itself if it matches, else scaled and converted."""
        info = self._info
        if (frame.width, frame.height, frame.format, frame.colour) == self._made_for:
            return frame
        # explicit: swscale assumes limited range and BT.601
        picture: av.VideoFrame = self._reformatter.reformat(
            replace(frame, owner=None).to_av(), info.width, info.height, info.format, threads=1,
            src_color_range=_range(frame.colour, frame.format),
            dst_color_range=_range(info.colour, info.format),
            src_colorspace=swscale_matrix(frame.colour.matrix, frame.height),
            dst_colorspace=swscale_matrix(info.colour.matrix, info.height))
        return Frame.from_av(picture, frame.index, colour=info.colour)


def _range(colour: Colour, format: str) -> int:
    full = colour.full_range or FORMATS[format].rgb or FORMATS[format].planes == 1
    return FULL if full else LIMITED
