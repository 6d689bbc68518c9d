"""How much of its limit a run keeps: python -m benchmarks.offline [--quick] [--device gpu] [--clip FILE]

The transcode limit of a clip is the fps of the same decode and the same encode settings with nothing
between them, decode and encode each in a thread as in a run. All rows of a clip are measured in turn,
repeatedly, in one process; a row's ratio is taken within the same turn, and the median over the turns is
told. ``must`` is what the project asks of itself.

With --device gpu the model runs there, and two rows more decode and encode there too (NVDEC, NVENC), where
the device and PyAV's wheel have them; where not, the result says why.
"""

from __future__ import annotations

import compileall
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import av

import streamseg
from benchmarks.common import (
    TINY,
    UHD,
    Bench,
    Table,
    folder_and_clip,
    interleaved,
    make_clip,
    ratios,
    shown,
    start,
    summary,
    transcode,
)
from streamseg.core.frames import Frame
from streamseg.core.opencv import cv2
from streamseg.errors import StreamsegError
from streamseg.tools.bench.measure import run_once
from streamseg.tools.compare import write_picture
from streamseg.tools.demo import painted

PREVIEW_EVERY, PREVIEW_WIDTH = 30, 640
MATTES = 24
START_MUST = 1.0  # seconds
PICTURE = "a picture"  # stands for the path of one, made when it is needed


@dataclass(frozen=True, slots=True)
class Row:
    """``options`` of a run; ``limit``: the task its speed is divided by; ``must``: the least ratio.

    outputs  composite, matte, preview (a JPEG every second, PREVIEW_WIDTH wide)
    """

    name: str
    options: Mapping[str, Any]
    limit: str = "transcode"
    must: float | None = None
    outputs: Sequence[str] = ("composite",)
    clip: str = "1080p"


SOLID = Row("solid background", {"background": "green"}, must=0.70)
ROWS = (
    SOLID,
    Row("picture background", {"background": PICTURE}, must=0.70),
    Row("blur", {"background": "blur"}, must=0.60),
    Row("matte alone, FFV1", {}, "decode + FFV1", 0.80, ("matte",)),
    Row("composite + matte + previews", {"background": "green"}, SOLID.name, 0.75,
        ("composite", "matte", "preview")),
    Row("threshold, solid", {"background": "green", "method": "threshold"}),
    Row("threshold, blur", {"background": "blur", "method": "threshold"}),
    Row("solid background, 4K", {"background": "green"}, "transcode, 4K", 0.75, clip="4K"),
)
# beside --device gpu; an encoder that is named stays where it is
ON_GPU = (
    Row("solid background, NVDEC", {"background": "green", "hwaccel": "cuda", "codec": "libx264"}),
    Row("solid background, NVDEC and NVENC", {"background": "green", "hwaccel": "cuda"}),
)


@dataclass(slots=True)
class Previews:
    """A Sink that keeps a small JPEG of a frame a second."""

    kind: str = "composite"
    notes: list[str] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)

    def write(self, frame: Frame) -> None:
        """Encode every PREVIEW_EVERY-th frame."""
        if frame.index % PREVIEW_EVERY == 0:
            small = frame.rgb((PREVIEW_WIDTH, round(PREVIEW_WIDTH * frame.height / frame.width)))
            self.pictures.append(cv2.imencode(".jpg", small[..., ::-1])[1].tobytes())

    def close(self) -> None:
        """Nothing to finish."""

    def abort(self) -> None:
        """Nothing to undo."""


class Stand:
    """What the rows are measured with: clips by name, a background picture, mattes; all in ``work``."""

    def __init__(self, work: Path, clips: Mapping[str, Path], device: str) -> None:
        self._work, self._clips, self._device = work, clips, device
        self._picture = work / "background.png"
        write_picture(painted(TINY), self._picture, overwrite=True)
        self._mattes: list[av.VideoFrame] = []

    def run(self, row: Row) -> float:
        """Frames a second of a run, from opening to the last file in place."""
        options: dict[str, Any] = {**row.options, "device": self._device}
        if options.get("background") == PICTURE:
            options["background"] = str(self._picture)
        sinks: list[Any] = [self._work / "out.mp4"] if "composite" in row.outputs else []
        sinks += [Previews()] if "preview" in row.outputs else []
        if "matte" in row.outputs:
            options["matte"] = str(self._work / "matte.mkv")
        return streamseg.run(self._clips[row.clip], sinks, overwrite=True, **options).fps

    def limit(self, clip: str) -> float:
        """Frames a second of the transcode of a clip."""
        return transcode(self._clips[clip], self._work / "limit.mp4")

    def matte_limit(self) -> float:
        """Frames a second of decoding and encoding mattes that are there already, as FFV1."""
        if not self._mattes:
            self._mattes = self._some_mattes()
        return transcode(self._clips["1080p"], self._work / "limit.mkv", pictures=self._mattes)

    def _some_mattes(self) -> list[av.VideoFrame]:
        """The first MATTES mattes of the clip: what a lossless codec has to do depends on its pictures."""
        kept = self._work / "mattes.mkv"
        streamseg.run(self._clips["1080p"], matte=str(kept), preview=1, overwrite=True, device=self._device)
        with av.open(str(kept)) as container:
            return [picture for _, picture in zip(range(MATTES), container.decode(video=0), strict=False)]

    def start(self) -> float:
        """Seconds from `streamseg run`'s start as a process to its first frame written, the package compiled
        as pip leaves it: in a checkout Python may be told to write no bytecode."""
        compileall.compile_dir(Path(streamseg.__file__).parent, quiet=2)
        options = {"background": "green", "device": self._device, "duration": 0.5}
        taken = run_once(self._clips["1080p"], self._work / "start.mp4", options).start_s
        assert taken is not None  # a clip has frames
        return taken


def tried(rows: Sequence[Row], stand: Stand) -> tuple[list[Row], dict[str, str]]:
    """(the rows that can be run here, why not of each of the others)."""
    there: list[Row] = []
    missing: dict[str, str] = {}
    for row in rows:
        try:
            stand.run(row)
        except StreamsegError as error:
            missing[row.name] = str(error)
        else:
            there.append(row)
    return there, missing


def measure(stand: Stand, rows: Sequence[Row], repeats: int) -> dict[str, Any]:
    """Rows and limits, by name."""
    tasks: dict[str, Callable[[], float]] = {
        "transcode": partial(stand.limit, "1080p"), "decode + FFV1": stand.matte_limit,
        "transcode, 4K": partial(stand.limit, "4K")}
    tasks |= {row.name: partial(stand.run, row) for row in rows}
    values = interleaved(tasks, repeats)
    found: dict[str, Any] = {name: {"fps": summary(values[name])} for name in tasks}
    for row in rows:
        ratio = ratios(values[row.name], values[row.limit])
        found[row.name] |= {"limit": row.limit, "ratio": ratio, "must": row.must,
                            "met": None if row.must is None else ratio["median"] >= row.must}
    return found


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """The tables of RESULTS.md: ``offline`` and ``offline.start``."""
    lines = []
    for name, row in result["rows"].items():
        if "ratio" in row:
            lines.append((name, f"{row['fps']['median']:.1f}", row["limit"], shown(row["ratio"])))
        else:
            lines.append((f"*limit: {name}*", f"{row['fps']['median']:.1f}", "", ""))
    lines += [(name, "not measured", "", "") for name in result.get("not_here", ())]
    first = result["start_s"]
    begun = (f"{first['median']:.2f} s", f"{first['min']:.2f}", f"{first['max']:.2f}")
    return {"offline": Table(("", "fps", "of which limit", "ratio (min to max)"), lines),
            "offline.start": Table(("first frame written after", "min", "max"), [begun])}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("offline", __doc__, device=True)
    bench.parser.add_argument("--clip", type=Path, help="measure with this clip instead of a made 1080p one")
    chosen = bench.parse(words)
    with folder_and_clip(chosen.clip, quick=chosen.quick) as (work, clip):
        size, seconds = ((640, 360), 0.5) if chosen.quick else (UHD, 2.0)
        clips = {"1080p": clip, "4K": make_clip(work / "4k.mp4", size=size, seconds=seconds)}
        stand = Stand(work, clips, chosen.device)
        more, missing = tried(ON_GPU, stand) if chosen.device == "gpu" else ([], {})
        rows = measure(stand, [*ROWS, *more], chosen.repeats)
        started = summary([stand.start() for _ in range(chosen.repeats)])
    result = {"device": chosen.device, "rows": rows, "start_s": started, "not_here": missing}
    for table in tables(result).values():
        print(table.markdown(), end="\n\n")
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
