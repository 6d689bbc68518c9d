"""The numbers of an evaluation: by frame, by clip, over all."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .metrics import PICTURE
from .sequences import DtSSD, Flicker, Lag, WarpingError

WITHOUT_TRUTH = ("flicker", "warping_error")
METRICS = (*PICTURE, "dtssd", "lag", *WITHOUT_TRUTH)
OF_THE_CLIP = ("lag",)  # they have no number a frame
HIGHER_IS_BETTER = ("iou", "miou", "boundary_f", "boundary_iou")
_TAKE_IGNORE = (*HIGHER_IS_BETTER, "mad", "mse")
Alpha = npt.NDArray[np.float32]


@dataclass(slots=True)
class Clip:
    """The scores of a film, or of single pictures taken together.

    pictures    each picture's name, empty for a film
    times       seconds of each frame, nan where it has none
    values      metric -> a number a frame, nan where it has none (dtssd of a first frame)
    summary     metric -> the whole clip's number, nan where it has none
    truth_peak  the truth's largest value, 0..1
    """

    name: str
    pictures: list[str] = field(default_factory=list)
    times: array[float] = field(default_factory=lambda: array("d"))
    values: dict[str, array[float]] = field(default_factory=dict)
    summary: dict[str, float] = field(default_factory=dict)
    truth_peak: float = 0.0

    @property
    def frames(self) -> int:
        return len(self.times)

    def frame_name(self, index: int) -> str:
        """What a frame is called: its picture's name, or its number."""
        return self.pictures[index] if self.pictures else str(index)

    def worst(self, metric: str) -> int | None:
        """The frame at which a metric is worst, None if it has no number a frame."""
        values = np.array(self.values.get(metric, ()))
        if not np.isfinite(values).any():
            return None
        return int(np.nanargmin(values) if metric in HIGHER_IS_BETTER else np.nanargmax(values))


@dataclass(slots=True)
class Evaluation:
    """What ``evaluate`` found: ``metrics`` in their order, a Clip a film, remarks."""

    metrics: list[str]
    clips: list[Clip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        return sum(clip.frames for clip in self.clips)

    @property
    def summary(self) -> dict[str, float]:
        """metric -> mean over the clips that have a number, nan where none has."""
        found = {}
        for name in self.metrics:
            values = [clip.summary.get(name, math.nan) for clip in self.clips]
            finite = [value for value in values if math.isfinite(value)]
            found[name] = float(np.mean(finite)) if finite else math.nan
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON: a number that does not exist is None."""
        return {"frames": self.frames, "summary": _plain(self.summary), "notes": self.notes,
                "clips": [{"name": clip.name, "frames": clip.frames, "summary": _plain(clip.summary)}
                          for clip in self.clips]}


def _plain(summary: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in summary.items()}


class Scorer:
    """Fills a Clip, frame by frame, with the numbers of ``metrics``."""

    def __init__(self, clip: Clip, metrics: Sequence[str]) -> None:
        self.clip = clip
        self._pictures = [name for name in metrics if name in PICTURE]
        self._dtssd = DtSSD() if "dtssd" in metrics else None
        self._lag = Lag() if "lag" in metrics else None
        self._flicker = Flicker() if "flicker" in metrics else None
        self._warping = WarpingError() if "warping_error" in metrics else None
        clip.values = {name: array("d") for name in metrics if name not in OF_THE_CLIP}

    def add(self, alpha: Alpha, truth: Alpha | None, ignore: npt.NDArray[np.bool_] | None,
            luma: npt.NDArray[np.uint8] | None, time: float) -> None:
        """One frame, all of one size; see ``metrics``. Without ``luma`` every pixel is still. What needs
        no truth is measured on all of the matte: it is the same with a truth and without."""
        found: dict[str, float | None] = {}
        if truth is not None:
            self.clip.truth_peak = max(self.clip.truth_peak, float(truth.max()))
            # to a metric that knows of nothing ignored, such pixels are right
            judged = alpha if ignore is None else np.where(ignore, truth, alpha)
            for name in self._pictures:
                extra = (ignore,) if name in _TAKE_IGNORE else ()
                found[name] = PICTURE[name](judged, truth, *extra)
            if self._dtssd is not None:
                found["dtssd"] = self._dtssd.add(judged, truth, ignore)
            if self._lag is not None:
                self._lag.add(judged, truth)
        if self._flicker is not None:
            shown = np.zeros(alpha.shape, np.uint8) if luma is None else luma
            found["flicker"] = self._flicker.add(alpha, shown)
        if self._warping is not None and luma is not None:
            found["warping_error"] = self._warping.add(alpha, luma)
        self.clip.times.append(time)
        for name, values in self.clip.values.items():
            value = found.get(name)
            values.append(math.nan if value is None else value)

    def finished(self) -> Clip:
        """The clip with its summary: means over frames, and what each metric of a sequence makes of them."""
        whole = {"dtssd": self._dtssd, "lag": self._lag, "flicker": self._flicker,
                 "warping_error": self._warping}
        for name in self._pictures:
            self.clip.summary[name] = float(np.mean(self.clip.values[name])) if self.clip.frames else math.nan
        self.clip.summary |= {name: item.result() for name, item in whole.items() if item is not None}
        return self.clip
