"""How good is it, and what does that cost? python -m benchmarks.quality [--quick] [--data DIR] [--models DIR]
[--clips DIR]

Every method and every net of --models, on the val pictures of --data (a corpus folder with index.csv) and on
the scenes of benchmarks/scenes.py, whose truth is exact; the person model also with each smoothing, and as a
run of streamseg gives it. Mattes are brought to the truth's size. Without --data there are scenes alone,
drawn ones; without --models no peers.

Val: person IoU, boundary F, MAD x 1e3. Scenes: those and dtSSD x 1e2 and flicker in ppm. ms: the median of a
picture, from the frame to the matte, on val; on scenes the mean, smoothing included. Definitions and sources:
streamseg/metrics.py. quality.png shows quality over speed, a point a method.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import streamseg
from benchmarks import scenes
from benchmarks.common import RESULTS, Bench, Table
from benchmarks.loops import SPECS
from streamseg import geometry, metrics, segment, smooth
from streamseg.bench.plots import figure, png
from streamseg.frames import Frame, Matte
from streamseg.opencv import cv2
from streamseg.segment import Segmenter
from streamseg.segment.unet import built_in
from streamseg.source import open_source
from streamseg.source.arrays import frame_of

Array = npt.NDArray[Any]
Scores = dict[str, float]
PEERS = ("selfie_256x256.tflite", "meet_144x256.onnx", "deeplabv3_mnv2_257.tflite")
OVER_TIME = ("mog2", "knn", "plate")  # learn from what comes before or after: nothing on a single picture
SLOW = ("meanshift",)  # a second a picture: two pictures of each set, no scenes
KEYED = ("chroma",)  # needs a screen of one colour, which no picture here has
AS_IT_COMES = "streamseg run"
COLOURS = {"ours": "C0", "smoothing": "C9", "classical": "0.5", "peer": "C3"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is judged. ``kind``: a key of COLOURS; ``smoothing``: what follows the method."""

    name: str
    kind: str
    method: str
    params: Mapping[str, Any]
    smoothing: str = "none"

    def open(self, clip: Path | None = None) -> Segmenter:
        """The method, ready."""
        return segment.create(self.method, self.params, clip=None if clip is None else str(clip))


def entries(models: Path | None) -> list[Entry]:
    """Ours by size, each smoothing of the default one, the classical methods, the peers that are there."""
    shipped = sorted(built_in().parent.glob("person-*.tflite"))
    found = [Entry(path.stem, "ours", "person", {"model": str(path)}) for path in shipped]
    found += [Entry(f"{built_in().stem} + {name}", "smoothing", "person", {}, name)
              for name in smooth.NAMES if name not in ("auto", "none")]
    found += [Entry(name, "classical", name, {}) for name in segment.METHODS
              if name not in ("person", *KEYED)]
    for name in PEERS:
        if models is not None and (models / name).exists():
            spec = SPECS / Path(name).with_suffix(".json").name
            found.append(Entry(Path(name).stem, "peer", "person",
                               {"model": str(models / name), "model_spec": str(spec)}))
    return found


# --- pictures ---------------------------------------------------------------------------------

def judge_pictures(entry: Entry, data: Path, most: int | None) -> dict[str, Any]:
    """{"sets": {source: scores}, "ms": ...} on the val pictures, at most so many of each set."""
    from training.data import PictureSet, read_index
    rows = [row for row in read_index(data, "val") if row.matte]
    sources = {row.source: row.truth_by for row in rows}
    method, times, sets = entry.open(), [], {}
    try:
        for source, truth_by in sources.items():
            pictures = PictureSet(data, _spread([row for row in rows if row.source == source], most))
            scores = []
            for number in range(len(pictures)):
                picture, mask = pictures[number]
                began = time.perf_counter()
                method.reset()
                matte = method.segment([frame_of(picture, 0, Fraction(1, 25))])[0]
                times.append(time.perf_counter() - began)
                scores.append(_scores(matte, mask[..., 0].astype(np.float32) / 255, mask[..., 1] == 0))
            sets[source] = {**_mean(scores), "pictures": len(scores), "truth_by": truth_by}
    finally:
        method.close()
    return {"sets": sets, "ms": round(1e3 * statistics.median(times), 3)}


def _spread(rows: Sequence[Any], most: int | None) -> list[Any]:
    if most is None or len(rows) <= most:
        return list(rows)
    return [rows[round(place)] for place in np.linspace(0, len(rows) - 1, most)]


def _scores(matte: Matte, truth: Array, ignore: Array | None = None) -> Scores:
    alpha = geometry.resize(matte.alpha, (truth.shape[0], truth.shape[1]))
    return {"iou": metrics.iou(alpha, truth, ignore), "boundary_f": metrics.boundary_f(alpha, truth, ignore),
            "mad": metrics.mad(alpha, truth, ignore)}


def _mean(scores: Sequence[Scores]) -> Scores:
    return {name: round(float(np.mean([score[name] for score in scores])), 4) for name in scores[0]}


# --- scenes -----------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class Shown:
    """A scene in memory: its frames, and of each the truth, float32 (h, w), and the luma, uint8 (h, w)."""

    written: scenes.Written
    frames: list[Frame]
    truths: list[Array]
    lumas: list[Any]

    @classmethod
    def of(cls, written: scenes.Written) -> Shown:
        """A scene that was written, read back."""
        frames = list(_read(written.video))
        truths = [frame.planes[0].astype(np.float32) / 255 for frame in _read(written.matte)]
        return cls(written, frames, truths, [frame.luma() for frame in frames])


def _read(path: Path) -> Iterator[Frame]:
    source = open_source(path)
    try:
        yield from source
    finally:
        source.close()


def judge_scene(entry: Entry, scene: Shown) -> Scores:
    """The scores of one scene, and ms."""
    method = entry.open(scene.written.video)
    try:
        method.segment(scene.frames[:1])  # what is made at first use is not the frame's
        method.reset()
        pairs = ((frame, method.segment([frame])[0]) for frame in scene.frames)
        began = time.perf_counter()
        mattes = [matte for _, matte in smooth.create(entry.smoothing)(pairs)]
        spent = time.perf_counter() - began
    finally:
        method.close()
    return {**_sequence(mattes, scene), "ms": round(1e3 * spent / len(mattes), 3)}


def judge_run(scene: Shown, work: Path) -> Scores:
    """The scores of the matte that `streamseg run` writes, with its default smoothing and edges."""
    path = work / "run.mkv"
    report = streamseg.run(scene.written.video, matte=str(path), overwrite=True)
    mattes = [Matte(frame.planes[0].astype(np.float32) / np.float32(255)) for frame in _read(path)]
    spent = sum(stage.total_s for name, stage in report.stages.items() if name not in ("decode", "encode"))
    return {**_sequence(mattes, scene), "ms": round(1e3 * spent / report.frames, 3)}


def _sequence(mattes: Sequence[Matte], scene: Shown) -> Scores:
    steady, flicker, scores = metrics.DtSSD(), metrics.Flicker(), []
    for matte, truth, luma in zip(mattes, scene.truths, scene.lumas, strict=True):
        scores.append(_scores(matte, truth))
        alpha = geometry.resize(matte.alpha, (truth.shape[0], truth.shape[1]))
        steady.add(alpha, truth)
        flicker.add(alpha, luma)
    over_time = {"dtssd": steady.result(), "flicker": flicker.result()}
    # no number (JSON has none for it): too few frames, or nothing that is still
    return {**_mean(scores), **{name: round(value, 4) for name, value in over_time.items() if value == value}}


def judge_scenes(chosen: Sequence[Entry], names: Iterable[str], material: scenes.Material,
                 size: tuple[int, int], frames: int) -> dict[str, dict[str, Scores]]:
    """entry's name -> scene -> scores."""
    found: dict[str, dict[str, Scores]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            scene = Shown.of(scenes.write(name, Path(folder), material, size, frames))
            found.setdefault(AS_IT_COMES, {})[name] = judge_run(scene, Path(folder))
            for entry in chosen:
                if entry.name not in SLOW:
                    found.setdefault(entry.name, {})[name] = judge_scene(entry, scene)
    return found


# --- all together -----------------------------------------------------------------------------

def summaries(val: Mapping[str, Any], by_scene: Mapping[str, Any],
              kinds: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """entry -> kind, ms, and means over the sets that people drew, those of a teacher, and the scenes."""
    found = {}
    for name, kind in kinds.items():
        sets, own = val.get(name, {}).get("sets", {}), by_scene.get(name, {})
        row: dict[str, Any] = {"kind": kind}
        for who in ("people", "teacher"):
            scored = [item for item in sets.values() if item["truth_by"] == who]
            row[who] = _mean([{key: item[key] for key in ("iou", "boundary_f", "mad")} for item in scored]) \
                if scored else None
        keys = list(dict.fromkeys(key for scores in own.values() for key in scores))
        row["scenes"] = {key: round(float(np.mean([item[key] for item in own.values() if key in item])), 4)
                         for key in keys} if own else None
        row["ms"] = val[name]["ms"] if name in val else row["scenes"]["ms"] if own else None
        found[name] = row
    return found


def draw(rows: Mapping[str, Mapping[str, Any]]) -> bytes:
    """PNG: person IoU over milliseconds, a panel for the pictures that people drew and one for the scenes."""
    titles = {"people": "val pictures, truth by people", "scenes": "scenes"}
    panels = {which: title for which, title in titles.items()
              if any(row[which] for row in rows.values())}
    drawn = figure(7 * max(1, len(panels)), 5)
    for number, (which, title) in enumerate(panels.items(), 1):
        axes = drawn.add_subplot(1, len(panels), number)
        for kind, colour in COLOURS.items():
            points = {name: (row["ms"] if which == "people" else row["scenes"]["ms"], row[which]["iou"])
                      for name, row in rows.items() if row["kind"] == kind and row[which]}
            if points:
                axes.scatter(*zip(*points.values(), strict=True), color=colour, label=kind)
            for name, point in points.items():
                axes.annotate(name, point, xytext=(4, 4), textcoords="offset points", fontsize=7)
        axes.set(title=title, xscale="log", xlabel="milliseconds a picture", ylabel="person IoU")
        axes.legend(loc="center left")
        axes.margins(x=0.15)
        axes.grid(alpha=0.3)
    return png(drawn)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """README's tables: ``quality`` and ``quality.sets``."""
    lines = []
    for name, row in result["rows"].items():
        still, moving = row["people"] or {}, row["scenes"] or {}
        numbers = [_text(still, "iou", 3), _text(still, "boundary_f", 3), _text(still, "mad", 1),
                   _text(moving, "iou", 3), _text(moving, "boundary_f", 3), _text(moving, "mad", 1),
                   _text(moving, "dtssd", 2), _text(moving, "flicker", 0), _text(row, "ms", 1)]
        lines.append((name, *numbers))
    head = ("", "val IoU", "boundary F", "MAD", "scenes IoU", "boundary F", "MAD", "dtSSD", "flicker ppm",
            "ms")
    sets = list(dict.fromkeys(source for item in result["val"].values() for source in item["sets"]))
    own = [(name, *(f"{item['sets'][source]['iou']:.3f}" for source in sets))
           for name, item in result["val"].items()]
    return {"quality": Table(head, lines), "quality.sets": Table(("person IoU", *sets), own)}


def _text(scores: Mapping[str, Any], name: str, digits: int) -> str:
    value = scores.get(name)
    return "" if value is None else f"{value:.{digits}f}"


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("quality", __doc__, repeats=None)
    bench.parser.add_argument("--data", type=Path, help="corpus folder with index.csv")
    bench.parser.add_argument("--clips", type=Path, help="folder with background_*.mp4, for the scenes")
    bench.parser.add_argument("--models", type=Path, help="folder with the peers' nets")
    bench.parser.add_argument("--pictures", type=int, help="at most so many of each val set, default all")
    bench.parser.add_argument("--frames", type=int, default=25, help="of each scene, default %(default)s")
    chosen = bench.parse(words)
    cv2.setNumThreads(1)
    found = entries(chosen.models)
    val: dict[str, Any] = {}
    for entry in found if chosen.data else ():
        if entry.smoothing == "none" and entry.name not in OVER_TIME:
            most = 2 if entry.name in SLOW else chosen.pictures
            print(f"  pictures: {entry.name}", flush=True)
            val[entry.name] = judge_pictures(entry, chosen.data, most)
    material = scenes.Material(chosen.data, chosen.clips)
    names, size, frames = list(scenes.SCENES), (480, 270), chosen.frames
    if chosen.quick:
        names, size, frames = names[:1], (160, 90), 4
    by_scene = judge_scenes(found, names, material, size, frames)
    kinds = {AS_IT_COMES: "ours", **{entry.name: entry.kind for entry in found}}
    rows = summaries(val, by_scene, kinds)
    result = {"scenes_of": {**material.sources, "size": size, "frames": frames}, "rows": rows, "val": val,
              "scenes": by_scene}
    for table in tables(result).values():
        print(table.markdown(), end="\n\n")
    path = bench.save(result, chosen.out)
    ((chosen.out or RESULTS) / f"{path.stem}.png").write_bytes(draw(rows))


if __name__ == "__main__":
    main()
