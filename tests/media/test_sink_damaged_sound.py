"""Sound of which packets are lost, as recordings from the air have it: no muxer takes what is left of them."""

from __future__ import annotations

from pathlib import Path

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
    return without_some(clips.video(tmp_path_factory.mktemp("ts") / "a.ts", frames=120, audio=True))


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv"])
def test_damaged_parts_are_left_out_counted_and_the_rest_is_there(tmp_path: Path, damaged: Path, name: str) -> None:
    report = run(damaged, tmp_path / name, method="threshold", on_error="skip")
    assert report.frames == 120
    assert any("damaged parts of audio track 1 (aac" in note and "are left out" in note for note in report.notes)
    sound = clips.ffprobe(tmp_path / name, "-select_streams", "a:0", "-show_entries", "packet=pts_time")["packets"]
    before = clips.ffprobe(damaged, "-select_streams", "a:0", "-show_entries", "packet=pts_time")["packets"]
    assert 0.8 * len(before) < len(sound) < len(before)


def test_unless_they_are_to_be_skipped_the_damage_is_named(tmp_path: Path, damaged: Path) -> None:
    with pytest.raises(DamagedInputError, match=r"audio track 1 \(aac.*is damaged at .* --on-error skip"):
        run(damaged, tmp_path / "o.mp4", method="threshold")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "tag"), [("o.mp4", "hvc1"), ("o.mov", "hvc1")])
def test_h265_in_mp4_has_the_tag_that_apples_players_take(tmp_path: Path, name: str, tag: str) -> None:
    source = clips.video(tmp_path / "in.mkv", frames=3)
    run(source, tmp_path / name, method="threshold", background="green", codec="libx265")
    streams = clips.ffprobe(tmp_path / name, "-show_entries", "stream=codec_name,codec_tag_string")["streams"]
    assert [(item["codec_name"], item["codec_tag_string"]) for item in streams] == [("hevc", tag)]
