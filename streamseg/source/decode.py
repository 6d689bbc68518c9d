"""From a container's packets to decoded pictures, with every failure noticed.

FFmpeg hides much of what is damaged, and it reports truncated data as the normal end. So every sign of damage is
checked: errors of the demuxer and of the decoder, pictures marked corrupt, and (``integrity``) a file that is
shorter than its container states.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import av
import av.error
from av.stream import Discard

from ..core.thread_budget import Threads
from ..errors import DamagedInputError, DeviceError, SourceError, SourceTimeoutError, StreamsegError
from ..options import InputOptions
from . import float_pictures, jpeg2000, tga, tiff
from .colour_tags import ColourTags
from .open import FAILURES, INDEX_LAST, decoder_limit, explained, missing_in_stream, reason, too_large
from .probe import counts_by_decoding, is_cover

CAPTION = b"GA94"  # ATSC A/53, part 4: before closed captions in the pictures' user data
TRIES = 8  # demuxing errors in a row after which reading ends
KEPT = ("audio", "subtitle", "data")


def decoder_for(stream: Any, options: InputOptions) -> Any:
    """The stream's codec context with its share of the threads; libvpx where the stream has alpha, which
    FFmpeg's own VP8 and VP9 decoders ignore."""
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
    context.options = {"max_pixels": decoder_limit(options)}
    return context


class Decoder:
    """Iterates the decoded pictures of one stream. Use from one thread.

    tracks    the other tracks that are kept; ``attached``: fonts and cover pictures, which have no packets
    damaged   parts that did not decode, or decoded with visible damage
    ignore    True while the pictures are dropped (before ``start``): damage there does not matter
    remedy    the end of a message about damage
    captioned a packet so far had closed captions (A/53) in it
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
        self.captioned = False
        self._options = options
        self._may_caption = stream.codec_context.name in ("h264", "hevc", "mpeg2video")
        self._instead = {"tiff": tiff.decoded, "targa": tga.decoded}.get(stream.codec_context.name)
        self._is_jpeg2000 = stream.codec_context.name in ("jpeg2000", "libopenjpeg")
        self._complete = jpeg2000.complete if self._is_jpeg2000 else (
            float_pictures.complete if stream.codec_context.name == "exr" else None)
        self._tags = ColourTags.of(stream)
        self._context = decoder_for(stream, options)
        self._packets: list[av.Packet] = []
        self._hidden: dict[int, av.Packet] = {}  # by track
        self._begun: set[int] = set()  # tracks
        self._at = 0.0
        self._decoding: int | None = None  # the time of the packet that is being decoded
        self._by_decoding = counts_by_decoding(container)
        self._first_dts: int | None = None
        self._late: int | None = None  # by so much pictures leave the decoder later than they go in
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
                # closed, where nobody reads on: else PyAV 18 leaks 150 bytes, which a server with many pictures adds up
                with closing(self.container.demux(self.stream, *self.tracks)) as packets:
                    for packet in packets:
                        failures = 0
                        if packet.stream_index == self.stream.index:
                            if packet.size or packet.dts is None:  # the last one, by which the decoder is emptied
                                yield packet
                            # else, as in Theora: the picture before is shown on; the decoder would take it for the end
                        elif packet.size:
                            self._put_aside(packet)
                return
            except StreamsegError:
                raise
            except FAILURES as error:
                found = explained(error, self.name, self._options)
                if isinstance(found, SourceTimeoutError):
                    raise found from error
                self._decoding = None
                self.damage(f"its data cannot be read on ({reason(error)})")
                failures += 1
                if failures == TRIES:
                    return

    def _put_aside(self, packet: av.Packet) -> None:
        """Keep a packet of another track. What an edit list hides is left out, for few containers keep it hidden; but
        for the last packet before a sound begins, which its decoder starts with (in AAC two packets overlap)."""
        number = packet.stream_index
        if packet.is_discard:
            self._hidden[number] = packet
            return
        first = self._hidden.pop(number, None)
        if first is not None and number not in self._begun and packet.stream.type == "audio":
            self._packets.append(first)
        self._begun.add(number)
        self._packets.append(packet)

    def __iter__(self) -> Iterator[av.VideoFrame]:
        """The pictures. Where damage ends the run, those that were whole before it come first."""
        try:
            yield from self._pictures()
        except DamagedInputError:
            yield from self._held_back()
            raise

    def _pictures(self) -> Iterator[av.VideoFrame]:
        flushed = False
        for packet in self.packets():
            flushed = packet.size == 0
            if not flushed:
                self.read += not packet.is_discard  # what an edit list hides is not to be shown
                if not self.captioned and self._may_caption and CAPTION in bytes(packet):
                    self.captioned = True
                if not self.first_packet:
                    self.first_packet = bytes(packet)
                    if self._is_jpeg2000:
                        jpeg2000.check(self.first_packet, self.name)
                when = packet.dts if packet.pts is None or self._by_decoding else packet.pts
                self._decoding = when if self._by_decoding else packet.pts
                if self._first_dts is None:
                    self._first_dts = packet.dts
                if when is not None and packet.time_base:
                    self._at = float(when * packet.time_base)
            yield from self._decoded(None if flushed else packet)
        if not flushed:
            yield from self._decoded(None)

    def _held_back(self) -> Iterator[av.VideoFrame]:
        """After damage: what the decoder still holds and is shown before it (B frames, threads)."""
        try:
            pictures = self._context.decode(None)
        except FAILURES:
            return
        for picture in pictures:
            if self._by_decoding:
                self._time_by_decoding(picture)
            late = self._decoding is not None and picture.pts is not None and picture.pts >= self._decoding
            if picture.is_corrupt or late:
                return
            self.given += 1
            self._tags.complete(picture)
            yield picture

    def _decoded(self, packet: av.Packet | None) -> Iterator[av.VideoFrame]:
        try:
            own = self._instead(packet, self.name, self._options.max_pixels) if self._instead and packet else None
        except tiff.NotDecodedError as error:
            self.damage(f"it does not decode ({error})")
            return
        try:
            pictures = self._context.decode(packet) if own is None else [own]
        except av.error.EOFError:  # a second flush
            return
        except FAILURES as error:
            if self._context.is_hwaccel is False and isinstance(error, av.error.MemoryError):
                raise SourceError(f"{self.name}: no memory to decode a picture") from error
            unknown = isinstance(error, av.error.PatchWelcomeError) and (not self.given or self._context.name == "apng")
            if unknown and self._options.on_error == "stop":
                raise SourceError(f"{self.name} is written in a way that FFmpeg does not read yet; convert it: "
                                  "pictures to PNG or TIFF in RGB, films to H.264") from error
            self.damage(f"it does not decode ({reason(error)})")
            return
        for picture in pictures:
            if picture.width * picture.height > self._options.max_pixels:
                raise too_large(self.name, picture.width, picture.height, self._options.max_pixels)
            if picture.is_corrupt:
                self._decoding = picture.pts
                self.damage("the decoder had to guess at parts of a picture")
            if self._by_decoding:
                self._time_by_decoding(picture)
            self.given += 1
            self._tags.complete(picture)
            if self._complete is not None:
                self._complete(picture, self.first_packet)
            yield picture

    def _time_by_decoding(self, picture: av.VideoFrame) -> None:
        """Give a picture the time at which its place in the order of display is decoded."""
        if picture.dts is None or self._first_dts is None:
            picture.pts = None  # of those that come last FFmpeg knows no time: they go on at the rate
            return
        if self._late is None:
            self._late = picture.dts - self._first_dts
        picture.pts = picture.dts - self._late

    def damage(self, what: str) -> None:
        """Count a damaged part, or raise DamagedInputError if that is to stop the run."""
        if self.ignore:
            return
        self.damaged += 1
        if self._options.on_error == "stop":
            cut = missing_in_stream(self.container)  # why the last pictures do not decode
            if cut is not None and cut not in what:
                what = f"{what}, as it is cut off ({cut})"
            raise DamagedInputError(f"{self.name} is damaged at {self._at:.3f} s: {what}{self.remedy}")
