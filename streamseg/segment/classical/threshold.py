"""Thresholding: the subject is lighter or darker than the background, everywhere or locally."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ...core.frames import Frame
from ...core.opencv import cv2, disc
from ...errors import OptionError
from ..api import param
from ..elapsed import ElapsedFrames
from .base import BLUR_HELP, POLARITY_HELP, SIZE_HELP, Alpha, Classical, Grey, grey_picture, softened
from .polarity import Vote

TYPES = ("auto", "binary", "binary_inv", "trunc", "tozero", "tozero_inv")
# Otsu's level divides anything, noise too: two sides whose means are nearer than this are one.
LEAST_CONTRAST = 8.0
_SIDE = {"binary": "light", "trunc": "light", "tozero": "light", "binary_inv": "dark", "tozero_inv": "dark"}


@dataclass(kw_only=True)
class Threshold(Classical):
    """One grey level divides the picture. What each type keeps (v: a pixel, t: the level):

    binary       opaque where v > t
    binary_inv   opaque where v <= t
    trunc        opaque where v is cut off at t; below, as opaque as v is near t, counted from the mean
                 of what lies below (so the background's own grey is clear)
    tozero       v > t is kept with its shade: as opaque as v is near the mean of what is kept
    tozero_inv   the same of v <= t; as in OpenCV a pixel of value 0 is gone, so black subjects are lost
    auto         binary or binary_inv, as ``polarity`` says

    Raises OptionError where ``type`` and ``polarity`` contradict each other or ``value`` is no level.
    """

    type: str = param("auto", "What is kept; auto: binary or binary_inv, as polarity says.", choices=TYPES)
    value: str | int = param("otsu", "Grey level, 0 to 255, that divides subject and background; otsu: found in each "
                             "frame.")
    polarity: str = param("auto", POLARITY_HELP, choices=("auto", "light", "dark"))
    size: int = param(480, SIZE_HELP, low=16, high=4096)
    _vote: Vote = field(default_factory=Vote, init=False, repr=False)
    _level: int | None = field(default=None, init=False, repr=False)
    _elapsed: ElapsedFrames = field(default_factory=ElapsedFrames, init=False, repr=False)

    summary: ClassVar[str] = "One grey level divides subject and background. The fastest method."
    source: ClassVar[str] = ("cv2.threshold; automatic level: Otsu 1979, 'A threshold selection method from "
                             "gray-level histograms'.")
    good_for: ClassVar[str] = "A subject that is clearly lighter or darker than an evenly lit, plain background."
    bad_for: ClassVar[str] = "Uneven light; textured backgrounds; subjects with both light and dark parts."

    def __post_init__(self) -> None:
        self._level = _level(self.value)
        side = _SIDE.get(self.type)
        if side and self.polarity not in ("auto", side):
            raise OptionError(f"polarity is {self.polarity!r}, but type {self.type} keeps the {side} side: "
                              "leave one of the two out")

    def _alpha(self, frame: Frame) -> Alpha:
        elapsed = self._elapsed.since_last(frame)
        grey = grey_picture(frame, self.size, self.blur)
        otsu = cv2.THRESH_OTSU if self._level is None else 0
        level, light = cv2.threshold(grey, self._level or 0, 255, cv2.THRESH_BINARY | otsu)
        dark = cv2.bitwise_not(light)
        means = side_means(grey, int(level))
        if otsu and means[1] - means[0] < LEAST_CONTRAST:
            return np.zeros(grey.shape, np.float32)
        kind = self.type
        if kind == "auto":
            side = self.polarity
            if side == "auto":
                side = "light" if self._vote.lit_is_subject(light, elapsed) else "dark"
            kind = "binary" if side == "light" else "binary_inv"
        if kind == "binary":
            return softened(light)
        return softened(dark) if kind == "binary_inv" else _shaded(
            kind, grey, sum(means) / 2 if otsu else level, means)

    def reset(self) -> None:
        """Forget which side the subject was on."""
        self._vote.reset()
        self._elapsed.reset()


def _level(value: str | int) -> int | None:
    """0..255, or None for Otsu's."""
    if value == "otsu":
        return None
    try:
        level = float(value)
    except (TypeError, ValueError):
        level = -1.0
    if level != level // 1 or not 0 <= level <= 255:
        raise OptionError(f"value is {value!r}; allowed are otsu or a whole number from 0 to 255")
    return int(level)


def side_means(grey: Grey, level: int) -> tuple[float, float]:
    """Mean grey of the pixels <= ``level`` and of those above, 0 for a side without any. From the
    histogram: 0.05 ms for 480 x 270, where two masked means take 0.8."""
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    weighted = counts * np.arange(256, dtype=np.float32)
    low, high = slice(0, level + 1), slice(level + 1, None)
    dark, light = (float(weighted[part].sum() / max(counts[part].sum(), 1)) for part in (low, high))
    return dark, light


def _shaded(kind: str, grey: Grey, level: float, means: tuple[float, float]) -> Alpha:
    """The matte of the types that keep shades, through a table of the 256 greys. ``means``: of the dark
    and of the light side. Otsu's level is given as their middle, which divides the same pixels but does
    not touch the noise of the darker side."""
    shades = np.arange(256, dtype=np.float32)
    if kind == "trunc":
        floor = min(means[0], level - 1)
        table = (np.minimum(shades, level) - floor) / (level - floor)
        table[int(level) + 1:] = 1.0
    else:
        kept = shades > level if kind == "tozero" else shades <= level
        table = np.where(kept, shades / max(means[kind == "tozero"], 1.0), 0.0)
    return cv2.LUT(grey, np.clip(table, 0.0, 1.0).astype(np.float32))


@dataclass(kw_only=True)
class Adaptive(Classical):
    """Each pixel against the mean of its neighbourhood, then the outlines filled.

    A local threshold answers along edges only: the inside of an even subject equals its neighbourhood.
    The areas between the outlines are therefore told apart by the border: an area that makes up a good
    part of the picture's border is background, what the outlines enclose is the subject.
    """

    method: str = param("gaussian", "Mean of the neighbourhood: plain, or weighted by a Gaussian.",
                        choices=("mean", "gaussian"))
    block: int = param(11, "Side of the neighbourhood, in pixels of the small copy; odd.", low=3, high=255,
                       odd=True)
    c: float = param(2.0, "Grey levels by which a pixel must differ from its neighbourhood.", low=-255,
                     high=255)
    polarity: str = param("auto", POLARITY_HELP, choices=("auto", "light", "dark"))
    blur: int = param(5, BLUR_HELP, low=1, high=99, odd=True)

    summary: ClassVar[str] = "Each pixel is compared with its neighbourhood; the outlines that this gives are filled."
    source: ClassVar[str] = ("cv2.adaptiveThreshold (ADAPTIVE_THRESH_MEAN_C, _GAUSSIAN_C) and "
                             "cv2.connectedComponents.")
    good_for: ClassVar[str] = "An object with a clear outline in front of a plain background, in uneven light."
    bad_for: ClassVar[str] = "Textured backgrounds; soft outlines; noise that is stronger than c after the blur."

    def _alpha(self, frame: Frame) -> Alpha:
        grey = grey_picture(frame, self.size, self.blur)
        if self.polarity != "auto":
            return softened(self._filled(grey, self.polarity == "light"))
        mask = self._filled(grey, light=False)
        lit = cv2.mean(grey, mask)[0] > cv2.mean(grey, 255 - mask)[0] if mask.any() else False
        return softened(self._filled(grey, light=True) if lit else mask)

    def _filled(self, grey: Grey, light: bool) -> Grey:
        """uint8 (h, w), 255 on a subject that is lighter (darker) than what is around its outline."""
        how = cv2.ADAPTIVE_THRESH_MEAN_C if self.method == "mean" else cv2.ADAPTIVE_THRESH_GAUSSIAN_C
        outline = cv2.adaptiveThreshold(255 - grey if light else grey, 255, how, cv2.THRESH_BINARY_INV,
                                        self.block, self.c)
        # Sharp inward bends answer weakly: gaps as wide as the neighbourhood are bridged.
        return fill_outlines(cv2.morphologyEx(outline, cv2.MORPH_CLOSE, disc(min(self.block, 15))))


def fill_outlines(outline: Grey) -> Grey:
    """uint8 (h, w), 255 on the outlines (nonzero) and on the areas they enclose; thin leftovers removed.

    An area is background if it holds at least a quarter of the picture's border: a subject that is cut
    by the picture's edge is open there, and still filled.
    """
    count, labels = cv2.connectedComponents(cv2.bitwise_not(outline), connectivity=4)
    edge = np.concatenate([labels[0], labels[-1], labels[1:-1, 0], labels[1:-1, -1]])
    contact = np.bincount(edge, minlength=count)
    contact[0] = 0  # label 0 is the outlines themselves
    background = contact >= 0.25 * edge.size
    background[contact.argmax()] = True
    background[0] = False
    mask = np.where(background, np.uint8(0), np.uint8(255))[labels]
    # Outlines that enclose nothing are thinner than this; the subject is not.
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(9))
