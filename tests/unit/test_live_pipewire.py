"""The PipeWire camera without PipeWire: a fake stream; what is refused; what the library is asked for."""

from __future__ import annotations

import ctypes
import errno
import struct
import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from streamseg.core.frames import Frame
from streamseg.core.pixel_formats import FORMATS, Colour
from streamseg.errors import MissingDependencyError, OptionError, SinkError
from streamseg.live.consumers import consumers_of
from streamseg.live.endpoints import refuse_bad_output
from streamseg.live.reconnecting import Reconnecting
from streamseg.live.stats import LiveOutput
from streamseg.sink import NullSink
from streamseg.sink.live import pipewire, pipewire_library, pipewire_stream
from streamseg.sink.live.pipewire import PipeWireSink
from tests.unit.live_fakes import INFO, FakeClock, room_frame


class FakeStream:
    """PipeWireStream: keeps what it is sent. ``looked_at``: a program takes pictures; ``room``: it has a buffer."""

    looked_at, room, lost = True, True, False

    def __init__(self, name: str, size: tuple[int, int], rate: Fraction) -> None:
        if FakeStream.lost:
            raise SinkError("no PipeWire answers")
        self.opened_as = name, size, rate
        self.sent: list[np.ndarray] = []
        self.closed = 0

    def wanted(self) -> bool:
        if FakeStream.lost:
            raise SinkError("PipeWire takes no more pictures")
        return self.looked_at

    def send(self, picture: np.ndarray) -> bool:
        if self.room:
            self.sent.append(picture.copy())
        return self.room

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> list[FakeStream]:
    made: list[FakeStream] = []

    def opened(*given: Any) -> FakeStream:
        made.append(FakeStream(*given))
        return made[-1]

    monkeypatch.setattr(pipewire, "PipeWireStream", opened)
    monkeypatch.setattr(FakeStream, "lost", False)
    return made


def test_pictures_are_yuy2_of_an_even_width(streams: list[FakeStream]) -> None:
    sink = PipeWireSink(None, replace(INFO, width=65, height=49))
    luma = np.arange(49 * 65, dtype=np.int64).reshape(49, 65).astype(np.uint8)
    chroma = np.full((25, 33), 90, np.uint8), np.full((25, 33), 240, np.uint8)
    sink.write(Frame((luma, *chroma), "yuv420p", Fraction(1, 30), 0, 0, Colour(6, 1)))
    sink.close()
    sink.abort()
    stream, = streams
    assert stream.opened_as == ("streamseg", (64, 49), 30)
    sent = stream.sent[0].reshape(49, 32, 4)
    assert np.array_equal(stream.sent[0][:, ::2], luma[:, :64])
    assert (sent[..., 1] == 90).all()
    assert (sent[..., 3] == 240).all()
    assert stream.closed == 1


@pytest.mark.parametrize(("format", "colour", "samples"), [
    ("yuv420p", Colour(6, 2), (76, 85, 255)), ("yuv444p10le", Colour(9, 1), (289, 375, 960)),
    ("yuv422p", Colour(1, 1), (63, 102, 240)), ("gbrp", Colour(0, 2), (0, 0, 255))])
def test_red_of_every_kind_is_limited_bt601(streams: list[FakeStream], format: str, colour: Colour,
                                           samples: tuple[int, ...]) -> None:
    pixel = FORMATS[format]
    planes = tuple(np.full(pixel.shape(number, 64, 48), value, pixel.dtype) for number, value in enumerate(samples))
    sink = PipeWireSink("desk", INFO)
    sink.write(Frame(planes, format, Fraction(1, 30), 0, 0, colour))
    sent = streams[0].sent[0].reshape(48, 32, 4).astype(int)
    assert np.abs(sent - (81, 90, 81, 240)).max() <= 2


def test_what_no_camera_can_be_is_refused_or_bounded(streams: list[FakeStream]) -> None:
    with pytest.raises(SinkError, match="the picture is 1 x 48; a camera needs a width of at least 2 pixels"):
        PipeWireSink(None, replace(INFO, width=1, height=48))
    for stated, wanted in ((Fraction(10**10), 1000), (Fraction(30000, 1001), Fraction(30000, 1001)), (None, 30)):
        PipeWireSink(None, replace(INFO, rate=stated))
        assert streams[-1].opened_as[2] == wanted


def test_nobody_looks_nothing_is_sent_and_a_full_reader_loses_pictures(streams: list[FakeStream]) -> None:
    sink = PipeWireSink(None, INFO)
    streams[0].looked_at = False
    sink.write(room_frame(0))
    assert (sink.wanted(), sink.lost, len(streams[0].sent)) == (False, 0, 0)
    streams[0].looked_at = True
    sink.write(room_frame(1))
    streams[0].room = False
    sink.write(room_frame(2))
    assert (sink.wanted(), sink.lost, len(streams[0].sent)) == (True, 1, 1)
    sink.abort()
    with pytest.raises(SinkError, match="'streamseg' is closed"):
        sink.write(room_frame(3))


def test_on_demand_knows_whether_a_program_looks(streams: list[FakeStream]) -> None:
    sink = PipeWireSink(None, INFO)
    looked_at = consumers_of([LiveOutput("pipewire", sink)], False)
    assert not looked_at()
    sink.write(room_frame(0))
    assert looked_at()
    streams[0].looked_at = False
    sink.write(room_frame(1))
    assert not looked_at()
    with pytest.raises(OptionError, match="--to pipewire alone"):
        consumers_of([LiveOutput("pipewire", sink), LiveOutput("null", NullSink())], False)


def test_while_pipewire_is_away_nobody_looks(streams: list[FakeStream]) -> None:
    clock = FakeClock()
    sink = Reconnecting("pipewire", lambda: PipeWireSink(None, INFO), clock)
    sink.write(room_frame(0))
    assert sink.wanted() is True
    FakeStream.lost = True
    sink.write(room_frame(1))
    assert (sink.wanted(), sink.lost, streams[0].closed) == (False, 1, 1)
    FakeStream.lost = False
    clock.sleep(60)
    sink.write(room_frame(2))
    assert (sink.wanted(), len(streams)) == (True, 2)
    assert Reconnecting("null", NullSink, clock).wanted() is None


@pytest.mark.parametrize("name", ["a\nb", " ", "x" * 65, "\0"])
def test_a_name_that_no_list_shows_is_refused(streams: list[FakeStream], name: str) -> None:
    with pytest.raises(OptionError, match=r"one line of at most 64 printable .*, as --to pipewire:desk"):
        refuse_bad_output(f"pipewire:{name}")
    refuse_bad_output("pipewire:Büro 2")
    refuse_bad_output("pipewire")


def test_without_the_library_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(pipewire_library, "NAME", "libpipewire-no-such.so.0")
    with pytest.raises(MissingDependencyError, match="apt install pipewire wireplumber"):
        PipeWireSink(None, INFO)
    monkeypatch.setattr(pipewire_library.ctypes, "CDLL", lambda name, use_errno: object())
    with pytest.raises(MissingDependencyError, match=r"older than PipeWire 0\.3\.34 .*pw_init"):
        PipeWireSink(None, INFO)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(MissingDependencyError, match="part of Linux desktops; here --to virtual"):
        PipeWireSink(None, INFO)


def test_a_library_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lacking:
        """Without its plugins, or with too many files open: asked for the loop of a loop of 0, it crashes."""

        def pw_get_library_version(self) -> bytes:
            return b"0.3.65"

        def pw_thread_loop_new(self, name: bytes, properties: None) -> None:
            ctypes.set_errno(errno.EMFILE)

    monkeypatch.setattr(pipewire_stream, "library", Lacking)
    with pytest.raises(SinkError, match=r"does not start \(Too many open files\): .* apt install pipewire"):
        PipeWireSink(None, INFO)


PODS = {  # written by spa_pod_builder_add_object, compiled with the headers of PipeWire 0.3.65; as 32-bit words
    "format": (176, 15, 0x40003, 3, 1, 0, 4, 3, 2, 0, 2, 0, 4, 3, 1, 0, 0x20001, 0, 4, 3, 4, 0,
               0x20003, 0, 8, 10, 64, 49,
               0x20004, 0, 8, 11, 30000, 1001, 0x2000c, 0, 4, 3, 2, 0, 0x2000d, 0, 4, 3, 4, 0),
    "buffers": (168, 15, 0x40004, 5, 1, 0, 28, 19, 1, 0, 4, 4, 4, 2, 16, 0, 2, 0, 4, 4, 1, 0,
                3, 0, 4, 4, 6272, 0, 4, 0, 4, 4, 128, 0, 6, 0, 20, 19, 4, 0, 4, 4, 6, 0),
    "header": (56, 15, 0x40005, 6, 1, 0, 4, 3, 1, 0, 2, 0, 4, 4, 32, 0)}


def test_parameters_are_what_the_libraries_own_builder_writes() -> None:
    made = {"format": pipewire_library.video_format((64, 49), (30000, 1001)),
            "buffers": pipewire_library.buffers(6272, 128, (4, 2, 16)), "header": pipewire_library.header()}
    assert {name: struct.unpack(f"={len(pod) // 4}I", pod) for name, pod in made.items()} == PODS


def test_structures_are_as_long_as_the_libraries() -> None:
    sizes = {pipewire_library.Chunk: 16, pipewire_library.Data: 40, pipewire_library.Meta: 16,
             pipewire_library.Header: 32, pipewire_library.SpaBuffer: 24}  # sizeof, on 64-bit Linux
    if struct.calcsize("P") != 8:
        pytest.skip("the sizes are those of 64 bits")
    assert {made: ctypes.sizeof(made) for made in sizes} == sizes
