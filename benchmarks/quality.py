"""How good is it, and what does that cost? python -m benchmarks.quality [--quick] [--data DIR] [--models DIR]
[--clips DIR] [--device gpu]

Every method and every net of --models, on the val pictures of --data (a corpus folder with index.csv) and on
the scenes of benchmarks/scenes.py, whose truth is exact; the person model also without its closer look at
people who are small (streamseg/segment/roi.py), as it looks at single pictures, in less detail, with each
smoothing, and as a run of streamseg gives it, which asks the large model where medium is in doubt.
--device is where our model runs; the others run on the CPU. Mattes are brought to the truth's size. Without
--data there are scenes alone, drawn ones; without --models no peers.

Val: person IoU, boundary F, MAD x 1e3. Scenes: those and dtSSD x 1e2 and flicker in ppm. ms: the median of a
picture, from the frame to the matte, on val, where each is the first that the method sees; on scenes the
mean, smoothing included. Definitions and sources: streamseg/tools/evaluation/metrics.py. quality.png shows
quality over speed,
a point a method.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import scenes
from benchmarks.common import RESULTS, Bench, Table, start
from benchmarks.judge import Clip, Entry, Scores, judge_pictures, judge_run, judge_scene, mean
from streamseg import segment, smooth
from streamseg.core.geometry import BUDGETS
from streamseg.core.opencv import cv2
from streamseg.segment.built_in import built_in
from streamseg.tools.bench.plots import figure, png

SPECS = Path(__file__).parent / "specs"
PEERS = ("selfie_256x256.tflite", "meet_144x256.onnx", "deeplabv3_mnv2_257.tflite")
OVER_TIME = ("mog2", "knn", "plate")  # learn from what comes before or after: nothing on a single picture
SLOW = ("meanshift",)  # a second a picture: two pictures of each set
KEYED = ("chroma", "greenscreen")  # they need a screen of one colour, which no picture here has
AS_IT_COMES = "streamseg run"
OURS = built_in(precision="float").stem
WHOLE_ONLY, AS_STILLS = f"{OURS}, no closer look", f"{OURS}, as single pictures"
BOTH = "both, as single pictures"
STILLS = (*SLOW, AS_STILLS, BOTH)  # pictures only
FIGURES, OVER_FRAMES = (("iou", 3), ("boundary_f", 3), ("mad", 1)), (("dtssd", 2), ("flicker", 0))  # digits
COLOURS = {"ours": "C0", "smoothing": "C9", "classical": "0.5", "peer": "C3"}


def entries(models: Path | None, device: str = "auto") -> list[Entry]:
    """Ours by what can be chosen (the default first), its other sizes, the default one with each smoothing,
    the classical methods, the peers that are there."""
    default = built_in(device=device, precision="float")
    there = {"device": device, "precision": "float", "second_look": False}  # one net alone is judged
    found = [Entry(OURS, "ours", "person", there),
             Entry(WHOLE_ONLY, "ours", "person", {**there, "roi": False}),
             Entry(AS_STILLS, "ours", "person", {**there, "stills": True, "model": "medium"}),
             Entry(BOTH, "ours", "person", {**there, "stills": True})]
    found += [Entry(f"{OURS}, detail {name}", "ours", "person", {**there, "detail": name})
              for name in list(BUDGETS)[1:]]
    found += [Entry(path.stem, "ours", "person", {"device": device, "model": str(path)})
              for path in sorted(default.parent.glob(f"person-*{default.suffix}")) if path != default]
    found += [Entry(f"{OURS} + {name}", "smoothing", "person", there, name)
              for name in smooth.NAMES if name not in ("auto", "none")]
    found += [Entry(name, "classical", name, {}) for name in segment.METHODS
              if name not in ("person", *KEYED)]
    for name in PEERS:
        if models is not None and (models / name).exists():
            spec = SPECS / Path(name).with_suffix(".json").name
            found.append(Entry(Path(name).stem, "peer", "person",
                               {"model": str(models / name), "model_spec": str(spec)}))
    return found


# --- scenes -----------------------------------------------------------------------------------

def judge_scenes(chosen: Sequence[Entry], names: Iterable[str], material: scenes.Material,
                 size: tuple[int, int], frames: int, device: str) -> dict[str, dict[str, Scores]]:
    """entry's name -> scene -> scores."""
    found: dict[str, dict[str, Scores]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            scene = Clip.of_scene(name, scenes.write(name, Path(folder), material, size, frames))
            found.setdefault(AS_IT_COMES, {})[name] = judge_run(scene, Path(folder), device)
            for entry in chosen:
                if entry.name not in STILLS:
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
            row[who] = mean([{key: item[key] for key in ("iou", "boundary_f", "mad")} for item in scored]) \
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
    """RESULTS.md's tables: ``quality``, ``quality.sets`` (of val) and ``quality.closer`` (scene by scene)."""
    lines = []
    for name, row in result["rows"].items():
        still, moving = row["people"] or {}, row["scenes"] or {}
        still = {**still, "ms": result["val"].get(name, {}).get("ms")}
        lines.append((name, *(_text(still, key, digits) for key, digits in (*FIGURES, ("ms", 1))),
                      *(_text(moving, key, digits) for key, digits in (*FIGURES, *OVER_FRAMES, ("ms", 1)))))
    head = ("", "val IoU", "boundary F", "MAD", "ms",
            "scenes IoU", "boundary F", "MAD", "dtSSD", "flicker ppm", "ms")
    sets = list(dict.fromkeys(source for item in result["val"].values() for source in item["sets"]))
    own = [(name, *(f"{item['sets'][source]['iou']:.3f}" for source in sets))
           for name, item in result["val"].items()]
    return {"quality": Table(head, lines), "quality.sets": Table(("person IoU", *sets), own),
            "quality.closer": closer_table(result["scenes"])}


def closer_table(by_scene: Mapping[str, Mapping[str, Scores]]) -> Table:
    """What the closer look changes, scene by scene: each figure without it and with it."""
    without, closer = (by_scene.get(name, {}) for name in (WHOLE_ONLY, OURS))
    figures = (("iou", 3), ("boundary_f", 3), ("dtssd", 2), ("ms", 1))
    lines = [(scene, *(_text(scores[scene], key, digits) for key, digits in figures
                       for scores in (without, closer))) for scene in without]
    titles = ("person IoU", "boundary F", "dtSSD", "ms")
    return Table(("scene", *(word for title in titles for word in (title, "with a closer look"))), lines)


def _text(scores: Mapping[str, Any], name: str, digits: int) -> str:
    value = scores.get(name)
    return "" if value is None else f"{value:.{digits}f}"


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("quality", __doc__, repeats=None, device=True)
    bench.parser.add_argument("--data", type=Path, help="corpus folder with index.csv")
    bench.parser.add_argument("--clips", type=Path, help="folder with background_*.mp4, for the scenes")
    bench.parser.add_argument("--models", type=Path, help="folder with the peers' nets")
    bench.parser.add_argument("--pictures", type=int, help="at most so many of each val set, default all")
    bench.parser.add_argument("--frames", type=int, default=25, help="of each scene, default %(default)s")
    bench.parser.add_argument("--size", type=int, nargs=2, default=(480, 270), metavar=("WIDTH", "HEIGHT"),
                              help="of the scenes")
    chosen = bench.parse(words)
    cv2.setNumThreads(1)
    found = entries(chosen.models, chosen.device)
    val: dict[str, Any] = {}
    for entry in found if chosen.data else ():
        if entry.smoothing == "none" and entry.name not in OVER_TIME:
            most = 2 if entry.name in SLOW else chosen.pictures
            print(f"  pictures: {entry.name}", flush=True)
            val[entry.name] = judge_pictures(entry, chosen.data, most)
    material = scenes.Material(chosen.data, chosen.clips)
    names, size, frames = list(scenes.SCENES), tuple(chosen.size), chosen.frames
    if chosen.quick:
        names, size, frames = ["far"], (160, 90), 4
    by_scene = judge_scenes(found, names, material, size, frames, chosen.device)
    kinds = {AS_IT_COMES: "ours", **{entry.name: entry.kind for entry in found}}
    rows = summaries(val, by_scene, kinds)
    made_of = {**material.sources, "size": size, "frames": frames}
    result = {"device": chosen.device, "scenes_of": made_of, "rows": rows, "val": val, "scenes": by_scene}
    for table in tables(result).values():
        print(table.markdown(), end="\n\n")
    path = bench.save(result, chosen.out)
    ((chosen.out or RESULTS) / f"{path.stem}.png").write_bytes(draw(rows))


if __name__ == "__main__":
    start(main)
