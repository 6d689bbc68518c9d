"""The rim: python -m benchmarks.edges [--data DIR] [--pictures 12] [--rounds 40]

Pictures of 1920 x 1080 with exact truth: people cut out and enlarged (``people``), and drawn heads with
strands of hair and a hand (``hair``), before walls with texture and camera noise. The small matte is the
truth's means over areas (``shrunk``), the same displaced by about a sample and blurred (``worn``: what a
good network gives), or the person model's own (``model``; where it finds the person at all, IoU >= 0.6).

Methods: bilinear, guided (streamseg/refine/mixture.py) and a fast colour guided filter (He et al. 2010 and
2015) on the same grid, clipped to the same rim. Then the mean error of colours in the rim of a composite
over another wall, in levels of 255 over all planes, of the plain blend and of ours, by the true alpha.
Costs are the best of interleaved rounds, on one thread. --data: see benchmarks/scenes.py.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamseg import metrics, segment
from streamseg.composite.foreground import solved
from streamseg.frames import Frame, Matte, shrink
from streamseg.geometry import net_size
from streamseg.opencv import cv2
from streamseg.refine import Cover, Mixture, full_size
from streamseg.refine.tiles import Array, Tiles, padded, tile_of

from .common import save
from .scenes import Material

WIDTH, HEIGHT = 1920, 1080
SETS = (("people", "shrunk"), ("people", "worn"), ("people", "model"), ("hair", "shrunk"), ("hair", "worn"))
TIGHT = 3  # pixels; the published radius is 18 at this size, and forgives a blurred edge


# --- pictures with truth ----------------------------------------------------------------------

def wall(material: Material, number: int) -> Array:
    """float32 (h, w, 3): a wall at 0.85 of its size or more, mirrored on, so that its texture stays fine."""
    part = material.wall(number, (600, 338))
    down, across = max(0, HEIGHT - part.shape[0]), max(0, WIDTH - part.shape[1])
    whole = np.pad(part, ((0, down), (0, across), (0, 0)), mode="symmetric")
    return whole[:HEIGHT, :WIDTH].astype(np.float32)


def person(material: Material, number: int) -> tuple[Array, Array]:
    """(colours (h, w, 3) that go on beyond him, alpha (h, w)) of a cut-out, 0.9 of the picture high."""
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


# --- small mattes and methods -----------------------------------------------------------------

def shrunk(alpha: Array) -> Matte:
    """The truth at the net's size."""
    height, width = net_size(HEIGHT, WIDTH)
    return Matte(np.clip(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA), 0, 1))


def worn(matte: Matte, number: int) -> Matte:
    """Displaced by a smooth field of one sample's deviation, and blurred by one."""
    random, (height, width) = np.random.default_rng(number), matte.alpha.shape
    shifts = [cv2.resize(random.normal(0, 1, (height // 12, width // 12)).astype(np.float32), (width, height),
                         interpolation=cv2.INTER_CUBIC) for _ in range(2)]
    rows, columns = np.indices(matte.alpha.shape, np.float32)
    moved = cv2.remap(matte.alpha, columns + shifts[0], rows + shifts[1], cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)
    return Matte(np.clip(cv2.GaussianBlur(moved, (0, 0), 1.0), 0, 1))


def guided_filter(frame: Frame, matte: Matte, radius: int = 2, epsilon: float = 1e-4) -> Array:
    """float32 (h, w): the colour guided filter with coefficients on a grid of 240 x 135."""
    size = WIDTH // 8, HEIGHT // 8
    alpha = cv2.resize(matte.alpha, size)
    guide = [shrink(plane, size).astype(np.float32) / 255 * (1 if number == 0 else 2)
             for number, plane in enumerate(frame.planes)]

    def mean(item: Array) -> Array:
        return cv2.blur(item, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    means, low = [mean(item) for item in guide], mean(alpha)
    pairs = np.stack([mean(item * alpha) - middle * low
                      for item, middle in zip(guide, means, strict=True)], -1)
    spread = np.array([[mean(one * two) - a * b for two, b in zip(guide, means, strict=True)]
                       for one, a in zip(guide, means, strict=True)]).transpose(2, 3, 0, 1)
    slopes = np.linalg.solve(spread + epsilon * np.eye(3), pairs[..., None])[..., 0]
    rest = low - sum(slopes[..., item] * means[item] for item in range(3))
    made: Array = cv2.resize(mean(rest.astype(np.float32)), (WIDTH, HEIGHT))
    for number, plane in enumerate(frame.planes):
        large = cv2.resize(plane, (WIDTH, HEIGHT)).astype(np.float32) / 255 * (1 if number == 0 else 2)
        made += cv2.resize(mean(slopes[..., number].astype(np.float32)), (WIDTH, HEIGHT)) * large
    plain = full_size(matte, frame)
    return np.where((plain == 0) | (plain == 255), plain / np.float32(255), np.clip(made, 0, 1))


METHODS: dict[str, Callable[[Frame, Matte], Array]] = {
    "bilinear": lambda frame, matte: full_size(matte, frame) / np.float32(255),
    "guided filter": guided_filter,
    "guided": lambda frame, matte: full_size(matte, frame, guided=True) / np.float32(255),
}


# --- figures ----------------------------------------------------------------------------------

def scores(alpha: Array, truth: Array) -> dict[str, float]:
    """Boundary F at the published and at a tight radius (points of 100), IoU, MAD, Grad."""
    return {"boundary_f": 100 * metrics.boundary_f(alpha, truth),
            "boundary_f_tight": 100 * tight_f(alpha, truth),
            "iou": 100 * metrics.iou(alpha, truth), "mad": metrics.mad(alpha, truth),
            "grad": metrics.grad(alpha, truth)}


def tight_f(alpha: Array, truth: Array) -> float:
    """F1 of the contours' pixels that find a partner within TIGHT."""
    edges = [cv2.morphologyEx((item >= 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
             for item in (alpha, truth)]
    far = [cv2.distanceTransform(1 - edge, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > TIGHT for edge in edges]
    hits = [1 - float(other[edge > 0].mean()) if edge.any() else 0.0
            for edge, other in zip(edges, reversed(far), strict=True)]
    return 2 * hits[0] * hits[1] / max(sum(hits), 1e-9)


def colour_errors(frame: Frame, truth: Array, subject: Frame) -> tuple[float, float]:
    """(plain, ours): mean error over the planes in the rim of a composite by the true alpha.

    Whatever it is laid over is the same in the composite and in the truth, and so not looked at.
    """
    cover = Cover.of(frame, Matte(truth))
    errors: list[tuple[float, float]] = []
    for number in range(3):
        tile = tile_of(frame, number, cover.columns)
        picture, own = (Tiles(padded(item.planes[number], *tile), *tile, cover.rim).take().astype(np.float32)
                        for item in (frame, subject))
        share = cover.strip(*((2, 2) if number else (1, 1))) / np.float32(255)
        rim = (share > 0.01) & (share < 0.99)
        ours = solved(cover.mixture, number, cover, share)
        errors.append((float((share * np.abs(picture - own))[rim].mean()),
                       float((share * np.abs(ours - own))[rim].mean())))
    plain, ours_mean = np.mean(errors, axis=0)
    return float(plain), float(ours_mean)


def pictures(material: Material, kind: str, count: int) -> Iterator[tuple[Frame, Array, Frame]]:
    """(picture, true alpha, the subject's colours) of each."""
    for number in range(count):
        colours, alpha = person(material, number) if kind == "people" else hair(number)
        back = wall(material, number + 40 * (kind == "hair"))
        noise = np.random.default_rng(number).normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32)
        seen = alpha[..., None] * colours + (1 - alpha[..., None]) * back + noise
        yield frame_of(seen), alpha, frame_of(colours)


def quality(material: Material, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """(set -> method -> figures, kind -> colour errors), means over the pictures."""
    model = segment.create("person", {"threads": 1})
    found: dict[str, dict[str, list[dict[str, float]]]] = {" ".join(item): {} for item in SETS}
    colours: dict[str, list[tuple[float, float]]] = {}
    for kind in ("people", "hair"):
        for number, (frame, truth, subject) in enumerate(pictures(material, kind, count)):
            colours.setdefault(kind, []).append(colour_errors(frame, truth, subject))
            small = {"shrunk": shrunk(truth), "worn": worn(shrunk(truth), number),
                     "model": model.segment([frame])[0]}
            for name in [matte for item, matte in SETS if item == kind]:
                made = {method: work(frame, small[name]) for method, work in METHODS.items()}
                if name == "model" and metrics.iou(made["bilinear"], truth) < 0.6:
                    continue
                for method, alpha in made.items():
                    found[f"{kind} {name}"].setdefault(method, []).append(scores(alpha, truth))
    model.close()
    means = {name: {method: _mean(rows) for method, rows in methods.items()}
             for name, methods in found.items()}
    errors = {kind: dict(zip(("plain", "ours"), np.mean(rows, axis=0).round(2).tolist(), strict=True))
              for kind, rows in colours.items()}
    return means, errors


def _mean(rows: list[dict[str, float]]) -> dict[str, float]:
    return {"pictures": len(rows), **{key: round(float(np.mean([row[key] for row in rows])), 2)
                                      for key in rows[0]}}


def costs(material: Material, rounds: int) -> dict[str, float]:
    """Best milliseconds a frame of 1080p of each step, interleaved."""
    frame, truth, _ = next(pictures(material, "people", 1))
    matte = worn(shrunk(truth), 0)
    cover = Cover.of(frame, matte, guided=True)
    guess = Cover.of(frame, matte).luma
    shares = [cover.strip(*((2, 2) if number else (1, 1))) / np.float32(255) for number in range(3)]
    steps: dict[str, Callable[[], object]] = {
        "copy of the planes": lambda: [plane.copy() for plane in frame.planes],
        "bilinear": lambda: Cover.of(frame, matte).luma,
        "colours of both sides": lambda: Mixture.of(frame, cover.alpha, cover.columns),
        "alpha from them": lambda: cover.mixture.alpha(guess, cover.rim),
        "subject's colours in the rim": lambda: [solved(cover.mixture, number, cover, share)
                                                 for number, share in enumerate(shares)],
    }
    best = dict.fromkeys(steps, math.inf)
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            best[name] = min(best[name], (time.perf_counter() - began) * 1e3)
    return {"rim, share of the tiles": round(len(cover.rim) / cover.inside.size, 4),
            **{name: round(value, 3) for name, value in best.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="corpus folder with index.csv")
    parser.add_argument("--pictures", type=int, default=12, help="of each kind")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, help="folder of the result; default: benchmarks/results")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    material = Material(chosen.data)
    means, errors = quality(material, chosen.pictures)
    for name, methods in means.items():
        for method, row in methods.items():
            print(f"{name:15}{method:15}" + "  ".join(f"{key} {value:7.2f}" for key, value in row.items()))
    print("colour error:", errors)
    spent = costs(material, chosen.rounds)
    print("ms:", spent)
    print(save("edges", {"material": material.sources, "pictures": chosen.pictures, "edges": means,
                         "colour_error": errors, "ms": spent}, chosen.out, sys.argv[1:]))


if __name__ == "__main__":
    main()
