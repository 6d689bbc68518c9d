"""How good the mattes of a method are: on val pictures of a corpus, on scenes whose truth is exact, and of a
run of streamseg. Definitions and sources of the figures: streamseg/metrics.py."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import streamseg
from benchmarks import scenes
from streamseg import geometry, metrics, segment, smooth
from streamseg.frames import Frame, Matte
from streamseg.segment import Segmenter
from streamseg.source import open_source
from streamseg.source.arrays import frame_of

Array = npt.NDArray[Any]
Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is judged. ``kind``: ours, smoothing (ours and a smoother), classical or peer;
    ``smoothing``: what follows the method."""

    name: str
    kind: str
    method: str
    params: Mapping[str, Any]
    smoothing: str = "none"

    def open(self, clip: Path | None = None) -> Segmenter:
        """The method, ready."""
        return segment.create(self.method, self.params, clip=None if clip is None else str(clip))


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
            sets[source] = {**mean(scores), "pictures": len(scores), "truth_by": truth_by}
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


def mean(scores: Sequence[Scores]) -> Scores:
    """Of each figure, over pictures or sets."""
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
        # what is made at first use is not the frame's; a net is made ready for each form of part it looks at
        for frame in scene.frames if entry.method == "person" else scene.frames[:1]:
            method.segment([frame])
        method.reset()
        pairs = ((frame, method.segment([frame])[0]) for frame in scene.frames)
        began = time.perf_counter()
        mattes = [matte for _, matte in smooth.create(entry.smoothing)(pairs)]
        spent = time.perf_counter() - began
    finally:
        method.close()
    return {**_sequence(mattes, scene), "ms": round(1e3 * spent / len(mattes), 3)}


def judge_run(scene: Shown, work: Path, device: str = "auto") -> Scores:
    """The scores of the matte that `streamseg run` writes, with its default smoothing and edges."""
    path = work / "run.mkv"
    report = streamseg.run(scene.written.video, matte=str(path), overwrite=True, device=device)
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
    return {**mean(scores), **{name: round(value, 4) for name, value in over_time.items() if value == value}}
