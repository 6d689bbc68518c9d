"""`streamseg bench`, and what the project's benchmarks measure against: what they tell, never how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import av
import numpy as np
import pytest

from benchmarks import common, environments, peers, programs
from benchmarks.environments import NotToBeHad
from benchmarks.processes import ProcessFailed, Spent
from streamseg import mattes
from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from streamseg.errors import MissingDependencyError, StreamsegError
from streamseg.smooth import Pair
from streamseg.source import open_source
from streamseg.tools.bench import LIMIT, alone, bench, changes, make_clip
from tests import clips, stills
from tests.shared import shared_folder

pytestmark = pytest.mark.slow  # measures, or starts whole benchmarks

ROOT = Path(__file__).parents[2]
SIZE = (160, 120)
DELAY = "STREAMSEG_TEST_DELAY"  # seconds that Slow takes for a frame
STAGES = ["decode", "small picture", "infer", "smooth", "refine", "composite", "encode"]


class Broken:
    """A method that fails."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        raise RuntimeError("it broke")

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Slow:
    """A method that takes as long as the environment says, at least."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        time.sleep(float(os.environ.get(DELAY, "0")) * len(frames))
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Batches:
    """A method that notes how many frames it is given."""

    sizes: ClassVar[list[int]] = []

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        self.sizes.append(len(frames))
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("bench") / "clip.mp4", size=SIZE, frames=12, audio=True)


# --- the clip ---------------------------------------------------------------------------------

def test_the_made_clip_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", size=(320, 180), seconds=1.0)
    streams = {stream["codec_type"]: stream for stream in clips.ffprobe(path, "-show_streams")["streams"]}
    assert (streams["video"]["codec_name"], streams["video"]["width"], streams["video"]["height"]) \
        == ("h264", 320, 180)
    assert streams["video"]["avg_frame_rate"] == "30/1"
    assert streams["video"]["nb_frames"] == "30"
    assert streams["audio"]["codec_name"] == "aac"
    assert float(streams["audio"]["duration"]) == pytest.approx(1.0, abs=0.1)
    first, last = pictures(path)[0], pictures(path)[-1]
    assert np.abs(first.astype(float) - last).mean() > 2  # it moves
    grain = first - cv2.GaussianBlur(first.astype(np.float32), (0, 0), 2)
    assert np.median(np.abs(grain)) > 0.5  # and has a camera's noise


def test_persons_stand_side_by_side(tmp_path: Path) -> None:
    two, one = (pictures(make_clip(tmp_path / f"{count}.mp4", size=(320, 180), seconds=0.1,
                                   persons=count))[0].astype(float) for count in (2, 1))
    assert np.abs(two[:, :160] - two[:, 160:]).mean() < 4
    assert np.abs(one[:, :160] - one[:, 160:]).mean() > 8


def test_the_made_clip_shows_a_person_with_a_rim_as_real_clips_have_it(tmp_path: Path) -> None:
    """Else the model would find nothing, and the blend would be measured on an empty matte."""
    path = make_clip(tmp_path / "clip.mp4", size=(640, 360), seconds=0.1)
    for _, matte in mattes(path, method="person", smooth="none"):
        assert 0.15 < (matte.alpha > 0.5).mean() < 0.5
        assert 0.005 < ((matte.alpha > 0) & (matte.alpha < 1)).mean() < 0.15


def pictures(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]


# --- streamseg bench --------------------------------------------------------------------------

def test_a_row_tells_speed_memory_start_and_every_stage(clip: Path) -> None:
    result = bench(clip, methods=["threshold", "person"], batches=[2], repeats=2, seconds=0.3)
    assert [row["name"] for row in result["rows"]] == [LIMIT, "threshold, batch 2", "person, batch 2"]
    for row in result["rows"]:
        for figure in ("fps", "start_s", "cpu_percent", "peak_rss_mib"):
            assert 0 < row[figure]["min"] <= row[figure]["median"] <= row[figure]["max"]
        assert row["frames"] == 8  # of 25 a second
        assert {"decode", "segment", "composite", "encode"} <= set(row["stages"])
    assert "smooth" not in result["rows"][0]["stages"]
    for row in result["rows"][1:]:
        assert "smooth" in row["stages"]
        assert list(row["alone_ms"]) == STAGES
        assert all(row["alone_ms"][stage] > 0 for stage in STAGES if stage != "composite")  # a difference
    assert "LiteRT" in result["rows"][2]["runs_on"]
    assert result["clip"] == {"name": "clip.mp4", "seconds": 0.3, "width": 160, "height": 120, "rate": 25.0,
                              "format": "yuv420p"}
    json.dumps(result, allow_nan=False)


def test_a_slowed_stage_shows_and_nothing_shows_where_nothing_changed(
        clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = partial(bench, clip, methods=[f"{__name__}:Slow"], repeats=1, seconds=0.2)
    before = measure()
    assert not [change for change in changes(before, before, 0.1) if change.failed]
    monkeypatch.setenv(DELAY, "0.25")
    worse = {change.figure: change for change in changes(before, measure(), 0.1)
             if change.variant != LIMIT and change.failed}
    assert worse["segment ms"].new >= 250  # the others are left to chance: the machine may be busy


def test_a_method_that_fails_does_not_stop_the_others(clip: Path) -> None:
    broken = f"{__name__}:Broken"
    result = bench(clip, methods=["threshold", broken], repeats=1, seconds=0.1)
    assert "fps" in result["rows"][1]
    assert "it broke" in result["rows"][2]["error"]
    with pytest.raises(StreamsegError, match=r"nothing could be measured: .*Broken: .*it broke"):
        bench(clip, methods=[broken], repeats=1, seconds=0.1)


@pytest.mark.parametrize(("batch", "sizes"), [(1, [1] * 5), (4, [4, 4]), (5, [5, 5]), (8, [8, 4])])
def test_a_method_alone_gets_whole_batches_and_more_than_one(
        clip: Path, monkeypatch: pytest.MonkeyPatch, batch: int, sizes: list[int]) -> None:
    monkeypatch.setattr(Batches, "sizes", [])
    monkeypatch.setattr(alone.cv2, "setNumThreads", lambda count: None)  # of this process
    found = alone.stages_alone(clip, 5, {"method": f"{__name__}:Batches", "batch": batch, "smooth": "none"})
    assert Batches.sizes == sizes  # of a clip of 12 frames
    assert list(found) == STAGES


@pytest.mark.parametrize("ahead", [0, 4, 40])
def test_smoothing_alone_is_all_its_work_that_done_ahead_too(
        clip: Path, monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    now = 0.0

    def steady(pairs: Iterator[Pair]) -> Iterator[Pair]:
        """Works a second on each pair as it comes, ``ahead`` of them before it gives the first."""
        nonlocal now
        waiting: list[Pair] = []
        for pair in pairs:
            now += 1
            waiting.append(pair)
            if len(waiting) > ahead:
                yield waiting.pop(0)
        yield from waiting

    monkeypatch.setattr(alone.cv2, "setNumThreads", lambda count: None)  # of this process
    monkeypatch.setattr(alone, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(alone, "create_smoother", lambda *_, **__: steady)
    found = alone.stages_alone(clip, 12, {"method": f"{__name__}:Batches"})
    assert found["smooth"] == 1000


def test_a_picture_is_no_clip_to_measure_with(tmp_path: Path) -> None:
    with pytest.raises(StreamsegError, match="is no video file"):
        bench(stills.image(tmp_path / "photo.png"), methods=["threshold"], repeats=1)


def test_without_a_photo_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.tools.bench import clip as clip_module

    def missing() -> None:
        raise MissingDependencyError("no photo")

    monkeypatch.setattr(clip_module, "photo", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'streamseg\[bench\]', or give a clip"):
        make_clip(tmp_path / "clip.mp4")


def test_quick_as_a_user_types_it(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    done = run("streamseg", "bench", str(clip), "--quick", "--methods", "threshold", "-o", str(folder))
    assert done.returncode == 0, done.stderr
    assert "fps" in done.stderr
    assert {item.name for item in folder.iterdir()} == {"bench.json", "bench-fps.png", "bench-stages.png"}


def run(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True, timeout=280,
                          cwd=ROOT, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})


# --- the project's limits and peers ------------------------------------------------------------

def test_the_must_table_has_every_row_with_its_limit() -> None:
    from benchmarks.offline import ROWS
    musts = {row.name: (row.limit, row.must) for row in ROWS if row.must}
    assert musts == {
        "solid background": ("transcode", 0.92), "picture background": ("transcode", 0.92),
        "blur": ("transcode", 0.90), "matte alone, FFV1": ("decode + FFV1", 0.72),
        "composite + matte + cutout": ("the slowest of them alone", 0.90),
        "composite + matte + previews": ("solid background", 0.75),
        "solid background, 4K": ("transcode, 4K", 0.75)}


def test_the_limit_encodes_every_frame_and_copies_the_sound(clip: Path, tmp_path: Path) -> None:
    assert common.transcode(clip, tmp_path / "limit.mp4") > 0
    streams = clips.ffprobe(tmp_path / "limit.mp4", "-show_streams", "-count_frames")["streams"]
    assert {stream["codec_type"]: stream["nb_read_frames"] for stream in streams}["video"] == "12"
    assert {stream["codec_name"] for stream in streams} == {"h264", "aac"}
    assert common.decode(clip) > 0


def test_a_matte_limit_is_lossless_grey(clip: Path, tmp_path: Path) -> None:
    grey = [av.VideoFrame.from_ndarray(np.full((120, 160), level, np.uint8), "gray") for level in (9, 200)]
    assert common.transcode(clip, tmp_path / "limit.mkv", pictures=grey) > 0
    stream, = clips.ffprobe(tmp_path / "limit.mkv", "-show_streams")["streams"]
    assert (stream["codec_name"], stream["pix_fmt"]) == ("ffv1", "gray")
    assert [int(frame.planes[0].mean()) for frame in open_source(tmp_path / "limit.mkv")] == [9, 200] * 6


def test_pictures_of_a_limit_go_forth_and_back_so_that_nothing_jumps(clip: Path, tmp_path: Path) -> None:
    grey = [av.VideoFrame.from_ndarray(np.full((120, 160), level, np.uint8), "gray") for level in (9, 90, 200)]
    assert common.transcode(clip, tmp_path / "limit.mkv", pictures=grey, most=6) > 0
    assert [int(frame.planes[0].mean()) for frame in open_source(tmp_path / "limit.mkv")] == [9, 90, 200, 90, 9, 90]


def test_the_speed_of_a_long_film_is_without_what_its_first_frame_takes() -> None:
    from benchmarks.offline import steady
    assert steady(101, 101 / 3.0, 1.0) == pytest.approx(50)  # 3 s in all, 1 s of it before the second frame
    assert steady(1, 20.0, 0.05) == 20.0


@pytest.fixture(scope="module")
def person_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("person") / "person.mp4", size=(320, 180), seconds=0.4)


@pytest.fixture(scope="module")
def stand(person_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> programs.Stand:
    """What peers are measured with, where nothing is installed."""
    return programs.Stand(tmp_path_factory.mktemp("peers"), None, person_clip, quick=True, install=False, photos=2)


def test_ours_does_what_is_asked_of_every_peer(stand: programs.Stand) -> None:
    peers.once(stand, programs.ours("cpu"))


def test_a_peer_that_does_not_do_the_work_is_found_out(stand: programs.Stand, person_clip: Path,
                                                       tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="its corner is"):
        peers.check_film(person_clip, person_clip)
    with pytest.raises(ProcessFailed, match="it wrote 3 of 12 frames"):
        peers.check_film(person_clip, stand.short)
    green = clips.video(tmp_path / "green.mp4", size=(320, 180), frames=12, code=False, content=lambda _: np.full(
        (180, 320, 3), programs.COLOUR, np.uint8))
    with pytest.raises(ProcessFailed, match="the person in the middle is not kept"):
        peers.check_film(person_clip, green)
    with pytest.raises(ProcessFailed, match=r"it wrote no photo00\d.png"):
        peers.check_photos(stand.folder(2), tmp_path)
    for name in ("photo000", "photo001"):
        stills.image(tmp_path / f"{name}.png")
    with pytest.raises(ProcessFailed, match="one alpha everywhere"):
        peers.check_photos(stand.folder(2), tmp_path)


def test_ffmpegs_chroma_key_keeps_frames_and_sound(stand: programs.Stand) -> None:
    peer = programs.ffmpeg(stand)
    peers.once(stand, peer)
    streams = clips.ffprobe(stand.work / "ffmpegalonechromakey.mp4", "-show_streams", "-count_frames")["streams"]
    assert [stream["nb_read_frames"] for stream in streams if stream["codec_type"] == "video"] == ["12"]
    assert [stream["codec_name"] for stream in streams if stream["codec_type"] == "audio"] == ["aac"]


def test_what_cannot_be_had_is_named_with_the_reason(stand: programs.Stand) -> None:
    there, missing = peers.made(stand, ["mediapipe", "rembg"], None, "cpu")
    assert [peer.name for peer in there] == ["streamseg"]
    assert "--models DIR" in missing["mediapipe"]
    assert missing["rembg"] == "nothing is installed with --no-install"
    with pytest.raises(NotToBeHad, match="no-such-package-of-anybody"):
        environments.pip(environments.Environment(Path(sys.executable)), ["./no-such-package-of-anybody"])


def test_a_speed_is_without_what_the_start_takes() -> None:
    short, long = Spent(2.0, 1.0, 0, ""), Spent(5.0, 3.0, 0, "")
    assert peers.speed(63, 3, short, long) == 20.0
    assert peers.speed(3, 3, long, long) == pytest.approx(0.6)


@pytest.mark.skipif(not os.environ.get("STREAMSEG_PEERS"), reason="installs other programs: STREAMSEG_PEERS=DIR, where "
                    "their environments are kept")
@pytest.mark.parametrize("name", programs.MAKERS)
def test_a_peer_does_the_work(name: str, person_clip: Path, tmp_path: Path) -> None:
    keep = Path(os.environ["STREAMSEG_PEERS"])
    stand = programs.Stand(tmp_path, keep, person_clip, quick=True, install=True, photos=2)
    models = shared_folder() / "models"
    peers.once(stand, programs.MAKERS[name](stand, models) if name == "mediapipe" else programs.MAKERS[name](stand))
