"""Pictures of cameras are decoded at their last packet, and shown by the browser as they come."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="the extra [serve] is not installed")

from aiortc import RTCRtpReceiver, RTCRtpSender
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import RtpPacket, unpack_header_extensions

from streamseg.serve.live.low_delay import PLAYOUT_DELAY, PromptBuffer, PromptExtensions, lower_delay

OFFER = ("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\n"
         "a=mid:0\r\na=rtpmap:96 VP8/90000\r\n")


def packet(number: int, time: int, data: bytes, *, last: bool = False) -> RtpPacket:
    made = RtpPacket(marker=int(last), sequence_number=number % 2 ** 16, timestamp=time, payload=data)
    made._data = data  # type: ignore[attr-defined]  # as the receiver does
    return made


def given(buffer: JitterBuffer, *packets: RtpPacket) -> list[tuple[bytes, int] | None]:
    """What each packet makes whole."""
    frames: list[JitterFrame | None] = [buffer.add(one)[1] for one in packets]
    return [None if frame is None else (frame.data, frame.timestamp) for frame in frames]


@pytest.fixture
def buffer() -> PromptBuffer:
    return PromptBuffer(16, is_video=True)


def test_a_picture_is_whole_at_its_last_packet_and_waits_for_no_other(buffer: PromptBuffer) -> None:
    for first in (65_534, 65_538):   # across the end of the numbers too
        time = first
        assert given(buffer, packet(first, time, b"a"), packet(first + 1, time, b"b"),
                     packet(first + 2, time, b"c", last=True)) == [None, None, (b"abc", time)]
        assert given(buffer, packet(first + 3, time + 1, b"d", last=True)) == [(b"d", time + 1)]


def test_aiortc_itself_waits_for_the_next_picture() -> None:
    """Once it no longer does ours is not needed."""
    assert given(JitterBuffer(16, is_video=True), packet(0, 0, b"a", last=True), packet(1, 1, b"b", last=True)) \
        == [None, (b"a", 0)]


def test_packets_out_of_order_and_one_that_is_sent_again_make_the_same_pictures(buffer: PromptBuffer) -> None:
    assert given(buffer, packet(0, 0, b"a"), packet(2, 0, b"c", last=True), packet(3, 1, b"d"),
                 packet(4, 1, b"e", last=True), packet(1, 0, b"b")) == [None, None, None, None, (b"abc", 0)]
    assert given(buffer, packet(5, 2, b"f", last=True), packet(6, 3, b"g"), packet(7, 3, b"h", last=True)) \
        == [(b"de", 1), (b"f", 2), (b"gh", 3)]


def test_without_marks_the_next_picture_ends_the_one_before(buffer: PromptBuffer) -> None:
    assert given(buffer, packet(0, 0, b"a"), packet(1, 0, b"b"), packet(2, 1, b"c"), packet(3, 2, b"d")) \
        == [None, None, (b"ab", 0), (b"c", 1)]


def test_padding_is_no_picture(buffer: PromptBuffer) -> None:
    assert given(buffer, packet(0, 0, b"a", last=True), packet(1, 0, b""), packet(2, 0, b""),
                 packet(3, 1, b"b"), packet(4, 1, b""), packet(5, 1, b"c", last=True), packet(7, 2, b"d", last=True),
                 packet(6, 1, b"")) == [(b"a", 0), None, None, None, None, (b"bc", 1), None, (b"d", 2)]


def test_after_a_packet_that_never_comes_it_goes_on_with_a_later_picture(buffer: PromptBuffer) -> None:
    buffer.add(packet(0, 0, b"a"))
    asked = []
    frames = []
    for number in range(2, 30):   # number 1 is lost
        flag, frame = buffer.add(packet(number, number, b"x", last=True))
        asked.append(flag)
        frames.append(frame)
    assert any(asked)             # for a picture that needs no other
    assert frames[-1] is not None
    assert frames[-1].data == b"x"


def parameters(*extensions: tuple[int, str]) -> RTCRtpParameters:
    return RTCRtpParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(id=number, uri=uri)
                                              for number, uri in extensions])


@pytest.mark.parametrize("number", [5, 20])   # headers of one and of two bytes
def test_packets_tell_the_browser_to_show_pictures_at_once(number: int) -> None:
    extensions = PromptExtensions()
    extensions.configure(parameters((3, "urn:ietf:params:rtp-hdrext:sdes:mid"), (number, PLAYOUT_DELAY)))
    one = packet(0, 0, b"picture")
    one.extensions.mid = "0"
    sent = one.serialize(extensions)
    profile, length = int.from_bytes(sent[12:14], "big"), 4 * int.from_bytes(sent[14:16], "big")
    assert dict(unpack_header_extensions(profile, sent[16:16 + length])) == {3: b"0", number: b"\0\0\0"}
    assert sent[16 + length:] == b"picture"


def test_a_browser_that_does_not_know_it_is_not_told() -> None:
    extensions = PromptExtensions()
    extensions.configure(parameters((3, "urn:ietf:params:rtp-hdrext:sdes:mid")))
    one = packet(0, 0, b"picture")
    assert RtpPacket.parse(one.serialize(extensions)).payload == b"picture"
    assert extensions.set(one.extensions) == (0, b"")


@pytest.mark.parametrize(("offered", "agreed"), [("", []), (f"a=extmap:7 {PLAYOUT_DELAY}\r\n", [(7, PLAYOUT_DELAY)])])
def test_it_is_agreed_on_where_it_is_offered(offered: str, agreed: list[tuple[int, str]]) -> None:
    transport: Any = SimpleNamespace(state="new")

    async def work() -> None:
        transceiver: Any = SimpleNamespace(receiver=RTCRtpReceiver("video", transport),
                                           sender=RTCRtpSender("video", transport), _headerExtensions=[])
        lower_delay(transceiver, OFFER + offered)
        assert [(item.id, item.uri) for item in transceiver._headerExtensions] == agreed
        assert isinstance(vars(transceiver.receiver)["_RTCRtpReceiver__jitter_buffer"], PromptBuffer)

    asyncio.run(work())


def test_an_aiortc_without_these_parts_works_as_it_comes(caplog: pytest.LogCaptureFixture) -> None:
    class Other:
        pass

    transceiver: Any = SimpleNamespace(receiver=Other(), sender=Other(), _headerExtensions=[])
    with caplog.at_level(logging.WARNING):
        lower_delay(transceiver, OFFER + f"a=extmap:7 {PLAYOUT_DELAY}\r\n")
    assert vars(transceiver.receiver) == {}
    assert transceiver._headerExtensions == []
    assert "_Other__jitter_buffer" in caplog.text
