"""Where the subject is in a frame, tile by tile; alpha at full size is made in the rim's tiles alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from ..core.resampling import shrink
from .color_model import ColorModel
from .shape import Edge
from .tiles import ROWS, Array, Tiles, UnknownTiles, columns_for, padded
from .windows import enlarged

# Of alpha's range: a guess this near to 0 or 1 is not looked at again. A fifth of the rim's tiles hold nothing else.
_NEAR = 2 / 255


@dataclass(frozen=True, eq=False)
class AlphaTiles:
    """Where the subject is in one frame, known tile by tile.

    frame    the frame
    alpha    uint8 or uint16, 0..peak of the frame, one value per ``zoom`` x ``zoom`` pixels; its sides are
             those of the frame, rounded up to whole tiles, divided by ``zoom``
    columns  of a tile: 16 or 8; its rows are ROWS
    inside   (tile rows, tile columns), True where every pixel of the tile has alpha = peak
    rim      the tiles that are neither inside nor outside
    guess    alpha before tiles that are nearly sure were decided, of the same size
    guided   whether the rim's alpha follows the picture (color_model.py), or is bilinear
    colours  finds the colours around the rim when they are asked for: ColorModel.of, or what gives the same
    unfeathered   (h, w), of the frame's size in whole tiles: alpha before it was feathered or took the frame's own,
                  by which the picture's colours are mixed; None where that is ``alpha``
    """

    frame: Frame
    alpha: Array
    zoom: int
    columns: int
    inside: npt.NDArray[np.bool_]
    rim: UnknownTiles
    guess: Array
    guided: bool
    unfeathered: Array | None = None
    is_mixture: bool = True  # whether alpha says how the picture is mixed, and not where the user cuts it
    colours: Callable[[Frame, Array, int], ColorModel] = ColorModel.of
    _mixture: ColorModel | None = None
    _luma: Array | None = None

    @classmethod
    def of(cls, frame: Frame, matte: Matte, *, guided: bool = False, fine: bool = False,
           colours: Callable[[Frame, Array, int], ColorModel] = ColorModel.of) -> AlphaTiles:
        """The cover of ``frame``; the frame's own alpha, if any, multiplies the matte. ``fine``: zoom is to be 1."""
        if frame.alpha is not None:
            opaque = cls.of(replace(frame, alpha=None), matte, guided=guided, fine=True, colours=colours)
            return opaque.times(frame.alpha)
        width, height, pixel = frame.width, frame.height, frame.pixel
        small = _quantised(matte.alpha, pixel.peak)
        zoom, columns = 1 if fine else _zoom(frame, small), columns_for(width)
        guess = padded(_resized(small, (width // zoom, height // zoom)), ROWS // zoom, columns // zoom)
        decided = _decided(guess, pixel.peak) if guided else guess
        inside, rim = _sorted_tiles(decided, zoom, columns, pixel.peak)
        return cls(frame, decided if zoom == 1 else guess, zoom, columns, inside, rim, guess, guided, colours=colours)

    def reshaped(self, edge: Edge) -> AlphaTiles:
        """The cover whose ``plane()`` is this one's as ``edge`` changes it; it keeps this one's colours."""
        cut = edge.cut(self.plane(), self.peak)
        wide = edge.widened(cut, self.peak)
        alpha = padded(edge.confined(edge.feathered(wide), self.peak), ROWS, self.columns)
        if edge.widens:  # what is added shows the picture as it is
            cut = np.where(wide == cut, cut, cut.dtype.type(self.peak))
        mixed = padded(cut, ROWS, self.columns) if edge.feathers or edge.widens else None
        return AlphaTiles(self.frame, alpha, 1, self.columns, *_sorted_tiles(alpha, 1, self.columns, self.peak),
                          alpha, False, mixed, not (edge.cuts or edge.widens), _mixture=self.mixture)

    def times(self, own: Array) -> AlphaTiles:
        """The cover whose ``plane()`` is this one's times the frame's ``own`` alpha, (height, width), 0..peak; it keeps
        this one's colours. A frame's own alpha is straight: it does not say how its colours are mixed."""
        plane = self.plane()
        alpha = padded(cv2.multiply(plane, np.ascontiguousarray(own), scale=1.0 / self.peak), ROWS, self.columns)
        mixed = padded(plane, ROWS, self.columns) if self.unfeathered is None else self.unfeathered
        return AlphaTiles(self.frame, alpha, 1, self.columns, *_sorted_tiles(alpha, 1, self.columns, self.peak),
                          alpha, False, mixed, self.is_mixture, _mixture=self.mixture)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the frame."""
        return self.frame.width, self.frame.height

    @property
    def peak(self) -> int:
        """Alpha that means wholly in: 255 for 8 bits."""
        return self.frame.pixel.peak

    @cached_property
    def mixture(self) -> ColorModel:
        """The subject's and the background's colours around the rim."""
        return self._mixture or self.colours(self.frame, self.guess, self.columns)

    @cached_property
    def luma(self) -> Array:
        """Alpha of the rim's tiles as a strip: (ROWS, n * columns), 0..peak."""
        if self._luma is not None:
            return self._luma
        made = self._taken(self.guess)
        if self.guided and len(self.rim):
            made = self.mixture.alpha(made, self.rim)
        return made

    def _taken(self, alpha: Array) -> Array:
        """Of ``alpha``, as large as this one's, what lies in the rim's tiles; bilinear."""
        if self.zoom == 1:
            return Tiles(alpha, ROWS, self.columns, self.rim).take()
        strip = enlarged([alpha], self.rim, (ROWS, self.columns), (self.zoom, self.zoom))[0]
        strip += np.float32(0.5)
        return strip.astype(alpha.dtype)

    @cached_property
    def settled(self) -> AlphaTiles:
        """This cover, where the tiles of the rim whose alpha came out as 0 or the peak throughout count as outside or
        inside: nothing has to be blended there. Of two tiles that the guess leaves open the picture settles one."""
        if not len(self.rim):
            return self
        outside, within = (_all_equal(self.luma, value, combine, ROWS, self.columns)[0]
                           for value, combine in ((0, np.bitwise_or), (self.peak, np.bitwise_and)))
        left = ~(outside | within)
        if left.all():
            return self
        inside = self.inside.copy()
        inside[self.rim.down[within], self.rim.across[within]] = True
        luma = np.compress(left, self.luma.reshape(ROWS, -1, self.columns), axis=1).reshape(ROWS, -1)
        alpha = self.alpha
        if self.zoom == 1:
            alpha = alpha.copy()
            Tiles(alpha, ROWS, self.columns, self.rim).put(self.luma)
        return replace(self, alpha=alpha, inside=inside, rim=UnknownTiles(self.rim.down[left], self.rim.across[left]),
                       _luma=luma)

    def strip(self, sx: int, sy: int) -> Array:
        """Alpha of the rim's tiles for planes subsampled by sx, sy: means over the luma pixels that a
        chroma sample spans, (ROWS / sy, n * columns / sx)."""
        return shrink(self.luma, (self.luma.shape[1] // sx, ROWS // sy))

    def mixed_strip(self, sx: int, sy: int) -> Array:
        """As ``strip``, of the alpha by which the picture's colours are mixed."""
        if self.unfeathered is None:
            return self.strip(sx, sy)
        luma = Tiles(self.unfeathered, ROWS, self.columns, self.rim).take()
        return shrink(luma, (luma.shape[1] // sx, ROWS // sy))

    def plane(self) -> Array:
        """(height, width) alpha of every pixel, 0..peak; memory of its own."""
        width, height = self.size
        made = np.empty(self.alpha.shape if self.zoom == 1 else (height, width), self.alpha.dtype)
        self._fill(made)
        return made[:height, :width]

    def put(self, target: Array) -> None:
        """Write ``plane()`` into ``target``, (height, width)."""
        if padded(target, ROWS, self.columns) is target:
            self._fill(target)
        else:
            np.copyto(target, self.plane())

    def _fill(self, target: Array) -> None:
        """Write alpha into a target that is of whole tiles."""
        tiles = Tiles(target, ROWS, self.columns, self.rim)
        if self.zoom == 1:
            np.copyto(target, self.alpha)
        else:
            target.fill(0)
            tiles.fill(self.peak, self.inside)
        if len(self.rim):
            tiles.put(self.luma)

    def small(self, size: tuple[int, int]) -> Array:
        """Alpha, 0..peak, at ``size`` (width, height), areas averaged."""
        width, height = -(-self.size[0] // self.zoom), -(-self.size[1] // self.zoom)
        return shrink(self.alpha[:height, :width], size)


def _sorted_tiles(alpha: Array, zoom: int, columns: int, peak: int) -> tuple[npt.NDArray[np.bool_], UnknownTiles]:
    """(inside, rim) of AlphaTiles."""
    high = low = alpha
    if zoom > 1:
        # a pixel's value comes from the samples around it: one sample beyond the tile counts too
        ring = np.ones((3, 3), np.uint8)
        high, low = cv2.dilate(alpha, ring), cv2.erode(alpha, ring)
    outside = _all_equal(high, 0, np.bitwise_or, ROWS // zoom, columns // zoom)
    inside = _all_equal(low, peak, np.bitwise_and, ROWS // zoom, columns // zoom)
    return inside, UnknownTiles(*np.divmod(np.flatnonzero(~(inside | outside)), inside.shape[1]))


def _decided(alpha: Array, peak: int) -> Array:
    """``alpha``, 0 where it is next to nothing and the peak where it is next to all: there the picture has hardly a
    say (ColorModel.alpha), and what is left of the guess is taken off by the contrast."""
    near = peak * _NEAR
    if peak == 255:
        table = np.arange(256, dtype=np.uint8)
        table[:int(near) + 1], table[255 - int(near):] = 0, 255
        return cv2.LUT(alpha, table)
    made = alpha.copy()
    made[alpha <= near] = 0
    made[alpha >= peak - near] = peak
    return made


def _zoom(frame: Frame, small: Array) -> int:
    """4 or 2 where alpha may be kept at a fraction of the frame's size, a whole number of pixels a sample
    and no fewer samples than the matte has; else 1."""
    if not frame.width % columns_for(frame.width) and not frame.height % ROWS:
        for zoom in (4, 2):
            if small.shape[0] * zoom <= frame.height and small.shape[1] * zoom <= frame.width:
                return zoom
    return 1


def _quantised(alpha: npt.NDArray[np.float32], peak: int) -> Array:
    if peak == 255:
        return cv2.convertScaleAbs(alpha, alpha=255.0)
    return np.rint(alpha * np.float32(peak)).astype(np.uint16)


def _resized(alpha: Array, size: tuple[int, int]) -> Array:
    larger = alpha.shape[0] >= size[1] and alpha.shape[1] >= size[0]
    return shrink(alpha, size) if larger else cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)


def _all_equal(alpha: Array, value: int, combine: np.ufunc, rows: int, columns: int) -> npt.NDArray[np.bool_]:
    """(tile rows, tile columns): True where all samples of a tile are ``value``, 0 or the peak.

    Bits tell both ends exactly: the or of samples is 0 only where all are 0, the and is the peak (all
    bits set) only where all are. Up to eight samples at a time; numpy's reductions over axes that short
    took 0.35 ms a call for 480 x 270.
    """
    word = np.dtype(f"u{min(8, columns * alpha.itemsize)}")
    words = alpha.view(word)
    lines = words[::rows]
    for row in range(1, rows):
        lines = combine(lines, words[row::rows])
    each = columns * alpha.itemsize // word.itemsize
    tiles = lines[:, ::each]
    for number in range(1, each):
        tiles = combine(tiles, lines[:, number::each])
    pattern = np.full(word.itemsize // alpha.itemsize, value, alpha.dtype).view(word)[0]
    return tiles == pattern
