"""Transcodes sound that a container cannot hold as it is; times are kept."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from typing import Any, cast

import av

from ..errors import DamagedInputError, SinkError
from .commit import reason
from .packets import copied

# By the number of channels, those that both AAC and Opus take. AVI and WMV name no layout up to stereo.
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
RATE = 48000
LEAST = Fraction(5, 1000)  # seconds; shorter gaps come of rounded times
MOST = 600  # seconds of silence at one place; longer gaps come of damaged times
_PIECE = 4096  # samples of silence at once


class SoundTranscoder:
    """One track, decoded and encoded as ``codec`` with the channels of ``layout`` (see ``layout_for``).

    A part that does not decode becomes silence as long as it and is counted in ``damaged`` where ``skip``
    says so; DamagedInputError otherwise. ``source`` and ``named`` are the input and the track for messages.
    ``fill``: silence goes where the times have a gap; ``missing`` gets each gap's start and length in seconds.
    """

    def __init__(self, container: av.container.OutputContainer, template: Any, codec: str, layout: str, *,
                 source: str, named: str, skip: bool, fill: bool = False) -> None:
        self.damaged = 0
        self.missing: list[tuple[Fraction, Fraction]] = []
        self.named = named
        self._fill = fill
        self._end: Fraction | None = None  # of what is encoded
        self._source, self._skip = source, skip
        self._decoder = decoder_of(template, f"{source}: its {named}")
        self._last: av.AudioFrame | None = None
        rate = _rate(codec, template.codec_context.sample_rate)
        self.stream = cast(av.AudioStream, container.add_stream(codec, rate=rate))
        encoder = self.stream.codec_context
        encoder.layout = layout
        encoder.bit_rate = (64_000 if codec == "libopus" else 96_000) * encoder.layout.nb_channels
        encoder.time_base = Fraction(1, rate)
        encoder.open()
        self._resampler = av.AudioResampler(encoder.format, encoder.layout, rate, encoder.frame_size or None)

    def send(self, packet: av.Packet) -> list[av.Packet]:
        made: list[av.Packet] = []
        for sound in self._decoded(copied(packet)):
            if sound.time_base is None and packet.time_base is not None:
                sound.time_base = packet.time_base
            made += self._placed(sound)
        return made

    def flush(self) -> list[av.Packet]:
        made: list[av.Packet] = []
        for sound in self._decoded(None):
            made += self._placed(sound)
        return [*made, *self._encoded(None), *self.stream.encode(None)]

    def _decoded(self, packet: av.Packet | None) -> list[av.AudioFrame]:
        try:
            sounds = self._decoder.decode(packet)
        except av.error.FFmpegError as error:
            self.damaged += 1
            if not self._skip:
                raise DamagedInputError(f"{self._source} is damaged{_at(packet)}: its {self.named} does not "
                                        f"decode ({reason(error)}); --on-error skip makes such parts silent "
                                        "and goes on") from error
            return _silence(packet, self._last)
        self._last = sounds[-1] if sounds else self._last
        return sounds

    def _placed(self, sound: av.AudioFrame) -> list[av.Packet]:
        """``sound``, encoded, behind silence for the gap before it."""
        made: list[av.Packet] = []
        if sound.pts is not None and sound.time_base is not None:
            start, length = sound.pts * sound.time_base, Fraction(sound.samples, sound.sample_rate)
            gap = Fraction(0) if self._end is None else start - self._end
            if self._fill and max(LEAST, length / 2) <= gap <= MOST:
                self.missing.append((start - gap, gap))
                for samples in _pieces(round(gap * sound.sample_rate)):
                    pts = round((start - gap) / sound.time_base)
                    made += self._encoded(_silent(sound, samples, pts, sound.time_base))
                    gap -= Fraction(samples, sound.sample_rate)
            self._end = start + length
        return made + self._encoded(sound)

    def _encoded(self, sound: av.AudioFrame | None) -> list[av.Packet]:
        return [packet for part in self._resampler.resample(sound) if part is not None
                for packet in self.stream.encode(part)]


def layout_for(codec: str, template: Any) -> str | None:
    """The layout that the encoder ``codec`` gets: the track's own, else the usual one of as many channels,
    else of those that hold fewer or more the nearest, else stereo. None for more than eight channels without
    names, which cannot be mixed down."""
    context = template.codec_context
    usual = LAYOUTS.get(context.layout.nb_channels)
    if usual is None and _unnamed(context.layout):
        return None
    rate = _rate(codec, context.sample_rate)
    layouts = [usual] if _unnamed(context.layout) else [context.layout.name, usual]
    layouts += [name for name, least in (("7.1", 7), ("5.1", 6)) if context.layout.nb_channels >= least]
    return next((name for name in layouts if name and _takes(codec, name, rate)), "stereo")


def name_channels(stream: Any, muxer: str) -> None:
    """Name the channels of a copied track that are only counted (AVI, PCM in Matroska), where nobody can err, and
    in .mp4 all: its head of PCM has no place for a mere count, and the file would fail at its end."""
    layout = None if stream.codec_context is None or stream.type != "audio" else stream.codec_context.layout
    most = 8 if muxer == "mp4" else 2
    if layout is not None and _unnamed(layout) and 0 < layout.nb_channels <= most:
        stream.codec_context.layout = LAYOUTS[layout.nb_channels]


def channels(layout: str) -> int:
    """The number of channels of a layout."""
    return av.AudioLayout(layout).nb_channels


def _unnamed(layout: av.AudioLayout) -> bool:
    """Whether the channels are only counted, as "6 channels"."""
    return layout.name == f"{layout.nb_channels} channels"


def _takes(codec: str, layout: str, rate: int) -> bool:
    """Whether the encoder opens with the layout, which FFmpeg does not list, and its head names the channels again.

    AAC has numbers for few layouts. With the others (5.1(side) of DVDs, 6.1) FFmpeg writes a table of its own,
    of which decoders know the count alone, and players send channels to the wrong speakers.
    """
    trial = cast(av.AudioCodecContext, av.CodecContext.create(codec, "w"))
    trial.sample_rate = rate
    trial.format = (trial.codec.audio_formats or [av.AudioFormat("s16")])[0]
    try:
        trial.layout = layout
        trial.open()
        if trial.codec.canonical_name != "aac":
            return True
        reader = av.CodecContext.create("aac", "r")
        reader.extradata = trial.extradata
        reader.open()
    except (ValueError, av.error.FFmpegError):
        return False
    return not _unnamed(reader.layout)


def _rate(codec: str, rate: int) -> int:
    """``rate`` where the encoder takes it."""
    return rate if rate in (av.Codec(codec, "w").audio_rates or [rate]) else RATE


def decoder_of(template: Any, named: str) -> av.AudioCodecContext:
    """A decoder of this output's own with all parameters of the stream ``template``. Raises SinkError, which begins
    with ``named``, where it cannot be decoded.

    PyAV has no setter for some (block_align, without which WMA does not open), but copies all of them when a
    stream is added from a template, which leaves a decoder of the same codec; the null muxer takes any.
    """
    with av.open(io.BytesIO(), "w", format="null") as trial:
        decoder = trial.add_stream_from_template(template).codec_context
    with contextlib.suppress(UnicodeDecodeError):  # PyAV 18 takes tags for ASCII; of AAC in AVI it is 0xff
        decoder.codec_tag = template.codec_context.codec_tag
    layout = template.codec_context.layout
    if _unnamed(layout) and layout.nb_channels in LAYOUTS:
        decoder.layout = LAYOUTS[layout.nb_channels]  # or it would be mixed as if named otherwise
    try:
        decoder.open()
    except (ValueError, av.error.FFmpegError) as error:
        raise SinkError(f"{named} cannot be decoded ({reason(error)}), and the container cannot hold it as "
                        "it is: write .mkv, or leave it out with --no-audio") from error
    return cast(av.AudioCodecContext, decoder)


def _at(packet: av.Packet | None) -> str:
    if packet is None or packet.pts is None or packet.time_base is None:
        return ""
    return f" at {float(packet.pts * packet.time_base):.3f} s"


def _silence(packet: av.Packet | None, like: av.AudioFrame | None) -> list[av.AudioFrame]:
    """Silence in place of ``packet``; none before the first block is decoded, whose format is needed.

    A gap would do where the container stores times; AVI does not, and all after it would come too early.
    """
    if packet is None or packet.pts is None or packet.time_base is None or like is None:
        return []
    seconds = (packet.duration or 0) * packet.time_base
    samples = round(seconds * like.sample_rate) if 0 < seconds < 1 else like.samples  # beyond: damage too
    return [_silent(like, samples, packet.pts, packet.time_base)]


def _silent(like: av.AudioFrame, samples: int, pts: int, time_base: Fraction) -> av.AudioFrame:
    made = av.AudioFrame(like.format, like.layout, samples)
    # of eight planes PyAV 18 lists more than there are
    for plane in made.planes[:made.layout.nb_channels if made.format.is_planar else 1]:
        plane.update(bytes([128 if "u8" in like.format.name else 0]) * plane.buffer_size)
    made.sample_rate, made.pts, made.time_base = like.sample_rate, pts, time_base
    return made


def _pieces(samples: int) -> list[int]:
    """So many samples in pieces of a usual size."""
    return [min(_PIECE, samples - at) for at in range(0, samples, _PIECE)]
