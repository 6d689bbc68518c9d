"""Steady mattes: filters over time, each a generator from (Frame, Matte) pairs to (Frame, Matte) pairs.

``create`` gives one by name. All work at the mattes' size, start afresh after a cut or where the matte's
size changes, and give exactly one pair for each that comes in, in order, the frames untouched.

    none        the mattes as they come
    ema         the mean of all mattes so far, the newest weighted most: steady, but trails what moves
    adaptive    as ema, but a matte that changes where the picture changes is believed at once
    flow        the mattes so far are moved along with the picture before they are averaged
    lookahead   as flow, and from the frames that follow as well: nothing trails; gives frames N late

At the threshold 0.5 a pixel keeps its label until the matte is clear about the other (``hysteresis``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import OptionError, choice
from .frames import Frame, Matte, shrink
from .opencv import cv2

Pair = tuple[Frame, Matte]
Smoother = Callable[[Iterator[Pair]], Iterator[Pair]]
Array = npt.NDArray[Any]  # OpenCV's stubs know no dtypes: float32 (h, w) mattes, uint8 (h, w) pictures

NAMES = ("none", "ema", "adaptive", "flow", "lookahead")


def create(name: str, *, strength: float = 0.7, hysteresis: float = 0.1, window: int = 2) -> Smoother:
    """The smoother ``name``, one of NAMES; call it with the pairs.

    strength    0 to below 1: how much of a steady pixel comes from earlier frames
    hysteresis  0 to 0.5: how far beyond 0.5 a matte must go to change a pixel's label
    window      frames that ``lookahead`` looks ahead

    Raises OptionError. The pairs' source is iterated in the caller's thread; closing the generator closes
    nothing else.
    """
    choice("smooth", name, NAMES)
    if not 0 <= strength < 1:
        raise OptionError(f"strength is {strength:g}; allowed is 0 to below 1: at 1 nothing new would be seen")
    if not 0 <= hysteresis <= 0.5:
        raise OptionError(f"hysteresis is {hysteresis:g}; allowed is 0 to 0.5")
    if window < 1:
        raise OptionError(f"window is {window}; allowed is at least 1: for no look ahead take smooth=flow")
    if name == "none":
        return iter
    if name == "lookahead":
        return partial(_look_ahead, keep=strength, hysteresis=hysteresis, window=window)
    filters: dict[str, Callable[[], _Filter]] = {"ema": partial(_Ema, strength),
                                                 "adaptive": partial(_Adaptive, strength),
                                                 "flow": partial(_Flow, strength)}
    return partial(_causal, make=filters[name], hysteresis=hysteresis)


# --- shots ------------------------------------------------------------------------------------

class Cuts:
    """Finds where another shot begins, on pictures of 32 x 18.

    Two pictures of a shot agree but for brightness and motion. What a change of exposure (gain and offset)
    does not explain is the residual of a straight-line fit of one onto the other.
    """

    size = (32, 18)

    def __init__(self, correlation: float = 0.75, residual: float = 12.0) -> None:
        self._correlation, self._residual = correlation, residual
        self._last: Array | None = None

    def is_cut(self, luma: Array) -> bool:
        """Whether ``luma``, uint8 (h, w) of any size, begins a shot; True for the first picture."""
        small = cv2.resize(luma, self.size, interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean()
        last, self._last = self._last, small
        if last is None:
            return True
        power, before = float(np.vdot(small, small)), float(np.vdot(last, last))
        shared = float(np.vdot(small, last))
        alike = shared / max((power * before) ** 0.5, 1e-6)
        residual = ((max(0.0, 1 - alike * alike) if alike > 0 else 1.0) * power / small.size) ** 0.5
        return alike < self._correlation and residual > self._residual


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A pair with what the filters want of it. ``cut``: nothing from before it may be used."""

    frame: Frame
    matte: Matte
    luma: Array
    cut: bool


def _watch(pairs: Iterator[Pair]) -> Iterator[_Shown]:
    cuts, shape = Cuts(), None
    for frame, matte in pairs:
        height, width = matte.alpha.shape
        luma = frame.luma((width, height))
        cut = cuts.is_cut(luma) or matte.alpha.shape != shape
        shape = matte.alpha.shape
        yield _Shown(frame, matte, luma, cut)


# --- from earlier frames only -----------------------------------------------------------------

class _Filter(Protocol):
    """``begin`` takes a shot's first picture, ``follow`` gives each next frame's (alpha, expected): the
    steadied matte, and what the frames before let expect, for the hysteresis."""

    def begin(self, alpha: Array, luma: Array) -> None: ...

    def follow(self, alpha: Array, luma: Array) -> tuple[Array, Array]: ...


def _causal(pairs: Iterator[Pair], make: Callable[[], _Filter], hysteresis: float) -> Iterator[Pair]:
    filter = make()
    for shown in _watch(pairs):
        if shown.cut:
            filter.begin(shown.matte.alpha, shown.luma)
            yield shown.frame, shown.matte
        else:
            alpha, expected = filter.follow(shown.matte.alpha, shown.luma)
            yield shown.frame, Matte(_hold(alpha, expected, hysteresis))


class _Ema:
    def __init__(self, keep: float) -> None:
        self._keep = keep

    def begin(self, alpha: Array, luma: Array) -> None:
        self._state = alpha

    def follow(self, alpha: Array, luma: Array) -> tuple[Array, Array]:
        expected = self._state
        self._state = cv2.addWeighted(alpha, 1 - self._keep, expected, self._keep, 0)
        return self._state, expected


class _Adaptive:
    """Weight of the new matte: low where the picture stands still (whatever the matte does there is an
    error) and where the matte hardly changes (it shivers), 1 where both change (something moves)."""

    def __init__(self, keep: float) -> None:
        self._keep = keep

    def begin(self, alpha: Array, luma: Array) -> None:
        self._state, self._luma = alpha, luma

    def follow(self, alpha: Array, luma: Array) -> tuple[Array, Array]:
        expected = self._state
        moved = _moved(cv2.absdiff(luma, self._luma))
        changed = cv2.min(cv2.absdiff(alpha, expected) * np.float32(4), 1.0)
        weight = cv2.multiply(moved, changed)
        weight = cv2.addWeighted(weight, self._keep, weight, 0, 1 - self._keep)
        self._state, self._luma = expected + weight * (alpha - expected), luma
        return self._state, expected


def _moved(difference: Array) -> Array:
    """float32 (h, w) 0..1: how sure it is that a pixel shows something else, from |luma - luma before|.

    Noise and exposure change most pixels alike, so the scale is the picture's own median.
    """
    smooth = cv2.blur(difference, (5, 5))
    usual = float(np.median(smooth[::4, ::4]))
    low, high = 2 + 1.5 * usual, 8 + 3 * usual
    table = np.clip((np.arange(256, dtype=np.float32) - low) / (high - low), 0, 1)
    return cv2.LUT(smooth, table)


class _Flow:
    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._motion = Motion()

    def begin(self, alpha: Array, luma: Array) -> None:
        self._state, self._luma = alpha, shrink_half(luma)

    def follow(self, alpha: Array, luma: Array) -> tuple[Array, Array]:
        half = shrink_half(luma)
        way, _ = self._motion.between(self._luma, half, alpha.shape, both=False)
        expected = way.carry(self._state)
        self._state = _mixed(alpha, expected, way.trust, self._keep)
        self._luma = half
        return self._state, expected


def _mixed(alpha: Array, expected: Array, trust: Array, keep: float) -> Array:
    """``keep`` of what was expected where it is trusted, the rest from the new matte."""
    return alpha + np.float32(keep) * trust * (expected - alpha)


def _hold(alpha: Array, expected: Array, hysteresis: float) -> Array:
    """The matte, with pixels that are within ``hysteresis`` of 0.5 kept on the side they were on."""
    if not hysteresis:
        return alpha
    unsure = cv2.inRange(alpha, 0.5 - hysteresis, 0.5 + hysteresis)
    was = cv2.inRange(expected, 0.5, 1.0)
    high = cv2.bitwise_and(unsure, was)
    low = cv2.subtract(unsure, was)
    held = alpha.copy()
    cv2.max(alpha, 0.5, dst=held)
    held = cv2.copyTo(held, high, alpha.copy())
    return cv2.copyTo(cv2.min(alpha, 0.4999), low, held)


# --- motion -----------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """Where each pixel was in another picture: ``place`` float32 (h, w, 2) as x, y there; ``trust`` float32
    (h, w), 1 where that is to be believed, 0 where it is covered there or the flow failed."""

    place: Array
    trust: Array

    def carry(self, alpha: Array) -> Array:
        """The other picture's matte, moved to this picture."""
        return cv2.remap(alpha, self.place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


class Motion:
    """Optical flow (DIS, ultrafast) between half-size pictures, with a forward-backward check.

    Half the matte's size costs a fifth of the time and moves a soft matte as well; the flow is checked
    both ways (a pixel must come back to within a pixel of where it was) and by the picture.
    """

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def between(self, old: Array, new: Array, shape: tuple[int, int],
                both: bool = True) -> tuple[Way, Way | None]:
        """(new to old, old to new) for mattes of ``shape`` (h, w), of half-size pictures."""
        back = self._flow.calc(new, old, None)
        forth = self._flow.calc(old, new, None)
        first = _way(back, forth, old, new, shape)
        return first, _way(forth, back, new, old, shape) if both else None


def shrink_half(luma: Array) -> Array:
    return shrink(luma, (max(16, luma.shape[1] // 2), max(16, luma.shape[0] // 2)))


def _way(flow: Array, reverse: Array, other: Array, here: Array, shape: tuple[int, int]) -> Way:
    place = cv2.add(_grid(here.shape), flow)
    again = cv2.remap(reverse, place, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    gap = cv2.add(flow, again)
    x, y = cv2.split(gap)
    gap = cv2.max(cv2.absdiff(x, 0), cv2.absdiff(y, 0))
    seen = cv2.remap(other, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved = _moved(cv2.absdiff(seen, here))
    trust = cv2.copyTo(1 - moved, cv2.inRange(gap, 0.0, 0.7))
    full = cv2.resize(flow, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    scale = (shape[1] / here.shape[1], shape[0] / here.shape[0])
    full = cv2.multiply(full, (*scale, 0, 0))
    return Way(cv2.add(_grid(shape), full), cv2.resize(trust, (shape[1], shape[0])))


@lru_cache(maxsize=8)
def _grid(shape: tuple[int, int]) -> Array:
    columns, rows = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    grid = np.dstack([columns, rows])
    grid.setflags(write=False)
    return grid


# --- from later frames as well ----------------------------------------------------------------

@dataclass(slots=True, eq=False)
class _Waiting:
    shown: _Shown
    half: Array
    back: Way | None  # to the frame before
    forth: Way | None = None  # to the frame after


def _look_ahead(pairs: Iterator[Pair], keep: float, hysteresis: float, window: int) -> Iterator[Pair]:
    motion, waiting, past = Motion(), deque[_Waiting](), _Past(keep, hysteresis)
    for shown in _watch(pairs):
        if shown.cut:
            while waiting:
                yield past.next(waiting)
            past = _Past(keep, hysteresis)
        half, back = shrink_half(shown.luma), None
        if waiting:
            last = waiting[-1]
            back, last.forth = motion.between(last.half, half, shown.matte.alpha.shape)
        waiting.append(_Waiting(shown, half, back))
        if len(waiting) > window:
            yield past.next(waiting)
    while waiting:
        yield past.next(waiting)


class _Past:
    def __init__(self, keep: float, hysteresis: float) -> None:
        self._keep, self._hysteresis = keep, hysteresis
        self._state: Array | None = None
        self._given: Array | None = None

    def next(self, waiting: deque[_Waiting]) -> Pair:
        """Take the oldest that waits and steady it from what was before and what waits behind it."""
        here = waiting[0]
        alpha = here.shown.matte.alpha
        keep = np.float32(self._keep)
        ahead: Array | None = None
        for item, after in zip(list(waiting)[-2::-1], list(waiting)[:0:-1], strict=True):
            source = after.shown.matte.alpha if ahead is None else ahead
            assert item.forth is not None
            carried = item.forth.carry(source)
            if item is here:
                ahead = carried
            else:
                ahead = _mixed(item.shown.matte.alpha, carried, item.forth.trust, self._keep)
        total, weight = alpha.copy(), np.ones_like(alpha)
        expected = alpha
        share = keep / (1 - keep)
        if self._state is not None:
            assert here.back is not None
            carried = here.back.carry(self._state)
            factor = here.back.trust * share
            total += factor * carried
            weight += factor
            self._state = _mixed(alpha, carried, here.back.trust, self._keep)
            expected = here.back.carry(self._given)
        else:
            self._state = alpha
        if ahead is not None:
            factor = here.forth.trust * share
            total += factor * ahead
            weight += factor
        total /= weight
        waiting.popleft()
        self._given = _hold(total, expected, self._hysteresis) if expected is not alpha else total
        return here.shown.frame, Matte(np.clip(self._given, 0, 1))
