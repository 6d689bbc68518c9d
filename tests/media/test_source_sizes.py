"""Pictures that change their size in mid-stream, pictures above the limit, and packets that an edit list hides."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from streamseg.api import run
from streamseg.errors import OptionError, SourceError
from streamseg.source import normalise
from streamseg.source import stills as still_source
from tests import clips, stills
from tests.tiles import tiled

from .source_tools import indices, read
from .test_source_clocks import spans
from .test_source_packets import CHEAP


@pytest.mark.parametrize("sizes", [((160, 120), (320, 240)), ((320, 240), (160, 120)), ((96, 160), (320, 180))])
def test_all_pictures_get_the_largest_size_without_distortion(tmp_path: Path, sizes: tuple[tuple[int, int], ...]
                                                              ) -> None:
    path = clips.resolution_change(tmp_path / "a.h264", sizes)
    largest = max(sizes)
    source, frames = read(path, on_resize="largest")
    assert (source.info.width, source.info.height) == largest
    assert {(frame.width, frame.height) for frame in frames} == {largest}
    assert any(f"6 frames were scaled to {largest[0]} x {largest[1]}" in note for note in source.notes)
    for index in (0, 11):  # in the middle, at its own aspect, as Pillow scales it
        own = sizes[index // 6]
        scale = min(largest[0] / own[0], largest[1] / own[1])
        inner = round(own[0] * scale), round(own[1] * scale)
        shown = np.asarray(Image.fromarray(clips.picture(index, own)).resize(inner), int)
        left, top = (largest[0] - inner[0]) // 2, (largest[1] - inner[1]) // 2
        found = frames[index].rgb().astype(int)[top:top + inner[1], left:left + inner[0]]
        assert np.abs(found - shown).mean() < 12
        if left > 2:
            assert frames[index].rgb()[:, :left - 2].max() < 12  # black beside it
    run(path, tmp_path / "o.mp4", **CHEAP, on_resize="largest")
    found_stream = clips.ffprobe(tmp_path / "o.mp4")["streams"][0]
    assert (found_stream["width"], found_stream["height"], found_stream["nb_read_frames"]) == (*largest, "12")


def test_the_largest_size_is_not_known_of_what_is_read_once(tmp_path: Path) -> None:
    data = clips.resolution_change(tmp_path / "a.h264").read_bytes()
    with pytest.raises(OptionError, match="the largest size is not known at its beginning: give a file"):
        read(io.BytesIO(data), on_resize="largest")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tiff", "a.webp", "a.bmp", "a.mkv", "tiled.avif"])
def test_a_picture_above_the_limit_is_no_damage(tmp_path: Path, name: str) -> None:
    path, size = tmp_path / name, clips.SIZE
    if name == "tiled.avif":
        size = (256, 192)
        tiled(path, clips.picture(0, size), 2, 2)
    elif name == "a.mkv":
        clips.video(path, frames=3)
    else:
        stills.image(path)
    width, height = size
    with pytest.raises(SourceError, match=f"is {width} x {height}, .*--max-pixels {width * height} raises the limit"):
        read(path, max_pixels=width * height - 1)
    assert len(read(path, max_pixels=width * height)[1]) in (1, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_beyond_the_default_a_picture_is_reduced_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                  suffix: str) -> None:
    for module in (normalise, still_source):
        monkeypatch.setattr(module, "MAX_PIXELS", 5000)
    source, (frame,) = read(stills.image(tmp_path / f"a{suffix}"))
    assert 4000 < frame.width * frame.height <= 5000
    assert any(f"it is worked on, and written, at {frame.width} x {frame.height}" in note for note in source.notes)
    wanted = np.asarray(Image.fromarray(clips.picture(0)).resize((frame.width, frame.height)), int)
    assert np.abs(frame.rgb().astype(int) - wanted).mean() < 8


@pytest.mark.parametrize("name", ["o.mkv", "o.ts", "o.nut", "o.avi", "o.mp4"])
def test_sound_that_an_edit_list_hides_is_not_heard_again(tmp_path: Path, name: str) -> None:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("the ffmpeg program, which cuts the film, is not installed")
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    clips.video(whole, frames=75, audio=True, gop=25, b_frames=0)
    subprocess.run([program, "-v", "error", "-ss", "1.8", "-i", whole, "-c", "copy", cut], check=True)  # a key at 1 s
    with av.open(str(cut)) as file:
        hidden = sum(packet.is_discard for packet in file.demux(audio=0))
    assert hidden > 20
    source, frames = read(cut)
    assert indices(frames)[0] == 45
    assert not [note for note in source.notes if "gave no frame" in note]  # they are not to be shown
    run(cut, tmp_path / name, **CHEAP)
    found = spans(tmp_path / name)
    assert found["v"][0] - found["a"][0] == pytest.approx(0, abs=0.06)
    assert found["v"][1] - found["a"][1] == pytest.approx(0, abs=0.06)
