"""The other tracks' packets stay with the picture: from ``start`` on, over a splice, past a dropped frame."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.api import run
from streamseg.core.frames import Frame, Matte
from streamseg.core.words import counted, were
from streamseg.source import open_source
from streamseg.source.packet_sync import PacketSync
from streamseg.source.realtime import Realtime
from streamseg.source.timeline import Timeline
from tests import clips
from tests.media.source_tools import indices, read
from tests.unit.live_fakes import FakeClock

CHEAP: dict[str, Any] = {"method": "threshold", "smooth": "none", "edges": "bilinear", "threads": 1,
                         "background": "green"}
Sound = tuple[Fraction, bytes]


class Slow:
    """A method that takes its time, so that frames are dropped before it."""

    def segment(self, frames: Sequence[Frame]) -> list[Matte]:
        time.sleep(0.05)
        return [Matte(np.ones((8, 8), np.float32)) for _ in frames]

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def heard(path: Path) -> list[Sound]:
    """Time and payload of each packet of sound, as PyAV alone reads them."""
    with av.open(str(path)) as container:
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in container.demux(audio=0)
                if packet.size]


def carried(frames: list[Frame]) -> list[Sound]:
    return [(packet.pts * packet.time_base, bytes(packet)) for frame in frames for packet in frame.packets]


def probed_times(path: Path, stream: str) -> list[Fraction]:
    """When a stream's packets are shown or heard, as ffprobe sees them in their order."""
    found = clips.ffprobe(path, "-select_streams", stream, "-show_entries", "packet=pts_time")["packets"]
    return [Fraction(packet["pts_time"]) for packet in found]


@pytest.mark.parametrize("threads", [1, 16])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_no_packet_of_the_part_is_lost_to_the_decoders_threads(tmp_path: Path, name: str,
                                                              threads: int) -> None:
    """Half of 16 threads decode: they read 8 pictures, and their sound, ahead of the first one given."""
    path = clips.video(tmp_path / name, frames=50, audio=True, gop=25, b_frames=2,
                       options={"preset": "medium"})
    shown = [pts * Fraction(1, 90000) if name == "a.ts" else pts * open_base(path)
             for pts in clips.probed_pts(path) if pts is not None]
    origin = shown[30]
    _, frames = read(path, start=1.2, threads=threads)
    assert indices(frames)[0] == 30
    found = carried(frames)
    wanted = [(when, sound) for when, sound in heard(path) if when >= origin]
    assert [sound for _, sound in found] == [sound for _, sound in wanted]
    assert all(abs(when - (known - origin)) < Fraction(1, 1000)
               for (when, _), (known, _) in zip(found, wanted, strict=True))


def open_base(path: Path) -> Fraction:
    return Fraction(clips.ffprobe(path, "-select_streams", "v:0", "-show_streams")["streams"][0]["time_base"])


def spliced(folder: Path, lengths: Sequence[int]) -> tuple[list[Path], Path]:
    """Transport streams of so many frames, and one that is all of them in a row."""
    parts = [clips.video(folder / f"{number}.ts", frames=length, audio=True, b_frames=2,
                         options={"preset": "medium"}) for number, length in enumerate(lengths)]
    whole = folder / "spliced.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    return parts, whole


@pytest.mark.parametrize("threads", [1, 16])
@pytest.mark.parametrize("lengths", [(32, 28), (28, 40), (30, 28, 29)], ids=str)
def test_sound_goes_over_a_splice_with_the_picture(tmp_path: Path, lengths: tuple[int, ...],
                                                   threads: int) -> None:
    parts, whole = spliced(tmp_path, lengths)
    source, frames = read(whole, threads=threads)
    assert indices(frames) == [index for length in lengths for index in range(length)]
    found, at, left_out = carried(frames), 0, 0
    assert all(before < after for (before, _), (after, _) in itertools.pairwise(found))
    for number, part in enumerate(parts):
        picture = frames[sum(lengths[:number])].time
        assert picture is not None
        offset = picture - clips.probed_pts(part)[0] * Fraction(1, 90000)
        wanted = [(when + offset, sound) for when, sound in heard(part)]
        over = 0 if number == 0 else sum(when < found[at - 1][0] + Fraction(512, 48000) for when, _ in wanted)
        assert over <= 3  # a packet lasts half as long as a frame
        left_out += over
        assert found[at:at + len(wanted) - over] == wanted[over:]
        at += len(wanted) - over
    assert at == len(found)
    assert source.notes == [
        f"{counted(len(lengths) - 1, 'frame time')} did not increase and {were(len(lengths) - 1)} corrected",
        f"{counted(left_out, 'packet')} of the other tracks overlapped with earlier ones where the clock steps back, "
        f"and {were(left_out)} left out"]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.ts"])
def test_a_spliced_stream_is_written_with_its_sound(tmp_path: Path, name: str) -> None:
    parts, whole = spliced(tmp_path, (32, 28))
    out = tmp_path / name
    assert run(whole, out, **CHEAP).frames == 60
    pictures, sounds = probed_times(out, "v:0"), probed_times(out, "a:0")
    assert all(before < after for before, after in itertools.pairwise(sounds))
    assert len(pictures) == 60
    assert 0 <= sum(len(heard(part)) for part in parts) - len(sounds) <= 3
    assert max(after - before for before, after in itertools.pairwise(sounds)) < Fraction(2 * 1024, 48000)
    assert sounds[-1] - sounds[0] == pytest.approx(60 / 25, abs=0.05)


def test_the_end_of_a_part_may_lie_before_a_splice_or_behind_it(tmp_path: Path) -> None:
    _, whole = spliced(tmp_path, (30, 30))
    for duration, frames in ((1.1, 28), (1.2, 30), (1.6, 40)):
        source, found = read(whole, duration=duration, threads=16)
        assert len(found) == frames
        times = [when - found[0].time for when, _ in carried(found)]
        assert times == sorted(times)
        assert duration - 0.05 < times[-1] < duration
        assert len(source.notes) == (0 if duration < 1.2 else 2)


class Tracks:
    """Sound and subtitles by hand: what ``read`` gives next is in ``packets``."""

    def __init__(self, clock: Timeline) -> None:
        self._out = av.open(io.BytesIO(), "w", format="matroska")
        self.sound = self._out.add_stream("aac", rate=48000)
        self.titles = self._out.add_mux_stream("subrip")
        self.packets: list[av.Packet] = []
        self.followers = PacketSync(clock, self.read)

    def read(self) -> list[av.Packet]:
        packets, self.packets = self.packets, []
        return packets

    def take(self, track: Any, *times: int, rest: bool = False) -> list[int]:
        """The times that are given out when packets of these times (ms) have been read."""
        for when in times:
            packet = av.Packet(b"x")
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = when
            packet.duration = 20
            self.packets.append(packet)
        return [packet.pts for packet in self.followers.take(rest=rest)]


def clock_at(*times: int) -> Timeline:
    clock = Timeline(Fraction(1, 1000), 40)
    for when in times:
        clock.time(when)
    return clock


def test_packets_behind_a_splice_wait_until_the_pictures_are_there() -> None:
    clock = clock_at(0, 9960)
    tracks = Tracks(clock)
    assert tracks.take(tracks.sound, 9940, 9960, 0, 20) == [9940, 9960]
    assert tracks.followers.waiting() == {tracks.sound.index}
    assert tracks.take(tracks.sound, 40) == []
    assert clock.time(0) == 10000
    assert tracks.take(tracks.sound) == [10000, 10020, 10040]
    assert tracks.followers.waiting() == set()


def test_packets_from_before_a_splice_may_come_behind_it() -> None:
    clock = clock_at(0, 9960, 0, 40)
    tracks = Tracks(clock)
    assert tracks.take(tracks.sound, 9960, 9980, 0, 20) == [9960, 9980, 10000, 10020]


def test_subtitles_need_no_step_back_to_go_over_a_splice() -> None:
    clock = clock_at(0, 1000)
    tracks = Tracks(clock)
    assert tracks.take(tracks.titles, 1000) == [1000]
    for when in (9960, 0, 3000):
        clock.time(when)
    assert tracks.take(tracks.titles, 3000) == [13000]


def test_a_track_that_steps_back_alone_is_not_kept_waiting() -> None:
    clock = clock_at(0, 9960)
    tracks = Tracks(clock)
    assert tracks.take(tracks.sound, 9960, 5000, 9980) == [9960]
    clock.time(14960)
    assert tracks.take(tracks.sound) == []
    clock.time(15000)
    assert tracks.take(tracks.sound, 10000) == [9980, 10000]
    assert tracks.followers.left_out == 1
    assert tracks.take(tracks.sound, 0, 10020, rest=True) == [10020]
    assert tracks.followers.left_out == 2


def test_the_sound_of_dropped_frames_is_kept(tmp_path: Path) -> None:
    path, out = clips.video(tmp_path / "a.mkv", frames=50, audio=True), tmp_path / "out.mkv"
    source = Realtime(open_source(path), FakeClock())
    report = run(source, out, **{**CHEAP, "method": f"{__name__}:Slow"})
    assert report.dropped == 50 - report.frames > 10
    assert [sound for _, sound in heard(out)] == [sound for _, sound in heard(path)]
    assert probed_times(out, "a:0") == probed_times(path, "a:0")
