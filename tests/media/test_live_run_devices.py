"""The window, the screen as a source, and FFmpeg's devices, without any hardware."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamseg.errors import SourceError
from streamseg.source.camera import Device, DeviceSource, screen_device
from tests.media.live_tools import lines_of, started

# --- window and screen ----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """The name of a virtual X display of 800 x 600."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reader, writer = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24"],
                              pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            number = answer.readline().strip()
        assert number
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def test_the_window_shows_the_picture_and_the_screen_can_be_a_source(long_clip: Path, display: str,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    if "x11grab" not in av.formats_available:
        pytest.skip("this FFmpeg has no x11grab")
    process = started(str(long_clip), "--realtime", "--to", "window", "--to", "null", DISPLAY=display)
    try:
        lines_of(process, 3)
        monkeypatch.setenv("DISPLAY", display)
        source = DeviceSource(screen_device((800, 600), Fraction(10)), 10.0)
        picture = next(iter(source)).rgb()
        source.close()
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert picture.shape == (600, 800, 3)
    red = np.abs(picture.astype(int) - (254, 0, 0)).max(axis=2) < 40
    assert red.sum() > 2000  # the background of 160 x 120
    assert (picture.max(axis=2) > 240).sum() > 20  # the figures' text


def test_the_screen_is_captured_by_the_program(display: str) -> None:
    process = started("screen", "--to", "null", "--duration", "1", DISPLAY=display)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def test_a_screen_that_is_not_there_is_refused() -> None:
    with pytest.raises(SourceError, match=r"the screen :77 cannot be captured: \w+"):
        DeviceSource(Device("x11grab", ":77", {"framerate": "10"}), 10.0)


def test_without_a_screen_the_window_is_refused_and_nothing_aborts(clip: Path) -> None:
    process = started(str(clip), "--realtime", "--to", "window", DISPLAY="", WAYLAND_DISPLAY="")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "there is no screen" in errors


# --- FFmpeg's devices -----------------------------------------------------------------------------------

def test_a_device_of_ffmpegs_gives_420_frames_without_times_of_its_own() -> None:
    """FFmpeg's own test pattern stands in for a camera: the way through DeviceSource is the same."""
    if "lavfi" not in av.formats_available:
        pytest.skip("this FFmpeg has no lavfi")
    source = DeviceSource(Device("lavfi", "smptebars=size=160x120:rate=25:duration=0.4,format=yuyv422"), 5.0)
    frames = list(source)
    source.close()
    assert len(frames) == 10
    assert (source.info.width, source.info.height, source.info.format) == (160, 120, "yuv420p")
    assert source.info.live
    assert [frame.index for frame in frames] == list(range(10))
    rgb = frames[0].rgb()
    assert np.abs(rgb[40, 10].astype(int) - (191, 191, 191)).max() < 12  # the first bar: 75 % white
    assert np.abs(rgb[40, 150].astype(int) - (0, 0, 191)).max() < 20     # the last: blue


def test_a_device_with_a_size_that_it_does_not_give_says_so() -> None:
    with pytest.raises(SourceError, match="no-such-device"):
        DeviceSource(Device("lavfi", "no-such-device"), 1.0)
