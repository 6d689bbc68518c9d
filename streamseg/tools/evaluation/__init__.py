"""Scores mattes: predicted against true ones, or by themselves where there is no truth.

``evaluate`` is ``streamseg eval``. Of each frame only its numbers are kept, so memory does not grow with
the pictures. The metrics are those of ``streamseg.tools.evaluation.metrics``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Any

import numpy as np

from ...core.frames import Frame
from ...core.geometry import resize as resized
from ...errors import OptionError, SourceError
from ...options import Options
from ...report import Progress
from ...validation import choice
from .mattes import MatteClip, Pair, alpha_of, paired, together
from .metrics import PICTURE
from .scores import METRICS, WITHOUT_TRUTH, Clip, Evaluation, Scorer

__all__ = ["METRICS", "Clip", "Evaluation", "evaluate"]
# Of a guide's aspect to the matte's: rounding of small mattes passes, a picture lying on its side does not.
_SAME_ASPECT = 0.03


def evaluate(predicted: str, truth: str | None = None, *, guide: str | None = None,
             metrics: Sequence[str] = (), ignore: int | None = None, resize: str | None = None,
             allow_missing: bool = False, progress: Callable[[Progress], None] | None = None,
             **options: Any) -> Evaluation:
    """Score mattes.

    predicted      a film (a file, or a pattern as frame_%05d.png), a picture, or a folder of either
    truth          the same of the true mattes, folders matched by stem; None: only what needs none
    guide          the filmed pictures: which pixels are still (flicker), how they move (warping error)
    metrics        names out of METRICS; none: all that can be measured
    ignore         truth's value, 0..255, of pixels that count for nothing (128 in many data sets); a metric
                   that cannot leave pixels out takes them as right; flicker and warping error, which need
                   no truth, are of all pixels
    resize         "predicted": bring predicted mattes to the truth's size; None: other sizes are an error
    allow_missing  score what both have, and note the rest
    progress       called after each frame
    options        of Options: start, duration, rate, only, timeout

    Raises SourceError where an input cannot be read, is no matte or has no partner, and OptionError.
    """
    chosen = Options.of({**options, "audio": False})
    _check(truth, ignore, resize)
    result = Evaluation(_wanted(metrics, truth is not None, guide is not None))
    pairs = paired(predicted, truth, guide, chosen.only, allow_missing, result.notes)
    pictures = Scorer(Clip(predicted), [name for name in result.metrics if name in PICTURE])
    began, done = time.perf_counter(), 0
    for pair in pairs:
        with ExitStack() as stack:
            films = [stack.enter_context(closing(MatteClip(path, chosen))) for path in pair.paths]
            single = all(film.still for film in films)
            scorer = _of_picture(pair, pictures) if single else Scorer(Clip(pair.name), result.metrics)
            total = len(pairs) if single else films[0].frames if len(pairs) == 1 else None
            for frames in together(films, allow_missing, result.notes):
                _add(scorer, pair, frames, ignore, resize is not None)
                done += 1
                if progress is not None:
                    progress(Progress(done, total, time.perf_counter() - began))
            remarks = (note for film in films for note in film.remarks(matte=film.spec != pair.guide))
            result.notes += dict.fromkeys(remarks)
        if not single:
            result.clips.append(scorer.finished())
    if pictures.clip.frames:
        result.clips.insert(0, pictures.finished())
    _conclude(result, truth is not None, guide is not None)
    return result


def _check(truth: str | None, ignore: int | None, resize: str | None) -> None:
    if ignore is not None and not 0 <= ignore <= 255:
        raise OptionError(f"ignore is {ignore}; it must be a value of the truth's pixels, 0 to 255")
    if resize is not None:
        choice("resize", resize, ["predicted"])
    for name, value in (("ignore", ignore), ("resize", resize)):
        if value is not None and truth is None:
            raise OptionError(f"{name} is {value!r}, but there is no truth that it could speak of")


def _wanted(metrics: Sequence[str], truth: bool, guide: bool) -> list[str]:
    """The metrics asked for, or all that can be measured, in the order of METRICS."""
    possible = [name for name in METRICS
                if (truth or name in WITHOUT_TRUTH) and (guide or name != "warping_error")]
    for name in metrics:
        choice("metric", name, METRICS)
        if name not in possible:
            without = "the filmed pictures: --source VIDEO" if name in WITHOUT_TRUTH else "the truth"
            raise OptionError(f"{name} needs {without}; without that there are: {', '.join(possible)}")
    return [name for name in possible if not metrics or name in metrics]


def _of_picture(pair: Pair, pictures: Scorer) -> Scorer:
    """The scorer of single pictures, told of one more."""
    if pair.truth is None or pair.guide is not None:
        raise OptionError(f"{pair.predicted} is a single picture; what is measured without a truth or with a "
                          "source compares the frames of a film. Frames in a folder are given as a pattern: "
                          "frame_%05d.png")
    pictures.clip.pictures.append(pair.name)
    return pictures


def _add(scorer: Scorer, pair: Pair, frames: Sequence[Frame], ignore: int | None, resize: bool) -> None:
    """Score one frame of predicted, truth and guide, those that the pair has, in this order."""
    alpha = alpha_of(frames[0], pair.predicted)
    truth = unknown = luma = None
    if pair.truth is not None:
        truth = alpha_of(frames[1], pair.truth)
        if alpha.shape != truth.shape and not resize:
            raise SourceError(f"frame {scorer.clip.frames} of {pair.predicted} is {_size(alpha)}, of "
                              f"{pair.truth} {_size(truth)}: --resize predicted brings it to that size")
        alpha = resized(alpha, (truth.shape[0], truth.shape[1]))
        unknown = None if ignore is None else np.rint(255 * truth) == ignore
    height, width = alpha.shape
    if pair.guide is not None:
        picture = frames[-1]
        if abs(math.log(picture.width * height / (picture.height * width))) > _SAME_ASPECT:
            raise SourceError(f"{pair.guide} is {picture.width} x {picture.height}, the mattes are "
                              f"{_size(alpha)}: it is not the film that they are of")
        luma = picture.luma((width, height))
    when = frames[0].time
    scorer.add(alpha, truth, unknown, luma, math.nan if when is None or scorer.clip.pictures else float(when))


def _size(alpha: Any) -> str:
    return f"{alpha.shape[1]} x {alpha.shape[0]}"


def _conclude(result: Evaluation, truth: bool, guide: bool) -> None:
    """The remarks that only the end allows; metrics that no clip can have are left out."""
    measured = [name for name in result.metrics if any(name in clip.summary for clip in result.clips)]
    if not measured:
        raise OptionError(f"{', '.join(result.metrics)} compares the frames of a film; there are only single "
                          "pictures")
    result.metrics = measured
    if "flicker" in measured and not guide:
        result.notes.append("flicker: every pixel counts as still; --source VIDEO tells which are")
    if not truth and not guide:
        result.notes.append("warping error is not measured: it needs the filmed pictures, --source VIDEO")
    peak = max(clip.truth_peak for clip in result.clips)
    if truth and peak < 0.5:
        result.notes.append(f"the truth is empty in all frames: its largest value is {255 * peak:.0f} of "
                            "255, and a pixel is the person's from 128 on")
