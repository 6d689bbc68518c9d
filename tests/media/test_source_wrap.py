"""Recordings in MPEG-TS that begin shortly before the clock of 33 bits begins anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import pytest

import streamseg
from tests import clips
from tests.media.source_tools import indices, read

WRAP = 2**33 / 90000  # seconds
FRAMES = 50


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("wrap") / "plain.mkv", frames=FRAMES, audio=True)


def wrapping(plain: Path, path: Path, before: float) -> Path:
    """``plain`` as MPEG-TS that begins ``before`` seconds before the wrap; ffmpeg begins 1.4 s late by itself."""
    subprocess.run(["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", "-output_ts_offset", str(WRAP - 1.4 - before),
                    path], check=True)
    with av.open(str(path)) as container:
        assert (container.streams.video[0].start_time or 0) < 0
    return path


@pytest.mark.parametrize(("to", "before"), [(".mp4", 0.3), (".mp4", 1.2), (".mp4", 30.0), (".mov", 1.2), (".mkv", 1.2),
                                            (".ts", 1.2), (".avi", 1.2)])
def test_nothing_before_the_wrap_is_hidden(to: str, before: float, plain: Path, tmp_path: Path):
    path, out = wrapping(plain, tmp_path / "in.ts", before), tmp_path / f"out{to}"
    report = streamseg.run(path, out, method="threshold", background="original")
    found = {item["codec_type"]: item for item in clips.ffprobe(out)["streams"]}
    assert int(found["video"]["nb_read_frames"]) == report.frames == FRAMES
    with av.open(str(out)) as container:
        assert [clips.read_index(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)] == list(
            range(FRAMES))
    stated = {item["codec_type"]: float(item["start_time"]) for item in clips.ffprobe(path)["streams"]}
    late = float(found["video"]["start_time"]) - float(found["audio"]["start_time"])
    assert late == pytest.approx(stated["video"] - stated["audio"], abs=0.05)


def test_a_part_is_counted_from_the_beginning(plain: Path, tmp_path: Path):
    path = wrapping(plain, tmp_path / "in.ts", 1.2)
    source, frames = read(str(path), start=0.8, duration=0.8)
    assert indices(frames) == list(range(20, 40))
    assert frames[0].time == 0
    assert source.info.duration == pytest.approx(0.8, abs=0.05)


def test_what_begins_after_the_wrap_is_as_ever(plain: Path, tmp_path: Path):
    subprocess.run(["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", tmp_path / "in.ts"], check=True)
    _, frames = read(str(tmp_path / "in.ts"))
    assert frames[0].time is not None
    assert float(frames[0].time) == pytest.approx(1.4, abs=0.2)
