"""on_resize="split": a film whose picture changes its size becomes a file for each size, all of them or none."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg import mattes
from streamseg.api import run
from streamseg.core.frames import Frame, Matte
from streamseg.errors import OptionError, SegmentError, SinkError
from tests import clips

SIZES = ((160, 120), (320, 240))
TONE = r"aevalsrc=if(lt(t\,1)\,sin(2*PI*440*t)\,sin(2*PI*880*t)):s=48000:d=2"


class FailsLate:
    """A method that fails in the second size."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        if frames[0].width == SIZES[1][0]:
            raise SegmentError("the second size is too much")
        return [Matte(np.ones((12, 16), np.float32)) for _ in frames]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of each size in a second each, with a tone each."""
    made = tmp_path_factory.mktemp("sizes") / "a.ts"
    raw = clips.resolution_change(made.with_name("a.h264"), SIZES)
    subprocess.run(["ffmpeg", "-v", "error", "-r", "6", "-i", str(raw), "-f", "lavfi", "-i", TONE, "-c:v", "copy",
                    "-c:a", "aac", str(made)], check=True)
    return made


def tone(path: Path) -> tuple[float, float]:
    """The loudest frequency in Hz, and the sound's length in seconds."""
    made = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-vn", "-f", "s16le", "-ac", "1", "-ar", "48000",
                           "-"], capture_output=True, check=True)
    sound = np.frombuffer(made.stdout, np.int16).astype(float)
    middle = sound[len(sound) // 4:len(sound) * 3 // 4]
    return float(np.abs(np.fft.rfft(middle)).argmax() * 48000 / len(middle)), len(sound) / 48000


def picture_of(path: Path) -> dict[str, Any]:
    """What ffprobe says of the pictures."""
    return next(stream for stream in clips.ffprobe(path)["streams"] if stream["codec_type"] == "video")


def test_each_size_has_a_file_with_its_pictures_times_and_sound(tmp_path: Path, film: Path) -> None:
    told = []
    report = run(film, tmp_path / "o.mp4", on_resize="split", method="threshold", background="green",
                 matte=str(tmp_path / "m.mkv"), progress=told.append)
    assert report.frames == told[-1].frames == told[-1].total == 12
    assert {Path(item.path).name for item in report.outputs} == {"o.mp4", "o.2.mp4", "m.mkv", "m.2.mkv"}
    assert {path.name for path in tmp_path.iterdir()} == {"o.mp4", "o.2.mp4", "m.mkv", "m.2.mkv"}
    assert any("160 x 120 from" in note and "320 x 240 from" in note for note in report.notes)
    for number, (name, heard) in enumerate((("o.mp4", 440), ("o.2.mp4", 880))):
        picture = picture_of(tmp_path / name)
        assert (picture["width"], picture["height"], picture["nb_read_frames"]) == (*SIZES[number], "6")
        frequency, length = tone(tmp_path / name)
        assert abs(frequency - heard) < 15
        assert 0.9 < length < 1.1
        times = clips.ffprobe(tmp_path / name, "-select_streams", "v", "-show_entries", "packet=pts_time")["packets"]
        first = min(float(packet["pts_time"]) for packet in times)
        last = max(float(packet["pts_time"]) for packet in times)
        assert last - first == pytest.approx(5 / 6, abs=0.002)
        assert number == 0 or first == pytest.approx(0, abs=0.002)
        matte = picture_of(tmp_path / name.replace("o", "m", 1).replace("mp4", "mkv"))
        assert (matte["width"], matte["nb_read_frames"]) == (SIZES[number][0], "6")


def test_a_part_of_the_film_is_split_too(tmp_path: Path, film: Path) -> None:
    report = run(film, tmp_path / "o.mkv", on_resize="split", method="threshold", background="green", start=0.4,
                 duration=1.0)
    counts = [picture_of(tmp_path / name)["nb_read_frames"]
              for name in ("o.mkv", "o.2.mkv")]
    assert report.frames == sum(map(int, counts)) == 6
    assert all(int(count) > 1 for count in counts)


def test_all_files_appear_or_none(tmp_path: Path, film: Path) -> None:
    with pytest.raises(SegmentError, match="the second size is too much"):
        run(film, tmp_path / "o.mp4", on_resize="split", method=FailsLate())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "o.2.mp4").write_bytes(b"mine")
    with pytest.raises(SinkError, match=r"o\.2\.mp4 exists"):
        run(film, tmp_path / "o.mp4", on_resize="split", method=FailsLate())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_one_size_is_one_file(tmp_path: Path) -> None:
    source = clips.video(tmp_path / "a.mp4", frames=3)
    run(source, tmp_path / "o.mp4", on_resize="split", method="threshold", background="green")
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "o.mp4"}


def test_what_cannot_be_split_is_refused(tmp_path: Path, film: Path) -> None:
    for target in ("-", "null:", f"{tmp_path}/o/", tmp_path / "o_%05d.png", io.BytesIO()):
        with pytest.raises(OptionError, match="begins a new film at each size"):
            run(film, target, on_resize="split", format="mp4", method="threshold")
    with pytest.raises(OptionError, match="where it changes its size is not known"):
        run(io.BytesIO(film.read_bytes()), tmp_path / "o.mp4", on_resize="split", method="threshold")
    with pytest.raises(OptionError, match="only `run` of a film into films"):
        next(mattes(film, on_resize="split", method="threshold"))
    assert list(tmp_path.iterdir()) == []
