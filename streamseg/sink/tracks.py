"""Sound, subtitles and data from input to output: packets are copied with their times.

Only what the container cannot hold is turned into what it can, or left out, and the notes say so.
A packet may go to several outputs, and muxing changes it: each output muxes its own copy.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Protocol, cast

import av

from ..errors import SinkError
from ..frames import Track, VideoInfo
from .containers import MPEGTS, Container
from .text import ASS_HEADER, TEXT_CODECS, payload_of, text_of

# Tags that describe the input's copy of a track (mkvmerge's statistics), or that the muxer writes itself
_STALE = ("DURATION", "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS", "encoder", "handler_name",
          "vendor_id")

# QuickTime's list of languages, in FFmpeg's spelling, where it is not that of ISO 639-2/T
_QUICKTIME = {"deu": "ger", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi",
              "sqi": "alb", "mkd": "mac", "hye": "arm", "kat": "geo", "bod": "tib", "mya": "bur",
              "msa": "may", "cym": "wel", "eus": "baq", "fas": "iri", "fre": "fra", "rum": "ron",
              "cze": "ces", "slo": "slk"}


class Lane(Protocol):
    """One track's way into the output."""

    def send(self, packet: av.Packet) -> list[av.Packet]:
        """Packets to mux for one of the input."""

    def flush(self) -> list[av.Packet]:
        """What is still held back at the end."""


class Tracks:
    """All tracks of ``info`` that ``box`` holds, added to ``container`` before its header is written.

    ``notes``: what was turned into something else or left out. Raises SinkError where the source was closed
    before: FFmpeg has freed then what the tracks' headers are made of. Packets may come later than that.
    """

    def __init__(self, container: av.container.OutputContainer, box: Container, info: VideoInfo) -> None:
        self.notes: list[str] = []
        self._container = container
        self._box = box
        self._lanes: dict[int, Lane] = {}
        for track in info.tracks:
            if track.stream is None:
                continue
            if _is_closed(track.stream.container):
                raise SinkError(f"the source was closed before its {track.kind} track {track.index} could be "
                                "copied: close it after the first frame is written, or open the sink with "
                                "Options(audio=False)")
            lane = self._lane(track)
            if lane is not None:
                self._lanes[track.stream.index] = lane

    def put(self, packets: Iterable[av.Packet]) -> None:
        """Mux copies of ``packets``; those of tracks that are not kept are passed over."""
        for packet in packets:
            lane = self._lanes.get(packet.stream_index)
            if lane is not None and packet.size:
                for made in lane.send(packet):
                    self._container.mux_one(made)

    def close(self) -> None:
        """Mux what the lanes still hold."""
        for lane in self._lanes.values():
            for made in lane.flush():
                self._container.mux_one(made)

    def _lane(self, track: Track) -> Lane | None:
        what = ", ".join(filter(None, (track.codec, track.language)))
        named = f"{track.kind} track {track.index} ({what})"
        if holds(self._box.format, track.stream):
            stream = self._container.add_stream_from_template(track.stream)
            return Copy(_labelled(stream, track))
        if track.kind == "audio" and self._box.audio is not None:
            self.notes.append(f"{named} became {self._box.audio}: the container cannot hold it as it is")
            return Sound(self._container, track, self._box.audio)
        if track.kind == "subtitle" and self._box.text is not None and track.codec in TEXT_CODECS:
            self.notes.append(f"{named} became {self._box.text}: the container cannot hold it as it is")
            return Text(self._container, track, self._box.text)
        self.notes.append(f"{named} is left out: the container cannot hold it; .mkv holds nearly everything")
        return None


def holds(format: str, template: Any) -> bool:
    """Whether the muxer ``format`` takes a copy of the track: a header with it alone is written to memory.

    Asking FFmpeg is not enough, it answers yes for codecs whose header then fails. MPEG-TS takes anything,
    but what it has no type for becomes private data that no player knows again.
    """
    context = template.codec_context
    if format == "mpegts" and (context is None or context.codec.canonical_name not in MPEGTS):
        return False
    trial = av.open(io.BytesIO(), "w", format=format)
    try:
        trial.add_stream_from_template(template)
        trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    finally:
        with contextlib.suppress(ValueError, av.error.FFmpegError):  # a trailer without packets
            trial.close()
    return True


def copied(packet: av.Packet, stream: Any = None, payload: bytes | None = None) -> av.Packet:
    """A packet of its own with the data (or ``payload``), times, flags and side data of ``packet``, for
    ``stream`` if it is to be muxed."""
    data = bytes(packet) if payload is None else payload
    made = av.Packet(len(data))
    made.update(data)
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    if packet.time_base is not None:
        made.time_base = packet.time_base
    made.is_keyframe = packet.is_keyframe
    if payload is None:
        for item in packet.iter_sidedata():
            made.set_sidedata(item)
    if stream is not None:
        made.stream = stream
    return made


class Copy:
    """Packets as they are."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def send(self, packet: av.Packet) -> list[av.Packet]:
        if packet.dts is None and packet.pts is None:
            return []  # has no place in time (an attachment's, a parser's remainder)
        return [copied(packet, self._stream)]

    def flush(self) -> list[av.Packet]:
        return []


class Sound:
    """Decoded and encoded again, times kept."""

    def __init__(self, container: av.container.OutputContainer, track: Track, codec: str) -> None:
        template = track.stream.codec_context
        decoder = av.CodecContext.create(template.codec.name, "r")
        decoder.extradata = template.extradata
        self._decoder = cast(av.AudioCodecContext, decoder)
        self._decoder.sample_rate, self._decoder.layout = template.sample_rate, template.layout
        if track.codec.startswith("pcm"):
            self._decoder.format = template.format
        rates = av.Codec(codec, "w").audio_rates or [template.sample_rate]
        rate = template.sample_rate if template.sample_rate in rates else 48000
        stream = container.add_stream(codec, rate=rate)
        self._stream = cast(av.AudioStream, _labelled(stream, track))
        encoder = self._stream.codec_context
        encoder.layout = template.layout if template.layout.nb_channels <= 2 or codec == "aac" else "stereo"
        encoder.bit_rate = 96_000 * max(1, encoder.layout.nb_channels) if codec != "libopus" else \
            64_000 * max(1, encoder.layout.nb_channels)
        encoder.time_base = Fraction(1, rate)
        encoder.open()
        self._resampler = av.AudioResampler(encoder.format, encoder.layout, rate, encoder.frame_size or None)

    def send(self, packet: av.Packet) -> list[av.Packet]:
        made: list[av.Packet] = []
        for sound in self._decoder.decode(copied(packet)):
            if sound.time_base is None and packet.time_base is not None:
                sound.time_base = packet.time_base
            made += self._encoded(sound)
        return made

    def flush(self) -> list[av.Packet]:
        made: list[av.Packet] = []
        for sound in self._decoder.decode(None):
            made += self._encoded(sound)
        return [*made, *self._encoded(None), *self._stream.encode(None)]

    def _encoded(self, sound: av.AudioFrame | None) -> list[av.Packet]:
        return [packet for part in self._resampler.resample(sound) if part is not None
                for packet in self._stream.encode(part)]


class Text:
    """Subtitles in the container's own codec; their lines are kept, their styles are not."""

    def __init__(self, container: av.container.OutputContainer, track: Track, codec: str) -> None:
        self._from, self._to = track.codec, codec
        self._stream = _labelled(container.add_stream(codec), track)
        self._stream.codec_context.subtitle_header = ASS_HEADER
        self._stream.time_base = Fraction(1, 1000)

    def send(self, packet: av.Packet) -> list[av.Packet]:
        text = text_of(self._from, bytes(packet))
        return [copied(packet, self._stream, payload_of(self._to, text))] if text else []

    def flush(self) -> list[av.Packet]:
        return []


def _is_closed(container: Any) -> bool:
    try:
        container.bit_rate  # noqa: B018  PyAV has no other way to ask
    except AssertionError:
        return True
    return False


def _labelled(stream: Any, track: Track) -> Any:
    """Language, title and the like, and whether it is default or forced."""
    stream.metadata.update({key: value for key, value in track.stream.metadata.items()
                            if not key.startswith(_STALE)})
    if stream.container.format.name == "mov" and "language" in stream.metadata:
        language = stream.metadata["language"]
        stream.metadata["language"] = _QUICKTIME.get(language, language)
    stream.disposition = track.stream.disposition
    return stream
