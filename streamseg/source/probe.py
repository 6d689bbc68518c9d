"""What a container says of itself: the VideoInfo of an opened input, and what brings it upright."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np

from ..core.frames import Frame, Track, VideoInfo
from ..core.pixel_formats import Mastering
from .exif import orientation
from .formats import Turn, turn_of_angle, turn_of_exif, turn_of_matrix
from .open import LIVE, scheme
from .timeline import TimeRange

# What FFmpeg decodes PNG and APNG to. Their colour profile has a name, which PyAV 18.1 frees once with the
# side data and once with the picture: a PNG with a profile, as Macs' screenshots have, ended the process.
AS_PNG = ("rgb24", "rgba", "rgb48be", "rgba64be", "gray", "gray16be", "ya8", "ya16be", "monob", "pal8")


def described(container: Any, stream: Any, tracks: list[Any], window: TimeRange, *, frame: Frame,
              transposed: bool, rate: Fraction | None, end: float | None, mastering: Mastering | None,
              name: str) -> VideoInfo:
    """The VideoInfo of what ``window`` leaves of the input; ``frame`` is its first, ``end`` the stated
    end in seconds."""
    aspect = sensible(stream.sample_aspect_ratio) or Fraction(1)
    whole = window.begin is None and window.limit is None
    zero = Fraction(container.start_time or 0, av.time_base)
    length = None if end is None else max(0.0, end - float(zero if window.begin is None else window.begin))
    if length is not None and window.limit is not None:
        length = min(length, float(window.limit))
    return VideoInfo(
        frame.width, frame.height, frame.format, frame.time_base, rate, length,
        (stream.frames or None) if whole else None, frame.colour, 1 / aspect if transposed else aspect,
        frame.alpha is not None, stills=is_picture(container), live=scheme(name) in LIVE,
        variable_rate=varies(stream, container), tracks=tuple(_track(track) for track in tracks),
        chapters=_chapters(container, window), metadata=dict(container.metadata), name=name,
        mastering=mastering)


def _chapters(container: Any, window: TimeRange) -> tuple[dict[str, Any], ...]:
    """The container's chapters within the window, shifted as the frames are."""
    found = []
    for chapter in container.chapters():
        base = chapter["time_base"] or Fraction(1, 1000)
        shift = window.shift(base)
        start, end = chapter["start"] - shift, chapter["end"] - shift
        if shift:
            start = max(0, start)
        if window.limit is not None and window.origin is not None:
            end = min(end, int((window.limit + window.origin) / base) - shift)
        if start < end:
            found.append({**chapter, "start": start, "end": end})
    return tuple(found)


def _track(stream: Any) -> Track:
    context = stream.codec_context
    codec = context.name if context is not None else str(getattr(stream, "name", None) or "unknown")
    kind = "cover picture" if stream.type == "video" else stream.type
    return Track(stream.index, kind, codec, stream.metadata.get("language"), stream)


def is_picture(container: Any) -> bool:
    """Whether FFmpeg reads the input as one still picture."""
    name: str = container.format.name
    return name.endswith("_pipe") or name == "image2"


def sensible(value: Fraction | None) -> Fraction | None:
    """A rate or an aspect ratio, None where it is missing or out of all reason."""
    return value if value is not None and 0 < value <= 1000 else None


def varies(stream: Any, container: Any) -> bool:
    """Whether the frames' distances are known to differ: by the index's times, or by average and base
    rate. A container's rounding of times (Matroska: to 1 ms) does not count."""
    average, base = sensible(stream.average_rate), sensible(stream.base_rate)
    if "mp4" in container.format.name:
        times = sorted(stream.index_entries[number].timestamp
                       for number in range(min(256, len(stream.index_entries))))
        steps = np.diff(np.array(times)) if len(times) > 2 else np.array([0])
        return bool(steps.max() - steps.min() > max(1, 0.002 / float(stream.time_base)))
    return average is not None and base is not None and abs(average / base - 1) > Fraction(1, 50)


def upright(picture: av.VideoFrame, packet: bytes) -> Turn | None:
    """What brings the pictures upright, from the display matrix or from EXIF in the first packet; None
    for an angle that is not a multiple of 90 degrees."""
    if picture.format.name in AS_PNG:
        return _without_side_data(picture, packet)
    side = side_data(picture)
    if side is None:
        return _without_side_data(picture, packet)
    matrix = np.frombuffer(side.get("DISPLAYMATRIX", b""), np.int32)
    return turn_of_matrix([int(value) for value in matrix]) if len(matrix) else Turn()


def side_data(picture: av.VideoFrame) -> dict[str, bytes] | None:
    """What comes beside a picture, by its kind; None where PyAV cannot list it: with EXIF among it."""
    # Asked for its side data, a frame of PyAV refers to itself: until the garbage collector comes by it keeps
    # the decoder's pictures in memory, some 10 MB of each film opened. A tiny one may.
    tiny = picture.reformat(width=16, height=16, format="gray")
    try:
        side: Any = tiny.side_data  # PyAV's stub calls it a mapping of one kind
        return {item.type.name: bytes(item) for item in side}
    except ValueError:
        return None


def _without_side_data(picture: av.VideoFrame, packet: bytes) -> Turn | None:
    """As ``upright``; of a display matrix the rotation alone, its mirroring is not told."""
    found = orientation(packet)
    return turn_of_exif(found) if found != 1 else turn_of_angle(picture.rotation)
