"""What each smoother does to the default method's mattes: python -m benchmarks.smoothing [--quick]
[--data DIR] [--clips DIR] [--strips DIR]

Made scenes with exact truth (benchmarks/scenes.py; --data and --clips give real people and backgrounds)
and, with --clips, the real clips there that have a NAME.matte.mkv beside them: another model's mattes, so
agreement and not truth, and no lag, which that model has itself. All figures are at the truth's size, the
mattes brought there bilinearly. --strips writes three frames at the rim before and after, to look at.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import scenes
from benchmarks.common import Bench, Table, start
from benchmarks.judge import FIGURES, Clip, score
from benchmarks.strips import write_strip
from streamseg import segment, smooth
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.options import Options
from streamseg.segment import Segmenter
from streamseg.segment.keyframes import KeyframeSegmenter
from streamseg.smooth import Smoother

Array = npt.NDArray[Any]
METHODS = ("none", "ema", "adaptive", "flow", "lookahead")
NAMES = {"flicker": "flicker_ppm", "lag": "lag_frames"}  # in the result, of streamseg's metrics
SPARSE: dict[str, dict[str, Any]] = {
    "every 2nd": {"every": 2}, "every 3rd": {"every": 3}, "every auto": {"every": None},
    "skip still 40 dB": {"skip_still": 40.0}, "skip still 35 dB": {"skip_still": 35.0}}


def all_clips(arguments: argparse.Namespace, folder: Path) -> Iterator[Clip]:
    """The scenes, written to ``folder`` one by one, and the clips that have mattes."""
    material = scenes.Material(arguments.data, arguments.clips)
    names = ["walking", "cut"] if arguments.quick else list(scenes.SCENES)
    frames = 10 if arguments.quick else arguments.frames
    size = (160, 90) if arguments.quick else tuple(arguments.size)
    for name in names:
        made = scenes.write(name, folder, material, size, frames)
        yield Clip.of_scene(name, made)
    for matte in sorted(arguments.clips.glob("*.matte.mkv")) if arguments.clips else []:
        stem = matte.name.removesuffix(".matte.mkv")
        video = next(path for path in matte.parent.glob(f"{stem}.*") if path != matte)
        yield Clip.of(stem, video, matte, frames, made=False)


def left_after_cut(raw: list[tuple[Frame, Matte]], steady: list[tuple[Frame, Matte]], cut: int,
                   smoother: Smoother) -> float:
    """The largest difference that the frames before a cut make to the mattes after it: 0..1."""
    alone = smoother(iter(raw[cut:]))
    return max(float(np.abs(found.alpha - wanted.alpha).max())
               for (_, found), (_, wanted) in zip(steady[cut:], alone, strict=True))


def fastest_ms(smoother: Smoother, raw: list[tuple[Frame, Matte]], repeats: int) -> float:
    """Milliseconds a frame, the best of some repeats; the pictures are at the matte's size already."""
    height, width = raw[0][1].alpha.shape
    small = [(_grey(frame.luma((width, height)), frame), matte) for frame, matte in raw]
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in smoother(iter(small)):
            pass
        best = min(best, time.perf_counter() - begin)
    return round(1e3 * best / len(raw), 3)


def _grey(luma: Array, like: Frame) -> Frame:
    return Frame((luma,), "gray", like.time_base, like.index, like.pts)


def summary(rows: dict[str, dict[str, float]], none: dict[str, dict[str, float]]) -> dict[str, float]:
    """Means over clips, and what they are of the unsmoothed: of the means, and the mean over clips."""
    names = list(next(iter(none.values())))
    values = {name: np.array([row[name] for row in rows.values()]) for name in names}
    result = {name: round(float(np.nanmean(found)), 5) for name, found in values.items()
              if np.isfinite(found).any()}
    for name in ("flicker_ppm", "dtssd"):
        before = [none[clip][name] for clip in rows]
        after = [rows[clip][name] for clip in rows]
        result[f"{name}_of_none"] = round(float(np.sum(after) / max(np.sum(before), 1e-9)), 3)
    shares = [rows[clip]["dtssd"] / none[clip]["dtssd"] for clip in rows]
    result["dtssd_of_none_mean_over_clips"] = round(float(np.mean(shares)), 3)
    lags = [abs(row.get("lag_frames", np.nan)) for row in rows.values()]
    lags = [lag for lag in lags if np.isfinite(lag)]
    if lags:
        result["lag_frames_worst"] = round(float(max(lags)), 3)
    return result


class Tables:
    """Goes through the clips, one in memory at a time, and keeps the figures."""

    def __init__(self, segmenter: Segmenter, repeats: int, strips: Path | None) -> None:
        self._segmenter, self._repeats, self._strips = segmenter, repeats, strips
        self.rows: dict[str, dict[str, dict[str, dict[str, float]]]] = {}  # way, group, clip, figure
        self.ms: dict[str, list[float]] = {name: [] for name in METHODS}
        self.computed: dict[str, list[float]] = {name: [] for name in SPARSE}
        self.after_cut: dict[str, float] = {}

    def add(self, clip: Clip) -> None:
        """Smooth one clip in every way and score it."""
        raw = self._segmented(clip, self._segmenter)
        for name in METHODS:
            smoother = smooth.create_smoother(name)
            steady = list(smoother(iter(raw)))
            self._keep(name, clip, steady)
            self.ms[name].append(fastest_ms(smoother, raw, self._repeats))
            if clip.cut is not None:
                self.after_cut[name] = left_after_cut(raw, steady, clip.cut, smoother)
        if self._strips is not None:
            steady = list(smooth.create_smoother("auto")(iter(raw)))
            write_strip(self._strips / f"{clip.name.replace(', ', '_').replace(' ', '_')}.png", raw, steady)
        for name, how in SPARSE.items() if clip.made else ():
            sparse = KeyframeSegmenter(self._segmenter, **how)
            self._keep(name, clip, list(smooth.create_smoother("auto")(iter(self._segmented(clip, sparse)))))
            self.computed[name].append(sparse.computed / len(clip.frames))

    @staticmethod
    def _segmented(clip: Clip, segmenter: Segmenter) -> list[tuple[Frame, Matte]]:
        """The clip's frames one by one, as in a run, and nothing known of the clip before."""
        segmenter.reset()
        return [(frame, segmenter.segment([frame])[0]) for frame in clip.frames]

    def _keep(self, way: str, clip: Clip, pairs: list[tuple[Frame, Matte]]) -> None:
        figures = {NAMES.get(name, name): value for name, value in score(
            [matte for _, matte in pairs], clip, (*FIGURES, "lag") if clip.made else FIGURES).items()}
        self.rows.setdefault(way, {}).setdefault("scenes" if clip.made else "clips", {})[clip.name] = figures
        print(f"{clip.name:28} {way:18} " + "  ".join(f"{name} {value:.4g}" for name, value in
                                                       figures.items()), flush=True)

    def result(self) -> dict[str, Any]:
        """The tables."""
        def table(way: str) -> dict[str, Any]:
            return {group: summary(rows, self.rows["none"][group]) for group, rows in self.rows[way].items()}

        methods = {name: {"ms_a_frame": round(float(np.median(self.ms[name])), 3),
                          "left_after_cut": self.after_cut.get(name), **table(name)} for name in METHODS}
        fewer = {name: {"computed": round(float(np.mean(self.computed[name])), 3), **table(name)}
                 for name in SPARSE}
        return {"methods": methods, "fewer": fewer,
                "dtssd_of_each": {way: {clip: round(row["dtssd"], 3) for rows in groups.values()
                                        for clip, row in rows.items()} for way, groups in self.rows.items()}}


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's tables: ``smoothing``, and ``smoothing.fewer`` mattes."""
    heads = ("scenes: flicker", "dtSSD", "IoU", "worst lag", "clips: flicker", "dtSSD", "IoU")

    def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
        found: list[str] = []
        for group in ("scenes", "clips"):
            part = row.get(group)
            if part is not None:
                found += [f"x {part['flicker_ppm_of_none']:.2f}", f"x {part['dtssd_of_none']:.2f}",
                          f"{part['iou']:.3f}"]
                if group == "scenes":  # "": nothing in them moves
                    found.append(f"{part['lag_frames_worst']:.2f}" if "lag_frames_worst" in part else "")
        return tuple(found)

    methods = [(name, f"{row['ms_a_frame']:.2f}", *cells(row)) for name, row in result["methods"].items()]
    fewer = [(name, f"{row['computed']:.0%}", *cells(row)) for name, row in result["fewer"].items()]
    return {"smoothing": Table(("smoothing", "ms", *heads[:len(methods[0]) - 2]), methods),
            "smoothing.fewer": Table(("then smoothed", "computed", *heads[:len(fewer[0]) - 2]), fewer)}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("smoothing", __doc__, repeats=5)
    bench.parser.add_argument("--data", type=Path, help="corpus folder with index.csv")
    bench.parser.add_argument("--clips", type=Path, help="folder with background_*.mp4 and NAME.matte.mkv")
    bench.parser.add_argument("--frames", type=int, default=50, help="of each scene and clip")
    bench.parser.add_argument("--size", type=int, nargs=2, default=(640, 360), metavar=("WIDTH", "HEIGHT"),
                              help="of the scenes")
    bench.parser.add_argument("--strips", type=Path, help="folder for pictures of the rim, before and after")
    chosen = bench.parse(words)
    cv2.setNumThreads(1)
    segmenter = segment.create_segmenter("default", threads=1)
    tables = Tables(segmenter, chosen.repeats, chosen.strips)
    with tempfile.TemporaryDirectory() as folder:
        for clip in all_clips(chosen, Path(folder)):
            tables.add(clip)
    segmenter.close()
    found, options = tables.result(), Options()
    for name, row in found["methods"].items():
        print(f"{name:12} {row}")
    bench.save({"frames": chosen.frames, "size": list(chosen.size),
                "material": scenes.Material(chosen.data, chosen.clips).sources,
                "defaults": {"files": "lookahead", "live": "flow", "strength": options.smooth_strength,
                             "hysteresis": options.hysteresis, "lookahead": options.lookahead}, **found},
               chosen.out)


if __name__ == "__main__":
    start(main)
