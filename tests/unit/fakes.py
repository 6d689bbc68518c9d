"""The smallest Source, Segmenter, Compositor and Sink, with a fault at a chosen frame, and a run's report."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from streamseg.core.frames import Frame, Matte, VideoInfo
from streamseg.report import Output, Queue, Report, Stage

FRAMES = 9
INFO = VideoInfo(32, 16, "yuv420p", Fraction(1, 25), Fraction(25), FRAMES / 25, FRAMES, name="fake")


def frame(index: int, width: int = 32, height: int = 16) -> Frame:
    planes = (np.full((height, width), 16 + index, np.uint8),
              *(np.full((height // 2, width // 2), 128, np.uint8) for _ in "uv"))
    return Frame(planes, "yuv420p", Fraction(1, 25), index, pts=index)


class Fault:
    """What goes wrong at frame ``at``: ``trip(index)`` does it. ``release`` ends a hang."""

    def __init__(self, kind: str | None = None, at: int = 0) -> None:
        self.kind, self.at = kind, at
        self.release = threading.Event()

    def trip(self, index: int) -> None:
        if self.kind is None or index != self.at:
            return
        actions: dict[str, Callable[[], Any]] = {
            "exception": lambda: _raise(RuntimeError("the fake broke")),
            "disk full": lambda: _raise(OSError(28, "No space left on device")),
            "Ctrl-C": lambda: os.kill(os.getpid(), signal.SIGINT),
            "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
            "stall": self.release.wait,
        }
        actions[self.kind]()


def _raise(error: Exception) -> None:
    raise error


class FakeSource:
    def __init__(self, fault: Fault | None = None, frames: int = FRAMES, info: VideoInfo = INFO) -> None:
        self.info, self.notes, self.damaged, self.closed = info, ["a note of the source"], 0, 0
        self._fault, self._frames = fault or Fault(), frames

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._frames):
            self._fault.trip(index)
            yield frame(index, self.info.width, self.info.height)

    def close(self) -> None:
        self.closed += 1


class FakeSegmenter:
    """The matte's value is the frame's index / 100, so that a mix-up of frames shows."""

    def __init__(self, fault: Fault | None = None) -> None:
        self._fault, self.calls, self.resets, self.closed = fault or Fault(), [], 0, 0

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.calls.append(len(frames))
        for item in frames:
            self._fault.trip(item.index)
        return [Matte(np.full((4, 8), item.index / 100, np.float32)) for item in frames]

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


class FakeSmoother:
    """Gives the pairs as they come, each when the next but one has come."""

    def __init__(self, fault: Fault | None = None) -> None:
        self._fault = fault or Fault()

    def __call__(self, pairs: Iterator[tuple[Frame, Matte]]) -> Iterator[tuple[Frame, Matte]]:
        waiting: deque[tuple[Frame, Matte]] = deque()
        for item, matte in pairs:
            self._fault.trip(item.index)
            waiting.append((item, matte))
            if len(waiting) > 2:
                yield waiting.popleft()
        yield from waiting


class FakeCompositor:
    """Gives the frame itself for every kind and keeps (index, matte value) of each."""

    def __init__(self, fault: Fault | None = None, kinds: Sequence[str] = ("composite",)) -> None:
        self._fault, self._kinds, self.pairs, self.closed = fault or Fault(), kinds, [], 0
        self.notes: list[str] = []

    def finish(self, item: Frame, matte: Matte) -> dict[str, Frame]:
        self._fault.trip(item.index)
        self.pairs.append((item.index, round(float(matte.alpha[0, 0]) * 100)))
        return dict.fromkeys(self._kinds, item)

    def close(self) -> None:
        self.closed += 1


class FakeSink:
    """``state``: open, then closed or aborted; ``written``: the indices."""

    kind = "composite"

    def __init__(self, fault: Fault | None = None, fail_at_close: bool = False) -> None:
        self._fault, self._fail_at_close = fault or Fault(), fail_at_close
        self.written: list[int] = []
        self.state, self.notes = "open", ["a note of the sink"]

    def write(self, item: Frame) -> None:
        self._fault.trip(item.index)
        self.written.append(item.index)

    def close(self) -> None:
        if self._fail_at_close:
            raise OSError(28, "No space left on device")
        self.state = "closed"

    def abort(self) -> None:
        if self.state == "open":
            self.state = "aborted"


def a_report(name: str = "in.mp4") -> Report:
    return Report(name, "threshold", "the CPU", 300, 4.0, 75.0, 0.25, {"segment": Stage(1.5, 2.5, 0.45)},
                  {"segment": Queue(1, 1, 0)}, [Output("out[b].mp4", "composite", 1_234_567)],
                  damaged=2, peak_rss_mib=120.0,
                  mattes={"computed": 100, "carried": 200, "kept": 0}, notes=["sound was transcoded to aac"])
