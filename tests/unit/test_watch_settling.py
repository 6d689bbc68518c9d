"""Which files have stood still, and what the ledger knows of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamseg.errors import OptionError, SinkError, SourceError
from streamseg.watch.ledger import Ledger
from streamseg.watch.options import WatchOptions
from streamseg.watch.settling import LONGEST, Settling


def test_a_file_is_ready_when_size_and_time_have_stood_still() -> None:
    settling = Settling(2.0)
    assert settling.seen("a", (10, 1), now=0.0)
    assert settling.ready(1.9) is None
    assert not settling.seen("a", (10, 1), now=1.9)
    assert settling.ready(2.0) == ("a", (10, 1))
    assert settling.seen("a", (11, 1), now=2.0)  # it grew
    assert settling.ready(3.9) is None
    assert settling.seen("a", (11, 2), now=3.9)  # only its time changed
    assert settling.ready(5.8) is None
    assert settling.ready(5.9) == ("a", (11, 2))
    settling.gone("a")
    assert settling.ready(99.0) is None


def test_the_longest_waiting_comes_first() -> None:
    settling = Settling(1.0)
    settling.seen("b", (1, 1), now=0.0)
    settling.seen("a", (1, 1), now=0.5)
    assert settling.ready(5.0) == ("b", (1, 1))


def test_what_is_not_whole_is_looked_at_later_and_later() -> None:
    settling = Settling(2.0)
    settling.seen("a", (1, 1), now=0.0)
    assert settling.not_whole("a", 2.0) == 2.0
    assert settling.ready(3.9) is None
    assert settling.ready(4.0) is not None
    settling.not_whole("a", 4.0)
    assert settling.ready(7.9) is None
    for _ in range(20):
        settling.not_whole("a", 10.0)
    assert settling.ready(10.0 + LONGEST) is not None
    settling.seen("a", (2, 1), now=11.0)  # it goes on: it begins anew
    assert settling.ready(13.0) is not None


def test_the_ledger_outlives_the_process(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for name in ("a", "b", "c"):
            ledger.wait(name, (1, 2))
        ledger.placing("a", [("made", "place")])
        ledger.done("a", 3, 0.5)
        ledger.fail("b", "broken")
    with Ledger(tmp_path) as ledger:
        assert ledger.counts() == {"waiting": 1, "done": 1, "failed": 1}
        assert ledger.owner_of("place") == "a"
        assert ledger.owner_of("other") is None
        assert ledger.status()["failed"] == [{"name": "b", "reason": "broken"}]
        assert ledger.status()["waiting"] == [{"name": "c", "reason": None}]
        found = ledger.get("a")
        assert found is not None
        assert (found.stamp, found.state, found.moves) == ((1, 2), "done", ())


def test_what_was_being_placed_is_remembered(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.wait("a", (1, 2))
        ledger.placing("a", [("made", "place")])
    with Ledger(tmp_path) as ledger:
        (row,) = ledger.of_state("placing")
        assert row.moves == (("made", "place"),)
        assert ledger.counts()["waiting"] == 1


def test_one_watcher_an_output(tmp_path: Path) -> None:
    with Ledger(tmp_path), pytest.raises(SinkError, match="another streamseg watch"):
        Ledger(tmp_path)
    with Ledger(tmp_path), Ledger(tmp_path, owner=False) as looking:
        assert looking.counts() == {"waiting": 0, "done": 0, "failed": 0}
    with pytest.raises(SourceError, match="no watch has written there"):
        Ledger(tmp_path / "nowhere", owner=False)


@pytest.mark.parametrize("given", [{"settle": -1}, {"rescan": 0}, {"settle": "2"}, {"nothing": 1}, {"once": 3}])
def test_values_that_are_not_allowed_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        WatchOptions.of(given)
