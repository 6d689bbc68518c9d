"""Which output gets what: the decisions of the sink package, without encoding anything."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from streamseg.core.frames import Frame, VideoInfo
from streamseg.core.pixel_formats import Colour
from streamseg.errors import OptionError, SinkError
from streamseg.options import Options
from streamseg.sink import NullSink, Sink, alpha_by_default, holds_alpha, open_sink
from streamseg.sink.constant_rate import ConstantRate, RequiredRate, at_required_rate
from streamseg.sink.containers import EncoderInput, closest
from streamseg.sink.quality import parse_bitrate
from streamseg.sink.text import payload_of, text_of

X264 = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "yuv422p10le", "yuv444p10le",
        "gray", "gray10le"]


def _frame(pts: int, base: Fraction = Fraction(1, 1000), duration: int | None = None) -> Frame:
    return Frame((np.zeros((2, 2), np.uint8),), "gray", base, pts, pts, Colour(), duration)


@pytest.mark.parametrize(("source", "supported", "wanted"), [
    ("yuv420p", X264, "yuv420p"), ("yuv422p10le", X264, "yuv422p10le"), ("yuv420p12le", X264, "yuv420p10le"),
    ("yuv444p", ["yuv420p", "yuv422p10le"], "yuv422p10le"), ("gray", X264, "gray"),
    ("gray", ["yuv410p", "yuv420p", "gray16le", "bgra"], "gray16le"), ("gbrp", ["yuv444p", "bgra"], "bgra"),
    ("yuva420p", ["yuv420p", "yuva444p10le"], "yuva444p10le"),
    ("gbrap10le", ["gbrap12le", "gbrp10le"], "gbrap12le"),
    ("yuv420p10le", ["yuv420p"], "yuv420p"), ("yuv420p", ["pal8", "cuda", "grayf32le"], None)])
def test_the_closest_format_loses_least_and_then_carries_least(source: str, supported: list[str],
                                                               wanted: str | None) -> None:
    assert closest(EncoderInput.of(source), supported) == wanted


@pytest.mark.parametrize(("text", "bits"), [("4M", 4_000_000), ("800k", 800_000), ("2500000", 2_500_000),
                                            ("1.5m", 1_500_000)])
def test_bit_rates_are_read(text: str, bits: int) -> None:
    assert parse_bitrate(text) == bits


@pytest.mark.parametrize("text", ["", "fast", "-4M", "4MB", "1", "9999M", "nan"])
def test_what_is_no_bit_rate_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="as 4M or 800k"):
        parse_bitrate(text)


@pytest.mark.parametrize(("target", "can", "does"), [
    ("a.mp4", False, False), ("a.MOV", True, True), ("a.webm", True, True), ("a.mkv", True, False),
    ("a.gif", True, True), ("a.png", True, True), ("f_%05d.png", True, True), ("a.jpg", False, False),
    ("a.bmp", False, False), ("folder/", True, True), ("-", True, False), ("null:", True, False),
    ("a.avi", False, False), ("a.xyz", False, False)])
def test_which_outputs_can_hold_alpha_and_which_do_by_themselves(target: str, can: bool, does: bool) -> None:
    assert (holds_alpha(target), alpha_by_default(target)) == (can, does)


def test_a_constant_rate_shows_each_tick_the_nearest_frame() -> None:
    converter = ConstantRate(Fraction(10))
    given = [_frame(time) for time in (0, 20, 110, 420, 500)]
    placed = [item for frame in given for item in converter.place(frame)] + converter.rest()
    assert [item.pts for item in placed] == [0, 1, 2, 3, 4, 5]
    assert [item.index for item in placed] == [20, 110, 110, 110, 420, 500]
    assert all(item.time_base == Fraction(1, 10) for item in placed)
    assert (converter.repeated, converter.left_out) == (2, 1)


def test_a_constant_rate_that_is_there_already_changes_nothing() -> None:
    converter = ConstantRate(Fraction(30000, 1001))
    given = [replace(_frame(number * 1001, Fraction(1, 30000), 1001), index=number) for number in range(50)]
    placed = [item for frame in given for item in converter.place(frame)] + converter.rest()
    assert [(item.index, item.pts) for item in placed] == [(number, number) for number in range(50)]
    assert (converter.repeated, converter.left_out) == (0, 0)


def test_the_last_frame_is_shown_for_its_duration() -> None:
    converter = ConstantRate(Fraction(10))
    placed = converter.place(_frame(0, duration=300)) + converter.rest()
    assert [item.pts for item in placed] == [0, 1, 2]


def test_milliseconds_of_ntsc_rates_count_as_the_required_rate() -> None:
    required = RequiredRate(Fraction(30000, 1001), ".avi stores no times", "write .mkv")
    for number in range(200):
        assert at_required_rate(_frame(round(number / required.rate * 1000)), required).pts == number
    with pytest.raises(SinkError, match=r"0\.050 s.*\.avi stores no times: give --cfr RATE.*or write \.mkv"):
        at_required_rate(_frame(50), required)


@pytest.mark.parametrize(("codec", "payload", "text"), [
    ("subrip", b"<i>Hello</i>\r\nyou", "Hello\nyou"), ("mov_text", b"\x00\x05Helloextra", "Hello"),
    ("ass", rb"3,0,Default,,0,0,0,,{\b1}Hello,\Nyou", "Hello,\nyou"),
    ("webvtt", b"a &lt;b&gt; &amp;lt;", "a <b> &lt;"),
    ("text", b"1 <2> 3", "1 <2> 3"), ("mov_text", b"\x00\x00", ""), ("mov_text", b"", ""),
    ("subrip", b"1 < 2 and {x}", "1 < 2 and {x}")])
def test_text_is_read_from_subtitle_packets(codec: str, payload: bytes, text: str) -> None:
    assert text_of(codec, payload) == text


@pytest.mark.parametrize("codec", ["mov_text", "subrip", "webvtt"])
@pytest.mark.parametrize("text", ["Hello\nyou", "1 < 2 & 3", "Grüße, 你好"])
def test_text_survives_the_way_into_a_packet_and_back(codec: str, text: str) -> None:
    assert text_of(codec, payload_of(codec, text)) == text


def test_a_sink_that_is_one_already_comes_back_as_it_is() -> None:
    info = VideoInfo(160, 120, "yuv420p", Fraction(1, 25))
    sink = NullSink()
    assert open_sink(sink, info, options=Options()) is sink
    assert isinstance(sink, Sink)
