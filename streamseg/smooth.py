"""Steady mattes: filters over time, each a generator from (Frame, Matte) pairs to (Frame, Matte) pairs.

``create`` gives one by name. All start afresh after a cut or where the matte's size changes, and give one
pair for each that comes in, in order, the frames themselves untouched.

    none        the mattes as they come
    ema         a mean of all mattes so far, the newest weighted most: steady, but trails what moves
    adaptive    as ema, but a matte that changes where the picture changes is believed at once
    flow        the mattes so far are moved along with the picture before they are averaged
    lookahead   as flow, and from the frames that follow as well: nothing trails; gives frames late

A filter works at half the matte's size and the correction that it finds is added to the matte. That costs
a quarter of the time and keeps the rim sharp: a matte that is moved again and again blurs.
benchmarks/smoothing.py compares them; its result is in benchmarks/results/smoothing.json.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import OptionError, choice
from .frames import Frame, Matte, shrink
from .opencv import cv2

Pair = tuple[Frame, Matte]
Smoother = Callable[[Iterator[Pair]], Iterator[Pair]]
Array = npt.NDArray[Any]  # OpenCV's stubs know no dtypes: float32 (h, w) mattes, uint8 (h, w) pictures

NAMES = ("none", "ema", "adaptive", "flow", "lookahead")
_LEVELS = np.arange(256, dtype=np.float32)
_NO_MAP: Any = None  # remap: x and y are both in the first map (the stubs do not know None)


def create(name: str, *, strength: float = 0.7, hysteresis: float = 0.15, window: int = 2) -> Smoother:
    """The smoother ``name``, one of NAMES; call it with the pairs.

    strength    0 to below 1: how much of a steady pixel comes from the frames before
    hysteresis  0 to 0.5: how far beyond 0.5 a matte must go to change the label of a pixel that is at 0.5
    window      how many frames ``lookahead`` looks ahead, and holds

    Raises OptionError. Nothing runs but in the caller's thread.
    """
    choice("smooth", name, NAMES)
    if not 0 <= strength < 1:
        raise OptionError(f"strength is {strength:g}; allowed is 0 to below 1: 1 would see nothing new")
    if not 0 <= hysteresis <= 0.5:
        raise OptionError(f"hysteresis is {hysteresis:g}; allowed is 0 to 0.5")
    if window < 1:
        raise OptionError(f"window is {window}; allowed is at least 1: to look at no later frame take flow")
    if name == "none":
        return iter
    if name in ("ema", "adaptive"):
        return partial(_average, keep=strength, hysteresis=hysteresis, adaptive=name == "adaptive")
    return partial(_follow, keep=strength, hysteresis=hysteresis, window=window if name == "lookahead" else 0)


# --- shots ------------------------------------------------------------------------------------

class Cuts:
    """Finds where another shot begins, on pictures of 32 x 18.

    Two pictures of a shot agree but for brightness and motion. What a change of exposure (gain and offset)
    does not explain is the residual of a straight-line fit of one onto the other, in levels of 255. A cut
    that is found where there is none costs a frame of smoothing; one that is missed shows a ghost.
    """

    size = (32, 18)

    def __init__(self, correlation: float = 0.75, residual: float = 12.0) -> None:
        self._correlation, self._residual = correlation, residual
        self._last: Array | None = None

    def is_cut(self, luma: Array) -> bool:
        """Whether ``luma``, uint8 (h, w) of any size, begins a shot; True for the first picture."""
        small = shrink(luma, self.size).astype(np.float32)
        small -= small.mean()
        last, self._last = self._last, small
        if last is None:
            return True
        power, before = float(np.vdot(small, small)), float(np.vdot(last, last))
        alike = float(np.vdot(small, last)) / max((power * before) ** 0.5, 1e-6)
        unexplained = 1 - alike * alike if alike > 0 else 1.0
        # of the richer picture, so that a cut to black counts as one to white does
        residual = (unexplained * max(power, before) / small.size) ** 0.5
        return alike < self._correlation and residual > self._residual


@dataclass(slots=True, eq=False)
class _Shown:
    """A pair, and at working size its matte (``alpha``) and picture (``luma``).

    cut          nothing from before it may be used
    back, forth  ways to the picture before and to the one after, where they are known
    """

    frame: Frame
    matte: Matte
    alpha: Array
    luma: Array
    cut: bool
    back: Way | None = None
    forth: Way | None = None

    def corrected(self, steady: Array) -> Pair:
        """The pair with its matte changed by what ``steady`` (working size) differs from its own."""
        height, width = self.matte.alpha.shape
        # in place: fresh arrays of this size cost more in page faults than the arithmetic does
        alpha: Any = cv2.resize(steady - self.alpha, (width, height))
        np.add(alpha, self.matte.alpha, out=alpha)
        return self.frame, Matte(np.clip(alpha, 0, 1, out=alpha))


def _watch(pairs: Iterator[Pair]) -> Iterator[_Shown]:
    cuts, shape = Cuts(), None
    for frame, matte in pairs:
        height, width = matte.alpha.shape
        size = max(16, width // 2), max(16, height // 2)  # DIS takes nothing smaller
        luma = frame.luma(size)
        cut = cuts.is_cut(luma) or matte.alpha.shape != shape
        shape = matte.alpha.shape
        yield _Shown(frame, matte, shrink(matte.alpha, size), luma, cut)


# --- without motion ---------------------------------------------------------------------------

def _average(pairs: Iterator[Pair], keep: float, hysteresis: float, adaptive: bool) -> Iterator[Pair]:
    """ema and adaptive."""
    state = before = np.empty(0)
    for shown in _watch(pairs):
        if shown.cut:
            state = shown.alpha
            pair = (shown.frame, shown.matte)
        else:
            trust = _not_both(shown.alpha, state, shown.luma, before) if adaptive else np.float32(1)
            state = _hold(_mixed(shown.alpha, state, trust, keep), state, hysteresis * (1 - keep))
            pair = shown.corrected(state)
        before = shown.luma
        yield pair


def _not_both(alpha: Array, state: Array, luma: Array, before: Array) -> Array:
    """float32 (h, w) 0..1: 0 where matte and picture change. A matte that changes before a picture that does
    not is in error, and a small change of the matte is a shiver, whatever the picture does."""
    changed = np.minimum(4 * cv2.absdiff(alpha, state), 1)
    return 1 - changed * (1 - _same(luma, before))


def _same(luma: Array, before: Array) -> Array:
    """float32 (h, w): 1 where two pictures show the same, 0 where they differ by more than noise.

    Noise and exposure change most pixels alike, so the scale is the difference's own median.
    """
    difference = cv2.blur(cv2.absdiff(luma, before), (5, 5))
    usual = float(np.median(difference[::4, ::4]))
    low, high = 2 + 1.5 * usual, 8 + 3 * usual
    return cv2.LUT(difference, np.clip((high - _LEVELS) / (high - low), 0, 1))


def _mixed(alpha: Array, expected: Array, trust: Any, keep: float) -> Array:
    """``keep`` of what was expected where it is trusted, the rest from the new matte."""
    return alpha + np.float32(keep) * trust * (expected - alpha)


def _hold(alpha: Array, expected: Array, band: float) -> Array:
    """The matte; pixels within ``band`` of 0.5 stay on the side of it on which they were."""
    was = expected >= 0.5
    crossed = (was != (alpha >= 0.5)) & (np.abs(alpha - np.float32(0.5)) < band)
    held = alpha.copy()
    held[crossed] = np.where(was[crossed], np.float32(0.5), np.float32(0.4999))
    return held


# --- along with the picture -------------------------------------------------------------------

@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """Where each pixel is in another picture: ``place`` float32 (h, w, 2) as x, y there; ``trust`` float32
    (h, w), 1 where that is to be believed, 0 where it is covered there or the flow failed."""

    place: Array
    trust: Array

    def carry(self, alpha: Array) -> Array:
        """The other picture's matte, moved to this picture."""
        return cv2.remap(alpha, self.place, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


class Motion:
    """Optical flow (DIS, ultrafast; Kroeger et al. 2016) between two pictures, checked forward and backward
    and by the picture: a pixel must come back to within 0.7 pixels of where it was, and look the same."""

    def __init__(self) -> None:
        # Any: the stubs do not know that no flow to begin with is None
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def between(self, old: Array, new: Array, *, both: bool = True) -> tuple[Way, Way | None]:
        """(new to old, and if ``both`` old to new) of uint8 (h, w) pictures of a size, at least 16 x 16."""
        back, forth = self._flow.calc(new, old, None), self._flow.calc(old, new, None)
        return _way(back, forth, old, new), _way(forth, back, new, old) if both else None


def _way(flow: Array, reverse: Array, other: Array, here: Array) -> Way:
    place = cv2.add(_grid(here.shape), flow)
    again = cv2.remap(reverse, place, _NO_MAP, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    returns = cv2.inRange(cv2.add(flow, again), (-0.7, -0.7), (0.7, 0.7))
    seen = cv2.remap(other, place, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Way(place, _same(seen, here) * (returns > 0))


@lru_cache(maxsize=8)
def _grid(shape: tuple[int, int]) -> Array:
    columns, rows = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    grid = np.dstack([columns, rows])
    grid.setflags(write=False)
    return grid


def _follow(pairs: Iterator[Pair], keep: float, hysteresis: float, window: int) -> Iterator[Pair]:
    """flow, and with a ``window`` lookahead."""
    motion, waiting, shot = Motion(), deque[_Shown](), _Shot(keep, hysteresis)
    last: _Shown | None = None
    for shown in _watch(pairs):
        if shown.cut:
            while waiting:  # of the shot that ends, with what there is ahead
                yield shot.steady(waiting)
            shot, last = _Shot(keep, hysteresis), None
        if last is not None:
            shown.back, last.forth = motion.between(last.luma, shown.luma, both=window > 0)
        waiting.append(shown)
        last = shown
        if len(waiting) > window:
            yield shot.steady(waiting)
    while waiting:
        yield shot.steady(waiting)


class _Shot:
    """What is known of the shot so far: the steadied matte of the frame before, at working size."""

    def __init__(self, keep: float, hysteresis: float) -> None:
        self._keep, self._band = keep, hysteresis * (1 - keep)
        # weight of one side where the new matte has 1: with one side alone it makes up ``keep`` of the sum
        self._share = np.float32(keep / (1 - keep))
        self._state: Array = np.empty(0)

    def steady(self, waiting: deque[_Shown]) -> Pair:
        """Take the oldest that waits, with what was before it and what waits behind it mixed in."""
        here = waiting.popleft()
        sides = [(here.forth, self._ahead(waiting))] if waiting else []
        sides += [(here.back, self._state)] if here.back is not None else []
        total, expected = here.alpha, here.alpha
        weight: Any = np.float32(1)
        for way, matte in sides:
            assert way is not None
            expected, factor = way.carry(matte), self._share * way.trust
            total, weight = total + factor * expected, weight + factor
        # ``expected`` is now the frame before's, if there is one
        held = _hold(total / weight, expected, self._band) if here.back is not None else total / weight
        self._state = held
        return here.corrected(held) if sides else (here.frame, here.matte)

    def _ahead(self, later: deque[_Shown]) -> Array:
        """What the later frames' mattes come to, at the first of them."""
        alpha = later[-1].alpha
        for item in list(later)[-2::-1]:
            assert item.forth is not None
            alpha = _mixed(item.alpha, item.forth.carry(alpha), item.forth.trust, self._keep)
        return alpha
