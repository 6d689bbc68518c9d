"""Marks that belong to the picture: 3D and VR, captions, QuickTime's tags, the track's title. ffprobe is the oracle."""

from __future__ import annotations

import re
import struct
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import streamseg
from streamseg.core.spatial import Spatial
from streamseg.options import Options
from streamseg.sink import open_sink
from streamseg.sink.spatial import not_kept
from tests import clips
from tests.media.source_tools import read

A53 = b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x14\x2c\xff"  # ATSC A/53: one pair of CEA-608


def marks(path: Path) -> dict[str, dict[str, Any]]:
    """ffprobe's side data of the picture's stream, by kind."""
    found = clips.ffprobe(path, "-show_streams", "-select_streams", "v")["streams"][0].get("side_data_list", [])
    return {item["side_data_type"]: item for item in found}


def written(path: Path, spatial: Spatial, *, codec: str | None = None, frames: int = 5) -> Path:
    """A film with those marks, by the sink."""
    source, given = read(str(clips.video(path.with_name("plain.mkv"), frames=frames)))
    sink = open_sink(path, replace(source.info, spatial=spatial, tracks=()), options=Options(codec=codec, audio=False))
    for frame in given:
        sink.write(frame)
    sink.close()
    return path


def captioned(path: Path, frames: int = 6) -> Path:
    """H.264 with a caption in each picture, as SEI messages."""
    raw = clips.video(path.with_suffix(".h264"), frames=frames, b_frames=0, options={"x264-params": "slices=1"})
    sei, zeros = bytearray(), 0
    for byte in bytes([4, len(A53)]) + A53 + b"\x80":
        if zeros >= 2 and byte <= 3:
            sei.append(3)
            zeros = 0
        sei.append(byte)
        zeros = 0 if byte else zeros + 1
    parts = re.split(rb"(?=\x00\x00\x01)", raw.read_bytes())
    raw.write_bytes(b"".join((b"\0\0\1\x06" + bytes(sei) if _begins_picture(part) else b"") + part for part in parts))
    subprocess.run(["ffmpeg", "-v", "error", "-r", "25", "-i", raw, "-c", "copy", path], check=True)
    return path


def _begins_picture(part: bytes) -> bool:
    return len(part) > 4 and part[:3] == b"\0\0\1" and part[3] & 31 in (1, 5) and bool(part[4] & 0x80)


def captions(path: Path) -> int:
    """In how many pictures ffprobe finds captions."""
    frames = clips.ffprobe(path, "-show_frames", "-select_streams", "v")["frames"]
    return sum(any("A53" in item["side_data_type"] for item in frame.get("side_data_list", [])) for frame in frames)


# --- 3D and VR --------------------------------------------------------------------------------

@pytest.mark.parametrize("to", [".mkv", ".mp4", ".webm"])
@pytest.mark.parametrize(("mode", "layout"), [("left_right", "side by side"), ("top_bottom", "top and bottom")])
def test_the_layout_of_two_views_stays(mode: str, layout: str, to: str, tmp_path: Path):
    plain = clips.video(tmp_path / "plain.mkv", frames=4, audio=True)
    subprocess.run(["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", "-metadata:s:v", f"stereo_mode={mode}",
                    tmp_path / "in.mkv"], check=True)
    out = tmp_path / f"out{to}"
    report = streamseg.run(tmp_path / "in.mkv", out, method="threshold", background="green")
    assert marks(out)["Stereo 3D"]["type"] == layout
    assert not any("3D" in note for note in report.notes)
    assert clips.ffprobe(out)["streams"][0]["nb_read_frames"] == "4"
    assert clips.probed_pts(out) == clips.probed_pts(out, "v:0")


@pytest.mark.parametrize("to", [".mov", ".avi", ".ts", ".gif", "%d.png"])
def test_where_there_is_no_room_for_the_layout_a_note_says_so(to: str, tmp_path: Path):
    written(tmp_path / "in.mkv", Spatial(1))
    report = streamseg.run(tmp_path / "in.mkv", tmp_path / f"out{to}", method="threshold", background="green")
    assert any("stereoscopic 3D) is left out" in note for note in report.notes)


@pytest.mark.parametrize("layout", [(1, True), (2, True), (4, False), (6, True), (7, False)])
def test_matroska_keeps_the_rarer_layouts_and_mp4_says_that_it_does_not(layout: tuple[int, bool], tmp_path: Path):
    spatial = Spatial(*layout)
    found, _ = read(str(written(tmp_path / "in.mkv", spatial)))
    assert found.info.spatial == spatial
    notes = streamseg.run(tmp_path / "in.mkv", tmp_path / "out.mp4", method="threshold", background="green").notes
    assert any("stereoscopic 3D) is left out" in note for note in notes)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "ffv1"])
@pytest.mark.parametrize("to", [".mkv", ".mp4"])
def test_every_codec_carries_them(codec: str, to: str, tmp_path: Path):
    out = written(tmp_path / f"out{to}", Spatial(1, False, 0, (10 << 16, -5 << 16, 0)), codec=codec)
    assert marks(out)["Stereo 3D"]["type"] == "side by side"
    sphere = marks(out)["Spherical Mapping"]
    assert (sphere["projection"], sphere["yaw"], sphere["pitch"]) == ("equirectangular", 10, -5)
    assert clips.ffprobe(out)["streams"][0]["nb_read_frames"] == "5"


@pytest.mark.parametrize("to", [".mkv", ".mp4", ".webm"])
def test_360_degrees_stay_360_degrees(to: str, tmp_path: Path):
    """From an MP4 with sv3d, as cameras and YouTube's injector write it."""
    path = clips.video(tmp_path / "in.mp4", size=(128, 64), frames=3, options={"movflags": "+faststart"})
    inject_sphere(path)
    assert marks(path)["Spherical Mapping"]["projection"] == "equirectangular"
    out = tmp_path / f"out{to}"
    streamseg.run(path, out, method="threshold", background="green")
    assert marks(out)["Spherical Mapping"]["projection"] == "equirectangular"
    assert marks(out)["Spherical Mapping"]["yaw"] == 30


def inject_sphere(path: Path) -> None:
    """Put the box sv3d (Google's Spherical Video V2) into the sample entry of an MP4 whose index is at its end."""
    def box(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body) + 8, name) + body

    sphere = box(b"sv3d", box(b"svhd", bytes(4) + b"t\0") + box(b"proj", box(
        b"prhd", bytes(4) + struct.pack(">3i", 30 << 16, 0, 0)) + box(b"equi", bytes(20))))
    data = bytearray(path.read_bytes())
    assert data.index(b"moov") > data.index(b"mdat")
    place = data.index(b"avcC") - 4
    for name in (b"avc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        at = data.rindex(name, 0, place) - 4
        data[at:at + 4] = struct.pack(">I", int.from_bytes(data[at:at + 4], "big") + len(sphere))
    data[place:place] = sphere
    path.write_bytes(data)


def test_a_transparent_film_keeps_its_layout_and_its_alpha(tmp_path: Path):
    written(tmp_path / "in.mkv", Spatial(1))
    streamseg.run(tmp_path / "in.mkv", tmp_path / "out.webm", method="threshold")
    assert marks(tmp_path / "out.webm")["Stereo 3D"]["type"] == "side by side"
    assert clips.ffprobe(tmp_path / "out.webm")["streams"][0]["tags"]["alpha_mode"] == "1"


def test_a_turned_film_says_that_its_marks_are_left_out(tmp_path: Path):
    plain = clips.video(tmp_path / "plain.mp4", frames=3, rotation=90)
    subprocess.run(["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", "-metadata:s:v", "stereo_mode=left_right",
                    tmp_path / "in.mkv"], check=True)
    source, _ = read(str(tmp_path / "in.mkv"))
    assert source.info.spatial is None or source.notes == []


def test_unknown_layouts_are_said():
    assert len(not_kept(Spatial(255, False, 255), "matroska", "h264")) == 2
    assert not_kept(Spatial(1), "matroska", "h264") == []
    assert not_kept(None, "gif", "gif") == []


# --- captions ---------------------------------------------------------------------------------

@pytest.mark.parametrize(("codec", "background"), [(None, "blur"), (None, "original"), ("libx265", "green"),
                                                   ("mpeg2video", "green")])
def test_captions_inside_the_pictures_stay(codec: str | None, background: str, tmp_path: Path):
    path = captioned(tmp_path / "in.mp4")
    assert captions(path) == 6
    out = tmp_path / "out.mkv"
    report = streamseg.run(path, out, method="threshold", background=background, codec=codec)
    assert captions(out) == 6
    assert not any("caption" in note for note in report.notes)
    with av.open(str(out)) as container:
        picture = next(container.decode(video=0))
        assert clips.read_index(picture.to_ndarray(format="rgb24")) == 0  # the picture is the picture's own
    plain = clips.video(tmp_path / "plain.mp4", frames=6)
    assert all(frame.captions is None for frame in read(str(plain))[1])


def test_a_matte_has_no_captions(tmp_path: Path):
    streamseg.run(captioned(tmp_path / "in.mp4"), matte=tmp_path / "matte.mp4", method="threshold")
    assert captions(tmp_path / "matte.mp4") == 0


@pytest.mark.parametrize("to", [".webm", ".gif", "%d.png"])
def test_where_captions_cannot_stay_a_note_says_so(to: str, tmp_path: Path):
    path = captioned(tmp_path / "in.mp4")
    report = streamseg.run(path, tmp_path / f"out{to}", method="threshold", background="green")
    assert [note for note in report.notes if "closed captions" in note and "left out" in note] != []


# --- tags -------------------------------------------------------------------------------------

@pytest.mark.parametrize("to", [".mov", ".mp4", ".mkv"])
def test_quicktimes_tags_stay(to: str, tmp_path: Path):
    tags = {"com.apple.quicktime.make": "Apple", "com.apple.quicktime.location.ISO6709": "+48.1374+011.5755/",
            "title": "A walk"}
    plain = clips.video(tmp_path / "plain.mov", frames=3)
    subprocess.run(["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", "-movflags", "use_metadata_tags",
                    *(part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")),
                    tmp_path / "in.mov"], check=True)
    report = streamseg.run(tmp_path / "in.mov", tmp_path / f"out{to}", method="threshold", background="green")
    found = {key.lower(): value for key, value in clips.ffprobe(tmp_path / f"out{to}")["format"]["tags"].items()}
    assert {key: found.get(key.lower()) for key in tags} == tags
    assert not any("tags" in note for note in report.notes)


@pytest.mark.parametrize("to", [".ts", ".avi"])
def test_tags_that_are_lost_are_named(to: str, tmp_path: Path):
    path = clips.video(tmp_path / "in.mkv", frames=3, metadata={"director": "A. B."})
    notes = streamseg.run(path, tmp_path / f"out{to}", method="threshold", background="green").notes
    assert any("left out: DIRECTOR" in note for note in notes)


def test_the_title_and_the_language_of_the_picture_stay(tmp_path: Path):
    plain = clips.video(tmp_path / "plain.mkv", frames=3, rate=Fraction(25))
    subprocess.run(["ffmpeg", "-v", "error", "-i", plain, "-c", "copy", "-metadata:s:v", "title=Camera 2",
                    "-metadata:s:v", "language=deu", tmp_path / "in.mkv"], check=True)
    streamseg.run(tmp_path / "in.mkv", [tmp_path / "out.mkv", tmp_path / "out.mp4"], method="threshold",
                  background="green")
    tags = clips.ffprobe(tmp_path / "out.mkv")["streams"][0]["tags"]
    assert (tags["title"], tags["language"]) == ("Camera 2", "deu")
    assert clips.ffprobe(tmp_path / "out.mp4")["streams"][0]["tags"]["language"] == "deu"
