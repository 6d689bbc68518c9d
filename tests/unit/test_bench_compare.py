"""Two results of `streamseg bench`: what is worse now than then, what is doubted, and what is refused."""

from __future__ import annotations

import pytest

import streamseg.tools.bench
from streamseg.errors import OptionError
from streamseg.tools.bench import LIMIT, changes
from streamseg.tools.bench.baseline import doubts, lost
from streamseg.tools.bench.measure import summary
from tests.unit.bench_tools import MACHINE, Result, a_result, a_row


@pytest.mark.parametrize(("then", "now", "worse", "failed"), [
    ((50.0, 52.0), (40.0, 42.0), 0.238, True),
    ((50.0, 52.0), (47.0, 49.0), 0.061, False),  # allowed
    ((40.0, 60.0), (41.0, 45.0), 0.333, False),  # as fast as it was at its worst: chance
    ((50.0, 52.0), (70.0, 72.0), -0.385, False),
], ids=["slower", "a little slower", "noisy", "faster"])
def test_a_lower_rate_fails_where_it_is_more_than_allowed_and_no_chance(
        then: tuple[float, ...], now: tuple[float, ...], worse: float, failed: bool) -> None:
    found = changes(a_result(a_row("person", then)), a_result(a_row("person", now)), 0.1)
    change, = (item for item in found if (item.variant, item.figure) == ("person", "fps"))
    assert change.failed is failed
    assert (change.old, change.new) == (max(then), max(now))
    assert change.worse == pytest.approx(worse, abs=1e-3)


def test_a_slower_stage_fails_alone() -> None:
    old, new = (a_result(a_row("person", segment=times)) for times in ((5.0, 5.2), (6.5, 6.9)))
    assert [(item.variant, item.figure, item.worse) for item in changes(old, new, 0.1) if item.failed] \
        == [("person", "segment ms", 0.3)]
    assert not [item for item in changes(old, new, 0.35) if item.failed]
    assert not [item for item in changes(new, old, 0.1) if item.failed]


def test_a_stages_change_below_the_clocks_worth_is_nothing() -> None:
    old, new = (a_result(a_row("person", segment=times)) for times in ((0.05, 0.05), (0.15, 0.15)))
    assert not [item for item in changes(old, new, 0.1) if item.failed]


@pytest.mark.parametrize("figure", ["start_s", "peak_rss_mib"])
def test_start_and_memory_are_compared_too(figure: str) -> None:
    old, new = a_result(a_row("person")), a_result(a_row("person", **{figure: summary([900.0])}))
    assert [item.figure for item in changes(old, new, 0.1) if item.failed] == [figure]


def test_a_machine_that_is_slower_itself_is_a_doubt_and_no_failure() -> None:
    old, new = a_result(a_row("person")), a_result(a_row("person"))
    new["rows"][0] = a_row(LIMIT, (30.0, 31.0))
    found = changes(old, new, 0.1)
    assert not [item for item in found if item.failed]
    said, = doubts(old, new, found, 0.1)
    assert said.startswith("the machine itself is slower now than then: fps of 'no work' went from 81 to 31")
    assert doubts(old, old, changes(old, old, 0.1), 0.1) == []


def test_another_machine_is_a_doubt() -> None:
    old, new = a_result(a_row("person")), a_result(a_row("person"), hardware={**MACHINE, "cores": 16})
    assert doubts(old, new, [], 0.1) == ["another machine then: cores 2, now 16"]


@pytest.mark.parametrize(("change", "said"), [
    ({"options": {"background": "blur"}}, "had options"), ({"clip": {"name": "other.mp4"}}, "had clip"),
    ({"rows": []}, "no method, device and batch in common"),
], ids=["options", "clip", "rows"])
def test_what_was_not_measured_alike_is_refused(change: Result, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        changes({**a_result(a_row("person")), **change}, a_result(a_row("person")), 0.1)


@pytest.mark.parametrize(("change", "said"), [
    ({"clip": a_result()["clip"], "options": {"background": "blur"}}, "had options"), ({}, "had clip"),
    ({"clip": a_result()["clip"], "rows": [a_row(LIMIT), a_row("region")]}, "no method, device and batch in"),
], ids=["options", "clip", "rows"])
def test_what_could_not_be_compared_is_refused_before_anything_is_measured(
        change: Result, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamseg.tools.bench, "make_clip", lambda *_, **__: pytest.fail("it began"))
    before = {**a_result(a_row("threshold"), clip={"name": "other.mp4"}), **change}
    with pytest.raises(OptionError, match=said):
        streamseg.tools.bench.bench(methods=["threshold"], before=before)


def test_a_row_that_failed_is_not_compared() -> None:
    new = a_result({"name": "person", "error": "no GPU"}, a_row("threshold"))
    found = changes(a_result(a_row("person"), a_row("threshold")), new, 0.1)
    assert {item.variant for item in found} == {LIMIT, "threshold"}
    assert {item.variant for item in changes(a_result(a_row("person")), new, 0.1)} == {LIMIT}


def test_what_worked_then_and_fails_now_is_lost() -> None:
    failed = [{"name": name, "error": "it broke"} for name in ("person", "region", "new")]
    old = a_result(a_row("person"), a_row("threshold"), {"name": "region", "error": "it never worked"})
    assert lost(old, a_result(*failed, a_row("threshold"))) == {"person": "it broke"}
