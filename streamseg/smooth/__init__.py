"""Steady mattes: filters over time, each a generator from (Frame, Matte) pairs to (Frame, Matte) pairs.

``create_smoother`` gives one by name. All start afresh after a cut or where the matte's size changes, and give one
pair for each that comes in, in order, the frames themselves untouched.

    none        the mattes as they come
    ema         a mean of all mattes so far, the newest weighted most: steady, but trails what moves
    adaptive    as ema, but a matte that changes where the picture changes is believed at once
    flow        the mattes so far are moved along with the picture before they are averaged
    lookahead   as flow, and from the frames that follow as well: nothing trails; gives frames late

Before any of them, ``persistence`` leaves out what has not lasted long enough to be the subject (persistence.py), and
keeps for a while what has been the subject for long (retention.py).

A filter works at half the matte's size and the correction that it finds is added to the matte. That costs
a quarter of the time and keeps the rim sharp: a matte that is moved again and again blurs.
benchmarks/smoothing.py compares them; its result is in benchmarks/results/smoothing.json.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

from ..errors import OptionError
from ..options import TemporalOptions
from ..validation import choice
from .average import average
from .follower import DOUBTFUL, MEMORY
from .motion_compensated import follow
from .persistence import persistent
from .retention import LONGEST, retained
from .shots import Pair

# Modules that other packages import, beside the names here
PUBLIC: tuple[str, ...] = ()

__all__ = ["NAMES", "PERSISTENCE", "Pair", "Smoother", "create_smoother", "frames_ahead", "frames_behind",
           "frames_to_last"]

Smoother = Callable[[Iterator[Pair]], Iterator[Pair]]
NAMES = ("auto", "none", "ema", "adaptive", "flow", "lookahead")
PERSISTENCE = 8  # frames, for networks
_DEFAULT = TemporalOptions()


def create_smoother(name: str, *, strength: float = _DEFAULT.smooth_strength,
                    hysteresis: float = _DEFAULT.hysteresis, window: int = _DEFAULT.lookahead,
                    live: bool = False, persistence: int = 0) -> Smoother:
    """The smoother ``name``, one of NAMES; call it with the pairs.

    strength    0 to below 1: how much of a steady pixel comes from the frames before
    hysteresis  0 to 0.5: how far beyond 0.5 a matte must go to change the label of a pixel that is at 0.5
    window      how many frames ``lookahead`` looks ahead, and holds
    live        ``auto`` is lookahead, or flow where frames cannot wait
    persistence how many frames something new must last before it counts as the subject, and what was the subject for
                more does not vanish at once; 0: none. ``lookahead`` then holds ``window`` frames more

    Raises OptionError. Nothing runs but in the caller's thread.
    """
    choice("smooth", name, NAMES)
    if not 0 <= strength < 1:
        raise OptionError(f"strength is {strength:g}; allowed is 0 to below 1: 1 would see nothing new")
    if not 0 <= hysteresis <= 0.5:
        raise OptionError(f"hysteresis is {hysteresis:g}; allowed is 0 to 0.5")
    if window < 1:
        raise OptionError(f"window is {window}; allowed is at least 1: to look at no later frame take flow")
    if name == "auto":
        name = "flow" if live else "lookahead"
    if persistence < 0:
        raise OptionError(f"persistence is {persistence}; allowed is at least 0: 0 believes everything at once")
    steady = _named(name, strength, hysteresis, window)
    if not persistence:
        return steady
    ahead = window if name == "lookahead" else 0
    return lambda pairs: steady(retained(persistent(pairs, persistence, ahead), persistence))


def frames_ahead(options: TemporalOptions, *, persistence: int) -> int:
    """How many frames after a frame its steadied matte depends on, in a film."""
    window = options.lookahead if options.smooth in ("auto", "lookahead") else 0
    return window * (2 if persistence else 1)


def frames_behind(persistence: int) -> int:
    """After how many frames ``persistence`` says of parts that have been there all the time what it would say had it
    seen the whole shot: for those to be believed, for those that are kept to be as old as they get and to go."""
    return max(math.ceil(persistence / DOUBTFUL) + MEMORY, 2 * LONGEST * persistence) if persistence else 0


def frames_to_last(options: TemporalOptions, *, network: bool) -> int:
    """``options.persistence``, or its default for a network and for other methods."""
    if options.persistence is not None:
        return options.persistence
    frames = PERSISTENCE if options.steadiness is None else round(2 * PERSISTENCE * options.steadiness)
    return frames if network and options.smooth != "none" else 0


def _named(name: str, strength: float, hysteresis: float, window: int) -> Smoother:
    if name == "none":
        return iter
    band = hysteresis * (1 - strength)  # of the mean: a matte that comes moves it only so far
    if name in ("ema", "adaptive"):
        return partial(average, keep=strength, band=band, adaptive=name == "adaptive")
    return partial(follow, keep=strength, band=band, window=window if name == "lookahead" else 0)
