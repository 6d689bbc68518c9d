"""Pictures that a browser sends as Frames, and finished Frames as what a browser takes.

Colours: the browser sends VP8, which carries no tags and is read as limited BT.601 by every browser, and shown
as that when it comes back: so it is here. JPEG is BT.601 too, in full range. Neither is converted on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Protocol

import av

from ...core.frames import Frame, VideoInfo
from ...core.geometry import Box
from ...core.pixel_formats import Colour
from ...engine.channels import Channel, EndOfChannel, WaitedTooLong
from ...errors import SourceError, SourceTimeoutError
from ...source import BaseSource
from ...source.normalise import Normaliser
from ...source.orientation import Turn

BT601 = 6
LIMITED, FULL = 1, 2
RTP_TICKS = Fraction(1, 90_000)
CLOCK = Fraction(1, 1_000_000)
LARGEST = (1920, 1080)   # longer and shorter side of what is worked on; what is larger is scaled down
SMALLEST = 16
FASTEST = 60             # pictures a second that a camera may say it gives
BITS_A_PIXEL = 0.1       # of VP8 and picture: 2.8 Mb/s at 1280 x 720 and 30 a second
LEAST_BITS, MOST_BITS = 400_000, 6_000_000
KEY_EVERY = 90           # frames: a browser that lost one waits no longer, even where it cannot ask
JPEG_QUALITY = 4         # FFmpeg's scale, 2 (best) to 31
ASPECT = 0.01            # a camera that is turned has another aspect: its middle is taken then


def camera_info(width: int, height: int, rate: float | None, *, full_range: bool) -> VideoInfo:
    """What is made of a camera of this size: even, at most LARGEST, in yuv420p."""
    scale = min(1.0, LARGEST[0] / max(width, height), LARGEST[1] / min(width, height))
    even = [max(SMALLEST, round(side * scale / 2) * 2) for side in (width, height)]
    known = None if rate is None or not 1 <= rate <= FASTEST else Fraction(rate).limit_denominator(1001)
    colour = Colour(BT601, FULL if full_range else LIMITED)
    return VideoInfo(even[0], even[1], "yuv420p", CLOCK, rate=known, colour=colour, live=True,
                     name="the browser's camera")


class BrowserSource(BaseSource):
    """Frames that ``put`` was given, the newest first. Raises SourceTimeoutError in its reader when none came
    for ``timeout`` seconds."""

    def __init__(self, info: VideoInfo, timeout: float) -> None:
        super().__init__()
        self.info = info
        self._timeout = timeout
        self._waiting = Channel[av.VideoFrame](1, newest=True)
        self._normaliser = Normaliser(Turn(), fixed=False)

    def put(self, picture: av.VideoFrame) -> None:
        """Hand over a decoded picture; never waits."""
        if not self._waiting.ended:
            self._waiting.put(picture)

    def end(self) -> None:
        """No more come; from any thread."""
        self._waiting.end()

    def __iter__(self) -> Iterator[Frame]:
        for index, picture in enumerate(self._pictures()):
            picture.colorspace = self.info.colour.matrix
            picture.color_range = self.info.colour.range
            picture.color_primaries = self.info.colour.primaries
            picture.color_trc = self.info.colour.transfer
            frame = self._normaliser.frame(picture, index, picture.pts or 0, picture.time_base or RTP_TICKS, None)
            yield shaped(frame, self.info)

    def _pictures(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._waiting.get(self._timeout)
            except EndOfChannel:
                return
            except WaitedTooLong:
                raise SourceTimeoutError(f"no picture came from {self.info.name} for {self._timeout:g} s: is its "
                                         "tab asleep, or the connection gone?") from None

    def close(self) -> None:
        """No more are taken."""
        self.end()


def shaped(frame: Frame, info: VideoInfo) -> Frame:
    """The middle of ``frame`` in the aspect of ``info``; the frame itself where it has that."""
    wanted, given = info.width / info.height, frame.width / frame.height
    if abs(wanted / given - 1) <= ASPECT:
        return frame
    width = frame.width if given < wanted else round(frame.height * wanted)
    height = frame.height if given > wanted else round(frame.width / wanted)
    width, height = max(2, width // 2 * 2), max(2, height // 2 * 2)
    top, left = (frame.height - height) // 4 * 2, (frame.width - width) // 4 * 2
    return replace(frame, planes=frame.part(Box(top, left, height, width)), owner=None, alpha=None)


class NewestFrame:
    """A Sink whose frames an event loop takes, the newest first: what is not taken in time gives way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.notes: list[str] = []
        self._loop = loop
        self._slot = Channel[Frame](1, newest=True)
        self._arrived = asyncio.Event()

    def write(self, frame: Frame) -> None:
        """Leave a frame for the loop; from any thread, and never waits."""
        self._slot.put(frame)
        self._wake()

    def close(self) -> None:
        """No more follow."""
        self._slot.end()
        self._wake()

    def abort(self) -> None:
        """No more follow."""
        self.close()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def get(self) -> Frame | None:
        """The newest frame, when there is one; None after the last."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            try:
                return self._slot.get(0)
            except WaitedTooLong:
                continue
            except EndOfChannel:
                self._arrived.set()  # who asks again gets the same answer
                return None


class Encoder(Protocol):
    """Makes a packet of a frame. Not shared between threads."""

    def encode(self, frame: Frame) -> av.Packet | None:
        """The frame's packet; None where the encoder gives none."""


class Vp8Encoder:
    """VP8 for one viewer, as fast as libvpx can. Set ``key`` for a frame that needs no other before it."""

    def __init__(self, info: VideoInfo) -> None:
        rate = info.rate or Fraction(30)
        bits = min(MOST_BITS, max(LEAST_BITS, round(info.width * info.height * float(rate) * BITS_A_PIXEL)))
        codec = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height, codec.pix_fmt = info.width, info.height, "yuv420p"
        codec.time_base, codec.framerate, codec.gop_size = RTP_TICKS, rate, KEY_EVERY
        codec.bit_rate, codec.qmin, codec.qmax = bits, 2, 56
        codec.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0", "static-thresh": "1",
                         "minrate": str(bits), "maxrate": str(bits), "bufsize": str(bits // 2),
                         "undershoot-pct": "100", "overshoot-pct": "15", "error-resilient": "1"}
        # a picture of 1280 x 720 takes 6 ms of a core; of two threads each waits for the other in a loop, which on
        # a machine with other work made 18 ms of it 300 to 500
        codec.thread_count = 1
        self._codec = codec
        self.key = True

    def encode(self, frame: Frame) -> av.Packet | None:
        """The frame's packet, in RTP's ticks; None where libvpx leaves it out to keep its bit rate."""
        picture = frame.to_av()
        picture.pts = round((frame.time or 0) / RTP_TICKS)
        picture.time_base = RTP_TICKS
        picture.pict_type = av.video.frame.PictureType.I if self.key else av.video.frame.PictureType.NONE
        self.key = False
        packets = [packet for packet in self._codec.encode(picture) if packet.size]
        return packets[-1] if packets else None


class JpegEncoder:
    """A JPEG for each frame."""

    def __init__(self, info: VideoInfo) -> None:
        codec = av.CodecContext.create("mjpeg", "w")
        codec.width, codec.height, codec.pix_fmt = info.width, info.height, "yuv420p"
        codec.time_base, codec.color_range = CLOCK, FULL
        codec.qmin = codec.qmax = JPEG_QUALITY
        codec.options = {"qscale": str(JPEG_QUALITY), "strict": "unofficial"}
        self._codec = codec

    def encode(self, frame: Frame) -> av.Packet | None:
        """The frame as a JPEG file."""
        packets = self._codec.encode(frame.to_av())
        return packets[0] if packets else None


class JpegDecoder:
    """JPEG files to pictures. What is larger than LARGEST is refused from its header."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("mjpeg", "r")
        self._codec.options = {"max_pixels": str(LARGEST[0] * LARGEST[1])}

    def decode(self, data: bytes) -> av.VideoFrame:
        """The picture. Raises SourceError."""
        try:
            for picture in self._codec.decode(av.Packet(data)):
                return picture
        except av.FFmpegError as error:
            raise SourceError("a picture of the camera cannot be read: it is no JPEG, or damaged "
                              f"({error.strerror})") from error
        except ValueError as error:
            raise SourceError(f"a picture of the camera cannot be read: {error}") from error
        raise SourceError("a picture of the camera cannot be read: it is no JPEG")
