"""graph.py: outputs side by side, back-pressure, failures after whole frames, stalls; prefetch.py: reading ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from streamseg.engine import LOSSLESS, NEWEST, Graph, Lanes, Prefetch, Told, threads
from streamseg.errors import StallError

PATIENCE = 30.0  # seconds that a test waits for another thread before it fails


@dataclass(frozen=True)
class Item:
    number: int

    def replacing(self, dropped: Item) -> Item:
        return self


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streamseg-")]


def wait_for(event: threading.Event) -> None:
    assert event.wait(PATIENCE), "the other thread did not get there"


def source(count: int, made: list[int] | None = None, fails: Exception | None = None) -> Iterator[Item]:
    for number in range(count):
        if made is not None:
            made.append(number)
        yield Item(number)
    if fails is not None:
        raise fails


def same(items: Iterator[Any]) -> Iterator[Any]:
    yield from items


def collect(into: list[int], at: Callable[[int], Any] = lambda number: None
            ) -> Callable[[Iterator[Item]], Iterator[None]]:
    def stage(items: Iterator[Item]) -> Iterator[None]:
        for item in items:
            at(item.number)
            into.append(item.number)
            yield
    return stage


def graph(stall_timeout: float | None = PATIENCE) -> Graph[Item, Item, Item]:
    return Graph(LOSSLESS, stall_timeout=stall_timeout)


def test_each_output_gets_every_item_in_order_and_in_a_thread_of_its_own() -> None:
    """Each waits at its first item until the other has got there: one after the other they would never end."""
    meeting = threading.Barrier(2, timeout=PATIENCE)
    seen: tuple[list[int], list[int]] = ([], [])
    with graph() as run:
        for number, into in enumerate(seen):
            run.output(f"output {number}", collect(into, lambda item: item or meeting.wait()))
        run.start(source(20), same, same)
        assert list(run.written()) == list(range(1, 21))
    assert seen == (list(range(20)), list(range(20)))
    assert alive() == []


def test_what_is_counted_is_written_by_all() -> None:
    gate, fast_done = threading.Event(), threading.Event()
    fast: list[int] = []
    slow: list[int] = []
    with graph() as run:
        run.output("fast", collect(fast, lambda item: fast_done.set() if item == 2 else None))
        run.output("slow", collect(slow, lambda item: wait_for(gate) if item == 1 else None))
        run.start(source(4), same, same)
        written = run.written()
        assert next(written) == 1
        wait_for(fast_done)  # the fast one is through with more, and nothing of that is told
        gate.set()
        for count in written:
            assert min(len(fast), len(slow)) >= count


def test_a_slow_output_holds_up_the_source_so_that_memory_stays_bounded() -> None:
    gate, full = threading.Event(), threading.Event()
    made: list[int] = []
    others: list[int] = []
    with graph() as run:
        run.output("slow", collect([], lambda item: wait_for(gate)))
        run.output("fast", collect(others, lambda item: full.set() if item == 4 else None))
        run.start(source(1000, made), same, same)
        wait_for(full)  # one is being written, four wait; the rest stands in the queues before
        while not (run.outputs.putting and all(channel.putting for channel in run.runner.channels.values())):
            pass
        # written 1, waiting 4, and in each hand-over: in the hand of who puts, and in the queue
        assert len(made) <= 1 + 4 + 1 + (1 + 1) + (2 + 1)
        assert others == list(range(5))
        gate.set()
        assert sum(1 for _ in run.written()) == 1000
    assert run.queues()["finish"].high_water == 4
    assert run.queues()["finish"].dropped == 0


@pytest.mark.parametrize("other", ["reads on", "is stuck in a queue"])
def test_an_output_that_fails_ends_all_and_its_error_comes_out(other: str) -> None:
    def fail(item: int) -> None:
        if item == 3:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), graph() as run:
        run.output("bad", collect([], fail))
        run.output("good", collect([]))
        run.start(source(10 ** 6), same, same)
        for _ in run.written():
            pass
    assert alive() == []


@pytest.mark.parametrize("stage", ["decode", "segment", "finish"])
def test_a_failure_of_a_stage_comes_out_when_every_output_has_written_what_was_whole(stage: str) -> None:
    gate = threading.Event()
    fast: list[int] = []
    slow: list[int] = []

    def failing(name: str) -> Callable[[Iterator[Item]], Iterator[Item]]:
        def run_stage(items: Iterator[Item]) -> Iterator[Item]:
            for item in items:
                if name == stage and item.number == 5:
                    raise ValueError(f"broken in {stage}")
                yield item
        return run_stage

    finished: list[str] = []

    def slowly(items: Iterator[Item]) -> Iterator[None]:
        yield from collect(slow, lambda item: wait_for(gate))(items)
        finished.append("slow")

    with pytest.raises(ValueError, match=f"broken in {stage}"), graph() as run:
        run.output("fast", collect(fast, lambda item: gate.set() if item == 4 else None))
        run.output("slow", slowly)
        run.start(failing("decode")(source(10)), failing("segment"), failing("finish"))
        for _ in run.written():
            pass
    assert fast == slow == [0, 1, 2, 3, 4]
    assert finished == []  # it was not told that this was the end
    assert alive() == []


def hanging(release: threading.Event, here: bool) -> Callable[[Iterator[Item]], Iterator[Item]]:
    def stage(items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            if here and item.number == 2:
                release.wait()
            yield item
    return stage


@pytest.mark.parametrize("hangs", ["decode", "segment", "finish", "output 2"])
def test_a_stall_names_the_stage_that_hangs(hangs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "JOIN_SECONDS", 0.1)
    release = threading.Event()
    try:
        with pytest.raises(StallError, match=f"the stage {hangs} was at work"), graph(stall_timeout=0.3) as run:
            run.output("output 1", collect([]))
            run.output("output 2", collect([], lambda item: item == 2 and hangs == "output 2" and release.wait()))
            run.start(hanging(release, hangs == "decode")(source(9)), hanging(release, hangs == "segment"),
                      hanging(release, hangs == "finish"))
            for _ in run.written():
                pass
        assert run.runner.running(hangs)
    finally:
        release.set()
    for worker in run.runner._workers:
        worker.thread.join(PATIENCE)
    assert alive() == []


@pytest.mark.parametrize("why", ["reader", "finishing"])
def test_an_output_may_take_any_time_to_wait_for_its_reader_or_to_finish(why: str) -> None:
    """Three times the stall timeout pass, by the stall check's own waits: then it goes on."""
    gate = threading.Event()
    checks = 0

    def finishing(items: Iterator[Item]) -> Iterator[None]:
        yield from collect([], lambda item: wait_for(gate) if why == "reader" and item == 1 else None)(items)
        if why == "finishing":
            wait_for(gate)

    with graph(stall_timeout=0.02) as run:
        refuse = run._refuse_stall

        def counted() -> None:
            nonlocal checks
            refuse()
            checks += 1
            if checks == 3:
                gate.set()

        run._refuse_stall = counted  # type: ignore[method-assign]
        run.output("pipe", finishing, waits_for_reader=why == "reader")
        run.start(source(9), same, same)
        assert list(run.written()) == list(range(1, 10))
    assert checks >= 3


def test_the_end_of_the_block_stops_an_output_that_finishes_a_large_file() -> None:
    stopped, finishing = threading.Event(), threading.Event()

    def stage(items: Iterator[Item]) -> Iterator[None]:
        yield from collect([])(items)
        finishing.set()
        wait_for(stopped)

    with pytest.raises(KeyboardInterrupt), graph() as run:
        run.output("large", stage, stop=stopped.set)
        run.start(source(3), same, same)
        for _ in run.written():
            if finishing.wait(0):
                raise KeyboardInterrupt
        raise AssertionError("written() must not end before the output has")
    assert alive() == []


def test_live_the_main_thread_hands_out_and_outputs_come_and_go() -> None:
    first: list[int] = []
    second: list[int] = []
    wrote = threading.Event()
    with Graph[Item, Item, Item](NEWEST, stall_timeout=None) as run:
        run.output("first", collect(first))
        finished = run.start(source(6), same, same)
        assert finished is not None
        later = None
        for item in finished.items():
            run.outputs.put(item)
            if later is None:
                later = run.output("later", collect(second, lambda item: wrote.set()))
            else:
                wait_for(wrote)
                run.outputs.remove(later)
        assert later is not None
        assert later.end(PATIENCE)
        for output in run.outputs.outputs:
            assert output.end(PATIENCE)
    assert first[-1] == 5
    assert len(second) <= 1
    assert alive() == []


# --- reading ahead ---

def test_prefetch_reads_ahead_so_far_and_no_further() -> None:
    made: list[int] = []
    ahead = Prefetch("film", iter(source(100, made)), 3)
    assert made == []  # nothing begins before it is asked for
    assert next(ahead).number == 0
    until = time.monotonic() + PATIENCE
    while len(made) < 1 + 3 + 1:  # taken, waiting, and in the hand of who waits
        assert time.monotonic() < until
    for taken, item in enumerate(ahead, 2):
        assert item.number == taken - 1
        assert len(made) <= taken + 3 + 1
    assert len(made) == 100
    assert ahead.close()
    assert alive() == []


def test_what_prefetch_reads_from_fails_after_the_items_before_it() -> None:
    ahead = Prefetch("film", source(3, fails=OSError("damaged")), 8)
    assert [next(ahead).number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="damaged"):
        next(ahead)
    assert ahead.close()
    assert alive() == []


def test_closing_prefetch_early_ends_its_thread_and_closes_the_generator_in_it() -> None:
    closed: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread().name)

    never, begun = Prefetch("film", endless(), 2), Prefetch("film", endless(), 2)
    assert next(begun) == 1
    assert never.close()
    assert begun.close()
    assert begun.close()
    assert closed == ["streamseg-film"]
    assert alive() == []


# --- several at a time ---

def test_lanes_work_together_and_give_in_the_order_of_the_starts() -> None:
    second = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            assert second.wait(PATIENCE)  # goes on only beside the second
        else:
            second.set()
        return 10 * number

    lanes = Lanes("picture", work)
    for number in (1, 2):
        lanes.start(number)
    assert (len(lanes), list(lanes)) == (2, [1, 2])
    assert [lanes.take(), lanes.take()] == [(1, 10), (2, 20)]
    assert lanes.close(PATIENCE)
    assert alive() == []


def test_what_fails_in_a_lane_comes_in_its_turn_and_the_others_are_waited_for() -> None:
    ended: list[int] = []

    def work(number: int) -> int:
        if number == 2:
            raise OSError("damaged")
        ended.append(number)
        return number

    lanes = Lanes("picture", work)
    for number in (1, 2, 3):
        lanes.start(number)
    assert lanes.take() == (1, 1)
    with pytest.raises(OSError, match="damaged"):
        lanes.take()
    assert lanes.close(PATIENCE)
    assert ended == [1, 3]
    assert alive() == []


# --- what a function tells ---

def test_what_is_told_comes_as_it_is_told_and_then_the_failure() -> None:
    def work(tell: Callable[[int], None]) -> None:
        tell(1)
        tell(2)
        raise OSError("damaged")

    told = Told[int]("batch", work, 1, PATIENCE)
    assert alive() == []  # nothing begins before it is asked for
    assert [next(told), next(told)] == [1, 2]
    with pytest.raises(OSError, match="damaged"):
        next(told)
    assert told.close()
    assert alive() == []


def test_closing_ends_the_function_at_what_it_tells_next() -> None:
    undone: list[int] = []

    def work(tell: Callable[[int], None]) -> None:
        number = 0
        try:
            while True:
                tell(number := number + 1)
        finally:
            undone.append(number)

    told = Told[int]("batch", work, 2, PATIENCE)
    assert next(told) == 1
    assert told.close()
    assert told.close()
    assert len(undone) == 1
    assert undone[0] <= 1 + 2 + 1  # taken, waiting, and in the hand of who waits
    assert alive() == []
