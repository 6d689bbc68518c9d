"""Each kernel of the compositor against its floor: a copy of the picture's planes.

    python benchmarks/micro.py [--size 1920x1080] [--format yuv420p] [--rounds 60] [--json micro.json]

One OpenCV thread. Kernels and floor take turns, so that a change of the machine's speed meets all of
them; figures are medians in milliseconds a frame, by the clock and of the thread's own processor time
(which a busy machine changes less). The matte is a drawn head and shoulders of 288 x 160
(22 % of the picture wholly inside, 4 % in the rim) whose place changes from frame to frame.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamseg.background import Picture
from streamseg.composite import Compositor
from streamseg.composite.foreground import solved
from streamseg.frames import FORMATS, Frame, Matte, VideoInfo
from streamseg.opencv import cv2
from streamseg.options import Options
from streamseg.refine import Cover, Mixture, Selection, full_size

Kernel = Callable[[int], object]


def picture(width: int, height: int, format: str, index: int) -> Frame:
    """A frame of soft noise in an encoder's memory."""
    rng = np.random.default_rng(index)
    made = Frame.from_av(av.VideoFrame(width, height, format), index, time_base=Fraction(1, 30))
    for plane in made.planes:
        noise: Any = rng.integers(0, FORMATS[format].peak + 1, (24, 40)).astype(plane.dtype)
        np.copyto(plane, cv2.resize(noise, (plane.shape[1], plane.shape[0])))
    return made


def person(shift: float) -> Matte:
    """Head and shoulders, edges about four samples wide."""
    down, across = np.mgrid[0:160, 0:288]
    body = np.hypot((down - 100) / 70, (across - 144 - shift) / 50)
    head = np.hypot((down - 50) / 35, (across - 144 - shift) / 25)
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
        "floor: copy of the planes": copy,
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
    } | refining(frames, mattes)


def refining(frames: list[Frame], mattes: list[Matte]) -> dict[str, Kernel]:
    """The steps at the rim, each alone; what it needs is made before."""
    covers = [Cover.of(frame, matte, guided=True) for frame, matte in zip(frames, mattes, strict=True)]
    guesses = [Cover.of(frame, matte).luma for frame, matte in zip(frames, mattes, strict=True)]
    pixel = frames[0].pixel
    shares = [[cover.strip(*((pixel.sx, pixel.sy) if plane else (1, 1))) * np.float32(1 / pixel.peak)
               for plane in range(pixel.planes)] for cover in covers]
    clean = Selection("all", clean=True, steady=True)

    def colours(number: int) -> object:
        cover = covers[number % len(covers)]
        return Mixture.of(cover.frame, cover.alpha, cover.columns)

    def alpha(number: int) -> object:
        cover = covers[number % len(covers)]
        return cover.mixture.alpha(guesses[number % len(covers)], cover.rim)

    def own(number: int) -> object:
        cover = covers[number % len(covers)]
        return [solved(cover.mixture, plane, cover, share)
                for plane, share in enumerate(shares[number % len(covers)])]

    return {
        "specks and pinholes": lambda number: clean(mattes[number % len(mattes)]),
        "bilinear alpha in the rim": lambda number: Cover.of(frames[number % len(frames)],
                                                             mattes[number % len(mattes)]).luma,
        "colours of both sides": colours, "guided alpha from them": alpha,
        "subject's colours in the rim": own,
    }


def _with_picture(info: VideoInfo, frames: list[Frame], mattes: list[Matte]) -> Kernel:
    made = Compositor(info, ["composite"], Options())
    made._background = Picture(picture(info.width, info.height, info.format, 99), "cover")
    return lambda number: made.finish(frames[number % len(frames)], mattes[number % len(mattes)])


def measure(timed: dict[str, Kernel], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds by the clock and of processor time, of each round of each kernel, in turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for number in range(rounds):
        for name, kernel in timed.items():
            began, busy = time.perf_counter(), time.thread_time()
            kernel(number)
            times[name].append(((time.perf_counter() - began) * 1e3, (time.thread_time() - busy) * 1e3))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--format", default="yuv420p", choices=[n for n in FORMATS if "gray" not in n])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    width, height = (int(side) for side in chosen.size.split("x"))
    cv2.setNumThreads(1)
    frames = [picture(width, height, chosen.format, index) for index in range(4)]
    times = measure(kernels(frames, [person(shift) for shift in (-20, 0, 7, 30)]), chosen.rounds)
    middle = {name: {"wall": statistics.median(wall for wall, _ in values),
                     "cpu": statistics.median(cpu for _, cpu in values),
                     "best": min(wall for wall, _ in values)} for name, values in times.items()}
    floor = next(iter(middle.values()))["cpu"]
    print(f"{chosen.size} {chosen.format}, {chosen.rounds} rounds, one thread; {platform.processor()} "
          f"OpenCV {cv2.__version__}, NumPy {np.__version__}")
    print(f"{'kernel':30}{'wall ms':>10}{'cpu ms':>10}{'best ms':>10}{'x floor':>9}")
    for name, value in middle.items():
        print(f"{name:30}{value['wall']:10.3f}{value['cpu']:10.3f}{value['best']:10.3f}"
              f"{value['cpu'] / floor:9.1f}")
    if chosen.json:
        chosen.json.write_text(json.dumps(
            {"size": chosen.size, "format": chosen.format, "rounds": chosen.rounds,
             "machine": platform.processor() or platform.machine(), "opencv": cv2.__version__,
             "numpy": np.__version__, "ms": middle}, indent=1) + "\n")


if __name__ == "__main__":
    main()
