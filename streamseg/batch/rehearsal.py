"""Tries out what a batch's items are to be done with, on two tiny pictures, before the first of them is opened: a
background that is missing, a codec or an encoder's option that is not there, hardware that is not."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import api
from ..core.frames import Frame, Matte
from ..core.opencv import cv2
from ..errors import DeviceError, MissingDependencyError, OptionError, StreamsegError
from ..segment.places import parsed
from ..strokes import strokes_of
from .job import EXTRA, NULL, Job
from .methods import MAKING
from .names import is_still

WIDTH, HEIGHT = 512, 256  # pixels: what every encoder takes, and every layout of packed alpha
MOST = 32       # different ways that are tried out; a list may say something else in each row
# What only a real input can answer to
_OF_THE_INPUT = ("start", "duration", "preview", "stream", "rate", "deinterlace", "cfr", "only", "hwaccel", "roi",
                 "region", "strokes")
_TOLD = (OptionError, DeviceError, MissingDependencyError)  # what stands against all inputs alike


class _Everywhere:
    """A method that finds the subject in the left half."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        alpha = np.zeros((16, 16), np.float32)
        alpha[:, :8] = 1
        return [Matte(alpha) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Rehearsal:
    """Tries each kind of job once."""

    def __init__(self) -> None:
        self._tried: dict[tuple[str, tuple[str, ...]], StreamsegError | None] = {}

    def refusal(self, job: Job, key: str) -> StreamsegError | None:
        """What stands against all jobs with the options ``key`` and such outputs; None if nothing does."""
        endings = tuple(os.path.splitext(target.rstrip("/"))[1].lower() for target in job.targets)
        if (key, endings) not in self._tried:
            if len(self._tried) >= MOST:
                return None
            self._tried[key, endings] = _tried(job)
        return self._tried[key, endings]


def _tried(job: Job) -> StreamsegError | None:
    still = is_still(job.source)
    options = {name: value for name, value in job.options.items()
               if name not in (*MAKING, *EXTRA, *_OF_THE_INPUT)}
    with tempfile.TemporaryDirectory(prefix="streamseg-") as folder:
        def own(target: str, number: int) -> str:
            if target == NULL:
                return target
            name = os.path.basename(target.rstrip("/")) if "%" in target else f"a{os.path.splitext(target)[1]}"
            place = os.path.join(folder, str(number))
            os.mkdir(place)
            return os.path.join(place, name + ("/" if target.endswith("/") else ""))

        sinks = [own(target, number) for number, target in enumerate(job.sinks)]
        extra: dict[str, Any] = {name: own(job.options[name], 100 + number) for number, name in enumerate(EXTRA)
                                 if name in job.options}
        try:
            _check_drawn(job.options)
            api.run(_source(folder, still), sinks, **options, **extra, method=_Everywhere())
        except _TOLD as error:
            told = str(error)
            for number in (*range(len(sinks)), *range(100, 100 + len(EXTRA))):
                told = told.replace(os.path.join(folder, str(number), ""), "")
            return type(error)(told)
        except StreamsegError:  # of the tiny pictures: the inputs will tell
            return None
    return None


def _check_drawn(options: Mapping[str, Any]) -> None:
    """Raise OptionError for what no picture could answer to. The form of roi is checked with all options."""
    if options.get("region") is not None:
        parsed(options["region"])
    if options.get("strokes") is not None:
        strokes_of(options["strokes"])


def _source(folder: str, still: bool) -> Any:
    across = np.tile(np.linspace(0, 255, WIDTH, dtype=np.uint8), (HEIGHT, 1))
    down = np.tile(np.arange(HEIGHT, dtype=np.uint8)[:, None], (1, WIDTH))
    picture = np.dstack([across, down, np.full_like(across, 90)])
    if not still:
        return [picture, picture[::-1].copy()]
    path = os.path.join(folder, "tried.png")
    with open(path, "wb") as stream:
        stream.write(cv2.imencode(".png", picture)[1].tobytes())
    return path
