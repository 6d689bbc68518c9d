"""The colours on both sides of the rim, and what the picture says about alpha there.

A pixel I of the rim is a mixture of the subject's colour F and the background's B: I = alpha F + (1 -
alpha) B. Both are known on a small grid: means of the sure pixels around, from all scales (``fill``), with
the variance v of each plane. The small matte's alpha, bilinear, is a guess with a variance of its own; the
best estimate from guess and pixel is that of a Kalman filter,

    alpha + sum of g (I - alpha F - (1 - alpha) B)      g = s d / v / (1 + e),   e = s sum of d^2 / v,

with d = F - B. As d is itself known only as well as v lets it be, g is taken times e / (1 + e): texture
three times as strong as the difference then moves alpha by 0.01 where it moved it by 0.1.

It is closed-form Bayesian matting (Chuang et al. 2001) with one Gaussian a side and a prior from the net.
Where the sides look alike, or their texture is as strong as their difference, g is nearly 0 and the guess
stays. A guided filter (He et al. 2010) with the same three planes as guide is nearly as sharp but must
learn from the blurred matte itself, and so makes a veil: benchmarks/edges.py compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, reduce

import numpy as np

from ..core.frames import Frame
from ..core.opencv import cv2
from ..core.resampling import shrink
from .fill import Floats, channels, extended, weighted
from .tiles import ROWS, Array, Tiles, UnknownTiles, padded, tile_of
from .windows import enlarged

# Samples on the long side of the grid from which sure pixels are taken, at most; the net has some 350.
_LONG_SIDE = 320
# From here on a pixel counts as one colour. Weights that only fall off (alpha ** 6) left half of the old
# background in the means: ``fill`` lets faint pixels count where there are no better ones near.
_SURE = 0.8
# Variance of the guess, and the least of a plane (levels of 1): a camera's noise of 2.5 levels of 255.
_PRIOR, _NOISE = np.float32(0.25), np.float32(1e-4)
# Samples of the halved grid, about a fifth of the picture's width, of which a share _PRESENT must be sure for
# a side: else its colours say nothing here. A veil far from the subject, where the net is not sure, became
# whole wherever it had the shirt's colour; strands of hair are nearer.
_AROUND, _PRESENT = (27, 27), 0.01
# Guesses within 1/8 of 0 or 1 are believed more and more: tiles beyond the rim are not looked at, and no
# step may show where they begin.
_GATE = 8
# The estimate stays between guess and pixel, and so a little grey where alpha is 0 or 1.
_CONTRAST = 1.25


@dataclass(frozen=True, eq=False)
class ColorModel:
    """F, B and g of one frame, on a grid that covers it in whole tiles: float32 (h, w) a plane.

    columns         of a tile
    step            luma pixels a sample of the grid, a way: 2, 4, 8 or 16
    ahead, behind   F and B, 0..1 of the peak
    gains           g, for planes of 0..1
    """

    frame: Frame
    columns: int
    step: int
    ahead: list[Floats]
    behind: list[Floats]
    gains: list[Floats]
    _pictures: dict[tuple[UnknownTiles, int], Floats] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, frame: Frame, alpha: Array, columns: int) -> ColorModel:
        """The colours of ``frame`` by ``alpha`` (h, w), 0..peak, of any size, which covers the frame padded
        to whole tiles of ROWS x ``columns``."""
        peak = frame.pixel.peak
        high, wide = -(-frame.height // ROWS) * ROWS, -(-frame.width // columns) * columns
        step = next((step for step in (1, 2, 4) if max(high, wide) <= step * _LONG_SIDE), 8)
        grid = wide // step, high // step
        # pixels picked out, not areas averaged: the variance is that of the pixels, and it takes a quarter
        # of the time
        planes = [cv2.resize(padded(plane, *tile_of(frame, number, columns)), grid)
                  for number, plane in enumerate(frame.planes)]
        sure = _sure(shrink(alpha, grid), peak)
        sides = [extended(weighted(planes, part, 1 / peak), halved=True) for part in sure]
        gains = _gains([np.multiply(plane[::2, ::2], np.float32(1 / peak), dtype=np.float32) for plane in planes],
                       [np.ascontiguousarray(part[::2, ::2]) for part in sure], sides)
        ahead, behind = (channels(side, len(planes)) for side in sides)
        return cls(frame, columns, 2 * step, ahead, behind, gains)

    def alpha(self, guess: Array, rim: UnknownTiles) -> Array:
        """The estimate at the pixels of the rim's tiles, from the strip ``guess``: (ROWS, n * columns),
        0..peak, of its dtype."""
        pixel = self.frame.pixel
        peak, share = pixel.peak, guess * np.float32(1 / pixel.peak)
        span: Floats = np.add.reduce([gain * (front - back) for gain, front, back in zip(
            self.gains, self.ahead, self.behind, strict=True)])
        excess, below = self._below(range(1), rim, [span])
        excess *= share
        excess += below
        if pixel.planes > 1:
            low, = self._below(range(1, pixel.planes), rim)
            # a chroma sample counts for all the pixels that it spans
            wide = cv2.merge([low] * pixel.sx) if pixel.sx > 1 else low
            spans = excess.reshape(low.shape[0], -1, excess.shape[1])
            spans += wide.reshape(low.shape[0], 1, -1)
        excess *= _trust(guess, share, peak)
        made = cv2.addWeighted(share, _CONTRAST * peak, excess, -_CONTRAST * peak, (1 - _CONTRAST) / 2 * peak,
                               dtype=cv2.CV_8U if peak == 255 else cv2.CV_16U)
        return made if peak in (255, 65535) else np.minimum(made, guess.dtype.type(peak))

    def strips(self, maps: list[Floats], number: int, rim: UnknownTiles) -> Array:
        """Maps on the grid at the pixels of plane ``number`` in the rim's tiles: float32 (maps,
        rows, n * columns)."""
        step = self.step
        if step > ROWS:  # a tile holds at least one sample a way
            maps = [cv2.resize(item, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR) for item in maps]
            step //= 2
        rows, wide = tile_of(self.frame, number, self.columns)
        return enlarged(maps, rim, (rows, wide), (step * rows // ROWS, step * wide // self.columns))

    def everywhere(self, item: Array, number: int) -> Array:
        """A map on the grid at all pixels of plane ``number``: (h, w), of the map's dtype."""
        high, wide = self.frame.planes[number].shape
        rows, columns = tile_of(self.frame, number, self.columns)
        size = item.shape[1] * self.step * columns // self.columns, item.shape[0] * self.step * rows // ROWS
        return cv2.resize(item, size, interpolation=cv2.INTER_LINEAR)[:high, :wide]

    def picture(self, number: int, rim: UnknownTiles) -> Floats:
        """Plane ``number`` of the frame in the rim's tiles: float32 (rows, n * columns), sample values. Kept:
        alpha and the colours both want it; not to be written to."""
        if (rim, number) not in self._pictures:
            tile = tile_of(self.frame, number, self.columns)
            strip = Tiles(padded(self.frame.planes[number], *tile), *tile, rim).take()
            self._pictures[rim, number] = strip.astype(np.float32)
        return self._pictures[rim, number]

    def _below(self, numbers: range, rim: UnknownTiles, more: Sequence[Floats] = ()) -> list[Floats]:
        """Of the rim's tiles: the maps ``more``, and sum of g (B - I) over the planes ``numbers``, which are of one
        size."""
        scale = np.float32(1 / self.frame.pixel.peak)
        behind: Floats = np.add.reduce([self.gains[number] * self.behind[number] for number in numbers])
        made = self.strips([*more, behind, *(self.gains[number] * scale for number in numbers)], numbers[0], rim)
        below = made[len(more)]
        for number, gain in zip(numbers, made[len(more) + 1:], strict=True):
            gain *= self.picture(number, rim)
            below -= gain
        return list(made[:len(more) + 1])


def _trust(guess: Array, share: Floats, peak: int) -> Floats:
    """How far the picture may move a guess (0..``peak``; ``share``: 0..1): less and less near 0 and 1."""
    if peak == 255:
        return cv2.LUT(guess, _trust_of_bytes())
    return _trusted(share)


def _trusted(share: Floats) -> Floats:
    trust = 1 - share
    np.minimum(trust, share, out=trust)
    trust *= np.float32(_GATE)
    return np.minimum(trust, 1, out=trust)


@cache
def _trust_of_bytes() -> Floats:
    return _trusted(np.arange(256) * np.float32(1 / 255))


def _sure(alpha: Array, peak: int) -> tuple[Floats, Floats]:
    """How much each sample of ``alpha``, 0..peak, counts for the subject, and for the background."""
    if peak == 255:
        low, high, _, _ = cv2.minMaxLoc(alpha)
        if _AHEAD[int(high)] > 0 and _BEHIND[int(low)] > 0:  # some are sure on either side: mostly so
            return cv2.LUT(alpha, _AHEAD), cv2.LUT(alpha, _BEHIND)
    share = alpha.astype(np.float32) / np.float32(peak)
    return _certain(share), _certain(1 - share)


def _certain(share: Floats) -> Floats:
    """How much a sample counts for the side of which it has ``share``: where none is sure, all by their share, and
    alike where none has any."""
    sure = np.clip((share - np.float32(_SURE)) / np.float32(1 - _SURE), 0, 1)
    if sure.any():
        return sure
    return share if share.any() else np.full_like(share, 1e-3)


_SHARES = np.arange(256, dtype=np.float32) / np.float32(255)
_AHEAD, _BEHIND = _certain(_SHARES), _certain(1 - _SHARES)


def _gains(planes: list[Floats], sure: Sequence[Floats], sides: list[Floats]) -> list[Floats]:
    """g of each plane. ``sides``: the colours of both sides as pictures of all planes and a weight."""
    gap = sides[0] - sides[1]
    weights: Floats = cv2.divide(gap, _variance(planes, sure, sides), scale=float(_PRIOR))
    evidence: Floats = reduce(np.add, channels(cv2.multiply(gap, weights, dst=gap), len(planes)))
    trust = evidence / np.square(1 + evidence)
    rarer = np.minimum(*(cv2.blur(part, _AROUND) for part in sure))
    trust *= np.minimum(rarer * np.float32(1 / _PRESENT), 1)
    return [weights[..., number] * trust for number in range(len(planes))]


def _variance(planes: list[Floats], sure: Sequence[Floats], sides: list[Floats]) -> Floats:
    """Of the sure samples of both sides around their own side's colours, over about a tenth of the picture's
    width: (h, w, planes + 1), of which the last is of no use."""
    # all planes in one picture, for at this size the calls are what costs; and ones, so that the weights are summed too
    picture = cv2.merge([*planes, np.ones_like(planes[0])])
    squares: list[Floats] = []
    for part, side in zip(sure, sides, strict=True):
        apart: Floats = cv2.subtract(picture, cv2.blur(side, (5, 5)))
        apart[..., -1] = 1
        cv2.multiply(apart, apart, dst=apart)
        squares.append(cv2.multiply(apart, cv2.merge([part] * apart.shape[2]), dst=apart))
    sums: Floats = cv2.blur(cv2.add(squares[0], squares[1], dst=squares[0]), (13, 13))
    cv2.divide(sums, cv2.merge([sums[..., -1] + _NOISE] * sums.shape[2]), dst=sums)
    sums += _NOISE
    return sums
