"""Each step of a run by itself, one frame after another, with nothing beside it:

    python -m streamseg.tools.bench.alone '{"clip": "in.mp4", "frames": 24, "options": {"method": "person"}}'

prints {"decode": ms, ...} as JSON: means a frame, the first frame left out (of the method: the first batch;
of smoothing, which works ahead: none).
A process of its own, because a GPU's memory stays taken as long as the process lives that once used it.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ... import segment
from ...composite import Compositor
from ...core.frames import Frame, Matte, VideoInfo
from ...core.geometry import Box
from ...core.opencv import cv2
from ...errors import StreamsegError
from ...options import Options
from ...sink import open_sink
from ...smooth import Pair, Smoother, create_smoother, frames_to_last
from ...source import open_source

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class ObservedFrame(Frame):
    """A Frame that notes in ``spent`` the seconds that making small pictures of it takes."""

    spent: list[float] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, frame: Frame) -> ObservedFrame:
        """``frame``, watched; its planes are shared."""
        return cls(*(getattr(frame, item.name) for item in fields(Frame) if item.init))

    def rgb(self, size: tuple[int, int] | None = None, part: Box | None = None) -> npt.NDArray[np.uint8]:
        """As Frame.rgb."""
        began = time.perf_counter()
        made = Frame.rgb(self, size, part)  # no super(): slots make a second class, which it would not know
        self.spent.append(time.perf_counter() - began)
        return made

    def luma(self, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
        """As Frame.luma, which for RGB frames asks ``rgb``, where the time is noted."""
        began = time.perf_counter()
        made = Frame.luma(self, size)
        if not self.pixel.rgb:
            self.spent.append(time.perf_counter() - began)
        return made


def stages_alone(clip: str | Path, frames: int, options: dict[str, Any]) -> dict[str, float]:
    """Mean milliseconds a frame of decode, small picture, infer, smooth, refine, composite, encode.

    ``small picture``: what the method asks of the frame at its own size; ``infer``: the rest of the method;
    ``refine``: from the matte to each pixel's alpha; ``composite``: what an opaque picture takes beyond
    that. ``frames`` is rounded up to whole batches, two or more. Raises StreamsegError.
    """
    chosen = Options.of({**options, "audio": False})  # sound is copied from the source: closed by then
    cv2.setNumThreads(1)
    source = open_source(clip, chosen)
    try:
        info = source.info
        batches = max(2, math.ceil(frames / chosen.batch))  # one that is left out, one that is measured
        decoded, decode = _timed(_first(source, batches * chosen.batch))
    finally:
        source.close()
    found = {"decode": decode}
    context = {item.name: getattr(chosen, item.name) for item in fields(Options)
               if (item.metadata["group"] == "Method" and item.name not in ("method", "set"))
               or item.name in segment.READING}
    segmenter = segment.create_segmenter(chosen.method, chosen.set, clip=str(clip), **context)
    try:
        pairs, found["small picture"], found["infer"] = _segmented(segmenter, decoded, chosen.batch)
        persistence = frames_to_last(chosen, network=segmenter.capabilities.expensive)
    finally:
        segmenter.close()
    steady = create_smoother(chosen.smooth, strength=chosen.smooth_strength, window=chosen.lookahead,
                             hysteresis=chosen.hysteresis, persistence=persistence)
    pairs, found["smooth"] = _steadied(steady, pairs)
    _, found["refine"] = _finished("matte", pairs, info, chosen)
    made, whole = _finished("composite", pairs, info, chosen)
    found["composite"] = max(0.0, whole - found["refine"])
    found["encode"] = _encoded(made, info, chosen)
    return {name: round(value, 3) for name, value in found.items()}


def _first(frames: Iterable[T], count: int) -> Iterator[T]:
    for _, frame in zip(range(count), frames, strict=False):
        yield frame


def _timed(items: Iterable[T]) -> tuple[list[T], float]:
    """The items, and milliseconds that each took to come, the first left out."""
    made: list[T] = []
    began = time.perf_counter()
    for item in items:
        made.append(item)
        if len(made) == 1:
            began = time.perf_counter()
    return made, 1e3 * (time.perf_counter() - began) / max(1, len(made) - 1)


def _segmented(segmenter: segment.Segmenter, frames: Sequence[Frame],
               batch: int) -> tuple[list[Pair], float, float]:
    """Pairs; milliseconds a frame for the small pictures, and for the rest of the method. The first batch is
    left out, unless it is the only one."""
    watched = [ObservedFrame.of(frame) for frame in frames]
    mattes: list[Matte] = []
    spent: list[float] = []
    for first in range(0, len(watched), batch):
        began = time.perf_counter()
        mattes += segmenter.segment(watched[first:first + batch])
        spent.append(time.perf_counter() - began)
    cold = 1 if len(spent) > 1 else 0
    counted = watched[cold * batch:]
    small = 1e3 * sum(sum(frame.spent) for frame in counted) / max(1, len(counted))
    whole = 1e3 * sum(spent[cold:]) / max(1, len(counted))
    return list(zip(frames, mattes, strict=True)), small, max(0.0, whole - small)


def _steadied(steady: Smoother, pairs: Sequence[Pair]) -> tuple[list[Pair], float]:
    """The steadied pairs, and milliseconds a frame. All work counts: lookahead does some of later pairs'
    before it gives the first."""
    for _ in steady(iter(pairs[:2])):  # what OpenCV does but once
        pass
    began = time.perf_counter()
    made = list(steady(iter(pairs)))
    return made, 1e3 * (time.perf_counter() - began) / max(1, len(made))


def _finished(kind: str, pairs: Sequence[Pair], info: VideoInfo,
              options: Options) -> tuple[list[Frame], float]:
    """The pictures of ``kind``, and milliseconds for each."""
    compositor = Compositor(info, [kind], options)
    try:
        return _timed(compositor.finish(frame, matte)[kind] for frame, matte in pairs)
    finally:
        compositor.close()


def _encoded(frames: Sequence[Frame], info: VideoInfo, options: Options) -> float:
    """Milliseconds a frame, the encoder's own threads and the file's end included."""
    with tempfile.TemporaryDirectory() as folder:
        sink = open_sink(Path(folder) / "out.mp4", info, options=options)
        began = time.perf_counter()
        try:
            for frame in frames:
                sink.write(frame)
            sink.close()
        finally:
            sink.abort()
        return 1e3 * (time.perf_counter() - began) / max(1, len(frames))


def main() -> int:
    """Read the job from the command line, print the figures or {"error": message}."""
    job = json.loads(sys.argv[1])
    try:
        print(json.dumps(stages_alone(job["clip"], job["frames"], job["options"])))
    except StreamsegError as error:
        print(json.dumps({"error": str(error)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
