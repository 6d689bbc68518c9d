"""Sound in step with the picture: a flash and a beep of the same moment, through two devices' clocks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import streamseg
from streamseg.core.frames import Frame, VideoInfo
from streamseg.errors import OptionError, SourceError
from streamseg.live.capture import Capture
from streamseg.live.composite_stage import CompositeStage
from streamseg.live.microphone import DeviceBlocks, Microphone, microphone_device
from streamseg.live.segment_stage import SegmentStage
from streamseg.live.session import LiveSession
from streamseg.live.stats import LiveOutput
from streamseg.options import Options
from streamseg.sink.live.recording import RecordingSink
from streamseg.source.camera import Device
from tests import clips
from tests.messages import messages
from tests.unit.live_fakes import FakeClock, Keeper, PersonModel, ScriptedCamera, control, wait_for

RATE, BLOCK = 48000, 960
FLASHES = (0.6, 1.4, 2.2)  # seconds
INFO = VideoInfo(64, 48, "yuv420p", Fraction(1, 30), Fraction(30), live=True, name="fake camera")


def block(index: int, beeping: bool) -> av.AudioFrame:
    times = (index * BLOCK + np.arange(BLOCK)) / RATE
    tone = np.sin(2 * np.pi * 1000 * times) * 0.5 * beeping
    made = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", "mono")
    made.sample_rate = RATE
    return made


def beeps(at: float) -> bool:
    return any(flash <= at < flash + 0.1 for flash in FLASHES)


def sound_of(clock: FakeClock, seconds: float, *, late: float = 0.0, drift: float = 1.0,
             lost: tuple[float, float] = (9.0, 9.0)) -> Iterator[av.AudioFrame]:
    """Blocks as a device gives them: each when it is over (and up to ``late`` seconds later), with a quartz
    that is ``drift`` times as fast, without those between the moments ``lost``."""
    begin, random = clock.time, np.random.default_rng(1)
    for index in range(int(seconds * RATE * drift / BLOCK)):
        heard = index * BLOCK / RATE / drift  # when its first sample was
        if lost[0] <= heard < lost[1]:
            continue
        clock.time = begin + heard + BLOCK / RATE / drift + late * random.random()
        yield block(index, beeps(heard))


def starts(frames: list[av.AudioFrame]) -> list[float]:
    """When the beeps begin, by the frames' own times."""
    found, before = [], False
    for frame in frames:
        loud = float(np.abs(frame.to_ndarray()).max()) > 0.1
        if loud and not before:
            found.append(frame.pts / RATE)
        before = loud
    return found


@pytest.mark.parametrize("how", [{}, {"late": 0.015}, {"drift": 1.002}, {"drift": 0.998},
                                 {"lost": (0.8, 1.0)}, {"late": 0.015, "drift": 1.01}], ids=str)
def test_a_beep_keeps_its_time_with_late_threads_drift_and_lost_blocks(how: dict[str, Any]) -> None:
    clock = FakeClock()
    origin = clock.time
    microphone = Microphone(sound_of(clock, 3.0, **how), RATE, "mono", clock, origin)
    sound = microphone.subscribe()
    frames = []
    for _ in microphone.listen():
        frames += sound.take()
    times = [frame.pts for frame in frames]
    assert times == sorted(set(times))
    assert starts(frames) == pytest.approx(FLASHES, abs=0.040)


def test_what_was_heard_before_the_first_picture_is_left_out() -> None:
    clock = FakeClock()
    microphone = Microphone(sound_of(clock, 1.0), RATE, "mono", clock, clock.time + 0.5)
    sound = microphone.subscribe()
    for _ in microphone.listen():
        pass
    first = sound.take()[0]
    assert 0 <= first.pts / RATE < 0.021


@pytest.mark.parametrize(("failure", "words"), [
    (None, "the microphone ended; continuing without sound"),
    (SourceError("the microphone was unplugged"), "the microphone was unplugged; continuing without sound"),
], ids=["ends", "fails"])
def test_a_microphone_that_ends_before_the_pictures_is_told_of_once(failure: Exception | None, words: str
                                                                    ) -> None:
    clock, state, told, ended = FakeClock(), control(), messages(), threading.Event()

    def blocks() -> Iterator[av.AudioFrame]:
        yield block(0, False)
        if failure is not None:
            raise failure

    def commands() -> bool:
        if engine._heard is not None and engine._heard.ended:
            clock.time += 0.5  # so that seconds pass in which it could be told again
            ended.set()
        return False

    camera = ScriptedCamera([picture(index) for index in range(9)], info=INFO,
                            before=lambda number: wait_for(ended))
    engine = LiveSession(Capture(camera, clock, state), SegmentStage(PersonModel(), state),
                    CompositeStage(INFO, Options(), state), [LiveOutput("kept", Keeper())], clock=clock,
                    control=state, commands=commands,
                    sound=Microphone(blocks(), RATE, "mono", clock, clock.time))
    engine.run()
    assert told == [words]


def picture(index: int) -> Frame:
    """White where there is a flash; the index does not matter, the pictures' person is all of it."""
    luma = np.full((48, 64), 235 if beeps(index / 30) else 16, np.uint8)
    chroma = np.full((24, 32), 128, np.uint8)
    return Frame((luma, chroma, chroma), "yuv420p", Fraction(1, 30), index, index)


@pytest.mark.parametrize("name", ["talk.mkv", "talk.mp4"])
def test_flash_and_beep_are_in_step_in_the_recording(tmp_path: Path, name: str) -> None:
    """Both devices run on one made clock: the camera's thread moves it, and waits for sound and recording."""
    clock, state, target = FakeClock(), control(), tmp_path / name
    written = [threading.Event() for _ in range(100)]
    due = threading.Semaphore(0)
    heard = threading.Semaphore(0)
    capture_began = clock.time

    def blocks() -> Iterator[av.AudioFrame]:
        for index in range(int(3 * RATE / BLOCK)):
            if index % 5 == 0:  # five blocks are three frames
                assert due.acquire(timeout=30)
            end = capture_began + (index + 1) * BLOCK / RATE
            stamps.append(end)
            yield block(index, beeps(index * BLOCK / RATE))
            if index % 5 == 4:
                heard.release()

    stamps: list[float] = []

    class SoundClock(FakeClock):
        def now(self) -> float:
            return stamps[-1]

    def before(number: int) -> None:
        wait_for(written[number])
        clock.time = capture_began + number / 30
        if number % 3 == 0:
            due.release()
            assert heard.acquire(timeout=30)

    class Everything(PersonModel):
        def segment(self, frames: Any) -> Any:
            from streamseg.core.frames import Matte
            return [Matte(np.ones((9, 16), np.float32)) for _ in frames]

    microphone = Microphone(blocks(), RATE, "mono", SoundClock(), capture_began)
    sink = RecordingSink(str(target), INFO, Options(), sound=microphone.subscribe())

    class Told(Keeper):
        def write(self, frame: Frame) -> None:
            sink.write(frame)
            self.pictures.append(frame)
            written[len(self.pictures) - 1].set()

        def close(self) -> None:
            sink.close()

        def abort(self) -> None:
            sink.abort()

    camera = ScriptedCamera([picture(index) for index in range(90)], info=INFO, before=before)
    LiveSession(Capture(camera, clock, state), SegmentStage(Everything(), state, skip_still=False),
           CompositeStage(INFO, Options(), state), [LiveOutput("recording", Told())], clock=clock, control=state,
           sound=microphone).run()
    streams = {item["codec_type"]: item["codec_name"] for item in clips.ffprobe(target)["streams"]}
    assert streams == {"video": "h264", "audio": "aac"}
    flashes, sounds = edges(target)
    assert flashes == pytest.approx(FLASHES, abs=0.035)
    assert sounds == pytest.approx(FLASHES, abs=0.035)
    assert np.array(sounds) - np.array(flashes) == pytest.approx(0, abs=0.040)


def edges(target: Path) -> tuple[list[float], list[float]]:
    """When flashes and beeps begin in a file, by its own times."""
    flashes: list[float] = []
    bright = False
    with av.open(str(target)) as container:
        for frame in container.decode(video=0):
            now = frame.to_ndarray(format="gray").mean() > 128
            if now and not bright:
                flashes.append(float(frame.time))
            bright = now
    loud, times = [], []
    with av.open(str(target)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().reshape(-1))
            loud.append(samples)
            times.append(float(frame.time) + np.arange(len(samples)) / frame.rate)
    level = np.convolve(np.concatenate(loud), np.ones(96) / 96, "same") > 0.1
    moments = np.concatenate(times)[np.flatnonzero(np.diff(level.astype(int)) == 1)]
    first = [float(moments[0])]
    return flashes, first + [float(moment) for one, moment in pairwise(moments) if moment - one > 0.3]


def test_a_microphone_of_ffmpegs_gives_its_rate_and_blocks() -> None:
    if "lavfi" not in av.formats_available:
        pytest.skip("this FFmpeg has no lavfi")
    blocks = DeviceBlocks(Device("lavfi", "sine=frequency=440:sample_rate=44100:duration=0.2"))
    samples = sum(item.samples for item in blocks)
    blocks.close()
    assert (blocks.rate, blocks.layout) == (44100, "mono")
    assert samples == 8820


def test_a_microphone_that_is_not_there_or_has_no_sound_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="microphone: no-such-thing"):
        DeviceBlocks(Device("lavfi", "no-such-thing"))
    with pytest.raises(SourceError, match="gives no sound"):
        DeviceBlocks(Device("lavfi", "testsrc=size=64x48"))
    monkeypatch.setattr(av, "formats_available", set())
    with pytest.raises(OptionError, match="no sound devices"):
        microphone_device("default")


def test_the_program_names_a_microphone_that_is_not_there_in_a_line_of_its_own(tmp_path: Path) -> None:
    """ALSA, which FFmpeg asks, writes lines to standard error by itself."""
    clips.video(tmp_path / "a.mkv", frames=3)
    command = [sys.executable, "-m", "streamseg", "live", "a.mkv", "--realtime", "--to", "null", "--method",
               "threshold", "--audio", "no-such-microphone"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, stdin=subprocess.DEVNULL,
                          env={**os.environ, "PYTHONPATH": str(Path(streamseg.__file__).parents[1])})
    assert done.returncode == 1
    line, = done.stderr.splitlines()
    assert line.startswith("streamseg: error: microphone: no-such-microphone")
    assert "without --audio there is no sound" in line
