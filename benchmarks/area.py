"""What --roi saves on a quarter of a 4K film: python -m benchmarks.area [--quick]

People stand all over the picture; the same film is processed whole and with a roi of half its width and height,
in turn, repeatedly: to H.264, and to nothing, where encoding does not count.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamseg
from benchmarks import scenes
from benchmarks.common import TINY, UHD, Bench, Table, interleaved, ratios, shown, summary
from benchmarks.material import Material, Size

ROI = "25%,25%,50%,50%"
MUST = 1.5
FRAMES = 60


def film(path: Path, size: Size, frames: int) -> Path:
    """People all over a picture, who sway, in H.264."""
    actors = tuple(scenes.Actor(scenes._swing(0.02, 3, x), scenes._at(y), height=0.5, lean=2)
                   for x in (0.12, 0.37, 0.63, 0.88) for y in (0.27, 0.77))
    pairs = scenes.render(scenes.Scene(actors, seed=31), Material(), size, frames)
    scenes._encode(path, (rgb for rgb, _ in pairs), "libx264", "yuv420p", {"preset": "veryfast"})
    return path


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("area", __doc__)
    chosen = bench.parse(words)
    size, frames = (TINY, 4) if chosen.quick else (UHD, FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        clip = film(Path(folder) / "people.mkv", size, frames)

        def fps(target: str, roi: str | None) -> float:
            return streamseg.run(clip, target, roi=roi, overwrite=True, background="green").fps

        tasks = {f"{name}, {area or 'whole'}": partial(fps, target, area)
                 for name, target in (("H.264", f"{folder}/out.mp4"), ("null", "null:")) for area in (None, ROI)}
        values = interleaved(tasks, chosen.repeats)
    found = {name: {"whole": summary(values[f"{name}, whole"]), "roi": summary(values[f"{name}, {ROI}"]),
                    "ratio": ratios(values[f"{name}, {ROI}"], values[f"{name}, whole"])} for name in ("H.264", "null")}
    for name, item in found.items():
        print(f"{name}: {shown(item['whole'], 1)} fps, with --roi {ROI} {shown(item['roi'], 1)}: "
              f"{shown(item['ratio'])} times (must: {MUST:g})")
    bench.save({"size": list(size), "frames": frames, "roi": ROI, "must": MUST, "outputs": found}, chosen.out)


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """The table of RESULTS.md."""
    rows = [[name, shown(item["whole"], 1), shown(item["roi"], 1), shown(item["ratio"])]
            for name, item in result["outputs"].items()]
    return {"area": Table(("output", "whole, fps", f"--roi {result['roi']}, fps", "times"), rows)}


if __name__ == "__main__":
    main()
