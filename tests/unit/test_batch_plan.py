"""The ledger, and what a plan puts into it or refuses. Nothing is decoded here: outputs are written by hand."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamseg.batch import files
from streamseg.batch.inputs import Item
from streamseg.batch.ledger import Ledger, ledgers_of
from streamseg.batch.ledger_lock import at_work
from streamseg.batch.lists import rows
from streamseg.batch.options import BatchOptions
from streamseg.batch.plan import Planned, Planner, options_key
from streamseg.batch.records import Outcome
from streamseg.batch.report import status, write
from streamseg.batch.shards import Shard
from streamseg.errors import OptionError, SinkError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for number in range(4):
        (tmp_path / f"{number}.mp4").write_bytes(b"film %d" % number)
    return tmp_path


@pytest.fixture
def ledger(place: Path) -> Iterator[Ledger]:
    with Ledger(place / "l.sqlite") as made:
        yield made


ITEMS = [Item(f"{number}.mp4", f"{number}.mp4") for number in range(4)]


def plan(ledger: Ledger, items: list[Item] | None = None, options: dict[str, Any] | None = None,
         shard: Shard | None = None, **batch: Any) -> Planned:
    return Planner(ledger, ["out"], options or {}, BatchOptions(**batch), shard).plan(ITEMS if items is None else items)


def do_all(ledger: Ledger, failing: tuple[str, ...] = ()) -> list[str]:
    """What a runner does: an output for each, and how it ended."""
    done = []
    for row in ledger.waiting():
        done.append(row.source)
        facts = {"stamp": files.stamp(row.source), "content": files.digest(row.source)}
        if row.source in failing:
            ledger.finish(row.id, Outcome("failed", reason="broken", **facts))
            continue
        Path(row.target).write_bytes(b"made of " + Path(row.source).read_bytes())
        ledger.finish(row.id, Outcome("done", frames=10, fps=20.0, seconds=0.5, subject="found", **facts,
                                      outputs=[files.written(made.path, made.kind) for made in ledger.outputs(row.id)]))
    return done


def test_a_plan_again_finds_all_done(ledger: Ledger) -> None:
    assert plan(ledger) == Planned(waiting=4)
    assert do_all(ledger) == [item.source for item in ITEMS]
    assert plan(ledger) == Planned(known=4)
    assert do_all(ledger) == []
    assert ledger.counts() == {"waiting": 0, "done": 4, "failed": 0}


def test_what_was_interrupted_goes_on(ledger: Ledger) -> None:
    plan(ledger)
    row = next(ledger.waiting())
    Path(row.target).write_bytes(b"x")
    ledger.finish(row.id, Outcome("done", stamp=files.stamp(row.source), content=files.digest(row.source),
                                  outputs=[files.written(row.target, "output")]))
    assert plan(ledger) == Planned(waiting=3, known=1)
    assert do_all(ledger) == ["1.mp4", "2.mp4", "3.mp4"]


@pytest.mark.parametrize("harm", ["missing", "cut", "other bytes"])
def test_an_output_that_does_not_verify_is_made_again(ledger: Ledger, harm: str) -> None:
    plan(ledger)
    do_all(ledger)
    path = Path("out/2.mp4")
    whole = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-1] if harm == "cut" else whole[:-1] + b"?")
    assert plan(ledger) == Planned(waiting=1, known=3)
    assert do_all(ledger) == ["2.mp4"]
    assert path.read_bytes() == whole


def test_files_that_only_have_another_time_are_the_same(ledger: Ledger) -> None:
    plan(ledger)
    do_all(ledger)
    for path in ("2.mp4", "out/2.mp4"):
        os.utime(path, ns=(1, 1))
    assert plan(ledger) == Planned(known=4)
    assert ledger.outputs(3)[0].stamp == files.stamp("out/2.mp4")  # and are not read a second time


def test_an_input_that_changed_is_done_again(ledger: Ledger) -> None:
    plan(ledger)
    do_all(ledger)
    Path("1.mp4").write_bytes(b"another film")
    assert plan(ledger) == Planned(waiting=1, known=3)
    assert do_all(ledger) == ["1.mp4"]
    assert Path("out/1.mp4").read_bytes() == b"made of another film"


def test_what_failed_is_left_until_it_is_asked_for_or_changes(ledger: Ledger) -> None:
    plan(ledger)
    do_all(ledger, failing=("1.mp4", "3.mp4"))
    assert plan(ledger) == Planned(known=2, failed=2)
    assert ledger.counts()["failed"] == 2
    Path("3.mp4").write_bytes(b"mended")
    assert plan(ledger) == Planned(waiting=1, known=2, failed=1)
    assert do_all(ledger) == ["3.mp4"]
    assert plan(ledger, retry_failed=True) == Planned(waiting=1, known=3)


def test_other_options_are_refused_and_leave_the_ledger_as_it_was(ledger: Ledger) -> None:
    plan(ledger)
    do_all(ledger)
    with pytest.raises(SinkError, match=r"nothing was done\. outputs were made with other options .*and 1 more"):
        plan(ledger, options={"blur": 0.9})
    assert plan(ledger) == Planned(known=4)
    assert plan(ledger, options={"blur": 0.9, "overwrite": True}) == Planned(waiting=4)


@pytest.mark.parametrize("options", [{"threads": 2}, {"timeout": 99.0}, {"overwrite": True}])
def test_options_that_change_nothing_in_the_result_change_no_item(ledger: Ledger, options: dict[str, Any]) -> None:
    plan(ledger)
    do_all(ledger)
    assert plan(ledger, options=options) == Planned(known=4)


def test_a_background_that_changed_is_another_option(place: Path) -> None:
    (place / "b.jpg").write_bytes(b"1")
    before = options_key({"background": "b.jpg"}, ["output"])
    assert options_key({"background": "b.jpg"}, ["output"]) == before
    (place / "b.jpg").write_bytes(b"22")
    assert options_key({"background": "b.jpg"}, ["output"]) != before


def test_outputs_that_exist_are_refused(ledger: Ledger) -> None:
    for number in (1, 2):
        Path(f"out/{number}.mp4").write_bytes(b"mine")
    with pytest.raises(SinkError, match="outputs exist"):
        plan(ledger)
    assert list(ledger.waiting()) == []
    assert plan(ledger, skip_existing=True) == Planned(waiting=4)
    assert [(row.job["judge"], row.job["replace"]) for row in ledger.waiting()] == [
        (False, False), (True, False), (True, False), (False, False)]
    assert plan(ledger, options={"overwrite": True}) == Planned(waiting=4)
    assert all(row.job["replace"] for row in ledger.waiting())


def test_what_was_put_into_place_before_a_kill_is_looked_at_again(ledger: Ledger) -> None:
    plan(ledger)
    Path("out/0.mp4").write_bytes(b"whole, but the ledger does not know")
    assert plan(ledger) == Planned(waiting=4)
    assert [(row.job["judge"], row.job["replace"]) for row in ledger.waiting()] == [(True, True)] + 3 * [(False, True)]


def test_two_inputs_of_one_name_are_refused(ledger: Ledger) -> None:
    items = [*ITEMS, Item("sub/0.mov", "0.mov", {}, "0.mp4")]
    with pytest.raises(OptionError, match=r"two inputs would be written to one path .*0\.mp4 and sub/0\.mov"):
        plan(ledger, items)


def test_the_same_input_named_twice_is_done_once(ledger: Ledger) -> None:
    assert plan(ledger, [*ITEMS, ITEMS[2]]) == Planned(waiting=4, twice=1)


def test_an_output_that_is_an_input_is_refused_whatever_the_flags(ledger: Ledger, place: Path) -> None:
    Path("out/0.mp4").write_bytes(b"an input too")
    (place / "link").symlink_to("out")
    with pytest.raises(OptionError, match=r"an output is one of the inputs .*link/0\.mp4"):
        plan(ledger, [*ITEMS, Item("link/0.mp4", "other.mp4")], options={"overwrite": True})
    Path("out/3.mp4").symlink_to(place / "1.mp4")  # what writes there would write over 1.mp4
    with pytest.raises(OptionError, match="an output is one of the inputs"):
        plan(ledger, options={"overwrite": True})


def test_outputs_of_an_earlier_batch_are_no_inputs(ledger: Ledger) -> None:
    plan(ledger)
    do_all(ledger)
    made = [Item(f"out/{number}.mp4", f"again/{number}.mp4") for number in range(4)]
    assert plan(ledger, [*ITEMS, *made]) == Planned(known=4, made=4)
    Path("out/2.mp4").write_bytes(b"harmed")
    assert plan(ledger, [*made, *ITEMS]) == Planned(known=3, waiting=1, made=4)


def test_shards_share_the_list(place: Path) -> None:
    items = [Item(f"{number}.mp4", f"{number}.mp4") for number in range(40)]
    taken: list[str] = []
    for number in range(3):
        with Ledger(place / f"s{number}.sqlite") as ledger:
            planned = plan(ledger, items, shard=Shard(number, 3))
            taken += [row.source for row in ledger.waiting()]
            assert planned.waiting + planned.others == 40
    assert sorted(taken) == sorted(item.source for item in items)


def test_rows_may_say_something_else(ledger: Ledger) -> None:
    items = [ITEMS[0], Item("1.mp4", "1.mp4", {"background": "none"}), Item("2.mp4", "2.mp4", {}, "day/x.mov")]
    plan(ledger, items, options={"blur": 0.1})
    assert [(os.path.relpath(row.target), row.job["options"]) for row in ledger.waiting()] == [
        ("out/0.mp4", {"blur": 0.1}), ("out/1.webm", {"blur": 0.1, "background": "none"}),
        ("out/day/x.mov", {"blur": 0.1})]


def test_a_value_that_is_not_allowed_is_refused(ledger: Ledger) -> None:
    with pytest.raises(OptionError, match="blur is 7"):
        plan(ledger, [*ITEMS, Item("x.mp4", "x.mp4", {"blur": 7})])
    assert list(ledger.waiting()) == []


def test_one_process_writes_and_others_may_look(place: Path) -> None:
    with Ledger(place / "l.sqlite") as ledger:
        plan(ledger)
        with pytest.raises(SinkError, match="another streamseg batch is at work"):
            Ledger(place / "l.sqlite")
        assert at_work(place / "l.sqlite")
        with Ledger(place / "l.sqlite", owner=False) as looked:
            assert looked.counts() == {"waiting": 4, "done": 0, "failed": 0}
    assert not at_work(place / "l.sqlite")
    assert sorted(path.name for path in place.glob("l.*")) == ["l.sqlite"]
    with Ledger(place / "l.sqlite"):
        pass


def _hold(path: str, ready: Any) -> None:
    ledger = Ledger(path)
    with ledger.planning():
        ledger.add("a", "a", {}, "k", [("o", "output")])
    ready.set()
    signal.pause()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_writer_locks_nobody_out(place: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    child = context.Process(target=_hold, args=(str(place / "l.sqlite"), ready))
    child.start()
    assert ready.wait(60)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with Ledger(place / "l.sqlite") as ledger:
        assert ledger.counts()["waiting"] == 1


def test_a_ledger_that_nothing_was_planned_in_is_gone(place: Path) -> None:
    with pytest.raises(OptionError), Ledger(place / "new.sqlite") as ledger:
        plan(ledger, [Item("x.mp4", "x.mp4", {"blur": 7})])
    assert not (place / "new.sqlite").exists()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be read as one" * 20, b"later"])
def test_what_is_no_ledger_is_refused(place: Path, content: bytes) -> None:
    if content == b"later":
        with sqlite3.connect(place / "l.sqlite") as base:
            base.execute("PRAGMA user_version = 99")
    else:
        (place / "l.sqlite").write_bytes(content)
    with pytest.raises(SinkError, match=r"the ledger .*l\.sqlite"):
        Ledger(place / "l.sqlite")


def test_reports_have_a_line_for_each_item(ledger: Ledger, place: Path) -> None:
    plan(ledger)
    do_all(ledger, failing=("2.mp4",))
    for name in ("r.csv", "r.jsonl", "r.json"):
        write([ledger], name)
    with open("r.csv", newline="") as stream:
        table = list(csv.DictReader(stream))
    lines = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert json.loads(Path("r.json").read_text()) == lines
    assert [(line["input"], line["state"], line["frames"], line["subject"], line["reason"]) for line in lines] == [
        ("0.mp4", "done", 10, "found", None), ("1.mp4", "done", 10, "found", None),
        ("2.mp4", "failed", None, None, "broken"), ("3.mp4", "done", 10, "found", None)]
    assert [row["input"] for row in table] == [line["input"] for line in lines]
    assert set(table[0]) == set(lines[0]) >= {"state", "frames", "fps", "subject", "seconds", "reason"}
    with pytest.raises(OptionError, match="must end with"):
        write([ledger], "r.txt")


def test_an_empty_report_is_one(ledger: Ledger) -> None:
    for name, text in (("r.json", "[]\n"), ("r.jsonl", "")):
        write([ledger], name)
        assert Path(name).read_text() == text


def test_status_sums_shards_up(place: Path) -> None:
    for number in range(2):
        with Ledger(place / "out" / f".streamseg-batch.{number}-of-2.sqlite") as ledger:
            plan(ledger, shard=Shard(number, 2))
            do_all(ledger, failing=("1.mp4",))
    opened = [Ledger(path, owner=False) for path in ledgers_of(place / "out")]
    found = status(opened)
    for ledger in opened:
        ledger.close()
    assert (found["items"], found["done"], found["failed"], found["frames"]) == (4, 3, 1, 30)
    assert [failure["input"] for failure in found["failures"]] == ["1.mp4"]


def test_a_value_of_a_row_that_is_not_allowed_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("input,threshold\na.mp4,0.5\nb.mp4,7\n")
    with Ledger(":memory:") as ledger, pytest.raises(OptionError, match=r"list.csv, line 3: threshold is 7; allowed"):
        Planner(ledger, [str(tmp_path / "out")], {}).plan(rows(str(tmp_path / "list.csv")))
