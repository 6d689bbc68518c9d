"""How much of its limit a run keeps: python -m benchmarks.offline [--quick] [--device gpu] [--clip FILE]

The transcode limit of a clip is the fps of the same decode and the same encode settings with nothing
between them, decode and encode each in a thread as in a run. All rows of a clip are measured in turn,
repeatedly, in one process; a row's ratio is taken within the same turn, and the median over the turns is
told. Two more ratios stand beside it: with what the first frame alone takes subtracted from both sides, as in a long
film; and with a limit whose encoder is given the composite's own pictures, which may be dearer than the film's.
``must`` is what the project asks of itself.

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
from streamseg.report import Report
from streamseg.tools.bench.measure import run_once
from streamseg.tools.compare import write_picture
from streamseg.tools.demo import painted

PREVIEW_EVERY, PREVIEW_WIDTH = 30, 640
MATTES = 24
OWN = {"1080p": 90, "4K": 24}  # a composite's pictures that the encoder is given: 280 MB at a time
ONE, LONG = "one frame of ", "in a long film: "  # tasks that give seconds; values made of them
FIRST = 0.01  # seconds: the first frame alone
RATE = 30  # of the made clips
HEAD = ("", "fps", "of which limit", "ratio (min to max)", "start-up taken out", "and its own pictures in the limit",
        "wanted")
SLOWEST = "the slowest of them alone"
PICTURE = "a picture"  # stands for the path of one, made when it is needed


@dataclass(frozen=True, slots=True)
class Row:
    """``options`` of a run; ``limit``: the task its speed is divided by; ``must``: the least ratio.

    outputs  composite, matte, cutout (ProRes 4444 .mov), preview (a JPEG every second, PREVIEW_WIDTH wide)
    limit    None: what the row is for is to be one
    """

    name: str
    options: Mapping[str, Any]
    limit: str | None = "transcode"
    must: float | None = None
    outputs: Sequence[str] = ("composite",)
    clip: str = "1080p"


SOLID = Row("solid background", {"background": "green"}, must=0.92)
MATTE = Row("matte alone, FFV1", {}, "decode + FFV1", 0.72, ("matte",))
CUTOUT = Row("cutout alone, .mov", {}, None, None, ("cutout",))
ROWS = (
    SOLID,
    Row("picture background", {"background": PICTURE}, must=0.92),
    Row("blur", {"background": "blur"}, must=0.90),
    MATTE,
    CUTOUT,
    Row("composite + matte + cutout", {"background": "green"}, SLOWEST, 0.90, ("composite", "matte", "cutout")),
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
        self._frames: dict[str, int] = {}

    def run(self, row: Row) -> float:
        """Frames a second of a run, from opening to the last file in place."""
        return self._report(row).fps

    def one(self, row: Row) -> float:
        """Seconds of a run of the first frame."""
        return self._report(row, duration=FIRST).elapsed

    def _report(self, row: Row, **more: Any) -> Report:
        sinks: list[Any] = [self._work / "out.mp4"] if "composite" in row.outputs else []
        sinks += [Previews()] if "preview" in row.outputs else []
        options = {**self._given(row), **more}
        if "matte" in row.outputs:
            options["matte"] = str(self._work / "matte.mkv")
        if "cutout" in row.outputs:
            options["cutout"] = str(self._work / "cutout.mov")
        return streamseg.run(self._clips[row.clip], sinks, overwrite=True, **options)

    def _given(self, row: Row) -> dict[str, Any]:
        """The row's options, with a picture's path in its place."""
        options: dict[str, Any] = {**row.options, "device": self._device}
        if options.get("background") == PICTURE:
            options["background"] = str(self._picture)
        return options

    def frames(self, clip: str) -> int:
        """How many frames a clip has."""
        if clip not in self._frames:
            with av.open(str(self._clips[clip])) as source:
                self._frames[clip] = sum(1 for _ in source.decode(video=0))
        return self._frames[clip]

    def limit(self, clip: str, most: int | None = None) -> float:
        """Frames a second of the transcode of a clip, or of its first frames."""
        return transcode(self._clips[clip], self._work / "limit.mp4", most=most)

    def matte_limit(self, most: int | None = None) -> float:
        """Frames a second of decoding and encoding mattes that are there already, as FFV1."""
        if not self._mattes:
            self._mattes = self._some_mattes()
        return transcode(self._clips["1080p"], self._work / "limit.mkv", pictures=self._mattes, most=most)

    def own_limit(self, row: Row) -> float:
        """Frames a second of the transcode with the encoder given what the row's composite is made of, kept without
        loss: its first pictures, forth and back."""
        kept = self._work / f"own {row.name}.mkv"
        if not kept.exists():
            options = {**self._given(row), "codec": "ffv1", "preview": OWN[row.clip] / RATE}
            streamseg.run(self._clips[row.clip], str(kept), overwrite=True, **options)
        with av.open(str(kept)) as container:
            pictures = list(container.decode(video=0))
        return transcode(self._clips[row.clip], self._work / "limit.mp4", pictures=pictures)

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
    limits: dict[str, tuple[Callable[..., float], str]] = {
        "transcode": (partial(stand.limit, "1080p"), "1080p"), "decode + FFV1": (stand.matte_limit, "1080p"),
        "transcode, 4K": (partial(stand.limit, "4K"), "4K")}
    clips = {name: clip for name, (_, clip) in limits.items()} | {row.name: row.clip for row in rows}
    tasks: dict[str, Callable[[], float]] = {}
    for name, (limit, _) in limits.items():
        tasks |= {name: limit, ONE + name: partial(seconds_of_one, limit)}
    for row in rows:
        tasks |= {row.name: partial(stand.run, row), ONE + row.name: partial(stand.one, row)}
        if encoded(row):
            tasks[own(row)] = partial(stand.own_limit, row)
    values = interleaved(tasks, repeats)
    for name, clip in clips.items():
        values[LONG + name] = [steady(stand.frames(clip), *turn)
                               for turn in zip(values[name], values[ONE + name], strict=True)]
    for prefix in ("", LONG):
        alone = (values[prefix + row.name] for row in (SOLID, MATTE, CUTOUT))
        values[prefix + SLOWEST] = [min(turn) for turn in zip(*alone, strict=True)]
    found: dict[str, Any] = {name: {"fps": summary(values[name]), "long_fps": summary(values[LONG + name])}
                             for name in clips}
    for row in rows:
        if row.limit is not None:
            found[row.name] |= {"limit": row.limit, "ratio": ratios(values[row.name], values[row.limit]),
                                "long_ratio": ratios(values[LONG + row.name], values[LONG + row.limit])}
        if encoded(row):
            found[row.name] |= {"own_limit_fps": summary(values[own(row)]),
                                "own_ratio": ratios(values[row.name], values[own(row)]),
                                "own_long_ratio": ratios(values[LONG + row.name], values[own(row)])}
    return found


def seconds_of_one(limit: Callable[..., float]) -> float:
    """Seconds that a limit takes for the first frame."""
    return 1 / limit(most=1)


def encoded(row: Row) -> bool:
    """Whether what a row does is a composite, for which there is a limit of its own pictures."""
    return tuple(row.outputs) == ("composite",)


def own(row: Row) -> str:
    """The task of the limit with the row's own pictures."""
    return f"{row.name}: transcode of its own pictures"


def steady(frames: int, fps: float, one: float) -> float:
    """Frames a second of a long film: of so many frames at ``fps``, when the first alone takes ``one`` seconds.
    ``fps`` itself for a clip too short to tell."""
    left = frames / fps - one
    return (frames - 1) / left if frames > 1 and left > 0 else fps


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """The tables of RESULTS.md: ``offline`` and ``offline.start``."""
    musts = {row.name: row.must for row in (*ROWS, *ON_GPU)}
    lines = []
    for name, row in result["rows"].items():
        fps = f"{row['fps']['median']:.1f}"
        if "limit" not in row:
            lines.append((name if name in musts else f"*limit: {name}*", fps, *[""] * 5))
            continue
        ratios_told = [shown(row[key]) if key in row else "" for key in ("ratio", "long_ratio", "own_long_ratio")]
        must = musts.get(name)
        met = "" if must is None else f">= {must:.2f} {'yes' if row['ratio']['median'] >= must else 'no'}"
        lines.append((name, fps, row["limit"], *ratios_told, met))
    lines += [(name, "not measured", *[""] * 5) for name in result.get("not_here", ())]
    first = result["start_s"]
    begun = (f"{first['median']:.2f} s", f"{first['min']:.2f}", f"{first['max']:.2f}")
    return {"offline": Table(HEAD, lines),
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
