"""The demo: its clip is what it says, and what it makes of a clip with a known truth is right."""

from __future__ import annotations

import builtins
import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.cli import cli
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import MissingDependencyError, OptionError, SegmentError, SinkError, SourceError
from streamseg.source import open_source
from streamseg.tools import demo as demos
from tests import clips, stills
from tests.media.test_source_errors import http, server


class Broken:
    """A method that fails."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        raise RuntimeError("it broke")

    def reset(self) -> None: ...

    def close(self) -> None: ...


def probe(path: Path) -> list[dict[str, Any]]:
    done = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", path],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["streams"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's clip at a quarter of its size, one second long."""
    monkeypatch.setattr(demos, "SIZE", (320, 180))
    monkeypatch.setattr(demos, "SECONDS", 1)


@pytest.mark.usefixtures("small")
def test_the_clip_has_picture_motion_and_a_tone(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    demos.write_clip(path, demos.photo())
    video, audio = probe(path)
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", 320, 180)
    assert (video["nb_read_frames"], video["avg_frame_rate"]) == ("30", "30/1")
    assert audio["codec_name"] == "aac"
    assert abs(Fraction(audio["duration"]) - 1) < Fraction(1, 10)
    shown = [frame.rgb().astype(float) for frame in open_source(path)]
    steps = [np.abs(one - two).mean() for one, two in pairwise(shown)]
    assert min(steps) > 0.5  # it moves all the time
    assert max(steps) < np.abs(shown[0] - shown[15]).mean()  # but gently
    assert [item.name for item in tmp_path.iterdir()] == ["clip.mp4"]
    assert loudest(path) == pytest.approx(440, abs=5)


def loudest(path: Path) -> float:
    """The frequency with the most power in the first audio track."""
    with av.open(str(path)) as container:
        parts = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    wave = np.concatenate(parts)
    return float(np.argmax(np.abs(np.fft.rfft(wave))) * 48000 / len(wave))


@pytest.mark.usefixtures("small")
def test_the_demo_needs_no_file_and_writes_them_all(tmp_path: Path,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["demo", "--out", str(tmp_path / "new"), "--method", "threshold", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["report"]["frames"], found["report"]["input"]) == (30, found["files"]["input"])
    written = {Path(path).name for path in found["files"].values()}
    assert written == {"demo-input.mp4", "demo-result.mp4", "demo-matte.mkv", "demo-cutout.webm",
                       "demo-look.png"}
    assert {item.name for item in (tmp_path / "new").iterdir()} == written | {"demo-background.png"}
    look = cv2.imread(found["files"]["to look at"])
    assert look.shape == (360, 3 * 640 + 12, 3)


def test_the_demo_of_a_clip_finds_its_subject_in_one_pass(tmp_path: Path,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    clip = clips.video(tmp_path / "mine.mp4", frames=6, code=False, audio=True)
    assert cli(["demo", str(clip), "--out", str(tmp_path), "--method", "threshold",
                "--background", "#0000ff"]) == 0
    err = capsys.readouterr().err
    assert "6 frames" in err
    assert str(tmp_path / "mine-look.png") in err
    for frame in open_source(tmp_path / "mine-matte.mkv"):
        assert clips.iou(frame.luma() > 127, clips.truth(frame.index)) > 0.9
    for frame in open_source(tmp_path / "mine-cutout.webm"):
        assert frame.alpha is not None
        assert clips.iou(frame.alpha > 127, clips.truth(frame.index)) > 0.9
    for frame in open_source(tmp_path / "mine-result.mp4"):
        sure = cv2.erode((~clips.truth(frame.index)).astype(np.uint8), np.ones((7, 7))).astype(bool)
        assert np.median(frame.rgb()[sure], axis=0) == pytest.approx([0, 0, 255], abs=6)
    assert [stream["codec_type"] for stream in probe(tmp_path / "mine-result.mp4")] == ["video", "audio"]
    original, matte, result = np.split(cv2.imread(str(tmp_path / "mine-look.png"))[:, :, ::-1], [486, 972], 1)
    truth = cv2.resize(clips.truth(3).astype(np.uint8), (480, 360)).astype(bool)
    assert clips.iou(matte[:, :480, 0] > 127, truth) > 0.9
    assert np.median(original[:, :480][~truth], axis=0) == pytest.approx(clips.BACKGROUND, abs=8)
    assert np.median(result[~truth], axis=0) == pytest.approx([0, 0, 255], abs=8)


def test_the_demo_of_a_picture_writes_pictures(tmp_path: Path) -> None:
    picture = stills.image(tmp_path / "me.png", code=False)
    made = demos.demo(tmp_path / "out", picture, method="threshold", background="blue")
    assert [path.name for path in (made.result, made.matte, made.cutout)] == [
        "me-result.jpg", "me-matte.png", "me-cutout.png"]
    matte = cv2.imread(str(made.matte), cv2.IMREAD_UNCHANGED)
    assert clips.iou(matte > 127, clips.truth(0)) > 0.9
    assert cv2.imread(str(made.cutout), cv2.IMREAD_UNCHANGED).shape[2] == 4


def test_what_is_looked_at_is_one_moment_of_the_part_that_was_asked_for(tmp_path: Path) -> None:
    clip = clips.video(tmp_path / "mine.mp4", frames=20)
    assert cli(["demo", str(clip), "--out", str(tmp_path), "--method", "threshold", "--background", "#0000ff",
                "--start", "0.4", "--duration", "0.24", "-q"]) == 0
    original = cv2.imread(str(tmp_path / "mine-look.png"))[:, :480]
    assert clips.read_index(cv2.resize(original, clips.SIZE, interpolation=cv2.INTER_AREA)) == 13


@pytest.mark.parametrize(("frames", "cfr", "middle", "shown"), [
    (10, 2, 5, 6),  # one frame, of those less than a quarter of a second in the last
    (40, 50, 20, 20)])  # 80 frames, of which the 40th is the same moment
def test_what_is_looked_at_is_one_moment_at_another_rate_too(tmp_path: Path, frames: int, cfr: int,
                                                             middle: int, shown: int) -> None:
    clip = clips.video(tmp_path / "mine.mp4", frames=frames)
    made = demos.demo(tmp_path / "out", clip, method="threshold", background="original", cfr=cfr)
    original, _, result = np.split(cv2.imread(str(made.look)), [486, 972], 1)
    for picture, index in ((original, middle), (result, shown)):
        small = cv2.resize(picture[:, :480], clips.SIZE, interpolation=cv2.INTER_AREA)
        assert clips.read_index(small) == index


@pytest.mark.parametrize("name", ["matte", "cutout"])
def test_the_demo_writes_matte_and_cutout_itself(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match=rf"{name} is 'm\.mkv', but the demo writes a {name} of its own"):
        demos.demo(tmp_path / "new", method="threshold", **{name: "m.mkv"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small")
def test_what_is_written_already_goes_when_there_is_nothing_to_look_at(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **more: Any) -> None:
        assert {item.name for item in (tmp_path / "new").iterdir()} >= {"demo-result.mp4", "demo-input.mp4"}
        raise SinkError("no space left")

    monkeypatch.setattr(demos, "side_by_side", fails)
    with pytest.raises(SinkError, match="no space left"):
        demos.demo(tmp_path / "new", method="threshold")
    assert list(tmp_path.iterdir()) == []


def test_an_address_stays_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:1/a\.mp4 cannot be opened"):
        demos.demo(tmp_path / "new", "http://127.0.0.1:1/a.mp4")
    assert list(tmp_path.iterdir()) == []
    data = clips.video(tmp_path / "a.mkv", frames=6).read_bytes()
    with server(http(data)) as (address, _):
        address += "?from=here/there"
        made = demos.demo(tmp_path / "out", address, method="threshold", background="blue")
    assert made.files["input"] == address
    assert made.report.input.startswith("http://")
    assert made.result == tmp_path / "out" / "clip-result.mp4"
    address = (tmp_path / "a.mkv").as_uri()
    assert demos.demo(tmp_path / "out", address, method="threshold", background="blue").report.frames == 6
    assert (tmp_path / "out" / "a-look.png").is_file()


def test_a_clip_that_cannot_be_read_again_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"several times, which '-' does not allow: give a file"):
        demos.demo(tmp_path / "new", "-")
    opened = open_source(clips.video(tmp_path / "a.mp4", frames=2))
    opened.info = replace(opened.info, live=True)
    monkeypatch.setattr(demos, "open_source", lambda spec, options: opened)
    with pytest.raises(OptionError, match=r"several times, and rtsp://127\.0\.0\.1/a is live: give a file"):
        demos.demo(tmp_path / "new", "rtsp://127.0.0.1/a")
    assert [item.name for item in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["demo-input.mp4", "demo-background.png", "demo-look.png"])
def test_an_output_that_exists_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(SinkError, match=f"{name} exists"):
        demos.demo(tmp_path, method="threshold")
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [(name, b"mine")]


@pytest.mark.usefixtures("small")
def test_a_demo_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(SegmentError, match="it broke"):
        demos.demo(tmp_path / "new" / "deep", method=f"{__name__}:Broken")
    assert list(tmp_path.iterdir()) == []
    before = {f"demo-{name}": b"mine" for name in ("input.mp4", "background.png", "result.mp4", "look.png")}
    for name, data in before.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(SegmentError, match="it broke"):
        demos.demo(tmp_path, method=f"{__name__}:Broken", overwrite=True)
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_is_an_error_that_names_it(tmp_path: Path,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "afile").write_bytes(b"mine")
    assert cli(["demo", "--out", str(tmp_path / "afile")]) == 1
    assert "afile: no folder can be made there (File exists)" in capsys.readouterr().err


def test_without_matplotlib_the_astronaut_steps_in(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "matplotlib")
    shown = demos.photo().rgb
    assert (shown.shape, shown.dtype) == ((512, 512, 3), np.uint8)


def test_without_any_photo_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "matplotlib", "skimage")
    with pytest.raises(MissingDependencyError, match=r"pip install 'streamseg\[demo\]'"):
        demos.photo()


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Let the import of ``packages`` fail as if they were not installed."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] in packages:
            raise ImportError(f"No module named {name!r}")
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
