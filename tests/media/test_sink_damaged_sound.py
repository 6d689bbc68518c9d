"""Sound of which packets are lost, as recordings from the air have it: no muxer takes what is left of them."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamseg.api import run
from streamseg.errors import DamagedInputError
from tests import clips

AAC_PID = 257


def without_some(path: Path) -> Path:
    """An MPEG-TS that lacks every 20th of the sound's transport packets."""
    data = path.read_bytes()
    packets = [data[at:at + 188] for at in range(0, len(data), 188)]
    sound = [number for number, packet in enumerate(packets)
             if (packet[1] & 31) << 8 | packet[2] == AAC_PID]
    lost = set(sound[10::20])
    assert len(lost) > 2
    path.write_bytes(b"".join(packet for number, packet in enumerate(packets) if number not in lost))
    return path


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = clips.video(tmp_path_factory.mktemp("ts") / "a.ts", frames=120, audio=True)
    shutil.copy(made, made.with_name("whole.ts"))
    return without_some(made)


def heard(path: Path) -> np.ndarray:
    """The sound as FFmpeg plays it, which joins what lies on both sides of a gap."""
    made = subprocess.run(["ffmpeg", "-v", "error", "-xerror", "-i", str(path), "-map", "0:a:0", "-f", "s16le",
                           "-ac", "1", "-ar", "48000", "-"], capture_output=True, check=True)
    return np.frombuffer(made.stdout, np.int16)


def quiet(sound: np.ndarray) -> int:
    """How many pieces of 10 ms have less than a tenth of the usual power."""
    power = (sound[:len(sound) // 480 * 480].reshape(-1, 480).astype(float) ** 2).mean(1)
    return int((power < np.median(power) / 10).sum())


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv", "o.ts", "o.avi", "o.webm"])
def test_damaged_parts_are_named_and_silent_and_the_rest_is_in_time(tmp_path: Path, damaged: Path, name: str) -> None:
    report = run(damaged, tmp_path / name, method="threshold", on_error="skip", background="green")
    assert report.frames == 120
    copied = name[1:] in (".mp4", ".mov", ".mkv", ".ts")
    assert any("parts of audio track 1 (aac" in note and note.endswith("are left out" if copied else "are silent")
               for note in report.notes)
    assert any(note.startswith("sound of audio track 1 (aac, eng) is missing at ") for note in report.notes)
    sound = heard(tmp_path / name)  # fails at a packet that does not decode
    whole = heard(damaged.with_name("whole.ts"))
    assert abs(len(sound) - len(whole)) < 0.06 * 48000  # without silence .5 s are missing
    assert quiet(whole) + 10 < quiet(sound) < 0.2 * len(sound) / 480


@pytest.mark.parametrize(("codec", "ext"), [
    ("aac", "mkv"), ("libmp3lame", "mkv"), ("mp2", "mkv"), ("ac3", "mkv"), ("eac3", "mkv"), ("libopus", "mkv"),
    ("pcm_s24le", "mkv"), ("libmp3lame", "avi"), ("ac3", "avi"), ("pcm_s24le", "avi"), ("libopus", "avi")])
def test_a_gap_in_a_track_is_filled_with_silence_of_its_own_codec(tmp_path: Path, codec: str, ext: str) -> None:
    whole = clips.video(tmp_path / "whole.mkv", frames=60, size=(64, 48), rate=Fraction(30))
    sine = "sine=frequency=440:sample_rate=48000:duration=2,volume=6dB"
    source = tmp_path / "in.mkv"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(whole), "-f", "lavfi", "-i", sine, "-c:v", "copy", "-c:a", codec,
                    "-bsf:a", r"noise=drop=between(pts\,700\,1099)", str(source)], check=True)
    report = run(source, tmp_path / f"o.{ext}", method="threshold", background="green", on_error="skip")
    assert any(note.startswith("sound of audio") and note.endswith("there it is silent") for note in report.notes)
    sound = heard(tmp_path / f"o.{ext}").astype(float)
    loud = [(sound[at:at + 4800] ** 2).mean() > 1e4 for at in range(0, len(sound) - 4799, 4800)]
    assert abs(len(sound) - 2 * 48000) < 0.09 * 48000
    assert loud[1:6] == [True] * 5
    assert loud[8:10] == [False] * 2
    assert loud[13:18] == [True] * 5


@pytest.mark.parametrize("name", ["o.mp4", "o.ts"])
def test_unless_they_are_to_be_skipped_the_damage_is_named(tmp_path: Path, damaged: Path, name: str) -> None:
    with pytest.raises(DamagedInputError, match=r"audio track 1 \(aac.*is damaged at .* --on-error skip"):
        run(damaged, tmp_path / name, method="threshold")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "tag"), [("o.mp4", "hvc1"), ("o.mov", "hvc1")])
def test_h265_in_mp4_has_the_tag_that_apples_players_take(tmp_path: Path, name: str, tag: str) -> None:
    source = clips.video(tmp_path / "in.mkv", frames=3)
    run(source, tmp_path / name, method="threshold", background="green", codec="libx265")
    streams = clips.ffprobe(tmp_path / name, "-show_entries", "stream=codec_name,codec_tag_string")["streams"]
    assert [(item["codec_name"], item["codec_tag_string"]) for item in streams] == [("hevc", tag)]
