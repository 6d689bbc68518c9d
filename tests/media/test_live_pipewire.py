"""`--to pipewire`: in a real session of PipeWire and WirePlumber another program, GStreamer, gets the pictures."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from fractions import Fraction
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.frames import Frame, VideoInfo
from streamseg.core.pixel_formats import Colour
from streamseg.errors import SinkError
from streamseg.live.reconnecting import Reconnecting
from streamseg.sink.live.pipewire import PipeWireSink
from streamseg.tools.doctor import LACKING, OK, hardware
from tests.media.live_tools import lines_of, started
from tests.media.pipewire_session import PipeWireSession, pictures, skip_without_pipewire, wait_until
from tests.unit.live_fakes import FakeClock

SIZE = WIDTH, HEIGHT = 65, 49  # odd: a last column is dropped
SHOWN, HALF = 64, 32
BT709, RATE = Colour(1, 1), Fraction(30000, 1001)
INFO = VideoInfo(*SIZE, "yuv420p", Fraction(1, 1000), RATE, colour=BT709, live=True, name="camera")
RED = (63, 102, 240), (81, 90, 240)  # Y, Cb, Cr of it in limited BT.709 and BT.601: ITU-R BT.709 and BT.601
PICTURES, STEPS = 8, 50


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeWireSession]:
    skip_without_pipewire()
    made = PipeWireSession()
    try:
        for name, value in made.variables.items():
            monkeypatch.setenv(name, value)
        yield made
    finally:
        made.close()


def picture(number: int) -> Frame:
    """Red on the left; on the right greys that tell the number, by steps of 4: above 20, 24, ... 216, 20, below how
    often they began anew."""
    half = (HEIGHT + 1) // 2, (WIDTH + 1) // 2
    planes = np.empty((HEIGHT, WIDTH), np.uint8), np.empty(half, np.uint8), np.empty(half, np.uint8)
    greys, edges = (20 + 4 * (number % STEPS), 128, 128), (HALF, HALF // 2, HALF // 2)
    for plane, red, grey, edge in zip(planes, RED[0], greys, edges, strict=True):
        plane[:, :edge], plane[:, edge:] = red, grey
    planes[0][HEIGHT // 2:, HALF:] = 20 + 4 * (number // STEPS)
    return Frame(planes, "yuv420p", Fraction(1, 1000), number, number, BT709)


def test_programs_get_pictures_in_order_in_their_colours_and_may_leave_and_return(
        session: PipeWireSession, tmp_path: Path) -> None:
    sink, numbers, sent = PipeWireSink("desk", INFO), count(), []

    def show() -> None:
        number = next(numbers)
        sink.write(picture(number))
        if sink.wanted():
            sent.append(number)

    told = session.camera("desk")
    assert told["props"]["media.class"] == "Video/Source"
    assert told["props"]["media.role"] == "Camera"
    assert told["props"]["node.description"] == "desk"
    offered, = told["params"]["EnumFormat"]
    assert (offered["format"], offered["size"]) == ("YUY2", {"width": SHOWN, "height": HEIGHT})
    assert (offered["framerate"]["num"], offered["framerate"]["denom"]) == (30000, 1001)

    for visit in range(2):
        wait_until(lambda: not sink.wanted(), "the end of the visit", show)
        lost = sink.lost
        for _ in range(20):  # more than there are buffers: nobody looks, and nothing waits
            show()
        assert sink.lost == lost
        sent.clear()
        raw, rgb = tmp_path / f"{visit}.yuy2", tmp_path / f"{visit}.rgb"
        readers = [session.reader("desk", raw, PICTURES, "YUY2"), session.reader("desk", rgb, PICTURES, "RGB")]
        for reader in readers:
            wait_until(lambda reader=reader: reader.poll() is not None, "a program's end", show)
            assert reader.returncode == 0

        seen = pictures(raw, HEIGHT, SHOWN // 2, 4).astype(int)  # Y Cb Y Cr of each two pixels
        assert len(seen) == PICTURES
        assert np.abs(seen[:, :, :HALF // 2 - 1] - [RED[1][0], RED[1][1], RED[1][0], RED[1][2]]).max() <= 1
        low, high = np.round((seen[:, [0, -1], -2, 0] - 20) / 4).astype(int).T
        shown = (low + STEPS * high).tolist()
        assert shown == sorted(set(shown))  # none twice; where the machine is busy, a program misses some
        assert set(shown) <= set(sent)
        for part in seen[:, :HEIGHT // 2, HALF // 2 + 1:, ::2], seen[:, HEIGHT // 2:, HALF // 2 + 1:, ::2]:
            assert np.ptp(part, axis=(1, 2, 3)).max() <= 2  # a picture is from one frame
        converted = pictures(rgb, HEIGHT, SHOWN, 3).astype(int)
        assert len(converted) == PICTURES
        assert np.abs(converted[:, :, :HALF - 8] - (255, 0, 0)).max() <= 4
    sink.close()
    sink.abort()
    wait_until(lambda: not any(item["props"].get("node.name") == "desk" for item in session.objects("Node")),
               "the camera's end")


def test_pipewire_that_ends_is_told_and_waited_for(session: PipeWireSession, tmp_path: Path) -> None:
    sink, numbers = PipeWireSink(None, INFO), count()
    waiting = Reconnecting("pipewire", lambda: PipeWireSink("again", INFO), clock := FakeClock())
    assert session.camera("streamseg")
    found, = hardware.pipewire(tmp_path)
    assert (found.state, found.remedy) == (OK, "")
    session.stop_pipewire()

    with pytest.raises(SinkError, match=r"takes no more pictures .*: where it has stopped, start it: systemctl "
                                        r"--user start pipewire wireplumber; with --reconnect streamseg waits"):
        wait_until(lambda: False, "the error", lambda: sink.write(picture(0)))
    sink.abort()
    with pytest.raises(SinkError, match=r"no PipeWire answers this user .*: start it: systemctl --user start"):
        PipeWireSink(None, INFO)
    found, = hardware.pipewire(tmp_path)
    assert found.state == LACKING
    assert "systemctl --user start" in found.remedy

    def show() -> None:
        clock.sleep(1.0)
        waiting.write(picture(next(numbers)))

    wait_until(lambda: waiting.lost > 0, "the loss", show)
    assert waiting.wanted() is False
    session.start()
    wait_until(lambda: any(item["props"].get("node.name") == "again" for item in session.objects("Node")),
               "the camera", show)
    reader = session.reader("again", tmp_path / "again", 2, "YUY2")
    wait_until(lambda: reader.poll() is not None, "the program's end", show)
    assert len(pictures(tmp_path / "again", HEIGHT, SHOWN // 2, 4)) == 2
    waiting.close()


def test_the_command_shows_the_person_before_the_background(session: PipeWireSession, long_clip: Path,
                                                          tmp_path: Path) -> None:
    process = started(str(long_clip), "--realtime", "--to", "pipewire:call")
    try:
        lines_of(process, 1)
        session.camera("call")
        reader = session.reader("call", tmp_path / "seen", 5, "RGB")
        lines_of(process, 1)
        assert reader.wait(20) == 0
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "choose 'call' in a program that takes cameras from PipeWire" in errors
    last = pictures(tmp_path / "seen", 120, 160, 3)[-1].astype(int)
    red = np.abs(last - (254, 0, 0)).max(axis=2) < 40
    assert 0.3 < red.mean() < 0.98
