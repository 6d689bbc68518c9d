"""Each hot kernel against its floor: python -m benchmarks.micro [--quick] [--size 1920 1080]
[--format yuv420p] [--repeats 60]

The floor is a copy of the picture's planes; of the small picture for the net it is FFmpeg's own scaler, of
smoothing the optical flow alone. One OpenCV thread. Kernels and floors take turns, so that a change of the
machine's speed meets all of them; figures are medians in milliseconds a frame, by the clock and of the
thread's own processor time (which a busy machine changes less). The matte is a drawn head and shoulders of
the net's size (22 % of the picture wholly inside, 3 % in the rim) whose place changes from frame to frame.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import cycle
from typing import Any

import av
import numpy as np

from benchmarks.common import TINY, Bench, Table, start
from streamseg import smooth
from streamseg.background import Picture
from streamseg.composite import Compositor
from streamseg.composite.foreground import solved
from streamseg.core.frames import Frame, Matte, VideoInfo
from streamseg.core.geometry import net_size
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import FORMATS
from streamseg.options import Options
from streamseg.refine import AlphaTiles, ColorModel, Selection, full_size
from streamseg.temporal.flow import OpticalFlow

ROWS, COLUMNS = net_size(1080, 1920)  # what the net is given of a 16:9 video
SMALL = COLUMNS, ROWS
COPY, SCALER, FLOW = "copy of the planes", "FFmpeg's scaler to RGB", "optical flow alone"
# a kernel's floor, where it is not the copy
FLOOR_OF = {"small picture": SCALER, "smooth, flow": FLOW, "smooth, lookahead": FLOW}
Kernel = Callable[[int], object]


def picture(width: int, height: int, format: str, index: int, seed: int = 0) -> Frame:
    """A frame of soft noise in an encoder's memory, moved by ``index`` (0 to 9) hundredths of its width."""
    rng = np.random.default_rng(seed)
    made = Frame.from_av(av.VideoFrame(width, height, format), index, time_base=Fraction(1, 30))
    for plane in made.planes:
        rows, columns = plane.shape
        noise: Any = rng.integers(0, FORMATS[format].peak + 1, (24, 44)).astype(plane.dtype)
        left = columns * index // 100
        np.copyto(plane, cv2.resize(noise, (columns * 11 // 10, rows))[:, left:left + columns])
    return made


def person(shift: float) -> Matte:
    """Head and shoulders, ``shift`` of the height from the middle, edges about four samples wide."""
    down, across = (np.mgrid[0:ROWS, 0:COLUMNS] - np.array([[[0]], [[COLUMNS / 2]]])) / ROWS
    body = np.hypot((down - 0.62) / 0.44, (across - shift) / 0.31)
    head = np.hypot((down - 0.31) / 0.22, (across - shift) / 0.16)
    return Matte(np.clip((1 - np.minimum(body, head)) * 12 + 0.5, 0, 1).astype(np.float32))


def kernels(frames: list[Frame], mattes: list[Matte]) -> dict[str, Kernel]:
    """name -> what is timed, given the number of the round."""
    first = frames[0]
    info = VideoInfo(first.width, first.height, first.format, first.time_base)

    def compositor(kind: str, **options: object) -> Kernel:
        made = Compositor(info, [kind], Options.of(options))
        return lambda number: made.finish(frames[number % len(frames)], mattes[number % len(mattes)])

    def copy(number: int) -> object:
        source, made = frames[number % len(frames)], Frame.empty(first)
        for plane, ready in zip(made.planes, source.planes, strict=True):
            np.copyto(plane, ready)
        return made

    return {
        COPY: copy,
        "composite, solid": compositor("composite", background="#123456"),
        "composite, bilinear edges": compositor("composite", background="#123456", edges="bilinear"),
        "composite, erode 3": compositor("composite", background="#123456", erode=3.0),
        "composite, feather 6": compositor("composite", background="#123456", feather=6.0),
        "composite, light wrap": compositor("composite", background="#123456", light_wrap=0.5),
        "composite, largest": compositor("composite", background="#123456", subject="largest"),
        "composite, picture": _with_picture(info, frames, mattes),
        "composite, blur 0.5": compositor("composite", background="blur"),
        "composite, blur 0.1": compositor("composite", background="blur", blur=0.1),
        "matte": compositor("matte"),
        "cutout": compositor("cutout"),
        "foreground": compositor("foreground"),
        "full_size, bilinear": lambda number: full_size(mattes[number % len(mattes)], frames[0]),
        "full_size, guided": lambda number: full_size(mattes[number % len(mattes)], frames[0], guided=True),
    } | refining(frames, mattes) | before_the_rim(frames, mattes)


def before_the_rim(frames: list[Frame], mattes: list[Matte]) -> dict[str, Kernel]:
    """What is done at the net's size."""
    given = [frame.to_av() for frame in frames]
    lumas, motion = [frame.luma((SMALL[0] // 2, SMALL[1] // 2)) for frame in frames], OpticalFlow()

    def steadied(name: str) -> Kernel:
        # forth and back: a jump would be a cut, which is not smoothed over
        pairs = [*zip(frames, mattes, strict=True)]
        found = smooth.create_smoother(name)(cycle(pairs + pairs[-2:0:-1]))
        return lambda number: next(found)

    return {
        SCALER: lambda number: given[number % len(given)].reformat(*SMALL, "rgb24"),
        "small picture": lambda number: frames[number % len(frames)].rgb(SMALL),
        FLOW: lambda number: motion.between(lumas[number % len(lumas)], lumas[(number + 1) % len(lumas)]),
        "smooth, flow": steadied("flow"), "smooth, lookahead": steadied("lookahead"),
    }


def refining(frames: list[Frame], mattes: list[Matte]) -> dict[str, Kernel]:
    """The steps at the rim, each alone; what it needs is made before."""
    covers = [AlphaTiles.of(frame, matte, guided=True) for frame, matte in zip(frames, mattes, strict=True)]
    guesses = [replace(cover, guided=False).luma for cover in covers]  # of the same tiles
    pixel = frames[0].pixel
    shares = [[cover.strip(*((pixel.sx, pixel.sy) if plane else (1, 1))) * np.float32(1 / pixel.peak)
               for plane in range(pixel.planes)] for cover in covers]
    clean = Selection("all", clean=True, steady=True)

    def colours(number: int) -> object:
        cover = covers[number % len(covers)]
        return ColorModel.of(cover.frame, cover.alpha, cover.columns)

    def alpha(number: int) -> object:
        cover = covers[number % len(covers)]
        # a fresh one: a mixture keeps what it took out of the picture, for the colours
        return replace(cover.mixture).alpha(guesses[number % len(covers)], cover.rim)

    def own(number: int) -> object:
        cover = covers[number % len(covers)]
        return [solved(cover.mixture, plane, cover, share)
                for plane, share in enumerate(shares[number % len(covers)])]

    return {
        "specks and pinholes": lambda number: clean(mattes[number % len(mattes)],
                                                    frames[number % len(frames)]),
        "bilinear alpha in the rim": lambda number: AlphaTiles.of(frames[number % len(frames)],
                                                             mattes[number % len(mattes)]).luma,
        "colours of both sides": colours, "guided alpha from them": alpha,
        "subject's colours in the rim": own,
    }


def _with_picture(info: VideoInfo, frames: list[Frame], mattes: list[Matte]) -> Kernel:
    made = Compositor(info, ["composite"], Options())
    made._background = Picture(picture(info.width, info.height, info.format, 0, seed=99), "cover")
    return lambda number: made.finish(frames[number % len(frames)], mattes[number % len(mattes)])


def measure(timed: Mapping[str, Kernel], repeats: int) -> dict[str, dict[str, Any]]:
    """Milliseconds by the clock and of processor time of each kernel, in turns, and how many times its
    floor's that is."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for number in range(repeats):
        for name, kernel in timed.items():
            began, busy = time.perf_counter(), time.thread_time()
            kernel(number)
            times[name].append(((time.perf_counter() - began) * 1e3, (time.thread_time() - busy) * 1e3))
    found: dict[str, dict[str, Any]] = {}
    for name, values in times.items():
        wall, cpu = (statistics.median(part) for part in zip(*values, strict=True))
        found[name] = {"wall": round(wall, 4), "cpu": round(cpu, 4),
                       "best": round(min(part for part, _ in values), 4)}
    for name in found.keys() - {COPY, SCALER, FLOW}:
        floor = FLOOR_OF.get(name, COPY)
        found[name] |= {"floor": floor, "times_floor": round(found[name]["cpu"] / found[floor]["cpu"], 2)}
    return found


def tables(result: Mapping[str, Any]) -> dict[str, Table]:
    """RESULTS.md's table: ``micro``."""
    lines = [(name, f"{row['wall']:.2f}", f"{row['cpu']:.2f}", f"{row['best']:.2f}", row.get("floor", ""),
              f"{row['times_floor']:.1f}" if "floor" in row else "") for name, row in result["ms"].items()]
    return {"micro": Table(("", "ms", "of processor time", "best", "floor", "times the floor"), lines)}


def main(words: Sequence[str] | None = None) -> None:
    bench = Bench("micro", __doc__, repeats=60)
    bench.parser.add_argument("--size", type=int, nargs=2, default=(1920, 1080), metavar=("WIDTH", "HEIGHT"))
    bench.parser.add_argument("--format", default="yuv420p", choices=[n for n in FORMATS if "gray" not in n])
    chosen = bench.parse(words)
    width, height = TINY if chosen.quick else chosen.size
    cv2.setNumThreads(1)
    frames = [picture(width, height, chosen.format, index) for index in range(4)]
    found = measure(kernels(frames, [person(shift) for shift in (-0.12, 0, 0.04, 0.19)]), chosen.repeats)
    result = {"size": [width, height], "format": chosen.format, "repeats": chosen.repeats, "ms": found}
    print(tables(result)["micro"].markdown())
    bench.save(result, chosen.out)


if __name__ == "__main__":
    start(main)
