"""Pictures of known truth for the methods: an object before a plain background, as in the seeds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2

Array = npt.NDArray[Any]
WIDTH, HEIGHT = 256, 144
# (background, object) RGB. The equal pair has the same BT.601 and BT.709 luma to one level.
PALETTES = {
    "dark": ((205, 200, 196), (50, 44, 60)),
    "light": ((58, 66, 60), (214, 206, 196)),
    "equal": ((70, 140, 150), (160, 104, 100)),
    "screen": ((12, 168, 62), (206, 150, 124)),
}


def truth(shift: float = 0.0) -> Array:
    """bool (h, w): a head and shoulders, whole inside the picture, ``shift`` pixels right of the middle."""
    x, y = np.meshgrid(np.arange(WIDTH) - WIDTH / 2 - shift, np.arange(HEIGHT) - HEIGHT / 2)
    head = (x / 20) ** 2 + ((y + 28) / 26) ** 2 <= 1
    body = (np.abs(x) / 46) ** 3 + (np.abs(y - 28) / 30) ** 3 <= 1
    return head | body


def picture(kind: str = "dark", shift: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """(uint8 (h, w, 3) RGB, bool (h, w) truth) of a scene with camera noise of two levels."""
    mask = truth(shift)
    background, subject = (np.array(colour, np.float32) for colour in PALETTES[kind])
    return _exposed(np.where(mask[..., None], subject, background), seed), mask


def textured(shift: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """The same object in a chequered shirt of four colours, before a wall with a gradient."""
    mask = truth(shift)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    colours = np.array([(160, 40, 40), (230, 190, 60), (40, 50, 120), (120, 30, 90)], np.float32)
    shirt = colours[((x - round(shift)) // 9 + 2 * (y // 9)) % 4]
    wall = np.array((120, 160, 130), np.float32) + 0.12 * (x - WIDTH / 2)[..., None]
    return _exposed(np.where(mask[..., None], shirt, wall), seed), mask


def empty(kind: str = "dark", seed: int = 0) -> Array:
    """uint8 (h, w, 3): the background of a scene alone."""
    return _exposed(np.broadcast_to(np.array(PALETTES[kind][0], np.float32), (HEIGHT, WIDTH, 3)), seed)


def crossing(count: int = 24, kind: str = "light", before: int = 4, shadow: float = 1.0,
             gain: float = 0.0) -> list[tuple[Array, Array]]:
    """A clip: ``before`` empty pictures, then the object walks through from left to right.

    ``shadow``: brightness of a strip of background at its feet; ``gain``: exposure gained a frame.
    """
    made = []
    for index in range(count):
        rgb, mask = empty(kind, index), np.zeros((HEIGHT, WIDTH), bool)
        if index >= before:
            shift = -75 + 150 * (index - before) / (count - 1 - before)
            rgb, mask = picture(kind, shift, index)
            strip = np.zeros_like(mask)
            strip[-14:, :] = truth(shift)[-44:-43, :]
            rgb = np.where((strip & ~mask)[..., None], rgb * shadow, rgb)
        made.append((np.clip(rgb * (1 + gain * index), 0, 255).astype(np.uint8), mask))
    return made


def frame(rgb: Array, index: int = 0, format: str = "yuv420p") -> Frame:
    """A Frame in a working format, converted by swscale (BT.601, limited range)."""
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return Frame.from_av(picture.reformat(format=format), index, time_base=Fraction(1, 25))


def iou(alpha: Array, mask: Array) -> float:
    """Of the matte at 0.5, brought to the truth's size, with the truth."""
    found = cv2.resize(alpha, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_LINEAR) >= 0.5
    return float((found & mask).sum() / max(1, (found | mask).sum()))


def assert_subject(matte: Matte, mask: Array, least: float = 0.9) -> None:
    """IoU above ``least``, at most 3 % of the background taken and 8 % of the subject lost, and the
    matte opaque and clear where it should be (a grey veil would pass at 0.5)."""
    alpha = cv2.resize(matte.alpha, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_LINEAR)
    assert iou(alpha, mask) > least
    assert (alpha >= 0.5)[~mask].mean() <= 0.03
    assert (alpha < 0.5)[mask].mean() <= 0.08
    assert alpha[mask].mean() > 0.85
    assert alpha[~mask].mean() < 0.08


def _exposed(clean: Array, seed: int) -> Array:
    noise = np.random.default_rng(seed).normal(0, 2, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
