"""Whether a run found its subject: counted over the mattes that are composited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .core.frames import Frame, Matte
from .errors import NoSubjectError
from .report import Subject

PEOPLE = ("person", "Person", "Model")  # names of what finds people and nothing else

_SURE, _SOFT = 0.5, (0.1, 0.9)  # a pixel that is the subject's; one that a sure method does not leave
_LEAST, _MOST = 0.0005, 0.6     # of a picture: a subject covers at least; grey is one that is soft in more than


def _judged(alpha: npt.NDArray[np.float32], share: float) -> str:
    """'found', 'grey' (half transparent all over: the method knows nothing) or 'none', of a matte (h, w) in [0, 1] of
    which ``share``, 0..1 of the whole picture, is the subject."""
    low, high = _SOFT
    some = alpha[::2, ::2]  # every other pixel is enough to tell grey, in a quarter of the time
    if np.count_nonzero((some > low) & (some < high)) > _MOST * some.size:
        return "grey"
    return "found" if share >= _LEAST else "none"


class SubjectCounter:
    """Looks at the mattes that pass through, of one run. Read ``result`` when they have all passed."""

    def __init__(self) -> None:
        self._states: Counter[str] = Counter()
        self._largest = 0.0

    def passing(self, pairs: Iterator[tuple[Frame, Matte]]) -> Iterator[tuple[Frame, Matte]]:
        """The pairs, unchanged."""
        for pair in pairs:
            self.see(*pair)
            yield pair

    def see(self, frame: Frame, matte: Matte) -> None:
        """Count a frame's matte."""
        share = float(np.count_nonzero(matte.alpha > _SURE)) / matte.alpha.size
        if matte.area is not None:
            share *= matte.area.height * matte.area.width / (frame.height * frame.width)
        state = _judged(matte.alpha, share)
        self._states[state] += 1
        if state == "found":
            self._largest = max(self._largest, share)

    @property
    def result(self) -> Subject:
        """What was found; a frame whose matte is grey counts as one without a subject."""
        state = next((name for name in ("found", "grey") if self._states[name]), "none")
        share = self._states["found"] / max(self._states.total(), 1)
        return Subject(state, round(share, 4), round(self._largest, 6))


def remarks(subject: Subject, frames: int, method: str) -> list[str]:
    """What the user is told of a run of ``frames`` frames by the method of this name in which nobody was found."""
    if subject.state == "found" or not frames:
        return []
    where = "the picture" if frames == 1 else f"any of {frames} frames"
    grey = ": the matte is half transparent all over, which says nothing" if subject.state == "grey" else ""
    only = " (it looks for people)" if method in PEOPLE else ""
    return [f"no subject was found in {where} by the method {method}{only}{grey}. {REMEDY}"]


REMEDY = ("For pets and products before a plain background take --method region, grabcut or kmeans, or add what lies "
          "at a place with --region +x,y; `streamseg methods` says which to take for what")


def require(subject: Subject, frames: int, method: str) -> None:
    """Raise NoSubjectError if a run of ``frames`` frames found nobody."""
    if subject.state != "found":
        said = remarks(subject, frames, method) or ["there was no frame"]
        raise NoSubjectError(f"{said[0]}; without --require-subject the output is written all the same")
