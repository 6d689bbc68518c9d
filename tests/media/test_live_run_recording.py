"""Recordings of live runs: they survive kill -9 and a full disk; an old one stays till a new one begins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.core.clock import SystemClock
from streamseg.errors import OptionError, SinkError
from streamseg.live import endpoints as live_places
from streamseg.live import run as live_run
from streamseg.live.controls import TerminalKeys
from streamseg.live.endpoints import Opener
from streamseg.live.options import LiveOptions
from streamseg.live.run import Recorder, run
from streamseg.live.stats import LiveOutput
from streamseg.options import Options
from streamseg.sink.live.recording import RecordingSink
from tests import clips
from tests.media.live_tools import FLAGS, METHOD, ROOT, lines_of, live, started
from tests.messages import messages
from tests.unit.live_fakes import INFO, alive, room_frame


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
    assert f"{target} has failed: " in done.stderr
    assert "null continues" in done.stderr
    assert "Traceback" not in done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert [row["failed"] for row in last["sinks"]] == [False, True]
    assert last["sinks"][0]["frames"] > last["sinks"][1]["frames"] > 0
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


# --- what is there already stays, and what cannot begin leaves nothing ---------------------------------

def test_a_recording_is_not_written_over_an_old_one(clip: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.mkv"
    old.write_text("precious")
    with pytest.raises(SinkError, match="exists"):
        live(clip, str(old))
    assert old.read_text() == "precious"
    assert alive() == []


@pytest.mark.parametrize("part", ["_smoother", "model_of", "CompositeStage", "PreviewWindow", "Controls", "LiveSession",
                                  "on_begin"])
def test_whatever_part_of_a_run_refuses_to_start_the_old_recording_stays(
        clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def refuse(*arguments: Any, **settings: Any) -> Any:
        raise OptionError("it cannot be")

    old = tmp_path / "old.mkv"
    old.write_text("precious")
    if part != "on_begin":
        monkeypatch.setattr(live_run, part, refuse)
    with pytest.raises(OptionError, match="it cannot be"):
        run(str(clip), [str(old), "window"] if part == "PreviewWindow" else [str(old)], on_begin=refuse,
            options=Options(**METHOD, overwrite=True), live=LiveOptions(realtime=True))
    assert old.read_text() == "precious"
    assert [item.name for item in tmp_path.iterdir()] == ["old.mkv"]


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
            live=LiveOptions(realtime=True), on_begin=begin)
    assert list(tmp_path.iterdir()) == []
    assert alive() == []


def test_a_recording_that_cannot_begin_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "talk.mkv"
    with pytest.raises(OptionError):
        RecordingSink(str(target), INFO, Options(codec="no-such-codec"))
    with pytest.raises(OptionError):
        RecordingSink(str(target), INFO, Options(codec_set={"no-such-option": "1"}))
    assert list(tmp_path.iterdir()) == []


# --- the key r ------------------------------------------------------------------------------------------

class FakeEngine:
    """Writes five pictures into what is added; what is removed finishes at once."""

    def add(self, output: LiveOutput) -> None:
        for index in range(5):
            output.sink.write(room_frame(index))

    def remove(self, output: LiveOutput, finished: Callable[[], None]) -> None:
        output.sink.close()
        finished()


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_key_r_starts_a_recording_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                  overwrite: bool) -> None:
    monkeypatch.chdir(tmp_path)
    told = messages()
    opener = Opener(INFO, Options(overwrite=overwrite), None, SystemClock(), False)
    record = Recorder(FakeEngine(), opener)  # type: ignore[arg-type]
    record()
    made, = tmp_path.iterdir()
    assert told == [f"recording to {made.name}"]
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
    told = messages()
    report = live(long_clip, "null", duration=2.0, overwrite=overwrite)
    assert [options.overwrite for options in opened] == [False]
    assert not any(line.startswith("recorded") for line in told), told
    assert any("no space left" in line for line in told), told
    assert [row["failed"] for row in report.outputs] == [False, True]
