"""Sizes: the one set of rules that training and inference share.

A net that saw squeezed pictures in training and letterboxed ones in use loses several points, so
whatever changes a picture's size on its way into a net, or a matte's on its way out, is here and in
``resampling``.

Sizes are always ``(height, width)`` in pixels. Pictures are uint8 ``(h, w, 3)`` RGB in 0..255;
mattes are float32 ``(h, w)`` in 0..1. No function changes an array it was given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .resampling import shrink

Size = tuple[int, int]

# Pixels that the person model sees, whatever the picture's shape. On the val pictures 67,584 give 3 points of
# IoU over 50,176 where people are small or many, for half as much time again.
BUDGETS = {"high": 192 * 352, "medium": 224 * 224, "low": 128 * 224}
DEFAULT_BUDGET = BUDGETS["high"]
# A single picture is looked at more than once: people who fill it are judged better from few pixels, small
# ones from many (training/LOG.md, 9).
STILL_BUDGETS = (50_176, 93_184, 165_888)
# Of two pictures of the same shape one with 20 % fewer pixels is as bad as one squeezed by 10 %.
_UNUSED = 0.5
# A budget is met "about": the multiples of 32 lie so far apart that a strict bound would give a
# 16:9 picture 15 % fewer pixels than a square one.
_OVERSHOOT = 1.08


# What a frame may be shaped like: the nearest is taken, the rest is squeezed.
ASPECTS = ((9, 16), (3, 4), (1, 1), (4, 3), (16, 9))


@dataclass(frozen=True, slots=True)
class Box:
    """Where a letterboxed picture lies on its canvas, in pixels: the key to undoing it."""

    top: int
    left: int
    height: int
    width: int


def net_size(
    height: int, width: int, budget: int = DEFAULT_BUDGET, multiple: int = 32
) -> Size:
    """The ``(height, width)`` at which a picture of this shape goes into a net.

    Both sides are multiples of ``multiple``; the area stays within ``budget`` (to 8 %); the aspect
    is the picture's as nearly as such sides allow, and of sizes about equally near the larger wins.
    """
    _check_size(height, width)
    if budget < multiple * multiple:
        raise ValueError(f"budget {budget} holds no {multiple} x {multiple} picture")
    # Nothing is gained by an aspect beyond what a strip of one multiple can show.
    most = int(budget * _OVERSHOOT) // (multiple * multiple)
    best, best_cost = (multiple, multiple), math.inf
    for rows in range(1, most + 1):
        for columns in range(1, most // rows + 1):
            squeeze = abs(math.log((columns / rows) / (width / height)))
            unused = max(0.0, math.log(budget / (rows * columns * multiple * multiple)))
            cost = squeeze + _UNUSED * unused
            if cost < best_cost:
                best, best_cost = (rows * multiple, columns * multiple), cost
    return best


@cache
def usual_sizes() -> tuple[Size, ...]:
    """The sizes (height, width) that a net of any size is used at where each costs time and memory of its own (LiteRT:
    20 ms, 7 MiB): five shapes of each budget, of the smaller ones, which live uses, those of cameras."""
    shapes = {"high": ASPECTS, "medium": ((9, 16), (3, 4), (16, 9)), "low": ((9, 16),)}
    served = [(BUDGETS[name], some) for name, some in shapes.items()]
    served += [(budget, ASPECTS) for budget in STILL_BUDGETS]
    return tuple(dict.fromkeys(net_size(height, width, budget) for budget, some in served for height, width in some))


def nearest_size(height: int, width: int, sizes: Iterable[Size], budget: int = DEFAULT_BUDGET) -> Size:
    """Of some fixed ``sizes`` the one nearest to the aspect of a picture of ``height, width`` and to
    ``budget`` pixels."""
    _check_size(height, width)
    choices = list(sizes)
    if not choices:
        raise ValueError("no sizes to choose from")
    aspect, area = math.log(width / height), math.log(budget)
    return min(choices, key=lambda size: (abs(math.log(size[1] / size[0]) - aspect)
                                          + _UNUSED * abs(math.log(size[0] * size[1]) - area), size))


def resize(array: NDArray, size: Size) -> NDArray:
    """A picture or matte at ``size``, same dtype and rank; squeezed where the aspects differ.

    ``resampling.shrink``, the one resampler, for arrays with any last axis: the same pixels as ``Frame.rgb``
    gives of an RGB picture. A size that is already right gives the array itself.
    """
    height, width = size
    _check_size(height, width)
    if array.shape[:2] == (height, width):
        return array
    # cv2 drops a trailing channel axis of 1: put it back, so that ranks are kept.
    return shrink(array, (width, height)).reshape((height, width, *array.shape[2:]))


def letterbox(picture: NDArray, size: Size, fill: int = 0) -> tuple[NDArray, Box]:
    """The whole picture, aspect kept, centred on a canvas of ``size`` filled with ``fill``."""
    box = letterbox_box(picture.shape[0], picture.shape[1], size)
    canvas = np.full(size + picture.shape[2:], fill, dtype=picture.dtype)
    canvas[box.top : box.top + box.height, box.left : box.left + box.width] = resize(
        picture, (box.height, box.width)
    )
    return canvas, box


def letterbox_box(height: int, width: int, size: Size) -> Box:
    """Where :func:`letterbox` lays a picture of ``height, width`` on a canvas of ``size``."""
    _check_size(height, width)
    _check_size(*size)
    scale = min(size[0] / height, size[1] / width)
    rows = max(1, min(size[0], round(height * scale)))
    columns = max(1, min(size[1], round(width * scale)))
    return Box((size[0] - rows) // 2, (size[1] - columns) // 2, rows, columns)


def unletterbox(matte: NDArray, box: Box, size: Size | None = None) -> NDArray:
    """The part of a matte that a letterboxed picture covers, at ``size`` (default: as it is)."""
    bottom, right = box.top + box.height, box.left + box.width
    if bottom > matte.shape[0] or right > matte.shape[1]:
        raise ValueError(f"{box} does not lie on a matte of shape {matte.shape}")
    inner = matte[box.top : bottom, box.left : right]
    return inner if size is None else resize(inner, size)


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"a size must be at least 1 x 1, not {height} x {width}")
