"""What becomes of a decoded picture: its pixel format, its size, its place upright.

Every format that FFmpeg decodes to is brought to one of the working formats of ``pixelformats.FORMATS``, and
without loss where a working format can hold it; one that already is a working format is not touched.
swscale's conversions used here (packed to planar, 9 to 10 bits, ...) were checked to be exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from ..core.frames import Frame, plane_view
from ..core.opencv import cv2
from ..core.pixel_formats import FORMATS, Colour, PixelFormat
from ..errors import SourceError

FULL = 2
LIMITED = 1


@dataclass(frozen=True, slots=True)
class PlaneLayout:
    """How a decoded pixel format is worked on.

    target    the format to convert to, which may have an alpha plane (yuva420p, gbrap, ...)
    format    its colour planes' working format, a key of FORMATS
    alpha     there is an alpha plane, the fourth
    same      the decoded planes already lie as ``target`` says: no conversion
    full      the format itself says that the range is full (yuvj420p, RGB, grey)
    """

    target: str
    format: str
    alpha: bool
    same: bool
    full: bool


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
        return PlaneLayout(target, working, alpha, name == target, True)
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


@dataclass(frozen=True, slots=True)
class Turn:
    """What brings a stored picture upright: first rows and columns change places, then mirrored left to
    right, then top to bottom."""

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def __bool__(self) -> bool:
        return self.transpose or self.mirror or self.flip


def turn_of_exif(orientation: int) -> Turn:
    """The Turn of EXIF's orientation 1 to 8 (anything else counts as 1). EXIF 2.32, tag 0x0112."""
    known = {2: (False, True, False), 3: (False, True, True), 4: (False, False, True),
             5: (True, False, False), 6: (True, True, False), 7: (True, True, True), 8: (True, False, True)}
    return Turn(*known.get(orientation, (False, False, False)))


def turn_of_matrix(matrix: Sequence[int]) -> Turn | None:
    """The Turn of FFmpeg's display matrix (nine 16.16 integers: x' = a x + c y, y' = b x + d y, y down);
    None for an angle that is not a multiple of 90 degrees."""
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if not b and not c:
        return Turn(False, a < 0, d < 0)
    if not a and not d:
        return Turn(True, c < 0, b < 0)
    return None


def turn_of_angle(degrees: int) -> Turn | None:
    """The Turn of a rotation counter-clockwise; None where it is not a multiple of 90."""
    known = {0: Turn(), 90: Turn(True, False, True), 180: Turn(False, True, True),
             270: Turn(True, True, False)}
    return known.get(degrees % 360)


class Normaliser:
    """Decoded pictures to Frames. Not shared between threads.

    With ``fixed`` all pictures get the first one's size and format (a stream must not change them);
    ``rescaled`` counts those that had another size.
    """

    def __init__(self, turn: Turn, *, fixed: bool) -> None:
        self.turn = turn
        self.fixed = fixed
        self.rescaled = 0
        self._first: tuple[PlaneLayout, int, int, Colour] | None = None
        self._reformatter = VideoReformatter()

    def frame(self, picture: av.VideoFrame, index: int, pts: int, time_base: Fraction,
              duration: int | None, *, name: str | None = None,
              packets: tuple[av.Packet, ...] = ()) -> Frame:
        """The picture upright, in a working format; planes are the decoder's own where they can be."""
        wanted = layout(picture.format.name, self.turn.transpose)
        size, colour = (picture.width, picture.height), colour_of(picture, wanted)
        convert = not wanted.same
        span = FULL if wanted.full or colour.full_range else LIMITED
        if self.fixed:
            first = self._first = self._first or (wanted, *size, colour)
            self.rescaled += size != first[1:3]
            if first[0].target != wanted.target or size != first[1:3]:
                wanted, size, colour, convert = first[0], first[1:3], first[3], True
        if convert:
            goal = FULL if wanted.full or colour.full_range else LIMITED
            # One thread: swscale's vector code writes past the end of rows, and where slices run in threads
            # that lands in rows already done (161 x 121 yuv422p10 to 444: wrong in 144 of 400 pictures).
            picture = self._reformatter.reformat(picture, *size, wanted.target, src_color_range=span,
                                                 dst_color_range=goal, threads=1)
        if self.turn:
            picture = turned(picture, wanted, self.turn)
        pixel, grey = FORMATS[wanted.format], _alpha_format(wanted.format)
        planes = tuple(plane_view(picture, number, pixel) for number in range(3))
        alpha = plane_view(picture, 3, grey) if wanted.alpha else None
        owner = picture if picture.format.name == wanted.format else None
        return Frame(planes, wanted.format, time_base, index, pts, colour, duration, alpha, name, packets,
                     owner)


def colour_of(picture: av.VideoFrame, wanted: PlaneLayout) -> Colour:
    """The picture's tags; a format that is full range by name says so in its range tag."""
    span = FULL if wanted.full else int(picture.color_range)
    return Colour(int(picture.colorspace), span, int(picture.color_primaries), int(picture.color_trc))


@cache
def _alpha_format(working: str) -> PixelFormat:
    """The one-plane format of an alpha plane's depth: its rows are as long as the picture is wide."""
    depth = FORMATS[working].depth
    return FORMATS["gray" if depth == 8 else f"gray{depth}le"]


def turned(picture: av.VideoFrame, wanted: PlaneLayout, turn: Turn) -> av.VideoFrame:
    """A new picture in ``wanted.target`` whose planes are those of ``picture``, brought upright."""
    width, height = picture.width, picture.height
    upright = av.VideoFrame(*((height, width) if turn.transpose else (width, height)), wanted.target)
    pixel, grey = FORMATS[wanted.format], _alpha_format(wanted.format)
    side = {(True, True): -1, (True, False): 1, (False, True): 0}.get((turn.mirror, turn.flip))
    for number in range(4 if wanted.alpha else 3):
        kind = grey if number == 3 else pixel
        plane: Any = plane_view(picture, number, kind)
        if turn.transpose:
            plane = cv2.transpose(plane)
        if side is not None:
            plane = cv2.flip(plane, side)
        np.copyto(plane_view(upright, number, kind), plane)
    return upright
