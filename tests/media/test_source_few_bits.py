"""RGB of 16 bits a pixel: 5 or 6 bits of a colour reach from 0 to 255, in pictures and in films; what is taken for it;
and APNGs that FFmpeg does not read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from PIL import Image

from streamseg.errors import DamagedInputError, SourceError
from streamseg.options import InputOptions
from streamseg.source import open_source
from streamseg.source.camera import subsampled
from streamseg.source.normalise import Normaliser
from streamseg.source.orientation import Turn
from streamseg.source.stills import PictureSource

BITS = {"rgb555le": (5, 5, 5), "bgr565le": (5, 6, 5), "rgb444le": (4, 4, 4)}  # of red, green and blue


def ramp(format: str) -> tuple[av.VideoFrame, np.ndarray]:
    """Every level of each colour, packed by hand, and what is meant in 0..255."""
    bits = BITS[format]
    columns = np.arange(64)
    levels = [columns % (1 << count) for count in bits]
    red, green, blue = levels if format.startswith("rgb") else levels[::-1]
    packed = (red << (bits[1] + bits[2])) | (green << bits[2]) | blue
    frame = av.VideoFrame(64, 16, format)
    rows = np.zeros((16, frame.planes[0].line_size // 2), "<u2")
    rows[:, :64] = packed
    frame.planes[0].update(rows.tobytes())
    meant = [np.rint(level * 255 / ((1 << count) - 1)) for level, count in zip(levels, bits, strict=True)]
    return frame, np.broadcast_to(np.stack(meant, axis=1), (16, 64, 3))


@pytest.mark.parametrize(("format", "name", "codec"), [
    ("rgb555le", "a.bmp", "bmp"), ("rgb444le", "a.bmp", "bmp"), ("rgb555le", "a.tga", "targa"),
    ("bgr565le", "a.nut", "rawvideo"), ("rgb555le", "a.nut", "rawvideo")])
def test_the_brightest_is_white_and_the_steps_are_even(tmp_path: Path, format: str, name: str, codec: str) -> None:
    frame, meant = ramp(format)
    path = tmp_path / name
    with av.open(str(path), "w", format="nut" if name.endswith("nut") else "image2") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 16, format
        frame.pts = 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    found = next(iter(open_source(path)))
    assert np.abs(found.rgb().astype(int) - meant).max() <= 1
    assert found.rgb().max() == 255


@pytest.mark.parametrize("first", ["a.bmp", "b.png"])
def test_in_a_film_of_both_each_picture_is_read_by_its_own_bits(tmp_path: Path, first: str) -> None:
    frame, few = ramp("rgb555le")
    with av.open(str(tmp_path / "a.bmp"), "w", format="image2") as out:
        stream = out.add_stream("bmp", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 16, "rgb555le"
        frame.pts = 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    many = np.full((16, 64, 4), 255, np.uint8)
    many[..., :3] = (4 * np.arange(64))[None, :, None]
    Image.fromarray(many).save(tmp_path / "b.png")
    meant = {"a.bmp": few, "b.png": many[..., :3]}
    names = sorted(meant, reverse=first == "b.png")
    source = PictureSource([tmp_path / name for name in names], "both", InputOptions(), stills=False)
    for found, name in zip(source, names, strict=True):
        assert np.abs(found.rgb().astype(int) - meant[name]).max() <= 1, name


@pytest.mark.parametrize("format", list(BITS))
@pytest.mark.parametrize("before", ["rgb24", "gbrp16le", "yuv444p"])
def test_white_stays_white_where_a_picture_is_scaled_or_converted(format: str, before: str) -> None:
    """All pictures of a film get the first one's size and format."""
    first = av.VideoFrame(32, 8, before)
    white, _ = ramp(format)
    white.planes[0].update(np.full(white.planes[0].buffer_size // 2, 0xffff, "<u2").tobytes())
    normaliser = Normaliser(Turn(), fixed=True)
    normaliser.frame(first, 0, 0, Fraction(1), 1)
    found = normaliser.frame(white, 1, 1, Fraction(1), 1)
    assert (found.width, found.height) == (32, 8)
    assert found.rgb().min() >= 254  # of any 8 bits swscale makes 65283 of 65535 where it scales, too


def test_white_of_a_camera_with_few_bits_is_white() -> None:
    white, _ = ramp("rgb555le")
    white.planes[0].update(np.full(white.planes[0].buffer_size // 2, 0x7fff, "<u2").tobytes())
    assert set(bytes(subsampled(white, VideoReformatter()).planes[0])[:64]) == {235}


@pytest.mark.parametrize("how", [{}, {"compression": "tga_rle"}, {"orientation": 1}])
def test_a_tga_of_grey_with_alpha_is_no_rgb(tmp_path: Path, how: dict[str, object]) -> None:
    grey = np.tile(np.arange(0, 128, 2, dtype=np.uint8), (16, 1))
    grey[8:] //= 2
    both = np.dstack([grey, 255 - grey])
    Image.fromarray(both, "LA").save(tmp_path / "a.tga", **how)
    frame = next(iter(open_source(tmp_path / "a.tga")))
    assert frame.alpha is not None
    np.testing.assert_array_equal(frame.alpha, 255 - grey)
    np.testing.assert_array_equal(frame.rgb(), np.repeat(grey[..., None], 3, axis=2))
    data = (tmp_path / "a.tga").read_bytes()
    (tmp_path / "cut.tga").write_bytes(data[:len(data) // 2])
    with pytest.raises(SourceError):
        next(iter(open_source(tmp_path / "cut.tga")))


def test_an_apng_that_ffmpeg_does_not_read_is_not_called_damaged(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.apng"), "w") as out:
        stream = out.add_stream("apng", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 16, "rgba64be"
        shown = np.full((16, 64, 4), 9000, np.uint16)
        shown[..., 3] = np.linspace(0, 60000, 64)  # the encoder then blends the next picture over this one
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(shown, "rgba64be")
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(SourceError, match="in a way that FFmpeg does not read yet") as caught:
        list(open_source(tmp_path / "a.apng"))
    assert not isinstance(caught.value, DamagedInputError)
