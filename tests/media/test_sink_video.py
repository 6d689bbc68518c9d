"""Video outputs: container x kind x depth, with ffprobe and the ffmpeg program as oracles."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamseg.core.frames import Frame
from streamseg.core.pixel_formats import Colour
from streamseg.errors import DeviceError, OptionError, SinkError
from streamseg.options import Options
from streamseg.sink import Sink, open_sink

from .sink_tools import about, decoded, made, probe, write

VFR = [0, 3000, 9000, 10500, 30000, 31500, 60000, 61500]

MATRIX = [  # extension, kind, frames' format -> codec, FFmpeg's pixel format
    (".mp4", "composite", "yuv420p", "h264", "yuv420p"),
    (".mp4", "composite", "yuv420p10le", "h264", "yuv420p10le"),
    (".mp4", "composite", "yuv422p", "h264", "yuv422p"),
    (".m4v", "composite", "yuv420p", "h264", "yuv420p"),
    (".mov", "composite", "yuv420p", "h264", "yuv420p"),
    (".mov", "composite", "yuv444p10le", "h264", "yuv444p10le"),
    (".mkv", "composite", "yuv420p", "h264", "yuv420p"),
    (".mkv", "foreground", "yuv420p10le", "h264", "yuv420p10le"),
    (".avi", "composite", "yuv420p", "h264", "yuv420p"),
    (".webm", "composite", "yuv420p", "vp9", "yuv420p"),
    (".ts", "composite", "yuv420p", "h264", "yuv420p"),
    (".nut", "composite", "yuv420p", "h264", "yuv420p"),
    (".mp4", "composite", "gbrp", "h264", "yuv420p"),
    (".mov", "cutout", "yuv420p", "prores", "yuva444p12le"),
    (".mov", "cutout", "yuv420p10le", "prores", "yuva444p12le"),
    (".mov", "cutout", "gbrp", "prores", "yuva444p12le"),
    (".mkv", "cutout", "yuv420p", "ffv1", "yuva420p"),
    (".mkv", "cutout", "yuv420p10le", "ffv1", "yuva420p10le"),
    (".mkv", "cutout", "gbrp", "ffv1", "bgra"),
    (".mkv", "cutout", "gbrp10le", "ffv1", "gbrap10le"),
    (".mkv", "matte", "gray", "ffv1", "gray"),
    (".mkv", "matte", "gray10le", "ffv1", "gray10le"),
    (".mkv", "matte", "gray12le", "ffv1", "gray12le"),
    (".mkv", "matte", "gray16le", "ffv1", "gray16le"),
    (".mp4", "matte", "gray", "h264", "yuvj420p"),
    (".mp4", "matte", "gray10le", "h264", "yuv420p10le"),
    (".webm", "matte", "gray", "vp9", "yuv420p"),
]


@pytest.mark.parametrize(("extension", "kind", "pixels", "codec", "stored"), MATRIX)
def test_codec_pixel_format_and_every_time_are_what_the_extension_calls_for(
        tmp_path: Path, extension: str, kind: str, pixels: str, codec: str, stored: str) -> None:
    frames = made(pixels, alpha=kind == "cutout")
    target = tmp_path / f"out{extension}"
    sink = write(open_sink(target, about(frames), kind=kind), frames)
    found = probe(target)
    assert (found.video["codec_name"], found.video["pix_fmt"]) == (codec, stored)
    assert (found.video["width"], found.video["height"]) == (160, 120)
    wanted = [float(frame.time or 0) for frame in frames]
    shift = found.times()[0] if extension in (".ts", ".nut") else 0.0  # these cannot begin before zero
    assert np.allclose(np.subtract(found.times(), shift), wanted, atol=0.0006)
    assert isinstance(sink, Sink)
    assert (sink.frames, sink.size, sink.path) == (12, target.stat().st_size, target)
    assert sorted(item.name for item in tmp_path.iterdir()) == [target.name]


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("start", [0, 135000])
def test_variable_rate_and_start_offset_are_kept(tmp_path: Path, extension: str, start: int) -> None:
    times = [start + time for time in VFR]
    frames = made(count=8, pts=times)
    target = tmp_path / f"out{extension}"
    write(open_sink(target, about(frames, variable_rate=True)), frames)
    tick = 1e-6 if extension in (".mp4", ".mov") else 0.00051
    assert np.allclose(probe(target).times(), np.array(times) / 90000, atol=tick, rtol=0)


@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_frames_before_zero_keep_their_distances(tmp_path: Path, extension: str) -> None:
    frames = made(pts=[-6000 + 3000 * index for index in range(12)])
    target = tmp_path / f"out{extension}"
    write(open_sink(target, about(frames)), frames)
    times = probe(target).times()
    assert len(times) == 12
    assert np.allclose(np.diff(times), 1 / 30, atol=0.0011)


@pytest.mark.parametrize("extension", [".mp4", ".mkv", ".mov", ".webm"])
@pytest.mark.parametrize("colour", [Colour(1, 1, 1, 1), Colour(6, 2, 6, 6), Colour(9, 1, 9, 16)])
def test_colour_tags_reach_the_file(tmp_path: Path, extension: str, colour: Colour) -> None:
    frames = made(count=3, colour=colour)
    target = tmp_path / f"out{extension}"
    write(open_sink(target, about(frames)), frames)
    names = {1: "bt709", 6: "smpte170m", 9: "bt2020nc"}
    video = probe(target).video
    assert video["color_space"] == names[colour.matrix]
    assert video["color_range"] == {1: "tv", 2: "pc"}[colour.range]
    assert video["color_primaries"] == {1: "bt709", 6: "smpte170m", 9: "bt2020"}[colour.primaries]
    assert video["color_transfer"] == {1: "bt709", 6: "smpte170m", 16: "smpte2084"}[colour.transfer]
    assert "side_data_list" not in video or not any("rotation" in item for item in video["side_data_list"])


@pytest.mark.parametrize("extension", [".mp4", ".mkv", ".mov"])
def test_sample_aspect_reaches_the_file(tmp_path: Path, extension: str) -> None:
    frames = made(count=3)
    target = tmp_path / f"out{extension}"
    write(open_sink(target, about(frames, sample_aspect=Fraction(4, 3))), frames)
    assert probe(target).video["sample_aspect_ratio"] == "4:3"


@pytest.mark.parametrize("name", ["out.mkv", "out.webm"])
def test_the_picture_is_a_default_track(tmp_path: Path, name: str) -> None:
    frames = made(count=3)
    write(open_sink(tmp_path / name, about(frames)), frames)
    assert probe(tmp_path / name).video["disposition"]["default"] == 1


def test_vp9_says_that_it_holds_no_sample_aspect(tmp_path: Path) -> None:
    frames = made(count=3)
    sink = write(open_sink(tmp_path / "out.webm", about(frames, sample_aspect=Fraction(4, 3))), frames)
    assert any("4/3" in note for note in sink.notes)


@pytest.mark.parametrize(("extension", "reader", "pixels", "tolerance"), [
    (".mkv", (), "yuv420p", 0), (".mkv", (), "yuv420p10le", 0), (".mov", (), "yuv420p", 260),
    (".webm", ("-c:v", "libvpx-vp9"), "yuv420p", 900), (".mkv", (), "gbrp", 0), (".mkv", (), "gbrp12le", 0)])
def test_alpha_reads_back_as_it_was_written(tmp_path: Path, extension: str, reader: tuple[str, ...],
                                            pixels: str, tolerance: int) -> None:
    frames = made(pixels, 4, alpha=True)
    target = tmp_path / f"out{extension}"
    write(open_sink(target, about(frames), kind="cutout"), frames)
    alpha = decoded(target, "rgba64le", *reader)[:, :, 3::4].astype(float)
    assert frames[0].alpha is not None
    wanted = frames[0].alpha.astype(float) * 65535 / frames[0].pixel.peak
    inner = np.zeros((120, 160), bool)  # VP9 rings around the edges of the alpha
    inner[8:52, 8:32] = inner[8:52, 48:152] = inner[68:112, 88:152] = True
    assert np.abs(alpha - wanted)[:, inner].max() <= tolerance + 258  # one step of 255


@pytest.mark.parametrize(("pixels", "lost"), [("yuv422p", ["4:2:2"]), ("yuv444p", ["4:4:4"]),
                                              ("yuv422p10le", ["10 bits", "4:2:2"])])
def test_a_webm_cutout_of_finer_chroma_is_that_of_420_and_says_so(tmp_path: Path, pixels: str, lost: list[str]
                                                                  ) -> None:
    """libvpx-vp9 lists yuva422p and yuva444p, and opens neither."""
    pictures = {}
    for name in ("yuv420p", pixels):  # made() gives each picture one colour, so nothing is lost with it
        frames = made(name, 3, alpha=True)
        sink = write(open_sink(tmp_path / f"{name}.webm", about(frames), kind="cutout"), frames)
        pictures[name] = decoded(tmp_path / f"{name}.webm", "rgba", "-c:v", "libvpx-vp9").astype(int)
    alpha = pictures[pixels][0, :, 3::4]
    assert (alpha[30, 20], alpha[30, 100], alpha[90, 120]) == pytest.approx((0, 255, 191), abs=4)
    assert np.abs(pictures[pixels] - pictures["yuv420p"]).mean() < (2 if "10" in pixels else 0.1)  # of 255
    assert [note.split(" become")[0].replace(" chroma", "") for note in sink.notes] == lost


@pytest.mark.parametrize("pixels", ["gray", "gray10le", "gray16le"])
def test_a_matte_in_matroska_is_lossless(tmp_path: Path, pixels: str) -> None:
    frames = made(pixels, 5)
    write(open_sink(tmp_path / "m.mkv", about(frames), kind="matte"), frames)
    back = decoded(tmp_path / "m.mkv", pixels)
    assert np.array_equal(back, np.stack([frame.planes[0] for frame in frames]))


def test_a_matte_in_mp4_keeps_the_full_range_and_says_it_is_lossy(tmp_path: Path) -> None:
    frames = made("gray", 3)
    planes = [np.where(np.arange(160) < 80, 0, 255).astype(np.uint8)[None].repeat(120, 0)] * 3
    frames = [replace(frame, planes=(plane,)) for frame, plane in zip(frames, planes, strict=True)]
    sink = write(open_sink(tmp_path / "m.mp4", about(frames), kind="matte"), frames)
    back = decoded(tmp_path / "m.mp4", "gray").astype(int)
    assert np.abs(back - np.stack(planes)).max() <= 6
    assert any("lossy" in note for note in sink.notes)


def test_rgb_becomes_yuv_with_the_matrix_that_is_tagged(tmp_path: Path) -> None:
    rgb = np.array([[200, 40, 30]], np.uint8)
    planes = tuple(np.full((720, 96), value, np.uint8) for value in (rgb[0, 1], rgb[0, 2], rgb[0, 0]))
    frames = [Frame(planes, "gbrp", Fraction(1, 25), index, index, Colour(0, 2, 1, 13)) for index in range(2)]
    write(open_sink(tmp_path / "o.mp4", about(frames)), frames)
    assert probe(tmp_path / "o.mp4").video["color_space"] == "bt709"
    assert np.abs(decoded(tmp_path / "o.mp4", "rgba")[0, 300, :4].astype(int) - [200, 40, 30, 255]).max() <= 3


@pytest.mark.parametrize(("extension", "size"), [(".mp4", (162, 122)), (".webm", (161, 121))])
def test_an_odd_size_loses_nothing(tmp_path: Path, extension: str, size: tuple[int, int]) -> None:
    frames = made(size=(161, 121), count=3)
    target = tmp_path / f"out{extension}"
    sink = write(open_sink(target, about(frames)), frames)
    video = probe(target).video
    assert (video["width"], video["height"]) == size
    grey = decoded(target, "gray").astype(int)
    assert np.abs(grey[0, :121, :161] - np.clip((frames[0].planes[0].astype(int) - 16) * 255 / 219, 0, 255)
                  ).mean() < 6
    assert any("161x121" in note for note in sink.notes) == (extension == ".mp4")


def test_an_odd_cutout_keeps_its_size_in_every_alpha_video(tmp_path: Path) -> None:
    for extension in (".mov", ".mkv", ".webm"):
        frames = made(size=(161, 121), count=3, alpha=True)
        write(open_sink(tmp_path / f"o{extension}", about(frames), kind="cutout"), frames)
        video = probe(tmp_path / f"o{extension}").video
        assert (video["width"], video["height"]) == (161, 121), extension


def test_constant_rate_repeats_and_leaves_out_frames_and_counts_them(tmp_path: Path) -> None:
    frames = made(count=8, pts=VFR)
    info = about(frames, variable_rate=True)
    sink = write(open_sink(tmp_path / "o.avi", info, options=Options(cfr=20)), frames)
    times = probe(tmp_path / "o.avi").times()
    # ticks of the frames: 0 1 2 2 7 7 13 14, so 15 frames of which two inputs are left out
    assert np.allclose(times, np.arange(15) / 20)
    assert any("2 left out" in note and "9 repeated" in note for note in sink.notes)


def test_variable_rate_into_avi_names_the_remedies(tmp_path: Path) -> None:
    frames = made(count=8, pts=VFR)
    with pytest.raises(OptionError, match=r"--cfr.*\.mkv"):
        open_sink(tmp_path / "o.avi", about(frames, variable_rate=True))
    sink = open_sink(tmp_path / "o.avi", about(frames))  # not known beforehand: found at the frame
    with pytest.raises(SinkError, match=r"frame 3 at 0\.117 s.*--cfr"):
        write(sink, frames)
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_encoder_options_reach_the_encoder(tmp_path: Path) -> None:
    frames = made(count=6)
    write(open_sink(tmp_path / "a.mp4", about(frames), options=Options(codec_set={"preset": "slow"})), frames)
    write(open_sink(tmp_path / "b.mp4", about(frames), options=Options(quality=90)), frames)
    write(open_sink(tmp_path / "c.mp4", about(frames), options=Options(bitrate="300k")), frames)
    told = {name: (tmp_path / f"{name}.mp4").read_bytes() for name in "abc"}
    assert b"rc=crf" in told["a"]
    assert b"subme=8" in told["a"]
    assert b"crf=6.0" in told["b"]
    assert b"bitrate=300" in told["c"]
    assert all(b"sliced_threads=0" in item for item in told.values())


@pytest.mark.parametrize("codec", ["libx265", "ffv1", "mpeg4", "mjpeg", "libsvtav1"])
def test_any_encoder_may_be_named(tmp_path: Path, codec: str) -> None:
    frames = made(count=4, time_base=Fraction(1, 30), pts=range(4))
    write(open_sink(tmp_path / "o.mkv", about(frames), options=Options(codec=codec)), frames)
    video = probe(tmp_path / "o.mkv").video
    assert video["codec_name"] == {"libx265": "hevc", "libsvtav1": "av1"}.get(codec, codec)
    rgb = decoded(tmp_path / "o.mkv", "rgba").reshape(4, 120, 160, 4)[..., :3].astype(int)  # JPEG's matrix is BT.601's
    assert np.abs(rgb.mean((1, 2)) - np.stack([frame.rgb().mean((0, 1)) for frame in frames])).max() < 4


@pytest.mark.parametrize(("target", "kind", "options", "message"), [
    ("o.mp4", "cutout", {}, r"\.mp4 cannot hold transparency; use \.mov"),
    ("o.jpg", "cutout", {}, r"\.jpg cannot hold transparency"),
    ("o.xyz", "composite", {}, r"'\.xyz'.*\.mp4"),
    ("noname", "composite", {}, "no extension"),
    ("o.mp4", "composite", {"codec": "libx246"}, "libx246.*libx264"),
    ("o.mp4", "composite", {"codec": "aac"}, "encodes audio"),
    ("o.webm", "composite", {"codec": "libx264"}, "cannot hold libx264"),
    ("o.mkv", "cutout", {"codec": "libx264"}, "libx264 cannot hold transparency"),
    ("o.mp4", "composite", {"codec_set": {"presset": "slow"}}, "no option presset; near it: preset"),
    ("o.mp4", "composite", {"codec_set": {"preset": "warp"}}, "preset=warp"),
    ("o.mp4", "composite", {"bitrate": "fast"}, "bitrate is 'fast'"),
    ("o.mp4", "composite", {"bitrate": "4M", "quality": 5}, "exclude"),
    ("o.mp4", "composite", {"hwaccel": "warp"}, "allowed are: cuda"),
    ("o.mp4", "nonsense", {}, "composite, cutout, matte, foreground"),
])
def test_what_cannot_work_is_refused_before_anything_is_computed(
        tmp_path: Path, target: str, kind: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        open_sink(tmp_path / target, about(made(count=1)), kind=kind, options=Options.of(options))
    assert list(tmp_path.iterdir()) == []


def test_hardware_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="h264_videotoolbox"):
        open_sink(tmp_path / "o.mp4", about(made(count=1)), options=Options(hwaccel="videotoolbox"))


def test_encoder_options_do_not_touch_the_matte(tmp_path: Path) -> None:
    frames = made("gray", 3)
    options = Options(codec="libx264", quality=10, codec_set={"preset": "slow"})
    write(open_sink(tmp_path / "m.mkv", about(frames), kind="matte", options=options), frames)
    assert probe(tmp_path / "m.mkv").video["codec_name"] == "ffv1"


def test_decoded_frame_types_are_not_forced_upon_the_encoder(tmp_path: Path) -> None:
    frames = [Frame.from_av(item.to_av(), item.index, time_base=item.time_base) for item in made(count=12)]
    for frame in frames:
        assert frame.owner is not None
        frame.owner.pict_type = 1  # I
    write(open_sink(tmp_path / "o.mp4", about(frames)), frames)
    packets = probe(tmp_path / "o.mp4").packets[0]
    assert sum("K" in packet["flags"] for packet in packets) == 1


def test_a_frame_of_another_size_is_refused_with_a_way_out(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "o.mp4", about(made(count=1)))
    sink.write(made(count=1)[0])
    with pytest.raises(SinkError, match=r"frame 1 \(b\.png\) is 80x60.*folder.*a sequence, frame_%05d\.png"):
        sink.write(replace(made(count=2, size=(80, 60))[1], name="b.png"))
    sink.abort()
    assert list(tmp_path.iterdir()) == []
