"""Decoded pictures to Frames: pixel format, size, orientation.

Every format that FFmpeg decodes to becomes one of the working formats in ``core.pixel_formats.FORMATS``, without
loss where a working format can hold it. A picture in a working format is not touched. The swscale conversions
used here (packed to planar, 9 to 10 bits, ...) were checked to be exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from ..core.frames import Frame, plane_view
from ..core.matrices import kept
from ..core.opencv import cv2
from ..core.pixel_formats import FORMATS, FULL, LIMITED, Colour, PixelFormat
from ..errors import SourceError
from ..options import MAX_PIXELS
from .float_pictures import encoded
from .orientation import Turn


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """How a decoded pixel format is worked on.

    target    the format to convert to, which may have an alpha plane (yuva420p, gbrap, ...)
    format    its colour planes' working format, a key of FORMATS
    alpha     there is an alpha plane, the fourth
    same      the decoded planes already lie as ``target`` says: no conversion
    full      the format itself says that the range is full (yuvj420p, RGB, grey)
    few       bits of green, blue and red where they are 3 to 7, as in RGB of 16 bits a pixel; else None
    """

    target: str
    format: str
    alpha: bool
    same: bool
    full: bool
    few: tuple[int, ...] | None = None


@cache
def layout(name: str, transposed: bool = False) -> PlaneLayout:
    """The layout of FFmpeg's pixel format ``name``. Raises SourceError for one without samples.

    ``transposed``: rows become columns later, so 4:2:2 (which would become 4:4:0) is made 4:4:4.
    """
    pixel = av.VideoFormat(name, 16, 16)
    parts = pixel.components
    if not parts:
        raise SourceError(f"pictures in {name} live on a device and cannot be read: leave --hwaccel out")
    alpha = any(part.is_alpha for part in parts) or pixel.has_palette
    depth = max(part.bits for part in parts)
    if name.startswith("bayer"):
        depth = 16 if name.endswith(("16le", "16be")) else 8
    if pixel.is_rgb or pixel.has_palette or name.startswith(("gray", "mono", "ya8", "ya16", "yaf", "xyz")):
        tail = _tail(depth, 16)
        target, working = ("gbrap" if alpha else "gbrp") + tail, "gbrp" + tail
        bits = tuple(parts[number].bits for number in (1, 2, 0)) if pixel.is_rgb and len(parts) >= 3 else (8,)
        few = bits if 3 <= min(bits) < 8 and not pixel.has_palette else None
        return PlaneLayout(target, working, alpha, name == target, True, few)
    sampling = _sampling(pixel.chroma_width(16), pixel.chroma_height(16), transposed)
    tail = _tail(depth, 10 if alpha and sampling == "420" else 12)  # there is no yuva420p12
    target, working = ("yuva" if alpha else "yuv") + sampling + "p" + tail, "yuv" + sampling + "p" + tail
    plain = name.replace("yuvj", "yuv")
    return PlaneLayout(target, working, alpha, plain == target, name.startswith("yuvj"))


def _tail(depth: int, most: int) -> str:
    """The end of the smallest working format's name that holds ``depth`` bits, of at most ``most``."""
    fitting = [bits for bits in (8, 10, 12, 16) if bits <= most and bits >= min(depth, most)]
    return "" if fitting[0] == 8 else f"{fitting[0]}le"


def _sampling(width: int, height: int, transposed: bool) -> str:
    """4:x:x of chroma planes that are ``width`` x ``height`` to 16 x 16 luma samples."""
    if width == 16:
        return "444"
    if height == 16:
        return "444" if transposed else "422"
    return "420"


class Normaliser:
    """Decoded pictures to Frames. Not shared between threads.

    With ``fixed`` all pictures get the first one's size and format (a stream must not change them), or the size
    ``canvas`` (as stored, before ``turn``); ``rescaled`` counts those that had another size. Pictures of more than
    MAX_PIXELS are reduced, so that what works on them needs no more memory; ``reduced``: width and height of the
    latest of them as it was. ``bright`` counts those in which something is brighter than white, which is cut off.
    """

    def __init__(self, turn: Turn, *, fixed: bool, canvas: tuple[int, int] | None = None) -> None:
        self.turn = turn
        self.fixed = fixed
        self.rescaled = self.bright = 0
        self.reduced: tuple[int, int] | None = None
        self._canvas = canvas
        self._first: tuple[PlaneLayout, int, int, Colour] | None = None
        self._reformatter = VideoReformatter()

    def frame(self, picture: av.VideoFrame, index: int, pts: int, time_base: Fraction,
              duration: int | None, *, name: str | None = None,
              packets: tuple[av.Packet, ...] = ()) -> Frame:
        """The picture upright, in a working format; planes are the decoder's own where they can be."""
        picture, bright = encoded(picture)
        self.bright += bright
        picture = of_eight_bits(picture)
        working = layout(picture.format.name, self.turn.transpose)
        size, colour = (picture.width, picture.height), colour_of(picture, working)
        convert, canvas = not working.same, None
        if size[0] * size[1] > MAX_PIXELS:
            self.reduced, size, convert = size, bounded(size), True
        span = FULL if working.full or colour.full_range else LIMITED
        if self.fixed:
            first = self._first = self._first or (working, *(self._canvas or size), colour)
            self.rescaled += size != first[1:3]
            if first[0].target != working.target or size != first[1:3]:
                working, colour, convert = first[0], first[3], True
                size, canvas = inner_size(size, first[1:3]), first[1:3]
        if convert:
            goal = FULL if working.full or colour.full_range else LIMITED
            # One thread: swscale's vector code writes past the end of rows, and where slices run in threads
            # that lands in rows already done (161 x 121 yuv422p10 to 444: wrong in 144 of 400 pictures).
            picture = self._reformatter.reformat(picture, *size, working.target, src_color_range=span,
                                                 dst_color_range=goal, threads=1, **kept(int(picture.colorspace)))
        if canvas is not None and canvas != size:
            picture = bordered(picture, canvas, working, colour)
        if self.turn:
            picture = turned(picture, working, self.turn)
        pixel, grey = FORMATS[working.format], _alpha_format(working.format)
        planes = tuple(plane_view(picture, number, pixel) for number in range(3))
        alpha = plane_view(picture, 3, grey) if working.alpha else None
        owner = picture if picture.format.name == working.format else None
        return Frame(planes, working.format, time_base, index, pts, colour, duration, alpha, name, packets,
                     owner)


def of_eight_bits(picture: av.VideoFrame) -> av.VideoFrame:
    """A picture that has 3 to 7 bits of each colour as one of 8, others as they are. swscale appends zeros to the bits,
    so that white is 248: in whatever it makes of such a picture in one step."""
    made, colour = layout(picture.format.name), int(picture.colorspace)
    if made.few is None:
        return picture
    wide = picture.reformat(format=made.target, threads=1, src_color_range=FULL, dst_color_range=FULL, **kept(colour))
    for number, few in enumerate(made.few):
        plane = plane_view(wide, number, FORMATS["gbrp"])
        table = np.rint((np.arange(256) >> (8 - few)) * (255 / ((1 << few) - 1))).astype(np.uint8)
        np.copyto(plane, cv2.LUT(np.ascontiguousarray(plane), table))
    return wide


def bounded(size: tuple[int, int]) -> tuple[int, int]:
    """The largest even size of about the same aspect that has at most MAX_PIXELS."""
    scale = math.sqrt(MAX_PIXELS / (size[0] * size[1]))
    return max(2, int(size[0] * scale) // 2 * 2), max(2, int(size[1] * scale) // 2 * 2)


def inner_size(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the aspect of ``size`` in ``canvas``, even; the canvas itself if that is nearly it."""
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    inner = [max(2, round(side * scale / 2) * 2) for side in size]
    if all(whole - part <= max(2, whole // 50) for part, whole in zip(inner, canvas, strict=True)):
        return canvas
    return min(inner[0], canvas[0]), min(inner[1], canvas[1])


def bordered(picture: av.VideoFrame, canvas: tuple[int, int], working: PlaneLayout, colour: Colour
             ) -> av.VideoFrame:
    """The picture in the middle of a black one of the size ``canvas``; its alpha is 0 there."""
    made = av.VideoFrame(*canvas, working.target)
    pixel, grey = FORMATS[working.format], _alpha_format(working.format)
    unit = 1 << (pixel.depth - 8)
    limited = not (pixel.rgb or working.full or colour.full_range)
    black = (16 * unit if limited else 0, *([0, 0] if pixel.rgb else [128 * unit, 128 * unit]), 0)
    for number in range(4 if working.alpha else 3):
        kind = grey if number == 3 else pixel
        plane, part = plane_view(made, number, kind), plane_view(picture, number, kind)
        plane.fill(black[number])
        across, down = round(made.width / plane.shape[1]), round(made.height / plane.shape[0])  # pixels a sample spans
        left, top = (canvas[0] - picture.width) // 4 * 2 // across, (canvas[1] - picture.height) // 4 * 2 // down
        plane[top:top + part.shape[0], left:left + part.shape[1]] = part
    return made


def colour_of(picture: av.VideoFrame, working: PlaneLayout) -> Colour:
    """The picture's tags; a format that is full range by name says so in its range tag."""
    span = FULL if working.full else int(picture.color_range)
    return Colour(int(picture.colorspace), span, int(picture.color_primaries), int(picture.color_trc))


@cache
def _alpha_format(format: str) -> PixelFormat:
    """The one-plane format of an alpha plane's depth: its rows are as long as the picture is wide."""
    depth = FORMATS[format].depth
    return FORMATS["gray" if depth == 8 else f"gray{depth}le"]


def turned(picture: av.VideoFrame, working: PlaneLayout, turn: Turn) -> av.VideoFrame:
    """A new picture in ``working.target`` whose planes are those of ``picture``, brought upright."""
    width, height = picture.width, picture.height
    upright = av.VideoFrame(*((height, width) if turn.transpose else (width, height)), working.target)
    pixel, grey = FORMATS[working.format], _alpha_format(working.format)
    side = {(True, True): -1, (True, False): 1, (False, True): 0}.get((turn.mirror, turn.flip))
    for number in range(4 if working.alpha else 3):
        kind = grey if number == 3 else pixel
        plane: Any = plane_view(picture, number, kind)
        if turn.transpose:
            plane = cv2.transpose(plane)
        if side is not None:
            plane = cv2.flip(plane, side)
        np.copyto(plane_view(upright, number, kind), plane)
    return upright
