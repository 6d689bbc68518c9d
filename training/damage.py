"""Damages a training sample's picture as cheap cameras, bad rooms and codecs do; the truth stays.

Everything takes a ``numpy.random.Generator`` and is a pure function of it. Pictures: uint8 RGB ``(h, w, 3)``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streamseg.core.opencv import cv2
from training.augment import Bytes, Pair, Rng


def disturb(pair: Pair, rng: Rng, frame: int = 0) -> Pair:
    """Light, colour, blur, noise and compression as cheap cameras, bad rooms and codecs do them.

    ``frame``: of a sequence whose frames all come with the same state of ``rng``: the noise differs, the rest
    does not."""
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
        picture = _noise(picture, rng, dark, frame)
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


def _noise(picture: Bytes, rng: Rng, dark: bool, frame: int = 0) -> Bytes:
    sigma = rng.uniform(4, 16) if dark else rng.uniform(2, 12)
    noise: NDArray[Any] = np.empty(picture.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 30)) + frame)
    cv2.randn(noise, np.zeros(3), np.full(3, sigma))  # a bare number is the first channel's alone
    if rng.random() < 0.4:
        # Demosaicing and codecs leave noise in blotches, not in single pixels.
        noise = cv2.blur(noise, (2, 2)) * 2
    return cv2.add(picture, noise, dtype=cv2.CV_8U)
