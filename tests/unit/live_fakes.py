"""A clock that tests move, cameras that do what a script says, pictures with a room that shows; a desk and an
engine made of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from streamseg.core.frames import Frame, Matte, VideoInfo
from streamseg.core.pixel_formats import Colour
from streamseg.live.adaptive_quality import LADDER
from streamseg.live.capture import Capture
from streamseg.live.composite_stage import CompositeStage
from streamseg.live.controls import Controls
from streamseg.live.segment_stage import SegmentStage
from streamseg.live.session import LiveSession
from streamseg.live.stats import LiveOutput
from streamseg.live.types import Control, Finished, Scene
from streamseg.options import Options
from tests.messages import messages

SIZE = (64, 48)
INFO = VideoInfo(*SIZE, "yuv420p", Fraction(1, 30), Fraction(30), colour=Colour(6, 1), live=True,
                 name="fake camera")
CHOICES = ("a.jpg", "blur", "green")  # the backgrounds that a desk's keys go through
PATIENCE = 30.0  # seconds that a test waits for another thread before it fails


class FakeClock:
    """Time passes only in ``sleep``, and by ``step`` at each look at it."""

    def __init__(self, step: float = 0.0) -> None:
        self.time, self.step = 100.0, step
        self.slept: list[float] = []

    def now(self) -> float:
        self.time += self.step
        return self.time

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)
            self.time += seconds


def person(size: tuple[int, int] = SIZE, shift: int = 0) -> np.ndarray:
    """bool (h, w): where the person is: a box in the middle, moved to the right by ``shift`` pixels."""
    width, height = size
    mask = np.zeros((height, width), bool)
    mask[height // 4:, width * 3 // 8 + shift:width * 5 // 8 + shift] = True
    return mask


def room_frame(index: int, size: tuple[int, int] = SIZE, shift: int = 0, seed: int = 1) -> Frame:
    """A room of black and white noise, and before it a person of even grey (120)."""
    width, height = size
    luma = np.random.default_rng(seed).integers(0, 2, (height, width), np.uint8) * 200 + 30
    luma[person(size, shift)] = 120
    chroma = [np.full((height // 2, width // 2), 100 + 60 * number, np.uint8) for number in range(2)]
    return Frame((luma, *chroma), "yuv420p", Fraction(1, 30), index, index, Colour(6, 1))


FRAMES = [room_frame(index, seed=index) for index in range(9)]


class ScriptedCamera:
    """Gives the items of ``script`` in turn: frames, and errors, which it raises. ``before`` is called with
    the number of each item before it."""

    def __init__(self, script: Sequence[Frame | Exception], info: VideoInfo = INFO,
                 before: Callable[[int], Any] = lambda number: None) -> None:
        self.info, self.notes, self.damaged, self.closed = info, [], 0, 0
        self._script, self._before = script, before

    def __iter__(self) -> Iterator[Frame]:
        for number, item in enumerate(self._script):
            self._before(number)
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        self.closed += 1


class PersonModel:
    """Finds the person by its grey.

    ``fail(call)`` may raise. ``calls`` counts the pictures it was given.
    """

    def __init__(self, fail: Callable[[int], Any] = lambda call: None) -> None:
        self.calls, self.resets, self.closed = 0, 0, 0
        self._fail = fail

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        made = []
        for frame in frames:
            self.calls += 1
            self._fail(self.calls)
            made.append(Matte((frame.planes[0] == 120).astype(np.float32)))
        return made

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


class Keeper:
    """A Sink, and a Screen, that keeps what it is given. ``at(number)`` is called before each."""

    def __init__(self, at: Callable[[int], Any] = lambda number: None) -> None:
        self.pictures: list[Frame] = []
        self.notes: list[str] = []
        self.lines: list[Any] = []
        self.state = "open"
        self._at = at

    def write(self, frame: Frame) -> None:
        self._at(len(self.pictures))
        self.pictures.append(frame)

    def show(self, finished: Finished) -> None:
        self.write(finished.picture)

    def show_stats(self, line: Any) -> None:
        self.lines.append(line)

    def close(self) -> None:
        if self.state == "open":
            self.state = "closed"

    def abort(self) -> None:
        if self.state == "open":
            self.state = "aborted"


def control(**look: Any) -> Control:
    return Control(LADDER[0], Scene(**{"background": "#ff0000", **look}))


def desk(keys: str = "", state: Control | None = None, clock: FakeClock | None = None, **extra: Any
         ) -> tuple[Controls, Control, list[str]]:
    """A desk at which ``keys`` are pressed in turn. -> (it, what it controls, what it tells)"""
    waiting, told, state = iter(keys), messages(), state or control(background="a.jpg")
    made = Controls(state, clock or FakeClock(), keys=[lambda: next(waiting, "")], choices=CHOICES,
                **extra)
    return made, state, told


def engine_of(camera: ScriptedCamera, outputs: list[LiveOutput], *, model: PersonModel | None = None,
              clock: FakeClock | None = None, **extra: Any) -> LiveSession:
    """An engine from ``camera`` to ``outputs`` that sends every frame through the model."""
    clock, state = clock or FakeClock(), control()
    return LiveSession(Capture(camera, clock, state),
                  SegmentStage(model or PersonModel(), state, skip_still=False),
                  CompositeStage(INFO, Options(), state), outputs, clock=clock, control=state,
                  **extra)


def indices(keeper: Keeper) -> list[int]:
    """The numbers of the camera's frames (the first picture is the stand-in's)."""
    return [picture.index - 1 for picture in keeper.pictures if picture.index]


def wait_for(event: threading.Event) -> None:
    assert event.wait(PATIENCE), "the other thread did not get there"


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streamseg-")]
