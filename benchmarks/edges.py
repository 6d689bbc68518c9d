"""The rim: python -m benchmarks.edges [--quick] [--data DIR] [--pictures 12] [--repeats 40]

Pictures of 1920 x 1080 with exact truth: people cut out and enlarged (``people``), and drawn heads with
strands of hair and a hand (``hair``), before walls with texture and camera noise. The small matte is the
truth's means over areas (``shrunk``), the same displaced by about a sample and blurred (``worn``: what a
good network gives), or the person model's own (``model``; where it finds the person at all, IoU >= 0.6).

Methods: bilinear, guided (streamseg/refine/color_model.py) and a fast colour guided filter (He et al. 2010 and
2015) on the same grid, clipped to the same rim. Then the mean error of colours in the rim of a composite
over another wall, in levels of 255 over all planes, of the plain blend and of ours, by the true alpha.
Costs are the best of interleaved turns, on one thread. --data: see benchmarks/scenes.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Bench, Table, start
from benchmarks.material import Material
from benchmarks.portraits import HEIGHT, KINDS, WIDTH, pictures
from streamseg import segment
from streamseg.composite.foreground import solved
from streamseg.core.frames import Frame, Matte
from streamseg.core.geometry import net_size
from streamseg.core.opencv import cv2
from streamseg.core.resampling import shrink
from streamseg.refine import AlphaTiles, ColorModel, full_size
from streamseg.refine.tiles import Array, Tiles, padded, tile_of
from streamseg.tools.evaluation import metrics

SETS = (("people", "shrunk"), ("people", "worn"), ("people", "model"), ("hair", "shrunk"), ("hair", "worn"))
TIGHT = 3  # pixels; the published radius is 18 at this size, and forgives a blurred edge


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
    cover = AlphaTiles.of(frame, Matte(truth))
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


def quality(material: Material, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """(set -> method -> figures, kind -> colour errors), means over the pictures."""
    model = segment.create_segmenter("person", {"threads": 1})
    found: dict[str, dict[str, list[dict[str, float]]]] = {" ".join(item): {} for item in SETS}
    colours: dict[str, list[tuple[float, float]]] = {}
    for kind in KINDS:
        for number, (frame, truth, subject) in enumerate(pictures(material, kind, count)):
            colours.setdefault(kind, []).append(colour_errors(frame, truth, subject))
            small = {"shrunk": shrunk(truth), "worn": worn(shrunk(truth), number),
                     "model": model.segment([frame])[0]}
            model.reset()
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


def costs(material: Material, repeats: int) -> tuple[dict[str, float], float]:
    """(best milliseconds a frame of 1080p of each step, interleaved; the rim's share of the tiles)."""
    frame, truth, _ = next(pictures(material, "people", 1))
    matte = worn(shrunk(truth), 0)
    cover = AlphaTiles.of(frame, matte, guided=True)
    guess = replace(cover, guided=False).luma  # of the same tiles
    shares = [cover.strip(*((2, 2) if number else (1, 1))) / np.float32(255) for number in range(3)]
    steps: dict[str, Callable[[], object]] = {
        "copy of the planes": lambda: [plane.copy() for plane in frame.planes],
        "bilinear": lambda: AlphaTiles.of(frame, matte).luma,
        "colours of both sides": lambda: ColorModel.of(frame, cover.alpha, cover.columns),
        # a fresh one: a mixture keeps what it took out of the picture, for the colours
        "alpha from them": lambda: replace(cover.mixture).alpha(guess, cover.rim),
        "subject's colours in the rim": lambda: [solved(cover.mixture, number, cover, share)
                                                 for number, share in enumerate(shares)],
    }
    best = dict.fromkeys(steps, math.inf)
    for _ in range(repeats):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            best[name] = min(best[name], (time.perf_counter() - began) * 1e3)
    return ({name: round(value, 3) for name, value in best.items()},
            round(len(cover.rim) / cover.inside.size, 4))


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's tables: ``edges``, ``edges.colours`` and ``edges.ms``."""
    lines = [(name, method, f"{row['boundary_f']:.1f}", f"{row['boundary_f_tight']:.1f}", f"{row['iou']:.1f}",
              f"{row['mad']:.1f}", f"{row['grad']:.1f}")
             for name, methods in result["edges"].items() for method, row in methods.items()]
    colours = [(kind, f"{row['plain']:.2f}", f"{row['ours']:.2f}")
               for kind, row in result["colour_error"].items()]
    head = ("small matte", "edges", "boundary F", f"within {TIGHT} pixels", "IoU", "MAD", "Grad")
    return {"edges": Table(head, lines),
            "edges.colours": Table(("colour error in the rim", "plain", "ours"), colours),
            "edges.ms": Table(("", "ms at 1080p"), [
                (name, f"{value:.2f}") for name, value in result["ms"].items()])}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("edges", __doc__, repeats=40)
    bench.parser.add_argument("--data", type=Path, help="corpus folder with index.csv")
    bench.parser.add_argument("--pictures", type=int, default=12, help="of each kind, default %(default)s")
    chosen = bench.parse(words)
    cv2.setNumThreads(1)
    material, count = Material(chosen.data), 1 if chosen.quick else chosen.pictures
    means, errors = quality(material, count)
    spent, share = costs(material, chosen.repeats)
    result = {"material": material.sources, "pictures": count, "edges": means, "colour_error": errors,
              "rim_share": share, "ms": spent}
    for table in tables(result).values():
        print(table.markdown(), end="\n\n")
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
