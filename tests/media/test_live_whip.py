"""`--to whip:URL`: a WHIP server of aiortc's sees what was sent, and is told of the end; errors are told in words."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.core.frames import Frame, VideoInfo
from streamseg.core.pixel_formats import Colour
from streamseg.errors import OptionError, SinkError
from streamseg.live.endpoints import Opener
from streamseg.options import Options
from streamseg.sink.live.recording import SoundFeed
from streamseg.sink.live.whip import WhipSink
from tests.media.live_tools import lines_of, started
from tests.media.whip_server import PATIENCE, WhipServer
from tests.unit.live_fakes import FakeClock

SIZE = (128, 96)
RATE, COUNT = 25, 25
INFO = VideoInfo(*SIZE, "yuv420p", Fraction(1, 1000), Fraction(RATE), colour=Colour(6, 1), live=True, name="camera")


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **how: ["127.0.0.1"])


def picture(number: int) -> Frame:
    """Its luma tells the number: 20, 28, 36, ..."""
    luma = np.full(SIZE[::-1], 20 + 8 * number, np.uint8)
    chroma = np.full((SIZE[1] // 2, SIZE[0] // 2), 128, np.uint8)
    return Frame((luma, chroma, chroma), "yuv420p", Fraction(1, 1000), number, number * 1000 // RATE, Colour(6, 1))


def beeping() -> SoundFeed:
    """Mono at 44.1 kHz, 450 Hz, a block of 40 ms for each time it is asked."""
    samples = 44100 // RATE
    tone = (np.sin(2 * np.pi * 450 * np.arange(samples) / 44100) * 16000).astype(np.int16)[None]
    given = iter(range(10_000))

    def take() -> list[Any]:
        made = av.AudioFrame.from_ndarray(tone, "s16", "mono")
        made.sample_rate, made.time_base, made.pts = 44100, Fraction(1, 44100), next(given) * samples
        return [made]

    return SoundFeed(44100, "mono", take)


def sink_to(url: str, **extra: Any) -> WhipSink:
    return WhipSink(f"whip:{url}", "whip:http://server", INFO, Options(), **{"timeout": 20.0, **extra})


def test_a_server_sees_both_tracks_and_every_picture_but_the_last_two() -> None:
    with WhipServer(token="open-sesame") as server:
        sink = sink_to(server.url, token="open-sesame", sound=beeping())
        for number in range(COUNT):
            sink.write(picture(number))
        sink.close()
        assert server.deleted.is_set()
        sink.abort()
    methods = [(method, headers["authorization"]) for method, _, headers in server.requests]
    assert methods == [("POST", "Bearer open-sesame"), ("DELETE", "Bearer open-sesame")]
    assert server.requests[1][1] == "/whip/session?of=1"
    levels = [int(np.median(frame.to_ndarray()[:SIZE[1]])) for frame in server.video]
    assert len(levels) >= COUNT - 2
    assert np.abs(np.array(levels) - (20 + 8 * np.arange(len(levels)))).max() <= 3
    times = np.diff([frame.pts for frame in server.video])
    assert np.abs(times - 90_000 // RATE).max() <= 90  # a millisecond
    heard = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in server.audio])
    assert len(heard) > 0.8 * COUNT / RATE * 48_000
    spectrum = np.abs(np.fft.rfft(heard[4800:4800 + 24_000, 0]))
    assert int(spectrum.argmax()) * 2 == pytest.approx(450, abs=4)
    assert "connected" in server.states


@pytest.mark.parametrize(("status", "token", "message"), [
    (401, None, r"refuses the stream \(401 Words\): give one token with --whip-token or STREAMSEG_WHIP_TOKEN"),
    (403, "abc", r"refuses the stream \(403 Words\): give another token"),
    (404, None, r"has no WHIP endpoint at this address \(404 Words\): check its path"),
    (200, None, r"has no WHIP endpoint at this address \(200 Words\)"),
    (503, None, r"does not take the stream \(503 Words\)"),
])
def test_a_server_that_refuses_is_told_in_its_words(status: int, token: str | None, message: str) -> None:
    with WhipServer(status) as server, pytest.raises(SinkError, match=message) as caught:
        sink_to(server.url, token=token)
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)
    assert [method for method, _, _ in server.requests] == ["POST"]


def test_a_redirect_is_followed_on_the_same_server_and_the_token_goes_nowhere_else() -> None:
    with WhipServer(307, location="/whip/again") as server, pytest.raises(SinkError, match="redirects more than 3"):
        sink_to(server.url, token="abc")
    assert [path for _, path, _ in server.requests] == ["/whip/secret-room", *["/whip/again"] * 3]
    with WhipServer() as other, WhipServer(308, location=other.url) as server, \
            pytest.raises(SinkError, match=r"redirects to 127\.0\.0\.1:\d+, which the token is not sent to"):
        sink_to(server.url, token="abc")
    assert other.requests == []


def test_what_cannot_be_reached_is_told_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(SinkError, match="cannot be reached: it does not answer in time"):
            sink_to(f"http://127.0.0.1:{port}/x", timeout=0.5)
    with pytest.raises(SinkError, match="cannot be reached: Connection refused"):
        sink_to(f"http://127.0.0.1:{port}/x")
    with WhipServer() as server, pytest.raises(SinkError, match="cannot be reached: "):
        sink_to(server.url.replace("http:", "https:"), timeout=1.0)


def test_a_server_that_hangs_up_ends_the_output() -> None:
    with WhipServer() as server:
        sink = sink_to(server.url)
        sink.write(picture(0))
        server.end_calls()
        with pytest.raises(SinkError, match="has ended the connection"):
            for number in range(1, 10_000):
                sink.write(replace(picture(1), pts=40 * number, index=number))
        sink.abort()


def test_another_codec_is_refused_before_the_server_is_asked() -> None:
    with pytest.raises(OptionError, match=r"takes H\.264: libx264"):
        WhipSink("whip:http://h/x", "whip:http://h", INFO, Options(codec="libvpx"))
    with pytest.raises(OptionError, match="no-such"):
        WhipSink("whip:http://h/x", "whip:http://h", INFO, Options(codec="no-such"))


@pytest.fixture
def server() -> Iterator[WhipServer]:
    with WhipServer(token="open-sesame") as made:
        yield made


def test_ctrl_c_deletes_the_session_and_the_token_is_nowhere_to_be_seen(server: WhipServer, long_clip: Path) -> None:
    process = started(str(long_clip), "--realtime", "--to", f"whip:{server.url}", STREAMSEG_WHIP_TOKEN="open-sesame",
                      no_proxy="*")
    try:
        line = lines_of(process, 2)[-1]
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert server.deleted.is_set()
    assert line["sinks"][0]["name"].startswith("whip:http://127.0.0.1:")
    assert "sesame" not in out + errors + str(line)
    assert "secret" not in out + errors + str(line)
    assert len(server.video) > 0


def test_reconnecting_waits_for_a_server_that_comes_back() -> None:
    clock = FakeClock()
    with WhipServer() as server:
        sink = Opener(INFO, Options(), None, clock, reconnect=True)(f"whip:{server.url}")
        server.end_calls()
        number = 0
        while sink.lost == 0:  # type: ignore[attr-defined]
            number += 1
            sink.write(replace(picture(1), pts=40 * number, index=number))
        clock.time += 10
        sink.write(replace(picture(1), pts=40 * number + 40, index=number + 1))
        assert len(server.offers) == 2
        sink.close()
        assert [method for method, _, _ in server.requests] == ["POST", "DELETE", "POST", "DELETE"]
