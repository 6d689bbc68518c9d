"""Live runs of real files: recordings that survive kill -9, signals, streams, the window and the screen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.errors import OptionError, SinkError, SourceError
from streamseg.live import places as live_places
from streamseg.live import run as live_run
from streamseg.live.clock import SystemClock
from streamseg.live.desk import TerminalKeys
from streamseg.live.figures import LiveReport, Output
from streamseg.live.options import LiveOptions
from streamseg.live.places import Opener
from streamseg.live.run import Recorder, run
from streamseg.options import Options
from streamseg.sink.recording import RecordingSink
from streamseg.source import open_source
from streamseg.source.camera import Device, DeviceSource, screen_device
from tests import clips
from tests.unit.live_fakes import INFO, room_frame

ROOT = Path(__file__).parents[2]
METHOD: dict[str, Any] = {"method": "threshold", "set": {"polarity": "dark"}, "background": "#ff0000"}
FLAGS = ("--json-stats", "-", "--method", "threshold", "--set", "polarity=dark", "--background", "#ff0000")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("live") / "clip.mp4", frames=12)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.video(tmp_path_factory.mktemp("live") / "long.mp4", frames=1500)


def live(source: Any, *to: Any, told: list[str] | None = None, **options: Any) -> LiveReport:
    own = {name: options.pop(name) for name in ("smooth", "duration", "mirror") if name in options}
    return run(str(source), to, options=Options(**{**METHOD, **options}),
               live=LiveOptions(realtime=True, **own), tell=([] if told is None else told).append)


def alive() -> list[str]:
    import threading
    return [item.name for item in threading.enumerate() if item.name.startswith("streamseg-")]


@pytest.mark.parametrize("name", ["talk.mkv", "talk.mp4"])
def test_a_recording_holds_the_person_before_the_background(clip: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    report = live(clip, "null", str(target))
    assert report.frames + report.dropped == 13  # the stand-in and twelve frames
    probed = clips.ffprobe(target)
    stream = probed["streams"][0]
    assert stream["codec_name"] == "h264"
    assert int(stream["nb_read_frames"]) == report.outputs[1]["frames"] > 0
    with av.open(str(target)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    times = clips.probed_pts(target)
    assert times == sorted(set(times))  # type: ignore[type-var]
    red = [np.abs(picture.astype(int) - (254, 0, 0)).max(axis=2) < 40 for picture in pictures]
    mask = clips.truth(11)  # the last frame always goes out, whichever were dropped
    assert red[-1][~mask][2000:].mean() > 0.95  # without the row of blocks at the top
    assert red[-1][mask].mean() < 0.05
    assert alive() == []
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_the_person_model_runs_live(clip: Path) -> None:
    report = live(clip, "null", method="person", set={}, background="blur")
    assert report.frames > 0
    assert report.inferred > 0
    assert report.latency_ms["p95"] is not None


def test_a_recording_is_not_written_over_an_old_one(clip: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.mkv"
    old.write_text("precious")
    with pytest.raises(SinkError, match="exists"):
        live(clip, str(old))
    assert old.read_text() == "precious"
    assert alive() == []


def test_when_one_output_cannot_be_opened_the_others_leave_nothing(clip: Path, tmp_path: Path) -> None:
    first = tmp_path / "first.mkv"
    with pytest.raises(SinkError, match="the folder"):
        live(clip, str(first), str(tmp_path / "missing" / "second.mkv"))
    assert list(tmp_path.iterdir()) == []


def test_what_on_begin_raises_ends_the_run_and_nothing_is_left(clip: Path, tmp_path: Path) -> None:
    def begin() -> None:
        assert list(tmp_path.iterdir()) == []  # a recording is made by its first frame
        raise SinkError("no")

    with pytest.raises(SinkError, match="no"):
        run(str(clip), [str(tmp_path / "talk.mkv")], options=Options(**METHOD),
            live=LiveOptions(realtime=True), tell=print, on_begin=begin)
    assert list(tmp_path.iterdir()) == []
    assert alive() == []


def test_figures_of_a_run_without_its_source_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("precious")
    words = [sys.executable, "-m", "streamseg", "live", str(tmp_path / "none.mp4"), "--realtime", "--to",
             "null", "--method", "threshold", "--overwrite", "--json-stats", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1, done.stderr
    assert "none.mp4" in done.stderr
    assert path.read_text() == "precious"


def test_a_duration_ends_it(long_clip: Path) -> None:
    report = live(long_clip, "null", duration=0.5)
    assert 0.5 <= report.seconds < 30
    assert alive() == []


# --- as a process ---------------------------------------------------------------------------------

def started(*words: str, **environment: str) -> subprocess.Popen[str]:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "streamseg", "live", *words, *FLAGS], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=variables, stdin=subprocess.DEVNULL)


def lines_of(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    assert process.stdout is not None
    found = []
    for _ in range(count):
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        found.append(json.loads(line))
    return found


@pytest.mark.parametrize("name", ["talk.mkv", "talk.mp4"])
def test_after_kill_9_a_recording_plays_up_to_the_last_second(long_clip: Path, tmp_path: Path, name: str
                                                              ) -> None:
    target = tmp_path / name
    process = started(str(long_clip), "--realtime", "--to", str(target))
    try:
        last = lines_of(process, 4)[-1]
    finally:
        process.kill()
        process.communicate()
    with av.open(str(target)) as container:
        count = sum(1 for _ in container.decode(video=0))
    assert count >= last["sinks"][0]["frames"] - 25 - 5  # a second's, and what the encoder's threads hold
    assert count > 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(long_clip: Path, tmp_path: Path, number: int) -> None:
    target = tmp_path / "talk.mkv"
    process = started(str(long_clip), "--realtime", "--to", str(target), "--to", "null")
    lines = lines_of(process, 2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    probed = clips.ffprobe(target)
    assert float(probed["format"]["duration"]) > 1.0  # in the header: the file was finished
    assert int(probed["streams"][0]["nb_read_frames"]) >= lines[-1]["sinks"][0]["frames"]


def test_the_lines_of_figures_are_whole(long_clip: Path) -> None:
    process = started(str(long_clip), "--realtime", "--to", "null", "--duration", "2.5")
    first, second = lines_of(process, 2)
    process.communicate(timeout=60)
    assert process.returncode == 0
    for line in (first, second):
        assert set(line) == {"time", "fps", "latency_ms", "dropped", "cpu_percent", "rss_mib", "step",
                             "paused", "sinks"}
        assert line["cpu_percent"] > 0
    assert second["time"] > first["time"]
    assert 0 < second["latency_ms"]["p50"] <= second["latency_ms"]["p95"]
    assert max(first["fps"], second["fps"]) > 0


def test_several_wrong_things_are_one_line_each() -> None:
    for words, message in ((["--camera", "/dev/none", "--to", "null"], "/dev/none"),
                           (["clip.mp4", "--to", "null"], "--realtime")):
        process = started(*words)
        out, errors = process.communicate(timeout=60)
        assert process.returncode in (1, 2)
        assert out == ""
        line, = errors.splitlines()
        assert line.startswith("streamseg: error: ")
        assert message in line


# --- streams ----------------------------------------------------------------------------------------

def test_a_udp_stream_is_mpegts_that_plays(clip: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 ** 22)
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        report = live(clip, f"udp://127.0.0.1:{port}?pkt_size=1316")
        receiver.setblocking(False)
        received = b""
        while True:
            try:
                received += receiver.recv(65536)
            except BlockingIOError:
                break
    target = tmp_path / "received.ts"
    target.write_bytes(received)
    probed = clips.ffprobe(target)
    assert probed["format"]["format_name"] == "mpegts"
    assert int(probed["streams"][0]["nb_read_frames"]) == report.frames > 0


def test_an_address_that_nobody_listens_at_is_one_clear_error(clip: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening: refused
        address = f"rtmp://127.0.0.1:{taken.getsockname()[1]}/live/secret-key"
        with pytest.raises(SinkError) as caught:
            live(clip, address)
    assert "rtmp://127.0.0.1" in str(caught.value)
    assert "secret-key" not in str(caught.value)


# --- window and screen --------------------------------------------------------------------------------

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


def test_a_source_of_ones_own_is_taken_as_it_is(clip: Path) -> None:
    source = open_source(clip, Options(audio=False))
    report = run(source, ["null"], options=Options(**METHOD), live=LiveOptions(realtime=True),  # type: ignore
                 tell=lambda text: None)
    assert report.frames + report.dropped == 13


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_when_the_disk_is_full_the_others_go_on_and_what_was_recorded_plays(long_clip: Path, tmp_path: Path
                                                                           ) -> None:
    """A limit on the size of files stands in for a full disk: writing fails in the same way, by EFBIG."""
    target = tmp_path / "talk.mkv"
    code = ("import resource, signal, sys\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
            "from streamseg.cli import cli\nsys.exit(cli(sys.argv[1:]))")
    done = subprocess.run(
        [sys.executable, "-c", code, "live", str(long_clip), "--realtime", "--to", "null", "--to",
         str(target), *FLAGS, "--duration", "6", "--bitrate", "2M"], capture_output=True, text=True,
        timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1, done.stderr
    assert f"{target} is gone: " in done.stderr
    assert "null goes on" in done.stderr
    assert "Traceback" not in done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert [row["failed"] for row in last["sinks"]] == [False, True]
    assert last["sinks"][0]["frames"] > last["sinks"][1]["frames"] > 0
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


class FakeEngine:
    """Writes five pictures into what is added; what is removed finishes at once."""

    def add(self, output: Output) -> None:
        for index in range(5):
            output.sink.write(room_frame(index))

    def remove(self, output: Output, finished: Callable[[], None]) -> None:
        output.sink.close()
        finished()


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_key_r_starts_a_recording_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                  overwrite: bool) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[str] = []
    opener = Opener(INFO, Options(overwrite=overwrite), None, SystemClock(), told.append, False)
    record = Recorder(FakeEngine(), opener, told.append)  # type: ignore[arg-type]
    record()
    made, = tmp_path.iterdir()
    assert told == [f"records into {made.name}"]
    record()
    assert told[1] == f"recorded: {made.name}"
    assert made.suffix == ".mkv"
    assert int(clips.ffprobe(made)["streams"][0]["nb_read_frames"]) == 5
    first = made.read_bytes()
    monkeypatch.setattr("time.strftime", lambda pattern: made.name)  # the second that it was has not passed
    for number in (2, 3):
        record()
        record()
        assert told[-1] == f"recorded: {made.stem}-{number}.mkv"
    assert made.read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr("time.strftime", lambda pattern: str(tmp_path / "missing" / "x.mkv"))
    record()
    assert told[-1].startswith("no recording: ")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_recording_by_key_never_overwrites_and_one_that_fails_is_told(
        long_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[Options] = []

    class Full(RecordingSink):
        def __init__(self, target: str, info: Any, options: Options, **rest: Any) -> None:
            super().__init__(target, info, options, **rest)
            opened.append(options)

        def close(self) -> None:
            super().close()
            raise SinkError("no space left on the disk")

    keys = iter([(0.5, "r"), (1.0, "r")])
    due = next(keys)
    began = time.monotonic()

    class Keys(TerminalKeys):
        def __call__(self) -> str:
            nonlocal due
            if time.monotonic() - began < due[0]:
                return ""
            pressed, due = due[1], next(keys, (1e9, ""))
            return pressed

    monkeypatch.setattr(live_places, "RecordingSink", Full)
    monkeypatch.setattr(live_run, "TerminalKeys", Keys)
    told: list[str] = []
    report = live(long_clip, "null", told=told, duration=2.0, overwrite=overwrite)
    assert [options.overwrite for options in opened] == [False]
    assert not any(line.startswith("recorded") for line in told), told
    assert any("no space left" in line for line in told), told
    assert [row["failed"] for row in report.outputs] == [False, True]


@pytest.mark.parametrize("part", ["_smoother", "_model", "Finisher", "Window", "Desk", "Engine", "on_begin"])
def test_whatever_part_of_a_run_refuses_to_start_the_old_recording_stays(
        clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def refuse(*arguments: Any, **settings: Any) -> Any:
        raise OptionError("it cannot be")

    old = tmp_path / "old.mkv"
    old.write_text("precious")
    if part != "on_begin":
        monkeypatch.setattr(live_run, part, refuse)
    with pytest.raises(OptionError, match="it cannot be"):
        run(str(clip), [str(old), "window"] if part == "Window" else [str(old)], on_begin=refuse, tell=print,
            options=Options(**METHOD, overwrite=True), live=LiveOptions(realtime=True))
    assert old.read_text() == "precious"
    assert [item.name for item in tmp_path.iterdir()] == ["old.mkv"]


def test_a_recording_that_cannot_begin_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "talk.mkv"
    with pytest.raises(OptionError):
        RecordingSink(str(target), INFO, Options(codec="no-such-codec"))
    with pytest.raises(OptionError):
        RecordingSink(str(target), INFO, Options(codec_set={"no-such-option": "1"}))
    assert list(tmp_path.iterdir()) == []
