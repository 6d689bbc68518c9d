"""Somebody's own object as the method: used as any, reset as any, and left open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import streamseg
from streamseg.core.frames import Frame, Matte
from streamseg.errors import OptionError, SegmentError
from streamseg.live import run as live_run
from streamseg.live.endpoints import Reader
from streamseg.live.options import LiveOptions
from streamseg.options import Options
from tests.unit.fakes import FakeSegmenter, FakeSink, Fault
from tests.unit.live_fakes import ScriptedCamera, room_frame

# Two scenes: blocks of chance
ONE, OTHER = (np.kron(np.random.default_rng(seed).integers(0, 256, (6, 8, 3)), np.ones((16, 16, 1)))
              .astype(np.uint8) for seed in range(2))


class Diary(FakeSegmenter):
    """Notes what is asked of it, in order. ``told`` is a setting of its own."""

    told = "made with this"

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__(fault)
        self.diary: list[str | int] = []

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.diary += [frame.index for frame in frames]
        return super().segment(frames)

    def reset(self) -> None:
        super().reset()
        self.diary.append("reset")


def test_an_object_is_reset_at_the_start_and_at_cuts_and_left_open() -> None:
    method, sink = Diary(), FakeSink()
    for _ in range(2):  # the second run too begins afresh
        report = streamseg.run([ONE] * 3 + [OTHER] * 3, sink, method=method, batch=2)
    assert method.diary == ["reset", 0, 1, 2, "reset", 3, 4, 5] * 2
    assert method.closed == 0
    assert (report.method, report.runs_on, report.frames) == ("Diary", "the CPU", 6)


def test_mattes_are_the_objects_and_it_stays_open() -> None:
    method = Diary()
    pairs: Iterator[tuple[Frame, Matte]] = streamseg.mattes([ONE] * 4, method=method, smooth="none")
    assert [round(100 * float(matte.alpha.mean())) for _, matte in pairs] == [0, 1, 2, 3]
    assert (method.diary, method.closed) == (["reset", 0, 1, 2, 3], 0)


def test_an_object_that_fails_stays_open() -> None:
    method = Diary(Fault("exception", 2))
    with pytest.raises(SegmentError, match="the method failed on frame 2"):
        streamseg.run([ONE] * 4, FakeSink(), method=method)
    assert method.closed == 0


def test_live_takes_an_object_and_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "open", lambda reader: ScriptedCamera([room_frame(0), room_frame(1)]))
    method = Diary()
    report = live_run.run(None, ["null"], options=Options(method=method), live=LiveOptions())
    assert report.frames >= 1
    assert method.diary[1] == "reset"  # after the warm-up
    assert method.closed == 0


class Half:
    """What lacks a method."""

    def segment(self, frames: Any) -> list[Matte]:
        return []

    def reset(self) -> None: ...

    close = None

    def __repr__(self) -> str:
        return "<half>"


@pytest.mark.parametrize(("method", "message"), [
    (Half(), "method <half> has no close(): a Segmenter has segment(frames), reset() and close()"),
    (Diary, "method is the class Diary; it must be an object of it, or its name as package.module:Class"),
    (3, "method is 3; it must be a name, or an object with segment(frames), reset() and close()")])
@pytest.mark.parametrize("entry", [streamseg.run, streamseg.mattes])
def test_what_is_no_method_is_refused_at_once(entry: Any, method: Any, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        entry([ONE], method=method)
    assert str(raised.value) == message


@pytest.mark.parametrize(("options", "named"), [
    ({"set": {"told": 3}}, "parameter told"), ({"model": "large"}, "model 'large'"),
    ({"device": "gpu"}, "device 'gpu'"), ({"runtime": "onnx"}, "runtime 'onnx'")])
def test_an_object_cannot_be_told_what_it_was_made_with(options: dict[str, Any], named: str) -> None:
    method, sink = Diary(), FakeSink()
    with pytest.raises(OptionError) as raised:
        streamseg.run([ONE], sink, method=method, **options)
    assert str(raised.value) == (f"{named} is not for method Diary, which is an object: leave it out, and "
                                 "make the object with what it needs")
    assert method.diary == []
