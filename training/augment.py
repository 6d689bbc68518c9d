"""Makes one training sample of one or more pictures: shape, company, background, light, damage.

Everything takes a ``numpy.random.Generator`` and is a pure function of it. A sample is a pair:
picture uint8 ``(h, w, 3)`` RGB, truth uint8 ``(h, w, 2)``: alpha 0..255, and 255 where it is known.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streamseg.opencv import cv2

Rng = np.random.Generator
Bytes = NDArray[Any]  # uint8; OpenCV's stubs know no dtypes
Pair = tuple[Bytes, Bytes]
Size = tuple[int, int]


def crop(pair: Pair, size: Size, rng: Rng) -> Pair:
    """The picture as a frame of ``size``: zoomed, turned a little, flipped, shifted.

    Between "the whole picture fits" and "the frame is filled", then from 0.6 (small persons) to 2.2
    times (faces), and now and then a part so small that an arm or a leg is all there is. What lies beyond
    the picture's edge is mirrored, or black, or unknown.
    """
    height, width = pair[0].shape[:2]
    fit = min(size[0] / height, size[1] / width)
    cover = max(size[0] / height, size[1] / width)
    scale = fit * (cover / fit) ** rng.uniform(0.2, 1.0)
    scale *= np.exp(np.clip(rng.normal(0.06, 0.22), -0.5, 0.8))
    if rng.random() < 0.06:
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


def place(pair: Pair, size: Size, rng: Rng, small: bool = False) -> Pair:
    """A person cut from his picture, set on an empty frame of ``size`` where he could stand.

    A side at which the picture cuts the person stays at (or beyond) that side of the frame: nobody
    floats without legs. ``small`` makes him a passer-by. The truth's second channel is kept: unknown
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
    a = cv2.merge([alpha] * 3)
    mixed = cv2.add(
        cv2.multiply(picture, a, scale=1 / 255), cv2.multiply(back[0], cv2.bitwise_not(a), scale=1 / 255)
    )
    # Alpha of two layers: 1 - (1 - a)(1 - b).
    total = cv2.bitwise_not(
        cv2.multiply(cv2.bitwise_not(alpha), cv2.bitwise_not(back[1][..., 0]), scale=1 / 255)
    )
    # Unknown in either layer is unknown, unless the front surely hides it.
    known = cv2.bitwise_and(truth[..., 1], cv2.bitwise_or(back[1][..., 1], (alpha > 250) * np.uint8(255)))
    return mixed, cv2.merge([total, known])


def disturb(pair: Pair, rng: Rng) -> Pair:
    """Light, colour, blur, noise and compression as cheap cameras, bad rooms and codecs do them."""
    picture, truth = pair
    if rng.random() < 0.08:
        picture = _backlight(picture, truth[..., 0], rng)
    dark = rng.random() < 0.12
    picture = _tone(picture, rng, dark)
    if rng.random() < 0.05:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    kind = rng.random()
    if kind < 0.08:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 1.6)))
    elif kind < 0.14:
        picture = _motion_blur(picture, rng)
    elif kind < 0.22:
        picture = _coarse(picture, rng)
    if dark or rng.random() < 0.2:
        picture = _noise(picture, rng, dark)
    codec = rng.random()
    if codec < 0.17:
        picture = jpeg(picture, int(rng.integers(15, 80)))
    elif codec < 0.25:
        picture = h264(picture, int(rng.integers(28, 42)))
    return picture, truth


def jpeg(picture: Bytes, quality: int) -> Bytes:
    """As a JPEG of ``quality`` (1..100) shows it: a webcam's MJPEG, a downloaded photo."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV cannot write JPEG")
    shown: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)  # None, as the stub has it, for broken data only
    return shown


def h264(picture: Bytes, crf: int) -> Bytes:
    """As a poor video call shows it: a key frame of H.264 at quality ``crf`` (0 best, 51 worst).

    4 ms a picture of 224 x 224, most of it for opening the encoder; one thread, so that a seed gives
    the same picture anywhere. Sides must be even.
    """
    height, width = picture.shape[:2]
    coder = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"
    coder.time_base, coder.thread_count = Fraction(1, 25), 1
    coder.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(crf),
                     "x264-params": "log-level=none"}  # fmt: skip
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [*coder.encode(av.VideoFrame.from_ndarray(picture, "rgb24")), *coder.encode(None)]
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return frames[0].to_ndarray(format="rgb24")


def rim(alpha: Bytes, radius: int = 2) -> Bytes:
    """255 where alpha changes within ``radius`` pixels, 0 where it is flat: uint8 ``(h, w)``."""
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.subtract(cv2.dilate(alpha, kernel), cv2.erode(alpha, kernel))


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


def _tone(picture: Bytes, rng: Rng, dark: bool) -> Bytes:
    """Gamma, contrast, brightness and a colour cast in one look-up table per channel."""
    x = np.linspace(0.0, 1.0, 256)
    gamma = rng.uniform(1.4, 2.6) if dark else np.exp(rng.normal(0.0, 0.2))
    gain = rng.uniform(0.25, 0.7) if dark else np.exp(rng.normal(0.0, 0.15))
    offset = rng.normal(0.0, 0.04)
    spread = 0.12 if rng.random() < 0.3 else 0.03
    casts = np.exp(rng.normal(0.0, spread, 3))
    curve = (x**gamma * gain + offset)[:, None] * casts
    table = np.clip(curve * 255, 0, 255).astype(np.uint8)[None]
    out = cv2.LUT(picture, table)
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = float(rng.uniform(0.3, 1.4))
        out = cv2.addWeighted(out, keep, grey, 1 - keep, 0)
    return out


def _backlight(picture: Bytes, alpha: Bytes, rng: Rng) -> Bytes:
    """The background glares, the person is dim, as before a window."""
    glow = cv2.GaussianBlur(cv2.bitwise_not(alpha), (0, 0), 3)
    light = cv2.merge([glow] * 3)
    out = cv2.convertScaleAbs(picture, alpha=float(rng.uniform(0.5, 0.9)))
    return cv2.add(out, cv2.convertScaleAbs(light, alpha=float(rng.uniform(0.2, 0.6))))


def _motion_blur(picture: Bytes, rng: Rng) -> Bytes:
    length = int(rng.integers(3, 9))
    kernel = np.zeros((length, length), np.float32)
    middle = (length - 1) / 2
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    start, end = np.rint(middle - reach), np.rint(middle + reach)
    cv2.line(kernel, tuple(int(v) for v in start), tuple(int(v) for v in end), 1.0)
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def _coarse(picture: Bytes, rng: Rng) -> Bytes:
    """Shrunk and enlarged again: a picture that was never sharp."""
    height, width = picture.shape[:2]
    factor = rng.uniform(0.35, 0.8)
    small = (max(8, int(width * factor)), max(8, int(height * factor)))
    small_picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(small_picture, (width, height), interpolation=cv2.INTER_LINEAR)


def _noise(picture: Bytes, rng: Rng, dark: bool) -> Bytes:
    sigma = rng.uniform(4, 16) if dark else rng.uniform(2, 12)
    noise: NDArray[Any] = np.empty(picture.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 31)))
    # The stub has arrays only; OpenCV's randn takes numbers too.
    cv2.randn(noise, 0, float(sigma))  # type: ignore[call-overload]
    if rng.random() < 0.4:
        # Demosaicing and codecs leave noise in blotches, not in single pixels.
        noise = cv2.blur(noise, (2, 2)) * 2
    return cv2.add(picture, noise, dtype=cv2.CV_8U)
