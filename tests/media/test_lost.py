"""What an output cannot hold is said, and what it can hold is there."""

from __future__ import annotations

import struct
import subprocess
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg.api import run
from streamseg.core.opencv import cv2
from streamseg.core.pixel_formats import Colour, Mastering
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.source import open_source
from streamseg.source.metadata import metadata_of
from tests import clips, stills

from .sink_tools import about, made, probe, write
from .source_tools import read


def notes(sink: Any, frames: Any) -> str:
    return "; ".join(write(sink, frames).notes)


# --- films ---

CHAPTERS = tuple({"id": number, "start": 100 * number, "end": 100 * number + 100,
                  "time_base": Fraction(1, 1000), "metadata": {}} for number in range(3))


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv", "o.webm", "o.nut", "o.avi", "o.ts", "o.gif",
                                  "o.webp", "o.apng"])
def test_chapters_are_kept_or_said_to_be_lost(tmp_path: Path, name: str) -> None:
    frames = made()
    said = notes(open_sink(tmp_path / name, about(frames, chapters=CHAPTERS)), frames)
    kept = 0 if name == "o.webp" else len(probe(tmp_path / name).chapters)  # ffprobe reads no animated WebP
    assert kept == (0 if "the chapters (3) are left out" in said else 3)
    assert "chapters" not in notes(open_sink(tmp_path / f"m{name}", about(frames)), frames)


@pytest.mark.parametrize(("name", "said"), [("o.gif", True), ("o.webp", True), ("o.apng", True),
                                            ("o.mkv", False), ("o.avi", False)])
def test_a_pixel_aspect_that_no_player_sees_is_said_to_be_lost(tmp_path: Path, name: str, said: bool) -> None:
    frames = made()
    wide = notes(open_sink(tmp_path / name, about(frames, sample_aspect=Fraction(4, 3))), frames)
    assert ("the pixel aspect, 4/3, is lost" in wide) == said
    assert "aspect" not in notes(open_sink(tmp_path / f"square_{name}", about(frames)), frames)


@pytest.mark.parametrize(("name", "kind", "options"), [
    ("o.mkv", "matte", {}), ("o.mkv", "cutout", {}), ("o.mov", "cutout", {}), ("o.mp4", "matte", {}),
    ("o.nut", "matte", {}), ("o.avi", "composite", {}), ("o.mkv", "composite", {"codec": "prores_ks"}),
    ("o.mp4", "composite", {"codec": "libvpx-vp9"}), ("o.mkv", "composite", {"codec": "libsvtav1"}),
    ("o.webm", "composite", {"codec": "libvpx"})])
def test_a_pixel_aspect_is_kept_or_said_to_be_lost(tmp_path: Path, name: str, kind: str,
                                                   options: dict[str, Any]) -> None:
    frames = made("gray" if kind == "matte" else "yuv420p", alpha=kind == "cutout")
    info = about(frames, sample_aspect=Fraction(4, 3))
    said = notes(open_sink(tmp_path / name, info, kind=kind, options=Options(**options)), frames)
    kept = probe(tmp_path / name).video.get("sample_aspect_ratio") == "4:3"
    assert kept == ("pixel aspect: 4/3 is lost" not in said)


def test_other_video_streams_are_said_to_be_left_out(tmp_path: Path) -> None:
    one = clips.video(tmp_path / "a.mkv", frames=3)
    two = tmp_path / "two.mkv"
    with av.open(str(one)) as first, av.open(str(one)) as second, av.open(str(two), "w") as out:
        tracks = [out.add_stream_from_template(item.streams.video[0]) for item in (first, second)]
        for item, track in zip((first, second), tracks, strict=True):
            for packet in item.demux(video=0):
                if packet.dts is not None:
                    packet.stream = track
                    out.mux(packet)
    assert "2 video streams, of which one is taken; --stream 0 to 1" in "; ".join(read(two)[0].notes)
    assert read(two, stream=1)[0].notes == []
    assert read(one)[0].notes == []


# --- HDR10 ---

SCREEN = tuple(Fraction(number, 50000) for number in (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450))
HDR = Mastering((*SCREEN, Fraction(1, 10000), Fraction(1000)), (1000, 400))
PQ = Colour(9, 1, 9, 16)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
@pytest.mark.parametrize("name", ["o.mp4", "o.mkv"])
def test_hdr10_goes_through_the_encoders_that_write_it(tmp_path: Path, codec: str, name: str) -> None:
    frames = made("yuv420p10le", 6, colour=PQ)
    sink = open_sink(tmp_path / name, about(frames, mastering=HDR), options=Options(codec=codec))
    out = write(sink, frames)
    assert "HDR10" not in "; ".join(out.notes)
    source = open_source(out.path)
    source.close()
    found = source.info.mastering
    assert found is not None
    assert found.content == HDR.content
    assert [float(item) for item in found.display or ()] == pytest.approx(
        [float(item) for item in HDR.display or ()], rel=0.25, abs=1e-4)  # AV1 counts black in 1/16384


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv", "o.ts"])
@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_an_hdr_film_stays_one_in_h265(tmp_path: Path, name: str, transfer: str) -> None:
    """As ffprobe tells of a film that the ffmpeg program made."""
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=128x96:r=25:d=0.2", "-pix_fmt", "yuv420p10le",
               "-c:v", "libx265", "-x265-params", "log-level=error", "-colorspace", "bt2020nc", "-color_primaries",
               "bt2020", "-color_trc", transfer, str(tmp_path / "hdr.mp4")]
    subprocess.run(command, check=True)
    run(tmp_path / "hdr.mp4", tmp_path / name, method="threshold", background="green")
    video = probe(tmp_path / name).video
    assert [video[key] for key in ("codec_name", "pix_fmt", "color_space", "color_primaries", "color_transfer")] == [
        "hevc", "yuv420p10le", "bt2020nc", "bt2020", transfer]
    if name in ("o.mp4", "o.mov"):
        assert video["codec_tag_string"] == "hvc1"
    told = run(tmp_path / "hdr.mp4", tmp_path / "o.webm", method="threshold", background="green").notes
    assert any("10 bits become 8" in note for note in told)


def test_hdr10_written_by_ffmpeg_is_read(tmp_path: Path) -> None:
    """The oracle: x265 told by the ffmpeg program."""
    params = ("log-level=error:hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
              "L(10000000,1):max-cll=1000,400")
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=gray:s=160x120:d=0.2", "-pix_fmt",
               "yuv420p10le", "-c:v", "libx265", "-x265-params", params, "-colorspace", "bt2020nc",
               "-color_primaries", "bt2020", "-color_trc", "smpte2084", str(tmp_path / "hdr.mp4")]
    subprocess.run(command, check=True)
    assert read(tmp_path / "hdr.mp4")[0].info.mastering == HDR
    assert read(clips.video(tmp_path / "sdr.mp4", frames=2))[0].info.mastering is None


def test_hdr10_that_an_encoder_does_not_write_is_said_to_be_lost(tmp_path: Path) -> None:
    frames = made("yuv420p10le", 6, colour=PQ)
    info = about(frames, mastering=HDR)
    options = Options(codec="ffv1")
    assert "HDR10's metadata" in notes(open_sink(tmp_path / "o.mkv", info, options=options), frames)
    assert "HDR10" not in notes(open_sink(tmp_path / "m.mkv", info, kind="matte"), made("gray10le", 6))


@pytest.mark.parametrize(("kind", "said"), [
    ("DYNAMIC_HDR_PLUS", True), ("DOVI_METADATA", True), ("A53_CC", False)])
def test_metadata_of_single_pictures_is_said_to_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                        kind: str, said: bool) -> None:
    """No encoder here writes any: what FFmpeg would hand over is put in its place."""
    frames = made("yuv420p10le", 3, colour=PQ)
    out = write(open_sink(tmp_path / "o.mkv", about(frames)), frames)
    monkeypatch.setattr("streamseg.source.side_data.side_data", lambda picture: {kind: b""})
    assert ("of single pictures" in "; ".join(read(out.path)[0].notes)) == said


def test_what_was_said_of_hdr10_by_the_user_stays(tmp_path: Path) -> None:
    frames = made("yuv420p10le", 6, colour=PQ)
    options = Options(codec="libx265", codec_set={"x265-params": "log-level=none:max-cll=700,70"})
    out = write(open_sink(tmp_path / "o.mkv", about(frames, mastering=HDR), options=options), frames)
    found = read(out.path)[0].info.mastering
    assert found is not None
    assert found.content == (700, 70)
    assert found.display == HDR.display


# --- pictures ---

def tagged(tags: dict[int, int], order: str = "<") -> bytes:
    """A TIFF of one directory with short values: what EXIF is made of."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entries = b"".join(struct.pack(order + "HHIHH", tag, 3, 1, value, 0)
                       for tag, value in sorted(tags.items()))
    return head + struct.pack(order + "IH", 8, len(tags)) + entries + bytes(4)


def with_exif(path: Path, tags: dict[int, int], order: str = "<") -> Path:
    data, body = path.read_bytes(), b"Exif\0\0" + tagged(tags, order)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:])
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_said_to_be_lost_unless_it_only_turns_the_picture(tmp_path: Path, order: str) -> None:
    folder = stills.folder(tmp_path / "in", ["a.jpg", "b.jpg", "c.jpg"])
    with_exif(folder / "a.jpg", {0x112: 1}, order)
    with_exif(folder / "b.jpg", {0x112: 1, 0x9003: 5}, order)
    with_exif(folder / "c.jpg", {0x9003: 5}, order)
    assert read(folder)[0].notes == ["EXIF (camera, time, place) is not kept: b.jpg, c.jpg"]


def in_png(name: bytes, body: bytes) -> bytes:
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    good, data = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    assert good
    return data.tobytes()[:33] + chunk + data.tobytes()[33:]


def in_jpeg(unit: int, dots: int) -> bytes:
    good, data = cv2.imencode(".jpg", np.zeros((4, 4, 3), np.uint8))
    assert good
    raw = data.tobytes()
    assert raw[6:11] == b"JFIF\0"
    return raw[:13] + struct.pack(">BHH", unit, dots, dots) + raw[18:]


def in_tiff(unit: int, dots: int) -> bytes:
    good, data = cv2.imencode(".tiff", np.zeros((4, 4, 3), np.uint8), [
        cv2.IMWRITE_TIFF_XDPI, dots, cv2.IMWRITE_TIFF_YDPI, dots, cv2.IMWRITE_TIFF_RESUNIT, unit])
    assert good
    return data.tobytes()


@pytest.mark.parametrize(("data", "said"), [
    (in_jpeg(1, 300), True), (in_jpeg(2, 118), True), (in_jpeg(1, 72), False), (in_jpeg(0, 300), False),
    (in_png(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)), True), (in_tiff(2, 300), True),
    (in_png(b"pHYs", struct.pack(">IIB", 11811, 11811, 0)), False), (in_tiff(1, 300), False),
    (in_tiff(2, 96), False), (in_jpeg(1, 300)[:13], False), (b"", False), (b"II*\0\xff\xff\xff\xff", False)])
def test_dots_per_inch_that_somebody_chose_are_said_to_be_lost(data: bytes, said: bool) -> None:
    assert metadata_of(data).unkept == (("the size on paper (dots per inch)",) if said else ())


def test_pages_of_a_tiff_are_counted_and_said_to_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "scan.tiff"
    assert cv2.imwritemulti(str(path), [clips.picture(number) for number in range(3)])
    source, frames = read(path)
    assert len(frames) == 1
    assert source.notes == ["scan.tiff has 3 pages: only the first is taken; save each as a picture of its "
                            "own to take all"]
    assert read(stills.image(tmp_path / "one.tiff"))[0].notes == []


def test_a_tiffs_small_copies_are_no_pages_and_a_ring_ends() -> None:
    first = tagged({0x100: 4})
    small = struct.pack("<HHHIHHI", 1, 0xFE, 4, 1, 1, 0, 0)
    linked = first[:-4] + struct.pack("<I", len(first)) + small
    assert metadata_of(linked).pages == 1
    assert metadata_of(linked[:-8] + struct.pack("<HHI", 0, 0, 0)).pages == 2
    assert metadata_of(first[:-4] + struct.pack("<I", 8)).pages == 1


@pytest.mark.parametrize(("suffix", "lossy"), [(".jpg", True), (".png", False), (".webp", False)])
def test_a_matte_in_a_picture_is_lossless_or_said_to_be_lossy(tmp_path: Path, suffix: str, lossy: bool
                                                              ) -> None:
    (frame,) = made("gray", 1)
    frame = replace(frame, planes=(np.random.default_rng(0).integers(0, 256, (120, 160), np.uint8),))
    out = write(open_sink(tmp_path / f"o{suffix}", about([frame], stills=True), kind="matte"), [frame])
    back = cv2.imread(str(out.path), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(back, frame.planes[0]) != lossy
    assert ("the matte in JPEG is lossy; .png" in "; ".join(out.notes)) == lossy


# --- an earlier run's frames ---

@pytest.mark.parametrize("target", ["f_%03d.png", "folder/"])
def test_frames_of_an_earlier_longer_run_are_named_and_stay(tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    frames = made(count=12)
    assert notes(open_sink(f"{tmp_path}/{target}", about(frames)), frames) == ""
    there = sorted(item for item in tmp_path.rglob("*.png"))
    (there[0].parent / "f_12.txt").write_text("no picture")
    options = Options(overwrite=True)
    assert notes(open_sink(f"{tmp_path}/{target}", about(frames), options=options), frames) == ""
    said = notes(open_sink(f"{tmp_path}/{target}", about(frames), options=options), frames[:9])
    assert f"another run (3: {there[9].name} to {there[11].name}) are left in {there[0].parent}" in said
    assert sorted(item for item in tmp_path.rglob("*.png")) == there
