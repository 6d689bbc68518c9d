"""How good the mattes of a method are: on val pictures of a corpus, on scenes whose truth is exact, and of a
run of streamseg. Definitions and sources of the figures: streamseg/tools/evaluation/metrics.py."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import streamseg
from benchmarks import scenes
from streamseg import segment, smooth
from streamseg.core import geometry
from streamseg.core.frames import Frame, Matte
from streamseg.options import Options
from streamseg.segment import Segmenter
from streamseg.source import open_source
from streamseg.source.arrays import frame_of
from streamseg.tools import evaluation
from streamseg.tools.evaluation import metrics
from streamseg.tools.evaluation.scores import Scorer

Array = npt.NDArray[Any]
Scores = dict[str, float]
FIGURES = ("iou", "boundary_f", "mad", "dtssd", "flicker")


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
        return segment.create_segmenter(self.method, self.params, clip=None if clip is None else str(clip))


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


def _scores(matte: Matte, truth: Array, ignore: Array) -> Scores:
    alpha = geometry.resize(matte.alpha, (truth.shape[0], truth.shape[1]))
    return {"iou": metrics.iou(alpha, truth, ignore), "boundary_f": metrics.boundary_f(alpha, truth, ignore),
            "mad": metrics.mad(alpha, truth, ignore)}


def mean(scores: Sequence[Scores]) -> Scores:
    """Of each figure, over pictures or sets."""
    return {name: round(float(np.mean([score[name] for score in scores])), 4) for name in scores[0]}


# --- scenes -----------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class Clip:
    """A video in memory: its frames, and of each the truth, float32 (h, w).

    name, video   what it is called, and its file
    made          a scene with exact truth; else the truth is another model's
    cut           the first frame after a cut, if there is one
    """

    name: str
    video: Path
    frames: list[Frame]
    truths: list[Array]
    made: bool = True
    cut: int | None = None

    @classmethod
    def of(cls, name: str, video: Path, matte: Path, most: int | None = None, *, made: bool = True,
           cut: int | None = None) -> Clip:
        """A video and its truth, read from their files, at most so many frames."""
        truths = _alphas(matte, most)
        frames = _read(video, len(truths))
        return cls(name, video, frames, truths[:len(frames)], made, cut)

    @classmethod
    def of_scene(cls, name: str, written: scenes.Written) -> Clip:
        """A scene that was written, read back."""
        return cls.of(name, written.video, written.matte, cut=written.cut)


def _read(path: Path, most: int | None = None) -> list[Frame]:
    source = open_source(path, Options(audio=False))
    try:
        return list(islice(source, most))
    finally:
        source.close()


def _alphas(path: Path, most: int | None = None) -> list[Array]:
    return [frame.planes[0].astype(np.float32) / np.float32(255) for frame in _read(path, most)]


def score(mattes: Iterable[Matte], clip: Clip, figures: Sequence[str] = FIGURES) -> Scores:
    """The figures of a clip's mattes, brought to the truth's size bilinearly; nan where there are too few
    frames for one."""
    scorer = Scorer(evaluation.Clip(clip.name), figures)
    for frame, truth, matte in zip(clip.frames, clip.truths, mattes, strict=True):
        high, wide = truth.shape
        alpha, luma = geometry.resize(matte.alpha, (high, wide)), frame.luma((wide, high))
        scorer.add(alpha, truth, None, luma, math.nan)
    return scorer.finished().summary


def judge_scene(entry: Entry, scene: Clip) -> Scores:
    """The scores of one scene, and ms."""
    method = entry.open(scene.video)
    try:
        # what is made at first use is not the frame's; a net is made ready for each form of part it looks at
        for frame in scene.frames if entry.method == "person" else scene.frames[:1]:
            method.segment([frame])
        method.reset()
        pairs = ((frame, method.segment([frame])[0]) for frame in scene.frames)
        began = time.perf_counter()
        mattes = [matte for _, matte in smooth.create_smoother(entry.smoothing)(pairs)]
        spent = time.perf_counter() - began
    finally:
        method.close()
    return {**_plain(score(mattes, scene)), "ms": round(1e3 * spent / len(mattes), 3)}


def judge_run(scene: Clip, work: Path, device: str = "auto") -> Scores:
    """The scores of the matte that `streamseg run` writes, with its default smoothing and edges."""
    path = work / "run.mkv"
    report = streamseg.run(scene.video, matte=str(path), overwrite=True, device=device)
    mattes = [Matte(alpha) for alpha in _alphas(path)]
    spent = sum(stage.total_s for name, stage in report.stages.items()
                if name != "decode" and not name.startswith("encode"))
    return {**_plain(score(mattes, scene)), "ms": round(1e3 * spent / report.frames, 3)}


def _plain(scores: Scores) -> Scores:
    """Without those that are no number: JSON has none for it."""
    return {name: round(value, 4) for name, value in scores.items() if math.isfinite(value)}
