"""Frame, Matte and VideoInfo: what travels between the stages, with its array contract.

A decoded picture stays in the planes it came in; sources convert what is in no working format (``FORMATS`` of
pixel_formats.py) into one of them without loss (rgb24 to gbrp, nv12 to yuv420p, ...).
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from .geometry import Box
from .opencv import cv2
from .pixel_formats import FORMATS, Colour, Mastering, PixelFormat, Plane, rgb_from_yuv
from .resampling import halvings, shrink
from .spatial import Spatial

_KEPT = 640  # columns: copies from here on take a tenth of the memory of a picture of 1080 lines


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture.

    planes     tuple of (rows, columns) arrays, dtype and shape as FORMATS[format] says; rows may be
               padded (strided views); no stage writes into a frame that it was given
    format     a key of FORMATS
    colour     colour tags, carried to the output as they came
    pts        presentation time in ``time_base`` units, as the container gave it; None if it had none
    index      0, 1, 2, ... in order of presentation
    duration   in ``time_base`` units, None if unknown
    alpha      (height, width), same dtype, 0..peak: the input's own straight alpha, or None
    name       the file's name without its folder, for stills
    packets    av.Packets of the other tracks that were read before this frame (the last frame
               carries what follows it too); a sink copies those it keeps
    profile    a still picture's ICC profile of its colours, for RGB, as its file had it; None without
    captions   a tiny picture with the closed captions (A/53) that this one carries, for an encoder; or None
    composite  the same picture over a background, of a cut-out that is written with it; or None
    motion     what is known of the way here from the frame before: a ``temporal.Motion``, or None
    """

    planes: tuple[Plane, ...]
    format: str
    time_base: Fraction
    index: int
    pts: int | None = None
    colour: Colour = Colour()
    duration: int | None = None
    alpha: Plane | None = None
    name: str | None = None
    packets: tuple[av.Packet, ...] = ()
    owner: av.VideoFrame | None = field(default=None, repr=False)
    profile: bytes | None = field(default=None, repr=False)
    motion: object | None = field(default=None, repr=False)
    captions: av.VideoFrame | None = field(default=None, repr=False)
    composite: Frame | None = field(default=None, repr=False)
    _halves: dict[int, list[Plane]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        pixel = FORMATS.get(self.format)
        if pixel is None:
            raise ValueError(f"pixel format {self.format!r} is not a working format: {', '.join(FORMATS)}")
        if len(self.planes) != pixel.planes:
            raise ValueError(f"{self.format} has {pixel.planes} planes, not {len(self.planes)}")
        for number, plane in enumerate(self.planes):
            wanted = pixel.shape(number, self.width, self.height)
            if plane.shape != wanted or plane.dtype != pixel.dtype:
                raise ValueError(f"plane {number} of {self.format} must be {pixel.dtype} {wanted}, "
                                 f"not {plane.dtype} {plane.shape}")
        if self.alpha is not None and (self.alpha.shape != self.planes[0].shape
                                       or self.alpha.dtype != pixel.dtype):
            raise ValueError(f"alpha must be {pixel.dtype} {self.planes[0].shape}, "
                             f"not {self.alpha.dtype} {self.alpha.shape}")

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])

    @property
    def pixel(self) -> PixelFormat:
        return FORMATS[self.format]

    @property
    def full_range(self) -> bool:
        """Whether samples use all values: RGB does whatever its tag says; untagged YUV counts as limited."""
        return self.pixel.rgb or self.colour.full_range

    @property
    def time(self) -> Fraction | None:
        """Seconds as a Fraction, or None."""
        return None if self.pts is None else self.pts * self.time_base

    @classmethod
    def from_av(cls, picture: av.VideoFrame, index: int, *, time_base: Fraction | None = None,
                **extra: Any) -> Frame:
        """Views of a decoded picture's planes, no copy. ``picture.format`` must be in FORMATS."""
        name = picture.format.name
        pixel = FORMATS[name]
        planes = tuple(plane_view(picture, number, pixel) for number in range(pixel.planes))
        colour = Colour(int(picture.colorspace), int(picture.color_range),
                        int(picture.color_primaries), int(picture.color_trc))
        return cls(planes, name, time_base or picture.time_base or Fraction(1, 1000), index, picture.pts,
                   extra.pop("colour", colour), picture.duration or None, owner=picture, **extra)

    @classmethod
    def empty(cls, like: Frame, format: str | None = None, *, alpha: Plane | None = None) -> Frame:
        """An unfilled frame of ``like``'s size, time, colours and packets, whose planes are an encoder's
        own memory: fill ``planes`` in place, then hand it on; ``to_av`` copies nothing."""
        name = format or like.format
        picture = av.VideoFrame(like.width, like.height, name)
        pixel = FORMATS[name]
        planes = tuple(plane_view(picture, number, pixel) for number in range(pixel.planes))
        return cls(planes, name, like.time_base, like.index, like.pts, like.colour, like.duration,
                   alpha, like.name, like.packets, picture, like.profile, captions=like.captions)

    def to_av(self) -> av.VideoFrame:
        """The picture (without ``alpha``) for an encoder or swscale, with pts, time base and colour tags.

        Copies the planes unless the frame was made by ``from_av`` or ``empty``.
        """
        picture = self.owner
        if picture is None:
            picture = av.VideoFrame(self.width, self.height, self.format)
            for number, plane in enumerate(self.planes):
                np.copyto(plane_view(picture, number, self.pixel), plane)
        picture.pts = self.pts
        picture.time_base = self.time_base
        if self.duration:
            picture.duration = self.duration
        picture.colorspace = self.colour.matrix
        picture.color_range = self.colour.range
        picture.color_primaries = self.colour.primaries
        picture.color_trc = self.colour.transfer
        return picture

    def replacing(self, dropped: Frame) -> Frame:
        """This frame with the packets of ``dropped``, which gave way to it, before its own: only the picture is
        left out, not the sound."""
        return replace(self, packets=dropped.packets + self.packets) if dropped.packets else self

    def with_motion(self, motion: object | None) -> Frame:
        """The same frame with ``motion``, all else shared, small copies of the planes too."""
        if motion is self.motion:
            return self
        made = copy(self)
        object.__setattr__(made, "motion", motion)  # the rest was checked when the first one was made
        return made

    def rgb(self, size: tuple[int, int] | None = None, part: Box | None = None) -> npt.NDArray[np.uint8]:
        """uint8 (h, w, 3) RGB, 0..255, of the whole frame or of a ``part`` that begins at even pixels;
        ``size`` is (width, height), by default its own.

        Each plane is brought to the size first and only then turned into RGB, so that a small picture
        costs a fraction of a full-size conversion. Areas are averaged when shrinking.
        """
        width, height = size or ((part.width, part.height) if part else (self.width, self.height))
        if part:
            small = [shrink(plane, (width, height)) for plane in self.part(part)]
        else:
            small = [self.small(number, (width, height)) for number in range(len(self.planes))]
        if self.pixel.planes == 1:
            small = small * 3
        elif self.pixel.rgb:
            small = [small[2], small[0], small[1]]
        depth = self.pixel.depth
        if self.pixel.rgb or self.pixel.planes == 1:
            return _to_uint8(cv2.merge(small), 255.0 / self.pixel.peak)
        affine = rgb_from_yuv(self.colour, self.height, depth) * 255.0
        merged = cv2.merge(small)  # OpenCV rounds and saturates 8-bit results itself
        return _to_uint8(cv2.transform(merged if depth == 8 else merged.astype(np.float32), affine), 1.0)

    def part(self, box: Box) -> tuple[Plane, ...]:
        """Views of the planes where ``box`` (pixels of the frame, from even ones on) lies.

        Raises ValueError if it begins between chroma samples or does not lie in the frame.
        """
        if box.top % self.pixel.sy or box.left % self.pixel.sx or box.top < 0 or box.left < 0 \
                or box.top + box.height > self.height or box.left + box.width > self.width:
            raise ValueError(f"{box} is no part of a {self.format} picture of {self.width} x {self.height}")
        spans = [(1, 1), *[(self.pixel.sy, self.pixel.sx)] * 2][:len(self.planes)]
        return tuple(plane[box.top // sy:-(-(box.top + box.height) // sy),
                           box.left // sx:-(-(box.left + box.width) // sx)]
                     for plane, (sy, sx) in zip(self.planes, spans, strict=True))

    def luma(self, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
        """uint8 (h, w) brightness at ``size`` (width, height), contiguous: the Y plane, or of RGB."""
        target = size or (self.width, self.height)
        if self.pixel.rgb:
            return _to_uint8(cv2.cvtColor(self.rgb(target), cv2.COLOR_RGB2GRAY), 1.0)
        small = _to_uint8(self.small(0, target), 1.0 / (1 << (self.pixel.depth - 8)))
        return np.ascontiguousarray(small)

    def small(self, number: int, size: tuple[int, int]) -> Plane:
        """Plane ``number`` at ``size`` (width, height), as ``shrink`` makes it; not to be written to. What is halved on
        the way is kept for the next who asks, from _KEPT columns on: net, flow, cuts and blur all look at small copies
        of the same picture."""
        kept = self._halves.setdefault(number, [])
        width, height = size
        plane = next((item for item in reversed(kept) if item.shape[0] >= height and item.shape[1] >= width),
                     self.planes[number])
        for smaller in halvings(plane, size):
            plane = smaller
            if plane.shape[1] <= _KEPT:
                plane.setflags(write=False)  # whoever asks next must find it as it is
                kept.append(plane)
        return shrink(plane, size)


@dataclass(frozen=True, slots=True, eq=False)
class Matte:
    """``alpha``: float32 (h, w) in [0, 1], straight, 1 = person, at the segmenter's own size, covering
    the whole picture (row 0 is the picture's top edge), or within a run its ``area``: a box in pixels of the frame,
    from even ones on, outside of which there is no subject. ``raw``: alpha as the method gave it, where the steps are
    to be shown. ``given``: bool (h, w) as alpha, what the user has said is the subject; nothing doubts it.

    ``despill``: RGB 0..255 of a key colour whose reflection is to be taken out of this frame's subject,
    or None. It travels with the matte because a method may find the key only as it runs.
    """

    alpha: npt.NDArray[np.float32]
    despill: tuple[int, int, int] | None = None
    area: Box | None = None
    raw: npt.NDArray[np.float32] | None = None
    given: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.alpha.ndim != 2 or self.alpha.dtype != np.float32 or not self.alpha.size:
            raise ValueError(f"a matte must be float32 (h, w), not {self.alpha.dtype} {self.alpha.shape}")
        low, high = float(self.alpha.min()), float(self.alpha.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(f"a matte must lie in [0, 1], not in [{low:g}, {high:g}]")


@dataclass(frozen=True, slots=True)
class Track:
    """A track beside the picture. ``stream`` is the input's av stream, a template for the output's.

    ``kind``: audio, subtitle or data; attachment (a font, say) or cover picture, which have no packets.
    """

    index: int
    kind: str
    codec: str
    language: str | None = None
    stream: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known of an input before its first frame.

    width, height    in pixels, after rotation
    format           working pixel format of its frames
    rate             average frames a second, None if unknown; for display and encoders' hints only
    time_base        unit of the frames' pts
    duration         seconds, None if unknown (pipes, live)
    frames           the container's count, None if it has none
    colour           tags of the picture
    sample_aspect    pixel aspect ratio after rotation, 1 if square or unknown
    has_alpha        frames carry ``alpha``
    stills           each frame is a picture of its own (its size may differ, nothing carries over)
    live             frames come at their own pace and cannot wait
    variable_rate    True if the frames' distances are known to differ
    tracks           audio, subtitle and data tracks; ``chapters`` and ``metadata`` as PyAV gives them
    name             file name, URL or '-' for messages and default output names
    mastering        HDR10's metadata of the film
    spatial          the layout of two views and the projection of a sphere; None of a plain film
    labels           tags of the picture's own track: its title, its language
    plays            how many times an animation plays, 0 for ever; None where the input does not say
    """

    width: int
    height: int
    format: str
    time_base: Fraction
    rate: Fraction | None = None
    duration: float | None = None
    frames: int | None = None
    colour: Colour = Colour()
    sample_aspect: Fraction = Fraction(1)
    has_alpha: bool = False
    stills: bool = False
    live: bool = False
    variable_rate: bool = False
    tracks: tuple[Track, ...] = ()
    chapters: tuple[dict[str, Any], ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    name: str = ""
    mastering: Mastering | None = None
    spatial: Spatial | None = None
    labels: dict[str, str] = field(default_factory=dict)
    plays: int | None = None

    @property
    def expected_frames(self) -> int | None:
        """``frames``, else what duration and rate make (about, where the rate varies); None if unknown."""
        if self.frames is not None or self.duration is None or self.rate is None:
            return self.frames
        return math.ceil(self.duration * self.rate - 0.01)  # 0.2800000001 s at 25 a second are 7 frames


def _to_uint8(values: npt.NDArray[Any], scale: float) -> npt.NDArray[np.uint8]:
    """``values`` times ``scale``, rounded and cut off at 0 and 255; uint8 comes back as it is."""
    if values.dtype == np.uint8:
        return values
    return np.clip(np.rint(values * np.float32(scale)), 0, 255).astype(np.uint8)


def plane_view(picture: av.VideoFrame, number: int, pixel: PixelFormat) -> Plane:
    """A writable (rows, columns) view of plane ``number`` of a decoded picture, row padding left out.

    ``pixel`` says the plane's dtype and shape; of an alpha plane it is a one-plane format of the same
    depth. The view keeps the picture's memory alive.
    """
    plane = picture.planes[number]
    rows, columns = pixel.shape(number, picture.width, picture.height)
    samples: npt.NDArray[Any] = np.frombuffer(memoryview(plane), pixel.dtype)
    stride = plane.line_size // pixel.dtype.itemsize
    return samples[:rows * stride].reshape(rows, stride)[:, :columns]
