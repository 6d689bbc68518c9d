"""Chroma key: the background is one colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...core.frames import Frame, Matte
from ...core.opencv import cv2
from ...errors import OptionError
from ..api import param
from .base import SIZE_HELP, Alpha, Classical, Picture, rgb_picture
from .polarity import ring

RGB = tuple[int, int, int]
# The green and blue of screens as cameras see them, and the primaries by name.
NAMED: dict[str, RGB] = {
    "green": (0, 177, 64), "blue": (0, 71, 187), "red": (255, 0, 0), "magenta": (255, 0, 255),
    "cyan": (0, 255, 255), "yellow": (255, 255, 0), "white": (255, 255, 255), "black": (0, 0, 0),
}
# BT.601 Cb, Cr from RGB in 0..255, without offset.
_TO_CHROMA = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_TO_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# A key with less chroma than this (of 128) is a grey: its hue means nothing. Of a dark one less will do: a shadow
# takes chroma with the light.
_LEAST_CHROMA, _LEAST_DARK, _LEAST_SHARE = 16.0, 6.0, 0.1
# So much chroma is in any grey: noise, the light's tint. Counted as none, but for this share of a dull key's own.
_GREY_FLOOR, _MOST_FLOOR = 4.0, 0.25
# Hues that make up one colour of a screen in light and shadow, to either side, in degrees, and of the areas searched
# the share that it must fill.
_HUES, _FILLED = 12, 0.1
# RGB distance that counts as 1 from such a key: the default tolerance is then 26 levels of 255.
_GREY_UNIT = 64.0


@dataclass(kw_only=True)
class Chroma(Classical):
    """How much of the key colour is in each pixel, in the Cb, Cr plane.

    By default the key is the commonest colour along the border of the first frame, where all that has one hue, bright
    or in shadow, dull or strong, counts as one colour.

    With x along the key's hue and z across it, both in units of the key's own chroma and of a shadowed
    key's at the pixel's brightness, a pixel holds x - |z| / tan(angle / 2) of key colour; it is clear
    from 1 - tolerance upwards and grows opaque over ``softness`` below that. A key without hue (white,
    black, grey) is compared in RGB instead, where 64 levels away means none of it.

    Each matte carries ``despill``: the key, whose reflection is then taken out of the subject's colours.
    """

    key: str = param("auto", f"The background's colour: auto (found along the border of the first frame), #rrggbb, "
                     f"{', '.join(NAMED)}.")
    tolerance: float = param(0.4, "How far from the key colour a pixel is still background; 1: all of its hue.",
                             low=0.0, high=1.0)
    softness: float = param(0.3, "Width of the ramp from background to subject, in the same unit.", low=0.0,
                            high=1.0)
    angle: float = param(100.0, "Range of hues that count as the key colour, in degrees.", low=10, high=170)
    spill: bool = param(True, "Remove the key colour's reflection from the subject.")
    size: int = param(640, SIZE_HELP, low=16, high=4096)
    _key: RGB | None = field(default=None, init=False, repr=False)

    summary: ClassVar[str] = "Chroma key: the background is one colour, green or any other."
    source: ClassVar[str] = ("van den Bergh and Lalioti 1999, 'Software chroma keying in an immersive "
                             "virtual environment' (own code).")
    good_for: ClassVar[str] = "Green and blue screens, also with hair and soft edges."
    bad_for: ClassVar[str] = "Subjects with the key's hue; backgrounds of several colours."

    def __post_init__(self) -> None:
        self._key = None if self.key == "auto" else _parse_key(self.key)

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        """One matte a frame, with the key that it was made by."""
        return [Matte(self._alpha(frame), self.despill) for frame in frames]

    @property
    def despill(self) -> RGB | None:
        """RGB 0..255 of the key to be taken out of the subject's rim; None: nothing to do (yet)."""
        if not self.spill or self._key is None or not has_hue(self._key):
            return None
        return self._key

    def _alpha(self, frame: Frame) -> Alpha:
        picture = rgb_picture(frame, self.size, self.blur)
        if self._key is None:
            self._key = border_colour(picture)
        return self._keyed(picture)

    def _keyed(self, picture: Picture) -> Alpha:
        """The matte of a picture by the key, which is known."""
        assert self._key is not None
        chroma, direction = _chroma_of(self._key)
        share = (self._chromatic(picture, chroma, direction) if has_hue(self._key)
                 else self._achromatic(picture))
        # share: 1 is the key itself, 0 has none of it.
        clear = 1.0 - self.tolerance
        ramp = max(self.softness, 1e-3)
        return np.clip((clear - share) / ramp, 0.0, 1.0).astype(np.float32)

    def _chromatic(self, picture: Picture, chroma: float, direction: npt.NDArray[np.float32]) -> Alpha:
        assert self._key is not None
        across = np.array([-direction[1], direction[0]], np.float32)
        maps = np.stack([direction @ _TO_CHROMA, across @ _TO_CHROMA, _TO_LUMA])
        along, aside, luma = np.moveaxis(_project(picture, maps), 2, 0)
        spread = np.float32(1 / np.tan(np.radians(self.angle) / 2))
        amount = along - np.abs(aside) * spread
        # A shadow on the screen keeps the hue and loses chroma with its light; below a quarter of the
        # key's brightness the quotient would be noise.
        whole = np.clip(luma / max(float(_TO_LUMA @ np.array(self._key)), 1.0), 0.25, 1.0) * np.float32(chroma)
        floor = np.minimum(np.float32(_GREY_FLOOR), whole * np.float32(_MOST_FLOOR))
        return (amount - floor) / (whole - floor)

    def _achromatic(self, picture: Picture) -> Alpha:
        assert self._key is not None
        away = picture.astype(np.float32) - np.array(self._key, np.float32)
        return 1.0 - np.sqrt(np.square(away).sum(axis=2)) / np.float32(_GREY_UNIT)

    def reset(self) -> None:
        """Forget the key that was found by itself."""
        if self.key == "auto":
            self._key = None


def _project(picture: Picture, maps: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """float32 (h, w, n): the n linear maps (n, 3) of each pixel."""
    return cv2.transform(picture.astype(np.float32), maps)


def _chroma_of(key: RGB) -> tuple[float, npt.NDArray[np.float32]]:
    """Length (0..128) and unit direction of a colour in the Cb, Cr plane."""
    vector = _TO_CHROMA @ np.array(key, np.float32)
    length = float(np.hypot(*vector))
    return length, vector / max(length, 1e-6)


def _parse_key(text: str) -> RGB:
    name = text.strip().lower()
    if name in NAMED:
        return NAMED[name]
    try:
        if len(name) != 7 or name[0] != "#":
            raise ValueError
        red, green, blue = bytes.fromhex(name[1:])
    except ValueError:
        raise OptionError(f"key is {text!r}; allowed are auto, #rrggbb, {', '.join(NAMED)}") from None
    return red, green, blue


def has_hue(key: RGB) -> bool:
    """Whether a key is no grey."""
    luma = float(_TO_LUMA @ np.array(key, np.float32))
    return _chroma_of(key)[0] >= max(_LEAST_DARK, min(_LEAST_CHROMA, _LEAST_SHARE * luma))


def border_colour(picture: Picture) -> RGB:
    """The commonest colour of the border ring. Pixels of one hue count as one colour, and so do those of one grey."""
    pixels = picture[ring((picture.shape[0], picture.shape[1]))]
    screen, filled = screen_colour(pixels)
    grey = commonest(pixels)
    if screen is None or (not has_hue(grey) and filled < _share_of(pixels, grey)):
        return grey
    return screen


def screen_colour(pixels: npt.NDArray[Any]) -> tuple[RGB | None, float]:
    """The commonest hue of uint8 (n, 3) pixels as a colour, the median of all that have it, and the share of the
    pixels that do; None where none has a share of _FILLED."""
    colours = pixels.astype(np.float32)
    across, down = (_TO_CHROMA @ colours.T)
    luma = colours @ _TO_LUMA
    least = np.clip(_LEAST_SHARE * luma, _LEAST_DARK, _LEAST_CHROMA)
    coloured = np.hypot(across, down) >= least
    hues = np.degrees(np.arctan2(down, across))[coloured].astype(int) % 360
    counts = np.bincount(hues, minlength=360)
    around = np.convolve(np.concatenate([counts[-_HUES:], counts, counts[:_HUES]]), np.ones(2 * _HUES + 1), "valid")
    best = int(around.argmax())
    filled = float(around[best]) / max(len(pixels), 1)
    if filled < _FILLED:
        return None, filled
    own = pixels[coloured][np.abs((hues - best + 180) % 360 - 180) <= _HUES]
    red, green, blue = np.median(own, axis=0).round().astype(int).tolist()
    return (red, green, blue), filled


def _share_of(pixels: npt.NDArray[Any], grey: RGB) -> float:
    """The share of the pixels that have about this colour."""
    away = np.abs(pixels.astype(np.int16) - np.array(grey, np.int16)).max(axis=1)
    return float((away <= 24).mean())


def commonest(pixels: npt.NDArray[Any]) -> RGB:
    """The mean of the fullest of 16 x 16 x 16 boxes of RGB."""
    boxes = (pixels >> 4).astype(np.int32) @ np.array([256, 16, 1], np.int32)
    fullest = np.bincount(boxes).argmax()
    red, green, blue = pixels[boxes == fullest].mean(axis=0).round().astype(int).tolist()
    return red, green, blue
