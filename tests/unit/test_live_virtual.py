"""The virtual camera, against a fake of pyvirtualcam with its interface."""

from __future__ import annotations

import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from streamseg.core.frames import Frame
from streamseg.core.pixel_formats import Colour
from streamseg.errors import MissingDependencyError, SinkError
from streamseg.sink.live.virtual_camera import FIXES, VirtualSink
from tests.unit.live_fakes import INFO, room_frame
from tests.unit.virtual_fakes import FakeCamera, fake_pyvirtualcam


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    return fake_pyvirtualcam(monkeypatch)


def test_frames_arrive_as_i420_plane_by_plane(camera: type[FakeCamera]) -> None:
    sink = VirtualSink(None, INFO)
    frame = room_frame(3)
    sink.write(frame)
    sink.close()
    sink.abort()
    made = camera.made[0]
    assert (made.width, made.height, made.fps, made.fmt) == (64, 48, 30.0, "I420")
    assert np.array_equal(made.sent[0], np.concatenate([plane.reshape(-1) for plane in frame.planes]))
    assert made.closed == 1
    assert "/dev/video20" in sink.notes[0]


def test_full_range_pictures_are_brought_to_limited_range(camera: type[FakeCamera]) -> None:
    sink = VirtualSink("/dev/video9", INFO)
    planes = (np.full((48, 64), 255, np.uint8), *(np.full((24, 32), 128, np.uint8) for _ in "uv"))
    sink.write(Frame(planes, "yuv420p", Fraction(1, 30), 0, 0, Colour(6, 2)))
    sink.close()
    luma = camera.made[0].sent[0][:64 * 48]
    assert abs(int(luma.max()) - 235) <= 1
    assert camera.made[0].device == "/dev/video9"


@pytest.mark.parametrize("format", ["yuv422p", "yuv444p10le", "gbrp"])
def test_other_formats_are_converted(camera: type[FakeCamera], format: str) -> None:
    from streamseg.core.pixel_formats import FORMATS
    pixel = FORMATS[format]
    value = round(0.5 * pixel.peak)
    planes = tuple(np.full(pixel.shape(number, 64, 48), value, pixel.dtype) for number in range(3))
    sink = VirtualSink(None, replace(INFO, format=format))
    sink.write(Frame(planes, format, Fraction(1, 30), 0, 0, Colour(0, 2) if pixel.rgb else Colour(6, 1)))
    sink.close()
    sent = camera.made[0].sent[0]
    assert abs(int(sent[0]) - (126 if pixel.rgb else 128)) <= 2
    assert abs(int(sent[-1]) - 128) <= 2


def test_an_odd_last_column_is_left_out(camera: type[FakeCamera]) -> None:
    sink = VirtualSink(None, replace(INFO, width=65, height=49))
    luma = np.arange(49 * 65, dtype=np.int64).reshape(49, 65).astype(np.uint8)
    chroma = np.full((25, 33), 128, np.uint8)
    sink.write(Frame((luma, chroma, chroma), "yuv420p", Fraction(1, 30), 0, 0, Colour(6, 1)))
    assert np.array_equal(camera.made[0].sent[0][:64 * 48].reshape(48, 64), luma[:48, :64])


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_without_a_device_the_fix_for_the_system_is_named(monkeypatch: pytest.MonkeyPatch, platform: str,
                                                          camera: type[FakeCamera]) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(camera, "fails", RuntimeError("'v4l2loopback' backend: No such device"))
    with pytest.raises(SinkError) as caught:
        VirtualSink(None, INFO)
    assert FIXES[platform] in str(caught.value)
    assert "--to window" in str(caught.value)


def test_a_device_that_goes_away_is_a_sink_error(monkeypatch: pytest.MonkeyPatch,
                                                 camera: type[FakeCamera]) -> None:
    sink = VirtualSink(None, INFO)
    monkeypatch.setattr(camera, "breaks", RuntimeError("error writing"))
    with pytest.raises(SinkError, match="/dev/video20 takes no more pictures: error writing"):
        sink.write(room_frame(0))
    sink.abort()
    assert camera.made[0].closed == 1


def test_without_pyvirtualcam_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'streamseg\[camera\]'"):
        VirtualSink(None, INFO)


def test_with_the_real_pyvirtualcam_a_registered_backend_gets_the_pictures() -> None:
    virtual = pytest.importorskip("pyvirtualcam", reason="pyvirtualcam is not installed")
    sent: list[np.ndarray] = []

    class Backend:
        def __init__(self, **given: Any) -> None:
            self.given = given

        def close(self) -> None:
            sent.append(np.empty(0))

        def send(self, frame: np.ndarray) -> None:
            sent.append(frame.copy())

        def device(self) -> str:
            return "fake"

        def native_fourcc(self) -> None:
            return None

    virtual.register_backend("streamseg-fake", Backend)
    try:
        sink = VirtualSink(None, INFO, backend="streamseg-fake")
        sink.write(room_frame(1))
        sink.close()
    finally:
        virtual.camera.BACKENDS.pop("streamseg-fake")
    assert np.array_equal(sent[0][:64 * 48].reshape(48, 64), room_frame(1).planes[0])
    assert len(sent) == 2
