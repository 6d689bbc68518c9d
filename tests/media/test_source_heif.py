"""HEIC and AVIF whose alpha is a stream of its own, against Pillow's reading."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, features

import streamseg
from streamseg.errors import DamagedInputError, SourceError
from streamseg.source.alpha import joined
from streamseg.source.heif import content_of
from tests import clips
from tests.media.source_tools import read

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow writes no AVIF, the oracle")
SIZE = (96, 64)


def rgba(index: int, *, noisy: bool) -> clips.Array:
    """A plain blue picture with a red block; its alpha has few bits, or more than the picture (noise)."""
    made = np.full((SIZE[1], SIZE[0], 4), (30, 60, 200, 255), np.uint8)
    made[16:48, 8 + 8 * index:40 + 8 * index, :3] = (220, 40, 30)
    made[..., 3] = np.random.default_rng(index).integers(0, 256, SIZE[::-1]) if noisy else 255
    made[:, 64:, 3] = 0 if index % 2 else 128
    return made


def avif(path: Path, frames: int = 1, *, alpha: bool = True, noisy: bool = True) -> Path:
    made = [Image.fromarray(rgba(index, noisy=noisy)).convert("RGBA" if alpha else "RGB") for index in range(frames)]
    made[0].save(path, save_all=True, append_images=made[1:], duration=100, quality=90)
    return path


def pillow(path: Path) -> list[clips.Array]:
    with Image.open(path) as image:
        found = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            found.append(np.asarray(image.convert("RGBA")).astype(int))
        return found


def assert_as_pillow(frames: list[Any], wanted: list[clips.Array]) -> None:
    assert len(frames) == len(wanted)
    for frame, picture in zip(frames, wanted, strict=True):
        assert np.array_equal(frame.alpha, picture[..., 3])
        assert np.abs(frame.rgb().astype(int) - picture[..., :3]).mean() < 1.5


@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize("frames", [1, 5])
def test_alpha_and_picture_are_told_apart(frames: int, noisy: bool, tmp_path: Path):
    path = avif(tmp_path / "in.avif", frames, noisy=noisy)
    source, found = read(str(path))
    assert source.info.has_alpha
    assert source.info.stills == (frames == 1)
    assert not any("video streams" in note for note in source.notes)
    assert_as_pillow(found, pillow(path))


@pytest.mark.parametrize("frames", [1, 5])
def test_an_opaque_avif_has_no_alpha(frames: int, tmp_path: Path):
    source, found = read(str(avif(tmp_path / "in.avif", frames, alpha=False)))
    assert not source.info.has_alpha
    assert [frame.alpha for frame in found] == [None] * frames


def test_alpha_is_in_step_behind_start(tmp_path: Path):
    path = avif(tmp_path / "in.avif", 6)
    _, found = read(str(path), start=0.25)
    assert_as_pillow(found, pillow(path)[3:])


def test_a_grey_avif_keeps_its_alpha(tmp_path: Path):
    path = tmp_path / "grey.avif"
    made = np.dstack([np.full(SIZE[::-1], 90, np.uint8), rgba(0, noisy=True)[..., 3]])
    Image.fromarray(made, "LA").save(path, quality=100)
    _, found = read(str(path))
    assert np.array_equal(found[0].alpha, pillow(path)[0][..., 3])


@pytest.mark.parametrize("name", ["out.apng", "out.mov", "out.webm"])
def test_a_cutout_is_transparent_where_the_input_is(name: str, tmp_path: Path):
    path = avif(tmp_path / "in.avif", 3, noisy=False)
    streamseg.run(path, tmp_path / name, method="threshold")
    (tmp_path / "frames").mkdir()
    streamseg.run(path, tmp_path / "frames" / "%d.png", method="threshold", background="none")
    with Image.open(tmp_path / "frames" / "2.png") as image:
        assert np.asarray(image)[:, 66:, 3].max() == 0  # the second picture's alpha is 0 there
    with av.open(str(tmp_path / name)) as out:
        assert any(part.is_alpha for part in out.streams.video[0].format.components) or name == "out.webm"


def test_a_file_object_gives_the_picture_and_a_note(tmp_path: Path):
    path = avif(tmp_path / "in.avif", 4)
    with path.open("rb") as file:
        source, found = read(file)
    assert np.abs(found[0].rgb().astype(int) - pillow(path)[0][..., :3]).mean() < 1.5
    assert any("give it as a file" in note for note in source.notes)


@pytest.mark.parametrize(("times", "wanted"), [(None, 0), (1, 1), (3, 3)])
def test_an_animation_plays_as_often_as_before(times: int | None, wanted: int, tmp_path: Path):
    path = avif(tmp_path / "in.avif", 3, alpha=False)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4
    assert data[place] == 1  # 64 bits
    if times is not None:
        struct.pack_into(">Q", data, place + 28, 300 * times)
    path.write_bytes(data)
    source, _ = read(str(path))
    assert source.info.plays == wanted
    streamseg.run(path, tmp_path / "out.apng", method="threshold", background="green")
    with Image.open(tmp_path / "out.apng") as image:
        assert image.info["loop"] == wanted


def test_damage_in_the_alpha_is_damage(tmp_path: Path):
    path = avif(tmp_path / "in.avif", 5)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(3) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets[2:4]:
        place = bytes(data).index(bytes(packet))
        data[place:place + packet.size] = b"\xff" * packet.size
    path.write_bytes(data)
    with pytest.raises(DamagedInputError, match="transparency"):
        read(str(path))
    source, found = read(str(path), on_error="skip")
    assert len(found) == 5
    assert source.damaged > 0


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv444p10le", "yuv420p12le", "gbrp", "gray", "gray10le",
                                    "yuvj420p"])
@pytest.mark.parametrize("of", ["gray", "gray10le", "yuv420p"])
def test_every_format_takes_every_alpha(format: str, of: str):
    picture, alpha = clips.noise(format, (48, 32)), clips.noise(of, (48, 32), 1)
    made = joined(picture, alpha)
    whole = 255 if of != "gray10le" else 1023
    wanted = np.frombuffer(alpha.planes[0], np.uint8 if whole == 255 else np.uint16).reshape(32, -1)[:, :48] / whole
    deep = max(part.bits for part in made.format.components)
    plane = np.frombuffer(made.planes[3], np.uint8 if deep == 8 else np.uint16).reshape(32, -1)[:, :48]
    assert np.abs(plane / ((1 << deep) - 1) - wanted).max() < 0.003
    if format == "yuv420p":
        assert bytes(made.planes[0])[:48] == bytes(picture.planes[0])[:48]


def test_multiplied_colours_are_divided():
    picture, alpha = av.VideoFrame(16, 16, "gbrp"), av.VideoFrame(16, 16, "gray")
    for plane, value in zip((*picture.planes, alpha.planes[0]), (40, 10, 100, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    made = joined(picture, alpha, multiplied=True)
    assert [bytes(plane)[0] for plane in made.planes] == [80, 20, 199, 128]


def test_every_cut_is_an_error_in_words(tmp_path: Path):
    data = avif(tmp_path / "in.avif").read_bytes()
    for length in range(16, len(data) - 1, 37):
        (tmp_path / "cut.avif").write_bytes(data[:length])
        with pytest.raises(SourceError):
            read(str(tmp_path / "cut.avif"))


@pytest.mark.parametrize("name", ["in.avif", "in.mp4"])
def test_boxes_that_are_not_whole_are_no_error(name: str, tmp_path: Path):
    path = avif(tmp_path / "in.avif", 2) if name == "in.avif" else clips.video(tmp_path / name, frames=2)
    data = path.read_bytes()
    random = np.random.default_rng(0)
    for place in range(12, min(len(data), 2000), 7):
        broken = bytearray(data)
        broken[place] = int(random.integers(0, 256))
        path.write_bytes(broken[:len(data) - place % 5])
        content_of(path)
