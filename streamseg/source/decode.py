"""From a container's packets to decoded pictures, with every failure noticed.

FFmpeg conceals a good part of what is damaged, and the end of its data is no different from the end of
the film. So each way in which damage shows is looked at: the demuxer's errors, the decoder's errors,
pictures marked corrupt, and a file that is shorter than its own structure says (``completeness``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import av.error
from av.stream import Discard, Disposition

from ..core.thread_budget import Threads
from ..errors import DamagedInputError, DeviceError, SourceError, SourceTimeoutError, StreamsegError
from ..options import InputOptions
from .open import FAILURES, INDEX_LAST, MAX_PIXELS, explained, reason

TRIES = 8  # demuxing errors in a row, after which nothing more is to be expected
KEPT = ("audio", "subtitle", "data")


def chosen(container: Any, name: str, wanted: int | None) -> Any:
    """The video stream to decode: number ``wanted`` among them, or FFmpeg's best. Cover art is none.

    Raises SourceError where there is no picture, no such stream or no decoder.
    """
    films = pictures_of(container)
    if not films:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        cover = " and a cover picture" if container.streams.video else ""
        found = " and ".join(kind for kind in kinds if kind != "video")
        raise SourceError(f"{name} has no picture; there is only {found}{cover} in it")
    if wanted is not None and wanted >= len(films):
        raise SourceError(f"stream is {wanted}; {name} has {len(films)} video stream(s), numbered from 0")
    best = container.streams.best("video")
    stream = films[wanted] if wanted is not None else best if best in films else films[0]
    if stream.codec_context is None:  # asking such a stream for anything can end the process: PyAV #2344
        raise SourceError(f"{name}: this FFmpeg has no decoder for its video; convert it to H.264, VP9, "
                          "AV1 or FFV1 first")
    if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
        raise SourceError(f"{name} is {stream.codec_context.width} x {stream.codec_context.height}; "
                          f"at most {MAX_PIXELS // 10**6} megapixels can be worked on")
    return stream


def pictures_of(container: Any) -> list[Any]:
    """The video streams that are films, or the picture of a picture file."""
    return [stream for stream in container.streams.video if not is_cover(stream)]


def is_cover(stream: Any) -> bool:
    """Whether a video stream is a picture that belongs to the file, as films and songs have."""
    return bool(stream.type == "video" and Disposition(stream.disposition) & Disposition.attached_pic)


def decoder_for(stream: Any, options: InputOptions) -> Any:
    """The stream's codec context with its share of the threads; libvpx where the stream has alpha, which
    FFmpeg's own VP8 and VP9 decoders leave out."""
    context = stream.codec_context
    library = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(context.name)
    alpha = {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"
    if options.hwaccel and (alpha or not context.is_hwaccel):
        lacks = "loses its alpha" if alpha else "has no decoder"
        raise DeviceError(f"this {context.name} video {lacks} on {options.hwaccel}: leave --hwaccel out")
    if alpha and library:
        context = av.CodecContext.create(library, "r")
    context.thread_count = Threads.of(options.threads).decode
    if not context.is_hwaccel:
        context.thread_type = "AUTO"
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return context


class Decoder:
    """Iterates the decoded pictures of one stream. Use from one thread.

    packets   what was read of the other tracks since the last ``take``
    tracks    the other tracks that are kept; ``attached``: fonts and cover pictures, which have no packets
    damaged   parts that did not decode, or decoded with visible damage
    ignore    True while what comes is thrown away (before ``start``): damage there does not matter
    remedy    the end of a message about damage
    read      coded pictures so far; ``given``: decoded ones
    """

    remedy = "; --on-error skip leaves such parts out and goes on"

    def __init__(self, container: Any, stream: Any, name: str, options: InputOptions, *,
                 piped: bool = False) -> None:
        self.container = container
        self.stream = stream
        self.name = name
        self.damaged = 0
        self.ignore = False
        self.read = 0
        self.given = 0
        self.first_packet = b""
        self._options = options
        self._context = decoder_for(stream, options)
        self._packets: list[av.Packet] = []
        self._at = 0.0
        if piped and "mp4" in container.format.name:
            self.remedy = ". " + INDEX_LAST
        # An MP4's chapters are a track too, which the demuxer discards by itself: they are in the chapters.
        self.tracks = [other for other in container.streams if options.audio and other.type in KEPT
                       and Discard(other.discard) != Discard.all]
        self.attached = [other for other in container.streams if options.audio and other is not stream
                         and (other.type == "attachment" or is_cover(other))]
        for other in container.streams:
            if other is not stream and other not in self.tracks:
                other.discard = Discard.all

    def take(self) -> list[av.Packet]:
        """The other tracks' packets since the last call."""
        taken, self._packets = self._packets, []
        return taken

    def packets(self) -> Iterator[av.Packet]:
        """The video packets; the others are put aside. Ends at the end of the input, and only there.

        Raises SourceTimeoutError, and DamagedInputError unless damage is to be skipped.
        """
        failures = 0
        while True:
            try:
                for packet in self.container.demux(self.stream, *self.tracks):
                    failures = 0
                    if packet.stream_index == self.stream.index:
                        yield packet
                    elif packet.size:
                        self._packets.append(packet)
                return
            except StreamsegError:
                raise
            except FAILURES as error:
                found = explained(error, self.name, self._options)
                if isinstance(found, SourceTimeoutError):
                    raise found from error
                self.damage(f"its data cannot be read on ({reason(error)})")
                failures += 1
                if failures == TRIES:
                    return

    def __iter__(self) -> Iterator[av.VideoFrame]:
        flushed = False
        for packet in self.packets():
            flushed = packet.size == 0
            if not flushed:
                self.read += 1
                if not self.first_packet:
                    self.first_packet = bytes(packet)
                when = packet.dts if packet.pts is None else packet.pts
                if when is not None and packet.time_base:
                    self._at = float(when * packet.time_base)
            yield from self._decoded(None if flushed else packet)
        if not flushed:
            yield from self._decoded(None)

    def _decoded(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        try:
            pictures = self._context.decode(packet)
        except av.error.EOFError:  # a second flush
            return []
        except FAILURES as error:
            if self._context.is_hwaccel is False and isinstance(error, av.error.MemoryError):
                raise SourceError(f"{self.name}: no memory to decode a picture") from error
            self.damage(f"it does not decode ({reason(error)})")
            return []
        for picture in pictures:
            if picture.is_corrupt:
                self.damage("the decoder had to guess at parts of a picture")
        self.given += len(pictures)
        return pictures

    def damage(self, what: str) -> None:
        """Count a damaged part, or raise DamagedInputError if that is to stop the run."""
        if self.ignore:
            return
        self.damaged += 1
        if self._options.on_error == "stop":
            raise DamagedInputError(f"{self.name} is damaged at {self._at:.3f} s: {what}{self.remedy}")
