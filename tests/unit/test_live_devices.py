"""Cameras without any: the driver's answers are made here, as linux/videodev2.h lays them out."""

from __future__ import annotations

import errno
import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.reformatter import VideoReformatter
from click.testing import CliRunner

from streamseg.cli import group
from streamseg.errors import OptionError, SourceError
from streamseg.live import devices
from streamseg.live.devices import Camera, Mode, select_camera, v4l2_camera
from streamseg.source import camera as cameras
from streamseg.source.camera import Device, camera_device, explained, screen_device, subsampled

MJPG, YUYV = (struct.unpack("I", name)[0] for name in (b"MJPG", b"YUYV"))
SIZES = {MJPG: [(1280, 720), (640, 480)], YUYV: [(640, 480)]}


def driver(descriptor: int, request: int, answer: bytearray) -> int:
    """A webcam's driver: MJPG in two sizes at 30 and 15, YUYV in one at 30."""
    index, pixel, width = struct.unpack_from("3I", answer)
    if request == 0x80685600:  # VIDIOC_QUERYCAP: driver, card, bus, version, capabilities, device_caps
        answer[:] = struct.pack("16s32s32sIII12s", b"uvcvideo", b"Fake Webcam: Fake", b"usb-1", 1, 1, 1, b"")
    elif request == 0xC0405602 and index < 2:  # ENUM_FMT: index, type, flags, description, pixelformat
        struct.pack_into("I32sI", answer, 8, 0, b"", [MJPG, YUYV][index])
    elif request == 0xC02C564A and index < len(SIZES[pixel]):  # ENUM_FRAMESIZES: type 1 = discrete
        struct.pack_into("3I", answer, 8, 1, *SIZES[pixel][index])
    elif request == 0xC034564B and index < (2 if pixel == MJPG else 1):  # ENUM_FRAMEINTERVALS
        assert width in (640, 1280)
        struct.pack_into("3I", answer, 16 + 4, 1, 1, [30, 15][index])
        struct.pack_into("I", answer, 16, 1)
        struct.pack_into("2I", answer, 20, 1, [30, 15][index])
    else:
        raise OSError(errno.EINVAL, "no more")
    return 0


@pytest.fixture
def node(tmp_path: Path) -> str:
    path = tmp_path / "video0"
    path.touch()
    return str(path)


def test_the_drivers_answers_become_formats_sizes_and_rates(node: str) -> None:
    found = v4l2_camera(node, driver)
    assert found == Camera(node, "Fake Webcam: Fake", (
        Mode("MJPG", 1280, 720, (30.0, 15.0)), Mode("MJPG", 640, 480, (30.0, 15.0)),
        Mode("YUYV", 640, 480, (30.0,))))


def test_a_node_that_gives_no_pictures_is_no_camera(node: str) -> None:
    def metadata(descriptor: int, request: int, answer: bytearray) -> int:
        answer[:] = struct.pack("16s32s32sIII12s", b"uvcvideo", b"Fake", b"usb-1", 1, 1, 0x800000, b"")
        return 0

    assert v4l2_camera(node, metadata) is None


def test_what_is_no_device_is_no_camera(node: str) -> None:
    assert v4l2_camera(node) is None  # the real ioctl, on an ordinary file


THERE = [Camera("/dev/video0", "Integrated"), Camera("/dev/video2", "USB Webcam")]


@pytest.mark.parametrize(("wanted", "device"), [(None, "/dev/video0"), ("2", "/dev/video2"),
                                                ("usb", "/dev/video2"), ("/dev/video7", "/dev/video7")])
def test_a_camera_is_chosen_by_number_name_or_device(wanted: str | None, device: str) -> None:
    assert select_camera(wanted, THERE).device == device


@pytest.mark.parametrize(("wanted", "names", "device"), [
    ("1", {0: "HD Pro Webcam C910", 1: "Built-in"}, "/dev/video1"),
    ("0", {2: "Cam 0x1", 0: "Other"}, "/dev/video0"),
    ("webcam", {0: "Webcam C920", 1: "Webcam"}, "/dev/video1"),
    ("web", {0: "Built-in", 1: "Webcam"}, "/dev/video1"),
    ("7", {0: "Cam 1", 3: "7"}, "/dev/video3"),
])
def test_a_number_goes_before_a_name_and_a_name_before_a_part_of_one(wanted: str, names: dict[int, str],
                                                                     device: str) -> None:
    there = [Camera(f"/dev/video{number}", name) for number, name in names.items()]
    assert select_camera(wanted, there).device == device


def test_a_number_is_no_part_of_a_name() -> None:
    with pytest.raises(SourceError, match="camera is '9'; there are"):
        select_camera("9", [Camera("/dev/video0", "Webcam C910")])


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_name_is_refused(empty: str) -> None:
    with pytest.raises(OptionError, match="must be a number, a name or a device"):
        select_camera(empty, THERE)


def test_without_a_name_the_first_camera_that_opens_is_taken(node: str, monkeypatch: pytest.MonkeyPatch
                                                             ) -> None:
    def refused(*args: Any) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(devices.os, "open", refused)
    closed = v4l2_camera(node, driver)
    assert closed == Camera(node, "cannot be opened: Permission denied", opens=False)
    assert select_camera(None, [closed, *THERE]) == THERE[0]
    assert select_camera(None, [closed]) == closed  # opening it says what is wrong
    with pytest.raises(SourceError):
        select_camera("denied", [closed])


def test_a_camera_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(SourceError, match=r"'phone'; there are: /dev/video0 \(Integrated\), /dev/video2"):
        select_camera("phone", THERE)
    with pytest.raises(SourceError, match="no camera was found"):
        select_camera(None, [])


@pytest.mark.parametrize(("platform", "size", "format", "expected"), [
    ("linux", (1280, 720), None, Device("v4l2", "X", {"video_size": "1280x720", "framerate": "30",
                                                       "input_format": "mjpeg"})),
    ("linux", (640, 480), None, Device("v4l2", "X", {"video_size": "640x480", "framerate": "30"})),
    ("linux", (1920, 1080), "yuyv422", Device("v4l2", "X", {"video_size": "1920x1080", "framerate": "30",
                                                            "input_format": "yuyv422"})),
    ("darwin", (1280, 720), None, Device("avfoundation", "X:none", {"video_size": "1280x720",
                                                                    "framerate": "30"})),
    ("win32", (1280, 720), None, Device("dshow", "video=X", {"video_size": "1280x720", "framerate": "30",
                                                             "vcodec": "mjpeg"})),
])
def test_each_system_is_asked_in_its_own_words_and_for_mjpeg_from_720_lines_on(
        monkeypatch: pytest.MonkeyPatch, platform: str, size: tuple[int, int], format: str | None,
        expected: Device) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert camera_device("X", size, Fraction(30), format) == expected


def test_a_screen_without_a_display_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SourceError, match="DISPLAY is not set"):
        screen_device(None, Fraction(30))


@pytest.mark.parametrize(("number", "words"), [
    (errno.EBUSY, "is in use by another program"), (errno.ENODEV, "was unplugged"),
    (errno.ENOENT, "is not there"), (errno.EACCES, "permission denied"), (errno.EIO, "cannot be read"),
    (errno.EINVAL, "does not give video_size=1280x720; `streamseg cameras` lists"),
])
def test_what_a_camera_fails_with_is_said_in_plain_words(number: int, words: str) -> None:
    device = Device("v4l2", "/dev/video0", {"video_size": "1280x720"})
    text = str(explained(OSError(number, "raw"), device))
    assert words in text
    assert text.startswith("/dev/video0")


def test_opening_a_camera_that_is_not_there_says_so() -> None:
    if "video4linux2,v4l2" not in av.formats_available:
        pytest.skip("this FFmpeg has no v4l2")
    with pytest.raises(SourceError, match="/dev/video-none is not there"):
        cameras.DeviceSource(Device("v4l2", "/dev/video-none"), 1.0)


@pytest.mark.parametrize("format", ["yuyv422", "yuvj422p", "yuv420p", "nv12", "bgr0", "rgb24"])
def test_every_cameras_format_becomes_420_with_its_brightness(format: str) -> None:
    plain = av.VideoFrame(64, 48, "gray")
    memory, stride = memoryview(plain.planes[0]), plain.planes[0].line_size
    for row in range(48):
        memory[row * stride:row * stride + 64] = bytes([60 + row] * 64)
    plain.color_range = 2
    full = format.startswith("yuvj")
    rgb = format in ("bgr0", "rgb24")
    picture = VideoReformatter().reformat(plain, format=format, src_color_range=2,
                                          dst_color_range=2 if full or rgb else 1)
    picture.color_range = 2 if full else 1
    made = subsampled(picture, VideoReformatter())
    assert made.format.name in ("yuv420p", "yuvj420p", "nv12")
    limited = int(made.color_range) != 2
    luma = bytes(made.planes[0])
    first, last = luma[0], luma[47 * made.planes[0].line_size]
    expected = [60, 107] if not limited else [round(16 + value * 219 / 255) for value in (60, 107)]
    assert [first, last] == pytest.approx(expected, abs=2)


def test_the_command_lists_cameras_and_says_when_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    monkeypatch.setattr(devices, "cameras", lambda: [])
    assert "no camera was found" in runner.invoke(group, ["cameras"]).output
    one = Camera("/dev/video0", "Fake", (Mode("MJPG", 1280, 720, (30.0, 15.0)),))
    monkeypatch.setattr(devices, "cameras", lambda: [one])
    text = runner.invoke(group, ["cameras"]).output
    for part in ("/dev/video0", "Fake", "MJPG", "1280x720", "30, 15"):
        assert part in text


class FakeCapture:
    """cv2.VideoCapture with three pictures in it."""

    opens = True

    def __init__(self, device: Any) -> None:
        self.device, self.set_to, self.given, self.released = device, [], 0, False

    def isOpened(self) -> bool:
        return self.opens

    def set(self, key: int, value: float) -> None:
        self.set_to.append((key, value))

    def read(self) -> tuple[bool, Any]:
        import numpy as np
        self.given += 1
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[..., 1] = 200  # green, in BGR
        return self.given <= 3, picture

    def release(self) -> None:
        self.released = True


def test_opencv_as_a_way_out_gives_frames_until_the_camera_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras.cv2, "VideoCapture", FakeCapture)
    source = cameras.OpenCvSource("/dev/video3", (1280, 720), Fraction(30), None)
    assert source._capture.device == 3
    asked = dict(source._capture.set_to)
    assert asked[cameras.cv2.CAP_PROP_FOURCC] == cameras.cv2.VideoWriter.fourcc(*"MJPG")
    frames = []
    with pytest.raises(SourceError, match="unplugged"):
        for frame in source:
            frames.append(frame)
    assert [frame.index for frame in frames] == [0, 1, 2]
    rgb = frames[0].rgb()[24, 32]
    assert abs(int(rgb[1]) - 200) < 4
    assert max(rgb[0], rgb[2]) < 8
    source.close()
    assert source._capture.released


def test_opencv_says_when_a_camera_does_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "opens", False)
    monkeypatch.setattr(cameras.cv2, "VideoCapture", FakeCapture)
    with pytest.raises(SourceError, match="does not open through OpenCV"):
        cameras.OpenCvSource("0", (640, 480), Fraction(30), None)
