"""Silence where packets of a sound track are missing, as in recordings from the air.

A gap in the times is silence too, but not everywhere: AVI stores no times, so all after a gap would come too early,
and many a player and editor joins what lies on both sides. So packets of silence, in the track's own codec, go there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np

from ..errors import SinkError
from .packets import copied
from .sound import LEAST, MOST, decoder_of

# Codecs whose packets stand alone, with the encoder that makes a silent one and its options
_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "aac": ("aac", {}), "mp2": ("mp2", {}), "mp3": ("libmp3lame", {"reservoir": "0"}), "ac3": ("ac3", {}),
    "eac3": ("eac3", {}), "opus": ("libopus", {})}
_VARYING = ("opus",)  # packets of several lengths in one track
_PCM = {"pcm_u8": b"\x80", "pcm_alaw": b"\xd5", "pcm_mulaw": b"\xff"}  # others: zero
_PCM_SAMPLES = 1024
SILENT, KEPT = "there it is silent", "its times are kept"
_NAMED = 3  # places that a note names
_ADTS = 7  # bytes of the header of an AAC packet in MPEG-TS


@dataclass(frozen=True, slots=True)
class _Silent:
    """A packet of silence and how long it lasts, in seconds."""

    data: bytes
    length: Fraction


class Pauses:
    """What is missing between the packets of one copied sound track.

    ``template``: the input's stream. ``fill``: silence goes there, else only damage is looked for. ``every``: for
    damage every packet is decoded; else only those that the demuxer calls corrupt.
    """

    def __init__(self, template: Any, *, fill: bool, every: bool) -> None:
        self._template, self._fill, self._every = template, fill, every
        self._adts: bool | None = None  # packets have a header each, of AAC in MPEG-TS
        self._codec: str = template.codec_context.codec.canonical_name
        self._end: Fraction | None = None  # of what is written
        self._usual: Fraction | None = None  # the shortest packet's length, in seconds
        self._places: list[tuple[Fraction, Fraction]] = []  # when something is missing, and how long
        self._open = False  # the last gap left over
        self._silent: _Silent | None = None
        self._tried = False
        self._decoder: av.AudioCodecContext | None = None

    def is_damaged(self, packet: av.Packet) -> bool:
        """Whether no player can make sound of the packet. A demuxer calls many packets corrupt around a lost one, and
        not each that is."""
        data = bytes(packet)
        if self._codec == "aac" and self._adts is None:
            self._adts = _has_adts(data)
        if self._adts and not (_has_adts(data) and _adts_length(data) == len(data)):
            return True
        if not (self._every or packet.is_corrupt):
            return False
        try:
            self._decoder = self._decoder or decoder_of(self._template, "sound")
            self._decoder.decode(copied(packet))
        except SinkError:  # there is no decoder
            return False
        except av.error.FFmpegError:
            return True
        return False

    def before(self, packet: av.Packet) -> list[av.Packet]:
        """Silence for the gap between what was written and ``packet``; none where there is no gap."""
        start = _start(packet)
        if not self._fill or start is None or self._end is None:
            return []
        gap = start - self._end
        if gap < max(LEAST, (self._usual or 0) / 2):
            return []
        self._places.append((self._end, gap))
        made = self._packets(packet, self._end, gap)
        if made:
            self._end = start
        else:
            self._open = True
        return made

    def wrote(self, packet: av.Packet) -> None:
        """``packet`` is written: what follows begins at its end."""
        start = _start(packet)
        if start is None or packet.time_base is None:
            return
        length = (packet.duration or 0) * packet.time_base
        if self._codec in _ENCODERS and self._codec not in _VARYING:
            # MP4 gives the packet before a gap the gap's length as well
            self._usual = length = min(filter(None, (length, self._usual)), default=Fraction(0))
        self._end = start + length if length else None

    def note(self, named: str) -> str | None:
        """What is to be said of the track ``named``; None where nothing was missing."""
        return missing(named, self._places, KEPT if self._open else SILENT)

    def _packets(self, like: av.Packet, begin: Fraction, gap: Fraction) -> list[av.Packet]:
        """Silence from ``begin`` on, for ``gap`` seconds, in packets such as ``like``; none where it cannot be made."""
        if gap > MOST:
            return []
        if self._codec.startswith("pcm_"):
            return [_packet(data, begin + at, length, like) for data, at, length in self._pcm(gap)]
        if not self._tried:
            self._tried, self._silent = True, silent(self._template, like)
        if self._silent is None:
            return []
        length = self._silent.length
        return [_packet(self._silent.data, begin + number * length, length, like)
                for number in range(round(gap / length))]

    def _pcm(self, gap: Fraction) -> Iterator[tuple[bytes, Fraction, Fraction]]:
        """Pieces of silence, each with when it begins in the gap and how long it is."""
        context = self._template.codec_context
        rate, size = context.sample_rate, context.layout.nb_channels * _pcm_bytes(self._codec)
        samples = round(gap * rate)
        for at in range(0, samples, _PCM_SAMPLES):
            count = min(_PCM_SAMPLES, samples - at)
            yield _PCM.get(self._codec, b"\0") * (count * size), Fraction(at, rate), Fraction(count, rate)


def _pcm_bytes(codec: str) -> int:
    """The bytes of a sample, from the codec's name, as pcm_s24le."""
    found = re.search(r"\d+", codec)
    return int(found[0]) // 8 if found else 1


def missing(named: str, places: Sequence[tuple[Fraction, Fraction]], remedy: str) -> str | None:
    """A note on the ``places`` (start and length in seconds) at which the track ``named`` has no sound."""
    if not places:
        return None
    listed = ", ".join(f"{float(start):.3f} s" for start, _ in places[:_NAMED])
    more = len(places) - _NAMED
    others = f" and {more} other place{'s' if more > 1 else ''}" if more > 0 else ""
    whole = float(sum(length for _, length in places))
    return f"sound of {named} is missing at {listed}{others}, {whole:.2f} s in all; {remedy}"


def silent(template: Any, like: av.Packet) -> _Silent | None:
    """A silent packet for the track ``template`` of packets such as ``like``; None for a codec of which none can be
    made. It is one that the track's own decoder makes silence of."""
    context = template.codec_context
    name, options = _ENCODERS.get(context.codec.canonical_name, ("", {}))
    if not name:
        return None
    try:
        data = _encoded(name, options, context)
        head = bytes(like)[:_ADTS]
        if name == "aac" and _has_adts(head):
            data = _with_adts(head, data)
        decoder = decoder_of(template, "sound")
        sounds = [sound for _ in range(3) for sound in decoder.decode(av.Packet(data))]
    except (ValueError, SinkError, av.error.FFmpegError):
        return None
    if not sounds or np.abs(sounds[-1].to_ndarray().astype(np.float64)).max() > _loudest(sounds[-1]):
        return None
    return _Silent(data, Fraction(sounds[-1].samples, sounds[-1].sample_rate))


def _loudest(sound: av.AudioFrame) -> float:
    """What still counts as silence: -80 dB."""
    return {"flt": 1e-4, "s16": 3.0, "s32": 2e5}.get(sound.format.packed.name, 0.0)


def _encoded(name: str, options: dict[str, str], like: Any) -> bytes:
    """The fourth packet of silence that the encoder ``name`` makes: the first ones hold how it begins."""
    encoder = cast(av.AudioCodecContext, av.CodecContext.create(name, "w"))
    encoder.sample_rate, encoder.layout = like.sample_rate, like.layout
    encoder.format = (encoder.codec.audio_formats or [av.AudioFormat("s16")])[0]
    encoder.time_base = Fraction(1, like.sample_rate)
    encoder.options = options
    encoder.open()
    packets: list[av.Packet] = []
    for number in range(6):
        sound = av.AudioFrame(encoder.format, encoder.layout, encoder.frame_size)
        for plane in sound.planes[:sound.layout.nb_channels if sound.format.is_planar else 1]:
            plane.update(bytes(plane.buffer_size))
        sound.sample_rate, sound.pts, sound.time_base = like.sample_rate, number * encoder.frame_size, encoder.time_base
        packets += encoder.encode(sound)
    packets += encoder.encode(None)
    return bytes(packets[3])


def _has_adts(data: bytes) -> bool:
    return len(data) >= _ADTS and data[0] == 0xFF and data[1] & 0xF6 == 0xF0


def _adts_length(data: bytes) -> int:
    """The length of the packet in bytes as its header says it."""
    return (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5


def _with_adts(head: bytes, data: bytes) -> bytes:
    """``data`` behind the header ``head`` of another packet, without a check sum and with its own length (ISO/IEC
    14496-3, 1.A.2.2)."""
    length = _ADTS + len(data)
    return bytes((head[0], head[1] | 1, head[2], head[3] & 0xFC | length >> 11, length >> 3 & 0xFF,
                  (length & 7) << 5 | head[5] & 0x1F, head[6] & 0xFC)) + data


def _packet(data: bytes, start: Fraction, length: Fraction, like: av.Packet) -> av.Packet:
    made = av.Packet(data)
    made.time_base = time_base = like.time_base
    made.pts = made.dts = round(start / time_base)
    made.duration = round(length / time_base)
    made.is_keyframe = True
    return made


def _start(packet: av.Packet) -> Fraction | None:
    when = packet.dts if packet.pts is None else packet.pts
    return None if when is None or packet.time_base is None else when * packet.time_base
