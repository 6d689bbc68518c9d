"""Clocks that begin late, jump ahead or have nothing to do with each other; pauses that are meant stay as they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamseg.api import run
from streamseg.core.frames import Frame
from streamseg.source import open_source
from streamseg.source.leaps import Leaps
from streamseg.source.packet_sync import PacketSync
from streamseg.source.realtime import Realtime
from streamseg.source.timeline import Timeline
from tests import clips
from tests.unit.live_fakes import FakeClock

from .source_tools import read
from .test_source_packets import CHEAP

TIME_OF_DAY = 1_700_000_000


def film(path: Path, **more: object) -> Path:
    return clips.video(path, size=(64, 48), frames=50, audio=True, b_frames=0, code=False, **more)  # 2 s


def moved(source: Path, target: Path, shift: Callable[[str, float], int | None]) -> Path:
    """A copy whose packets are ``shift(kind of track, seconds)`` later; None leaves one out."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        tracks = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is None or packet.time_base is None:
                continue
            later = shift(packet.stream.type, float(packet.dts * packet.time_base))
            if later is not None:
                ticks = round(later / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
                packet.stream = tracks[packet.stream_index]
                new.mux(packet)
    return target


def times(frames: list[Frame]) -> list[float]:
    return [float(frame.time or 0) for frame in frames]


def sounds(frames: list[Frame]) -> list[float]:
    return [float(packet.pts * packet.time_base) for frame in frames for packet in frame.packets]


def spans(path: Path) -> dict[str, tuple[float, float]]:
    """Of each kind of track, by ffprobe: when its first packet begins, and its last one."""
    found = {}
    for kind in ("v:0", "a:0"):
        packets = clips.ffprobe(path, "-select_streams", kind, "-show_entries", "packet=pts_time,dts_time")["packets"]
        own = [float(packet.get("pts_time", packet.get("dts_time"))) for packet in packets]  # AVI knows the latter
        found[kind[0]] = (min(own), max(own))
    return found


def even(values: list[float], most: float) -> bool:
    return all(0 < after - before < most for before, after in itertools.pairwise(values))


@pytest.mark.parametrize(("name", "late"), [("a.mp4", 600), ("a.mkv", TIME_OF_DAY), ("a.ts", 36000)])
def test_a_common_start_does_not_make_the_film_longer(tmp_path: Path, name: str, late: int) -> None:
    path = moved(film(tmp_path / "plain.mkv"), tmp_path / name, lambda *_: late)
    source, frames = read(path)
    assert (len(frames), times(frames)[0] < 0.1) == (50, True)
    assert any("the input's clock begins at" in note for note in source.notes)
    assert times(read(path, start=1.0, duration=0.2)[1]) == pytest.approx([0, .04, .08, .12, .16], abs=2e-3)
    for out in (tmp_path / "o.mp4", tmp_path / "o.mkv"):
        run(path, out, **CHEAP)
        assert float(clips.ffprobe(out)["format"]["duration"]) == pytest.approx(2.0, abs=0.1)
        found = spans(out)
        assert found["v"][0] - found["a"][0] == pytest.approx(0.021, abs=0.03)


def test_what_lies_between_the_tracks_is_kept(tmp_path: Path) -> None:
    late = moved(film(tmp_path / "plain.mkv"), tmp_path / "late.mkv", lambda kind, _: 602 if kind == "video" else 600)
    run(late, tmp_path / "o.mp4", **CHEAP)
    found = spans(tmp_path / "o.mp4")
    assert found["v"][0] - found["a"][0] == pytest.approx(2.0, abs=0.05)
    assert float(clips.ffprobe(tmp_path / "o.mp4")["format"]["duration"]) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_a_jump_ahead_is_joined_with_its_sound(tmp_path: Path, name: str) -> None:
    path = moved(film(tmp_path / "plain.mkv"), tmp_path / name, lambda _, time: 3600 if time > 0.9 else 0)
    source, frames = read(path)
    assert len(frames) == 50
    assert even(times(frames), 0.05)
    assert even(sounds(frames), 0.05)
    assert any("the clock jumps ahead once, by 3600 s" in note for note in source.notes)
    run(path, tmp_path / "o.mp4", **CHEAP)
    assert float(clips.ffprobe(tmp_path / "o.mp4")["format"]["duration"]) == pytest.approx(2.0, abs=0.1)
    found = spans(tmp_path / "o.mp4")
    assert found["v"][1] - found["a"][1] == pytest.approx(0, abs=0.06)


def test_recordings_in_a_row_whose_clock_went_on(tmp_path: Path) -> None:
    """As cameras that restart and HLS give them: two transport streams, one file."""
    first = film(tmp_path / "1.ts")
    second = film(tmp_path / "2.ts", start_offset=5000.0)
    whole = tmp_path / "whole.ts"
    whole.write_bytes(first.read_bytes() + second.read_bytes())
    source, frames = read(whole)
    assert len(frames) == 100
    assert even(times(frames), 0.05)
    assert even(sounds(frames), 0.05)
    assert any("jumps ahead once" in note for note in source.notes)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_pause_of_one_track_keeps_its_length(tmp_path: Path, name: str, kind: str) -> None:
    plain = film(tmp_path / "plain.mkv",
                 pts=[300 * n if kind == "audio" else 40 * n if n < 25 else 13000 + 40 * n for n in range(50)])
    path = moved(plain, tmp_path / name, lambda own, time: None if own == kind == "audio" and 1 < time < 13 else 0)
    source, frames = read(path)
    own = times(frames) if kind == "video" else sounds(frames)
    assert max(after - before for before, after in itertools.pairwise(own)) > 11.9
    assert sounds(frames)[-1] == pytest.approx(times(frames)[-1], abs=0.1)
    assert not any("clock" in note for note in source.notes)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
@pytest.mark.parametrize("kind", ["video", "audio"])
def test_tracks_of_two_clocks_begin_together(tmp_path: Path, name: str, kind: str) -> None:
    path = moved(film(tmp_path / "plain.mkv"), tmp_path / name,
                 lambda own, _: TIME_OF_DAY if own == kind else 0)
    source, frames = read(path)
    assert even(sounds(frames), 0.05)
    assert sounds(frames)[0] == pytest.approx(times(frames)[0], abs=0.05)
    assert any("is not that of the pictures" in note for note in source.notes)
    run(path, tmp_path / "o.mkv", **CHEAP)
    assert float(clips.ffprobe(tmp_path / "o.mkv")["format"]["duration"]) == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_sound_that_jumps_alone_goes_on_where_it_was(tmp_path: Path, name: str) -> None:
    path = moved(film(tmp_path / "plain.mkv"), tmp_path / name,
                 lambda kind, time: 3600 if kind == "audio" and time > 0.9 else 0)
    source, frames = read(path)
    assert even(sounds(frames), 0.05)
    assert sounds(frames)[-1] == pytest.approx(times(frames)[-1], abs=0.1)
    assert any("is not that of the pictures" in note for note in source.notes)


@pytest.mark.parametrize(("name", "gap", "joined"), [
    ("a.ts", 20, True), ("a.mkv", 20, False), ("a.mkv", 500, True), ("a.mp4", 500, False)])
def test_without_sound_the_container_tells_a_jump_from_a_pause(tmp_path: Path, name: str, gap: int,
                                                               joined: bool) -> None:
    """MP4 states how long each picture is shown, and Matroska may hold a slide show."""
    path = clips.video(tmp_path / name, size=(64, 48), b_frames=0, code=False,
                       pts=[40 * n + (1000 * gap if n > 5 else 0) for n in range(12)])
    source, frames = read(path)
    length = 11 * 0.04 + (0 if joined else gap)
    assert times(frames)[-1] - times(frames)[0] == pytest.approx(length, abs=0.01)
    assert any("jumps ahead" in note for note in source.notes) == joined


def test_a_time_lapse_is_no_row_of_jumps(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mkv", size=(64, 48), rate=Fraction(1, 600), frames=5, b_frames=0, code=False)
    assert times(read(path)[1]) == pytest.approx([0, 600, 1200, 1800, 2400])


def test_a_single_wrong_time_moves_nothing_behind_it() -> None:
    clock = Timeline(Fraction(1, 1000), 40)
    pictures = []
    for pts in (0, 40, 9_000_000, 120, 160):
        picture = av.VideoFrame(16, 16, "gray")
        picture.pts = pts
        pictures.append(picture)
    leaps = Leaps(clock, PacketSync(clock, list), jumpy=True)
    assert [time for _, time in leaps.timed(iter(pictures))] == [0, 40, 80, 120, 160]
    assert (clock.corrected, clock.leapt) == (1, [])


def test_played_live_a_jump_ahead_is_no_standstill(tmp_path: Path) -> None:
    path = moved(film(tmp_path / "plain.mkv"), tmp_path / "a.ts", lambda _, time: 3600 if time > 0.9 else 0)
    clock = FakeClock()
    source = Realtime(open_source(path), clock)
    began = clock.now()
    assert len(list(source)) == 50
    source.close()
    assert clock.now() - began < 3


def test_good_times_behind_a_jump_outrank_a_header_that_ends_before(tmp_path: Path) -> None:
    from .test_source_untimed import stated_too_short

    plain = clips.video(tmp_path / "plain.webm", size=(64, 48), codec="libvpx-vp9", code=False,
                        pts=[40 * n + (20_000 if n > 5 else 0) for n in range(12)])
    source, frames = read(stated_too_short(plain, 0.2))
    assert times(frames)[-1] - times(frames)[0] == pytest.approx(20.44, abs=0.01)
    assert source.notes == []
