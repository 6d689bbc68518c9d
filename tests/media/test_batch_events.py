"""What a batch tells as it goes, and pictures that are under way together."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.batch import batch as whole
from streamseg.batch import methods
from streamseg.batch.batch import Batch
from streamseg.batch.events import KINDS, Event
from streamseg.batch.ledger import Ledger
from streamseg.batch.options import BatchOptions
from streamseg.cli.batch_view import state_table, view
from streamseg.cli.session import Session
from streamseg.core.frames import Frame, Matte
from streamseg.segment import BaseSegmenter
from tests import clips, stills

FAST: dict[str, Any] = {"method": "threshold"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(1, 9):
        stills.image(tmp_path / "in" / f"{number}.png", number, size=(64, 48), code=False)
    return tmp_path


def test_every_item_begins_and_ends_in_the_events(place: Path) -> None:
    (place / "in" / "3.png").write_bytes(b"broken")
    clips.video(place / "in" / "clip.mp4", frames=8, code=False)
    with Batch(["in"], ["out"], FAST) as batch:
        events = list(batch.events())
        assert batch.state is not None
        assert batch.state.to_dict() == events[-1].state.to_dict()
    assert [events[0].kind, events[-1].kind] == ["started", "finished"]
    assert {event.kind for event in events} <= set(KINDS)
    inputs = [*(f"in/{number}.png" for number in range(1, 9)), "in/clip.mp4"]
    for kind in ("began", "ended"):
        assert [event.row.source for event in events if event.kind == kind and event.row is not None] == inputs
    ended = [event.to_dict() for event in events if event.kind == "ended"]
    assert [item["item"]["state"] for item in ended] == 2 * ["done"] + ["failed"] + 6 * ["done"]
    assert [item["state"]["done"] + item["state"]["failed"] for item in ended] == list(range(1, 10))
    assert "DamagedInputError" in ended[2]["item"]["reason"]
    assert (ended[-1]["item"]["frames"], ended[-1]["state"]["frames"], ended[-1]["state"]["total"]) == (8, 15, 9)
    film = [event.state.at["here"] for event in events if event.kind == "progress" and event.state.at]
    assert all(at.input == "in/clip.mp4" for at in film)
    assert any(at.expected == 8 for at in film)


def test_an_event_goes_over_the_wire_as_one(place: Path) -> None:
    with Batch(["in"], ["out"], FAST) as batch:
        event = next(event for event in batch.events() if event.kind == "ended")
    name, data, *empty = event.sse().split("\n")
    assert (name, empty) == ("event: ended", ["", ""])
    assert json.loads(data.removeprefix("data: ")) == event.to_dict()


def test_the_table_and_the_lines_read_the_events(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "in" / "3.png").write_bytes(b"broken")
    with view(Session(quiet=True)) as watch, Batch(["in"], ["out"], FAST) as batch:
        last: list[Event] = []
        batch.run(lambda event: (watch(event), last.append(event))[0])  # type: ignore[func-returns-value]
    assert capsys.readouterr().err.startswith("streamseg: error: in/3.png is damaged")
    cells = [str(cell) for column in state_table(last[-2].state).columns for cell in column.cells]
    assert "8/8, 1 failed" in cells
    assert any(cell.endswith("fps") for cell in cells)


def test_who_closes_the_iterator_breaks_the_batch_off_and_it_goes_on_later(
        place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "WAITING", 1)  # so that the batch is no more than a few events ahead
    before = threading.active_count()
    with Batch(["in"], ["out"], {**FAST, "threads": 1}) as batch:
        events = batch.events()
        next(event for event in events if event.kind == "ended")
        events.close()
        done = batch.ledger.counts()["done"]
    assert 1 <= done < 8
    assert threading.active_count() == before
    assert not [name for name in os.listdir("out") if ".part" in name]
    with Batch(["in"], ["out"], {**FAST, "threads": 1}) as batch:
        assert (batch.planned.known, batch.planned.waiting) == (done, 8 - done)
        assert [event.kind for event in batch.events()][-1] == "finished"
    assert len(list((place / "out").glob("*.png"))) == 8


def test_what_watch_raises_ends_the_batch_with_a_note(place: Path) -> None:
    def watch(event: Event) -> None:
        if event.state.done == 2:
            raise KeyboardInterrupt

    with Batch(["in"], ["out"], FAST) as batch, pytest.raises(KeyboardInterrupt) as caught:
        batch.run(watch)
    assert caught.value.__notes__ == ["2 done, 0 failed, 6 left: the same command goes on with them"]


class Waits(BaseSegmenter):
    """A method that goes on with the first picture only when the second has begun."""

    def __init__(self, second_began: threading.Event) -> None:
        self.second_began = second_began
        self.overlapped: bool | None = None
        self.since_reset, self.inside, self.together = 0, 0, 0
        self.counts: list[int] = []

    def reset(self) -> None:
        self.since_reset = 0

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.inside += 1
        self.together = max(self.together, self.inside)
        if self.overlapped is None:
            self.overlapped = self.second_began.wait(20)
        self.since_reset += len(frames)
        self.counts.append(self.since_reset)
        self.inside -= 1
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]


def test_pictures_overlap_with_one_method_that_they_take_turns_with(place: Path,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Waits] = []
    second_began = threading.Event()

    def create(*told: Any, **more: Any) -> Waits:
        made.append(Waits(second_began))
        return made[-1]

    monkeypatch.setattr(methods, "_created", create)
    began = 0

    def watch(event: Event) -> None:
        nonlocal began
        began += event.kind == "began"
        if began == 2:
            second_began.set()

    with Batch(["in"], ["out"], {"matte": "mattes", "threads": 1}, BatchOptions(report="r.json")) as batch:
        made.clear()  # what looked whether the options can be met
        batch.run(watch)
    assert len(made) == 1
    assert made[0].overlapped
    assert made[0].together == 1
    assert made[0].counts == 8 * [1]  # for each picture it had forgotten the others
    assert [line["input"] for line in json.loads(Path("r.json").read_text())] == [f"in/{n}.png" for n in range(1, 9)]
    with Ledger(place / "out" / ".streamseg-batch.sqlite", owner=False) as ledger:
        ends = [row["finished"] for row in ledger._base.execute("SELECT finished FROM items ORDER BY id")]
    assert ends == sorted(ends)
