"""`streamseg run` as a user runs it: a process of its own, real files, ffprobe's opinion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg.core.frames import Frame, Matte
from streamseg.core.opencv import cv2
from tests import clips, stills

ROOT = Path(__file__).parents[2]
KILL = "STREAMSEG_TEST_SIGNAL"  # which signal Suicidal sends
LAST = "STREAMSEG_TEST_FRAME"   # the frame at which the methods here end


class Suicidal:
    """A method that sends its own process the signal in the environment in mid-run."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        if frames[0].index == int(os.environ.get(LAST, "3")):
            os.kill(os.getpid(), int(os.environ[KILL]))
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


class Failing:
    """A method that has a defect in mid-run."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        if frames[0].index == int(os.environ.get(LAST, "3")):
            raise ZeroDivisionError("division by zero")
        return [Matte(np.ones((4, 4), np.float32)) for _ in frames]

    def reset(self) -> None: ...

    def close(self) -> None: ...


def streamseg(*arguments: object, cwd: Path | None = None,
              **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "streamseg", *map(str, arguments)], capture_output=True,
                          timeout=120, stdin=subprocess.DEVNULL, cwd=cwd,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment})


def probe(path: object, data: bytes | None = None) -> dict[str, Any]:
    done = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of",
                           "json", str(path)], input=data, capture_output=True, check=True)
    return json.loads(done.stdout)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("run") / "clip.mp4", frames=12, code=False, audio=True)


def test_several_outputs_from_one_run(clip: Path, tmp_path: Path) -> None:
    done = streamseg("run", clip, "-o", tmp_path / "a.mp4", "-o", tmp_path / "b.mov", "--matte",
                     tmp_path / "m.mkv", "--method", "threshold", "--json")
    assert done.returncode == 0, done.stderr
    run, = json.loads(done.stdout)["runs"]
    assert run["frames"] == 12
    assert [output["kind"] for output in run["outputs"]] == ["composite", "cutout", "matte"]
    found = {name: probe(tmp_path / name)["streams"] for name in names(tmp_path)}
    assert {name: streams[0]["codec_name"] for name, streams in found.items()} == {
        "a.mp4": "h264", "b.mov": "prores", "m.mkv": "ffv1"}
    assert {streams[0]["nb_read_frames"] for streams in found.values()} == {"12"}
    assert found["a.mp4"][1]["codec_name"] == "aac"


def test_no_output_is_reported_by_the_name_that_was_given(clip: Path) -> None:
    done = streamseg("run", clip, "-o", "null:", "--method", "threshold", "--json")
    run, = json.loads(done.stdout)["runs"]
    assert [output["path"] for output in run["outputs"]] == ["null:"]


def test_a_stream_has_standard_output_to_itself(clip: Path) -> None:
    done = streamseg("run", clip, "-o", "-", "--method", "threshold", "--verbose")
    assert done.returncode == 0, done.stderr
    assert b"12 frames" in done.stderr
    video = probe("-", done.stdout)["streams"][0]
    assert (video["width"], video["height"], video["nb_read_frames"]) == (160, 120, "12")


def test_a_video_comes_in_through_a_pipe(clip: Path, tmp_path: Path) -> None:
    with clip.with_suffix(".mkv").open("wb") as stream:
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(clip), "-c", "copy", "-f", "matroska", "-"],
                       stdout=stream, check=True)
    with clip.with_suffix(".mkv").open("rb") as stream:
        done = subprocess.run([sys.executable, "-m", "streamseg", "run", "-", "-o", str(tmp_path / "a.mp4"),
                               "--method", "threshold", "-q"], stdin=stream, capture_output=True, timeout=120,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert probe(tmp_path / "a.mp4")["streams"][0]["nb_read_frames"] == "12"


def test_several_inputs_each_go_where_their_name_says(clip: Path, tmp_path: Path) -> None:
    picture = stills.image(tmp_path / "p.png", code=False)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    done = streamseg("run", clip, broken, picture, "-o", f"{tmp_path}/out/", "--matte", f"{tmp_path}/matte/",
                     "--method", "threshold", "--background", "blue")
    assert done.returncode == 1
    assert b"broken.mp4" in done.stderr
    assert b"1 of 3 inputs failed" in done.stderr
    assert names(tmp_path / "out") == ["clip.mp4", "p.png"]
    assert names(tmp_path / "matte") == ["clip.mkv", "p.png"]
    matte = cv2.imread(str(tmp_path / "matte" / "p.png"), cv2.IMREAD_UNCHANGED)
    assert clips.iou(matte > 127, clips.truth(0)) > 0.9


def test_animations_and_strange_pictures_among_several_inputs(tmp_path: Path) -> None:
    moving = stills.animation(tmp_path / "moving.webp", frames=3)
    strange = tmp_path / "strange.ppm"
    cv2.imwrite(str(strange), clips.picture(0, code=False)[:, :, ::-1])
    done = streamseg("run", moving, strange, "-o", f"{tmp_path}/out/", "--matte", f"{tmp_path}/matte/",
                     "--method", "threshold", "--background", "none", "--json")
    assert done.returncode == 0, done.stderr
    assert [run["frames"] for run in json.loads(done.stdout)["runs"]] == [3, 1]
    assert names(tmp_path / "out") == ["moving.webp", "strange.png"]
    assert names(tmp_path / "matte") == ["moving.mkv", "strange.png"]
    assert cv2.imread(str(tmp_path / "out" / "strange.png"), cv2.IMREAD_UNCHANGED).shape[2] == 4


def test_standard_output_that_is_closed_is_one_line(clip: Path) -> None:
    done = subprocess.run(["bash", "-c", '"$0" -m streamseg run "$1" -o - --method threshold >&-',
                           sys.executable, str(clip)], capture_output=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    line, = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (1, b"")
    assert line.startswith("streamseg: error: - means standard output, which is closed")


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_without_standard_error_a_run_does_its_work_and_no_file_gets_its_lines(clip: Path, tmp_path: Path,
                                                                               closed: str) -> None:
    """Each output is opened where standard error would be."""
    out = tmp_path / "o.mkv"
    done = subprocess.run(["bash", "-c", f'"$0" -m streamseg run "$1" -o "$2" --duration 0.1 {closed}', sys.executable,
                           str(clip), str(out)], timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0
    assert clips.ffprobe(out)["streams"][0]["codec_name"] == "h264"
    assert b"TensorFlow" not in out.read_bytes()


@pytest.mark.parametrize(("number", "code", "word"), [(signal.SIGINT, 130, b"interrupted"),
                                                      (signal.SIGTERM, 143, b"terminated"),
                                                      (signal.SIGHUP, 129, b"terminated")])
def test_a_signal_in_mid_run_leaves_things_as_they_were(clip: Path, tmp_path: Path, number: int, code: int,
                                                        word: bytes) -> None:
    (tmp_path / "old.mp4").write_bytes(b"old")
    done = streamseg("run", clip, "-o", tmp_path / "old.mp4", "--overwrite", "--cutout", tmp_path / "new.mov",
                     "--method", f"{__name__}:Suicidal", **{KILL: str(int(number))})
    assert done.returncode == code
    assert done.stderr.split(b"\n", 1)[1].strip() == b"streamseg: " + word  # the first says what it runs on
    assert names(tmp_path) == ["old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == b"old"


@pytest.mark.parametrize(("method", "code"), [("Suicidal", 130), ("Failing", 1)])
@pytest.mark.parametrize(("target", "left"), [("a.mp4", "a.partial.mp4"), ("a/", "a.partial")])
def test_what_keep_partial_keeps_is_named(clip: Path, tmp_path: Path, method: str, code: int, target: str,
                                          left: str) -> None:
    numbered = ["--frames"] if target.endswith("/") else []
    done = streamseg("run", clip, "-o", f"{tmp_path}/{target}", "--keep-partial", *numbered, "--smooth", "none",
                     "--background", "blue", "--method", f"{__name__}:{method}", "-q",
                     **{KILL: str(int(signal.SIGINT)), LAST: "11"})
    assert done.returncode == code
    *_, last = done.stderr.decode().splitlines()
    assert last == f"streamseg: what was written until then is kept as {tmp_path / left}"
    assert (tmp_path / left).exists()


def test_a_defect_of_a_method_is_one_line_and_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    done = streamseg("run", clip, "-o", tmp_path / "a.mp4", "--method", f"{__name__}:Failing", "-q")
    assert done.returncode == 1
    line, = done.stderr.decode().splitlines()
    assert line.startswith("streamseg: error: the method failed on frame 3: ZeroDivisionError")
    assert names(tmp_path) == []
    done = streamseg("run", clip, "-o", tmp_path / "a.mp4", "--method", f"{__name__}:Failing", "-v")
    assert b"Traceback" in done.stderr
    assert b'raise ZeroDivisionError("division by zero")' in done.stderr  # where it came from


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["run", "nothing.mp4", "-o", "a.mp4"], 1, "nothing.mp4"),
    (["run", "clip.mp4", "-o", "clip.mp4"], 1, "exists"),
    (["run", "clip.mp4", "-o", "a.xyz"], 2, ".xyz"),
    (["run", "clip.mp4", "-o", "a.mp4", "--hwaccel", "foo"], 2, "foo"),
    (["run", "clip.mp4", "-o", "a.mp4", "--background", "none"], 2, ".mov"),
    (["run", "clip.mp4", "-o", "a.mp4", "--method", "magic"], 2, "threshold"),
    (["run", "clip.mp4", "-o", "a.mp4", "--method", "adaptive", "--set", "block=14"], 2, "13 or 15"),
    (["run", "clip.mp4", "-o", "a.mp4", "-o", "./a.mp4"], 2, "twice"),
    (["run", "clip.mp4", "-o", "a.mp4", "--rate", "10"], 2, "rate is 10, but clip.mp4 is a video"),
    (["run", "clip.mp4", "-o", "a.mp4", "--only", "*.mp4"], 2, "only is '*.mp4', but clip.mp4 is no folder"),
    (["run", "clip.mp4", "-o", "no/such/a.mp4"], 1, "no/such"),
    (["run", "clip.mp4", "-o", "a" * 260 + ".mp4"], 1, "too long"),
    (["run", "clip.mp4", "-o", "a" * 260 + "/"], 1, "too long"),
    (["run", "clip.mp4", "-o", "a.mp4", "--model", "m" * 300], 2, "medium, large"),
    (["run", "clip.mp4", "-o", "a.mp4", "--model", "m" * 300 + ".onnx"], 2, "is not there"),
    (["run", "clip.mp4", "-o", "clip.mp4/a.mp4"], 1, "clip.mp4 is a file, and no folder"),
    (["run", "clip.mp4", "-o", "http://host/a.mp4"], 1, "http://host/a.mp4 is an address, and this output is a file"),
    (["run", "clip.mp4", "-o", "rtmp://host/"], 1, "`streamseg live --to` sends to rtmp"),
    (["run", "clip.mp4", "-o", "file:///a.mp4"], 1, "give the path itself, /a.mp4"),
    (["run", "clip.mp4", "-o", "a.mp4", "--frames"], 2, "--frames says how files in an output folder are written"),
    (["run", "clip.mp4", "-o", "a.mp4", "--format", "png"], 2, "a.mp4 is none"),
    (["run", "clip.mp4", "-o", "a.mp4", "--codec-set", "preset=foo"], 2, "libx264 does not take"),
    (["run", "clip.mp4", "-o", "a.mp4", "--max-pixels", "10"], 1, "at most 10 are read"),
    (["run", "clip.mp4", "-o", "a.mp4", "--strokes", "none.json"], 2, "'none.json', which cannot be read (No such"),
    (["eval", "e" * 300, "t" * 300], 1, "too long"),
    (["demo", "nothing.mp4"], 1, "nothing.mp4")], ids=str)
def test_a_mistake_is_one_line_that_names_it(clip: Path, tmp_path: Path, arguments: list[str], code: int,
                                             words: str) -> None:
    (tmp_path / "clip.mp4").symlink_to(clip)
    done = streamseg(*arguments, cwd=tmp_path)
    line, = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (code, b"")
    assert line.startswith("streamseg: error: ")
    assert words in line
    assert names(tmp_path) == ["clip.mp4"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("arguments", [["info"], ["methods"], ["completion", "bash"], ["--help"],
                                       ["run", "-h"], ["info", "--json"]], ids=" ".join)
def test_standard_output_that_is_full_is_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "streamseg", *arguments], stdout=full, timeout=120,
                              stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    line, = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert line == ("streamseg: error: standard output cannot be written: No space left on device; make room "
                    "there, or send it elsewhere")


def test_a_reader_that_wants_no_more_gets_no_complaint(tmp_path: Path) -> None:
    long = clips.video(tmp_path / "long.mp4", frames=60, size=(320, 240), code=False)
    script = ('"$0" -m streamseg run "$1" -o - -q --method threshold | head -c 50000 | wc -c; '
              'exit "${PIPESTATUS[0]}"')
    done = subprocess.run(["bash", "-c", script, sys.executable, str(long)], capture_output=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout.strip() == b"50000"
    assert done.stderr == b""
    assert done.returncode == 1
