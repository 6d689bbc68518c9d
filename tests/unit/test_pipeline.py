"""run() with fakes: order, batches, kinds, the report; every stage times every fault."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import av
import cv2
import numpy as np
import pytest

import streamseg
from streamseg import api as pipeline
from streamseg import outputs as run_outputs
from streamseg.core.frames import Frame, Matte
from streamseg.engine import threads as channel
from streamseg.errors import OptionError, SegmentError, SinkError, SourceError, StallError, StreamsegError
from streamseg.report import Progress
from streamseg.segment import Capabilities, adapt
from streamseg.sink import BaseSink
from tests.unit.fakes import (
    FRAMES,
    INFO,
    FakeCompositor,
    FakeSegmenter,
    FakeSink,
    FakeSmoother,
    FakeSource,
    Fault,
    frame,
)


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streamseg-")]


class Standing(FakeSegmenter):
    """Somebody stands in a corner, so that nobody is told that nobody is there."""

    def segment(self, frames: Any) -> list[Matte]:
        mattes = super().segment(frames)
        for matte in mattes:
            matte.alpha[-1, -1] = 1
        return mattes


class Stages:
    """All fakes of one run, put in the place of the real stages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **faults: Fault) -> None:
        self.source = FakeSource(faults.get("source"))
        self.segmenter = Standing(faults.get("segment"))
        self.smoother = FakeSmoother(faults.get("smooth"))
        self.compositor = FakeCompositor(faults.get("composite"))
        self.sink = FakeSink(faults.get("sink"))
        monkeypatch.setattr(pipeline, "open_source", lambda source, options: source)
        monkeypatch.setattr(pipeline.methods, "create_segmenter", lambda *_, **__: adapt(self.segmenter, owned=True))
        monkeypatch.setattr(pipeline.smooth, "create_smoother", lambda *_, **__: self.smoother)
        monkeypatch.setattr(pipeline, "Compositor", lambda *_, **__: self.compositor)
        monkeypatch.setattr(run_outputs, "open_sink", lambda target, *_, **__: target)
        monkeypatch.setattr(channel, "JOIN_SECONDS", 2.0)

    def run(self, **options: Any) -> streamseg.Report:
        return streamseg.run(self.source, self.sink, **options)


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_each_frame_meets_its_own_matte_in_order(monkeypatch: pytest.MonkeyPatch, batch: int):
    stages = Stages(monkeypatch)
    report = stages.run(batch=batch)
    assert stages.sink.written == list(range(FRAMES))
    assert stages.compositor.pairs == [(index, index) for index in range(FRAMES)]
    assert sum(stages.segmenter.calls) == FRAMES
    assert max(stages.segmenter.calls) == min(batch, FRAMES)
    assert stages.sink.state == "closed"
    assert (stages.source.closed, stages.segmenter.closed, stages.compositor.closed) == (1, 1, 1)
    assert report.frames == FRAMES
    assert set(report.stages) == {"decode", "segment", "smooth", "composite", "encode"}
    assert report.dropped == report.damaged == 0
    assert report.notes == ["a note of the source", "a note of the sink"]
    assert {name: queue.capacity for name, queue in report.queues.items()} == {
        "decode": 2 * batch, "segment": batch, "finish": 4}
    assert alive() == []


def test_progress_is_told_when_all_is_ready_and_after_each_frame(monkeypatch: pytest.MonkeyPatch):
    seen: list[Progress] = []
    Stages(monkeypatch).run(progress=seen.append)
    assert [step.frames for step in seen] == list(range(FRAMES + 1))
    assert seen[-1].total == FRAMES
    assert seen[-1].eta == 0


def test_stills_are_reset_before_each_and_never_batched(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)
    stages.source.info = replace(INFO, stills=True)
    stages.run(batch=4)
    assert stages.segmenter.resets == FRAMES
    assert set(stages.segmenter.calls) == {1}


def test_stills_and_smooth_none_are_not_smoothed(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch, smooth=Fault("exception", 0))
    assert "smooth" not in stages.run(smooth="none").stages
    stages = Stages(monkeypatch, smooth=Fault("exception", 0))
    stages.source.info = replace(INFO, stills=True)
    assert "smooth" not in stages.run().stages


@pytest.mark.parametrize(("live", "options", "wanted"), [
    (False, {}, {"name": "auto", "strength": 0.6, "hysteresis": 0.15, "window": 4, "live": False,
                  "persistence": 0}),
    (True, {"smooth": "ema", "smooth_strength": 0.5, "hysteresis": 0.0, "lookahead": 2, "persistence": 3},
     {"name": "ema", "strength": 0.5, "hysteresis": 0.0, "window": 2, "live": True, "persistence": 3})])
def test_the_options_reach_the_smoother(monkeypatch: pytest.MonkeyPatch, live: bool,
                                        options: dict[str, Any], wanted: dict[str, Any]):
    asked: list[dict[str, Any]] = []
    stages = Stages(monkeypatch)
    stages.source.info = replace(INFO, live=live)
    monkeypatch.setattr(pipeline.smooth, "create_smoother",
                        lambda name, **rest: asked.append({"name": name, **rest}) or stages.smoother)
    stages.run(**options)
    assert asked == [wanted]


def test_the_time_of_smoothing_is_without_the_wait_for_mattes(monkeypatch: pytest.MonkeyPatch):
    now = 0.0

    def pairs() -> Iterator[tuple[Frame, Matte]]:
        nonlocal now
        for index in range(5):
            now += 100
            yield frame(index), Matte(np.zeros((4, 8), np.float32))
        now += 100  # the wait for the end

    class Slow(FakeSmoother):
        def __call__(self, pairs: Iterator[tuple[Frame, Matte]]) -> Iterator[tuple[Frame, Matte]]:
            nonlocal now
            for pair in super().__call__(pairs):
                now += 1
                yield pair

    monkeypatch.setattr(pipeline.time, "perf_counter", lambda: now)
    stopwatch = pipeline.Stopwatch()
    assert len(list(pipeline.smooth_stage(pairs(), Slow(), stopwatch))) == 5
    assert stopwatch.stages()["smooth"].total_s == 5


@pytest.mark.parametrize(("options", "computed"), [({"every": "3"}, 3), ({"skip_still": 30.0}, 1), ({}, 9)])
def test_mattes_are_computed_only_where_the_options_want_them(
        monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], computed: int):
    stages = Stages(monkeypatch)
    report = stages.run(batch=4, **options)
    assert sum(stages.segmenter.calls) == computed
    assert stages.sink.written == list(range(FRAMES))
    assert report.mattes.get("computed", FRAMES) == computed
    assert stages.segmenter.closed == 1


def test_a_method_is_told_of_a_cut_though_it_computes_every_matte(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)
    noise = np.random.default_rng(0).integers(0, 256, (2, 72, 128)).astype(np.uint8)
    shots = [replace(frame(number), planes=(noise[number // 4],), format="gray") for number in range(8)]
    monkeypatch.setattr(FakeSource, "__iter__", lambda _: iter(shots))
    before = stages.segmenter.resets
    report = stages.run(every="1", batch=8)
    assert report.frames == 8
    assert stages.segmenter.resets == before + 2  # at the start, and at the cut
    assert report.mattes == {"computed": 8, "carried": 0, "kept": 0}


def test_runs_leave_opencvs_threads_alone(monkeypatch: pytest.MonkeyPatch):
    """They are the whole process's: another part of the program must find them as it left them."""
    stages = Stages(monkeypatch)
    seen: list[int] = []
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        first, second = (streamseg.mattes(FakeSource(), threads=1) for _ in range(2))
        next(first), next(second)
        assert cv2.getNumThreads() == 3
        first.close(), second.close()
        stages.run(threads=1, progress=lambda step: seen.append(cv2.getNumThreads()))
        assert set(seen) == {3}
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
    assert stages.segmenter.closed


def test_mattes_checks_its_options_before_the_first_is_asked_for():
    with pytest.raises(OptionError, match="bogus"):
        streamseg.mattes("nowhere.mp4", bogus=1)


@pytest.mark.parametrize(("expensive", "computed"), [(True, 3), (False, FRAMES)])
def test_only_expensive_mattes_are_carried_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, expensive: bool,
                                                                   computed: int):
    """Optical flow costs more than a threshold, and a background model must see every frame."""
    stages = Stages(monkeypatch)
    stages.segmenter.capabilities = Capabilities(expensive=expensive)
    stages.run()
    assert sum(stages.segmenter.calls) == computed


def test_an_interval_that_is_none_leaves_no_output(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)
    with pytest.raises(OptionError, match="every is 'often'"):
        stages.run(every="often")
    assert (stages.sink.written, stages.sink.state, stages.source.closed) == ([], "open", 0)  # refused at once


def outrun(monkeypatch: pytest.MonkeyPatch, packets: Mapping[int, av.Packet]) -> Stages:
    """The segmenter holds frame 0 until the live source has made all: of the rest only the newest is left.
    ``packets``: by frame, what comes with it."""
    made_all = threading.Event()
    stages = Stages(monkeypatch)

    class Slow(FakeSegmenter):
        def segment(self, frames: Any) -> list[Matte]:
            made_all.wait(10)
            return super().segment(frames)

    class Fast(FakeSource):
        def __iter__(self) -> Any:
            for item in super().__iter__():
                yield replace(item, packets=(packets[item.index],)) if item.index in packets else item
            made_all.set()

    stages.segmenter = Slow()
    stages.source = Fast(info=replace(INFO, live=True))
    return stages


def test_a_live_source_drops_old_frames_instead_of_waiting(monkeypatch: pytest.MonkeyPatch):
    stages = outrun(monkeypatch, {})
    report = stages.run()
    assert stages.sink.written[-1] == FRAMES - 1
    assert report.dropped == FRAMES - report.frames > 0


def test_the_packets_of_dropped_frames_come_with_the_frame_that_is_kept(monkeypatch: pytest.MonkeyPatch):
    packets = [av.Packet(1) for _ in range(FRAMES)]
    stages = outrun(monkeypatch, {index: packet for index, packet in enumerate(packets) if index != 3})
    written: list[Frame] = []
    monkeypatch.setattr(stages.sink, "write", written.append)
    assert stages.run().dropped > 0
    carried = [packet for item in written for packet in item.packets]
    assert carried == [packet for index, packet in enumerate(packets) if index != 3]


@pytest.mark.parametrize(("stage", "error"), [
    ("source", SourceError), ("segment", SegmentError), ("smooth", SegmentError),
    ("composite", StreamsegError), ("sink", SinkError)])
@pytest.mark.parametrize("at", [0, FRAMES // 2, FRAMES - 1])
@pytest.mark.parametrize("kind", ["exception", "disk full", "Ctrl-C", "SIGTERM", "stall"])
def test_every_fault_in_every_stage_ends_the_run_cleanly(
        monkeypatch: pytest.MonkeyPatch, stage: str, error: type[Exception], at: int, kind: str):
    fault = Fault(kind, at)
    stages = Stages(monkeypatch, **{stage: fault})
    if kind == "stall":
        if stage == "sink":
            pytest.skip("the main thread writes: a reader that does not read is back-pressure, not a stall")
        monkeypatch.setattr(channel, "JOIN_SECONDS", 0.05)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command line does
    try:
        others = {"Ctrl-C": KeyboardInterrupt, "SIGTERM": KeyboardInterrupt, "stall": StallError}
        with pytest.raises(others.get(kind, error)) as caught:
            stages.run(stall_timeout=0.3 if kind == "stall" else 60)
    finally:
        signal.signal(signal.SIGTERM, before)
        fault.release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("streamseg-"):
            thread.join(5)
    assert alive() == []
    assert stages.sink.state == "aborted"
    message = str(caught.value)
    if kind == "exception":
        assert "RuntimeError: the fake broke" in message
    if kind == "disk full":
        assert "No space left on device" in message
    if kind == "stall":
        thread_of = {"source": "decode", "segment": "segment", "smooth": "segment", "composite": "finish"}
        assert f"the stage {thread_of[stage]} was at work" in message
    else:
        assert (stages.source.closed, stages.segmenter.closed, stages.compositor.closed) == (1, 1, 1)


def test_a_failure_while_closing_one_sink_aborts_it(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)
    stages.sink = FakeSink(fail_at_close=True)
    with pytest.raises(SinkError, match=r"cannot be finished.*No space left"):
        stages.run()
    assert stages.sink.state == "aborted"


def test_a_background_that_cannot_be_opened_leaves_no_output(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)

    def broken(*_: Any, **__: Any) -> None:
        raise OptionError("background is 'nowhere.jpg'")

    monkeypatch.setattr(pipeline, "Compositor", broken)
    with pytest.raises(OptionError):
        stages.run()
    assert (stages.sink.state, stages.source.closed, stages.segmenter.closed) == ("aborted", 1, 1)


@pytest.mark.parametrize(("answer", "match"), [
    ([], "gave 0 mattes for 1 frames"), ([1.0], "must return one Matte"), ([None, None], "gave 2 mattes")])
def test_a_method_that_does_not_answer_with_one_matte_a_frame_is_named(
        monkeypatch: pytest.MonkeyPatch, answer: list[Any], match: str):
    stages = Stages(monkeypatch)
    monkeypatch.setattr(stages.segmenter, "segment", lambda frames: answer)
    with pytest.raises(SegmentError, match=match):
        stages.run()


def test_mattes_yields_pairs_and_ends_its_threads_when_closed_early(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)
    pairs = streamseg.mattes(stages.source)
    got: tuple[Frame, Matte] = next(pairs)
    assert got[0].index == 0
    pairs.close()
    assert alive() == []
    assert (stages.source.closed, stages.segmenter.closed) == (1, 1)
    assert [item.index for item, _ in streamseg.mattes(FakeSource())] == list(range(FRAMES))


def test_standard_output_is_reported_by_its_name_and_without_a_size(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)
    stages.sink.__dict__ |= {"target": "-", "path": None, "size": 0}
    output, = stages.run().outputs
    assert (output.path, output.bytes) == ("-", None)


def test_no_output_and_the_same_output_twice_are_refused(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)
    with pytest.raises(OptionError, match="no output"):
        streamseg.run(stages.source)
    with pytest.raises(OptionError, match="twice"):
        streamseg.run(stages.source, "a.mp4", matte="./a.mp4")
    with pytest.raises(OptionError, match="standard output is named as an output twice"):
        streamseg.run(stages.source, "-", matte="-")
    monkeypatch.setattr(run_outputs, "open_sink", lambda *_, **__: FakeSink())
    monkeypatch.setattr(pipeline, "Compositor", lambda *_, **__: FakeCompositor(kinds=("composite", "matte")))
    assert streamseg.run(stages.source, "null:", matte="null:").frames == FRAMES


@pytest.mark.parametrize(("target", "options", "kind"), [
    ("a.mp4", {}, "composite"), ("a.webm", {}, "cutout"), ("a.mov", {}, "cutout"), ("a.mkv", {}, "composite"),
    ("a.webm", {"background": "blur"}, "composite"), ("a.mkv", {"background": "none"}, "cutout"),
    ("a_%03d.png", {}, "cutout"), ("a.png", {"show_matte": True}, "composite"), ("-", {}, "composite")])
def test_transparency_is_the_default_where_it_is_usual(target: str, options: dict[str, Any], kind: str):
    assert run_outputs.kind_of(target, streamseg.Options(**options), INFO) == kind


def test_an_unknown_option_is_refused_with_the_known_ones():
    with pytest.raises(OptionError, match=r"'bakground'; allowed are: .*background"):
        streamseg.run("a.mp4", "b.mp4", bakground="blur")


WHOLE = 23


class Breaking(FakeSource):
    """Fails after WHOLE frames."""

    def __iter__(self) -> Iterator[Frame]:
        for number in range(WHOLE):
            yield frame(number)
        raise OSError(5, "the disk is failing")


@pytest.mark.parametrize("batch", [1, 8, 32])
@pytest.mark.parametrize("options", [{}, {"smooth": "none"}, {"every": "3"}, {"skip_still": 40.0}], ids=str)
@pytest.mark.parametrize("outputs", [1, 2])
def test_every_whole_frame_before_a_failure_of_the_source_reaches_every_output(
        monkeypatch: pytest.MonkeyPatch, batch: int, options: dict[str, Any], outputs: int):
    monkeypatch.setattr(pipeline, "Compositor", lambda *_, **__: FakeCompositor())
    options = {"method": FakeSegmenter(), **options}
    sinks = [FakeSink() for _ in range(outputs)]
    with pytest.raises(SourceError, match="the disk is failing"):
        streamseg.run(Breaking(), sinks, batch=batch, **options)
    for sink in sinks:
        assert sink.written == list(range(WHOLE))
        assert sink.state == "aborted"
    with pytest.raises(SourceError, match="the disk is failing"):
        for number, (item, _) in enumerate(streamseg.mattes(Breaking(), batch=batch, **options), 1):
            assert item.index == number - 1
    assert number == WHOLE
    assert alive() == []


def test_outputs_of_a_kind_get_pictures_that_share_no_ffmpeg_picture(monkeypatch: pytest.MonkeyPatch):
    """Their encoders run side by side, and each sets the times of what it is given."""
    stages = Stages(monkeypatch)
    monkeypatch.setattr(stages.compositor, "finish", lambda item, matte: {"composite": Frame.empty(item)})
    got: list[list[Frame]] = [[], []]
    sinks = [FakeSink(), FakeSink()]
    for sink, frames in zip(sinks, got, strict=True):
        monkeypatch.setattr(sink, "write", frames.append)
    report = streamseg.run(stages.source, sinks)
    assert report.frames == FRAMES
    for first, second in zip(*got, strict=True):
        assert first.index == second.index
        assert first.owner is not None
        assert first.owner is not second.owner
    assert set(report.stages) == {"decode", "segment", "smooth", "composite", "encode 1", "encode 2"}


class SlowSink(BaseSink):
    """Hangs in its first frame."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.target, self._fault = "slow.mp4", fault

    def write(self, item: Frame) -> None:
        self._fault.trip(item.index)


def test_an_output_that_hangs_is_named_and_left_behind(monkeypatch: pytest.MonkeyPatch):
    stages = Stages(monkeypatch)
    monkeypatch.setattr(channel, "JOIN_SECONDS", 0.1)
    fault = Fault("stall", 1)
    aborted: list[str] = []
    slow = SlowSink(fault)
    monkeypatch.setattr(slow, "abort", lambda: aborted.append("under its feet"))
    with pytest.raises(StallError, match=r"the stage output 2 \(slow\.mp4\) was at work"):
        streamseg.run(stages.source, [stages.sink, slow], stall_timeout=0.3)
    assert aborted == []
    assert stages.sink.state == "aborted"
    fault.release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("streamseg-"):
            thread.join(5)
    assert alive() == []
