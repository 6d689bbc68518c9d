"""Makes one training sample of one or more pictures: shape, company, background, dress. Light and noise come
in damage.py.

Everything takes a ``numpy.random.Generator`` and is a pure function of it. A sample is a pair:
picture uint8 ``(h, w, 3)`` RGB, truth uint8 ``(h, w, 2)``: alpha 0..255, and 255 where it is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.background import blend
from streamseg.core.opencv import cv2

Rng = np.random.Generator
Bytes = NDArray[Any]  # uint8; OpenCV's stubs know no dtypes
Pair = tuple[Bytes, Bytes]
Size = tuple[int, int]


def crop(pair: Pair, size: Size, rng: Rng, near: float = 0.06) -> Pair:
    """The picture as a frame of ``size``: zoomed, turned a little, flipped, shifted.

    Between "the whole picture fits" and "the frame is filled", then from 0.6 (small persons) to 2.2
    times (faces), and now and then (``near``: how often) a part so small that an arm or a leg is all there is.
    What lies beyond the picture's edge is mirrored, or black, or unknown.
    """
    height, width = pair[0].shape[:2]
    fit = min(size[0] / height, size[1] / width)
    cover = max(size[0] / height, size[1] / width)
    scale = fit * (cover / fit) ** rng.uniform(0.2, 1.0)
    scale *= np.exp(np.clip(rng.normal(0.06, 0.22), -0.5, 0.8))
    if rng.random() < near:
        scale = cover * rng.uniform(1.5, 2.8)
    squeeze = np.exp(rng.normal(0.0, 0.06))
    # Room that the picture has to spare, or that the frame has.
    spare_x = width * scale - size[1]
    spare_y = height * scale - size[0]
    centre = (
        size[1] / 2 + spare_x * rng.uniform(-0.5, 0.5),
        size[0] / 2 + spare_y * rng.uniform(-0.5, 0.5),
    )
    angle = rng.normal(0.0, 5.0) if rng.random() < 0.5 else 0.0
    border = rng.choice([cv2.BORDER_REFLECT_101, cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE],
                        p=[0.6, 0.2, 0.2])  # fmt: skip
    flip = rng.random() < 0.5
    return _warp(pair, size, (scale * squeeze, scale / squeeze), centre, angle, flip, int(border))


def turn(pair: Pair, quarters: int) -> Pair:
    """The pair turned counter-clockwise by ``quarters`` times 90 degrees."""
    picture, truth = (np.ascontiguousarray(np.rot90(array, quarters)) for array in pair)
    return picture, truth


def place(pair: Pair, size: Size, rng: Rng, small: bool = False) -> Pair:
    """A person cut from one picture, set on an empty frame of ``size`` where a person could stand.

    A side at which the picture cuts the person stays at (or beyond) that side of the frame: nobody
    floats without legs. ``small`` makes a passer-by. The truth's second channel is kept: unknown
    parts stay unknown.
    """
    picture, truth = pair
    height, width = truth.shape[:2]
    alpha = truth[..., 0]
    margin = 2
    cut_left, cut_right = alpha[:, :margin].max() > 127, alpha[:, -margin:].max() > 127
    cut_bottom = alpha[-margin:].max() > 127
    fit = size[0] / height
    scale = fit * (rng.uniform(0.3, 0.6) if small else np.exp(rng.uniform(np.log(0.5), np.log(1.5))))
    if cut_left and cut_right:
        scale = max(scale, size[1] / width)
    flip = rng.random() < 0.5
    if flip:
        cut_left, cut_right = cut_right, cut_left
    wide, high = width * scale, height * scale
    x = rng.uniform(0.1, 0.9) * size[1]
    if cut_left and cut_right:
        x = size[1] / 2
    elif cut_left:
        x = wide / 2 - rng.uniform(0.0, 0.2) * wide
    elif cut_right:
        x = size[1] - wide / 2 + rng.uniform(0.0, 0.2) * wide
    if cut_bottom:
        y = size[0] - high / 2 + rng.uniform(0.0, 0.25) * high
    else:
        y = size[0] / 2 + rng.uniform(-0.3, 0.4) * abs(size[0] - high)
    squeeze = np.exp(rng.normal(0.0, 0.04))
    # Beyond the cut-out there is nobody, and that is known.
    picture, truth = _warp(
        (picture, truth), size, (scale * squeeze, scale / squeeze), (x, y), 0.0, flip,
        cv2.BORDER_CONSTANT, known_outside=True,
    )  # fmt: skip
    return picture, truth


def drift(pair: Pair, frame: int, rng: Rng) -> Pair:
    """A layer as it is ``frame`` frames later: shifted, zoomed and turned about its middle, the same way in
    each frame for the same state of ``rng``. What comes in at the border is mirrored, picture and truth alike.
    """
    height, width = pair[1].shape[:2]
    shift = np.clip(rng.normal(0.0, 0.015, 2), -0.05, 0.05) * width * frame
    zoom, angle = np.exp(rng.normal(0.0, 0.01)) ** frame, rng.normal(0.0, 0.7) * frame
    if not frame:
        return pair
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(angle), float(zoom))
    matrix[:, 2] += shift
    picture, truth = (cv2.warpAffine(array, matrix, (width, height), flags=cv2.INTER_LINEAR,
                                     borderMode=cv2.BORDER_REFLECT_101) for array in pair)  # fmt: skip
    # A pixel mixed with an unknown one is unknown.
    known = cv2.compare(truth[..., 1], 250, cv2.CMP_GE)  # type: ignore[call-overload]
    return picture, cv2.merge([truth[..., 0], known])


def over(front: Pair, back: Pair, rng: Rng) -> Pair:
    """``front`` laid over ``back`` by its alpha; its brightness is drawn towards the back's."""
    picture, truth = front
    # Binary truth follows the outline from outside: a rim of the old background would teach the net
    # to look for seams. Half a pixel to a pixel in, and softened.
    alpha = truth[..., 0]
    if rng.random() < 0.7:
        alpha = cv2.erode(alpha, np.ones((3, 3), np.uint8))
        alpha = cv2.GaussianBlur(alpha, (3, 3), float(rng.uniform(0.5, 1.0)))
    where = alpha > 127
    if where.any() and rng.random() < 0.6:
        pull = rng.uniform(0.1, 0.6)
        target, now = back[0].mean(), picture[where].mean()
        gain = np.clip(((1 - pull) * now + pull * target) / max(now, 1.0), 0.5, 1.6)
        picture = cv2.convertScaleAbs(picture, alpha=float(gain))
    mixed = blend(picture, back[0], cv2.merge([alpha] * 3), 255)
    # Alpha of two layers: 1 - (1 - a)(1 - b).
    total = cv2.bitwise_not(
        cv2.multiply(cv2.bitwise_not(alpha), cv2.bitwise_not(back[1][..., 0]), scale=1 / 255)
    )
    # Unknown in either layer is unknown, unless the front surely hides it.
    known = cv2.bitwise_and(truth[..., 1], cv2.bitwise_or(back[1][..., 1], (alpha > 250) * np.uint8(255)))
    return mixed, cv2.merge([total, known])


def dress(pair: Pair, stuff: Bytes, rng: Rng) -> Pair:
    """Something on the person looks otherwise: a badge, a print, a garment of another colour.

    A patch of the body, below the head mostly, is painted in one colour, cast in another, or shows a part
    of ``stuff`` (any picture, uint8 RGB) with the person's own light and shade. The truth stays: what a person
    wears belongs to the person, however little it is like cloth. Nobody in the picture: nothing is done.
    """
    picture, truth = pair
    alpha = truth[..., 0]
    x, y, wide, high = cv2.boundingRect(cv2.compare(alpha, 127, cv2.CMP_GT))  # type: ignore[call-overload]
    chest = y + int(0.3 * high)
    body = np.argwhere(alpha[chest : y + high, x : x + wide] > 250)
    if min(wide, high) < 24 or not len(body):
        return pair
    row, column = body[rng.integers(len(body))]
    kind = rng.choice(["badge", "garment", "print"], p=[0.5, 0.25, 0.25])
    # A badge is small, a print not large (a whole person of "stuff" is one no more); a garment may be.
    least, most = {"badge": (0.04, 0.15), "garment": (0.1, 0.5), "print": (0.05, 0.2)}[kind]
    patch = _patch(alpha.shape, (x + int(column), chest + int(row)), wide * rng.uniform(least, most), rng)
    if kind == "badge":
        bright = rng.uniform(190, 256, 3) if rng.random() < 0.6 else rng.uniform(0, 256, 3)
        paint, shade = np.full_like(picture, bright.astype(np.uint8)), rng.uniform(0.0, 0.3)
    elif kind == "garment":
        paint = np.full_like(picture, rng.uniform(0, 256, 3).astype(np.uint8))
        shade = rng.uniform(0.5, 0.9)
    else:
        paint = cv2.resize(stuff, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_AREA)
        shade = rng.uniform(0.0, 0.5)
    light = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    mean = max(float(cv2.mean(light, patch)[0]), 16.0)
    shaded = cv2.multiply(paint, cv2.merge([light] * 3), scale=1 / mean)
    paint = cv2.addWeighted(paint, 1 - shade, shaded, shade, 0)
    where = cv2.multiply(patch, alpha, scale=1 / 255)
    return blend(paint, picture, cv2.merge([where] * 3), 255), truth


def hang(pair: Pair, other: Pair, rng: Rng) -> Pair:
    """A cloth behind the person: a flag, a curtain, a garment on a hook. The truth stays.

    Half of them are cut out of what the person of ``other`` wears, the others have bands of colour; all have
    folds. Cloth alone makes no person: nets that have seen it on people only take flags and curtains beside
    them for clothes.
    """
    picture, truth = pair
    height, width = truth.shape[:2]
    cloth = _worn(other, rng) if rng.random() < 0.5 else None
    if cloth is None:
        cloth = _bands((height, width), rng)
    cloth = cv2.resize(cloth, (width, height), interpolation=cv2.INTER_LINEAR)
    across, down = np.arange(width) / width, np.arange(height)[:, None] / height
    folds = np.sin(2 * np.pi * (rng.uniform(1, 9) * across + rng.uniform(-1, 1) * down + rng.random()))
    light = np.uint8(150) + (rng.uniform(0, 100) * folds).astype(np.int8).astype(np.uint8)
    cloth = cv2.multiply(cloth, cv2.merge([light] * 3), scale=1 / 150)
    middle = int(rng.integers(width)), int(rng.integers(height))
    where = _patch((height, width), middle, width * rng.uniform(0.06, 0.3), rng)
    where = cv2.multiply(where, cv2.bitwise_not(truth[..., 0]), scale=1 / 255)
    return blend(cloth, picture, cv2.merge([where] * 3), 255), truth


def _worn(pair: Pair, rng: Rng) -> Bytes | None:
    """A rectangle of what somebody wears, uint8 RGB; None where none is found."""
    picture, truth = pair
    x, y, wide, high = cv2.boundingRect(cv2.compare(truth[..., 0], 250, cv2.CMP_GT))  # type: ignore[call-overload]
    rows, columns = int(high * rng.uniform(0.15, 0.4)), int(wide * rng.uniform(0.2, 0.5))
    if min(rows, columns) < 12:
        return None
    for _ in range(4):
        top = y + int(rng.integers(int(0.35 * high), high - rows + 1))
        left = x + int(rng.integers(wide - columns + 1))
        part = slice(top, top + rows), slice(left, left + columns)
        if truth[part][..., 0].mean() > 240:
            return picture[part]
    return None


def _bands(size: Size, rng: Rng) -> Bytes:
    """Two to twelve bands of two or three colours, upright or lying, often with a field of spots in it."""
    height, width = size
    colours = rng.integers(0, 256, (int(rng.integers(2, 4)), 3)).astype(np.uint8)
    along = np.arange(height)[:, None] if rng.random() < 0.6 else np.arange(width)[None]
    number = (along * int(rng.integers(2, 13)) // max(along.shape)) % len(colours)
    cloth = np.broadcast_to(colours[number], (height, width, 3)).copy()
    if rng.random() < 0.5:
        field = cloth[: int(height * rng.uniform(0.4, 1)), : int(width * rng.uniform(0.4, 1))]
        ground, mark = rng.integers(0, 256, (2, 3)).tolist()
        field[:] = ground
        step = int(rng.integers(10, 40))
        for row in range(step // 2, field.shape[0], step):
            for column in range(step // 2, field.shape[1], step):
                cv2.drawMarker(field, (column, row), mark, cv2.MARKER_STAR, step // 2, 2, cv2.LINE_AA)
    return cloth


def rim(alpha: Bytes, radius: int = 2) -> Bytes:
    """255 where alpha changes within ``radius`` pixels, 0 where it is flat: uint8 ``(h, w)``."""
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.subtract(cv2.dilate(alpha, kernel), cv2.erode(alpha, kernel))


def _patch(shape: Size, middle: tuple[int, int], reach: float, rng: Rng) -> Bytes:
    """255 in a rectangle or an ellipse about ``middle`` (x, y), ``reach`` pixels to its sides, else 0."""
    half = max(2, round(reach)), max(2, round(reach * np.exp(rng.normal(0.0, 0.4))))
    patch = np.zeros(shape, np.uint8)
    if rng.random() < 0.7:
        corners = cv2.boxPoints((middle, (2.0 * half[0], 2.0 * half[1]), float(rng.normal(0.0, 15.0))))
        cv2.fillConvexPoly(patch, corners.astype(np.int32), 255, cv2.LINE_AA)
    else:
        cv2.ellipse(patch, middle, half, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    return patch


def _warp(
    pair: Pair, size: Size, scale: tuple[float, float], centre: tuple[float, float],
    angle: float, flip: bool, border: int, known_outside: bool = False,
) -> Pair:  # fmt: skip
    """Both arrays through one affine map: their centre goes to ``centre`` (x, y) of the frame."""
    picture, truth = pair
    if min(scale) < 0.6:
        # Bilinear sampling of a picture shrunk further would alias: halve it by areas first.
        half = (max(1, picture.shape[1] // 2), max(1, picture.shape[0] // 2))
        scale = (scale[0] * picture.shape[1] / half[0], scale[1] * picture.shape[0] / half[1])
        picture = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
        truth = cv2.resize(truth, half, interpolation=cv2.INTER_AREA)
    height, width = picture.shape[:2]
    turn = np.deg2rad(angle)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = linear @ np.diag([scale[0] * (-1 if flip else 1), scale[1]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = np.array(centre) - 0.5 - linear @ middle
    matrix = np.hstack([linear, shift[:, None]])
    target = (size[1], size[0])
    outside = 255 if known_outside or border == cv2.BORDER_CONSTANT else 0
    moved = cv2.warpAffine(picture, matrix, target, flags=cv2.INTER_LINEAR, borderMode=border)
    # Stretched edge pixels (REPLICATE) have no truth.
    edge = cv2.BORDER_CONSTANT if border == cv2.BORDER_REPLICATE else border
    marked = cv2.warpAffine(
        truth, matrix, target, flags=cv2.INTER_LINEAR, borderMode=edge, borderValue=(0, outside)
    )
    # A pixel mixed with an unknown one is unknown.
    # The stub has arrays only; OpenCV's compare takes a number too.
    known = cv2.compare(marked[..., 1], 250, cv2.CMP_GE)  # type: ignore[call-overload]
    return moved, cv2.merge([marked[..., 0], known])
