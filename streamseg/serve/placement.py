"""Where a cut-out subject comes to lie: cropped, scaled, moved, before a colour or a picture.

Pictures are uint8 (h, w, 4) RGBA with straight alpha. Texts are those of remove.bg's parameters: lengths as
"30px" or "10%", one, two or four of them as in CSS; positions as "25% 80%". All functions give new arrays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.geometry import resize
from ..errors import OptionError

Picture = npt.NDArray[np.uint8]
SEEN = 13  # of 255, from which on a pixel counts to the subject: fainter ones would widen every crop
MOST_MARGIN = 500
_LENGTH = re.compile(r"(\d{1,5}(?:\.\d{1,4})?)(px|%)")


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a picture in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column behind it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height


@dataclass(frozen=True, slots=True)
class Length:
    """A number of pixels, or per cent of something."""

    value: float
    unit: str

    @classmethod
    def of(cls, name: str, text: str) -> Length:
        """'30px' or '10%'. Raises OptionError."""
        found = _LENGTH.fullmatch(text.strip().lower())
        if found is None:
            raise OptionError(f"{name} is {text[:60]!r}; it must be pixels or per cent, as 30px or 10%")
        return cls(float(found[1]), found[2])

    def pixels(self, whole: int) -> int:
        """Of a side of ``whole`` pixels."""
        return round(self.value if self.unit == "px" else whole * self.value / 100)


def subject(alpha: npt.NDArray[np.uint8]) -> Area | None:
    """The box round all that is to be seen of the subject; None if there is nothing."""
    seen = alpha >= SEEN
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not len(rows):
        return None
    return Area(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))


def region(text: str, width: int, height: int) -> Area:
    """'x1 y1 x2 y2' in px or % as a part of a picture. Raises OptionError."""
    parts = text.split()
    if len(parts) != 4:
        raise OptionError(f"roi is {text[:60]!r}; it must be four lengths, x1 y1 x2 y2, as 0% 0% 50% 100%")
    sides = [Length.of("roi", part).pixels(whole)
             for part, whole in zip(parts, (width, height, width, height), strict=True)]
    left, right = sorted(min(side, width) for side in sides[::2])
    top, bottom = sorted(min(side, height) for side in sides[1::2])
    if left == right or top == bottom:
        raise OptionError(f"roi is {text[:60]!r}; nothing of the picture, {width} x {height}, lies in it")
    return Area(left, top, right - left, bottom - top)


def only_within(picture: Picture, area: Area) -> Picture:
    """The picture, transparent outside ``area``."""
    made = picture.copy()
    keep = np.zeros(picture.shape[:2], bool)
    keep[area.top:area.bottom, area.left:area.right] = True
    made[..., 3][~keep] = 0
    return made


def margins(text: str, area: Area) -> tuple[int, int, int, int]:
    """Top, right, bottom and left of one, two or four lengths; per cent are of the subject's sides, at most half
    of them, pixels at most MOST_MARGIN. Raises OptionError."""
    parts = [Length.of("crop_margin", part) for part in text.split()]
    if len(parts) not in (1, 2, 4):
        raise OptionError(f"crop_margin is {text[:60]!r}; it must be one, two or four lengths, as 30px or 10% 5%")
    top, right, bottom, left = (parts * 4)[:4] if len(parts) < 4 else parts
    for part in parts:
        if part.value > (MOST_MARGIN if part.unit == "px" else 50):
            raise OptionError(f"crop_margin is {text[:60]!r}; allowed are at most {MOST_MARGIN}px and 50%")
    return (top.pixels(area.height), right.pixels(area.width), bottom.pixels(area.height),
            left.pixels(area.width))


def cropped(picture: Picture, area: Area, margin: tuple[int, int, int, int]) -> tuple[Picture, Area]:
    """The part of ``picture`` that is ``area`` with a margin (top, right, bottom, left), transparent where the
    picture does not reach; and where the area lies in it."""
    top, right, bottom, left = margin
    made = np.zeros((area.height + top + bottom, area.width + left + right, 4), np.uint8)
    y, x = area.top - top, area.left - left
    rows = slice(max(0, y), min(picture.shape[0], y + made.shape[0]))
    columns = slice(max(0, x), min(picture.shape[1], x + made.shape[1]))
    made[rows.start - y:rows.stop - y, columns.start - x:columns.stop - x] = picture[rows, columns]
    return made, Area(left, top, area.width, area.height)


def placed(picture: Picture, area: Area, scale: str, position: str) -> tuple[Picture, Area]:
    """The picture with its subject, which lies in ``area``, scaled to a share of the canvas and moved.

    scale      'original', or per cent of the canvas that the subject's box may fill, 10% to 100%
    position   'original', 'center', or one or two lengths in per cent, from left and from top
    """
    height, width = picture.shape[:2]
    part = picture[area.top:area.bottom, area.left:area.right]
    if scale != "original":
        share = Length.of("scale", scale)
        if share.unit != "%" or not 10 <= share.value <= 100:
            raise OptionError(f"scale is {scale[:60]!r}; allowed are original and 10% to 100%")
        factor = min(width / area.width, height / area.height) * share.value / 100
        part = _resized(part, max(1, round(area.width * factor)), max(1, round(area.height * factor)))
        position = "center" if position == "original" else position
    across, down = _position(position)
    size = part.shape[1], part.shape[0]
    left = area.left if across is None else round((width - size[0]) * across)
    top = area.top if down is None else round((height - size[1]) * down)
    made = np.zeros_like(picture)
    made[top:top + size[1], left:left + size[0]] = part
    return made, Area(left, top, *size)


def _position(text: str) -> tuple[float | None, float | None]:
    """Shares of the free room on the left and above; None keeps the place."""
    if text == "original":
        return None, None
    if text == "center":
        return 0.5, 0.5
    parts = [Length.of("position", part) for part in text.split()]
    if len(parts) not in (1, 2) or any(part.unit != "%" or part.value > 100 for part in parts):
        raise OptionError(f"position is {text[:60]!r}; allowed are original, center, and one or two of 0% to 100%")
    return parts[0].value / 100, parts[-1].value / 100


def _resized(part: Picture, width: int, height: int) -> Picture:
    """At another size; colours are weighted by alpha, so that what is transparent does not shine in."""
    alpha = part[..., 3:].astype(np.float32) / 255
    small = resize(np.ascontiguousarray(np.dstack([part[..., :3] * alpha, alpha])), (height, width))
    colours = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
    return np.rint(np.clip(np.dstack([colours, small[..., 3:] * 255]), 0, 255)).astype(np.uint8)


def over_colour(picture: Picture, colour: tuple[int, int, int, int]) -> Picture:
    """The picture over a colour, RGBA, that may be transparent itself. Porter and Duff's 'over'."""
    ahead, behind = picture[..., 3:].astype(np.float32) / 255, colour[3] / 255
    whole = ahead + behind * (1 - ahead)
    base = np.array(colour[:3], np.float32)
    mixed = (picture[..., :3] * ahead + base * behind * (1 - ahead)) / np.maximum(whole, 1e-6)
    return np.rint(np.clip(np.dstack([mixed, whole * 255]), 0, 255)).astype(np.uint8)


def over_picture(picture: Picture, back: npt.NDArray[np.uint8]) -> Picture:
    """The picture over another, uint8 (h, w, 3) RGB, which fills it: what is over is cut off on both sides."""
    height, width = picture.shape[:2]
    factor = max(width / back.shape[1], height / back.shape[0])
    size = max(height, round(back.shape[0] * factor)), max(width, round(back.shape[1] * factor))
    large: Any = resize(back, size)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    large = large[top:top + height, left:left + width].astype(np.float32)
    share = picture[..., 3:].astype(np.float32) / 255
    mixed = np.rint(large + share * (picture[..., :3] - large)).astype(np.uint8)
    return np.dstack([mixed, np.full((height, width), 255, np.uint8)])
