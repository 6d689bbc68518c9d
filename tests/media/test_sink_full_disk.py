"""A disk that is full: the error names it, and what is left there plays or is gone."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.errors import SinkError
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.sink.live.recording import RecordingSink
from streamseg.tools.demo import demo

from .sink_tools import about, decoded, made, write


def flat(kind: str, count: int) -> list[Any]:
    return made("gray" if kind == "matte" else "yuv420p", count, alpha=kind == "cutout")


def noisy(count: int) -> list[Any]:
    """Frames that fill a disk: some 6 KB each as H.264."""
    noise = np.random.default_rng(1)
    return [replace(frame, planes=(noise.integers(16, 235, (120, 160), np.uint8), *frame.planes[1:]))
            for frame in flat("composite", count)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 96 KiB. Mounting wants root; without it the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    library = ctypes.CDLL(None, use_errno=True)
    if library.mount(b"none", str(folder).encode(), b"tmpfs", 0, b"size=96k") != 0:
        pytest.skip(f"mounting a small disk failed ({os.strerror(ctypes.get_errno())}); it wants root")
    yield folder
    library.umount2(str(folder).encode(), 2)


@pytest.mark.parametrize(("target", "kind", "count"), [
    ("o.mkv", "matte", 40), ("o.mov", "cutout", 60), ("f_%03d.png", "composite", 300),
    ("o.gif", "composite", 40), ("new/", "composite", 300)])
def test_a_full_disk_is_named_and_nothing_is_left(small_disk: Path, target: str, kind: str,
                                                  count: int) -> None:
    frames = flat(kind, 20) * (count // 20)
    frames = [replace(frame, index=number, pts=number * 3000) for number, frame in enumerate(frames)]
    (small_disk / "old.txt").write_text("kept")
    sink = open_sink(f"{small_disk}/{target}", about(frames), kind=kind)
    with pytest.raises(SinkError, match=f"no space left.*free in {small_disk}: make room"):
        write(sink, frames)
    sink.abort()
    assert [item.name for item in small_disk.iterdir()] == ["old.txt"]


def test_keep_partial_on_a_full_disk_still_plays(small_disk: Path) -> None:
    frames = noisy(60)
    options = Options(keep_partial=True, codec_set={"g": "3"})
    sink = open_sink(small_disk / "o.mp4", about(frames), options=options)
    with pytest.raises(SinkError, match="no space left"):
        write(sink, frames)
    sink.abort()
    assert [item.name for item in small_disk.iterdir()] == ["o.partial.mp4"]
    command = ["ffmpeg", "-v", "quiet", "-i", str(small_disk / "o.partial.mp4"), "-f", "framemd5", "-"]
    played = subprocess.run(command, capture_output=True, check=False, text=True).stdout
    assert sum(not line.startswith("#") for line in played.splitlines()) > 3


@pytest.mark.parametrize("name", ["r.mkv", "r.mp4"])
@pytest.mark.parametrize("room", [0, 3000, 90_000])
def test_a_recording_on_a_full_disk_plays_or_is_gone(small_disk: Path, name: str, room: int) -> None:
    with (small_disk / "old").open("wb", buffering=0) as old:
        old.write(bytes(96 * 1024 - room))
    frames = noisy(60)
    sink = RecordingSink(str(small_disk / name), about(frames), Options())
    with pytest.raises(SinkError, match=f"no space left.*free in {small_disk}: make room"):
        write(sink, frames)
    sink.abort()
    left = sorted(item.name for item in small_disk.iterdir())
    assert left == (["old"] if room < 50_000 else ["old", name])
    if room >= 50_000:
        assert len(decoded(small_disk / name, "gray")) > 3


def test_the_demos_own_files_on_a_full_disk_are_named_and_gone(small_disk: Path) -> None:
    with pytest.raises(SinkError, match=f"{small_disk}/new/demo-input.mp4: no space left.*make room"):
        demo(small_disk / "new", method="threshold")
    assert list(small_disk.iterdir()) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder that takes no file")
def test_a_picture_is_named_in_a_folder_that_takes_none() -> None:
    with pytest.raises(SinkError, match=r"^/proc/o\.png cannot be written"):
        open_sink("/proc/o.png", about(flat("composite", 1)))
