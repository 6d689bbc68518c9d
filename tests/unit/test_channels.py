"""channels.py: order, back-pressure, dropping, failure, cancellation, stalls."""

import threading
from collections.abc import Iterator

import pytest

from streamseg.engine import StageRunner
from streamseg.engine import threads as channel
from streamseg.engine.channels import Cancelled, Channel, EndOfChannel, WaitedTooLong
from streamseg.errors import StallError


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streamseg-")]


def test_items_arrive_in_order_and_then_the_end():
    with StageRunner(stall_timeout=10) as crew:
        doubled = (2 * number for number in crew.thread("a", iter(range(100)), capacity=3))
        assert list(crew.thread("b", doubled, capacity=1)) == [2 * number for number in range(100)]
    assert alive() == []


def test_a_full_channel_makes_the_producer_wait_so_that_nothing_is_lost():
    made: list[int] = []

    def produce() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    with StageRunner(stall_timeout=10) as crew:
        items = crew.thread("a", produce(), capacity=2)
        assert next(items) == 0
        assert len(made) <= 1 + 2 + 2  # taken, queued, in the producer's hand and one being made
        assert list(items) == list(range(1, 10))
        assert crew.stats["a"].high_water <= 2
        assert crew.stats["a"].dropped == 0


def test_newest_wins_drops_the_oldest_and_counts():
    items: Channel[int] = Channel(1, newest=True)
    for number in range(5):
        items.put(number)
    assert items.get(0) == 4
    assert items.stats.dropped == 4
    assert items.stats.high_water == 1


@pytest.mark.parametrize(("capacity", "left"), [(1, ["01234"]), (3, ["012", "3", "4"])])
def test_an_item_that_gives_way_leaves_its_own_to_the_next(capacity: int, left: list[str]):
    items: Channel[str] = Channel(capacity, newest=True, merge=lambda given_way, item: given_way + item)
    for number in range(5):
        items.put(str(number))
    assert [items.get(0) for _ in left] == left
    assert items.stats.dropped == 5 - capacity


def test_a_failure_comes_after_the_items_before_it():
    def produce() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken at three")

    seen = []
    with pytest.raises(ValueError, match="broken at three"), StageRunner(stall_timeout=10) as crew:
        through = (number for number in crew.thread("a", produce(), capacity=5))
        for number in crew.thread("b", through, capacity=5):
            seen.append(number)
    assert seen == [1, 2]
    assert alive() == []


def test_leaving_early_cancels_joins_and_closes_the_generators_in_their_own_thread():
    closed_in: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed_in.append(threading.current_thread().name)

    with StageRunner(stall_timeout=10) as crew:
        items = crew.thread("b", (item for item in crew.thread("a", endless(), capacity=1)), capacity=1)
        assert next(items) == 1
    assert closed_in == ["streamseg-a"]
    assert alive() == []


def test_an_exception_in_main_ends_the_threads():
    with pytest.raises(KeyError), StageRunner(stall_timeout=10) as crew:
        next(crew.thread("a", iter(range(1000)), capacity=1))
        raise KeyError("main")
    assert alive() == []


def test_cancel_wakes_both_sides_even_a_stage_that_catches_exception():
    def stubborn() -> Iterator[int]:
        while True:
            try:
                yield 1
            except Exception:  # must not swallow the cancellation
                continue

    with StageRunner(stall_timeout=10) as crew:
        next(crew.thread("a", stubborn(), capacity=1))
    assert alive() == []
    stopped: Channel[int] = Channel(1)
    stopped.cancel()
    with pytest.raises(Cancelled):
        stopped.put(1)
    with pytest.raises(Cancelled):
        stopped.get(0)


def test_end_and_timeout_are_told_apart():
    items: Channel[int] = Channel(1)
    with pytest.raises(WaitedTooLong):
        items.get(0)
    items.end()
    with pytest.raises(EndOfChannel):
        items.get(0)


@pytest.mark.parametrize("hangs", ["decode", "segment"])
def test_a_stall_names_the_stage_that_hangs(hangs: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channel, "JOIN_SECONDS", 0.1)
    release = threading.Event()

    def stage(name: str, items: Iterator[int]) -> Iterator[int]:
        for item in items:
            if name == hangs and item == 2:
                release.wait()
            yield item

    freed = []
    with pytest.raises(StallError, match=f"the stage {hangs} was at work"), StageRunner(stall_timeout=0.3) as crew:
        first = crew.thread("decode", stage("decode", iter(range(5))), capacity=1)
        for _ in crew.thread("segment", stage("segment", first), capacity=1):
            pass
    crew.unless_running(hangs, lambda: freed.append("too early"))
    assert freed == []
    release.set()
    for worker in crew._workers:
        worker.thread.join()
    crew.unless_running(hangs, lambda: freed.append("closed"))
    assert freed == ["closed"]


def test_a_channel_needs_room():
    with pytest.raises(ValueError, match="at least 1"):
        Channel(0)
