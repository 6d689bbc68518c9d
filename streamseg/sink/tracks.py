"""Sound, subtitles and data from input to output: packets are copied with their times.

Only what the container cannot hold is turned into what it can, or left out, and the notes say so.
A packet may go to several outputs, and muxing changes it: each output muxes its own copy.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Protocol

import av

from ..core.frames import Track, VideoInfo
from ..core.words import counted
from ..errors import DamagedInputError, SinkError
from ..options import OutputOptions
from .containers import AVI, MPEGTS, ContainerFormat
from .packets import copied
from .silence import SILENT, Pauses, missing
from .sound import SoundTranscoder, channels, layout_for, name_channels
from .text import ASS_HEADER, TEXT_CODECS, payload_of, text_of

# Tags that describe the track in the input file (mkvmerge's statistics), or that the muxer writes itself
_STALE = ("DURATION", "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS", "encoder", "handler_name",
          "vendor_id")

# Muxers that keep a time code as the pictures' metadata; the first two make a track of it themselves
_TIMECODE = ("mov", "mp4", "matroska", "webm", "nut")

# QuickTime's list of languages, in FFmpeg's spelling, where it is not that of ISO 639-2/T
_QUICKTIME = {"deu": "ger", "nld": "dut", "swe": "sve", "ell": "gre", "isl": "ice", "zho": "chi",
              "sqi": "alb", "mkd": "mac", "hye": "arm", "kat": "geo", "bod": "tib", "mya": "bur",
              "msa": "may", "cym": "wel", "eus": "baq", "fas": "iri", "fre": "fra", "rum": "ron",
              "cze": "ces", "slo": "slk"}


class TrackWriter(Protocol):
    """Writes one track into the output."""

    def send(self, packet: av.Packet) -> list[av.Packet]:
        """The packets to mux for one packet of the input."""

    def flush(self) -> list[av.Packet]:
        """The packets that are still held back at the end."""


class Tracks:
    """All tracks of ``info`` that ``container_format`` holds, added to ``container`` before its header is written.

    ``notes`` gets what was turned into something else, left out or damaged. ``zero``: the input's time that
    is the output's 0. Raises SinkError where the source was closed before: FFmpeg has freed then what the
    tracks' headers are made of. Packets may come later than that.
    """

    def __init__(self, container: av.container.OutputContainer, container_format: ContainerFormat, info: VideoInfo,
                 options: OutputOptions, notes: list[str]) -> None:
        self.zero = Fraction(0)
        self._notes = notes
        self._source = info.name or "the input"
        self._skip = options.on_error == "skip"
        self._from_start = not options.start
        self._container = container
        self._format = container_format
        self._writers: dict[int, TrackWriter] = {}
        self._named: dict[int, str] = {}
        self._damaged: dict[str, int] = {}
        self._pauses: dict[int, Pauses] = {}
        for track in info.tracks:
            if track.stream is None:
                continue
            if _is_closed(track.stream.container):
                raise SinkError(f"the source was closed before its {track.kind} track {track.index} could be "
                                "copied: close it after the first frame is written, or open the sink with "
                                "OutputOptions(audio=False)")
            writer = self._writer_for(track)
            if writer is not None:
                self._writers[track.stream.index], self._named[track.stream.index] = writer, name_of(track)
            if isinstance(writer, Copy) and track.kind == "audio" and track.stream.codec_context is not None:
                fill = self._skip or not container_format.timed
                self._pauses[track.stream.index] = Pauses(track.stream, fill=fill, every=self._skip)

    def times(self, packets: Iterable[av.Packet]) -> list[Fraction]:
        """The times of those of ``packets`` whose tracks are kept."""
        return [packet.pts * packet.time_base for packet in packets if packet.pts is not None
                and packet.time_base is not None and packet.stream_index in self._writers]

    def put(self, packets: Iterable[av.Packet]) -> None:
        """Mux copies of ``packets``; those of tracks that are not kept are ignored."""
        for packet in packets:
            writer = self._writers.get(packet.stream_index)
            if writer is not None and packet.size:
                self._put_one(writer, packet)

    def close(self) -> None:
        """Mux what is still held back, and note what was damaged."""
        for writer in self._writers.values():
            self._mux(writer.flush())
            if isinstance(writer, SoundTranscoder) and writer.damaged:
                self._notes.append(f"{counted(writer.damaged, 'part')} of {writer.named} did not decode and "
                                   f"{'is' if writer.damaged == 1 else 'are'} silent")
            if isinstance(writer, SoundTranscoder):
                silent = missing(writer.named, writer.missing, SILENT)
                self._notes += [] if silent is None else [silent]
        for named, count in self._damaged.items():
            self._notes.append(f"{counted(count, 'damaged part')} of {named} {'is' if count == 1 else 'are'} left out")
        silences = (pauses.note(self._named[index]) for index, pauses in self._pauses.items())
        self._notes += [note for note in silences if note is not None]

    def _put_one(self, writer: TrackWriter, packet: av.Packet) -> None:
        """Mux one packet, with silence before it where sound is missing. A damaged one, which no container or no
        decoder takes, is counted, or raises DamagedInputError."""
        pauses = self._pauses.get(packet.stream_index)
        if pauses is not None and pauses.is_damaged(packet):
            self._damage(packet, None)
            return
        try:
            for silence in pauses.before(packet) if pauses is not None else ():
                self._mux(writer.send(silence))
            self._mux(writer.send(packet))
        except av.error.InvalidDataError as error:
            self._damage(packet, error)
            return
        if pauses is not None:
            pauses.wrote(packet)

    def _damage(self, packet: av.Packet, error: Exception | None) -> None:
        named, when = self._named[packet.stream_index], packet.dts if packet.pts is None else packet.pts
        if not self._skip:
            at = "" if when is None or packet.time_base is None else f" at {float(when * packet.time_base):.3f} s"
            raise DamagedInputError(f"{self._source}: {named} is damaged{at}: --on-error skip puts silence there, "
                                    "--no-audio leaves the sound out") from error
        self._damaged[named] = self._damaged.get(named, 0) + 1

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            if self.zero and packet.time_base is not None:
                shift = round(self.zero / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - shift
                packet.dts = None if packet.dts is None else packet.dts - shift
            self._container.mux_one(packet)

    def _writer_for(self, track: Track) -> TrackWriter | None:
        named = name_of(track)
        if track.kind in ("attachment", "cover picture"):
            self._attach(track.kind, track.stream)
            return None
        if track.kind == "data" and "timecode" in track.stream.metadata:
            self._timecode(track.stream.metadata["timecode"], named)
            return None
        if holds(self._format.muxer, track.stream):
            stream = self._container.add_stream_from_template(track.stream)
            name_channels(stream, self._format.muxer)
            return Copy(_labelled(stream, track))
        if track.kind == "audio" and self._format.audio is not None and track.stream.codec_context is not None:
            return self._sound(track, self._format.audio, named)
        if track.kind == "subtitle" and self._format.text is not None and track.codec in TEXT_CODECS:
            self._notes.append(f"{named} became {self._format.text}: the container cannot hold it as it is")
            return Text(self._container, track, self._format.text)
        self._notes.append(f"{named} is left out: the container cannot hold it; .mkv holds nearly everything")
        return None

    def _timecode(self, code: str, named: str) -> None:
        """QuickTime's track tmcd, as metadata: FFmpeg's trailer fails on a copy, which has no frame rate."""
        if self._format.muxer not in _TIMECODE:
            self._notes.append(f"{named} is left out: the container holds no time code; .mov, .mp4, .mkv do")
        elif not self._from_start:
            self._notes.append(f"{named} is left out: its time code {code} is that of the input's beginning")
        else:
            self._container.streams.video[0].metadata.setdefault("timecode", code)

    def _attach(self, kind: str, stream: Any) -> None:
        """Keep fonts of subtitles. (PyAV gives cover pictures only when the header is written.)"""
        name = stream.metadata.get("filename", stream.name or "unnamed")
        if kind == "attachment" and self._format.muxer == "matroska":
            self._container.add_attachment(name, stream.mimetype or "application/octet-stream", stream.data)
        else:
            remedy = "; .mkv holds it" if kind == "attachment" else ""
            self._notes.append(f"{kind} {name} is left out{remedy}")

    def _sound(self, track: Track, codec: str, named: str) -> TrackWriter | None:
        layout = layout_for(codec, track.stream)
        given = track.stream.codec_context.layout.nb_channels
        if layout is None:
            self._notes.append(f"{named} is left out: the container cannot hold it, and its {given} channels "
                               "have no names by which to mix them")
            return None
        mixed = f", mixed down to {layout}" if channels(layout) < given else ""
        self._notes.append(f"{named} became {codec}{mixed}: the container cannot hold it as it is")
        sound = SoundTranscoder(self._container, track.stream, codec, layout, source=self._source, named=named,
                              skip=self._skip, fill=self._skip or not self._format.timed)
        _labelled(sound.stream, track)
        return sound


def name_of(track: Track) -> str:
    """'audio track 1 (aac, eng)'."""
    language = None if track.language == "und" else track.language  # undetermined: nothing that anybody would miss
    return f"{track.kind} track {track.index} ({', '.join(filter(None, (track.codec, language)))})"


def holds(format: str, template: Any) -> bool:
    """Whether the muxer ``format`` takes a copy of the track: a header with it alone is written to memory.

    Asking FFmpeg is not enough, it answers yes for codecs whose header then fails. MPEG-TS takes anything,
    but what it has no type for becomes private data that no player knows again; AVI takes sound whose
    times it then loses, or whose trailer fails.
    """
    context = template.codec_context
    if format == "mpegts" and (context is None or context.codec.canonical_name not in MPEGTS):
        return False
    if format == "avi" and template.type == "audio" and (context is None
                                                         or context.codec.canonical_name not in AVI):
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


class Copy:
    """Copies packets."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def send(self, packet: av.Packet) -> list[av.Packet]:
        if packet.dts is None and packet.pts is None:
            return []  # has no place in time (an attachment's, a parser's remainder)
        return [copied(packet, self._stream)]

    def flush(self) -> list[av.Packet]:
        return []


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
