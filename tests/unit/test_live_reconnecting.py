"""A stream that breaks off is opened again, with growing waits, and holds nobody up."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest

from streamseg.errors import SinkError
from streamseg.live.capture import LONGEST_WAIT, Capture
from streamseg.live.composite_stage import CompositeStage
from streamseg.live.reconnecting import Reconnecting
from streamseg.live.segment_stage import SegmentStage
from streamseg.live.session import LiveSession
from streamseg.live.stats import LiveOutput
from streamseg.options import Options
from streamseg.sink.live.network import shown
from tests.messages import messages
from tests.unit.live_fakes import (
    INFO,
    FakeClock,
    Keeper,
    PersonModel,
    ScriptedCamera,
    control,
    room_frame,
    wait_for,
)


def broken(number: int) -> None:
    raise SinkError("host cannot be written: Broken pipe")


def test_it_is_opened_again_with_growing_waits_and_frames_go_on() -> None:
    clock, told, tries = FakeClock(), messages(), []
    first, last = Keeper(at=lambda number: broken(number) if number == 3 else None), Keeper()

    def reopen() -> Any:
        tries.append(clock.time)
        if len(tries) == 1:
            return first
        if len(tries) < 9:
            raise SinkError("host cannot be written: Connection refused")
        return last

    sink = Reconnecting("rtmp://host", reopen, clock)
    for index in range(30 * 170):
        sink.write(room_frame(index % 8))
        clock.time += 1 / 30
    sink.close()
    assert len(first.pictures) == 3
    assert first.state == "aborted"
    waits = [later - earlier for earlier, later in pairwise(tries[1:])]
    assert waits == pytest.approx([2, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT], abs=0.05)
    assert last.state == "closed"
    assert len(first.pictures) + sink.lost + len(last.pictures) == 30 * 170
    assert last.pictures
    assert told[0] == "host cannot be written: Broken pipe; rtmp://host is tried again in 1 s"
    assert told[-1] == "rtmp://host is back"


def test_pictures_that_reach_nobody_are_dropped_and_not_written_in_the_figures() -> None:
    sink = Reconnecting("rtmp://host", lambda: Keeper(at=broken), FakeClock())
    shown = [threading.Event() for _ in range(5)]

    class Shown(Keeper):
        def show(self, finished: Any) -> None:
            super().show(finished)
            shown[len(self.pictures) - 1].set()

    frames = [room_frame(index) for index in range(4)]
    camera = ScriptedCamera(frames, before=lambda number: wait_for(shown[number]))
    clock, state, output = FakeClock(), control(), LiveOutput("rtmp://host", sink)
    report = LiveSession(Capture(camera, clock, state), SegmentStage(PersonModel(), state),
                    CompositeStage(INFO, Options(), state), [output], clock=clock, control=state,
                    screen=Shown()).run()
    assert sink.lost >= 1
    assert (report.frames, report.fps, report.dropped) == (0, 0.0, 5)
    assert report.outputs[0]["dropped"] == 5


def test_what_cannot_be_opened_at_first_is_refused_at_once() -> None:
    def refuse() -> Any:
        raise SinkError("host cannot be written: Connection refused")

    with pytest.raises(SinkError, match="refused"):
        Reconnecting("rtmp://host", refuse, FakeClock())


def test_an_address_is_shown_without_what_may_be_a_key() -> None:
    assert shown("rtmp://live.host.tv/app/secret?token=x") == "rtmp://live.host.tv"
    assert shown("talk.mkv") == "talk.mkv"
    assert shown("virtual:/dev/video9") == "virtual:/dev/video9"
