"""Still pictures of 1920 x 1080 with exact truth: people cut out and enlarged, and drawn heads with hair."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.material import Array, Material
from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.tools.compare import write_picture

WIDTH, HEIGHT = 1920, 1080
KINDS = ("people", "hair")


def pictures(material: Material, kind: str, count: int, first: int = 0) -> Iterator[tuple[Frame, Array, Frame]]:
    """(picture, true alpha, the subject's colours) of each, from number ``first``."""
    for number in range(first, first + count):
        colours, alpha = person(material, number) if kind == "people" else hair(number)
        back = wall(material, number + 40 * (kind == "hair"))
        noise = np.random.default_rng(number).normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32)
        seen = alpha[..., None] * colours + (1 - alpha[..., None]) * back + noise
        yield frame_of(seen), alpha, frame_of(colours)


def write_files(folder: Path, count: int, size: tuple[int, int] | None = None) -> list[Path]:
    """Write ``count`` JPEG files of both kinds into ``folder``, which is made; of at most eight different pictures, so
    that making them does not take longer than what is measured with them. ``size``: (width, height), default theirs."""
    folder.mkdir(parents=True)
    different = min(8, count)
    for number in range(different):
        kind = KINDS[number % len(KINDS)]
        frame, _, _ = next(pictures(Material(), kind, 1, number // len(KINDS)))
        write_picture(frame.rgb(size), folder / f"photo{number:03}.jpg", overwrite=True)
    for number in range(different, count):
        shutil.copy(folder / f"photo{number % different:03}.jpg", folder / f"photo{number:03}.jpg")
    return sorted(folder.iterdir())


def wall(material: Material, number: int) -> Array:
    """float32 (h, w, 3): a wall at 0.85 of its size or more, mirrored on, so that its texture stays fine."""
    part = material.wall(number, (600, 338))
    down, across = max(0, HEIGHT - part.shape[0]), max(0, WIDTH - part.shape[1])
    whole = np.pad(part, ((0, down), (0, across), (0, 0)), mode="symmetric")
    return whole[:HEIGHT, :WIDTH].astype(np.float32)


def person(material: Material, number: int) -> tuple[Array, Array]:
    """(colours (h, w, 3) that go on beyond the person, alpha (h, w)) of a cut-out, 0.9 of the picture high."""
    cut = material.person(number)
    known = (cut[..., 3] > 0.5).astype(np.float32)
    colours = np.where(known[..., None] > 0, cut[..., :3] / np.maximum(cut[..., 3:], 1e-3), 0)
    for sigma in (1, 2, 4, 8, 16):
        spread, weight = (cv2.GaussianBlur(item, (0, 0), sigma)
                          for item in (colours * known[..., None], known))
        new = (known == 0) & (weight > 1e-3)
        colours[new], known[new] = spread[new] / weight[new][:, None], 1
    scale = 0.9 * HEIGHT / cut.shape[0]
    size = round(cut.shape[1] * scale), round(cut.shape[0] * scale)
    large = cv2.resize(cut[..., 3], size, interpolation=cv2.INTER_CUBIC)
    left, top = int(np.random.default_rng(number).integers(0, WIDTH - size[0])), HEIGHT - size[1]
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[top:, left:left + size[0]] = np.clip((large - 0.5) * 1.6 + 0.5, 0, 1)
    whole = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    wide = cv2.resize(colours, size, interpolation=cv2.INTER_CUBIC)
    whole[top:, left:left + size[0]] = np.clip(wide, 0, 255)
    return whole, alpha


def hair(number: int) -> tuple[Array, Array]:
    """As ``person``: a drawn head, 240 strands of 1 to 4 pixels, a hand with fingers apart."""
    random = np.random.default_rng(500 + number)
    middle = int(random.uniform(0.35, 0.65) * WIDTH)
    body, head, hand = (np.zeros((2 * HEIGHT, 2 * WIDTH), np.uint8) for _ in range(3))
    _ellipse(body, (middle, 470), (150, 200))
    _ellipse(body, (middle, 1100), (430, 380))
    _ellipse(head, (middle, 420), (185, 215))
    for _ in range(240):
        _strand(head, middle, random)
    x = middle + int(random.choice([-1, 1])) * int(random.uniform(430, 560))
    y = int(random.uniform(450, 600))
    _ellipse(hand, (x, y), (60, 70))
    for finger in range(5):
        angle = math.radians(-150 + 30 * finger)
        tip = int((x + 130 * math.cos(angle)) * 2), int((y + 140 * math.sin(angle)) * 2)
        cv2.line(hand, (2 * x, 2 * y), tip, 255, 52, cv2.LINE_AA)
    cv2.line(hand, (2 * x, 2 * y), (x + middle, 2000), 255, 180, cv2.LINE_AA)
    small = [cv2.resize(item, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
             for item in (body, head, hand)]
    return _coloured(small[1], small[2], middle, random), np.maximum.reduce(small)


def _ellipse(mask: Array, centre: tuple[int, int], axes: tuple[int, int]) -> None:
    cv2.ellipse(mask, (2 * centre[0], 2 * centre[1]), (2 * axes[0], 2 * axes[1]), 0, 0, 360, 255, -1,
                cv2.LINE_AA)


def _strand(mask: Array, middle: int, random: np.random.Generator) -> None:
    angle = random.uniform(-math.pi * 1.05, math.pi * 0.05)
    place = np.array([middle + 175 * math.cos(angle), 420 + 205 * math.sin(angle)])
    way = np.array([math.cos(angle), math.sin(angle)]) + random.normal(0, 0.35, 2)
    length, curl, points = random.uniform(40, 150) / 24, random.normal(0, 0.012), []
    for _ in range(24):
        points.append(place * 2)
        way = way / np.hypot(*way)
        place = place + way * length
        way = way + np.array([-way[1], way[0]]) * curl * length + np.array([0, 0.03])
    line = np.rint(np.array(points) * 8).astype(np.int32)
    cv2.polylines(mask, [line], False, 255, int(random.integers(2, 8)), cv2.LINE_AA, 3)


def _coloured(head: Array, hand: Array, middle: int, random: np.random.Generator) -> Array:
    """Skin, cloth and hair, each reaching over its edge."""
    skin = (np.array([224, 172, 138]) * random.uniform(0.4, 1.05)).astype(np.float32)
    tone = (random.uniform(10, 190) * np.array([1, 0.8, 0.6])).astype(np.float32)
    coarse = random.integers(0, 255, (HEIGHT // 16, WIDTH // 16, 3)).astype(np.float32)
    cloth = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * 0.4
    cloth += random.uniform(30, 150, 3).astype(np.float32)
    grain = cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (1, 31), 0) * 40
    down, across = np.ogrid[:HEIGHT, :WIDTH]
    colours = np.where((down < 690)[..., None], skin, cloth)
    colours = colours * (1 - hand[..., None]) + skin * hand[..., None]
    bare = (np.hypot((across - middle) / 120, (down - 500) / 150) < 1) | (down > 720)
    face = cv2.GaussianBlur(bare.astype(np.float32), (0, 0), 2)
    share = np.clip(cv2.dilate(head, np.ones((7, 7), np.uint8)) - face, 0, 1)[..., None]
    return np.clip(colours * (1 - share) + (tone + grain[..., None]) * share, 0, 255).astype(np.float32)


def frame_of(rgb: Array) -> Frame:
    """yuv420p, BT.709, of RGB levels."""
    picture = av.VideoFrame.from_ndarray(np.clip(np.rint(rgb), 0, 255).astype(np.uint8), "rgb24")
    picture = picture.reformat(format="yuv420p", dst_colorspace=1)
    picture.pts, picture.time_base = 0, Fraction(1, 25)
    return Frame.from_av(picture, 0)
