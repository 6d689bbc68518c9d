"""Video inputs, against ffprobe and against clips whose every frame is known."""

from __future__ import annotations

import itertools
import math
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.core.frames import VideoInfo
from streamseg.core.pixel_formats import FORMATS
from streamseg.options import Options
from streamseg.source import open_source
from streamseg.source.normalise import Normaliser, layout
from streamseg.source.orientation import Turn
from streamseg.source.video import VideoSource
from tests import clips
from tests.media.source_tools import indices, read


@pytest.mark.parametrize(("name", "arguments"), [
    ("a.mp4", {"audio": True}),
    ("a.mkv", {"audio": ["eng", "deu"], "subtitles": True}),
    ("a.mov", {"audio": True}),
    ("a.webm", {"audio": True}),
    ("a.avi", {"audio": True}),
    ("a.ts", {"audio": True}),
    ("a.flv", {"audio": True}),
    ("a.mpg", {"audio": True}),
    ("a.nut", {}),
    ("a.y4m", {}),
    ("h265.mkv", {"codec": "libx265", "pix_fmt": "yuv420p10le"}),
    ("av1.mkv", {"codec": "libsvtav1"}),
    ("422.mov", {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}),
    ("odd.mkv", {"codec": "ffv1", "size": (161, 121)}),
    ("444.mkv", {"codec": "libx264", "pix_fmt": "yuv444p", "size": (97, 75)}),
    ("b_frames.mp4", {"b_frames": 3, "options": {"preset": "medium"}, "frames": 30}),
    ("vfr.mkv", {"pts": [0, 40, 50, 200, 201, 600]}),
    ("vfr.mp4", {"pts": [0, 40, 50, 200, 201, 600]}),
    ("ntsc.mp4", {"rate": Fraction(30000, 1001)}),
    ("offset.mkv", {"start_offset": 2.5, "audio": True}),
    ("offset.mp4", {"start_offset": 2.5, "audio": True}),
])
def test_every_frame_comes_once_in_order_at_its_own_time(tmp_path: Path, name: str,
                                                         arguments: dict[str, Any]) -> None:
    path = clips.video(tmp_path / name, **arguments)
    source, frames = read(path)
    count = len(arguments.get("pts", range(arguments.get("frames", 12))))
    assert indices(frames) == list(range(count))
    assert [frame.index for frame in frames] == list(range(count))
    known = clips.probed_pts(path)
    assert [frame.pts for frame, pts in zip(frames, known, strict=True) if pts is not None] == [
        pts for pts in known if pts is not None]
    assert all(before.pts < after.pts for before, after in itertools.pairwise(frames))
    probed = next(stream for stream in clips.ffprobe(path)["streams"] if stream["codec_type"] == "video")
    info = source.info
    assert (info.width, info.height) == (probed["width"], probed["height"])
    assert info.time_base == Fraction(probed["time_base"]) == frames[0].time_base
    assert info.format == frames[0].format == probed["pix_fmt"]
    assert int(probed["nb_read_frames"]) == count
    assert source.damaged == 0
    assert source.notes == []


def test_tracks_chapters_and_metadata_are_told_and_no_packet_is_lost(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "full.mkv", audio=["eng", "deu"], subtitles=["fra"], chapters=True,
                       metadata={"title": "A title"}, sar=Fraction(4, 3), frames=30)
    source, frames = read(path)
    info = source.info
    assert [(track.kind, track.language) for track in info.tracks] == [
        ("audio", "eng"), ("audio", "deu"), ("subtitle", "fra")]
    assert [chapter["metadata"]["title"] for chapter in info.chapters] == ["One", "Two"]
    assert info.metadata["title"] == "A title"
    assert info.sample_aspect == Fraction(4, 3)
    found = [(packet.stream_index, packet.pts) for frame in frames for packet in frame.packets]
    probed = clips.ffprobe(path, "-show_entries", "packet=stream_index,pts")["packets"]
    assert found == [(item["stream_index"], item["pts"]) for item in probed if item["stream_index"] != 0]


def test_the_chapters_of_an_mp4_are_not_a_track_as_well(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mp4", audio=True, chapters=True)
    assert [stream["codec_type"] for stream in clips.ffprobe(path, "-show_streams")["streams"]] == [
        "video", "audio", "data"]
    source, frames = read(path)
    assert [track.kind for track in source.info.tracks] == ["audio"]
    assert {packet.stream_index for frame in frames for packet in frame.packets} == {1}
    assert len(source.info.chapters) == 2


def test_no_audio_reads_no_other_track(tmp_path: Path) -> None:
    source, frames = read(clips.video(tmp_path / "a.mkv", audio=True, subtitles=True), audio=False)
    assert source.info.tracks == ()
    assert all(not frame.packets for frame in frames)


@pytest.mark.parametrize("colour", [
    {"matrix": 1, "range": 1, "primaries": 1, "transfer": 1},
    {"matrix": 1, "range": 2, "primaries": 1, "transfer": 1},
    {"matrix": 6, "range": 1, "primaries": 6, "transfer": 6},
    {"matrix": 9, "range": 1, "primaries": 9, "transfer": 16},
])
def test_colour_tags_are_kept_and_give_the_true_colours(tmp_path: Path, colour: dict[str, int]) -> None:
    path = clips.video(tmp_path / "tags.mkv", colour=colour, pix_fmt="yuv444p")
    source, frames = read(path)
    for tags in (source.info.colour, frames[5].colour):
        assert (tags.matrix, tags.range, tags.primaries, tags.transfer) == tuple(colour.values())
    assert np.abs(frames[5].rgb().astype(int) - clips.picture(5)).mean() < 6


PIXEL_FORMATS = [
    ("yuv420p", "yuv420p"), ("yuv422p", "yuv422p"), ("yuv444p", "yuv444p"), ("yuv440p", "yuv444p"),
    ("yuv411p", "yuv422p"), ("yuv410p", "yuv420p"), ("yuv420p9le", "yuv420p10le"),
    ("yuv422p10le", "yuv422p10le"), ("yuv420p12le", "yuv420p12le"), ("yuv444p14le", "yuv444p12le"),
    ("yuv420p16le", "yuv420p12le"), ("gray", "gbrp"), ("gray16le", "gbrp16le"), ("bgr0", "gbrp"),
    ("gbrp10le", "gbrp10le"), ("gbrp14le", "gbrp16le"), ("gbrp16le", "gbrp16le"),
    ("yuva420p", "yuv420p"), ("yuva444p10le", "yuv444p10le"), ("bgra", "gbrp"), ("gbrap16le", "gbrp16le"),
]


@pytest.mark.parametrize(("stored", "working"), PIXEL_FORMATS)
def test_pixel_formats_become_working_ones_without_loss(tmp_path: Path, stored: str, working: str) -> None:
    pictures = [clips.noise(stored, (64, 48), seed) for seed in range(2)]
    path = clips.video(tmp_path / "noise.mkv", codec="ffv1", pix_fmt=stored, size=(64, 48), frames=2,
                       options={"strict": "experimental"}, content=lambda index: pictures[index])
    with av.open(str(path)) as container:
        decoded = [picture.reformat() for picture in container.decode(video=0)]
    source, frames = read(path)
    assert source.info.format == working
    alpha = stored.startswith(("yuva", "gbra", "bgra"))
    assert source.info.has_alpha == alpha == (frames[0].alpha is not None)
    for frame, picture in zip(frames, decoded, strict=True):
        target, span = layout(picture.format.name).target, 2 if frame.pixel.rgb else 1
        fresh = picture.reformat(format=target, src_color_range=span, dst_color_range=span,
                                 threads=1)
        wanted = clips.samples(fresh, working)
        assert all(np.array_equal(plane, other) for plane, other in zip(frame.planes, wanted, strict=True))
        stored_depth = max(part.bits for part in picture.format.components)
        raised = first_plane(picture) * 2.0 ** (frame.pixel.depth - stored_depth)
        lost = np.abs(frame.planes[0] - raised).max()
        assert lost <= {"yuv444p14le": 1, "yuv420p16le": 1, "gbrp14le": 16}.get(stored, 0)


def first_plane(picture: av.VideoFrame) -> np.ndarray:
    """The samples of the first plane (of packed RGB: green) without padding, as int32."""
    plane, depth = picture.planes[0], max(part.bits for part in picture.format.components)
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:picture.height]
    samples = rows.view(np.uint8 if depth == 8 else "<u2").astype(np.int32)
    packed = picture.format.name.startswith("bgr")
    return samples[:, 1:4 * picture.width:4] if packed else samples[:, :picture.width]


@pytest.mark.parametrize(("packed", "planar", "order"), [
    ("rgb24", "gbrp", (1, 2, 0)), ("bgr24", "gbrp", (1, 0, 2)), ("rgba", "gbrap", (1, 2, 0, 3)),
    ("argb", "gbrap", (2, 3, 1, 0)), ("rgb48le", "gbrp16le", (1, 2, 0)),
    ("rgba64be", "gbrap16le", (1, 2, 0, 3)),
])
def test_packed_rgb_keeps_every_sample(packed: str, planar: str, order: tuple[int, ...]) -> None:
    assert layout(packed).target == planar
    picture = clips.noise(packed, (64, 48))
    samples = picture.to_ndarray().astype(np.uint16)
    frame = Normaliser(Turn(), fixed=True).frame(picture, 0, 0, Fraction(1, 25), None)
    found = [*frame.planes, *([frame.alpha] if frame.alpha is not None else [])]
    assert all(np.array_equal(plane, samples[..., place]) for plane, place in zip(found, order, strict=True))


def test_a_working_format_is_not_copied(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mkv", codec="ffv1")
    _, frames = read(path)
    assert all(frame.owner is not None and frame.to_av() is frame.owner for frame in frames)


@pytest.mark.parametrize(("name", "arguments"), [
    ("a.webm", {"pix_fmt": "yuva420p"}),
    ("a8.webm", {"pix_fmt": "yuva420p", "codec": "libvpx", "options": {"auto-alt-ref": "0"}}),
    ("a.mov", {"pix_fmt": "yuva444p10le", "codec": "prores_ks"}),
    ("ql.mov", {"pix_fmt": "argb", "codec": "qtrle"}),
    ("a.mkv", {"pix_fmt": "yuva420p", "codec": "ffv1"}),
    ("a.apng", {"pix_fmt": "rgba"}),
])
def test_alpha_of_the_input_is_kept(tmp_path: Path, name: str, arguments: dict[str, Any]) -> None:
    source, frames = read(clips.video(tmp_path / name, alpha=True, **arguments))
    assert source.info.has_alpha
    assert len(frames) == 12
    for frame in frames:
        assert frame.alpha is not None
        mask = frame.alpha > frame.pixel.peak // 2
        assert clips.iou(mask, clips.truth(frame.index)) > 0.97
        assert frame.alpha.max() >= 0.95 * frame.pixel.peak


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("rotation", "mirror"), [(90, False), (180, False), (270, False), (0, True),
                                                  (90, True), (180, True), (270, True)])
def test_the_display_matrix_is_applied(tmp_path: Path, suffix: str, rotation: int, mirror: bool) -> None:
    def stored(index: int) -> np.ndarray:  # undoes what FFmpeg does: turn counter-clockwise, then mirror
        shown = clips.picture(index, upright)
        return np.ascontiguousarray(np.rot90(shown[:, ::-1] if mirror else shown, -rotation // 90))

    size, upright = (160, 120), (160, 120) if rotation % 180 == 0 else (120, 160)
    path = clips.video(tmp_path / f"turned{suffix}", rotation=rotation, hflip=mirror, size=size,
                       content=stored, sar=Fraction(4, 3), pix_fmt="yuv420p")
    if suffix == ".mkv" and mirror:
        pytest.skip("Matroska stores a turn, no mirror")
    source, frames = read(path)
    assert (source.info.width, source.info.height) == upright
    assert source.info.sample_aspect == (Fraction(4, 3) if rotation % 180 == 0 else Fraction(3, 4))
    assert indices(frames) == list(range(12))
    assert np.abs(frames[3].rgb().astype(int) - clips.picture(3, upright)).mean() < 8
    assert np.abs(frames[0].rgb().astype(int) - shown_by_ffmpeg(path, upright)).mean() < 4


def shown_by_ffmpeg(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The first picture as the ffmpeg program shows it, which turns it by itself."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("the ffmpeg program, this test's oracle, is not installed")
    done = subprocess.run([program, "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo",
                           "-pix_fmt", "rgb24", "-"], check=True, capture_output=True, timeout=60)
    return np.frombuffer(done.stdout, np.uint8).reshape(size[1], size[0], 3).astype(int)


@pytest.mark.parametrize("stored", ["yuv422p", "yuv422p10le", "yuv420p", "yuva420p", "gbrp10le"])
def test_turned_samples_are_the_stored_ones(tmp_path: Path, stored: str) -> None:
    picture = clips.noise(stored, (65, 47))
    path = clips.video(tmp_path / "turned.mkv", rotation=90, size=(65, 47), codec="ffv1", pix_fmt=stored,
                       frames=1, content=lambda index: picture)
    source, (frame,) = read(path)
    assert (frame.width, frame.height) == (47, 65)
    assert np.array_equal(frame.planes[0], np.rot90(np.frombuffer(
        picture.planes[0], frame.pixel.dtype).reshape(47, -1)[:, :65]))
    if "422" in stored:
        assert source.info.format == stored.replace("422", "444")
    elif stored in FORMATS:
        wanted = [np.rot90(plane) for plane in clips.samples(picture)]
        assert all(np.array_equal(plane, other) for plane, other in zip(frame.planes, wanted, strict=True))
    assert (frame.alpha is not None) == stored.startswith("yuva")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.avi", "a.flv", "a.nut", "a.y4m",
                                  "a.h264", "a.apng"])
@pytest.mark.parametrize(("start", "duration"), [(1.0, 0.2), (0.1, 0.4), (0.0, 0.3), (1.3, None)])
def test_start_and_duration_are_exact(tmp_path: Path, name: str, start: float,
                                      duration: float | None) -> None:
    arguments: dict[str, Any] = {"pix_fmt": "rgb24"} if name == "a.apng" else {}
    if name == "a.h264":
        arguments["format"] = "h264"
    path = clips.video(tmp_path / name, frames=40, gop=9, **arguments)
    source, frames = read(path, start=start, duration=duration)
    first = math.ceil(Fraction(str(start)) * 25)
    last = 40 if duration is None else first + math.ceil(Fraction(str(duration)) * 25)
    assert indices(frames) == list(range(first, last))
    assert [frame.index for frame in frames] == list(range(last - first))
    if start:
        assert frames[0].pts == 0
    if duration is not None and source.info.duration is not None:
        assert source.info.duration == pytest.approx(duration)


def test_preview_is_a_duration_and_the_smaller_counts(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mp4", frames=40)
    assert len(read(path, preview=0.2, duration=1.0)[1]) == 5
    assert len(read(path, preview=1.0, duration=0.2)[1]) == 5


@pytest.mark.parametrize("part", [{}, {"duration": 0.4}, {"preview": 0.41}, {"start": 0.8, "duration": 0.5},
                                  {"start": 0.2, "duration": 0.3}], ids=str)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_the_number_of_frames_to_expect_is_right_for_parts_too(tmp_path: Path, name: str,
                                                               part: dict[str, float]) -> None:
    path = clips.video(tmp_path / name, frames=24, code=False)
    source = open_source(path, Options(**part))
    expected = source.info.expected_frames
    assert expected == len(list(source))
    source.close()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_sound_is_cut_and_shifted_with_the_picture(tmp_path: Path, name: str) -> None:
    path = clips.video(tmp_path / name, frames=60, audio=True, gop=9, b_frames=2,
                       options={"preset": "medium"}, start_offset=0.5)
    _, frames = read(path, start=1.0, duration=0.6)
    times = [float(packet.pts * packet.time_base) for frame in frames for packet in frame.packets]
    assert times == sorted(times)
    assert -0.001 <= times[0] < 0.03
    assert 0.55 < times[-1] < 0.6
    assert len(times) == pytest.approx(0.6 * 48000 / 1024, abs=1.5)


def test_chapters_follow_start_and_duration(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mkv", frames=50, chapters=True)
    source, _ = read(path, start=0.8, duration=0.8)
    times = [(float(item["start"] * item["time_base"]), float(item["end"] * item["time_base"]))
             for item in source.info.chapters]
    assert times == [(0.0, pytest.approx(0.2, abs=0.02)), (pytest.approx(0.2, abs=0.02), pytest.approx(0.8))]


def test_a_stream_is_chosen_by_number(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        tracks = [out.add_stream("ffv1", rate=25) for _ in range(2)]
        for number, track in enumerate(tracks):
            track.width, track.height, track.pix_fmt = 160 + 16 * number, 120, "yuv420p"
        for number, track in enumerate(tracks):
            size = (160 + 16 * number, 120)
            frame = clips.as_frame(clips.picture(40 + number, size), size, "yuv420p")
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            out.mux([*track.encode(frame), *track.encode(None)])
    for number in range(2):
        source, frames = read(path, stream=number)
        assert source.info.width == 160 + 16 * number
        assert indices(frames) == [40 + number]


def test_interlaced_is_told_and_deinterlaced_on_demand(tmp_path: Path) -> None:
    def fields(index: int) -> np.ndarray:  # each second line is of the moment after
        woven = clips.picture(2 * index)
        woven[1::2] = clips.picture(2 * index + 1, code=False)[1::2]
        return clips.write_index(woven, index)

    path = clips.video(tmp_path / "fields.mkv", interlaced=True, content=fields, frames=10)
    source, woven = read(path)
    assert source.notes == ["interlaced; --deinterlace makes it progressive"]
    source, made = read(path, deinterlace=True)
    assert source.notes == []
    assert [frame.pts for frame in made] == [frame.pts for frame in woven] == clips.probed_pts(path)
    known = clips.ffprobe(path, "-select_streams", "v:0", "-show_entries", "packet=duration")["packets"]
    assert [frame.duration for frame in made] == [packet["duration"] for packet in known] == [40] * 10
    assert indices(made) == list(range(10))
    combing = [np.abs(np.diff(frames[5].planes[0][20:].astype(int), 2, axis=0)).mean()
               for frames in (woven, made)]
    assert combing[1] < 0.5 * combing[0]


def test_a_change_of_size_in_mid_stream_is_scaled_and_told(tmp_path: Path) -> None:
    source, frames = read(clips.resolution_change(tmp_path / "change.h264"))
    assert {(frame.width, frame.height) for frame in frames} == {(160, 120)}
    assert indices(frames) == list(range(12))
    assert source.notes == ["raw h264 has no times: 25 frames a second are assumed; --rate sets another rate",
                            "the picture changes its size: 6 frames were scaled to 160 x 120"]


def test_frames_without_times_get_increasing_ones(tmp_path: Path) -> None:
    _, frames = read(clips.video(tmp_path / "a.h264", format="h264", frames=10, b_frames=0))
    times = [frame.time for frame in frames]
    assert times == [Fraction(number, 25) for number in range(10)]


def test_the_content_counts_and_not_the_extension(tmp_path: Path) -> None:
    path = clips.video(tmp_path / "a.mp4").rename(tmp_path / "a.png")
    assert indices(read(path)[1]) == list(range(12))


@pytest.mark.parametrize("spec", ["str", "path", "url"])
def test_paths_come_in_three_forms(tmp_path: Path, spec: str) -> None:
    path = clips.video(tmp_path / "with space %d.mkv", frames=2)
    given = {"str": str(path), "path": path, "url": f"file://{path}"}[spec]
    assert len(read(given)[1]) == 2


def test_variable_rate_is_told_of_mp4(tmp_path: Path) -> None:
    assert open_and_close(clips.video(tmp_path / "v.mp4", pts=[0, 40, 50, 200, 240])).variable_rate
    assert not open_and_close(clips.video(tmp_path / "c.mp4")).variable_rate
    assert not open_and_close(clips.video(tmp_path / "n.mp4", rate=Fraction(30000, 1001))).variable_rate


def open_and_close(path: Path) -> VideoInfo:
    source = open_source(path)
    source.close()
    return source.info


def test_a_source_passes_through(tmp_path: Path) -> None:
    source = open_source(clips.video(tmp_path / "a.mkv", frames=2))
    assert isinstance(source, VideoSource)
    assert open_source(source) is source
    source.close()


def test_frames_stay_valid_after_close(tmp_path: Path) -> None:
    source = open_source(clips.video(tmp_path / "a.mkv", frames=8))
    frames = iter(source)
    first = next(frames)
    source.close()
    assert clips.read_index(first.rgb()) == 0
