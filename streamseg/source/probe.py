"""What a container says about itself: its video streams, and the VideoInfo of the part that is read."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.format import Flags
from av.stream import Disposition

from ..core.frames import Frame, Track, VideoInfo
from ..core.pixel_formats import Mastering
from ..core.words import counted
from ..errors import SourceError
from ..options import MAX_PIXELS
from .heif import is_heif, picture_stream
from .open import LIVE, scheme, too_large
from .packet_sync import HOUR
from .timeline import TimeRange

# FFmpeg's demuxers of raw streams; the first ones' times are a count of frames at UNTIMED
COUNTED = ("h264", "hevc", "vvc", "evc", "mjpeg", "obu")
RAW = (*COUNTED, "m4v", "mpegvideo", "vc1", "cavsvideo", "avs2", "avs3", "dirac", "h261", "h263")
UNTIMED = Fraction(25)
COUNT = 44000  # times FFmpeg's 1,200,000 / 25 ticks it is a 32-bit number
# Brands of ISO 23008-12 and of AVIF for files whose primary item is one picture
HEIF_STILLS = ("heic", "heix", "heim", "heis", "mif1", "mif2", "avif", "miaf")
ROUNDED = Fraction(1, 2_000_000)  # of a rate: 29011/242, which comes back of 120000/1001, differs by 1/2,640,000


def select_stream(container: Any, name: str, number: int | None, limit: int = MAX_PIXELS) -> Any:
    """The video stream to decode: number ``number``, or FFmpeg's best. A cover picture is none.

    Raises SourceError where there is no picture, no such stream or no decoder, or where it has more pixels than
    ``limit``.
    """
    streams = video_streams(container)
    if not streams:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        cover = " and a cover picture" if container.streams.video else ""
        found = " and ".join(kind for kind in kinds if kind != "video")
        raise SourceError(f"{name} has no picture; there is only {found}{cover} in it")
    if number is not None and number >= len(streams):
        raise SourceError(f"stream is {number}; {name} has {counted(len(streams), 'video stream')}, numbered from 0")
    best = _best(container, streams)
    stream = streams[number] if number is not None else best if best in streams else streams[0]
    if stream.codec_context is None:  # asking such a stream for anything can end the process: PyAV #2344
        if is_picture(container):  # SVG
            raise SourceError(f"{name}: this FFmpeg has no decoder for {container.format.name.removesuffix('_pipe')} "
                              "pictures; convert it to PNG first")
        raise SourceError(f"{name}: this FFmpeg has no decoder for its video; convert it to H.264, VP9, "
                          "AV1 or FFV1 first")
    if stream.codec_context.width * stream.codec_context.height > limit:
        raise too_large(name, stream.codec_context.width, stream.codec_context.height, limit)
    return stream


def choice_note(container: Any, stream: Any, name: str, number: int | None) -> list[str]:
    """Which one was taken of a file with icons of several sizes; empty where there is one, or the user chose."""
    others = len(video_streams(container)) - 1
    if container.format.name != "ico" or not others or number is not None:
        return []
    size = f"{stream.codec_context.width} x {stream.codec_context.height}"
    return [f"{name} holds {others + 1} pictures: the largest is taken, {size}; --stream 0 to {others} says which"]


def _best(container: Any, streams: list[Any]) -> Any:
    """The stream that is meant where nobody says which: of icons the largest, of HEIC and AVIF the picture, which may
    have fewer bits than its alpha; else FFmpeg's best."""
    if container.format.name == "ico":
        return max(streams, key=_area)
    meant = picture_stream(container) if is_heif(container) else None
    return container.streams.best("video") if meant is None else meant


def _area(stream: Any) -> int:
    context = stream.codec_context
    return 0 if context is None else context.width * context.height


def video_streams(container: Any) -> list[Any]:
    """The video streams without cover pictures."""
    return [stream for stream in container.streams.video if not is_cover(stream)]


def is_cover(stream: Any) -> bool:
    """Whether a video stream is a cover picture, as movies and songs have."""
    return bool(stream.type == "video" and Disposition(stream.disposition) & Disposition.attached_pic)


def is_picture(container: Any) -> bool:
    """Whether the input is a picture file. One may hold several: icons of some sizes, or pictures one after another,
    which are a film (``series``)."""
    name: str = container.format.name
    return name.endswith("_pipe") or name in ("image2", "ico") or _is_heif_still(container)


def _is_heif_still(container: Any) -> bool:
    """Whether it is a HEIC or AVIF without a sequence: FFmpeg reads each of its pictures as a track of one frame."""
    brand = container.metadata.get("major_brand", "")
    return "mp4" in container.format.name and brand in HEIF_STILLS and all(
        stream.frames <= 1 for stream in container.streams.video)


def has_times(container: Any) -> bool:
    """Whether the container stores times. Raw streams and pictures have none: FFmpeg counts UNTIMED a second."""
    return not is_picture(container) and container.format.name not in RAW


def has_own_times(container: Any) -> bool:
    """Whether a picture's time is to be believed: the container stores it, or it is a count at UNTIMED. Demuxers of
    older raw streams mix the codec's rate into it."""
    name: str = container.format.name
    return has_times(container) or is_picture(container) or name in COUNTED


def counts_by_decoding(container: Any) -> bool:
    """Whether a container stores when pictures are decoded, and not when they are shown: AVI. Where B frames lie
    between, the times of display that FFmpeg gives are made up."""
    return bool(container.format.name == "avi")


def frame_rate(stream: Any, container: Any, requested: Fraction | None = None) -> Fraction | None:
    """The rate that the container states, None where it states none or an impossible one. Without times it is
    the ``requested`` rate, or else what the codec states."""
    if not has_times(container):
        return _countable(stream, requested or plausible(stream.codec_context.framerate) or UNTIMED)
    return as_filmed(plausible(stream.average_rate) or plausible(stream.guessed_rate))


def _countable(stream: Any, rate: Fraction) -> Fraction:
    """``rate``, or the next to it whose time base FFmpeg can hold: numerator and denominator are 32-bit numbers."""
    base = (stream.time_base or Fraction(1, 1000)) * UNTIMED / rate
    if max(base.numerator, base.denominator) < 1 << 31:
        return rate
    most = COUNT if rate < 1 else max(1, int(COUNT / rate))
    return max(rate.limit_denominator(most), Fraction(1, COUNT))


def time_base_of(stream: Any, container: Any, requested: Fraction | None = None) -> Fraction:
    """What the stream's times are counted in, seconds. Without times it is chosen to give the frame rate."""
    base: Fraction = stream.time_base or Fraction(1, 1000)
    if has_times(container):
        return base
    return base * UNTIMED / (frame_rate(stream, container, requested) or UNTIMED)


def plausible(value: Fraction | None) -> Fraction | None:
    """A rate or an aspect ratio; None where it is missing or out of range."""
    return value if value is not None and 0 < value <= 1000 else None


def as_filmed(rate: Fraction | None) -> Fraction | None:
    """A rate as it was before a container rounded it: Matroska stores 60000/1001 as nanoseconds a frame, and gives
    back 19001/317, which some encoders refuse. Rates that differ by more than ROUNDED, as 29.97, stay."""
    if rate is None:
        return None
    near = [Fraction(round(rate)), Fraction(1000 * round(rate * Fraction(1001, 1000)), 1001)]
    return next((other for other in near if 0 < abs(rate - other) < ROUNDED * other), rate)


def is_jumpy(container: Any, name: str) -> bool:
    """Whether the clock of such a container may jump: transport streams, HLS, what comes live."""
    discontinuous = bool(container.format.flags & Flags.ts_discont.value)
    return discontinuous or container.format.name == "sdp" or scheme(name) in LIVE


def beginning(stream: Any, container: Any) -> Fraction:
    """The time in seconds at which the input begins: that of the earliest track whose clock is the pictures'."""
    whole = Fraction(container.start_time or 0, av.time_base)
    if not _is_of_another_clock(stream, whole):
        return whole
    starts = [start for other in container.streams if (start := _start(other)) is not None]
    return min(start for start in starts if not _is_of_another_clock(stream, start))


def _start(stream: Any) -> Fraction | None:
    return None if stream.start_time is None or not stream.time_base else stream.start_time * stream.time_base


def _is_of_another_clock(stream: Any, time: Fraction) -> bool:
    own = _start(stream)
    return own is not None and abs(own - time) > HOUR


def stated_end(stream: Any, container: Any) -> float | None:
    """The end in seconds that the container states, None where it states none."""
    start = (container.start_time or 0) / av.time_base
    strange = any(_is_of_another_clock(stream, time) for other in container.streams
                  if (time := _start(other)) is not None)  # what the container states is made of all clocks
    if container.duration and container.duration > 0 and not strange:
        return start + container.duration / av.time_base
    if not stream.duration:
        return None
    return float((stream.start_time or 0) + stream.duration) * float(stream.time_base or Fraction(1, 1000))


def probe(container: Any, stream: Any, tracks: list[Any], part: TimeRange, *, frame: Frame, rate: Fraction | None,
          stills: bool, transposed: bool, end: float | None, mastering: Mastering | None, name: str) -> VideoInfo:
    """The VideoInfo of the ``part`` of the input that is read; ``frame`` is its first frame, ``end`` the stated
    end in seconds."""
    aspect = plausible(stream.sample_aspect_ratio) or Fraction(1)
    whole = part.whole
    length = None if end is None else max(0.0, end - float(part.zero if part.begin is None else part.begin))
    if length is not None and part.limit is not None:
        length = min(length, float(part.limit))
    return VideoInfo(
        frame.width, frame.height, frame.format, frame.time_base, rate, length,
        (stream.frames or None) if whole else None, frame.colour, 1 / aspect if transposed else aspect,
        frame.alpha is not None, stills=stills, live=scheme(name) in LIVE,
        variable_rate=has_variable_rate(stream, container), tracks=tuple(_track(track) for track in tracks),
        chapters=_chapters(container, part), metadata=dict(container.metadata), name=name,
        mastering=mastering)


def labels_of(stream: Any) -> dict[str, str]:
    """The picture track's title and language, where it has them."""
    found = {key.lower(): value for key, value in stream.metadata.items()}
    return {key: found[key] for key in ("title", "language") if found.get(key, "und") != "und"}


def _chapters(container: Any, part: TimeRange) -> tuple[dict[str, Any], ...]:
    """The container's chapters within ``part``, shifted as the frames are."""
    found = []
    for chapter in container.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        shift = part.shift(base)
        start, end = chapter["start"] - shift, chapter["end"] - shift
        if shift:
            start = max(0, start)
        if part.limit is not None and part.origin is not None:
            end = min(end, int((part.limit + part.origin) / base) - shift)
        if start < end:
            found.append({**chapter, "start": start, "end": end})
    return tuple(found)


def _track(stream: Any) -> Track:
    context = stream.codec_context
    codec = context.name if context is not None else str(getattr(stream, "name", None) or "unknown")
    kind = "cover picture" if stream.type == "video" else stream.type
    return Track(stream.index, kind, codec, stream.metadata.get("language"), stream)


def has_variable_rate(stream: Any, container: Any) -> bool:
    """Whether the distances between frames are known to differ: by the times in the index, or by the average
    and the base rate. The container's rounding of times (Matroska: to 1 ms) does not count."""
    average, base = plausible(stream.average_rate), plausible(stream.base_rate)
    if "mp4" in container.format.name:
        times = sorted(stream.index_entries[number].timestamp
                       for number in range(min(256, len(stream.index_entries))))
        steps = np.diff(np.array(times)) if len(times) > 2 else np.array([0])
        return bool(steps.max() - steps.min() > max(1, 0.002 / float(stream.time_base)))
    return average is not None and base is not None and abs(average / base - 1) > Fraction(1, 50)
