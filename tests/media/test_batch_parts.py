"""Parts of films outlive their batch: what is made and verified is not made again. No Ray here: see tests/cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamseg.batch.inputs import Item
from streamseg.batch.ledger import Ledger
from streamseg.batch.methods import Methods
from streamseg.batch.options import BatchOptions
from streamseg.batch.plan import Planner
from streamseg.batch.ray_tasks import Task, Tasks
from streamseg.batch.spans import Span, spans
from streamseg.batch.split import PartDone, do_part
from streamseg.errors import StreamsegError
from tests import clips

OPTIONS: dict[str, Any] = {"method": "threshold", "background": "blue"}


def planned(ledger: Ledger, place: Path, batch: BatchOptions | None = None, **options: Any) -> None:
    given = {**OPTIONS, "matte": str(place / "m"), **options}
    Planner(ledger, [str(place / "out")], given, batch).plan([Item(str(place / "in.mp4"), "in.mp4")])


def waiting(ledger: Ledger, seconds: float | None = 1.0) -> list[Task]:
    """All that is to be given out, in its order."""
    tasks, found = Tasks(ledger, seconds), []
    while tasks:
        found.append(tasks.take())
    return found


def told(tasks: list[Task]) -> list[tuple[str, str | None]]:
    return [(task.kind, task.part) for task in tasks]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A film of three parts, of which the second is made when its batch is killed."""
    clips.video(tmp_path / "in.mp4", frames=75, gop=25, code=False)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        planned(ledger, tmp_path)
        tasks = Tasks(ledger, 1.0)
        assert tasks
        survey = tasks.take()
        parts = spans(survey.row.job, 1.0)
        assert parts is not None
        tasks.begin(survey.row, parts)
        tasks.take()
        task = tasks.take()
        assert task.film is not None
        assert task.span is not None
        methods = Methods()
        tasks.made(task.film, task.span, do_part(task.row.job, task.span, task.film.folder, methods))
        methods.close()
    return tmp_path


def folder(place: Path) -> Path:
    found, = (place / "out").glob(".*.part")
    return found


def test_only_what_is_missing_is_given_out_again(place: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder(place).iterdir()}
    assert len(before) == 2  # the film's and the matte's
    (folder(place) / ".00000-0.123-0-0.part.mp4").write_bytes(b"what a killed worker had begun")
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place)
        tasks = waiting(ledger)
        assert told(tasks) == [("part", "1 of 3"), ("part", "3 of 3")]
        film = tasks[0].film
        assert film is not None
        assert (film.kept, list(film.done), sum(span.count for span in film.parts)) == (1, [1], 75)
    assert {path: path.stat().st_mtime_ns for path in folder(place).iterdir()} == before


def test_the_longest_part_is_given_out_first(tmp_path: Path) -> None:
    clips.video(tmp_path / "in.mp4", frames=75, gop=25, code=False)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        planned(ledger, tmp_path)
        tasks = Tasks(ledger, 1.0)
        assert tasks
        row = tasks.take().row
        parts = spans(row.job, 1.0)
        assert parts is not None
        counts = (20, 30, 25)
        tasks.begin(row, [replace(part, count=count) for part, count in zip(parts, counts, strict=True)])
        found = []
        while tasks:
            found.append(tasks.take().part)
        assert found == ["2 of 3", "3 of 3", "1 of 3"]


def test_a_part_that_is_no_longer_as_it_was_written_is_made_again(place: Path) -> None:
    path = next(folder(place).glob("*.mp4"))
    path.write_bytes(path.read_bytes()[:-100])
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place)
        assert told(waiting(ledger)) == [("part", "1 of 3"), ("part", "2 of 3"), ("part", "3 of 3")]
    assert list(folder(place).iterdir()) == []


def test_when_all_parts_are_there_they_are_joined(place: Path) -> None:
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place)
        methods = Methods()
        tasks = Tasks(ledger, 1.0)
        assert tasks
        for _ in range(2):
            task = tasks.take()
            assert task.film is not None
            assert task.span is not None
            ledger.films.made(task.film.target, task.span.number,
                              do_part(task.row.job, task.span, task.film.folder, methods).text())
        methods.close()
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place)
        assert told(waiting(ledger)) == [("join", "joining")]


@pytest.mark.parametrize("seconds", [2.0, None])
def test_parts_of_another_length_are_not_taken(place: Path, seconds: float | None) -> None:
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place)
        assert [task.kind for task in waiting(ledger, seconds)] == ["survey" if seconds else "whole"]
    if seconds:
        assert list((place / "out").glob(".*.part")) == []


def test_the_parts_of_another_input_are_removed(place: Path) -> None:
    clips.video(place / "in.mp4", frames=75, gop=25, code=False, content=lambda index: clips.picture(index + 9))
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place)
        assert told(waiting(ledger)) == [("survey", None)]
        assert ledger.films.of(str(place / "out" / "in.mp4")) is None
    assert list((place / "out").glob(".*.part")) == []


@pytest.mark.parametrize(("batch", "options"), [
    (BatchOptions(), {"background": "red"}), (BatchOptions(resume=False), {})], ids=str)
def test_the_parts_of_other_options_are_removed_with_the_plan(place: Path, batch: BatchOptions,
                                                              options: dict[str, Any]) -> None:
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place, batch, **options)
        assert told(waiting(ledger)) == [("survey", None)]
    assert list((place / "out").glob(".*.part")) == []


def test_a_plan_that_is_refused_leaves_them(place: Path) -> None:
    (place / "b.mp4").write_bytes((place / "in.mp4").read_bytes())
    with Ledger(place / "l.sqlite") as ledger:
        items = [Item(str(place / name), "in.mp4") for name in ("in.mp4", "b.mp4")]
        with pytest.raises(StreamsegError, match="two inputs would be written to one path"):
            Planner(ledger, [str(place / "out")], {**OPTIONS, "background": "red"}).plan(items)
        assert folder(place).is_dir()
        planned(ledger, place)
        assert told(waiting(ledger))[0] == ("part", "1 of 3")


def test_a_batch_that_is_broken_off_keeps_what_is_made_and_no_empty_folder(place: Path) -> None:
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place)
        tasks = Tasks(ledger, 1.0)
        assert tasks
        tasks.leave()
        assert len(list(folder(place).iterdir())) == 2
        (folder(place) / os.listdir(folder(place))[0]).write_bytes(b"")
    with Ledger(place / "l.sqlite") as ledger:
        planned(ledger, place)
        tasks = Tasks(ledger, 1.0)
        assert tasks
        tasks.leave()
    assert list((place / "out").glob(".*.part")) == []


def test_what_the_ledger_keeps_of_a_part_is_all_of_it(place: Path) -> None:
    with Ledger(place / "l.sqlite", owner=False) as ledger:
        begun = ledger.films.of(str(place / "out" / "in.mp4"))
        assert begun is not None
        made = PartDone.of(begun.parts[1])
    assert PartDone.of(made.text()) == made
    assert made.is_there()
    assert [len(part.times) for part in made.files] == 2 * [8 * 25]
    found = spans({"source": str(place / "in.mp4"), "options": OPTIONS}, 1.0)
    assert found is not None
    assert [Span.of(span.to_list()) for span in found] == found
