"""Who is faster? python -m benchmarks.peers [--quick] [--models DIR] [--device gpu] [--clip FILE]

The same clip, before the same colour, with the same encoder and settings, in interleaved turns: streamseg,
and the loops of other programs (benchmarks/loops.py). --models is a folder with selfie_256x256.tflite and
meet_144x256.onnx; without it the loops run around streamseg's own net, and the result says so. Their speed is
the loop's: what a frame costs them is mostly not the net.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av

import streamseg
from benchmarks import loops
from benchmarks.common import (
    Bench,
    Table,
    folder_and_clip,
    interleaved,
    ratios,
    shown,
    start,
    summary,
    transcode,
)
from benchmarks.loops import LoopNet

OURS = "streamseg"
# how many times a peer's speed streamseg is to have
MUST = {"usual loop": 2.5, "usual loop, OpenCV's MPEG-4": 1.5, "RobustVideoMatting's loop": 4.0}
NOT_HERE = {
    "rembg, its own nets": "its weights are downloaded at first use",
    "backgroundremover, its own nets": "its weights are downloaded at first use",
    "RobustVideoMatting, its own net": "its weights are a download and need PyTorch",
    "BackgroundMattingV2, MODNet, MatAnyone": "their weights are downloads and need PyTorch",
    "MediaPipe's own graph": "its package is not installed here; its selfie net runs in the usual loop",
}


def peers(clip: Path, work: Path, models: Path | None) -> tuple[dict[str, Callable[[], float]],
                                                               dict[str, str], dict[str, str]]:
    """(tasks by name, the net of each, what cannot run here and why)."""
    with av.open(str(clip)) as source:
        like = source.streams.video[0].height, source.streams.video[0].width
    selfie, meet = (partial(LoopNet, _model(models, name), like) for name in ("selfie_256x256.tflite",
                                                                             "meet_144x256.onnx"))
    tasks: dict[str, Callable[[], float]] = {
        "usual loop": partial(loops.usual, clip, work / "usual.mp4", selfie),
        "usual loop, OpenCV's MPEG-4": partial(loops.usual, clip, work / "mp4v.mp4", selfie, mp4v=True),
        "RobustVideoMatting's loop": partial(loops.float_tensors, clip, work / "floats.mp4", selfie)}
    theirs, rembgs = selfie().name, meet().name
    nets = dict.fromkeys(tasks, theirs)
    missing = dict(NOT_HERE)
    if find_spec("PIL"):
        tasks["rembg's loop"] = partial(loops.pillow, clip, work / "p.mp4", meet)
        nets["rembg's loop"] = rembgs
    else:
        missing["rembg's loop"] = "Pillow is not installed"
    if loops.has_ffmpeg():
        tasks["backgroundremover's way"] = partial(loops.matte_file, clip, work / "merged.mp4", selfie)
        nets["backgroundremover's way"] = theirs
        tasks["ffmpeg alone, chroma key"] = partial(loops.chroma_key, clip, work / "key.mp4")
        nets["ffmpeg alone, chroma key"] = "none"
    else:
        missing |= dict.fromkeys(("backgroundremover's way", "ffmpeg alone, chroma key"),
                                 "ffmpeg is not installed")
    return tasks, nets, missing


def _model(models: Path | None, name: str) -> Path | None:
    path = None if models is None else models / name
    return path if path is not None and path.exists() else None


def measure(clip: Path, work: Path, models: Path | None, device: str, repeats: int) -> dict[str, Any]:
    """The result: rows by name, and what is not there."""
    tasks, nets, missing = peers(clip, work, models)

    def ours() -> float:
        return streamseg.run(clip, work / "ours.mp4", background="#00ff00", overwrite=True, device=device).fps

    limit = partial(transcode, clip, work / "limit.mp4")
    values = interleaved({OURS: ours, **tasks, "transcode": limit}, repeats)
    rows: dict[str, Any] = {name: {"fps": summary(fps)} for name, fps in values.items()}
    for name in tasks:
        ratio, must = ratios(values[OURS], values[name]), MUST.get(name)
        rows[name] |= {"net": nets[name], "ours_is_times": ratio, "must": must,
                       "met": None if must is None else ratio["median"] >= must}
    rows[OURS]["net"] = "person-medium"
    return {"device": device, "rows": rows, "not_here": missing}


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """The tables of RESULTS.md: ``peers`` and ``peers.missing``."""
    lines = []
    for name, row in result["rows"].items():
        times = shown(row["ours_is_times"], 1) if "ours_is_times" in row else ""
        lines.append((name, row.get("net", ""), f"{row['fps']['median']:.1f}", times))
    return {"peers": Table(("", "net", "fps", "streamseg is times as fast"), lines),
            "peers.missing": Table(("not measured", "why"), list(result["not_here"].items()))}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("peers", __doc__, device=True)
    bench.parser.add_argument("--clip", type=Path, help="measure with this clip instead of a made one")
    bench.parser.add_argument("--models", type=Path, help="folder with the peers' nets")
    chosen = bench.parse(words)
    with folder_and_clip(chosen.clip, quick=chosen.quick, seconds=4.0) as (work, clip):
        result = measure(clip, work, chosen.models, chosen.device, chosen.repeats)
    for table in tables(result).values():
        print(table.markdown(), end="\n\n")
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
