"""How speed and memory grow: python -m benchmarks.scaling [--quick] [--only size length ...] [--device gpu]

    size     360p to 4K: milliseconds a frame
    threads  --threads 1 to the cores: frames a second
    batch    --batch 1 to 32: frames a second, memory
    length   10 s to 30 min: memory
    files    1 to 4 at once, a process each: frames a second together, memory together
    persons  1 to 4 in the picture: milliseconds a frame

Every run is `streamseg run` in a process of its own; the points of a curve take turns. Each curve comes with
the law that it follows, fitted as y = a x^b by least squares over the logarithms. scaling.png shows them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import FULL_HD, RESULTS, TINY, Bench, Table, make_clip, start, summary
from benchmarks.memory import lengthen
from streamseg.core.thread_budget import cores
from streamseg.tools.bench.measure import Run, run_once
from streamseg.tools.bench.plots import figure, png

SIZES = {360: (640, 360), 720: (1280, 720), 1080: (1920, 1080), 1440: (2560, 1440), 2160: (3840, 2160)}


@dataclass(frozen=True, slots=True)
class Curve:
    """``x``: what is varied; ``shown``: the figure that is drawn; ``law``: a sentence with places for the
    figures' exponents."""

    name: str
    x: str
    points: Sequence[float]
    measure: Callable[[float], Mapping[str, float]]
    shown: str
    law: str


class Stand:
    """Measures one point of a curve; clips are made when they are first needed."""

    def __init__(self, work: Path, device: str, *, quick: bool) -> None:
        self._work, self._device, self._quick = work, device, quick
        self._clips: dict[str, Path] = {}

    def _clip(self, name: str, **form: Any) -> Path:
        if name not in self._clips:
            if self._quick:
                form |= {"size": TINY, "seconds": 1.0 if name == "piece" else 0.3}
            self._clips[name] = make_clip(self._work / f"{name}.mp4", **form)
        return self._clips[name]

    def _once(self, clip: Path, target: str = "out.mp4", **options: Any) -> Run:
        given = {"background": "green", "device": self._device, **options}
        return run_once(clip, self._work / target, given)

    def _run(self, clip: Path, **options: Any) -> Mapping[str, float]:
        run = self._once(clip, **options)
        return {"fps": run.fps, "ms": 1e3 / run.fps, "rss_mib": run.peak_rss_mib or 0.0}

    def _usual(self) -> Path:
        return self._clip("usual", size=FULL_HD, seconds=3.0)

    def size(self, pixels: float) -> Mapping[str, float]:
        """A clip of so many megapixels."""
        height = min(SIZES, key=lambda item: abs(SIZES[item][0] * SIZES[item][1] / 1e6 - pixels))
        return self._run(self._clip(f"{height}p", size=SIZES[height], seconds=2.0))

    def threads(self, count: float) -> Mapping[str, float]:
        """A budget of so many threads."""
        return self._run(self._usual(), threads=int(count))

    def batch(self, count: float) -> Mapping[str, float]:
        """So many frames at once."""
        return self._run(self._usual(), batch=int(count))

    def persons(self, count: float) -> Mapping[str, float]:
        """So many persons side by side."""
        return self._run(self._clip(f"{count:g} persons", size=FULL_HD, seconds=2.0, persons=int(count)))

    def length(self, seconds: float) -> Mapping[str, float]:
        """A small clip of so many seconds at 10 frames a second, packets of a shorter one again and again."""
        piece = self._clip("piece", size=TINY, seconds=10.0, rate=10)
        clip = self._work / "long.mp4"
        lengthen(piece, clip, max(1, round(seconds / 10)))
        return self._run(clip, method="threshold")

    def files(self, count: float) -> Mapping[str, float]:
        """So many runs at once."""
        clip, began = self._usual(), time.perf_counter()
        with ThreadPoolExecutor(int(count)) as pool:
            runs = list(pool.map(lambda number: self._once(clip, f"out{number}.mp4"), range(int(count))))
        spent = time.perf_counter() - began
        return {"fps": sum(run.frames for run in runs) / spent,
                "rss_mib": sum(run.peak_rss_mib or 0.0 for run in runs)}


def curves(stand: Stand, *, quick: bool) -> list[Curve]:
    """All curves; quick ones have two points."""
    made = [
        Curve("size", "megapixels", [width * height / 1e6 for width, height in SIZES.values()], stand.size,
              "ms",
              "Milliseconds a frame grow as the pixels to the power of {ms:.2f} (1: in proportion)."),
        Curve("threads", "threads", [*range(1, cores() + 1)], stand.threads, "fps",
              "Frames a second grow as the threads to the power of {fps:.2f} (1 would be ideal)."),
        Curve("batch", "frames at once", [1, 2, 4, 8, 16, 32], stand.batch, "fps",
              "Frames a second change as the batch to the power of {fps:.2f}, memory to the power of "
              "{rss_mib:.2f} (above 0: more)."),
        Curve("length", "seconds", [10, 60, 300, 1800], stand.length, "rss_mib",
              "Memory grows as the length to the power of {rss_mib:.3f} (0 would be constant)."),
        Curve("files", "files at once", [1, 2, 3, 4], stand.files, "fps",
              "Together they make frames as the files to the power of {fps:.2f}, and take memory to the "
              "power of {rss_mib:.2f} (1: each as much as alone)."),
        Curve("persons", "persons", [1, 2, 3, 4], stand.persons, "ms",
              "Milliseconds a frame change as the persons to the power of {ms:.2f} (0: not at all)."),
    ]
    return [replace(item, points=item.points[:2]) for item in made] if quick else made


def exponent(points: Sequence[float], values: Sequence[float]) -> float:
    """b of y = a x^b, least squares over the logarithms; 0 for a single point or where a value is 0."""
    if len(points) < 2 or min(values) <= 0:
        return 0.0
    return round(float(np.polyfit(np.log(points), np.log(values), 1)[0]), 4)


def measured(curve: Curve, repeats: int) -> dict[str, Any]:
    """The curve's points with a summary of each figure, its exponents and its law."""
    turns: list[list[Mapping[str, float]]] = []
    for turn in range(repeats):
        turns.append([])
        for point in curve.points:
            turns[-1].append(curve.measure(point))
            told = ", ".join(f"{key} {value:.1f}" for key, value in turns[-1][-1].items())
            print(f"  {turn + 1}/{repeats} {curve.name} {point:g}: {told}", file=sys.stderr, flush=True)
    figures = list(turns[0][0])
    points = [{name: summary([turn[number][name] for turn in turns]) for name in figures}
              for number in range(len(curve.points))]
    powers = {name: exponent(curve.points, [point[name]["median"] for point in points]) for name in figures}
    return {"x": curve.x, "points": [round(point, 3) for point in curve.points], "figures": points,
            "shown": curve.shown, "exponents": powers, "law": curve.law.format(**powers)}


def draw(found: Mapping[str, Any]) -> bytes:
    """PNG: a panel a curve, its first figure that the law is about."""
    drawn = figure(10, 3 * -(-len(found) // 3))
    for number, (name, curve) in enumerate(found.items(), 1):
        axes = drawn.add_subplot(-(-len(found) // 3), min(3, len(found)), number)
        shown = curve["shown"]
        values = [point[shown]["median"] for point in curve["figures"]]
        reach = [[point[shown]["median"] - point[shown]["min"] for point in curve["figures"]],
                 [point[shown]["max"] - point[shown]["median"] for point in curve["figures"]]]
        axes.errorbar(curve["points"], values, yerr=reach, marker="o")
        axes.set(title=name, xlabel=curve["x"], ylabel=shown.replace("rss_mib", "MiB"))
        axes.set_ylim(0, 1.1 * max(point[shown]["max"] for point in curve["figures"]))
        axes.grid(alpha=0.3)
    return png(drawn)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's tables: ``scaling``."""
    lines = []
    for curve in result["curves"].values():
        shown = curve["shown"]
        points = ", ".join(f"{point:g}: {figures[shown]['median']:.0f}" for point, figures
                           in zip(curve["points"], curve["figures"], strict=True))
        lines.append((f"{curve['x']}: {shown.replace('rss_mib', 'MiB')}", points, curve["law"]))
    return {"scaling": Table(("", "points", "law"), lines)}


def main(words: Sequence[str] | None = None) -> None:
    names = ("size", "threads", "batch", "length", "files", "persons")
    bench = Bench("scaling", __doc__, repeats=2, device=True)
    bench.parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="CURVE")
    chosen = bench.parse(words)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for curve in curves(Stand(Path(folder), chosen.device, quick=chosen.quick), quick=chosen.quick):
            if curve.name in chosen.only:
                found[curve.name] = measured(curve, 1 if curve.name == "length" else chosen.repeats)
    result = {"device": chosen.device, "curves": found}
    print(tables(result)["scaling"].markdown())
    path = bench.save(result, chosen.out)
    ((chosen.out or RESULTS) / f"{path.stem}.png").write_bytes(draw(found))


if __name__ == "__main__":
    start(main)
